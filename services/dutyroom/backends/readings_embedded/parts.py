"""The table of chunks: where a group's day lies, what is added to it, which parts are worth joining."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

from dutyroom.backends.readings_embedded.chunks import Blob

_PART_BITS = 19
_DAY_BITS = 18
_LAST_DAY = (1 << _DAY_BITS) - 1
_ASKED = 500  # days that are asked for at once
DEEP = 32  # parts of one point on one day that are joined while the day still goes on
_DEEP_LATE = 6  # and where the day is over, however little the new parts have


@dataclass(frozen=True, slots=True)
class Part:
    """A row of the table."""

    id: int
    seq: int
    rows: int
    sealed: bool  # joined already
    data: bytes

    @property
    def group(self) -> int:
        return self.id >> (_PART_BITS + _DAY_BITS)


def days_of(group: int, day: int) -> int:
    """The number of a group's day: of its parts' ids all but the last bits."""
    return group << _DAY_BITS | day


def span(group: int, first_day: int, last_day: int) -> tuple[int, int]:
    """The smallest id of these days, and the one after the largest."""
    return days_of(group, first_day) << _PART_BITS, (days_of(group, last_day) + 1) << _PART_BITS


def day_in(part: int) -> int:
    return (part >> _PART_BITS) & _LAST_DAY


def of_points(
    db: sqlite3.Connection, group: int, first_day: int, last_day: int, mask: int, newest_first: bool = False
) -> Iterator[tuple[int, int, bytes]]:
    """(id, seq, blob) of the parts that have a point of `mask`, by day."""
    order = "DESC" if newest_first else "ASC"
    return iter(
        db.execute(
            f"SELECT id, seq, data FROM chunk WHERE id >= ? AND id < ? AND mask & ? ORDER BY id {order}",  # noqa: S608
            (*span(group, first_day, last_day), mask),
        )
    )


def begin_of_day(part: int) -> int:
    """The smallest id that a part of the same group and day can have."""
    return part >> _PART_BITS << _PART_BITS


def newest_day(
    db: sqlite3.Connection, group: int, first_day: int, end: int, mask: int
) -> list[tuple[int, int, bytes]]:
    """(id, seq, blob) of the parts of the last day that has a point of `mask`, before the id `end`."""
    low = days_of(group, first_day) << _PART_BITS
    found = db.execute(
        "SELECT id FROM chunk WHERE id >= ? AND id < ? AND mask & ? ORDER BY id DESC LIMIT 1",
        (low, end, mask),
    ).fetchone()
    if found is None:
        return []
    last: int = found[0]
    return db.execute(
        "SELECT id, seq, data FROM chunk WHERE id >= ? AND id <= ? AND mask & ?",
        (begin_of_day(last), last, mask),
    ).fetchall()


def add(db: sqlite3.Connection, blobs: Iterable[Blob], seq: int) -> None:
    """Adds parts with readings of the write `seq` or before it."""
    new: list[tuple[int, int, int, int, int, bytes]] = []
    loose: list[tuple[int, ...]] = []
    by_day = [(days_of(*key), list(some)) for key, some in groupby(blobs, key=lambda b: (b.group, b.day))]
    known = _loose(db, [days for days, _ in by_day])
    for days, some in by_day:
        part, depth, mask, rows, whole = known.get(days) or _in_chunks(db, days)
        for blob in some:
            new.append((days << _PART_BITS | part, seq, blob.mask, blob.rows, 0, blob.data))
            part += 1
            depth += bool(mask & blob.mask) or not depth
            mask |= blob.mask
            rows += blob.rows
        loose.append((days, days & _LAST_DAY, part, depth, mask, rows, whole))
    db.executemany("INSERT INTO chunk (id, seq, mask, rows, sealed, data) VALUES (?,?,?,?,?,?)", new)
    db.executemany("INSERT OR REPLACE INTO loose VALUES (?,?,?,?,?,?,?)", loose)


_Known = tuple[int, int, int, int, int]  # (next part, depth, mask, loose rows, joined rows) of a group's day


def _loose(db: sqlite3.Connection, days: Sequence[int]) -> dict[int, _Known]:
    """What is known of those that have something loose."""
    found: dict[int, _Known] = {}
    for start in range(0, len(days), _ASKED):
        some = days[start : start + _ASKED]
        marks = ",".join("?" * len(some))
        query = f"SELECT id, part, depth, mask, rows, whole FROM loose WHERE id IN ({marks})"  # noqa: S608
        found.update((row[0], row[1:]) for row in db.execute(query, some))
    return found


def _in_chunks(db: sqlite3.Connection, days: int) -> _Known:
    ids = (days << _PART_BITS, (days + 1) << _PART_BITS)
    part, mask, whole = 0, 0, 0
    for last, one, rows in db.execute("SELECT id, mask, rows FROM chunk WHERE id >= ? AND id < ?", ids):
        part, mask, whole = last - ids[0] + 1, mask | one, whole + rows
    return part, int(whole > 0), mask, 0, whole


def worth_joining(db: sqlite3.Connection, closed: int) -> list[int]:
    """Ids in `loose`. closed: days before it are over. Forgets days that are one part a point."""
    db_rows = db.execute(
        "SELECT id FROM loose WHERE depth >= ? OR (day < ? AND depth > 1 AND (rows * 4 >= whole OR depth >= ?))"
        " ORDER BY id",
        (DEEP, closed, _DEEP_LATE),
    )
    return [row[0] for row in db_rows]


def forget_whole(db: sqlite3.Connection, closed: int) -> None:
    """Days that are over and have one part for each point are done."""
    db.execute("DELETE FROM loose WHERE day < ? AND depth <= 1", (closed,))


def of_day(db: sqlite3.Connection, days: int) -> list[Part]:
    """All parts of an id in `loose`, oldest write first."""
    rows = db.execute(
        "SELECT id, seq, rows, sealed, data FROM chunk WHERE id >= ? AND id < ? ORDER BY seq, id",
        (days << _PART_BITS, (days + 1) << _PART_BITS),
    )
    return [Part(i, seq, n, bool(sealed), data) for i, seq, n, sealed, data in rows]


def replace(db: sqlite3.Connection, days: int, old: Sequence[Part], new: Sequence[Blob], seq: int) -> None:
    """Puts joined parts in the place of those that they were made of."""
    db.executemany("DELETE FROM chunk WHERE id = ?", [(part.id,) for part in old])
    (last,) = db.execute(
        "SELECT max(id) FROM chunk WHERE id >= ? AND id < ?", (days << _PART_BITS, (days + 1) << _PART_BITS)
    ).fetchone()
    first = (days << _PART_BITS) if last is None else last + 1
    rows = [(first + n, seq, blob.mask, blob.rows, 1, blob.data) for n, blob in enumerate(new)]
    db.executemany("INSERT INTO chunk (id, seq, mask, rows, sealed, data) VALUES (?,?,?,?,?,?)", rows)
    db.execute("DELETE FROM loose WHERE id = ?", (days,))
