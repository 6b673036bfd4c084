"""Real servers for the tests: started when a test first asks, one of each a test process.

Where one cannot be had, its tests are skipped and the summary says why; with
DUTYROOM_REQUIRE_SERVERS=1 that is a failure.
"""

from __future__ import annotations

import itertools
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import TypeVar

import hypothesis
import psycopg
import pytest
from influxdb_client.client.influxdb_client import InfluxDBClient
from tests import new_records
from tests.servers.child import Missing
from tests.servers.influx import Bucket, Influx, find_influx
from tests.servers.mosquitto import Mosquitto
from tests.servers.needed import SAID, unavailable
from tests.servers.postgres import Postgres, find_postgres

from dutyroom.backends import records_sql
from dutyroom.backends.broker import EmbeddedBroker

# No unit test is a timed one: on a busy machine making an example may take a second.
hypothesis.settings.register_profile(
    "busy", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow], print_blob=True
)
hypothesis.settings.load_profile("busy")

T = TypeVar("T")
_number = itertools.count()
HERE = Path(__file__).parent


def _had(name: str, find: Callable[[], T]) -> T:
    try:
        return find()
    except Missing as err:
        unavailable(name, err)


# Where tests take longest, the longest first. What is left at the end is short: no process waits for another's last file.
LONG = (
    "acceptance/test_scenarios.py", "acceptance/test_demo.py", "acceptance/test_pages_browser.py", "acceptance", "chaos",
    "flows", "contract", "unit/api", "unit/duty", "unit/site",
)  # fmt: skip


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: _turn(item.path))  # those of a file stay together, in their order


@cache
def _turn(file: Path) -> int:
    place = file.relative_to(HERE).as_posix() if file.is_relative_to(HERE) else ""
    return next(
        (n for n, long in enumerate(LONG) if place == long or place.startswith(f"{long}/")), len(LONG)
    )


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """One line for each server that could not be had."""
    said = set()
    for outcome in ("skipped", "failed", "error"):
        for report in terminalreporter.stats.get(outcome, []):
            text = str(report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr)
            said |= {line[line.index(SAID) :].strip() for line in text.splitlines() if SAID in line}
    for line in sorted(said):
        terminalreporter.write_line(line)


@pytest.fixture(autouse=True, scope="session")
def _new_records_are_copies() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(records_sql.records, "bring_up_to_date", new_records.bring_up_to_date)
        yield


@pytest.fixture(scope="session")
def _mosquitto(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mosquitto]:
    broker = _had("mosquitto", lambda: Mosquitto(tmp_path_factory.mktemp("mosquitto")))
    yield broker
    broker.stop()


@pytest.fixture
def mosquitto(_mosquitto: Mosquitto) -> Mosquitto:
    """A running Mosquitto (host, port). Tests share it: use topics and client ids of your own."""
    if not _mosquitto.running:  # a test may have killed it
        _had("mosquitto", _mosquitto.start)
    return _mosquitto


@pytest.fixture
def new_mosquitto(tmp_path: Path) -> Iterator[Callable[[str], Mosquitto]]:
    """Starts a Mosquitto of the test's own, which it may stop; the text is added to its configuration."""
    made: list[Mosquitto] = []

    def start(extra: str = "") -> Mosquitto:
        broker = _had("mosquitto", lambda: Mosquitto(tmp_path / f"mosquitto-{len(made)}", extra))
        made.append(broker)
        _had("mosquitto", broker.start)
        return broker

    yield start
    for broker in made:
        broker.stop()


@pytest.fixture
def embedded_broker(tmp_path: Path) -> Iterator[EmbeddedBroker]:
    """The broker of the demo, a fresh one for each test."""
    with EmbeddedBroker(tmp_path / "embedded-broker") as broker:
        yield broker


@pytest.fixture(scope="session")
def influx_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Influx]:
    server = _had("influxdb", lambda: find_influx(tmp_path_factory.mktemp("influx")))
    yield server
    server.stop()


@pytest.fixture
def influx(influx_server: Influx) -> Iterator[Bucket]:
    """A bucket of its own for each test (url, token, org, name)."""
    server = influx_server
    name = f"t{os.getpid()}-{next(_number)}"
    with InfluxDBClient(url=server.url, token=server.token, org=server.org) as client:
        bucket = client.buckets_api().create_bucket(bucket_name=name, org=server.org)
        yield Bucket(server.url, server.token, server.org, name)
        client.buckets_api().delete_bucket(bucket)


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[Postgres]:
    server = _had("postgresql", find_postgres)
    yield server
    server.stop()


@pytest.fixture
def postgres_url(postgres_server: Postgres) -> Iterator[str]:
    """postgresql:// address of an empty database of its own for each test."""
    with _database(postgres_server, "template0") as url:
        yield url


@pytest.fixture(scope="session")
def _migrated(postgres_server: Postgres) -> str:
    """A database to copy: all migrations take half a second."""
    with psycopg.connect(postgres_server.url, autocommit=True) as server:
        server.execute("CREATE DATABASE migrated TEMPLATE template0")
    records_sql.open_records(postgres_server.database("migrated")).close()
    return "migrated"


@pytest.fixture
def postgres_records_url(postgres_server: Postgres, _migrated: str) -> Iterator[str]:
    """The same with the schema of the records in it."""
    with _database(postgres_server, _migrated) as url:
        yield url


@contextmanager
def _database(server: Postgres, template: str) -> Iterator[str]:
    name = f"t{os.getpid()}_{next(_number)}"
    with psycopg.connect(server.url, autocommit=True) as asked:
        asked.execute(f"CREATE DATABASE {name} TEMPLATE {template}")
    yield server.database(name)
    with psycopg.connect(server.url, autocommit=True) as asked:
        asked.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")


@pytest.fixture(scope="session")
def chromium() -> str:
    """The path of a Chromium."""
    for name in ("chromium", "chromium-browser", "google-chrome"):
        if found := shutil.which(name):
            return found
    return unavailable("chromium", "no chromium on the path; install the package chromium")
