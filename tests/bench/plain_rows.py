"""Readings as plain SQLite rows, for comparison: as one writes them first, and as well as rows can be written."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from dutyroom.model.telemetry import Readings

Row = tuple[int, float, int]


class FirstRows:
    """A table with a unique key, INSERT OR REPLACE, a commit each 1,000 rows."""

    def __init__(self, path: Path) -> None:
        self.db = sqlite3.connect(path)
        self.db.execute("PRAGMA journal_mode=WAL")
        self.db.execute(
            "CREATE TABLE reading (point INTEGER, at INTEGER, value REAL, quality INTEGER, UNIQUE (point, at))"
        )

    def write(self, r: Readings) -> None:
        for start in range(0, len(r), 1_000):
            part = slice(start, start + 1_000)
            columns = (r.point, r.at, r.value, r.quality)
            rows = zip(*(c[part].tolist() for c in columns), strict=True)
            with self.db:
                self.db.executemany("INSERT OR REPLACE INTO reading VALUES (?,?,?,?)", rows)

    def close(self) -> None:
        self.db.close()


class SortedRows:
    """The key is the table, rows are sorted by it, a commit a write (full sync, as in the store)."""

    def __init__(self, path: Path) -> None:
        self.db = sqlite3.connect(path, isolation_level=None)
        for setting in ("journal_mode=WAL", "synchronous=FULL", "wal_autocheckpoint=16384"):
            self.db.execute(f"PRAGMA {setting}")
        self.db.execute(
            "CREATE TABLE reading (point INTEGER NOT NULL, at INTEGER NOT NULL, value REAL NOT NULL, "
            "quality INTEGER NOT NULL, PRIMARY KEY (point, at)) WITHOUT ROWID"
        )

    def write(self, r: Readings) -> None:
        order = np.lexsort((r.at, r.point))
        columns = (r.point, r.at, r.value, r.quality)
        self.db.execute("BEGIN IMMEDIATE")
        self.db.executemany(
            "INSERT INTO reading VALUES (?,?,?,?) ON CONFLICT (point, at) DO UPDATE SET "
            "value = excluded.value, quality = excluded.quality",
            zip(*(c[order].tolist() for c in columns), strict=True),
        )
        self.db.execute("COMMIT")

    def newest(self, points: Sequence[int], moment: int, since: int) -> dict[int, Row]:
        found = {}
        for point in points:
            row = self.db.execute(
                "SELECT at, value, quality FROM reading WHERE point=? AND at<=? AND at>=? ORDER BY at DESC LIMIT 1",
                (point, moment, since),
            ).fetchone()
            if row is not None:
                found[point] = row
        return found

    def range(self, point: int, start: int, end: int) -> list[Row]:
        return self.db.execute(
            "SELECT at, value, quality FROM reading WHERE point=? AND at>=? AND at<? ORDER BY at",
            (point, start, end),
        ).fetchall()

    def buckets(self, point: int, start: int, end: int, width: int) -> list[tuple[int, float, float, float]]:
        return self.db.execute(
            "SELECT (at - ?2) / ?4 AS bucket, min(value), avg(value), max(value) FROM reading "
            "WHERE point=?1 AND at>=?2 AND at<?3 GROUP BY bucket",
            (point, start, end, width),
        ).fetchall()

    def close(self) -> None:
        self.db.close()
