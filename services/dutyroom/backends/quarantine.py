"""The quarantine beside the batches of a journal: messages that wait to be read again.

Bounded, so that a device which nobody knows never fills the disk or the journal's room: the newest of
each sender stay, the rest is counted. Every function runs inside a commit of the journal, or on one of its readers.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Iterable, Sequence
from typing import Any

import msgspec

from dutyroom.backends import ledger
from dutyroom.errors import Conflict
from dutyroom.interfaces import QuarantineRow, StrangerRow
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

_ROW = "id, received_at, topic, payload, reason, detail, state, retained, part, addresses, device"
# Bytes that a row takes, about: what stands in it, and twice the topic, in an index too.
_SIZE = "length(payload)+2*length(topic)+length(detail)+length(addresses)+200"
UNKNOWN = "unknown_device"
SILENT = "nothing_read"  # of a known device: its messages may be many, and some say what nobody wants
FULL = "quarantine_full"  # kind of finding: unread messages have gone for newer ones
FOREIGN = "not_ours"  # settled, or in part, because devices are not ours
_BEFORE = 3  # messages before the newest, where that one is damaged
_STRANGE = (UNKNOWN, "unknown_topic", "no_layout")


def row_of(columns: Sequence[Any]) -> QuarantineRow:
    """A row of `_ROW`."""
    number, at, topic, payload, reason, detail, state, retained, part, addresses, device = columns
    names = tuple(msgspec.json.decode(addresses, type=list[str]))
    marks = bool(retained), bool(part)
    return QuarantineRow(number, at, topic, payload, reason, detail, state, *marks, names, device)


class Quarantine:
    """What a journal's writer does with it. Knows how much there is; `forget` after a rollback."""

    def __init__(self, most: int = MOST, most_bytes: int = MOST_BYTES, kept: int = KEPT) -> None:
        self._most, self._most_bytes, self._kept = most, most_bytes, kept
        self._held: tuple[int, int] | None = None  # open rows, and bytes of all; None = to be counted

    @staticmethod
    def of(room: int) -> Quarantine:
        """room: bytes that the journal may take, 0 = as many as it likes."""
        return Quarantine(most_bytes=min(MOST_BYTES, room // SHARE) if room else MOST_BYTES)

    def forget(self) -> None:
        self._held = None

    def take(self, db: sqlite3.Connection, seq: int, records: Iterable[MessageRecord]) -> dict[str, int]:
        """Keeps what could not be read, and settles what has been read again; returns how many unread
        messages had to go for that, ever: by known device whose own ones they were, "" = of all senders. None of
        strangers who pushed out their own: they are listed with the count.

        Raises Conflict when what was read again is no longer open: then nothing of it may count.
        """
        senders: dict[tuple[str, str], int] = {}
        devices: dict[tuple[str, str], str] = {}
        for record in records:
            if record.row:
                self._read_again(db, record)
            elif record.unread or record.outcome is Outcome.QUARANTINED:
                message = record.message
                if message.retained and _kept_already(db, message):
                    continue  # the broker tells it at every connection: it is no new message
                self._insert(db, seq, record)
                sender = message.topic, _sender(record)
                senders[sender] = len(message.payload)
                if record.outcome is Outcome.QUARANTINED and record.device:
                    devices[sender] = record.device
        gone: dict[str, int] = {}
        for sender, size in senders.items():
            if self._crowd(db, *sender, size) and sender in devices:
                gone[devices[sender]] = _gone_of(db, *sender)
        if senders and self._bound(db):
            gone[""] = _gone_of(db, "", "")
        return gone

    def _insert(self, db: sqlite3.Connection, seq: int, record: MessageRecord) -> None:
        message, read = record.message, record.outcome is not Outcome.QUARANTINED
        added = db.execute(
            "INSERT INTO quarantine (seq, received_at, topic, payload, reason, detail, retained, part, address, addresses, device) "  # noqa: S608
            f"VALUES (?,?,?,?,?,?,?,?,?,?,?) RETURNING {_SIZE}",
            (
                seq,
                message.received_at,
                message.topic,
                message.payload,
                UNKNOWN if read else record.reason,
                ", ".join(record.unread[:10]) if read else record.detail,
                message.retained,
                read,
                _sender(record),
                _json(record.unread),
                "" if read else record.device,
            ),
        ).fetchone()
        if self._held is not None:
            self._held = self._held[0] + 1, self._held[1] + added[0]

    def _read_again(self, db: sqlite3.Connection, record: MessageRecord) -> None:
        """The row is done, or it goes on waiting for the rest of its devices."""
        if record.unread:
            changed = db.execute(
                "UPDATE quarantine SET part=1, reason=?, detail=?, address=?, addresses=? WHERE id=? AND state='open'",
                (
                    UNKNOWN,
                    ", ".join(record.unread[:10]),
                    _first(record),
                    _json(record.unread),
                    record.row,
                ),
            ).rowcount
        else:
            read, foreign = record.outcome is Outcome.DECODED, record.reason == FOREIGN
            changed = db.execute(
                "UPDATE quarantine SET state='reprocessed', reason=CASE WHEN ? THEN ? ELSE reason END, "
                "part=max(part, ?) WHERE id=? AND state='open'",
                (foreign, FOREIGN, foreign and read, record.row),
            ).rowcount
            self.forget()
        if not changed:
            raise Conflict(f"message {record.row} of the quarantine was settled meanwhile")

    def restate(self, db: sqlite3.Connection, records: Iterable[MessageRecord]) -> None:
        """What is still not read, but for another reason than before."""
        for record in records:
            db.execute(
                "UPDATE quarantine SET reason=?, detail=?, address=?, addresses=? WHERE id=? AND state='open'",
                (record.reason, record.detail, _sender(record), _json(record.unread), record.row),
            )

    def reopen(self, db: sqlite3.Connection, addresses: Collection[str]) -> tuple[ledger.Counts, int]:
        """What was settled because its devices were not ours waits again for those that are now."""
        marks = ",".join("?" * len(addresses))
        found = db.execute(
            "SELECT id, received_at, part, (SELECT json_group_array(value) FROM json_each(addresses) "  # noqa: S608
            f"WHERE value IN ({marks})) AS mine FROM quarantine "
            "WHERE state='reprocessed' AND reason=? AND mine<>'[]'",
            (*addresses, FOREIGN),
        ).fetchall()
        counts: ledger.Counts = {}
        for number, at, part, mine in found:
            db.execute(
                "UPDATE quarantine SET state='open', reason=?, address=?, addresses=?, device='' WHERE id=?",
                (UNKNOWN, msgspec.json.decode(mine)[0], mine, number),
            )
            if not part:
                ledger.shift(counts, at, Outcome.IGNORED, Outcome.QUARANTINED)
        self.forget()
        return counts, len(found)

    def recall(self, db: sqlite3.Connection, records: Iterable[MessageRecord]) -> tuple[ledger.Counts, int]:
        """Messages that were never here, or of which nothing waited. Those read in part stay counted as read."""
        counts: ledger.Counts = {}
        fresh: list[MessageRecord] = []
        told: set[tuple[str, bytes]] = set()
        for record in records:
            message = record.message
            if _was_here(db, message):
                continue
            if message.retained and ((message.topic, message.payload) in told or _kept_already(db, message)):
                continue  # it would not be taken
            told.add((message.topic, message.payload))
            fresh.append(record)
        self.take(db, 0, fresh)
        for record in fresh:
            if record.outcome is Outcome.QUARANTINED:
                ledger.shift(counts, record.message.received_at, Outcome.IGNORED, Outcome.QUARANTINED)
        return counts, len(fresh)

    def settle(self, db: sqlite3.Connection, ids: Sequence[int], state: str) -> int:
        self.forget()
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
        self.forget()

    def _crowd(self, db: sqlite3.Connection, topic: str, address: str, size: int) -> bool:
        """The newest of a sender push its oldest out; whether any went."""
        kept = max(min(_LEAST, self._kept), min(self._kept, KEPT_BYTES // max(1, size)))
        gone = db.execute(
            "DELETE FROM quarantine WHERE id IN (SELECT id FROM quarantine WHERE state='open' AND topic=? "  # noqa: S608
            f"AND address=? ORDER BY id DESC LIMIT -1 OFFSET ?) RETURNING received_at, {_SIZE}",
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
                f"RETURNING received_at, {_SIZE}",
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
        self, db: sqlite3.Connection, topic: str, address: str, gone: Sequence[tuple[int, int]]
    ) -> None:
        if not gone:
            return
        db.execute(
            "INSERT INTO crowded (topic, address, count, first_at) VALUES (?,?,?,?) "
            "ON CONFLICT (topic, address) DO UPDATE SET count = count + excluded.count",
            (topic, address, len(gone), min(at for at, _ in gone)),
        )
        if self._held is not None:
            self._held = self._held[0] - len(gone), self._held[1] - sum(size for _, size in gone)


def _gone_of(db: sqlite3.Connection, topic: str, address: str) -> int:
    query = "SELECT count FROM crowded WHERE topic=? AND address=?"
    return int(db.execute(query, (topic, address)).fetchone()[0])


def _silent(db: sqlite3.Connection) -> int:
    query = "SELECT count(*) FROM quarantine WHERE state='open' AND reason=?"
    return int(db.execute(query, (SILENT,)).fetchone()[0])


def _kept_already(db: sqlite3.Connection, message: Message) -> bool:
    found = db.execute(
        "SELECT 1 FROM quarantine WHERE state IN ('open','reprocessed','discarded') AND topic=? AND payload=? LIMIT 1",
        (message.topic, message.payload),
    ).fetchone()
    return found is not None


def _was_here(db: sqlite3.Connection, message: Message) -> bool:
    found = db.execute(
        "SELECT 1 FROM quarantine WHERE state IN ('open','reprocessed','discarded') AND topic=? AND received_at=? "
        "AND payload=? LIMIT 1",
        (message.topic, message.received_at, message.payload),
    ).fetchone()
    return found is not None


def _first(record: MessageRecord) -> str:
    return record.unread[0] if record.unread else ""


def _sender(record: MessageRecord) -> str:
    """With its topic, whom a message counts for: of many devices behind one gateway none pushes another's out."""
    return _first(record) or (record.device if record.outcome is Outcome.QUARANTINED else "")


def _json(addresses: Sequence[str]) -> str:
    return msgspec.json.encode(addresses).decode()


# ---------------------------------------------------------------- questions


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
        if rows:
            last_one, *before = map(row_of, rows)
            found.append(StrangerRow(last_one, tuple(before), count, count + more, min(first, since), last))
    return found
