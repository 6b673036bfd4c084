"""The embedded readings as a process sees them that does not write them: they may not be there yet.

Then there are none.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from pathlib import Path

from dutyroom.backends.memory import MemoryReadingStore
from dutyroom.backends.readings_embedded import EmbeddedReadingStore
from dutyroom.errors import Rejected
from dutyroom.interfaces import ReadingStore
from dutyroom.model.telemetry import Point, PointTable, Reading, Readings, Series
from dutyroom.timebase import Ms


class FollowedReadingStore:
    """See `interfaces.ReadingStore`; `write` is Rejected."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._none: ReadingStore = MemoryReadingStore()
        self._opened: EmbeddedReadingStore | None = None

    @property
    def _store(self) -> ReadingStore:
        if self._opened is None:
            with self._lock:
                if self._opened is None and self._path.exists():
                    self._opened = EmbeddedReadingStore(self._path, read_only=True)
        return self._opened or self._none

    def write(self, readings: Readings, table: PointTable) -> None:
        raise Rejected(f"readings {self._path}: another process writes them")

    def range(self, point: Point, start: Ms, end: Ms, limit: int = 100_000) -> Series:
        return self._store.range(point, start, end, limit)

    def buckets(
        self, point: Point, start: Ms, end: Ms, width: Ms
    ) -> Sequence[tuple[Ms, float, float, float, float]]:
        return self._store.buckets(point, start, end, width)

    def at(self, points: Sequence[Point], moment: Ms, back: Ms) -> Mapping[int, Reading]:
        return self._store.at(points, moment, back)

    def latest(self, points: Sequence[Point]) -> Mapping[int, Reading]:
        return self._store.latest(points)

    def close(self) -> None:
        if self._opened is not None:
            self._opened.close()
