"""Records on a server that may be away, restarted or of an older schema."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from sqlalchemy import create_engine

from dutyroom.backends.records_sql import migrate, open_records, schema
from dutyroom.errors import Rejected, Unavailable
from dutyroom.model.duty import Device, Person, Role
from dutyroom.model.metering import PeriodRead, ReadFlag
from dutyroom.model.telemetry import Lane

pytestmark = pytest.mark.servers


def _upgrade(url: str, revision: str) -> None:
    """Brings a database to a schema of the past."""
    engine = create_engine(url.replace("postgresql://", "postgresql+psycopg://"))
    config = Config()
    config.set_main_option("script_location", str(migrate.MIGRATIONS))
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, revision)
    engine.dispose()


def test_an_older_schema_is_migrated(postgres_url: str) -> None:
    _upgrade(postgres_url, "0001")
    with psycopg.connect(postgres_url) as raw:
        raw.execute("INSERT INTO cursors VALUES ('s', 'watch', 1, 7)")
        raw.execute("INSERT INTO blobs VALUES ('s', 'rules', %s)", (b"\x01\x02",))
        raw.execute(
            "INSERT INTO period_reads (site, device, point, cut_off, steps, at, flag, version, method, source, actor,"
            " reason) VALUES ('s', 'm', 'volume', 1, 2, 3, 'A', 1, 'nearest_before', '', 'system', '')"
        )
    records = open_records(postgres_url)
    with records.read() as tx:
        assert (tx.cursor("s", "watch", Lane.NORMAL), tx.blob("s", "rules")) == (7, b"\x01\x02")
        assert [read.steps for read in tx.metering.period_reads("s", 1)] == [2]
    records.close()
    engine = create_engine(postgres_url.replace("postgresql://", "postgresql+psycopg://"))
    with engine.connect() as connection:
        assert migrate.schema_version(connection) == migrate.HEAD
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, schema.metadata) == []
    engine.dispose()


def test_a_newer_schema_is_refused(postgres_url: str) -> None:
    open_records(postgres_url).close()
    with psycopg.connect(postgres_url) as raw:
        raw.execute("UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(Rejected, match="newer version"):
        open_records(postgres_url)


def test_after_a_restart_of_the_server_the_records_go_on(postgres_url: str) -> None:
    records = open_records(postgres_url)
    with records.write() as tx:
        tx.put_blob("s", "x", b"1")
    with psycopg.connect(postgres_url, autocommit=True) as raw:
        raw.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
    with records.read() as tx:
        assert tx.blob("s", "x") == b"1"
    records.close()


def test_a_connection_lost_inside_a_transaction_is_unavailable_and_leaves_nothing(postgres_url: str) -> None:
    records = open_records(postgres_url)

    def lose() -> None:
        with records.write() as tx:
            tx.put_blob("s", "x", b"1")
            with psycopg.connect(postgres_url, autocommit=True) as raw:
                raw.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                    " WHERE datname = current_database() AND pid <> pg_backend_pid()"
                )
            tx.put_blob("s", "y", b"2")

    with pytest.raises(Unavailable):
        lose()
    with records.read() as tx:
        assert (tx.blob("s", "x"), tx.blob("s", "y")) == (None, None)
    records.close()


def test_a_server_that_is_not_there_is_unavailable() -> None:
    with pytest.raises(Unavailable) as failed:
        open_records("postgresql://nobody:geheim@127.0.0.1:9/none")
    assert "geheim" not in str(failed.value)


def test_two_processes_that_start_at_once_make_one_schema(postgres_url: str) -> None:
    with ThreadPoolExecutor(4) as pool:
        opened = list(pool.map(open_records, [postgres_url] * 4))
    for records in opened:
        with records.read() as tx:
            assert tx.last_change() == 0
        records.close()
    with psycopg.connect(postgres_url) as raw:
        assert raw.execute("SELECT count(*) FROM alembic_version").fetchone() == (1,)


@pytest.fixture
def english(postgres_url: str) -> Iterator[str]:
    """A database that sorts as English does, like those of most servers: a, A, b."""
    with psycopg.connect(postgres_url, autocommit=True) as server:
        server.execute("CREATE DATABASE english TEMPLATE template0 LOCALE_PROVIDER icu ICU_LOCALE 'en-US'")
    yield f"{postgres_url.rpartition('/')[0]}/english"
    with psycopg.connect(postgres_url, autocommit=True) as server:
        server.execute("DROP DATABASE english WITH (FORCE)")


def test_texts_are_ordered_by_code_point_whatever_the_server_speaks(english: str) -> None:
    """What is sorted by the database is sorted as in SQLite: pages, files, who gets the last fen."""
    names = ["B/2", "a/1", "A/10", "A-1", "A/2", "\u4e2d/1", "_x", "a-1"]
    records = open_records(english)
    with records.write() as tx:
        tx.metering.freeze([PeriodRead("s", n, "volume", 1, 1, 1, ReadFlag.ACTUAL) for n in names])
        tx.devices.upsert([Device("s", n, n, "water_meter", "v/m", n, "A") for n in names])
        for name in names:
            tx.people.upsert(Person(0, "s", name, name, Role.VIEWER, "en"))
    with records.read() as tx:
        assert [r.device for r in tx.metering.period_reads("s", 1)] == sorted(names)
        assert [d.id for d in tx.devices.all("s")] == sorted(names)
        assert [p.login for p in tx.people.all("s")] == sorted(names)
    records.close()
