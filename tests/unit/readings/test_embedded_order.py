"""The newest write of a point and instant counts, wherever log, chunks and joined chunks have it."""

from __future__ import annotations

import os
import random
import tempfile
from pathlib import Path

import pytest
from tests.unit.readings.small import set_limits

from dutyroom.backends.readings_embedded import EmbeddedReadingStore, compaction
from dutyroom.model.telemetry import DeviceClass, Point, PointSpec, PointTable, Reading, Readings
from dutyroom.timebase import DAY, HOUR

ROUNDS = int(os.environ.get("DUTYROOM_TEST_EXAMPLES", "60"))
T = 1_790_000_000_000 // DAY * DAY
POINTS = [Point(p, "s", "d", DeviceClass.OTHER, "", PointSpec("x")) for p in (1, 2, 40, 99, 130, 170, 999)]
INSTANTS = [T + n * 10 * HOUR for n in range(6)]


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    set_limits(monkeypatch)
    monkeypatch.setattr(compaction, "SLICE", 1)  # many slices a run, with writes between them


def look(store: EmbeddedReadingStore, rows: dict[tuple[int, int], float]) -> None:
    for point in POINTS:
        mine = {at: value for (p, at), value in rows.items() if p == point.id}
        s = store.range(point, 0, 2**62)
        assert dict(zip(s.at.tolist(), s.value.tolist(), strict=True)) == mine
        assert len(s) == len(mine)
    for moment in (*INSTANTS, 2**60):
        newest = {p: max(at for q, at in rows if q == p and at <= moment) for p, at in rows if at <= moment}
        expected = {p: Reading(p, at, rows[p, at]) for p, at in newest.items()}
        assert store.at(POINTS, moment, 2**60) == expected
    assert store.latest(POINTS) == expected


@pytest.mark.parametrize("seed", range(8))
def test_the_newest_write_counts(seed: int) -> None:
    for number in range(max(1, ROUNDS // 6)):
        with tempfile.TemporaryDirectory() as folder:
            play(Path(folder) / "readings.sqlite", random.Random(seed * 1_000_003 + number))


def play(path: Path, dice: random.Random) -> None:
    store, other = EmbeddedReadingStore(path), EmbeddedReadingStore(path)  # as of two processes
    rows: dict[tuple[int, int], float] = {}
    serial = 0.0
    for _ in range(60):
        what = dice.random()
        if what < 0.5:
            some = [(dice.choice(POINTS).id, dice.choice(INSTANTS)) for _ in range(dice.randint(1, 14))]
            if dice.random() < 0.4:
                some.sort(key=lambda row: row[0])  # history: may go straight into chunks
            written = []
            for key in some:
                serial += 1
                rows[key] = serial
                written.append((*key, serial, 0, 0))
            store.write(Readings.of(written), PointTable())
        elif what < 0.85:
            dice.choice((store, store, other)).tidy(dice.random() < 0.8)
        elif what < 0.92:
            store.close()
            store = EmbeddedReadingStore(path)
        else:
            look(dice.choice((store, other)), rows)
    look(store, rows)
    while store.tidy(all_of_it=True):
        pass
    look(store, rows)
    look(other, rows)
    store.close()
    other.close()
