"""The file: connections, schema, transactions. One process writes; any number read.

log     what was written, in order, until it is in chunks; an empty entry is a mark (see `tail`)
chunk   compressed readings; id = group, day, number of the part; seq = the newest write that is in it
latest  the newest reading of each point, of what is in chunks
word    the wordings of texts (see `words`)
loose   groups and days whose parts may be worth joining
state   done: everything up to this write is in chunks; until, next: compaction under way goes up to the
        write `until` and has come to the group `next`
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from dutyroom.errors import Rejected, Unavailable

SCHEMA_VERSION = 4  # 3: zstd in chunks; 4: texts
READABLE = 2  # from this version on nothing has to be changed for one that only reads
SCHEMA = """
CREATE TABLE state (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
INSERT INTO state (name, value) VALUES ('done', 0), ('until', 0), ('next', 0);
CREATE TABLE log (seq INTEGER PRIMARY KEY, data BLOB NOT NULL);
CREATE TABLE chunk (
  id INTEGER PRIMARY KEY, seq INTEGER NOT NULL, mask INTEGER NOT NULL, rows INTEGER NOT NULL,
  sealed INTEGER NOT NULL, data BLOB NOT NULL);
CREATE TABLE latest (grp INTEGER PRIMARY KEY, data BLOB NOT NULL);
CREATE TABLE loose (
  id INTEGER PRIMARY KEY, day INTEGER NOT NULL, part INTEGER NOT NULL, depth INTEGER NOT NULL, mask INTEGER NOT NULL,
  rows INTEGER NOT NULL, whole INTEGER NOT NULL);
"""
WORDS = "word"
SCHEMA_4 = """
CREATE TABLE IF NOT EXISTS word (id INTEGER PRIMARY KEY, hash INTEGER NOT NULL, text TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS word_hash ON word (hash);
"""
OLDER = "reading"  # the table of the older layout: as long as it is there, some readings are in it
PAGE = 16_384  # blobs are some thousand bytes: in small pages a third of the file would be air


@dataclass(frozen=True, slots=True)
class State:
    """How far compaction is; see the module."""

    done: int
    until: int
    next: int


def read_state(db: sqlite3.Connection) -> State:
    found = dict(db.execute("SELECT name, value FROM state").fetchall())
    return State(found["done"], found["until"], found["next"])


def write_state(db: sqlite3.Connection, state: State) -> None:
    rows = [(state.done, "done"), (state.until, "until"), (state.next, "next")]
    db.executemany("UPDATE state SET value = ? WHERE name = ?", rows)


def has_table(db: sqlite3.Connection, name: str) -> bool:
    return db.execute("SELECT 1 FROM sqlite_master WHERE name = ?", (name,)).fetchone() is not None


class StoreFile:
    """One SQLite file. read_only: it must be there, and is followed while another process writes."""

    def __init__(self, path: Path, read_only: bool = False) -> None:
        self.path, self.read_only = path, read_only
        self._turn = threading.Lock()
        self._lock = threading.Lock()
        self._local = threading.local()
        self._opened: list[sqlite3.Connection] = []
        self.writer = self._connect()
        try:
            self.version: int = self.writer.execute("PRAGMA user_version").fetchone()[0]
        except sqlite3.Error as err:
            raise Unavailable(f"readings {path}: {err}") from err
        if self.version > SCHEMA_VERSION:
            raise Rejected(
                f"readings {path} were written by a newer version ({self.version} > {SCHEMA_VERSION})"
            )
        if read_only and (self.version < READABLE or has_table(self.writer, OLDER)):
            raise Unavailable(
                f"readings {path}: the process that writes them has not begun yet, or brings them up to date"
            )

    def _connect(self) -> sqlite3.Connection:
        try:
            if not self.read_only:
                self.path.parent.mkdir(parents=True, exist_ok=True)
            mode = "ro" if self.read_only else "rwc"
            connection = sqlite3.connect(
                f"{self.path.absolute().as_uri()}?mode={mode}",
                uri=True,
                timeout=10,
                isolation_level=None,
                check_same_thread=False,
            )
            connection.execute("PRAGMA busy_timeout=10000")
            if not self.read_only:
                connection.execute(f"PRAGMA page_size={PAGE}")  # of a new file
                connection.execute("PRAGMA journal_mode=WAL")
                # The journal's cursor passes what is written here: a power cut must not take it away.
                connection.execute("PRAGMA synchronous=FULL")
                connection.execute("PRAGMA wal_autocheckpoint=4096")
        except (sqlite3.Error, OSError) as err:
            raise Unavailable(f"readings {self.path}: {err}") from err
        self._opened.append(connection)
        return connection

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """One transaction, all or nothing. In turn: who waits comes next, before who has just been there."""
        with self._turn:
            self._lock.acquire()
        try:
            with self._failing():
                self.writer.execute("BEGIN IMMEDIATE")
                try:
                    yield self.writer
                    self.writer.execute("COMMIT")
                finally:
                    if self.writer.in_transaction:
                        self.writer.execute("ROLLBACK")
        finally:
            self._lock.release()

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """One picture of the file, on a connection of this thread."""
        db: sqlite3.Connection | None = getattr(self._local, "connection", None)
        if db is None:
            db = self._local.connection = self._connect()
        with self._failing():
            db.execute("BEGIN")
            try:
                yield db
            finally:
                if db.in_transaction:
                    db.execute("ROLLBACK")

    @contextmanager
    def _failing(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as err:
            raise Unavailable(f"readings {self.path}: {err}") from err

    def close(self) -> None:
        with self._lock:
            for connection in self._opened:
                connection.close()
            self._opened.clear()
