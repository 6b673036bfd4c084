"""One picture of log and chunks for a reader: they are read in one transaction."""

from __future__ import annotations

import sqlite3
import struct
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from dutyroom.backends.readings_embedded.file import StoreFile
from dutyroom.backends.readings_embedded.tail import Segment, Tail
from dutyroom.errors import Unavailable
from dutyroom.model.telemetry import Reading


@dataclass(frozen=True, slots=True)
class View:
    """segments: what the log has, oldest first. latest: of the points asked for. rows, entries: of the log;
    points: how many have a reading, about."""

    db: sqlite3.Connection
    segments: tuple[Segment, ...]
    latest: Mapping[int, Reading]
    rows: int
    entries: int
    points: int


class Views:
    """The log in memory, followed whenever somebody looks; one for all threads."""

    def __init__(self, file: StoreFile) -> None:
        self._file = file
        self._lock = threading.Lock()
        self._tail = Tail()

    @contextmanager
    def view(self, latest: Sequence[int] = (), segments: bool = True, align: bool = False) -> Iterator[View]:
        """Raises Unavailable. latest: points whose newest reading is wanted; segments: whether the log's rows
        are (the last of them are sorted for it); align: a
        segment ends where compaction does, or begins."""
        try:
            with self._file.reading() as db:
                yield self._look(db, latest, segments, align)
        except (ValueError, IndexError, struct.error) as err:
            raise Unavailable(f"readings {self._file.path}: are damaged: {err}") from err

    def _look(self, db: sqlite3.Connection, latest: Sequence[int], segments: bool, align: bool) -> View:
        # The transaction takes its picture at its first read. Under the lock no one else's can be newer
        # than ours while the log in memory is older, or the other way round.
        with self._lock:
            tail = self._tail
            tail.follow(db)
            if align:
                tail.align(db)
            rows = tail.segments() if segments else ()
            newest = tail.latest.of(latest)
            return View(db, rows, newest, len(tail), tail.entries, tail.latest.room)
