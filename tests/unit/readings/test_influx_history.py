"""Which stretches are asked of InfluxDB when history moves between buckets: never an empty one."""

from __future__ import annotations

from typing import Any

import pytest

from dutyroom.backends.influx_history import InfluxHistory
from dutyroom.timebase import HOUR, MINUTE, Ms

MIDNIGHT = 1_795_737_600_000  # 2026-11-27T00:00Z


class Client:
    """Keeps the questions; has one reading, of the evening before."""

    def __init__(self, first: Ms) -> None:
        self.first, self.asked = first, list[str]()

    def query_api(self) -> Client:
        return self

    def query(self, flux: str, org: str) -> list[Any]:
        return []

    def query_raw(self, flux: str, org: str) -> Client:
        self.asked.append(flux)
        return self

    def stream(self, size: int) -> list[bytes]:
        return []


@pytest.mark.parametrize(
    ("width", "after", "days"), [("1h", 45 * MINUTE, 1), ("5m", 45 * MINUTE, 2), ("1h", HOUR, 2)]
)
def test_a_day_without_a_whole_window_is_not_asked_for(
    monkeypatch: pytest.MonkeyPatch, width: str, after: Ms, days: int
) -> None:
    client, said = Client(0), list[str]()
    history = InfluxHistory(client, "org", MIDNIGHT + after)
    monkeypatch.setattr(history, "_first", lambda bucket: MIDNIGHT - HOUR)
    history.into_coarser("a", "b", width, said.append)
    assert said == [f"filled   b with {days} days of a"]
