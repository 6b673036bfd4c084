"""Readings in one SQLite file: no server, one writer, readers that never wait for it.

A write is appended to a log as it comes; compaction turns the log into compressed chunks by point and day
a slice at a time, between the writes. Who reads sees both.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from dutyroom.backends.memory import refuse_not_finite
from dutyroom.backends.readings_embedded import logrow, many, parts, reads
from dutyroom.backends.readings_embedded.columns import Columns, columns_of, join, settle
from dutyroom.backends.readings_embedded.compaction import SLICE, Compaction, room
from dutyroom.backends.readings_embedded.encoding import encode
from dutyroom.backends.readings_embedded.file import StoreFile
from dutyroom.backends.readings_embedded.latest import keep_latest
from dutyroom.backends.readings_embedded.migration import bring_up_to_date
from dutyroom.backends.readings_embedded.view import Views
from dutyroom.backends.readings_embedded.words import Words
from dutyroom.model.telemetry import Point, PointTable, Reading, Readings, Series
from dutyroom.timebase import Ms

_BY_POINT = 8_192  # rows from which on history that comes point by point goes straight into chunks
_RUN = 16  # rows of a point one after the other, on the average: such history
_NEXT = (
    "INSERT INTO log (seq, data) VALUES ("
    "1 + max((SELECT coalesce(max(seq), 0) FROM log), (SELECT value FROM state WHERE name = 'done')), ?)"
)
_MARK = b""


class EmbeddedReadingStore:
    """See `interfaces.ReadingStore`. `path` is created with its folder, unless it is only read: then it
    must be there and is left as it is, and follows what another process writes.

    A file of the older layout is brought up to date when it is opened.
    """

    def __init__(self, path: Path, read_only: bool = False) -> None:
        self._file = StoreFile(path, read_only)
        if not read_only:
            bring_up_to_date(self._file)
        self._views = Views(self._file)
        self._compaction = Compaction(self._file, self._views)
        self._words = Words(self._file)
        self._logged = self._room = 0  # rows of the log, about; how many it should have at most
        self._measured = False

    def write(self, readings: Readings, table: PointTable) -> None:
        """Large blocks are committed in slices, so that a writer beside an import never waits long."""
        c = columns_of(self._words.coded(readings))
        if len(c) >= _BY_POINT and np.count_nonzero(np.diff(c.point)) * _RUN < len(c):
            for start in range(0, len(c), SLICE):
                self._into_chunks(c.take(slice(start, start + SLICE)))
        else:
            for start in range(0, len(c), SLICE):
                self._into_log(c.take(slice(start, start + SLICE)))
        refuse_not_finite(readings)

    def _into_log(self, c: Columns) -> None:
        self._make_room()
        with self._file.writing() as db:
            db.execute(_NEXT, (logrow.pack(c),))
        self._logged += len(c)

    def _into_chunks(self, c: Columns) -> None:
        c = settle(c)
        blobs = encode(c)
        with self._file.writing() as db:
            seq = db.execute(_NEXT, (_MARK,)).lastrowid or 0
            parts.add(db, blobs, seq)
            keep_latest(db, c, seq)

    def _make_room(self) -> None:
        """Where nobody calls `tidy`, or not often enough: a slice goes before each write, more of them where
        writes are larger than slices. So the log stays within bounds."""
        if self._measured and self._logged < self._room:
            return
        while True:
            with self._views.view(segments=False) as view:
                self._logged, self._room = view.rows, room(view.points) * 5 // 4
            self._measured = True
            if self._logged < self._room or not self._compaction.step():
                return
            if self._logged < 2 * self._room:
                return

    def tidy(self, all_of_it: bool = False) -> bool:
        """A bounded piece of upkeep (some 50 ms), to be called between writes. Returns whether there is
        more to do. all_of_it: the log goes into chunks however small it is. Raises Unavailable."""
        return self._compaction.step(all_of_it)

    # ------------------------------------------------------------ reading

    def range(self, point: Point, start: Ms, end: Ms, limit: int = 100_000) -> Series:
        found: list[Columns] = []
        left = limit
        with self._views.view() as view:
            for piece in reads.windows(view, point.id, start, end, newest_first=True):
                found.append(piece.take(slice(max(0, len(piece) - left), None)))
                left -= len(found[-1])
                if left <= 0:
                    break
            c = join(found[::-1])
            values, texts = self._words.apart(view.db, c)
        return Series(point.id, c.at, values, c.quality, c.late(), texts)

    def ranges(self, spans: Sequence[tuple[Point, Ms, Ms]], limit: int = 100_000) -> Sequence[Series]:
        """See `interfaces.ManyAtOnce`."""
        with self._views.view() as view:
            return many.ranges(
                view, [(point.id, start, end) for point, start, end in spans], limit, self._words
            )

    def buckets(
        self, point: Point, start: Ms, end: Ms, width: Ms
    ) -> Sequence[tuple[Ms, float, float, float, float]]:
        with self._views.view() as view:
            pieces = reads.windows(view, point.id, start, end)
            return reads.buckets((self._words.plain(view.db, c) for c in pieces), start, width)

    def at(self, points: Sequence[Point], moment: Ms, back: Ms) -> Mapping[int, Reading]:
        ids = [point.id for point in points]
        with self._views.view(latest=ids) as view:
            found = {p: r for p, r in view.latest.items() if moment - back <= r.at <= moment}
            older = [p for p, r in view.latest.items() if r.at > moment]
            if older:
                found |= reads.newest(view, older, moment, moment - back)
            return self._words.spelled(view.db, found)

    def latest(self, points: Sequence[Point]) -> Mapping[int, Reading]:
        with self._views.view(latest=[point.id for point in points], segments=False) as view:
            return self._words.spelled(view.db, view.latest)

    def close(self) -> None:
        self._file.close()
