"""Readings in one SQLite file: no server, one writer, readers that never wait for it.

Rows `(point, at)` are the primary key of a table without row ids, so a point's readings lie
together; commits are sorted by that key, which is what makes them fast. Writing the same rows again
changes nothing.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from dutyroom.backends.memory import refuse_not_finite
from dutyroom.errors import Rejected, Unavailable
from dutyroom.model.telemetry import Point, PointTable, Reading, Readings, Series
from dutyroom.timebase import Ms

SCHEMA_VERSION = 1
_SLICE = 25_000  # rows a commit: some 0.1 s
_SCHEMA = """
CREATE TABLE reading (
  point INTEGER NOT NULL, at INTEGER NOT NULL, value REAL NOT NULL, quality INTEGER NOT NULL,
  PRIMARY KEY (point, at)) WITHOUT ROWID;
"""
_UPSERT = (
    "INSERT INTO reading (point, at, value, quality) VALUES (?,?,?,?) "
    "ON CONFLICT (point, at) DO UPDATE SET value = excluded.value, quality = excluded.quality"
)


class EmbeddedReadingStore:
    """See `interfaces.ReadingStore`. `path` is created with its folder, unless it is only read: then it
    must be there, made by the process that writes it (else Unavailable), and is left as it is."""

    def __init__(self, path: Path, read_only: bool = False) -> None:
        self._path, self._read_only = path, read_only
        self._turn = threading.Lock()
        self._lock = threading.Lock()
        self._local = threading.local()
        self._opened: list[sqlite3.Connection] = []
        self._writer = self._connect()
        self._prepare()

    def _connect(self) -> sqlite3.Connection:
        if self._read_only:
            return self._connect_to_read()
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            connection = sqlite3.connect(
                self._path, timeout=10, isolation_level=None, check_same_thread=False
            )
            connection.execute("PRAGMA busy_timeout=10000")
            connection.execute("PRAGMA journal_mode=WAL")
            # The journal's cursor passes what is written here: a power cut must not take it away.
            connection.execute("PRAGMA synchronous=FULL")
            connection.execute("PRAGMA wal_autocheckpoint=16384")
        except (sqlite3.Error, OSError) as err:
            raise Unavailable(f"readings {self._path}: {err}") from err
        self._opened.append(connection)
        return connection

    def _connect_to_read(self) -> sqlite3.Connection:
        try:
            connection = sqlite3.connect(
                f"{self._path.absolute().as_uri()}?mode=ro",
                uri=True,
                timeout=10,
                isolation_level=None,
                check_same_thread=False,
            )
        except sqlite3.Error as err:
            raise Unavailable(f"readings {self._path}: {err}") from err
        self._opened.append(connection)
        return connection

    def _prepare(self) -> None:
        try:
            version = self._writer.execute("PRAGMA user_version").fetchone()[0]
        except sqlite3.Error as err:
            raise Unavailable(f"readings {self._path}: {err}") from err
        if version > SCHEMA_VERSION:
            raise Rejected(
                f"readings {self._path} were written by a newer version ({version} > {SCHEMA_VERSION})"
            )
        if self._read_only:
            if version < SCHEMA_VERSION:
                raise Unavailable(f"readings {self._path}: the process that writes them has not begun yet")
        elif version == 0:
            self._writer.executescript(f"BEGIN;{_SCHEMA}PRAGMA user_version={SCHEMA_VERSION};COMMIT;")

    def write(self, readings: Readings, table: PointTable) -> None:
        """Large blocks are committed in slices, so that a writer beside an import never waits long."""
        order = np.lexsort((readings.at, readings.point))
        finite = np.isfinite(readings.value)
        order = order[finite[order]]
        for start in range(0, len(order), _SLICE):
            rows = order[start : start + _SLICE]
            columns = (readings.point, readings.at, readings.value, readings.quality)
            with self._writing():
                self._commit(zip(*(column[rows].tolist() for column in columns), strict=True))
        refuse_not_finite(readings)

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """In turn: who waits comes next, before who has just been there."""
        with self._turn:
            self._lock.acquire()
        try:
            yield
        finally:
            self._lock.release()

    def _commit(self, rows: Iterable[tuple[int, Ms, float, int]]) -> None:
        try:
            self._writer.execute("BEGIN IMMEDIATE")
            self._writer.executemany(_UPSERT, rows)
            self._writer.execute("COMMIT")
        except sqlite3.Error as err:
            if self._writer.in_transaction:
                self._writer.execute("ROLLBACK")
            raise Unavailable(f"readings {self._path}: {err}") from err

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        connection: sqlite3.Connection | None = getattr(self._local, "connection", None)
        if connection is None:
            connection = self._local.connection = self._connect()
        try:
            yield connection
        except sqlite3.Error as err:
            raise Unavailable(f"readings {self._path}: {err}") from err

    def range(self, point: Point, start: Ms, end: Ms, limit: int = 100_000) -> Series:
        with self._reading() as db:
            rows = db.execute(
                "SELECT at, value, quality FROM reading WHERE point=? AND at>=? AND at<? ORDER BY at DESC LIMIT ?",
                (point.id, start, end, limit),
            ).fetchall()
        at, value, quality = zip(*reversed(rows), strict=True) if rows else ((), (), ())
        return Series(
            point.id, np.array(at, np.int64), np.array(value, np.float64), np.array(quality, np.uint8)
        )

    def buckets(
        self, point: Point, start: Ms, end: Ms, width: Ms
    ) -> Sequence[tuple[Ms, float, float, float, float]]:
        # SQLite gives a bare column the row of max(at) when the only aggregate of that kind is max:
        # here there are more, so the last value comes by a join.
        with self._reading() as db:
            rows = db.execute(
                "SELECT b.bucket, b.low, b.mean, b.high, r.value FROM ("
                "  SELECT (at - ?2) / ?4 AS bucket, min(value) AS low, avg(value) AS mean, max(value) AS high,"
                "         max(at) AS newest FROM reading WHERE point=?1 AND at>=?2 AND at<?3 GROUP BY bucket"
                ") AS b JOIN reading AS r ON r.point=?1 AND r.at=b.newest ORDER BY b.bucket",
                (point.id, start, end, width),
            ).fetchall()
        return [(start + bucket * width, low, mean, high, last) for bucket, low, mean, high, last in rows]

    def at(self, points: Sequence[Point], moment: Ms, back: Ms) -> Mapping[int, Reading]:
        return self._newest(points, moment, moment - back)

    def latest(self, points: Sequence[Point]) -> Mapping[int, Reading]:
        return self._newest(points, 2**62, -(2**62))

    def _newest(self, points: Sequence[Point], until: Ms, since: Ms) -> dict[int, Reading]:
        """One seek in the key per point."""
        found: dict[int, Reading] = {}
        with self._reading() as db:
            for point in points:
                row = db.execute(
                    "SELECT at, value, quality FROM reading WHERE point=? AND at<=? AND at>=? ORDER BY at DESC LIMIT 1",
                    (point.id, until, since),
                ).fetchone()
                if row is not None:
                    found[point.id] = Reading(point.id, *row)
        return found

    def close(self) -> None:
        with self._lock:
            for connection in self._opened:
                connection.close()
            self._opened.clear()
