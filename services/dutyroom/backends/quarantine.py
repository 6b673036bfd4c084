"""The quarantine beside the batches of a journal: messages that wait to be read again.

Bounded, so that a device which nobody knows never fills the disk or the journal's room: the newest of
each sender stay, of the rest `pushed_out` knows where it stands in the journal. Every function runs inside a commit
of the journal.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Iterable, Sequence
from typing import Any

from dutyroom.backends import ledger, taken_back
from dutyroom.backends.pushed_out import COLUMNS, Gone, PushedOuts
from dutyroom.backends.taken_back import FOREIGN, Placed, kept_already
from dutyroom.backends.waiting import COLUMNS as WAITING
from dutyroom.backends.waiting import SILENT, Waiting, left_of, names, waiting_of, whole_of
from dutyroom.errors import Conflict
from dutyroom.model.telemetry import Message, MessageRecord, Outcome
from dutyroom.timebase import Ms

KEPT = 1_000  # open messages of one sender: what publishes on one topic under one address
KEPT_BYTES = 8 << 20  # of one sender; a score of messages stay whatever their size
MOST = 50_000  # open messages of all senders
MOST_BYTES = 256 << 20  # of all messages, settled ones too
SHARE = 4  # of a bounded journal a quarter at most is quarantine
_LEAST = 20
_AT_ONCE = 500  # rows that make room when there are too many of all
_SETTLED_AT_ONCE = 100  # of those that were read or discarded

SCHEMA = """
CREATE TABLE quarantine (
  id INTEGER PRIMARY KEY AUTOINCREMENT, seq INTEGER NOT NULL, received_at INTEGER NOT NULL, topic TEXT NOT NULL,
  payload BLOB NOT NULL, reason TEXT NOT NULL, detail TEXT NOT NULL, state TEXT NOT NULL DEFAULT 'open');
CREATE INDEX quarantine_state ON quarantine (state, id);
"""

# retained: as the broker marked it. address: the first of whom it is, addresses: all of them (JSON).
# part: the message itself was read, what waits is what it says of these addresses.
SCHEMA_2 = """
ALTER TABLE quarantine ADD COLUMN retained INTEGER NOT NULL DEFAULT 0;
ALTER TABLE quarantine ADD COLUMN part INTEGER NOT NULL DEFAULT 0;
ALTER TABLE quarantine ADD COLUMN address TEXT NOT NULL DEFAULT '';
ALTER TABLE quarantine ADD COLUMN addresses TEXT NOT NULL DEFAULT '[]';
CREATE INDEX quarantine_sender ON quarantine (state, topic, address, id);
CREATE TABLE crowded (
  topic TEXT NOT NULL, address TEXT NOT NULL, count INTEGER NOT NULL, first_at INTEGER NOT NULL,
  PRIMARY KEY (topic, address)) WITHOUT ROWID;
"""

# That the ledger counts the message under, "" = unknown.
SCHEMA_3 = "ALTER TABLE quarantine ADD COLUMN device TEXT NOT NULL DEFAULT '';"

# Bytes that a row takes, about: what stands in it, and twice the topic, in an index too.
_SIZE = "length(payload)+2*length(topic)+length(detail)+length(addresses)+200"
FULL = "quarantine_full"  # kind of finding: unread messages have gone for newer ones
TOO_LARGE = "too_large"  # what is kept of it is not the message


class Quarantine:
    """What a journal's writer does with it. Knows how much there is; `forget` after a rollback."""

    def __init__(self, most: int = MOST, most_bytes: int = MOST_BYTES, kept: int = KEPT) -> None:
        self._most, self._most_bytes, self._kept = most, most_bytes, kept
        self._pushed = PushedOuts(most_bytes)
        self._held: tuple[int, int] | None = None  # open rows, and bytes of all; None = to be counted

    @staticmethod
    def of(room: int) -> Quarantine:
        """room: bytes that the journal may take, 0 = as many as it likes."""
        return Quarantine(most_bytes=min(MOST_BYTES, room // SHARE) if room else MOST_BYTES)

    def forget(self) -> None:
        self._held = None
        self._pushed.forget()

    def take(
        self, db: sqlite3.Connection, seq: int, records: Iterable[MessageRecord]
    ) -> tuple[dict[str, int], ledger.Counts]:
        """Keeps what could not be read, and settles what has been read again; returns how many unread
        messages had to go for that, ever: by known device whose own ones they were, "" = of all senders. None of
        strangers who pushed out their own: they are listed with the count. And what to count otherwise than by
        the records.

        Raises Conflict when what was read again is no longer open: then nothing of it may count.
        """
        counts: ledger.Counts = {}
        return self._take(db, [(seq, place, record) for place, record in enumerate(records)], counts), counts

    def _take(
        self, db: sqlite3.Connection, placed: Iterable[Placed], told: ledger.Counts | None = None
    ) -> dict[str, int]:
        """told: gets what a broker retained and is here already: nothing more waits. None = we know already that it is
        to be taken."""
        senders: dict[tuple[str, str], int] = {}
        devices: dict[tuple[str, str], str] = {}
        outside = False
        for seq, place, record in placed:
            if record.row < 0:
                outside = True
                self._pushed.read_again(db, record)
                if record.reason == FOREIGN and left_of(record) is None:
                    self._note_read(db, seq, place, record)
                continue
            if record.row:
                self._read_again(db, record)
                continue
            if not (record.unread or record.silent or record.outcome is Outcome.QUARANTINED):
                continue
            if told is not None and record.message.retained and kept_already(db, record.message):
                if record.outcome is Outcome.QUARANTINED:
                    at = record.message.received_at
                    ledger.shift(told, at, Outcome.QUARANTINED, Outcome.IGNORED, record.device)
                continue  # the broker tells it at every connection: it is no new message
            for one in waiting_of(record):
                self._insert(db, seq, place, record.message, one)
                sender = record.message.topic, one.address
                senders[sender] = len(record.message.payload)
                if one.device:
                    devices[sender] = one.device
        if outside:
            self._pushed.bound(db)
        gone: dict[str, int] = {}
        for sender, size in senders.items():
            if self._crowd(db, *sender, size) and sender in devices:
                gone[devices[sender]] = _gone_of(db, *sender)
        if senders and self._bound(db):
            gone[""] = _gone_of(db, "", "")
        return gone

    def _insert(self, db: sqlite3.Connection, seq: int, place: int, message: Message, one: Waiting) -> None:
        added = db.execute(
            f"INSERT INTO quarantine (seq, place, received_at, topic, payload, retained, {WAITING}) "  # noqa: S608
            f"VALUES (?,?,?,?,?,?,?,?,?,?,?,?) RETURNING {_SIZE}",
            (seq, place, message.received_at, message.topic, message.payload, message.retained, *one),
        ).fetchone()
        if self._held is not None:
            self._held = self._held[0] + 1, self._held[1] + added[0]

    def _read_again(self, db: sqlite3.Connection, record: MessageRecord) -> None:
        """The row is done, or it goes on waiting for the rest of its devices."""
        if (left := left_of(record)) is not None:
            changed = db.execute(
                "UPDATE quarantine SET reason=?, detail=?, part=?, address=?, addresses=?, device=? "
                "WHERE id=? AND state='open'",
                (*left, record.row),
            ).rowcount
        else:
            read, foreign = record.outcome is Outcome.DECODED, record.reason == FOREIGN
            changed = db.execute(
                "UPDATE quarantine SET state='reprocessed', reason=CASE WHEN ? THEN ? ELSE reason END, "
                "part=max(part, ?) WHERE id=? AND state='open'",
                (foreign, FOREIGN, foreign and read, record.row),
            ).rowcount
            self._held = None
        if not changed:
            raise Conflict(f"message {record.row} of the quarantine was settled meanwhile")

    def _note_read(self, db: sqlite3.Connection, seq: int, place: int, record: MessageRecord) -> None:
        """One that was pushed out, of others too that are not ours: when those come back it has been counted."""
        whose = record.device, names((record.device,)), record.device
        self._insert(db, seq, place, record.message, Waiting(FOREIGN, "", True, *whose))
        db.execute("UPDATE quarantine SET state='reprocessed' WHERE id=last_insert_rowid()")
        self._held = None

    def restate(self, db: sqlite3.Connection, records: Iterable[MessageRecord]) -> None:
        """What is still not read, but for another reason than before."""
        for record in records:
            if record.row < 0:
                self._pushed.restate(db, record)
                continue
            one = whole_of(record)
            db.execute(
                "UPDATE quarantine SET reason=?, detail=?, address=?, addresses=? WHERE id=? AND state='open'",
                (one.reason, one.detail, one.address, one.addresses, record.row),
            )

    def reopen(
        self, db: sqlite3.Connection, addresses: Collection[str], foreign: Collection[str] = ()
    ) -> tuple[ledger.Counts, int]:
        """See `taken_back.reopen`."""
        self._held = None
        return taken_back.reopen(db, addresses, foreign)

    def recall(self, db: sqlite3.Connection, found: Sequence[Placed]) -> tuple[ledger.Counts, int]:
        """What of them does not wait yet does so now; see `taken_back.recall`."""
        fresh, counts, again = taken_back.recall(db, found)
        if again:
            self._held = None
        self._take(db, fresh)
        return counts, len(fresh) + again

    def settle(self, db: sqlite3.Connection, ids: Sequence[int], state: str) -> int:
        self._held = None
        return sum(
            db.execute("UPDATE quarantine SET state=? WHERE id=? AND state='open'", (state, i)).rowcount
            for i in ids
        )

    def trim(self, db: sqlite3.Connection, before: Ms) -> None:
        """Forgets what was settled and is older than the raw messages, and counts of who has gone."""
        db.execute("DELETE FROM quarantine WHERE state<>'open' AND received_at<?", (before,))
        db.execute(
            "DELETE FROM crowded WHERE topic<>'' AND NOT EXISTS (SELECT 1 FROM quarantine q "
            "WHERE q.state='open' AND q.topic=crowded.topic AND q.address=crowded.address)"
        )
        self._pushed.trim(db, before)
        self._held = None

    def _crowd(self, db: sqlite3.Connection, topic: str, address: str, size: int) -> bool:
        """The newest of a sender push its oldest out; whether any went."""
        kept = max(min(_LEAST, self._kept), min(self._kept, KEPT_BYTES // max(1, size)))
        gone = db.execute(
            "DELETE FROM quarantine WHERE id IN (SELECT id FROM quarantine WHERE state='open' AND topic=? "  # noqa: S608
            f"AND address=? ORDER BY id DESC LIMIT -1 OFFSET ?) RETURNING {_SIZE}, {COLUMNS}",
            (topic, address, kept),
        ).fetchall()
        self._gone(db, topic, address, gone)
        return bool(gone)

    def _bound(self, db: sqlite3.Connection) -> bool:
        """The oldest of all make room, settled ones first, and those of which nothing was read where they are more
        than half; returns whether unread ones have gone."""
        if self._held is None:
            self._held = db.execute(
                f"SELECT coalesce(sum(state='open'),0), coalesce(sum({_SIZE}),0) FROM quarantine"  # noqa: S608
            ).fetchone()
        settled = self._held[1] > self._most_bytes
        unread = False
        while self._held[0] > self._most or self._held[1] > self._most_bytes:
            if settled and (settled := self._forget_settled(db)):
                continue
            many = max(1, min(_AT_ONCE, self._held[0] // 10))
            which = f"AND reason='{SILENT}'" if _silent(db) > self._held[0] // 2 else ""
            gone = db.execute(
                f"DELETE FROM quarantine WHERE id IN (SELECT id FROM quarantine WHERE state='open' {which} ORDER BY id LIMIT ?) "  # noqa: S608
                f"RETURNING {_SIZE}, {COLUMNS}",
                (many,),
            ).fetchall()
            if not gone:
                break
            self._gone(db, "", "", gone)
            unread = True
        return unread

    def _forget_settled(self, db: sqlite3.Connection) -> bool:
        """Some of the oldest; whether there were any."""
        gone = db.execute(
            "DELETE FROM quarantine WHERE id IN (SELECT id FROM quarantine WHERE state IN ('reprocessed','discarded') "  # noqa: S608
            f"ORDER BY id LIMIT ?) RETURNING {_SIZE}",
            (_SETTLED_AT_ONCE,),
        ).fetchall()
        if self._held is not None:
            self._held = self._held[0], self._held[1] - sum(size for (size,) in gone)
        return bool(gone)

    def _gone(
        self, db: sqlite3.Connection, topic: str, address: str, gone: Sequence[tuple[Any, ...]]
    ) -> None:
        """gone: their sizes and `COLUMNS`."""
        if not gone:
            return
        rows = [Gone(*columns) for _, *columns in gone]
        db.execute(
            "INSERT INTO crowded (topic, address, count, first_at) VALUES (?,?,?,?) "
            "ON CONFLICT (topic, address) DO UPDATE SET count = count + excluded.count",
            (topic, address, len(gone), min(row.received_at for row in rows)),
        )
        self._pushed.put(db, [row for row in rows if row.reason != TOO_LARGE])
        if self._held is not None:
            self._held = self._held[0] - len(gone), self._held[1] - sum(size for size, *_ in gone)


def _gone_of(db: sqlite3.Connection, topic: str, address: str) -> int:
    query = "SELECT count FROM crowded WHERE topic=? AND address=?"
    return int(db.execute(query, (topic, address)).fetchone()[0])


def _silent(db: sqlite3.Connection) -> int:
    query = "SELECT count(*) FROM quarantine WHERE state='open' AND reason=?"
    return int(db.execute(query, (SILENT,)).fetchone()[0])
