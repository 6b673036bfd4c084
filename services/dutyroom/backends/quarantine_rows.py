"""What is asked of the quarantine of a journal: rows for pages, for what reads them again, and who sends what nobody
reads. Nothing here changes it; every function runs on one of the journal's readers."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Sequence
from typing import Any

import msgspec

from dutyroom.backends import pushed_out
from dutyroom.backends.waiting import UNKNOWN
from dutyroom.interfaces import QuarantineRow, StrangerRow

_ROW = "id, received_at, topic, payload, reason, detail, state, retained, part, addresses, device"
_BEFORE = 3  # messages before the newest, where that one is damaged
_STRANGE = (UNKNOWN, "unknown_topic", "no_layout")


def row_of(columns: Sequence[Any]) -> QuarantineRow:
    """A row of `_ROW`."""
    number, at, topic, payload, reason, detail, state, retained, part, addresses, device = columns
    names = tuple(msgspec.json.decode(addresses, type=list[str]))
    marks = bool(retained), bool(part)
    return QuarantineRow(number, at, topic, payload, reason, detail, state, *marks, names, device)


def _columns(db: sqlite3.Connection) -> str:
    """Of `row_of`. During an upgrade pages may look into a file before the process that writes it has brought it up
    to date."""
    there = db.execute("SELECT 1 FROM pragma_table_info('quarantine') WHERE name='device'").fetchone()
    return _ROW if there else _ROW.removesuffix("device") + "''"


def listed(db: sqlite3.Connection, state: str, limit: int) -> list[QuarantineRow]:
    """Newest first."""
    sql = f"SELECT {_columns(db)} FROM quarantine WHERE state=? ORDER BY id DESC LIMIT ?"  # noqa: S608
    return [row_of(row) for row in db.execute(sql, (state, limit))]


def after(
    db: sqlite3.Connection, number: int, limit: int, reasons: Collection[str] = ()
) -> list[QuarantineRow]:
    """Open rows with a larger number, oldest first; reasons: only these, () = all."""
    chosen = f"AND reason IN ({','.join('?' * len(reasons))})" if reasons else ""
    sql = f"SELECT {_columns(db)} FROM quarantine WHERE state='open' AND id>? {chosen} ORDER BY id LIMIT ?"  # noqa: S608
    return [row_of(row) for row in db.execute(sql, (number, *reasons, limit))]


def strangers(db: sqlite3.Connection, limit: int) -> list[StrangerRow]:
    """Who sends what nobody reads, each with its newest message; the newest first."""
    marks, columns = ",".join("?" * len(_STRANGE)), _columns(db)
    grouped = db.execute(
        f"SELECT topic, address, count(*), min(received_at), max(received_at), max(id) FROM quarantine "  # noqa: S608
        f"WHERE state='open' AND reason IN ({marks}) GROUP BY topic, address ORDER BY max(id) DESC LIMIT ?",
        (*_STRANGE, limit),
    ).fetchall()
    found = []
    for topic, address, count, first, last, newest in grouped:
        rows = db.execute(
            f"SELECT {columns} FROM quarantine WHERE state='open' AND topic=? AND address=? AND id<=? "  # noqa: S608
            f"AND reason IN ({marks}) ORDER BY id DESC LIMIT ?",
            (topic, address, newest, *_STRANGE, 1 + _BEFORE),
        ).fetchall()
        crowd = db.execute(
            "SELECT count, first_at FROM crowded WHERE topic=? AND address=?", (topic, address)
        ).fetchone()
        more, since = crowd or (0, first)
        kept = count + pushed_out.strangers_kept(db, topic, address)
        if rows:
            last_one, *before = map(row_of, rows)
            times = min(first, since), last
            found.append(StrangerRow(last_one, tuple(before), kept, max(kept, count + more), *times))
    return found
