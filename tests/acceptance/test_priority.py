"""Fire, entrapment and gas while the meters upload at once, through a real broker and a whole service: in small.
`python -m tests.bench.bench_priority` has 50,000 meters."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from tests.bench.bench_priority import Plan, run
from tests.servers.mosquitto import Mosquitto


@pytest.mark.parametrize("named", [True, False], ids=["a session of their own", "one session"])
def test_every_urgent_message_has_one_ticket_within_5_s(
    tmp_path: Path, new_mosquitto: Callable[[str], Mosquitto], named: bool
) -> None:
    seen = run(tmp_path, new_mosquitto("").port, Plan(2_000, 3, 15, named))
    assert len(seen.waits) == 15
    assert seen.waits[-1] <= 5.0
