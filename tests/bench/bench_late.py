"""What late readings cost, in one process: the real journal, embedded store and SQLite records, shipped rules, `Keep`
and `Watch` as a site has them: `python -m tests.bench.bench_late`.

Times are of the processor. "backlog": after six hours in order 1,000 water meters (15 min) are away for a day, each
sends a new reading, then the 95 of the day before it; told until all alarms are right, beside the same readings in
order. "swaps": 500 electricity meters (power and energy every 10 s), an hour, 1 % of the readings come after
the next one or two; told for each reading, beside the same hour in order, and how many were judged again.
"""

from __future__ import annotations

import argparse
import random
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

from tests.bench.measure import machine

from dutyroom.backends.journal import SqliteJournal
from dutyroom.backends.readings_embedded import EmbeddedReadingStore
from dutyroom.backends.records_sql import open_records
from dutyroom.flows.keep import Keep
from dutyroom.flows.late import StoredPast
from dutyroom.flows.watch import Watch
from dutyroom.model.duty import Device
from dutyroom.model.telemetry import (
    Batch,
    DeviceClass,
    Kind,
    Lane,
    Message,
    MessageRecord,
    Outcome,
    Point,
    PointSpec,
    PointTable,
    Readings,
)
from dutyroom.rules.engine import Engine
from dutyroom.rules.parse import default_rules
from dutyroom.site import Site
from dutyroom.timebase import HOUR, MINUTE, SECOND, Ms

SITE, T0 = "late", 1_760_000_000_000
Row = tuple[int, Ms, float]  # point, read at, value


class Hand:
    """A clock that is set."""

    at: Ms = T0

    def now(self) -> Ms:
        return self.at


@dataclass(frozen=True, slots=True)
class House:
    """A site without its broker."""

    clock: Hand
    journal: SqliteJournal
    keep: Keep
    watch: Watch
    engine: Engine

    def take(self, rows: Sequence[Row], at: Ms) -> None:
        """They come at an instant and are stored and judged."""
        self.clock.at = at
        record = MessageRecord(Message("t", b"", at), Outcome.DECODED)
        readings = Readings.of([(point, when, value, 0, 0) for point, when, value in rows])
        self.journal.append(Batch(SITE, Lane.NORMAL, at, (record,), readings))
        self.keep.drain()
        self.watch.drain()
        self.watch.tick(at)

    def settle(self) -> int:
        """Until nothing waits to be judged again; returns how many looks it took."""
        looks = 0
        while self.engine.missed:
            self.clock.at += 6 * SECOND
            self.watch.tick(self.clock.at)
            looks += 1
        return looks


@contextmanager
def house(kind: DeviceClass, specs: Sequence[PointSpec], count: int, interval_s: int) -> Iterator[House]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        devices = {
            f"d{n}": Device(SITE, f"d{n}", "", kind, "p", f"d{n}", "", {"use": "unit"}, interval_s=interval_s)
            for n in range(count)
        }
        points = [
            Point(n * len(specs) + place + 1, SITE, device, kind, "", spec)
            for n, device in enumerate(devices)
            for place, spec in enumerate(specs)
        ]
        records = open_records(f"sqlite:///{folder}/records.sqlite")
        table = PointTable(points)
        journal, store = (
            SqliteJournal(folder / "journal.sqlite"),
            EmbeddedReadingStore(folder / "readings.sqlite"),
        )
        clock, engine = Hand(), Engine(default_rules(), table, devices)
        site = Site(SITE, {"en": "Late"}, "Asia/Shanghai")
        watch = Watch(site, table, records, journal, engine, clock, past=StoredPast(store, journal))
        yield House(clock, journal, Keep(SITE, table, journal, store, records), watch, engine)
        store.close()
        journal.close()
        records.close()


def backlog(count: int, late: bool) -> tuple[float, int, int]:
    """(processor seconds for the day's readings, rules and objects judged again, looks)."""
    dice = random.Random(1)
    volume = PointSpec("volume", "volume", "m3", Kind.COUNTER, Decimal("0.001"), 8, 900)
    with house(DeviceClass.WATER_METER, [volume], count, 900) as h:
        registers = [100_000.0 + n for n in range(count)]

        def turn(at: Ms) -> list[Row]:
            for n in range(count):
                registers[n] += dice.choice((0, 0, 3, 20))
            return [(n + 1, at + n, registers[n]) for n in range(count)]

        for number in range(24):
            h.take(turn(T0 + number * 15 * MINUTE), T0 + number * 15 * MINUTE + count)
        begin = T0 + 6 * HOUR
        day = [turn(begin + number * 15 * MINUTE) for number in range(96)]
        if late:
            h.take(day[-1], begin + 24 * HOUR)
        else:
            for number in range(95):
                h.take(day[number], begin + number * 15 * MINUTE + count)
        began = time.process_time()
        if not late:
            h.take(day[-1], begin + 24 * HOUR)
            return time.process_time() - began, 0, 0
        for rows in day[:-1]:
            h.take(rows, h.clock.at + 20)
        again = len(h.engine.missed)
        looks = h.settle()
        return time.process_time() - began, again, looks


def swaps(count: int, share: float) -> tuple[float, int]:
    """(processor seconds an hour of all, times that a rule and object was judged again)."""
    dice = random.Random(2)
    specs = [
        PointSpec("power", "power", "kW", interval_s=10),
        PointSpec("energy", "energy", "kWh", Kind.COUNTER, Decimal("0.01"), 8, 10),
    ]
    with house(DeviceClass.ELECTRICITY_METER, specs, count, 10) as h:
        held: list[list[Row]] = [[], [], []]
        again, spent = [0], 0.0
        whole = h.engine.take_over

        def counted(*rest: Any) -> None:
            again[0] += 1
            whole(*rest)

        h.engine.take_over = counted  # type: ignore[method-assign]
        for number in range(420):  # the first ten minutes are not told
            at = T0 + number * 10 * SECOND
            now: list[Row] = held.pop(0)
            held.append([])
            for n in range(count):
                both = [(2 * n + 1, at + n, dice.uniform(0, 5)), (2 * n + 2, at + n, 1e5 + number // 10)]
                (held[dice.randrange(1, 3)] if dice.random() < share else now).extend(both)
            began = time.process_time()
            h.take(now, at + SECOND)
            for second in range(2, 10):
                h.watch.tick(at + second * SECOND)
            spent += time.process_time() - began if number >= 60 else 0.0
        return spent, again[0]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--meters", type=int, default=1000)
    parser.add_argument("--devices", type=int, default=500)
    asked = parser.parse_args()
    print(machine())
    spent, again, looks = backlog(asked.meters, True)
    print(
        f"backlog: {spent:.1f} s for {95 * asked.meters:,} late readings; {again:,} judged again in {looks} looks"
    )
    readings = 2 * 360 * asked.devices
    plain, _ = swaps(asked.devices, 0.0)
    spent, again = swaps(asked.devices, 0.01)
    print(
        f"swaps: {spent / readings * 1e6:.1f} us a reading, in order {plain / readings * 1e6:.1f}; "
        f"{again:,} times judged again, {(spent - plain) / max(1, again) * 1e3:.2f} ms each"
    )


if __name__ == "__main__":
    main()
