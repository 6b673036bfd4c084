"""The ledger's messages and readings: committed batches in, rows by receive hour and device out.

What a batch adds follows from the batch, so it is counted in memory and written now and then, with the
sequence up to which the table is true; after a crash what follows is counted again from the journal.
Only what is not in the batches (messages read again, what a reader stored) is written at once.
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from operator import attrgetter

import numpy as np

from dutyroom.interfaces import LedgerRow
from dutyroom.model.telemetry import Batch, Longs, Outcome
from dutyroom.timebase import DAY, HOUR, Ms

SCHEMA = """
CREATE TABLE ledger (
  hour INTEGER NOT NULL, device TEXT NOT NULL, received INTEGER NOT NULL DEFAULT 0, decoded INTEGER NOT NULL DEFAULT 0,
  ignored INTEGER NOT NULL DEFAULT 0, quarantined INTEGER NOT NULL DEFAULT 0, readings INTEGER NOT NULL DEFAULT 0,
  stored INTEGER NOT NULL DEFAULT 0, duplicate INTEGER NOT NULL DEFAULT 0, conflict INTEGER NOT NULL DEFAULT 0,
  PRIMARY KEY (hour, device)) WITHOUT ROWID;
"""
# Before, every commit wrote its counts.
SCHEMA_COUNTED = """
CREATE TABLE counted (one INTEGER PRIMARY KEY CHECK (one = 1), seq INTEGER NOT NULL);
INSERT INTO counted SELECT 1, coalesce(max(seq), 0) FROM batch;
"""
# What a store refuses for good, and messages that never came.
SCHEMA_REFUSED = """
ALTER TABLE ledger ADD COLUMN refused INTEGER NOT NULL DEFAULT 0;
ALTER TABLE ledger ADD COLUMN gaps INTEGER NOT NULL DEFAULT 0;
"""
# How far devices have counted their messages.
SCHEMA_SEQUENCE = "CREATE TABLE sequence (device TEXT PRIMARY KEY, state BLOB NOT NULL) WITHOUT ROWID;"
# Readings that tell how complete a device is, by hour of their own time.
SCHEMA_KEPT = """
CREATE TABLE kept (
  hour INTEGER NOT NULL, device TEXT NOT NULL, count INTEGER NOT NULL, PRIMARY KEY (hour, device)) WITHOUT ROWID;
"""
DAYS = 400  # that rows stay
KEPT_DAYS = 62
EVERY_S = 5.0  # between two writes of what was counted
MOST = 50_000  # rows that wait for it

Counts = dict[tuple[Ms, str], list[int]]  # by receive hour and device, in the order of COLUMNS

COLUMNS = (
    "received", "decoded", "ignored", "quarantined",
    "readings", "stored", "duplicate", "conflict", "refused",
    "gaps",
)  # fmt: skip
_PLACE = {Outcome.DECODED: 1, Outcome.IGNORED: 2, Outcome.QUARANTINED: 3}
_READINGS = 4
_DEVICE, _RECEIVED = attrgetter("device"), attrgetter("message.received_at")
_SET = ", ".join(f"{c} = {c} + excluded.{c}" for c in COLUMNS)
_INSERT = (
    f"INSERT INTO ledger (hour, device, {', '.join(COLUMNS)}) "  # noqa: S608 fixed names
    f"VALUES (?,?{',?' * len(COLUMNS)}) "
    f"ON CONFLICT (hour, device) DO UPDATE SET {_SET}"
)


def count(batch: Batch, into: Counts) -> None:
    """Adds a batch: messages by outcome, readings under their message's device.

    A message that is read again was counted when it came, as quarantined and of no device.
    """
    numbers = np.bincount(batch.readings.message, minlength=len(batch.messages))
    odd = len(batch.messages) - batch.ordinary
    if batch.ordinary:
        _ordinary(batch, numbers[odd:], odd, into)
    for record, number in zip(batch.messages[:odd], numbers[:odd].tolist(), strict=True):
        hour = record.message.received_at // HOUR * HOUR
        key = (hour, record.device)
        row = into.get(key)
        if row is None:
            row = into[key] = [0] * len(COLUMNS)
        row[_READINGS] += number
        if record.part:
            continue
        if record.row:
            waited = into.setdefault((hour, ""), [0] * len(COLUMNS))
            waited[0] -= 1
            waited[_PLACE[Outcome.QUARANTINED]] -= 1
        row[0] += 1
        row[_PLACE[record.outcome]] += 1


def _ordinary(batch: Batch, numbers: Longs, first: int, into: Counts) -> None:
    """The same of messages that were decoded just now. numbers: of readings, by message."""
    messages = batch.messages[first:]
    devices = list(map(_DEVICE, messages))
    received = np.array(list(map(_RECEIVED, messages)), np.int64) // HOUR
    for hour in np.unique(received).tolist():
        mine = received == hour
        chosen = devices if mine.all() else [d for d, m in zip(devices, mine.tolist(), strict=True) if m]
        of_hour = numbers[mine]
        even = int(of_hour[0]) if (of_hour == of_hour[0]).all() else None
        totals = Counter(chosen)
        if even is None:
            readings: dict[str, int] = {}
            for device, number in zip(chosen, of_hour.tolist(), strict=True):
                readings[device] = readings.get(device, 0) + number
        for device, count in totals.items():
            key = (hour * HOUR, device)
            row = into.get(key)
            if row is None:
                row = into[key] = [0] * len(COLUMNS)
            row[0] += count
            row[1] += count
            row[_READINGS] += count * even if even is not None else readings[device]


def shift(counts: Counts, at: Ms, before: Outcome, after: Outcome) -> None:
    """A message of no known device has another outcome than it was counted with."""
    row = counts.setdefault((at // HOUR * HOUR, ""), [0] * len(COLUMNS))
    row[_PLACE[before]] -= 1
    row[_PLACE[after]] += 1


def outcomes_of(found: Mapping[tuple[Ms, str, str], int]) -> Counts:
    """What a reader counted, by (hour, device, column)."""
    counts: Counts = {}
    for (hour, device, column), number in found.items():
        counts.setdefault((hour, device), [0] * len(COLUMNS))[COLUMNS.index(column)] += number
    return counts


def write(db: sqlite3.Connection, counts: Counts) -> None:
    """Adds to the table, in the transaction at hand."""
    db.executemany(_INSERT, [(*key, *row) for key, row in counts.items() if any(row)])


def keep(db: sqlite3.Connection, kept: Mapping[tuple[Ms, str], int]) -> None:
    db.executemany(
        "INSERT INTO kept (hour, device, count) VALUES (?,?,?) "
        "ON CONFLICT (hour, device) DO UPDATE SET count = count + excluded.count",
        [(*key, many) for key, many in kept.items()],
    )


def kept(db: sqlite3.Connection, days: Sequence[Ms], device: str | None) -> dict[tuple[Ms, str], int]:
    """By start of the day and device. days: rising."""
    found: dict[tuple[Ms, str], int] = {}
    which = "" if device is None else "AND device = ?"
    for start, end in zip(days, (*days[1:], 1 << 62), strict=True):
        rows = db.execute(
            f"SELECT device, sum(count) FROM kept WHERE hour >= ? AND hour < ? {which} GROUP BY device",  # noqa: S608
            (start, end, *(() if device is None else (device,))),
        )
        found.update({(start, name): many for name, many in rows})
    return found


def forget(db: sqlite3.Connection, now: Ms) -> None:
    """Rows that are older than anybody asks for."""
    db.execute("DELETE FROM ledger WHERE hour < ?", (now - DAYS * DAY,))
    db.execute("DELETE FROM kept WHERE hour < ?", (now - KEPT_DAYS * DAY,))


def counted_until(db: sqlite3.Connection) -> int:
    return int(db.execute("SELECT seq FROM counted").fetchone()[0])


def mark(db: sqlite3.Connection, seq: int) -> None:
    db.execute("UPDATE counted SET seq = ?", (seq,))


def rows(db: sqlite3.Connection, since: Ms, more: Counts) -> list[LedgerRow]:
    """The newest first, with what is not in the table yet."""
    found: dict[tuple[Ms, str], list[int]] = {
        (row[0], row[1]): list(row[2:])
        for row in db.execute(
            f"SELECT hour, device, {', '.join(COLUMNS)} FROM ledger WHERE hour>=?",  # noqa: S608
            (since,),
        )
    }
    for key, added in more.items():
        if key[0] >= since:
            old = found.get(key)
            found[key] = added if old is None else [a + b for a, b in zip(old, added, strict=True)]
    listed = sorted(found.items(), key=lambda item: (-item[0][0], item[0][1]))
    return [LedgerRow(hour, device, *counts) for (hour, device), counts in listed]


def total(counts: Iterable[Counts]) -> Counts:
    """The sum of several."""
    found: Counts = {}
    for one in counts:
        for key, row in one.items():
            old = found.get(key)
            found[key] = list(row) if old is None else [a + b for a, b in zip(old, row, strict=True)]
    return found
