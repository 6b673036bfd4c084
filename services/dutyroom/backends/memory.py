"""Readings in memory, for checks and tests: the plainest form of the contract."""

from __future__ import annotations

import math
import threading
from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Mapping, Sequence

import numpy as np

from dutyroom.errors import Rejected
from dutyroom.model.telemetry import Point, PointTable, Reading, Readings, Series
from dutyroom.timebase import Ms


def refuse_not_finite(readings: Readings) -> None:
    """No store keeps what is not a finite number: Rejected names those rows, the others are stored."""
    rows = np.flatnonzero(~np.isfinite(readings.value)).tolist()
    if rows:
        reasons: dict[int | str, str] = {row: f"{readings.value[row]} is not a finite number" for row in rows}
        raise Rejected(f"{len(rows)} of {len(readings)} readings are not finite numbers", reasons)


class MemoryReadingStore:
    """See `interfaces.ReadingStore`."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._rows: dict[int, dict[Ms, tuple[float, int, Ms | None, str]]] = defaultdict(dict)

    def write(self, readings: Readings, table: PointTable) -> None:
        columns = (readings.point, readings.at, readings.value, readings.quality)
        with self._lock:
            for row, (point, at, value, quality) in enumerate(
                zip(*(c.tolist() for c in columns), strict=True)
            ):
                if math.isfinite(value):
                    self._rows[point][at] = (
                        value,
                        quality,
                        readings.late.get(row),
                        readings.text.get(row, ""),
                    )
        refuse_not_finite(readings)

    def _between(self, point: Point, start: Ms, end: Ms) -> list[tuple[Ms, float, int, Ms | None, str]]:
        with self._lock:
            rows = self._rows.get(point.id, {})
            times = sorted(rows)
            chosen = times[bisect_left(times, start) : bisect_left(times, end)]
            return [(at, *rows[at]) for at in chosen]

    def range(self, point: Point, start: Ms, end: Ms, limit: int = 100_000) -> Series:
        rows = self._between(point, start, end)[-limit:]
        at, value, quality, received, text = zip(*rows, strict=True) if rows else ((), (), (), (), ())
        return Series(
            point.id,
            np.array(at, np.int64),
            np.array(value, np.float64),
            np.array(quality, np.uint8),
            {row: then for row, then in enumerate(received) if then is not None},
            {row: said for row, said in enumerate(text) if said},
        )

    def buckets(
        self, point: Point, start: Ms, end: Ms, width: Ms
    ) -> Sequence[tuple[Ms, float, float, float, float]]:
        gathered: dict[int, list[float]] = defaultdict(list)
        for at, value, *_ in self._between(point, start, end):
            gathered[(at - start) // width].append(value)
        return [
            (start + bucket * width, min(v), sum(v) / len(v), max(v), v[-1])
            for bucket, v in sorted(gathered.items())
        ]

    def at(self, points: Sequence[Point], moment: Ms, back: Ms) -> Mapping[int, Reading]:
        found: dict[int, Reading] = {}
        with self._lock:
            for point in points:
                rows = self._rows.get(point.id, {})
                times = sorted(rows)
                place = bisect_right(times, moment)
                if place and times[place - 1] >= moment - back:
                    at = times[place - 1]
                    found[point.id] = Reading(point.id, at, *rows[at])
        return found

    def latest(self, points: Sequence[Point]) -> Mapping[int, Reading]:
        return self.at(points, 2**62, 2**63)

    def close(self) -> None:
        """Nothing to close."""
