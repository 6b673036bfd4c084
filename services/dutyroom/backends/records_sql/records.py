"""Records on an engine: a connection from a pool for each transaction, in any thread."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, make_url, text
from sqlalchemy.engine import URL
from sqlalchemy.exc import ArgumentError

from dutyroom.backends.records_sql.leases import SqlLeases
from dutyroom.backends.records_sql.link import Link, explained
from dutyroom.backends.records_sql.migrate import bring_up_to_date
from dutyroom.backends.records_sql.tx import SqlTx
from dutyroom.errors import Rejected, Unavailable

# One writer at a time in PostgreSQL too: the change log's numbers then become visible in their
# order, and reading a row before changing it needs no further lock.
_ONE_WRITER = text("SELECT pg_advisory_xact_lock(7160421)")
_SNAPSHOT = text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
_BUSY_MS = 10_000


class _Turns:
    """Writers of this process, in the order in which they came. SQLite's own waiting is by asking again every
    tenth of a second: who writes transaction after transaction, as a first start with many devices does,
    leaves it none, until the others give up with "database is locked"."""

    def __init__(self) -> None:
        self._change = threading.Condition()
        self._next = self._served = 0
        self._gone: set[int] = set()  # gave up before their turn

    def __enter__(self) -> None:
        with self._change:
            mine, self._next = self._next, self._next + 1
            try:
                if not self._change.wait_for(lambda: self._served == mine, _BUSY_MS / 1000):
                    raise Unavailable(
                        f"the records are locked: {mine - self._served} writers are before this one"
                    )
            except BaseException:  # Ctrl-C too: those behind must not wait for it
                self._gone.add(mine)
                self._pass_over()
                raise

    def __exit__(self, *_: object) -> None:
        with self._change:
            self._served += 1
            self._pass_over()

    def _pass_over(self) -> None:
        """Those that gave up."""
        while self._served in self._gone:
            self._gone.remove(self._served)
            self._served += 1
        self._change.notify_all()


class SqlRecords:
    """Records in SQLite or PostgreSQL. Thread-safe."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._sqlite = engine.dialect.name == "sqlite"
        self._turns = _Turns() if self._sqlite else nullcontext()
        self.leases = SqlLeases(engine.dialect.name, self._alone, self._beside, self._look)

    @contextmanager
    def write(self) -> Iterator[SqlTx]:
        """Waits for any other writer, then sees what that one committed."""
        with self._alone() as link:
            yield SqlTx(link)

    @contextmanager
    def _alone(self) -> Iterator[Link]:
        with self._turns, self._transaction("IMMEDIATE") as connection:
            if not self._sqlite:
                with explained():
                    connection.execute(_ONE_WRITER)
            yield Link(connection)

    @contextmanager
    def _beside(self) -> Iterator[Link]:
        """Of a row or two that no other writer touches: a long import does not hold it up, except in
        SQLite, which knows one writer only."""
        with self._turns, self._transaction("IMMEDIATE") as connection:
            yield Link(connection)

    @contextmanager
    def read(self) -> Iterator[SqlTx]:
        """One unchanging picture of the records."""
        with self._look() as link:
            yield SqlTx(link)

    @contextmanager
    def _look(self) -> Iterator[Link]:
        with self._transaction("DEFERRED") as connection:
            if not self._sqlite:
                with explained():
                    connection.execute(_SNAPSHOT)
            yield Link(connection)

    @contextmanager
    def _transaction(self, mode: str) -> Iterator[Connection]:
        with explained():
            connection = self._engine.connect().execution_options(begin_mode=mode)
        with connection:
            with explained():
                transaction = connection.begin()
            try:
                yield connection
            except BaseException:
                transaction.rollback()
                raise
            with explained():
                transaction.commit()

    def close(self) -> None:
        self._engine.dispose()


def open_records(url: str) -> SqlRecords:
    """Opens, creates or migrates "sqlite:////path/records.sqlite" or "postgresql://...".

    Raises Rejected for a wrong URL, a file that is no database or a newer schema, Unavailable when
    the server or disk does not answer.
    """
    address = _address(url)
    engine = _sqlite_engine(address) if address.drivername == "sqlite" else _postgres_engine(address)
    try:
        bring_up_to_date(engine)
    except BaseException:
        engine.dispose()
        raise
    return SqlRecords(engine)


def _address(url: str) -> URL:
    try:
        address = make_url(url)
    except ArgumentError as err:
        raise Rejected(
            "the address of the records is not a URL; write sqlite:////path or postgresql://"
        ) from err
    if address.drivername in ("postgresql", "postgres", "postgresql+psycopg"):
        return address.set(drivername="postgresql+psycopg")
    if address.drivername == "sqlite" and address.database not in (None, "", ":memory:"):
        return address
    raise Rejected(f"records cannot live in {address.drivername}; write sqlite:////path or postgresql://")


def _postgres_engine(address: URL) -> Engine:
    return create_engine(
        address,
        pool_size=4,
        max_overflow=12,
        pool_timeout=10,
        pool_pre_ping=True,
        connect_args={
            "connect_timeout": 5,
            "application_name": "dutyroom",
            # A writer that hangs must not hold up the others for ever.
            "options": f"-c lock_timeout={_BUSY_MS} -c idle_in_transaction_session_timeout=20000",
        },
    )


def _sqlite_engine(address: URL) -> Engine:
    path = Path(str(address.database))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as err:
        raise Rejected(f"{path.parent}: cannot be made: {err.strerror}") from err
    engine = create_engine(
        address,
        pool_size=4,
        max_overflow=28,
        pool_timeout=10,
        connect_args={"timeout": _BUSY_MS / 1000, "check_same_thread": False},
    )
    event.listen(engine, "connect", _prepare)
    event.listen(engine, "begin", _begin)
    return engine


def _prepare(raw: sqlite3.Connection, _record: Any) -> None:
    raw.isolation_level = None  # the driver begins nothing by itself: `_begin` does
    try:
        raw.execute("PRAGMA journal_mode=WAL")
        raw.execute("PRAGMA synchronous=FULL")  # a person's action outlives a power cut
        raw.execute("PRAGMA foreign_keys=ON")
    except sqlite3.OperationalError:
        raise
    except sqlite3.DatabaseError as err:
        raise Rejected(f"the records file is not a database: {err}") from err


def _begin(connection: Connection) -> None:
    mode = connection.get_execution_options().get("begin_mode", "DEFERRED")
    # A reader that wrote would wait for the writer, or make it wait: here it fails in the first test.
    connection.exec_driver_sql(f"PRAGMA query_only={'ON' if mode == 'DEFERRED' else 'OFF'}")
    connection.exec_driver_sql(f"BEGIN {mode}")
