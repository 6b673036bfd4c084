"""A message that two sessions of a site bring, where what a profile reads crosses a priority filter."""

from __future__ import annotations

from pathlib import Path

import pytest
from msgspec.structs import replace
from tests.flows.intake_rig import Rig, T, batch, meter, probe, tank

from dutyroom.timebase import MINUTE


@pytest.mark.parametrize("first", [True, False])
def test_it_is_stored_once_and_the_ledger_balances(tmp_path: Path, first: bool) -> None:
    rig = Rig(tmp_path)
    rig.register(meter("a"), meter("b"))
    for n in range(5):
        sent = batch(T + n * MINUTE + 900, a=(1.0 + n, T + n * MINUTE), b=(2.0, T + n * MINUTE))
        for later, urgent in ((0, first), (40, not first)):
            came = replace(sent, received_at=sent.received_at + later, session=f"dutyroom-site.{urgent}")
            rig.ingest.handle([came], urgent=urgent)
        if n != 2:  # the store was away for a while
            rig.keep.drain()
    rig.keep.drain()
    for device, values in (("meter-a", [1, 2, 3, 4, 5]), ("meter-b", [2] * 5)):
        assert [value for _, value in rig.stored(device, "volume")] == values
    rows = rig.ledger().values()
    assert sum(row.received for row in rows) == 10
    assert [sum(getattr(row, name) for row in rows) for name in ("stored", "duplicate")] == [10, 10]
    rig.close()


def test_what_has_no_time_of_its_own_is_stored_twice_and_balances(tmp_path: Path) -> None:
    rig = Rig(tmp_path)
    rig.register(tank())
    for later, urgent in ((0, True), (40, False)):
        rig.ingest.handle([probe(1.5, T + later)], urgent=urgent)
    rig.keep.drain()
    assert [value for _, value in rig.stored("tank-p1", "level")] == [1.5, 1.5]
    assert rig.ledger()["tank-p1"].stored == 2
    rig.close()
