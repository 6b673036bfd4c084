"""What a message costs from 1,000 to 1,000,000 points, and what a point takes: `python -m tests.bench.bench_flat`.

One process without a broker: messages made before (138 bytes of flat JSON, 7 values) go through Ingest (decode,
validate, ledger), the journal (durable), the rules that are shipped and three limits, and Keep into the embedded
store, in batches of 8,192. All devices in turn, a minute between two messages of one. What is paid once (a first
message of each device) is left out of the flat figure and told beside it. Times are of the processor, by stage;
`upkeep` goes on until all readings are in chunks, `--least` messages of each device are measured at least, so that
this is what it costs in the long run. Pauses are the longest call, by the clock.
"""

from __future__ import annotations

import argparse
import cProfile
import gc
import os
import pstats
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.bench.consumers import PROFILE, RULES, TOPIC, payload
from tests.bench.measure import machine, resident

from dutyroom.backends.clock import SystemClock
from dutyroom.backends.journal import SqliteJournal
from dutyroom.backends.readings_embedded import EmbeddedReadingStore
from dutyroom.backends.records_sql.records import open_records
from dutyroom.flows.ingest import Ingest
from dutyroom.flows.keep import Keep
from dutyroom.flows.live import Live
from dutyroom.flows.registry import Registry
from dutyroom.model.duty import Device
from dutyroom.model.telemetry import DeviceClass, Lane, Message, Point, PointTable
from dutyroom.profiles.decode import Library
from dutyroom.profiles.loading import read_profile
from dutyroom.rules.engine import Engine
from dutyroom.rules.parse import default_rules, parse_rules
from dutyroom.timebase import zone

BATCH, EVERY, VALUES = 8_192, 60_000, 7
TURN = 4 * BATCH  # messages between two turns of the store's reader
STAGES = ("ingest", "rules", "keep", "upkeep")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--points", type=int, nargs="*", default=[1_000, 10_000, 100_000, 1_000_000])
    parser.add_argument("--messages", type=int, default=500_000, help="measured, after one of each device")
    parser.add_argument(
        "--least", type=int, default=16, help="messages of each device that are measured at least"
    )
    parser.add_argument("--profile", choices=STAGES, help="where the time of a stage goes")
    parser.add_argument("--one", action="store_true", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.one or asked.profile:
        with tempfile.TemporaryDirectory() as folder:
            measure(Path(folder), asked.points[0], asked.messages, asked.least, asked.profile or "")
        return
    print(machine())
    head = (
        "points", "a message", "a reading", *STAGES, "first message of a device",
        "memory a point: after it, in the end",
        "longest call: ingest, keep, upkeep",
    )  # fmt: skip
    print(f"\n| {' | '.join(head)} |\n|{' --: |' * len(head)}", flush=True)
    for points in asked.points:  # each in a process of its own, for its memory
        more = [
            "--one",
            "--points",
            str(points),
            "--messages",
            str(asked.messages),
            "--least",
            str(asked.least),
        ]
        subprocess.run([sys.executable, "-m", "tests.bench.bench_flat", *more], check=True)


class Site:
    """Everything that a message goes through, called in turn."""

    def __init__(self, folder: Path, points: int) -> None:
        self.count = max(1, points // VALUES)
        profile = read_profile(PROFILE, "bench/meter")
        specs = [rule.spec for rule in profile.layouts[0].points]
        names = [f"m{n:05d}" for n in range(self.count)]
        devices = [
            Device("s", n, n, "electricity_meter", "bench/meter", n, "", interval_s=900) for n in names
        ]
        self.table = PointTable()
        for name in names:
            for spec in specs:
                kind = DeviceClass.ELECTRICITY_METER
                self.table.add(Point(len(self.table) + 1, "s", name, kind, "", spec))
        registry, self.live = Registry(devices), Live()
        library = Library([profile], zone("Asia/Shanghai"))
        self.records = open_records(f"sqlite:///{folder}/records.sqlite")
        self.journal = SqliteJournal(folder / "journal.sqlite")
        self.store = EmbeddedReadingStore(folder / "readings.sqlite")
        args = ("s", library, registry, self.table, self.journal, self.records, self.live)
        self.ingest = Ingest(*args)
        rules = {r.id: r for r in (*default_rules(), *parse_rules(RULES, "rules.yaml"))}
        self.engine = Engine(rules.values(), self.table, registry.by_id)
        self.keep = Keep("s", self.table, self.journal, self.store, self.records)
        self.began, self.sent, self.seen = SystemClock().now() - 86_400_000, 0, 0
        self.spent, self.longest = dict.fromkeys(STAGES, 0.0), dict.fromkeys(STAGES, 0.0)
        self.profiles = {stage: cProfile.Profile(time.process_time) for stage in STAGES}
        self.watched = ""

    def messages(self, count: int) -> list[Message]:
        """The next ones of all devices in turn: a minute between two of one, each a second on its way."""
        began, made = self.began, []
        for n in range(self.sent, self.sent + count):
            device, number = n % self.count, n // self.count
            at = began + number * EVERY + device * EVERY // self.count
            made.append(
                Message(TOPIC.format(device=f"m{device:05d}"), payload(device, number, at), at + 1000)
            )
        self.sent += count
        return made

    def take(self, messages: Sequence[Message]) -> None:
        with self._stage("ingest"):
            self.ingest.handle(messages)
        with self._stage("rules"):
            for seq, batch in self.journal.read(Lane.NORMAL, self.seen, 64):
                self.engine.feed(batch)
                self.seen = seq

    def store_all(self) -> None:
        with self._stage("keep"):
            self.keep.drain()
        with self._stage("upkeep"):
            self.store.tidy()

    def finish(self) -> None:
        more = True
        while more:
            with self._stage("upkeep"):
                more = self.store.tidy(all_of_it=True)

    @contextmanager
    def _stage(self, name: str) -> Iterator[None]:
        if name == self.watched:
            self.profiles[name].enable()
        began, at = time.process_time(), time.perf_counter()
        yield
        self.spent[name] += time.process_time() - began
        self.longest[name] = max(self.longest[name], time.perf_counter() - at)
        if name == self.watched:
            self.profiles[name].disable()

    def go(self, count: int) -> dict[str, float]:
        """Processor time by stage; the store's reader takes some batches at once, as in the service."""
        self.spent, self.longest = dict.fromkeys(STAGES, 0.0), dict.fromkeys(STAGES, 0.0)
        for start in range(0, count, TURN):
            messages = self.messages(min(TURN, count - start))
            for first in range(0, len(messages), BATCH):
                self.take(messages[first : first + BATCH])
            self.store_all()
        self.finish()
        return dict(self.spent)

    def close(self) -> None:
        self.store.close()
        self.journal.close()
        self.records.close()


def measure(folder: Path, points: int, count: int, least: int, profile: str) -> None:
    gc.collect()
    before = resident(os.getpid())
    site = Site(folder, points)
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 50)  # as in the service
    once = max(site.count, BATCH)
    first = site.go(once)
    gc.collect()
    memory = (resident(os.getpid()) - before) / len(site.table)
    count, site.watched = max(count, least * site.count), profile
    spent = site.go(count)
    most = (resident(os.getpid()) - before) / len(site.table)
    rows = site.journal.ledger(0)
    assert sum(row.received for row in rows) == sum(row.decoded for row in rows) == site.sent
    assert sum(row.stored for row in rows) == site.sent * VALUES
    each = [f"{spent[stage] / count * 1e6:.2f} µs" for stage in STAGES]
    whole, begun = sum(spent.values()) / count * 1e6, sum(first.values()) / once * 1e6
    pauses = [f"{site.longest[stage] * 1000:.0f} ms" for stage in ("ingest", "keep", "upkeep")]
    print(
        f"| {len(site.table):,} | {whole:.1f} µs | {whole / VALUES:.2f} µs | {' | '.join(each)} | "
        f"{begun - whole:.0f} µs | {memory:,.0f}, {most:,.0f} B | {', '.join(pauses)} |",
        flush=True,
    )
    if profile:
        pstats.Stats(site.profiles[profile]).sort_stats("tottime").print_stats(25)
    site.close()


if __name__ == "__main__":
    main()
