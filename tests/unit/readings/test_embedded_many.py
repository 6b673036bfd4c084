"""Many stretches of time in one question say what each by itself says."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from dutyroom.backends.readings_embedded import EmbeddedReadingStore
from dutyroom.interfaces import ManyAtOnce
from dutyroom.model.telemetry import DeviceClass, Point, PointSpec, PointTable, Readings, Series
from dutyroom.timebase import DAY, HOUR, Ms

T: Ms = 1_790_000_000_000
POINTS = [Point(n, "s", f"m{n // 4}", DeviceClass.SENSOR, "", PointSpec(f"p{n % 4}")) for n in range(1, 140)]
TABLE = PointTable(POINTS)


def written(rng: random.Random, rows: int) -> Readings:
    made = [
        (rng.choice(POINTS).id, T + rng.randrange(6 * 24) * HOUR, rng.random(), rng.randrange(4), 0)
        for _ in range(rows)
    ]
    late = dict.fromkeys(range(0, rows, 7), T + 9 * DAY)
    texts = {row: f"text {row % 5}" for row in range(0, rows, 3)}
    return replace(Readings.of(made), late=late, text=texts)


def plain(series: Sequence[Series]) -> list[tuple[object, ...]]:
    return [
        (s.point, s.at.tolist(), s.value.tolist(), s.quality.tolist(), dict(s.late), dict(s.text))
        for s in series
    ]


@pytest.mark.parametrize("tidied", ["log", "chunks", "both"])
def test_many_at_once_are_the_same_as_one_by_one(tmp_path: Path, tidied: str) -> None:
    rng = random.Random(3)
    store = EmbeddedReadingStore(tmp_path / "r.sqlite")
    for number in range(12):
        store.write(written(rng, 900), TABLE)
        if tidied == "chunks" or (tidied == "both" and number < 8):
            while store.tidy(all_of_it=True):
                pass
    spans: list[tuple[Point, Ms, Ms]] = []
    for _ in range(600):
        start = T + rng.randrange(-24, 7 * 24) * HOUR - rng.randrange(2)
        spans.append((rng.choice(POINTS), start, start + rng.choice((0, 1, 2, HOUR, DAY, 3 * DAY, -5))))
    spans.append((replace(POINTS[0], id=5_000), T, T + DAY))
    assert isinstance(store, ManyAtOnce)
    assert plain(store.ranges(spans)) == plain([store.range(*span) for span in spans])
    assert plain(store.ranges(spans, 2)) == plain([store.range(*span, 2) for span in spans])
    assert store.ranges([]) == []
    assert EmbeddedReadingStore(tmp_path / "empty.sqlite").ranges(spans[:2])[1].at.tolist() == []
