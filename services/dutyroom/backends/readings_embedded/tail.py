"""What the log has and no chunk yet, held in memory and followed from the file.

Rows are gathered in segments of some tens of thousands, each sorted by point, so that one point's are
found by bisection. A segment ends where compaction ends (`until`) and at a *mark*: an empty entry of the
log that stands for readings which went straight into chunks.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from dutyroom.backends.readings_embedded import logrow
from dutyroom.backends.readings_embedded.columns import GROUP_BITS, Columns, join
from dutyroom.backends.readings_embedded.file import read_state
from dutyroom.backends.readings_embedded.latest import Latest
from dutyroom.model.telemetry import Ints, Longs

SEGMENT = 1 << 16


@dataclass(frozen=True, slots=True)
class Segment:
    """Rows of the writes `first` to `last`, by point and in the order of arrival.

    marked: readings that went into chunks come right after it, so compaction has to stop here.
    """

    first: int
    last: int
    columns: Columns
    marked: bool = False

    def of(self, point: int) -> Columns | None:
        low, high = np.searchsorted(self.columns.point, np.array([point, point + 1], np.int32)).tolist()
        return self.columns.take(slice(low, high)) if high > low else None

    def rows_of_groups(self, low: int) -> tuple[Longs, Longs]:
        """The groups that are not below `low`, rising, and how many rows each has."""
        point = self.columns.point[self.places([low])[0] :]
        group = point >> GROUP_BITS
        starts = np.flatnonzero(np.append(np.ones(min(1, len(group)), np.bool_), group[1:] != group[:-1]))
        return group[starts].astype(np.int64), np.diff(np.append(starts, len(group)))

    def places(self, groups: Sequence[int]) -> Longs:
        """The rows at which these groups begin. groups: rising."""
        return np.searchsorted(self.columns.point, _points(groups))


def _points(groups: Sequence[int]) -> Ints:
    """The first points of groups. Of the column's own kind: for numbers of another one it would be
    converted as a whole."""
    first: Longs = np.array(groups, np.int64) << GROUP_BITS
    return first.clip(-(2**31), 2**31 - 1).astype(np.int32)


class Tail:
    """Not thread-safe; what `segments` gives is never changed afterwards."""

    def __init__(self) -> None:
        self.latest = Latest()
        self.last = 0  # the newest write that has been read
        self.done = 0  # the newest one that is in chunks, with all before it
        self._until = 0  # the newest one of the run of compaction under way
        self._stale = True  # the table of latest values has some that we have not seen
        self._sealed: list[Segment] = []
        self._open: list[tuple[int, Columns]] = []
        self._open_rows = 0
        self._joined: Segment | None = None

    def __len__(self) -> int:
        return self._open_rows + sum(len(s.columns) for s in self._sealed)

    @property
    def entries(self) -> int:
        """Of the log."""
        return self.last - self.done

    def follow(self, db: sqlite3.Connection) -> None:
        """Reads what was written since, inside a read transaction; forgets what is in chunks by now."""
        state = read_state(db)
        self._until = state.until
        self._forget(state.done)
        self._stale |= self.last < state.done
        after = max(self.last, state.done)  # what is in chunks goes from the log a piece at a time
        for seq, data in db.execute("SELECT seq, data FROM log WHERE seq > ? ORDER BY seq", (after,)):
            if data:
                self._add(seq, logrow.unpack(data))
            else:
                self.seal(marked=True)
                self._stale = True
            self.last = seq
            if seq == state.until or self._open_rows >= SEGMENT:
                self.seal()
        self.last = max(self.last, state.done)
        if self._stale:
            self.latest.load(db)
            self._stale = False

    def _add(self, seq: int, c: Columns) -> None:
        self.latest.update(c, seq)
        self._open.append((seq, c))
        self._open_rows += len(c)
        self._joined = None

    def _forget(self, done: int) -> None:
        self.done = done
        if self._sealed and self._sealed[0].first <= done:
            self._sealed = [s for s in self._sealed if s.last > done]
        if self._open and self._open[0][0] <= done:
            self._open = [(seq, c) for seq, c in self._open if seq > done]
            self._open_rows = sum(len(c) for _, c in self._open)
            self._joined = None

    def seal(self, marked: bool = False) -> None:
        """What comes from now on begins a new segment."""
        segment = self._now_open()
        if segment is not None:
            self._sealed.append(Segment(segment.first, segment.last, segment.columns, marked))
            self._open, self._open_rows, self._joined = [], 0, None
        elif marked and self._sealed:
            last = self._sealed[-1]
            self._sealed[-1] = Segment(last.first, last.last, last.columns, True)

    def align(self, db: sqlite3.Connection) -> None:
        """A segment ends where the run of compaction under way does; if there is none, one ends here."""
        if self._until <= self.done:
            self.seal()
        elif any(s.first <= self._until < s.last for s in self.segments()):
            # Another process began the run, at a place where we had read on.
            self._sealed, self._open, self._open_rows, self._joined = [], [], 0, None
            self.last = self.done
            self.follow(db)

    def _now_open(self) -> Segment | None:
        if self._open and self._joined is None:
            columns = _by_point(join([c for _, c in self._open]))
            self._joined = Segment(self._open[0][0], self._open[-1][0], columns)
        return self._joined

    def segments(self) -> tuple[Segment, ...]:
        """Oldest first."""
        last = self._now_open()
        return (*self._sealed, last) if last is not None else tuple(self._sealed)


def _by_point(c: Columns) -> Columns:
    low, bits = int(c.point.min()), (len(c) - 1).bit_length()
    keys = (c.point.astype(np.int64) - low) << bits
    keys |= np.arange(len(c))
    keys.sort()
    return c.take(keys & ((1 << bits) - 1))
