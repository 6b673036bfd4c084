"""The journal: one SQLite file (WAL, full sync) per site, a row a batch with a rising sequence.

One process writes; readers in the same process are served from memory while they keep up, all
others from the file. Batches in, batches out by cursor; quarantine, ledger and findings beside
them, changed in the same commit as the batch that caused them.
"""

from __future__ import annotations

import contextlib
import sqlite3
import threading
import time
from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from dutyroom.backends import ledger, ledger_blocks, ledger_sums, pushed_out, quarantine, quarantine_rows
from dutyroom.backends.batch_bytes import packed, unpack
from dutyroom.backends.journal_room import Room
from dutyroom.backends.ledger import Counted, Counts
from dutyroom.backends.ledger_blocks import Names
from dutyroom.backends.waiting import UNKNOWN
from dutyroom.errors import Fenced, Rejected, Unavailable
from dutyroom.flows.keep import READER as KEEP
from dutyroom.interfaces import (
    FindingRow,
    LedgerPage,
    LedgerQuestion,
    LedgerRow,
    PushedOut,
    QuarantineRow,
    Spool,
    StrangerRow,
    Tally,
)
from dutyroom.model.telemetry import (
    Batch,
    Finding,
    Lane,
    Message,
    MessageRecord,
)
from dutyroom.timebase import DAY, HOUR, Ms

T = TypeVar("T")

SCHEMA_VERSION = 10
STRANGERS = 1_000  # findings of a kind that unknown addresses have
_OF_STRANGERS = frozenset((UNKNOWN, "malformed"))
_TRIES = 100  # to find the ledger's memory and table at one moment
_MEMORY = 512  # batches kept in memory for readers that keep up, and about the bytes that they take
_MEMORY_BYTES = 48 << 20
_OBJECTS = 160  # bytes that a message takes beside what is written of it

_SCHEMA = """
CREATE TABLE batch (
  seq INTEGER PRIMARY KEY AUTOINCREMENT, lane INTEGER NOT NULL, received_at INTEGER NOT NULL, body BLOB NOT NULL);
CREATE INDEX batch_lane ON batch (lane, seq);
CREATE TABLE finding (
  kind TEXT NOT NULL, device TEXT NOT NULL, first_at INTEGER NOT NULL, last_at INTEGER NOT NULL,
  count INTEGER NOT NULL, detail TEXT NOT NULL, PRIMARY KEY (kind, device)) WITHOUT ROWID;
CREATE TABLE cursor (reader TEXT NOT NULL, lane INTEGER NOT NULL, seq INTEGER NOT NULL, PRIMARY KEY (reader, lane));
"""

# The token of who may write, from the lease on the site; a process with an older one commits nothing.
_SCHEMA_3 = "CREATE TABLE fence (one INTEGER PRIMARY KEY CHECK (one = 1), token INTEGER NOT NULL);"

# From each version to the next; a new file goes through all of them.
_STEPS = (
    _SCHEMA + ledger.SCHEMA + quarantine.SCHEMA,
    quarantine.SCHEMA_2,
    _SCHEMA_3,
    ledger.SCHEMA_COUNTED,
    ledger.SCHEMA_REFUSED,
    ledger.SCHEMA_SEQUENCE,
    ledger.SCHEMA_KEPT,
    ledger_blocks.SCHEMA,
    quarantine.SCHEMA_3,
    pushed_out.SCHEMA,
)


class SqliteJournal:
    """See `interfaces.Journal`. `path` is created with its folder, unless it is only read: then it
    must be there and is left as it is, and follows what another process writes.

    token: of the lease on the site, checked inside every commit; None = nobody else may want the file.
    most: bytes of the file, 0 = no limit; what all `readers` have passed makes room.
    Raises Fenced when a newer owner has been here.
    """

    def __init__(
        self,
        path: Path,
        read_only: bool = False,
        token: int | None = None,
        most: int = 0,
        readers: Sequence[str] = (),
    ) -> None:
        self._path, self._read_only, self._token = path, read_only, token
        self._room = Room(most, readers)
        self._lock = threading.Lock()
        self._local = threading.local()
        self._memory: deque[tuple[int, Batch]] = deque()
        self._weights: deque[int] = deque()  # of each of them
        self._held_bytes = 0
        self._readers: list[sqlite3.Connection] = []
        self._quarantine = quarantine.Quarantine.of(most)
        self._writer = self._connect()
        if not read_only:
            self._open()
            self._claim()
        self._last = {lane: self._read_last(lane) for lane in Lane}
        self._counting = threading.Lock()
        self._counts_at = time.monotonic()  # when counts were written last
        self._names = Names()  # of the file; read-only: as far as is known
        self._counts = Counted() if read_only else self._ask(self._uncounted)
        # Up to where the table counts: as it is, and as a commit at hand makes it.
        self._marked = self._marking = 0 if read_only else self._ask(ledger.counted_until)

    def _connect(self) -> sqlite3.Connection:
        mode = "ro" if self._read_only else "rwc"
        try:
            if not self._read_only:
                self._path.parent.mkdir(parents=True, exist_ok=True)
            connection = sqlite3.connect(
                f"{self._path.absolute().as_uri()}?mode={mode}",
                uri=True,
                timeout=10,
                isolation_level=None,
                check_same_thread=False,
            )
        except (sqlite3.Error, OSError) as err:
            raise Unavailable(f"journal {self._path}: {err}") from err
        connection.execute("PRAGMA busy_timeout=10000")
        return connection

    def _open(self) -> None:
        try:
            self._writer.execute("PRAGMA journal_mode=WAL")
            self._writer.execute("PRAGMA synchronous=FULL")
            self._prepare()
        except sqlite3.Error as err:
            self._writer.close()
            raise Unavailable(f"journal {self._path}: {err}") from err

    def _prepare(self) -> None:
        version = self._writer.execute("PRAGMA user_version").fetchone()[0]
        if version > SCHEMA_VERSION:
            raise Rejected(
                f"journal {self._path} was written by a newer version ({version} > {SCHEMA_VERSION})"
            )
        for number, step in enumerate(_STEPS[version:], version + 1):
            self._writer.executescript(f"BEGIN;{step}PRAGMA user_version={number};COMMIT;")

    def _claim(self) -> None:
        """Writes our token: from now on no earlier owner commits."""
        if self._token is None:
            return
        try:
            self._writer.execute(
                "INSERT INTO fence (one, token) VALUES (1, ?) "
                "ON CONFLICT (one) DO UPDATE SET token = max(token, excluded.token)",
                (self._token,),
            )
        except sqlite3.Error as err:
            raise Unavailable(f"journal {self._path}: {err}") from err
        self._check_fence()

    def _check_fence(self) -> None:
        if self._token is None:
            return
        found = self._writer.execute("SELECT token FROM fence").fetchone()
        if found is None or found[0] != self._token:
            raise Fenced(f"journal {self._path}: another process owns the site now")

    @contextmanager
    def _commit(self, then: Callable[[], None] = lambda: None) -> Iterator[sqlite3.Connection]:
        """One writer at a time; rolls back on any error. then: once it is durable, before the next commit."""
        with self._lock:
            try:
                self._writer.execute("BEGIN IMMEDIATE")
                self._check_fence()
                yield self._writer
                self._writer.execute("COMMIT")
                then()
            except sqlite3.Error as err:
                self._rollback()
                raise Unavailable(f"journal {self._path}: {err}") from err
            except BaseException:
                self._rollback()
                raise

    def _rollback(self) -> None:
        self._quarantine.forget()
        if self._writer.in_transaction:
            self._writer.execute("ROLLBACK")

    def _reader(self) -> sqlite3.Connection:
        connection: sqlite3.Connection | None = getattr(self._local, "connection", None)
        if connection is None:
            connection = self._connect()
            self._local.connection = connection
            with self._lock:
                self._readers.append(connection)
        return connection

    def _rows(self, sql: str, *args: object) -> list[tuple[object, ...]]:
        try:
            return self._reader().execute(sql, args).fetchall()
        except sqlite3.Error as err:
            raise self._unread(err) from err

    def _unread(self, err: sqlite3.Error) -> Unavailable:
        """During an upgrade others may look into a file before the process that writes it has begun."""
        with contextlib.suppress(sqlite3.Error):
            version = self._writer.execute("PRAGMA user_version").fetchone()[0]
            if self._read_only and version < SCHEMA_VERSION:
                return Unavailable(
                    f"journal {self._path} is of an older version ({version} < {SCHEMA_VERSION}); the service that "
                    "reads the site's messages brings it up to date when it begins"
                )
        return Unavailable(f"journal {self._path}: {err}")

    def append(self, *batches: Batch) -> int:
        bodies = [packed(batch) for batch in batches]
        added: list[tuple[int, Batch, int]] = []
        due = self._counts_due()
        with self._commit(lambda: self._appended(added, due)) as db:
            urgent = all(batch.lane is Lane.PRIORITY for batch in batches)
            self._room.make(db, sum(len(body) for body, _ in bodies), urgent)
            if due:
                self._write_counts(db)
            for batch, (body, size) in zip(batches, bodies, strict=True):
                seq = self._insert(db, batch, body)
                added.append((seq, batch, size))
        return added[-1][0]

    def _appended(self, added: Iterable[tuple[int, Batch, int]], written: bool) -> None:
        """Readers may see them only now that they are durable."""
        with self._counting:
            if written:
                self._forget_counts()
            for seq, batch, size in added:
                if not batch.again:
                    ledger.count(batch, self._counts)
                self._hold(seq, batch, size + _OBJECTS * len(batch.messages))
                self._last[batch.lane] = seq

    def _hold(self, seq: int, batch: Batch, weight: int) -> None:
        """Keeps the newest batches at hand; one too large for that is read from the file."""
        self._memory.append((seq, batch))
        self._weights.append(weight)
        self._held_bytes += weight
        while self._memory and (len(self._memory) > _MEMORY or self._held_bytes > _MEMORY_BYTES):
            self._memory.popleft()
            self._held_bytes -= self._weights.popleft()

    def _insert(self, db: sqlite3.Connection, batch: Batch, body: bytes) -> int:
        seq = db.execute(
            "INSERT INTO batch (lane, received_at, body) VALUES (?,?,?)",
            (int(batch.lane), batch.received_at, body),
        ).lastrowid
        assert seq is not None
        gone, counts = self._quarantine.take(db, seq, batch.odd)
        if gone:
            self._find(
                db, [Finding(quarantine.FULL, of, batch.received_at, str(many)) for of, many in gone.items()]
            )
        if counts:
            self._count(db, counts)
        if batch.again:  # what was read again is not in its bytes
            read = Counted(self._names)
            ledger.count(batch, read)
            ledger.write(db, read.sums(), self._names)
        if batch.gaps:
            self._count(db, ledger.outcomes_of({(*key, "gaps"): many for key, many in batch.gaps.items()}))
        if batch.counts:
            db.executemany(
                "INSERT OR REPLACE INTO sequence (device, state) VALUES (?,?)", batch.counts.items()
            )
        self._find(db, batch.findings)
        return seq

    # ------------------------------------------------------------ the ledger

    def _counts_due(self) -> bool:
        return self._counts.messages > ledger.MOST or time.monotonic() - self._counts_at > ledger.EVERY_S

    def _write_counts(self, db: sqlite3.Connection) -> None:
        """What was counted since the last time, and up to where; it is forgotten once that is durable."""
        ledger.write(db, self._counts.sums(), self._names)
        self._marking = max(self._last.values())
        ledger.mark(db, self._marking)

    def _forget_counts(self) -> None:
        self._counts, self._counts_at = Counted(self._names), time.monotonic()
        self._marked = self._marking

    def _count(self, db: sqlite3.Connection, counts: Counts) -> None:
        ledger.write(db, ledger.by_hour(counts, self._names), self._names)

    def _file_names(self, db: sqlite3.Connection) -> Names:
        """The one that writes has them all; one that reads must not number a device that has no number yet."""
        with self._counting:
            if not self._read_only and self._names:
                return self._names
            self._names.learn(db)
            return Names(self._names.listed) if self._read_only else self._names

    def _uncounted(self, db: sqlite3.Connection) -> Counted:
        """Of the batches after those that the tables know of."""
        counts = Counted(self._file_names(db))
        query = "SELECT lane, received_at, body FROM batch WHERE seq > ? ORDER BY seq"
        for lane, at, body in db.execute(query, (ledger.counted_until(db),)):
            batch = unpack(Lane(lane), at, body)
            if not batch.again:
                ledger.count(batch, counts)
        return counts

    def ledger(self, since: Ms) -> Sequence[LedgerRow]:
        return self._counted(lambda db, counts, _: ledger.rows(db, since, counts))

    def balance(self, question: LedgerQuestion) -> LedgerPage:
        return self._counted(lambda db, counts, last: ledger_sums.answer(db, question, counts, last))

    def _counted(self, answer: Callable[[sqlite3.Connection, Counted, int], T]) -> T:
        """answer: gets the file as it was at one moment, what is not in its table of the ledger, and the
        last sequence up to which both go."""
        return self._ask(lambda db: self._steady(db, answer))

    def _steady(self, db: sqlite3.Connection, answer: Callable[[sqlite3.Connection, Counted, int], T]) -> T:
        for _ in range(_TRIES):
            with self._counting:
                marked, counts, last = self._marked, self._counts.copy(), max(self._last.values())
            db.execute("BEGIN")
            try:
                if self._read_only:
                    last = int(db.execute("SELECT coalesce(max(seq), 0) FROM batch").fetchone()[0])
                    return answer(db, self._uncounted(db), last)
                passed = max(ledger_sums.cursor_of(db, KEEP, lane) for lane in Lane)
                if ledger.counted_until(db) == marked and passed <= last:
                    return answer(db, counts, last)
            finally:
                db.execute("COMMIT")
        raise Unavailable(f"journal {self._path}: the ledger is written all the time; ask again")

    def kept(self, days: Sequence[Ms], device: str | None = None) -> Mapping[tuple[Ms, str], int]:
        return self._ask(lambda db: ledger.kept(db, days, device, self._file_names(db)))

    def kept_since(self) -> Ms | None:
        received, read = self._ask(ledger.first_hours)
        if received is None or read is None:
            return None
        return max(received, read) + HOUR  # a device may send what is older than we are

    def heard_since(self) -> Ms | None:
        return self._ask(ledger.first_hours)[0]

    def spool(self) -> Spool:
        return self._ask(self._room.state)

    def passed(self) -> Mapping[Lane, int]:
        """By lane the sequence that all readers have passed."""
        return self._ask(lambda db: {lane: self._room.passed(db, lane) for lane in Lane})

    @staticmethod
    def _find(db: sqlite3.Connection, findings: Sequence[Finding]) -> None:
        db.executemany(
            "INSERT INTO finding (kind, device, first_at, last_at, count, detail) VALUES (?,?,?,?,1,?) "
            "ON CONFLICT (kind, device) DO UPDATE SET last_at = max(last_at, excluded.last_at), "
            "count = count + 1, detail = excluded.detail",
            [(f.kind, f.device, f.at, f.at, f.detail) for f in findings],
        )
        for kind in _OF_STRANGERS.intersection(f.kind for f in findings):
            _bound_strangers(db, kind)

    def read(self, lane: Lane, after: int, limit: int) -> Sequence[tuple[int, Batch]]:
        if not self._read_only and after >= self._last[lane]:
            return []
        held = list(self._memory)
        if held and held[0][0] <= after + 1:
            return [(seq, batch) for seq, batch in held if seq > after and batch.lane == lane][:limit]
        rows = self._rows(
            "SELECT seq, received_at, body FROM batch WHERE lane=? AND seq>? ORDER BY seq LIMIT ?",
            int(lane),
            after,
            limit,
        )
        return [(seq, unpack(lane, at, body)) for seq, at, body in rows]  # type: ignore[arg-type, misc]

    def cursor(self, reader: str, lane: Lane) -> int:
        rows = self._rows("SELECT seq FROM cursor WHERE reader=? AND lane=?", reader, int(lane))
        return int(str(rows[0][0])) if rows else 0

    def advance(self, reader: str, lane: Lane, seq: int) -> None:
        with self._commit() as db:
            self._move(db, reader, lane, seq)

    @staticmethod
    def _move(db: sqlite3.Connection, reader: str, lane: Lane, seq: int) -> None:
        db.execute(
            "INSERT INTO cursor (reader, lane, seq) VALUES (?,?,?) "
            "ON CONFLICT (reader, lane) DO UPDATE SET seq = max(seq, excluded.seq)",
            (reader, int(lane), seq),
        )

    def _read_last(self, lane: Lane) -> int:
        rows = self._rows("SELECT coalesce(max(seq),0) FROM batch WHERE lane=?", int(lane))
        return int(str(rows[0][0]))

    def last(self, lane: Lane) -> int:
        return self._read_last(lane) if self._read_only else self._last[lane]

    def note(
        self,
        findings: Sequence[Finding],
        outcomes: Mapping[tuple[Ms, str, str], int],
        passed: tuple[str, Lane, int] | None = None,
        kept: Tally | None = None,
        stored: Tally | None = None,
        over: Collection[tuple[str, str]] = (),
    ) -> None:
        if not findings and not outcomes and passed is None and stored is None and not over:
            return
        with self._commit() as db:
            db.executemany("DELETE FROM finding WHERE kind=? AND device=?", over)
            if kept is not None:
                ledger.keep(db, kept, self._names)
            if stored is not None:
                ledger.write(db, ledger.tallied(stored, ledger.STORED, self._names), self._names)
            self._count(db, ledger.outcomes_of(outcomes))
            self._find(db, findings)
            if passed is not None:
                self._move(db, *passed)

    def _ask(self, question: Callable[[sqlite3.Connection], T]) -> T:
        try:
            return question(self._reader())
        except sqlite3.Error as err:
            raise self._unread(err) from err

    def quarantine(self, state: str = "open", limit: int = 200) -> Sequence[QuarantineRow]:
        return self._ask(lambda db: quarantine_rows.listed(db, state, limit))

    def quarantine_size(self) -> int:
        rows = self._rows("SELECT count(*) FROM quarantine WHERE state='open'")
        return int(str(rows[0][0]))

    def quarantine_after(
        self, row: int, limit: int, reasons: Collection[str] = ()
    ) -> Sequence[QuarantineRow]:
        return self._ask(lambda db: quarantine_rows.after(db, row, limit, reasons))

    def pushed_out(self, limit: int = 200) -> Sequence[PushedOut]:
        return self._ask(lambda db: pushed_out.listed(db, limit))

    def pushed_out_after(
        self, position: int, limit: int, reasons: Collection[str] = ()
    ) -> tuple[Sequence[QuarantineRow], int | None]:
        return self._ask(lambda db: pushed_out.after(db, position, limit, reasons))

    def strangers(self, limit: int) -> Sequence[StrangerRow]:
        return self._ask(lambda db: quarantine_rows.strangers(db, limit))

    def restate(self, records: Sequence[MessageRecord]) -> None:
        with self._commit() as db:
            self._quarantine.restate(db, records)

    def reopen(self, addresses: Collection[str], foreign: Collection[str] = ()) -> int:
        with self._commit() as db:
            counts, many = self._quarantine.reopen(db, addresses, foreign)
            self._count(db, counts)
            return many

    def recall(self, found: Sequence[tuple[int, int, MessageRecord]]) -> int:
        if not found:
            return 0
        with self._commit() as db:
            counts, many = self._quarantine.recall(db, found)
            self._count(db, counts)
            return many

    def settle(self, ids: Sequence[int], state: str) -> int:
        with self._commit() as db:
            return self._quarantine.settle(db, ids, state)

    def findings(self, since: Ms, limit: int = 200, device: str | None = None) -> Sequence[FindingRow]:
        # A flood of one kind, as of unknown devices, hides no other: each has its share of the rows.
        rows = self._rows(
            "SELECT kind, device, first_at, last_at, count, detail FROM (SELECT *, row_number() OVER "
            "(PARTITION BY kind ORDER BY last_at DESC, device) AS place FROM finding WHERE last_at>=? "
            "AND (? IS NULL OR device=?) ORDER BY place, last_at DESC LIMIT ?) ORDER BY last_at DESC",
            since,
            device,
            device,
            limit,
        )
        return [FindingRow(*row) for row in rows]  # type: ignore[arg-type]

    def counts(self) -> Mapping[str, bytes]:
        return self._ask(lambda db: dict(db.execute("SELECT device, state FROM sequence").fetchall()))

    def recent(self, count: int) -> Sequence[Message]:
        return self._ask(lambda db: self._recent(db, count))

    @staticmethod
    def _recent(db: sqlite3.Connection, count: int) -> Sequence[Message]:
        """Batch by batch: as many as messages are wanted would be gigabytes."""
        found: list[Message] = []
        size = 0
        for lane, at, body in db.execute("SELECT lane, received_at, body FROM batch ORDER BY seq DESC"):
            batch = unpack(Lane(lane), at, body)
            if batch.again:  # came long before, and is in the batch of then
                continue
            found.extend(m.message for m in reversed(batch.messages))
            size += sum(len(m.message.payload) for m in batch.messages)
            if len(found) >= count or size > _MEMORY_BYTES:
                break
        return found[:count][::-1]

    def trim(self, now: Ms, days: float, passed: Mapping[Lane, int]) -> int:
        """Deletes batches older than `days` that every reader has passed, and as old messages of the
        quarantine that are settled; returns how many batches."""
        deleted = 0

        def counted() -> None:
            with self._counting:
                self._forget_counts()

        with self._commit(counted) as db:
            self._write_counts(db)
            ledger.forget(db, now)
            ledger_blocks.close(db, now)
            for lane, seq in passed.items():
                deleted += db.execute(
                    "DELETE FROM batch WHERE lane=? AND seq<=? AND received_at<?",
                    (int(lane), seq, now - round(days * DAY)),
                ).rowcount
            self._quarantine.trim(db, now - round(days * DAY))
        return deleted

    def token(self) -> int:
        """Of the last owner, 0 = it had no lease. Read-only: a file of an older version has none either."""
        try:
            return int(str(self._rows("SELECT coalesce(max(token),0) FROM fence")[0][0]))
        except Unavailable:
            if self._read_only:
                return 0
            raise

    def close(self) -> None:
        with self._lock:
            for connection in (*self._readers, self._writer):
                connection.close()


def _bound_strangers(db: sqlite3.Connection, kind: str) -> None:
    """There is no end of addresses that are not in the registry: the newest are kept."""
    many = db.execute("SELECT count(*) FROM finding WHERE kind=?", (kind,)).fetchone()[0]
    if many > STRANGERS + STRANGERS // 10:  # not with every message
        db.execute(
            "DELETE FROM finding WHERE kind=? AND device NOT IN "
            "(SELECT device FROM finding WHERE kind=? ORDER BY last_at DESC, device LIMIT ?)",
            (kind, kind, STRANGERS),
        )
