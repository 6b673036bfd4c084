"""The embedded readings of a site that runs although their file cannot be opened: a damaged one, a full disk.

As with an InfluxDB that is away, readings wait in the journal meanwhile, and the rules go on: a fire panel is
not to be silent for the sake of the meters' history.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from dutyroom.backends.readings_embedded import EmbeddedReadingStore
from dutyroom.errors import Unavailable
from dutyroom.model.telemetry import Point, PointTable, Reading, Readings, Series
from dutyroom.timebase import Ms

_AGAIN_S = 5.0  # between two tries to open it


class AwaitedReadingStore:
    """See `interfaces.ReadingStore`. Everything raises Unavailable until the file can be opened."""

    def __init__(self, path: Path, why: str, again_s: float = _AGAIN_S) -> None:
        self._path, self._why, self._again_s = path, why, again_s
        self._next = time.monotonic() + again_s
        self._lock = threading.Lock()
        self._opened: EmbeddedReadingStore | None = None

    @property
    def _store(self) -> EmbeddedReadingStore:
        if self._opened is not None:
            return self._opened
        with self._lock:
            if self._opened is None and time.monotonic() >= self._next:
                self._next = time.monotonic() + self._again_s
                try:
                    self._opened = EmbeddedReadingStore(self._path)
                except Unavailable as err:
                    self._why = str(err)
            if self._opened is None:
                raise Unavailable(self._why)
            return self._opened

    def write(self, readings: Readings, table: PointTable) -> None:
        self._store.write(readings, table)

    def tidy(self) -> bool:
        return self._store.tidy()

    def range(self, point: Point, start: Ms, end: Ms, limit: int = 100_000) -> Series:
        return self._store.range(point, start, end, limit)

    def ranges(self, spans: Sequence[tuple[Point, Ms, Ms]], limit: int = 100_000) -> Sequence[Series]:
        return self._store.ranges(spans, limit)

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
