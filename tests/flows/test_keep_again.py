"""A store that was away: what waited is stored as what it is, not looked up as if it had come twice."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from tests.flows.intake_rig import Rig, T, batch, meter

from dutyroom.errors import Unavailable
from dutyroom.flows import keep, said
from dutyroom.interfaces import ReadingStore
from dutyroom.model.telemetry import Point, PointTable, Reading, Readings, Series
from dutyroom.timebase import DAY, MINUTE, Ms


class Away:
    """A store that stores only some writes, and counts how often it is asked what it has."""

    def __init__(self, inner: ReadingStore) -> None:
        self.inner, self.away, self.asked = inner, False, 0

    def write(self, readings: Readings, table: PointTable) -> None:
        if self.away:
            half = len(readings) // 2
            self.inner.write(
                Readings(*(column[:half] for column in (readings.point, readings.at, readings.value,
                                                         readings.quality, readings.message))), table
            )  # fmt: skip
            raise Unavailable("in the middle of a write")
        self.inner.write(readings, table)

    def ranges(self, spans: Sequence[tuple[Point, Ms, Ms]]) -> Sequence[Series]:
        self.asked += 1
        return [self.inner.range(*span, said.MOST) for span in spans]

    def latest(self, points: Sequence[Point]) -> dict[int, Reading]:
        return dict(self.inner.latest(points))

    range = buckets = at = close = None


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    made = Rig(tmp_path)
    made.register(*(meter(str(n)) for n in range(20)))
    yield made
    made.close()


def away(rig: Rig) -> Away:
    store = Away(rig.store)
    rig.keep = keep.Keep("site", rig.table, rig.journal, store, rig.records)  # type: ignore[arg-type]
    return store


def test_what_waited_for_the_store_is_not_compared_with_it(rig: Rig) -> None:
    store = away(rig)
    rig.ingest.handle([batch(T, **{str(n): (1.0, T) for n in range(20)})])
    rig.keep.drain()
    store.away = True
    for turn in range(1, 4):
        at = T + turn * MINUTE
        rig.ingest.handle([batch(at, **{str(n): (1.0 + turn, at) for n in range(20)})])
        with pytest.raises(Unavailable):
            rig.keep.drain()
    store.away = False
    rig.keep.drain()
    assert store.asked == 0
    assert [v for _, v in rig.stored("meter-7", "volume")] == [1.0, 2.0, 3.0, 4.0]
    assert sum(row.stored for row in rig.ledger().values()) == 80
    assert sum(row.duplicate for row in rig.ledger().values()) == 0


def test_what_came_twice_is_asked_for_at_once(rig: Rig) -> None:
    store = away(rig)
    for received in (T, T + MINUTE, T + 2 * MINUTE):
        volume = 1.0 if received < T + 2 * MINUTE else 2.0
        rig.ingest.handle(
            [batch(received, **{str(n): (volume, T)}) for n in range(20)]
            + [batch(received, **{str(n): (volume, T - 300 * DAY)}) for n in range(20)]
        )
        rig.keep.drain()
    assert store.asked == 3  # a time for each batch: its own old ones too
    assert [v for _, v in rig.stored("meter-7", "volume")] == [2.0, 2.0]
    ledger = rig.ledger().values()
    assert (sum(r.stored for r in ledger), sum(r.duplicate for r in ledger)) == (40, 40)
    assert sum(r.conflict for r in ledger) == 40


def test_a_long_stretch_is_compared_to_its_first_reading(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """More than is read at once lies between the old readings of a message: all of them are compared."""
    monkeypatch.setattr(said, "MOST", 5)
    store = away(rig)
    times = [T + n * MINUTE for n in range(40)]
    for received in (T, T + MINUTE):
        rig.ingest.handle([batch(received, **{"1": (float(n), at)}) for n, at in enumerate(times)])
        rig.keep.drain()
    assert store.asked > 1
    row = rig.ledger()["meter-1"]
    assert (row.stored, row.duplicate, row.conflict) == (40, 40, 0)
