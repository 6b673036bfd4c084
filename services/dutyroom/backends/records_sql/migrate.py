"""Brings a database to the schema of this version, or refuses to touch it."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from sqlalchemy import Connection, Engine, inspect, text

from dutyroom.backends.records_sql.link import explained
from dutyroom.errors import Rejected

HEAD = "0011"  # the newest file in migrations/versions
MIGRATIONS = Path(__file__).parent / "migrations"
_ONE_AT_A_TIME = text("SELECT pg_advisory_xact_lock(7160421)")


def schema_version(connection: Connection) -> str:
    """The revision a database carries, "" = it is empty."""
    if not inspect(connection).has_table("alembic_version"):
        return ""
    return str(connection.execute(text("SELECT version_num FROM alembic_version")).scalar() or "")


def bring_up_to_date(engine: Engine) -> None:
    """Creates or migrates in one transaction; an older SQLite file is copied beside itself first.

    Raises Rejected for a schema that this version does not know.
    """
    with explained(), engine.connect() as raw:
        if engine.dialect.name == "sqlite":
            _foreign_keys(raw, "OFF")  # a migration may rebuild a table that others refer to
        connection = raw.execution_options(begin_mode="IMMEDIATE")
        with connection.begin():
            if engine.dialect.name != "sqlite":
                connection.execute(_ONE_AT_A_TIME)
            _migrate(connection, str(engine.url.database))
        if engine.dialect.name == "sqlite":
            _foreign_keys(raw, "ON")


def _foreign_keys(connection: Connection, state: str) -> None:
    raw = connection.connection.driver_connection
    if isinstance(raw, sqlite3.Connection):
        raw.execute(f"PRAGMA foreign_keys={state}")  # without a BEGIN: inside one it does nothing


def _migrate(connection: Connection, database: str) -> None:
    found = schema_version(connection)
    if found == HEAD:
        return
    if found > HEAD or not _known(found):
        raise Rejected(
            f"the records have schema {found}, made by a newer version; this one knows up to {HEAD}. "
            "Install the newer version, or restore a backup."
        )
    if found and connection.dialect.name == "sqlite":
        _copy(Path(database), found)
    _upgrade(connection)


def _known(revision: str) -> bool:
    return not revision or any((MIGRATIONS / "versions").glob(f"v{revision}_*.py"))


def _copy(path: Path, revision: str) -> None:
    """A copy of the file as it was, once per schema: records.sqlite.schema-0001.bak."""
    target = path.with_name(f"{path.name}.schema-{revision}.bak")
    try:
        with closing(sqlite3.connect(path)) as source, closing(sqlite3.connect(target)) as copy:
            source.backup(copy)
    except (sqlite3.Error, OSError) as err:
        raise Rejected(f"{target}: cannot keep a copy before the migration: {err}") from err


def _upgrade(connection: Connection) -> None:
    from alembic import command  # slow to import, and seldom needed
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
