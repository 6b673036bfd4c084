"""Questions to the ledger, answered in SQL: sums by device, hour and local day, and what does not balance.

What blocks have, what is counted in memory and what waits for its reader stand beside the table in a temporary
one, summed up as far as is asked for, so that a million rows are cut into pages by SQLite.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Mapping

from dutyroom.backends.batch_bytes import unpack
from dutyroom.backends.ledger import COLUMNS, Counted, hours
from dutyroom.backends.ledger_blocks import Sums, together
from dutyroom.flows.keep import READER
from dutyroom.interfaces import LedgerPage, LedgerQuestion, LedgerSum
from dutyroom.model.telemetry import Batch, Lane
from dutyroom.timebase import HOUR, Ms

MOST_WAITING = 2_000  # batches that are looked into for what waits

_COUNTS = ", ".join(f"{c} INTEGER NOT NULL DEFAULT 0" for c in (*COLUMNS, "waiting"))
_TEMPORARY = (
    f"CREATE TEMP TABLE IF NOT EXISTS more (hour INTEGER, device TEXT, {_COUNTS})",
    f"CREATE TEMP TABLE IF NOT EXISTS found (at INTEGER, device TEXT, {_COUNTS})",
    "CREATE TEMP TABLE IF NOT EXISTS day (start INTEGER PRIMARY KEY)",
)
_ALL = (*COLUMNS, "waiting")
_SUMS = ", ".join(f"coalesce(sum({c}), 0) AS {c}" for c in _ALL)
_WRONG = (
    "WHERE received <> decoded + ignored + quarantined "
    "OR readings <> stored + duplicate + conflict + refused + waiting"
)
_DAY = "(SELECT max(start) FROM temp.day WHERE start <= hour)"
_KEYS = {
    "row": ("hour", "device"),
    "device": ("NULL", "device"),
    "hour": ("hour", "NULL"),
    "day": (_DAY, "NULL"),
}
_ORDER = {"row": "at DESC, device", "device": "device", "hour": "at DESC", "day": "at DESC"}


def answer(db: sqlite3.Connection, question: LedgerQuestion, counted: Counted, last: int) -> LedgerPage:
    """Inside a read transaction. counted: of batches that the table does not know; last: the newest of them."""
    waiting, oldest, exact = _waiting(db, last)
    _fill(db, question, counted, waiting)
    _sum_up(db, question)
    totals = db.execute(f"SELECT NULL, NULL, {_SUMS} FROM temp.found").fetchone()  # noqa: S608 - fixed names
    wrong = _WRONG if question.wrong else ""
    count = db.execute(f"SELECT count(*) FROM temp.found {wrong}").fetchone()[0]  # noqa: S608
    rows = db.execute(
        f"SELECT * FROM temp.found {wrong} ORDER BY {_ORDER[question.by]} LIMIT ? OFFSET ?",  # noqa: S608
        (question.limit, question.offset),
    ).fetchall()
    return LedgerPage(tuple(LedgerSum(*row) for row in rows), count, LedgerSum(*totals), oldest, exact)


def _sum_up(db: sqlite3.Connection, question: LedgerQuestion) -> None:
    """The wanted rows, once through the table. Its own rows are summed by hour first where devices do not matter:
    they lie in that order."""
    where = "hour >= :since AND hour < :until" + ("" if question.device is None else " AND device = :device")
    since, until = _span(question)
    given: dict[str, object] = {"since": since, "until": until, "device": question.device}
    names = ", ".join(COLUMNS)
    stored = f"SELECT hour, device, {names}, 0 AS waiting FROM ledger WHERE {where}"  # noqa: S608 - fixed names
    if question.by in ("hour", "day"):
        stored = f"SELECT hour, NULL, {_SUMS} FROM ({stored}) GROUP BY hour"  # noqa: S608
    at, device = _KEYS[question.by]
    db.execute("DELETE FROM temp.found")
    db.execute(
        f"INSERT INTO temp.found SELECT {at}, {device}, {_SUMS} FROM ("  # noqa: S608
        f"SELECT * FROM ({stored}) UNION ALL "
        f"SELECT hour, device, {names}, waiting FROM temp.more) GROUP BY 1, 2",
        given,
    )


def _span(question: LedgerQuestion) -> tuple[Ms, Ms]:
    return question.since // HOUR * HOUR, 1 << 62 if question.until is None else question.until


def _fill(
    db: sqlite3.Connection,
    question: LedgerQuestion,
    counted: Counted,
    waiting: Mapping[tuple[Ms, str], int],
) -> None:
    for statement in _TEMPORARY:
        db.execute(statement)
    db.execute("DELETE FROM temp.more")
    db.execute("DELETE FROM temp.day")
    marks = ",".join("?" * (2 + len(COLUMNS)))
    names = f"hour, device, {', '.join(COLUMNS)}"
    db.executemany(
        f"INSERT INTO temp.more ({names}) VALUES ({marks})",  # noqa: S608
        _lines(db, question, counted),
    )
    since, until = _span(question)
    db.executemany(
        "INSERT INTO temp.more (hour, device, waiting) VALUES (?,?,?)",
        [
            (hour, device, many)
            for (hour, device), many in waiting.items()
            if since <= hour < until and question.device in (None, device)
        ],
    )
    db.executemany("INSERT INTO temp.day VALUES (?)", [(start,) for start in question.days])


def _lines(
    db: sqlite3.Connection, question: LedgerQuestion, counted: Counted
) -> Iterator[tuple[object, ...]]:
    """What is in no row of the table: hour, device, counts; without what does not matter."""
    found: Iterable[tuple[Ms, Sums]] = hours(db, *_span(question), counted)
    names, wide = counted.names, len(COLUMNS)
    if question.device is not None:
        found = list(found)  # first: it numbers the devices that it meets
        number = names.get(question.device, -1)
        found = ((hour, sums.only(number)) for hour, sums in found)
    if question.by in ("hour", "day"):
        for hour, sums in found:
            if len(sums):
                yield hour, None, *sums.total(wide)
        return
    some = [(None, together([sums for _, sums in found]))] if question.by == "device" else found
    for at, sums in some:
        for number, row in zip(sums.device.tolist(), sums.matrix(wide).tolist(), strict=True):
            yield at, names.listed[number], *row


def _waiting(db: sqlite3.Connection, last: int) -> tuple[dict[tuple[Ms, str], int], Ms | None, bool]:
    """Readings of batches that the store's reader has not passed, by receive hour and device; when the
    oldest of these batches came; and whether all were looked into."""
    found: dict[tuple[Ms, str], int] = {}
    oldest: list[Ms] = []
    left = MOST_WAITING
    for lane in Lane:
        passed = cursor_of(db, READER, lane)
        query = "SELECT received_at, body FROM batch WHERE lane=? AND seq>? AND seq<=? ORDER BY seq LIMIT ?"
        first = True
        for at, body in db.execute(query, (int(lane), passed, last, left + 1)):
            if first:
                oldest.append(at)
                first = False
            left -= 1
            if left < 0:
                return found, min(oldest), False
            for key, many in _readings(unpack(lane, at, body)):
                found[key] = found.get(key, 0) + many
    return found, min(oldest, default=None), True


def _readings(batch: Batch) -> Iterator[tuple[tuple[Ms, str], int]]:
    numbers: dict[int, int] = {}
    for index in batch.readings.message.tolist():
        numbers[index] = numbers.get(index, 0) + 1
    for index, many in numbers.items():
        record = batch.messages[index]
        yield (record.message.received_at // HOUR * HOUR, record.device), many


def cursor_of(db: sqlite3.Connection, reader: str, lane: Lane) -> int:
    row = db.execute("SELECT seq FROM cursor WHERE reader=? AND lane=?", (reader, int(lane))).fetchone()
    return int(row[0]) if row else 0
