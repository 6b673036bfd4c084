"""Many alarms at once: `python -m tests.bench.bench_storm`.

Devices that all cross a limit in one batch of the journal, and leave it in a later one: the watch judges, writes
alarms, tickets and messages to people into records on SQLite (full sync), one transaction a batch. Processor
time of the watch for each, statements counted by the database driver.
"""

from __future__ import annotations

import argparse
import cProfile
import pstats
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
from sqlalchemy import Engine, event
from tests.bench.measure import machine

from dutyroom.backends.clock import SystemClock
from dutyroom.backends.journal import SqliteJournal
from dutyroom.backends.records_sql.records import SqlRecords, open_records
from dutyroom.flows.watch import Watch
from dutyroom.model.duty import Device, Person, Role
from dutyroom.model.telemetry import (
    Batch,
    DeviceClass,
    Lane,
    Message,
    MessageRecord,
    Outcome,
    Point,
    PointSpec,
    PointTable,
    Readings,
)
from dutyroom.rules.engine import Engine as Rules
from dutyroom.rules.parse import parse_rules
from dutyroom.site import read_site

RULE = """\
rules:
  - {id: bench.hot, kind: limit, name: Hot terminal, select: {classes: [electricity_meter]},
     point: temperature, parameters: {above: 80, deadband: 5}, priority: 2, ticket: now}
"""
SITE = "id: storm\nname: {en: Storm}\ntime_zone: Asia/Shanghai\nlanguage: en\nbroker: {topics: ['m/+']}\n"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--alarms", type=int, nargs="*", default=[100, 1_000, 4_000])
    parser.add_argument("--profile", action="store_true")
    asked = parser.parse_args()
    print(machine())
    print("\n| alarms at once | raised | an alarm | statements | cleared | an alarm | statements |")
    print("| --: | --: | --: | --: | --: | --: | --: |")
    for count in asked.alarms:
        with tempfile.TemporaryDirectory() as folder:
            measure(Path(folder), count, asked.profile)


class Storm:
    """A site of so many meters, its records, its watch."""

    def __init__(self, folder: Path, count: int) -> None:
        self.count, self.now = count, SystemClock().now()
        self.records: SqlRecords = open_records(f"sqlite:///{folder}/records.sqlite")
        self.journal = SqliteJournal(folder / "journal.sqlite")
        self.table = PointTable()
        devices = {
            f"m{n}": Device("storm", f"m{n}", f"M {n}", "electricity_meter", "b/m", f"m{n}", "")
            for n in range(count)
        }
        with self.records.write() as tx:
            tx.devices.upsert(list(devices.values()))
            contact = ("json://localhost",)
            tx.people.upsert(Person(0, "storm", "o", "Operator", Role.OPERATOR, "en", contacts=contact))
        for number, name in enumerate(devices, 1):
            spec = PointSpec("temperature", "temperature", "°C")
            self.table.add(Point(number, "storm", name, DeviceClass.ELECTRICITY_METER, "", spec))
        (folder / "site.yaml").write_text(SITE)
        site, *_ = read_site(folder)
        assert site is not None
        site = replace(site, rules=tuple(parse_rules(RULE, "rules.yaml")))
        engine = Rules(site.rules, self.table, devices)
        self.watch = Watch(site, self.table, self.records, self.journal, engine, SystemClock())
        self.watch.start()

    def batch(self, value: float, at: int) -> None:
        """All meters say this."""
        records = tuple(
            MessageRecord(Message(f"m/{n}", b"", at), Outcome.DECODED, f"m{n}", "b/m")
            for n in range(self.count)
        )
        columns = Readings(
            np.arange(1, self.count + 1, dtype=np.int32),
            np.full(self.count, at, np.int64),
            np.full(self.count, value),
            np.zeros(self.count, np.uint8),
            np.arange(self.count, dtype=np.int32),
        )
        self.journal.append(Batch("storm", Lane.NORMAL, at, records, columns))

    def close(self) -> None:
        self.records.close()
        self.journal.close()


def measure(folder: Path, count: int, profile: bool) -> None:
    storm = Storm(folder, count)
    asked = _counted(storm.records._engine)
    row = []
    for step, value in enumerate((20.0, 90.0, 20.0)):
        storm.batch(value, storm.now - 60_000 + step * 1000)
        before = asked[0]
        spent = _took(storm.watch.drain, profile and step == 1)
        row.append((spent, asked[0] - before))
    with storm.records.read() as tx:
        stored = len(tx.alarms.search("storm", limit=10 * count))
        assert stored == count, f"{stored} of {count} alarms"
        assert all(a.cleared_at is not None for a in tx.alarms.search("storm", limit=10 * count))
        assert len(tx.tickets.search("storm", limit=10 * count)) == count
    _, raised, cleared = row
    shown = [f"{s:.2f} s | {s / count * 1e3:.2f} ms | {n / count:.1f} an alarm" for s, n in (raised, cleared)]
    print(f"| {count:,} | {' | '.join(shown)} |", flush=True)
    storm.close()


def _counted(engine: Engine) -> list[int]:
    """How many statements the driver was given."""
    asked = [0]

    @event.listens_for(engine, "before_cursor_execute")
    def count(_c: object, _cursor: object, _s: str, rows: object, _x: object, many: bool) -> None:
        asked[0] += len(rows) if many and isinstance(rows, list) else 1

    return asked


def _took(work: Callable[[], object], profile: bool) -> float:
    watched = cProfile.Profile()
    if profile:
        watched.enable()
    began = time.process_time()
    work()
    spent = time.process_time() - began
    if profile:
        watched.disable()
        pstats.Stats(watched).sort_stats("tottime").print_stats(25)
    return spent


if __name__ == "__main__":
    main()
