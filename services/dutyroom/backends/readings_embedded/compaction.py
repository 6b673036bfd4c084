"""From the log into chunks, and of many parts few: a slice a call, outside the writer's way.

A run takes what the log has at its beginning (up to a mark, if there is one), some groups a slice; a slice
is encoded first and committed then, with where the run has come to. The log's entries go after the last
slice, some megabytes a step. Until then readings are in both, which harms nobody: who reads takes the newest
write. Killed at any moment, the next step goes on after the last slice committed.

When a run is through, days that are over are joined where their readings lie in several parts.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Sequence

import numpy as np

from dutyroom.backends.readings_embedded import parts
from dutyroom.backends.readings_embedded.chunks import Blob
from dutyroom.backends.readings_embedded.columns import (
    Columns,
    a_day,
    join,
    settle,
)
from dutyroom.backends.readings_embedded.decoding import decode, unpack
from dutyroom.backends.readings_embedded.encoding import encode
from dutyroom.backends.readings_embedded.file import State, StoreFile, read_state, write_state
from dutyroom.backends.readings_embedded.latest import keep_latest
from dutyroom.backends.readings_embedded.slices import BEGIN, END, Slices, slices_of
from dutyroom.backends.readings_embedded.tail import Segment
from dutyroom.backends.readings_embedded.view import Views
from dutyroom.errors import Unavailable

SLICE = 1 << 15  # rows a call: some 20 ms
_A_POINT = 64  # rows of a point that the log gathers, on the average
_LEAST, _MOST = 1 << 16, 1_000_000  # rows of the log, of 21 bytes in memory
_FEW = 8  # of a point, even where that is more: the fewer a chunk gets, the more each costs
_ENTRY = 122  # rows of the log for each entry that it may have
_AT_ONCE = 4 << 20  # bytes of the log that are deleted by one step


def room(points: int) -> int:
    """How many rows the log gathers before they go into chunks. The more a point has, the less each costs."""
    return min(max(_A_POINT * points, _LEAST), max(_FEW * points, _MOST))


def entries(rows: int) -> int:
    """How many entries the log may have, where it may have so many rows."""
    return max(rows, _MOST) // _ENTRY


class Compaction:
    """One step at a time, from whichever thread."""

    def __init__(self, file: StoreFile, views: Views) -> None:
        self._file, self._views = file, views
        self._lock = threading.Lock()
        self._closed = 0  # days before this one are over
        self._worth: list[int] = []
        self._look = True  # whether some days may be worth joining
        self._rest = True  # whether the log may have entries that are in chunks
        self._slices: Slices | None = None

    def step(self, all_of_it: bool = False) -> bool:
        """At most a slice. Returns whether there is more to do. all_of_it: begins a run even where the log
        is small. Raises Unavailable: nothing is changed then."""
        with self._lock:
            try:
                return self._forget_step() or self._log_step(all_of_it) or self._join_step()
            except (ValueError, IndexError) as err:
                raise Unavailable(f"readings {self._file.path}: are damaged: {err}") from err

    # ------------------------------------------------------------ log into chunks

    def _log_step(self, all_of_it: bool) -> bool:
        with self._views.view(segments=False) as view:
            state = read_state(view.db)
        if state.until <= state.done:
            most = room(view.points)
            due = view.rows >= most or view.entries >= entries(most)
            if not (due or (all_of_it and view.entries)):
                return False
            state, segments = self._begin()
        else:
            with self._views.view(align=True) as view:
                segments = view.segments
        self._slice(state, segments)
        return True

    def _begin(self) -> tuple[State, Sequence[Segment]]:
        """A run up to the newest write, or to the first mark."""
        with self._views.view(align=True) as view:
            done = read_state(view.db).done
        last = view.segments[-1].last if view.segments else done + view.entries
        until = next((s.last for s in view.segments if s.marked), last)
        return State(done, until, BEGIN), view.segments

    def _slice(self, state: State, all_segments: Sequence[Segment]) -> None:
        segments = [s for s in all_segments if s.last <= state.until]
        if self._slices is None or not self._slices.fit(segments, state.next):
            self._slices = slices_of(segments, state.next, SLICE)
        high, rows = self._slices.rows(segments, state.next)
        c = settle(join(rows))
        if len(c):
            self._closed = a_day(int(np.median(c.at)))
        done = state.until if high == END else state.done
        self._commit(state, State(done, state.until, high), c, encode(c))

    def _commit(self, before: State, after: State, c: Columns, blobs: Sequence[Blob]) -> None:
        with self._file.writing() as db:
            found = read_state(db)
            if found.done != before.done or (found.until > found.done and found != before):
                return  # another process was here
            if len(c):
                parts.add(db, blobs, after.until)
                keep_latest(db, c, after.until)
            write_state(db, after)
        self._look |= after.done == after.until
        self._rest |= after.done == after.until
        if after.done == after.until:
            self._slices = None

    def _forget_step(self) -> bool:
        """Deletes some entries of the log that are in chunks; whether there were any."""
        if not self._rest:
            return False
        with self._file.reading() as db:
            last = _some_entries(db, read_state(db).done)
        if last is None:
            self._rest = False
            return False
        with self._file.writing() as db:
            db.execute("DELETE FROM log WHERE seq <= ?", (last,))
        return True

    # ------------------------------------------------------------ of many parts few

    def _join_step(self) -> bool:
        if self._look:
            self._look = False
            self._worth = self._worth_joining()
        if not self._worth:
            return False
        self._join_some()
        return bool(self._worth)

    def _worth_joining(self) -> list[int]:
        with self._file.writing() as db:
            parts.forget_whole(db, self._closed)
            found = parts.worth_joining(db, self._closed)
        return found[::-1]

    def _join_some(self) -> None:
        """Days until a slice is full."""
        taken: list[tuple[int, list[parts.Part]]] = []
        rows = 0
        with self._file.reading() as db:
            done = read_state(db).done
            while self._worth and rows < SLICE:
                days = self._worth.pop()
                some = _to_join(parts.of_day(db, days), done)
                if some:
                    taken.append((days, some))
                    rows += sum(part.rows for part in some)
        if not taken:
            return
        pieces = [unpack(part.group, part.data) for _, some in taken for part in some]
        joined: dict[int, list[Blob]] = {}
        for blob in encode(settle(decode(pieces))):
            joined.setdefault(parts.days_of(blob.group, blob.day), []).append(blob)
        with self._file.writing() as db:
            for days, some in taken:
                if _still_there(db, some):
                    parts.replace(db, days, some, joined[days], some[-1].seq)


def _some_entries(db: sqlite3.Connection, done: int) -> int | None:
    """Up to which entry some megabytes of the log go that are in chunks."""
    size, last = 0, None
    for seq, length in db.execute(
        "SELECT seq, length(data) FROM log WHERE seq <= ? ORDER BY seq LIMIT 4096", (done,)
    ):
        size, last = size + length, seq
        if size >= _AT_ONCE:
            break
    return last


def _to_join(some: list[parts.Part], done: int) -> list[parts.Part]:
    """Which parts of a day become one, oldest first: all of them, or where that is too much those that
    were never joined. None while writes that are older than some of them are still in the log."""
    if any(part.seq > done for part in some):
        return []
    if sum(part.rows for part in some) > SLICE:
        some = [part for part in some if not part.sealed]
    taken: list[parts.Part] = []
    rows = 0
    for part in some:
        rows += part.rows
        if rows > SLICE and len(taken) > 1:
            break
        taken.append(part)
    return taken if len(taken) > 1 else []


def _still_there(db: sqlite3.Connection, some: Sequence[parts.Part]) -> bool:
    return all(
        db.execute("SELECT 1 FROM chunk WHERE id = ? AND seq = ?", (part.id, part.seq)).fetchone()
        for part in some
    )
