"""Messages that newer ones pushed out of the quarantine: where they stand in the journal, to be read again from there.

Some tens of bytes a message, and once a sender whose they are and why they were not read; the oldest are given up when
there are too many, strangers' by themselves, so that they push out none of a device. What the journal no longer has is
counted under its sender. Every function runs inside a commit of the journal, or on one of its readers.
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import groupby
from typing import NamedTuple

import msgspec

from dutyroom.backends.batch_bytes import unpack
from dutyroom.backends.waiting import left_of, whole_of
from dutyroom.errors import Conflict, Rejected
from dutyroom.interfaces import PushedOut, QuarantineRow
from dutyroom.model.telemetry import Lane, MessageRecord
from dutyroom.timebase import Ms

PLACES = 1 << 20  # of the messages of a batch; position = its sequence * PLACES + the place in it
MOST_BYTES = 24 << 20  # of known devices: half a million messages
STRANGERS_BYTES = 2 << 20
_SHARE = 10  # ... of what the quarantine may take, where that is little
_STRANGERS_SHARE = 120
_WEIGHT = 48  # bytes of a row, beside the addresses in it
_AT_ONCE = 10  # a tenth of them makes room
_UNPACKED = 8_192  # messages of batches that are looked into at once

SCHEMA = """
ALTER TABLE quarantine ADD COLUMN place INTEGER NOT NULL DEFAULT -1;
CREATE TABLE pushed_sender (
  id INTEGER PRIMARY KEY, topic TEXT NOT NULL, address TEXT NOT NULL, device TEXT NOT NULL, reason TEXT NOT NULL,
  gone INTEGER NOT NULL DEFAULT 0, first_at INTEGER NOT NULL, last_at INTEGER NOT NULL,
  UNIQUE (topic, address, device, reason));
CREATE TABLE pushed (
  position INTEGER PRIMARY KEY, sender INTEGER NOT NULL, known INTEGER NOT NULL, part INTEGER NOT NULL,
  addresses TEXT NOT NULL);
CREATE INDEX pushed_known ON pushed (known, position);
CREATE INDEX pushed_by ON pushed (sender);
"""


# Of a message strangers may wait and devices of which nothing was read: whichever goes first, it is one.
_INSERT = (
    "INSERT INTO pushed (position, sender, known, part, addresses) VALUES (?,?,?,?,?) ON CONFLICT (position) DO UPDATE "
    "SET addresses = (SELECT json_group_array(value) FROM (SELECT value FROM json_each(pushed.addresses) "
    "UNION SELECT value FROM json_each(excluded.addresses)))"
)


class Gone(NamedTuple):
    """A row that leaves the quarantine, as `COLUMNS` of it."""

    received_at: Ms
    seq: int
    place: int  # in its batch, -1 = of a time when that was not kept
    topic: str
    address: str
    device: str
    reason: str
    part: int
    addresses: str


COLUMNS = ", ".join(Gone._fields)
_Sender = tuple[str, str, str, str]  # topic, address, device, reason


class PushedOuts:
    """What a journal's writer does with them. Knows how much there is; `forget` after a rollback. room: bytes that the
    quarantine may take."""

    def __init__(self, room: int) -> None:
        self._most = (
            min(STRANGERS_BYTES, room // _STRANGERS_SHARE),
            min(MOST_BYTES, room // _SHARE),
        )  # of strangers, of known devices
        self._held: list[int] | None = None  # bytes of either; None = to be counted

    def forget(self) -> None:
        self._held = None

    def put(self, db: sqlite3.Connection, rows: Sequence[Gone]) -> None:
        """Remembers where they are; one whose place is not known is gone."""
        self._remember(db, rows)
        self.bound(db)

    def _remember(self, db: sqlite3.Connection, rows: Sequence[Gone]) -> None:
        by_sender: dict[_Sender, list[Gone]] = {}
        for row in rows:
            by_sender.setdefault((row.topic, row.address, row.device, row.reason), []).append(row)
        for sender, mine in by_sender.items():
            there = [row for row in mine if row.seq > 0 and 0 <= row.place < PLACES]
            times = [row.received_at for row in mine]
            number = _sender(db, sender, len(mine) - len(there), min(times), max(times))
            known = int(bool(sender[2]))
            told = [
                (r.seq * PLACES + r.place, number, known, r.part, r.addresses if r.part else "[]")
                for r in there
            ]
            db.executemany(_INSERT, told)
            self._add(known, sum(_WEIGHT + len(addresses) for *_, addresses in told))

    def bound(self, db: sqlite3.Connection) -> None:
        """The oldest make room."""
        if self._held is None:
            found = dict(
                db.execute(f"SELECT known, sum({_WEIGHT}+length(addresses)) FROM pushed GROUP BY known")  # noqa: S608
            )
            self._held = [found.get(0, 0), found.get(1, 0)]
        for known in (0, 1):
            while self._held[known] > self._most[known]:
                many = db.execute("SELECT count(*) FROM pushed WHERE known=?", (known,)).fetchone()[0]
                gone = db.execute(
                    "DELETE FROM pushed WHERE position IN (SELECT position FROM pushed WHERE known=? ORDER BY position "
                    "LIMIT ?) RETURNING sender, length(addresses)",
                    (known, many // _AT_ONCE + 1),
                ).fetchall()
                if not gone:
                    break
                self._held[known] -= sum(_WEIGHT + size for _, size in gone)
                _count_gone(db, Counter(sender for sender, _ in gone))
                if not known:
                    _together(db)

    def read_again(self, db: sqlite3.Connection, record: MessageRecord) -> None:
        """It is done, or waits for the rest of its devices. Makes no room: the next of the same batch may be among the
        oldest, `bound` is for the end of it. Raises Conflict when it is there no longer."""
        position = -record.row
        gone = db.execute(
            "DELETE FROM pushed WHERE position=? RETURNING known, length(addresses)", (position,)
        ).fetchone()
        if gone is None:
            raise Conflict(f"message {position} that was pushed out has gone meanwhile")
        self._add(gone[0], -_WEIGHT - gone[1])
        if (left := left_of(record)) is not None:
            where = position // PLACES, position % PLACES
            sender = record.message.topic, left.address, left.device, left.reason
            self._remember(db, [Gone(record.message.received_at, *where, *sender, 1, left.addresses)])

    def _add(self, known: int, size: int) -> None:
        if self._held is not None:
            self._held[known] += size

    def restate(self, db: sqlite3.Connection, record: MessageRecord) -> None:
        """It is still not read, but for another reason than before."""
        found = _of(db, -record.row)
        if found is None:
            return
        at, (topic, device), one = record.message.received_at, found, whole_of(record)
        sender = _sender(db, (topic, one.address or device, device, one.reason), 0, at, at)
        db.execute("UPDATE pushed SET sender=? WHERE position=?", (sender, -record.row))

    def trim(self, db: sqlite3.Connection, before: Ms) -> None:
        """Counts what the journal has no longer, and forgets senders of whom nothing is left and who pushed nothing out
        since `before`."""
        oldest = db.execute(
            "SELECT max(first) FROM (SELECT min(seq) AS first FROM batch GROUP BY lane)"
        ).fetchone()[0]
        limit = (1 << 62) if oldest is None else oldest * PLACES
        gone = db.execute(
            f"DELETE FROM pushed WHERE position<? AND NOT EXISTS (SELECT 1 FROM batch WHERE seq=position/{PLACES}) "  # noqa: S608
            "RETURNING sender",
            (limit,),
        ).fetchall()
        _count_gone(db, Counter(sender for (sender,) in gone))
        db.execute(
            "DELETE FROM pushed_sender WHERE (gone=0 OR last_at<?) AND NOT EXISTS (SELECT 1 FROM pushed WHERE sender=id)",
            (before,),
        )
        self.forget()


def _sender(db: sqlite3.Connection, sender: _Sender, gone: int, first: Ms, last: Ms) -> int:
    """Its number; what it pushed out meanwhile is added."""
    found = db.execute(
        "INSERT INTO pushed_sender (topic, address, device, reason, gone, first_at, last_at) VALUES (?,?,?,?,?,?,?) "
        "ON CONFLICT (topic, address, device, reason) DO UPDATE SET gone = gone + excluded.gone, "
        "first_at = min(first_at, excluded.first_at), last_at = max(last_at, excluded.last_at) RETURNING id",
        (*sender, gone, first, last),
    ).fetchone()
    return int(found[0])


def _of(db: sqlite3.Connection, position: int) -> tuple[str, str] | None:
    """Topic and device of one; None = it is there no longer."""
    found: tuple[str, str] | None = db.execute(
        "SELECT s.topic, s.device FROM pushed p JOIN pushed_sender s ON s.id=p.sender WHERE p.position=?",
        (position,),
    ).fetchone()
    return found


def _count_gone(db: sqlite3.Connection, gone: Mapping[int, int]) -> None:
    db.executemany(
        "UPDATE pushed_sender SET gone=gone+? WHERE id=?", [(n, sender) for sender, n in gone.items()]
    )


def _together(db: sqlite3.Connection) -> None:
    """Strangers of whom nothing is left are one: there is no end of them."""
    which = "WHERE device='' AND topic<>'' AND NOT EXISTS (SELECT 1 FROM pushed WHERE sender=id)"
    many, first, last = db.execute(
        f"SELECT sum(gone), min(first_at), max(last_at) FROM pushed_sender {which}"  # noqa: S608
    ).fetchone()
    if many is not None:
        _sender(db, ("", "", "", ""), many, first, last)
        db.execute(f"DELETE FROM pushed_sender {which}")  # noqa: S608


# ---------------------------------------------------------------- questions


def _there(db: sqlite3.Connection) -> bool:
    """During an upgrade pages may look into a file before the process that writes it has brought it up to date."""
    return db.execute("SELECT 1 FROM sqlite_master WHERE name='pushed'").fetchone() is not None


def listed(db: sqlite3.Connection, limit: int) -> list[PushedOut]:
    """By device; strangers' together under "". Those with the most first."""
    if not _there(db):
        return []
    rows = db.execute(
        "SELECT device, sum(coalesce(kept,0)) AS there, sum(gone), min(first_at), max(last_at) FROM pushed_sender s "
        "LEFT JOIN (SELECT sender, count(*) AS kept FROM pushed GROUP BY sender) ON sender=s.id "
        "GROUP BY device HAVING there+sum(gone)>0 ORDER BY there+sum(gone) DESC, device LIMIT ?",
        (limit,),
    )
    return [PushedOut(*row) for row in rows]


def strangers_kept(db: sqlite3.Connection, topic: str, address: str) -> int:
    """How many of an unknown device's are still there to be read again."""
    if not _there(db):
        return 0
    found = db.execute(
        "SELECT count(*) FROM pushed JOIN pushed_sender s ON s.id=sender WHERE s.topic=? AND s.address=? AND s.device=''",
        (topic, address),
    ).fetchone()
    return int(found[0])


def after(
    db: sqlite3.Connection, position: int, limit: int, reasons: Collection[str] = ()
) -> tuple[list[QuarantineRow], int | None]:
    """The next ones with a larger position as rows of the quarantine, numbered by their position below 0, and the
    position up to where was looked; None = there are no more. reasons: only these, () = all."""
    if not _there(db) or not _any_with(db, reasons):
        return [], None
    stubs = db.execute(
        "SELECT p.position, p.part, p.addresses, s.address, s.device, s.reason FROM pushed p "
        "JOIN pushed_sender s ON s.id=p.sender WHERE p.position>? ORDER BY p.position LIMIT ?",
        (position, limit),
    ).fetchall()
    rows: list[QuarantineRow] = []
    looked = 0
    for seq, mine in groupby(stubs, lambda stub: stub[0] // PLACES):
        if looked >= _UNPACKED:
            return rows, seq * PLACES - 1
        wanted = [stub for stub in mine if not reasons or stub[5] in reasons]
        if wanted:
            records = _records(db, seq)
            looked += max(len(records), 1)
            rows += _rows(records, wanted)
    return rows, stubs[-1][0] if len(stubs) == limit else None


def _any_with(db: sqlite3.Connection, reasons: Collection[str]) -> bool:
    chosen = f"WHERE reason IN ({','.join('?' * len(reasons))})" if reasons else ""
    return db.execute(f"SELECT 1 FROM pushed_sender {chosen} LIMIT 1", tuple(reasons)).fetchone() is not None  # noqa: S608


def _records(db: sqlite3.Connection, seq: int) -> Sequence[MessageRecord]:
    """Of a batch; none where the journal has it no longer, or the disk has damaged it."""
    row = db.execute("SELECT lane, received_at, body FROM batch WHERE seq=?", (seq,)).fetchone()
    if row is None:
        return ()
    try:
        return unpack(Lane(row[0]), row[1], row[2]).messages
    except Rejected:
        return ()


def _rows(
    records: Sequence[MessageRecord], stubs: Sequence[tuple[int, int, str, str, str, str]]
) -> Iterator[QuarantineRow]:
    for position, part, addresses, address, device, reason in stubs:
        place = position % PLACES
        if place >= len(records):
            continue
        record = records[place]
        message = record.message
        names = tuple(msgspec.json.decode(addresses, type=list[str]))
        if not part and address != device:
            names = (address,)
        yield QuarantineRow(
            -position,
            message.received_at,
            message.topic,
            message.payload,
            reason,
            record.detail,
            "open",
            message.retained,
            bool(part),
            names,
            device,
        )
