"""Every field of the model has its column, and old files become what new ones are."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import fields
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Table, create_engine

from dutyroom.backends import records_sql
from dutyroom.backends.records_sql import migrate, open_records, schema
from dutyroom.errors import Rejected
from dutyroom.model import duty, metering
from dutyroom.model.telemetry import Attribute, Event, Lane, PointSpec

OLD = Path(__file__).parent / "schema_0001.sql"


@pytest.fixture(autouse=True)
def _by_the_migrations(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(records_sql.records, "bring_up_to_date", migrate.bring_up_to_date)


@pytest.mark.parametrize(
    ("table", "kind"),
    [
        (schema.alarms, duty.Alarm),
        (schema.alarm_changes, duty.AlarmChange),
        (schema.tickets, duty.Ticket),
        (schema.ticket_changes, duty.TicketChange),
        (schema.checks, duty.Check),
        (schema.occurrences, duty.Occurrence),
        (schema.outbox, duty.OutboxRow),
        (schema.devices, duty.Device),
        (schema.people, duty.Person),
        (schema.audit, duty.AuditRow),
        (schema.changes, duty.Change),
        (schema.exchanges, metering.Exchange),
        (schema.period_reads, metering.PeriodRead),
        (schema.statements, metering.Statement),
        (schema.points, PointSpec),
        (schema.attributes, Attribute),
        (schema.events, Event),
    ],
    ids=lambda value: getattr(value, "name", getattr(value, "__name__", "")),
)
def test_every_field_has_a_column(table: Table, kind: type) -> None:
    assert {f.name for f in fields(kind)} <= set(table.c.keys())


def test_head_is_the_newest_migration() -> None:
    config = Config()
    config.set_main_option("script_location", str(Path(migrate.__file__).parent / "migrations"))
    assert ScriptDirectory.from_config(config).get_current_head() == migrate.HEAD


def _tables(file: Path) -> dict[str, str]:
    """What SQLite says of every table and index, blanks and the migration's own table aside."""
    with closing(sqlite3.connect(file)) as database:
        found = database.execute("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL").fetchall()
    return {n: " ".join(sql.split()) for n, sql in found if n != "alembic_version"}


def _parts(sql: str) -> list[str]:
    """Columns and constraints, in whatever order they stand."""
    return sorted(part.rstrip(") ") for part in sql.split(", "))


def test_a_migrated_schema_equals_a_fresh_one(tmp_path: Path) -> None:
    open_records(f"sqlite:///{tmp_path}/migrated.sqlite").close()
    fresh = create_engine(f"sqlite:///{tmp_path}/fresh.sqlite")
    schema.metadata.create_all(fresh)
    fresh.dispose()
    migrated = create_engine(f"sqlite:///{tmp_path}/migrated.sqlite")
    with migrated.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, schema.metadata) == []
    migrated.dispose()
    old, new = _tables(tmp_path / "migrated.sqlite"), _tables(tmp_path / "fresh.sqlite")
    assert old.keys() == new.keys()
    for name in new:
        assert _parts(old[name]) == _parts(new[name]), name


def _old_file(folder: Path) -> Path:
    file = folder / "records.sqlite"
    with closing(sqlite3.connect(file)) as database:
        database.executescript(OLD.read_text(encoding="utf-8"))
    return file


def test_an_older_file_is_copied_and_migrated_with_all_it_holds(tmp_path: Path) -> None:
    file = _old_file(tmp_path)
    records = open_records(f"sqlite:///{file}")
    with records.read() as tx:
        (alarm,) = tx.alarms.open_ones("site")
        assert (alarm.rule, alarm.value, alarm.arguments) == ("water.burst", 4.8, {"value": 4.8})
        assert [t.number for t in tx.tickets.search("site")] == ["WO-000001"]
        assert [p.spec.name for p in tx.devices.points("site")] == ["volume"]
        assert tx.cursor("site", "watch", Lane.NORMAL) == 7
        assert tx.blob("site", "rules") == b"\x01\x02"
    records.close()
    copy = tmp_path / "records.sqlite.schema-0001.bak"
    with closing(sqlite3.connect(copy)) as database:
        assert database.execute("SELECT version_num FROM alembic_version").fetchone() == ("0001",)
        assert database.execute("SELECT count(*) FROM alarms").fetchone() == (1,)
    with closing(sqlite3.connect(file)) as database:
        assert database.execute("SELECT version_num FROM alembic_version").fetchone() == (migrate.HEAD,)
        assert database.execute("PRAGMA foreign_key_check").fetchall() == []


def test_the_next_start_migrates_nothing_and_copies_nothing(tmp_path: Path) -> None:
    file = tmp_path / "records.sqlite"
    for _ in range(2):
        open_records(f"sqlite:///{file}").close()
    assert list(tmp_path.glob("*.bak")) == []


def test_a_newer_file_is_refused_and_stays_as_it_is(tmp_path: Path) -> None:
    file = tmp_path / "records.sqlite"
    open_records(f"sqlite:///{file}").close()
    with closing(sqlite3.connect(file)) as database:
        database.execute("UPDATE alembic_version SET version_num = '9999'")
        database.commit()
    before = file.read_bytes()
    with pytest.raises(Rejected, match="schema 9999, made by a newer version"):
        open_records(f"sqlite:///{file}")
    assert file.read_bytes() == before


def test_a_migration_that_fails_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = _old_file(tmp_path)
    with closing(sqlite3.connect(file)) as database:  # stands in the way of the migration
        database.execute("CREATE INDEX events_by_time ON events (at)")
    with pytest.raises(Exception, match="events_by_time"):
        open_records(f"sqlite:///{file}")
    assert "alarms_by_time" not in _tables(file)


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        ("nonsense", "not a URL"),
        ("mysql://host/db", "cannot live in mysql"),
        ("sqlite://", "cannot live in sqlite"),
    ],
)
def test_a_wrong_address_is_named(url: str, sentence: str) -> None:
    with pytest.raises(Rejected, match=sentence):
        open_records(url)


def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "records.sqlite"
    file.write_text("these are not the rows you are looking for" * 50)
    with pytest.raises(Rejected, match="not a database"):
        open_records(f"sqlite:///{file}")
