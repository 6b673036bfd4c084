"""One connection inside one transaction, and what its failures mean."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import fields
from functools import cache
from typing import TYPE_CHECKING, Any, TypeVar

from sqlalchemy import (
    Column,
    ColumnElement,
    Connection,
    CursorResult,
    Executable,
    Insert,
    Select,
    Table,
    Update,
    bindparam,
    exc,
    update,
)
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
    return {name: getattr(row, name) for name in _names(type(row), skip)}


@cache
def _names(kind: type[DataclassInstance], skip: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(f.name for f in fields(kind) if f.name not in skip)


# Statements are made once, their values are parameters: to build one anew costs several times what it
# costs to run it, and a storm of a thousand alarms runs ten thousand.


@cache
def inserting(table: Table) -> Insert:
    return table.insert()


@cache
def _inserting_new(table: Table, sqlite_: bool) -> Executable:
    made = sqlite.insert(table) if sqlite_ else postgresql.insert(table)
    return made.on_conflict_do_nothing().returning(next(iter(table.primary_key)))


@cache
def _overwriting(table: Table) -> Update:
    return update(table).where(table.c.id == bindparam("of_id"), table.c.site == bindparam("of_site"))


class Link:
    """What the books share: run a statement, insert unless it is there."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self.dialect = connection.dialect.name
        self._sqlite = self.dialect == "sqlite"

    def run(
        self, statement: Executable, rows: Sequence[Mapping[str, Any]] | Mapping[str, Any] | None = None
    ) -> CursorResult[*tuple[Any, ...]]:
        with explained():
            return self._connection.execute(statement, rows)

    def careful(
        self, statement: Executable, rows: Sequence[Mapping[str, Any]] | Mapping[str, Any] | None = None
    ) -> CursorResult[*tuple[Any, ...]]:
        """Like `run`; when it is refused, the transaction goes on as if it had not been tried."""
        if self._sqlite and (rows is None or isinstance(rows, Mapping)):
            return self.run(statement, rows)  # one statement that is refused changes nothing there
        with explained(), self._connection.begin_nested():
            return self._connection.execute(statement, rows)

    def fetch(self, kind: Callable[..., T], statement: Select[*tuple[Any, ...]]) -> list[T]:
        """Rows of `columns(table, kind)` as dataclasses."""
        return [kind(*row) for row in self.run(statement)]

    def one(
        self,
        kind: Callable[..., T],
        statement: Select[*tuple[Any, ...]],
        given: Mapping[str, Any] | None = None,
    ) -> T | None:
        """given: of the statement's parameters."""
        found = self.run(statement, given).first()
        return None if found is None else kind(*found)

    def upsert(self, table: Table) -> sqlite.Insert | postgresql.Insert:
        """An INSERT that knows ON CONFLICT in this database."""
        if self._sqlite:
            return sqlite.insert(table)
        return postgresql.insert(table)

    def by_text(self, *columns: Column[Any]) -> list[ColumnElement[Any]]:
        """An order of texts by code point, as SQLite has it, whatever language a server was set up in."""
        if self._sqlite:
            return list(columns)
        return [column.collate("C") for column in columns]

    def insert(self, table: Table, row: Mapping[str, Any]) -> None:
        """Inserts; what is refused leaves the transaction as it was."""
        self.careful(inserting(table), row)

    def insert_new(self, table: Table, row: Mapping[str, Any]) -> int | None:
        """Inserts; the new id, or None when a unique key has it already."""
        found: int | None = self.run(_inserting_new(table, self._sqlite), row).scalar()
        return found

    def insert_many(self, table: Table, rows: Sequence[Mapping[str, Any]]) -> int:
        """Inserts those that no unique key has yet; returns how many."""
        if not rows:
            return 0
        return len(self.run(_inserting_new(table, self._sqlite), rows).all())

    def overwrite(self, table: Table, id: int, site: str, row: Mapping[str, Any]) -> bool:
        """Gives these values to the row of this id and site; False = there is none."""
        return self.careful(_overwriting(table), {**row, "of_id": id, "of_site": site}).rowcount == 1
