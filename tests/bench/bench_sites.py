"""Many small sites in one process: `python -m tests.bench.bench_sites`.

`dutyroom ingest` owns ten sites of four devices, records in PostgreSQL (without `fsync`), readings in local files, a real
Mosquitto. Nearly every message comes alone there: what it costs is commits and questions to the records, not reading it.
Processor time of the process, and of PostgreSQL, at rest and at a rate of messages of all sites together.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import psycopg
from tests.bench.measure import busy, cpu_seconds, machine
from tests.servers.mosquitto import Mosquitto
from tests.servers.postgres import Postgres, find_postgres

from dutyroom.backends.records_sql import SqlRecords, open_records

sys.path.insert(0, str(Path(__file__).parents[1] / "acceptance"))

import test_two_processes as estate

DAY_MS = 86_400_000


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rates", type=float, nargs="*", default=[0, 22], help="messages/s of all sites")
    parser.add_argument("--seconds", type=float, default=30)
    asked = parser.parse_args()
    print(machine())
    print("\n| messages/s, ten sites | ingest, of a core | PostgreSQL, of a core |\n| --: | --: | --: |")
    server = find_postgres()
    try:
        with tempfile.TemporaryDirectory() as folder, running(Path(folder), server) as (pid, port):
            for rate in asked.rates:
                with load(port, rate):
                    time.sleep(10)
                    before = postgres_seconds(server)
                    own = busy({pid}, asked.seconds)
                    theirs = (postgres_seconds(server) - before) / asked.seconds
                print(f"| {rate:g} | {own:.1%} | {theirs:.1%} |", flush=True)
    finally:
        server.stop()


@contextmanager
def running(folder: Path, server: Postgres) -> Iterator[tuple[int, int]]:
    """The process that owns all sites, and the broker's port."""
    broker = Mosquitto(folder / "mosquitto", "max_inflight_messages 1000\n")
    broker.start()
    url = server.database("sites")
    with psycopg.connect(server.url, autocommit=True) as link:
        link.execute("CREATE DATABASE sites")
    sites = [word for site in estate.write_sites(folder / "s", broker.port) for word in ("--site", str(site))]
    with closing(open_records(url)) as records:
        command = [sys.executable, "-m", "dutyroom.cli", "ingest", *sites, "--data", str(folder / "data")]
        with (folder / "out").open("wb") as out:
            process = subprocess.Popen([*command, "--records", url], stdout=out, stderr=out)
        try:
            wait_for_all(records)
            yield process.pid, broker.port
        finally:
            process.terminate()
            process.wait(60)
            broker.stop()


def wait_for_all(records: SqlRecords) -> None:
    deadline = time.monotonic() + 180
    while len(estate.owned(records)) < len(estate.SITES):
        if time.monotonic() > deadline:
            raise SystemExit("the sites were not opened within 3 minutes")
        time.sleep(0.5)


@contextmanager
def load(port: int, rate: float) -> Iterator[None]:
    if not rate:
        yield
        return
    estate.RATE = rate
    with estate.Devices(port, int(time.time() * 1000) - 3 * DAY_MS):
        yield


def postgres_seconds(server: Postgres) -> float:
    """Processor time of all its processes, of those that have ended, too."""
    with psycopg.connect(server.url) as link:
        row = link.execute("SELECT pg_backend_pid()").fetchone()
        assert row is not None
        parent = int(_stat(row[0])[1])
        children = [
            p for p in Path("/proc").iterdir() if p.name.isdigit() and _stat(p.name)[1:2] == [str(parent)]
        ]
        ended = sum(map(int, _stat(parent)[13:15])) / 100
        return ended + cpu_seconds([parent, *(int(p.name) for p in children)])


def _stat(pid: int | str) -> list[str]:
    """Fields of a process from its state on; [] = it has ended."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []


if __name__ == "__main__":
    main()
