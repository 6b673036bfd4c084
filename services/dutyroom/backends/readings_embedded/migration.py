"""A new file, or one of the older layout brought up to date.

Layout 1 had a table with a row a reading. Its rows go into chunks some hundred thousand a transaction, each
of which takes them away there: broken off at any moment, the next start goes on. They count as older than
all that is written from now on.
"""

from __future__ import annotations

import sqlite3

import numpy as np
import structlog

from dutyroom.backends.readings_embedded import parts
from dutyroom.backends.readings_embedded.columns import GROUP, GROUP_BITS, Columns, join, settle
from dutyroom.backends.readings_embedded.encoding import encode
from dutyroom.backends.readings_embedded.file import (
    OLDER,
    PAGE,
    SCHEMA,
    SCHEMA_4,
    SCHEMA_VERSION,
    StoreFile,
    has_table,
)
from dutyroom.backends.readings_embedded.latest import keep_latest
from dutyroom.errors import Unavailable
from dutyroom.timebase import DAY

log = structlog.get_logger(__name__)

_ROWS = 1 << 17  # a transaction
_DAYS = 31  # of a group at once: a chunk's points should lie together
_BEFORE_ALL = 0  # number of a write

_Row = tuple[int, int, float, int]


def bring_up_to_date(file: StoreFile) -> None:
    """Raises Unavailable; what was done until then stays done."""
    if file.version < SCHEMA_VERSION:
        with file.writing() as db:
            if not has_table(db, "state"):  # another process may have been quicker
                _create(db, SCHEMA)
            _create(db, SCHEMA_4)
            db.execute(f"PRAGMA user_version={SCHEMA_VERSION}")
    if has_table(file.writer, OLDER):
        log.info("readings.migrating", file=str(file.path))
        while _some(file):
            pass
        _give_back(file)
        log.info("readings.migrated", file=str(file.path))


def _create(db: sqlite3.Connection, schema: str) -> None:
    for statement in schema.split(";"):
        if statement.strip():
            db.execute(statement)


def _some(file: StoreFile) -> bool:
    """One transaction; whether there is more."""
    with file.writing() as db:
        if not has_table(db, OLDER):
            return False
        taken: list[Columns] = []
        while sum(map(len, taken)) < _ROWS and (c := _take_some(db)) is not None:
            taken.append(c)
        if not taken:
            db.execute("DROP TABLE reading")
            return False
        c = settle(join(taken))
        parts.add(db, encode(c), _BEFORE_ALL)
        keep_latest(db, c, _BEFORE_ALL)
        return True


def _take_some(db: sqlite3.Connection) -> Columns | None:
    """Takes the first month of the first group out of the table, or a part of it. None = is empty."""
    first = db.execute("SELECT min(point) FROM reading").fetchone()[0]
    if first is None:
        return None
    group = first >> GROUP_BITS << GROUP_BITS
    begins = {p: begin for p in range(group, group + GROUP) if (begin := _begins(db, p)) is not None}
    rows: list[_Row] = []
    for point in begins:
        some = _rows(db, point, min(begins.values()) + _DAYS * DAY)
        rows += some
        if some:
            db.execute("DELETE FROM reading WHERE point = ? AND at <= ?", (point, some[-1][1]))
        if len(rows) >= _ROWS:
            break
    numbers, at, value, quality = zip(*rows, strict=True)
    return Columns(
        np.array(numbers, np.int32),
        np.array(at, np.int64),
        np.array(value, np.float64),
        np.array(quality, np.uint8),
    )


def _begins(db: sqlite3.Connection, point: int) -> int | None:
    found: int | None = db.execute("SELECT min(at) FROM reading WHERE point = ?", (point,)).fetchone()[0]
    return found


def _rows(db: sqlite3.Connection, point: int, end: int) -> list[_Row]:
    return db.execute(
        "SELECT point, at, value, quality FROM reading WHERE point = ? AND at < ? ORDER BY at LIMIT ?",
        (point, end, _ROWS),
    ).fetchall()


def _give_back(file: StoreFile) -> None:
    """The room that the rows took, and the pages of their size; where the disk has no room for the copy,
    or another process is reading, the file only stays larger."""
    try:
        file.writer.execute("PRAGMA journal_mode=DELETE")
        file.writer.execute(f"PRAGMA page_size={PAGE}")
        file.writer.execute("VACUUM")
    except sqlite3.Error as err:
        log.warning("readings.not_shrunk", file=str(file.path), reason=str(err))
    try:
        file.writer.execute("PRAGMA journal_mode=WAL")
    except sqlite3.Error as err:
        raise Unavailable(f"readings {file.path}: {err}") from err
