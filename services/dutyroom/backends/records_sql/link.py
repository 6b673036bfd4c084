"""One connection inside one transaction, and what its failures mean."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import fields
from typing import TYPE_CHECKING, Any, TypeVar

from sqlalchemy import Column, ColumnElement, Connection, CursorResult, Executable, Select, Table, exc
from sqlalchemy.dialects import postgresql, sqlite

from dutyroom.errors import Conflict, Rejected, Unavailable

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

T = TypeVar("T")


@contextmanager
def explained() -> Iterator[None]:
    """Turns a driver's failure into Conflict, Rejected or Unavailable."""
    try:
        yield
    except exc.IntegrityError as err:
        raise Conflict(f"the records do not allow it: {_first_line(err)}") from err
    except exc.DataError as err:
        raise Rejected(f"the records cannot hold this value: {_first_line(err)}") from err
    except OverflowError as err:
        raise Rejected(f"the records cannot hold this number: {err}") from err
    except exc.ProgrammingError:
        raise  # a mistake of ours, not of the server
    except (exc.DBAPIError, exc.TimeoutError) as err:
        raise Unavailable(f"the records do not answer: {_first_line(err)}") from err


def _first_line(err: exc.SQLAlchemyError) -> str:
    cause = getattr(err, "orig", None) or err
    return (str(cause).strip().splitlines() or [type(cause).__name__])[0]


def columns(table: Table, kind: type[DataclassInstance], *skip: str) -> list[Column[Any]]:
    """The columns of a dataclass's fields, in their order."""
    return [table.c[f.name] for f in fields(kind) if f.name not in skip]


def values(row: DataclassInstance, *skip: str) -> dict[str, Any]:
    """A dataclass as a row of values."""
    return {f.name: getattr(row, f.name) for f in fields(row) if f.name not in skip}


class Link:
    """What the books share: run a statement, insert unless it is there."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def run(
        self, statement: Executable, rows: Sequence[Mapping[str, Any]] | None = None
    ) -> CursorResult[*tuple[Any, ...]]:
        with explained():
            return self._connection.execute(statement, rows)

    def careful(
        self, statement: Executable, rows: Sequence[Mapping[str, Any]] | None = None
    ) -> CursorResult[*tuple[Any, ...]]:
        """Like `run`; when it is refused, the transaction goes on as if it had not been tried."""
        with explained(), self._connection.begin_nested():
            return self._connection.execute(statement, rows)

    def fetch(self, kind: Callable[..., T], statement: Select[*tuple[Any, ...]]) -> list[T]:
        """Rows of `columns(table, kind)` as dataclasses."""
        return [kind(*row) for row in self.run(statement)]

    def one(self, kind: Callable[..., T], statement: Select[*tuple[Any, ...]]) -> T | None:
        found = self.run(statement).first()
        return None if found is None else kind(*found)

    def upsert(self, table: Table) -> sqlite.Insert | postgresql.Insert:
        """An INSERT that knows ON CONFLICT in this database."""
        if self._connection.dialect.name == "sqlite":
            return sqlite.insert(table)
        return postgresql.insert(table)

    def by_text(self, *columns: Column[Any]) -> list[ColumnElement[Any]]:
        """An order of texts by code point, as SQLite has it, whatever language a server was set up in."""
        if self._connection.dialect.name == "sqlite":
            return list(columns)
        return [column.collate("C") for column in columns]

    def insert_new(self, table: Table, row: Mapping[str, Any]) -> int | None:
        """Inserts; the new id, or None when a unique key has it already."""
        key = next(iter(table.primary_key))
        statement = self.upsert(table).values(**row).on_conflict_do_nothing().returning(key)
        found: int | None = self.run(statement).scalar()
        return found

    def insert_many(self, table: Table, rows: Sequence[Mapping[str, Any]]) -> int:
        """Inserts those that no unique key has yet; returns how many."""
        if not rows:
            return 0
        key = next(iter(table.primary_key))
        return len(self.run(self.upsert(table).on_conflict_do_nothing().returning(key), rows).all())
