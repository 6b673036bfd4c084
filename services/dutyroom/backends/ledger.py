"""The ledger's messages and readings: committed batches in, counts by receive hour and device out.

What a batch adds follows from the batch, so it is counted in memory and written now and then, with the
sequence up to which the tables are true; after a crash what follows is counted again from the journal.
Only what is not in the batches (messages read again, what a reader stored) is written at once.

A write adds rows to the table, or where it has many devices of an hour a block: see `ledger_blocks`.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from dutyroom.backends import ledger_blocks as blocks
from dutyroom.backends.ledger_blocks import Names, Sums, add_up, together
from dutyroom.interfaces import LedgerRow, Tally
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
MOST = 500_000  # messages that wait for it, of 16 bytes each

Counts = dict[tuple[Ms, str], list[int]]  # by receive hour and device, in the order of COLUMNS

COLUMNS = (
    "received", "decoded", "ignored", "quarantined",
    "readings", "stored", "duplicate", "conflict", "refused",
    "gaps",
)  # fmt: skip
_PLACE = {Outcome.DECODED: 1, Outcome.IGNORED: 2, Outcome.QUARANTINED: 3}
_READINGS = 4
_SET = ", ".join(f"{c} = {c} + excluded.{c}" for c in COLUMNS)
_INSERT = (
    f"INSERT INTO ledger (hour, device, {', '.join(COLUMNS)}) "  # noqa: S608 fixed names
    f"VALUES (?,?{',?' * len(COLUMNS)}) "
    f"ON CONFLICT (hour, device) DO UPDATE SET {_SET}"
)


@dataclass(slots=True)
class Counted:
    """What batches add that the tables do not know yet. rows: of few messages; parts: of many, by receive hour
    columns of the device's number and the readings of each message."""

    names: Names = field(default_factory=Names)
    rows: Counts = field(default_factory=dict)
    parts: dict[Ms, list[tuple[Longs, Longs]]] = field(default_factory=dict)
    messages: int = 0

    def copy(self) -> Counted:
        """As it is now; the names go on growing."""
        rows = {key: list(row) for key, row in self.rows.items()}
        return Counted(
            self.names, rows, {hour: list(some) for hour, some in self.parts.items()}, self.messages
        )

    def sums(self) -> dict[Ms, Sums]:
        """By hour."""
        found = by_hour(self.rows, self.names)
        for hour, some in self.parts.items():
            devices = np.concatenate([device for device, _ in some])
            ones, readings = np.ones(len(devices), np.int64), np.concatenate([many for _, many in some])
            added = add_up(devices, {0: ones, 1: ones, _READINGS: readings})
            found[hour] = together([found[hour], added]) if hour in found else added
        return found


def by_hour(counts: Counts, names: Names) -> dict[Ms, Sums]:
    """The same as columns."""
    rows: dict[Ms, list[tuple[int, list[int]]]] = {}
    for (hour, device), row in counts.items():
        rows.setdefault(hour, []).append((names[device], row))
    found = {}
    for hour, some in rows.items():
        matrix = np.array([row for _, row in some], np.int64)
        found[hour] = add_up(
            np.array([n for n, _ in some], np.int64), {c: matrix[:, c] for c in range(len(COLUMNS))}
        )
    return found


def count(batch: Batch, into: Counted) -> None:
    """Adds a batch: messages by outcome, readings under their message's device.

    A message that is read again was counted when it came, as quarantined and of no device, or of the one that said
    nothing which could be read.
    """
    numbers = np.bincount(batch.readings.message, minlength=len(batch.messages))
    odd = len(batch.messages) - batch.ordinary
    into.messages += len(batch.messages)
    if batch.ordinary:
        _ordinary(batch, odd, numbers[odd:], into)
    for record, number in zip(batch.odd, numbers[:odd].tolist(), strict=True):
        hour = record.message.received_at // HOUR * HOUR
        row = into.rows.setdefault((hour, record.device), [0] * len(COLUMNS))
        row[_READINGS] += number
        if record.part:
            continue
        if record.row:
            waited = into.rows.setdefault((hour, record.waited), [0] * len(COLUMNS))
            waited[0] -= 1
            waited[_PLACE[Outcome.QUARANTINED]] -= 1
        row[0] += 1
        row[_PLACE[record.outcome]] += 1


def _ordinary(batch: Batch, first: int, numbers: Longs, into: Counted) -> None:
    """The same of messages that were decoded just now. numbers: of readings, by message."""
    devices = into.names.senders(batch, first)
    hours = batch.times()[first:] // HOUR
    low, high = int(hours.min()), int(hours.max())
    for hour in (low,) if low == high else sorted(set(hours.tolist())):
        mine = slice(None) if low == high else hours == hour
        into.parts.setdefault(hour * HOUR, []).append((devices[mine], numbers[mine]))


def shift(counts: Counts, at: Ms, before: Outcome, after: Outcome, device: str = "") -> None:
    """A message has another outcome than it was counted with. device: that it was counted under, "" = of no known one."""
    row = counts.setdefault((at // HOUR * HOUR, device), [0] * len(COLUMNS))
    row[_PLACE[before]] -= 1
    row[_PLACE[after]] += 1


def outcomes_of(found: Mapping[tuple[Ms, str, str], int]) -> Counts:
    """What a reader counted, by (hour, device, column)."""
    counts: Counts = {}
    for (hour, device, column), number in found.items():
        counts.setdefault((hour, device), [0] * len(COLUMNS))[COLUMNS.index(column)] += number
    return counts


def write(db: sqlite3.Connection, found: Mapping[Ms, Sums], names: Names) -> None:
    """Adds counts by hour, in the transaction at hand."""
    for hour, sums in found.items():
        if len(sums) >= blocks.FEW:
            names.save(db)
            blocks.write(db, blocks.LEDGER, hour, sums)
        else:
            lines = zip(sums.device.tolist(), sums.matrix(len(COLUMNS)).tolist(), strict=True)
            db.executemany(_INSERT, [(hour, names.listed[n], *row) for n, row in lines if any(row)])


def keep(db: sqlite3.Connection, kept: Tally, names: Names) -> None:
    for hour, sums in tallied(kept, 0, names).items():
        if len(sums) >= blocks.FEW:
            names.save(db)
            blocks.write(db, blocks.KEPT, hour, sums)
        else:
            db.executemany(
                "INSERT INTO kept (hour, device, count) VALUES (?,?,?) "
                "ON CONFLICT (hour, device) DO UPDATE SET count = count + excluded.count",
                [(hour, names.listed[n], many) for n, many in _pairs(sums)],
            )


def _pairs(sums: Sums) -> Iterator[tuple[int, int]]:
    """Device and count, where only the first column is used."""
    return zip(sums.device.tolist(), sums.matrix(1)[:, 0].tolist(), strict=True)


def tallied(tally: Tally, column: int, names: Names) -> dict[Ms, Sums]:
    """By hour."""
    devices, found = names.of(tally.devices), {}
    for hour in np.unique(tally.hours).tolist():
        mine = tally.hours == hour
        found[hour] = add_up(devices[mine], {column: tally.counts[mine]})
    return found


STORED = COLUMNS.index("stored")


def kept(
    db: sqlite3.Connection, days: Sequence[Ms], device: str | None, names: Names
) -> dict[tuple[Ms, str], int]:
    """By start of the day and device. days: rising."""
    found: dict[tuple[Ms, str], int] = {}
    which = "" if device is None else "AND device = ?"
    for start, end in zip(days, (*days[1:], 1 << 62), strict=True):
        rows = db.execute(
            f"SELECT device, sum(count) FROM kept WHERE hour >= ? AND hour < ? {which} GROUP BY device",  # noqa: S608
            (start, end, *(() if device is None else (device,))),
        )
        found.update({(start, name): many for name, many in rows})
        sums = together([some for _, some in blocks.read(db, blocks.KEPT, start, end)])
        if device is not None:
            sums = sums.only(names.get(device, -1))
        for number, many in _pairs(sums):
            key = (start, names.listed[number])
            found[key] = found.get(key, 0) + many
    return found


def forget(db: sqlite3.Connection, now: Ms) -> None:
    """Rows that are older than anybody asks for."""
    db.execute("DELETE FROM ledger WHERE hour < ?", (now - DAYS * DAY,))
    db.execute("DELETE FROM kept WHERE hour < ?", (now - KEPT_DAYS * DAY,))
    for kind, days in ((blocks.LEDGER, DAYS), (blocks.KEPT, KEPT_DAYS)):
        db.execute("DELETE FROM ledger_block WHERE kind = ? AND hour < ?", (kind, now - days * DAY))


def counted_until(db: sqlite3.Connection) -> int:
    return int(db.execute("SELECT seq FROM counted").fetchone()[0])


def mark(db: sqlite3.Connection, seq: int) -> None:
    db.execute("UPDATE counted SET seq = ?", (seq,))


def first_hours(db: sqlite3.Connection) -> tuple[Ms | None, Ms | None]:
    """The oldest of the ledger, and of what was kept."""
    found = []
    for table, kind in (("ledger", blocks.LEDGER), ("kept", blocks.KEPT)):
        query = f"SELECT (SELECT min(hour) FROM {table}), (SELECT min(hour) FROM ledger_block WHERE kind = ?)"  # noqa: S608
        found.append(
            min((hour for hour in db.execute(query, (kind,)).fetchone() if hour is not None), default=None)
        )
    return found[0], found[1]


def hours(db: sqlite3.Connection, since: Ms, until: Ms, counted: Counted) -> Iterator[tuple[Ms, Sums]]:
    """What blocks have, and what is in no table yet; an hour may come twice. Rows of the table are not in it."""
    yield from blocks.read(db, blocks.LEDGER, since, until)
    for hour, sums in counted.sums().items():
        if since <= hour < until:
            yield hour, sums


def rows(db: sqlite3.Connection, since: Ms, counted: Counted) -> list[LedgerRow]:
    """The newest first, with what is not in the table yet."""
    found: dict[tuple[Ms, str], list[int]] = {
        (row[0], row[1]): list(row[2:])
        for row in db.execute(
            f"SELECT hour, device, {', '.join(COLUMNS)} FROM ledger WHERE hour>=?",  # noqa: S608
            (since,),
        )
    }
    listed = counted.names.listed
    for hour, sums in hours(db, since, 1 << 62, counted):
        for number, added in zip(sums.device.tolist(), sums.matrix(len(COLUMNS)).tolist(), strict=True):
            key = (hour, listed[number])
            old = found.get(key)
            found[key] = added if old is None else [a + b for a, b in zip(old, added, strict=True)]
    ordered = sorted(found.items(), key=lambda item: (-item[0][0], item[0][1]))
    return [LedgerRow(hour, device, *counts) for (hour, device), counts in ordered]
