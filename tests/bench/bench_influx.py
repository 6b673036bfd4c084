"""Readings into a real InfluxDB, what the client and the server spend on it: `python -m tests.bench.bench_influx`.

One line is a meter's message of seven points (a register, five gauges, a state); every meter sends one after the
other. Processor time a line is the figure that holds on a busy machine; lines a second are of this one.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import influxdb_client
import numpy as np
from influxdb_client.client.write_api import SYNCHRONOUS
from tests.bench.measure import cpu_seconds, machine, median
from tests.servers.influx import Influx, new_influx

from dutyroom.backends.influx_door import Door
from dutyroom.backends.influx_history import to_its_end
from dutyroom.backends.influx_lines import LineMaker
from dutyroom.backends.influx_setup import first_user, set_up
from dutyroom.backends.influx_tasks import Plan, body
from dutyroom.backends.readings_embedded import EmbeddedReadingStore
from dutyroom.backends.readings_influx import InfluxReadingStore
from dutyroom.flows.copying import copy_readings
from dutyroom.model.telemetry import DeviceClass, Kind, Point, PointSpec, PointTable, Readings
from dutyroom.timebase import DAY, MINUTE

GAUGES = ("flow", "temperature", "pressure", "battery", "signal")
SPECS = [
    PointSpec("volume", "volume", "m3", Kind.COUNTER, Decimal("0.001"), 9),
    *(PointSpec(name) for name in GAUGES),
    PointSpec("valve", kind=Kind.STATE),
]
FIELDS = len(SPECS)
T = 1_790_000_400_000  # a whole 5 minutes
_influx: Any = influxdb_client


@dataclass(frozen=True)
class Estate:
    """So many meters of seven points each."""

    points: list[Point]

    @staticmethod
    def of(meters: int, site: str = "estate") -> Estate:
        kind = DeviceClass.WATER_METER
        return Estate(
            [
                Point(m * FIELDS + n + 1, site, f"meter-{m:05}", kind, f"A/{m}", spec)
                for m in range(meters)
                for n, spec in enumerate(SPECS)
            ]
        )

    def batches(self, lines: int, size: int, step: int, first: int = T) -> Iterator[Readings]:
        """`size` messages each: the meters in turn, `step` ms from one message of a meter to its next."""
        rng = np.random.default_rng(first)
        meters = len(self.points) // FIELDS
        for start in range(0, lines, size):
            n = np.arange(start, min(start + size, lines))
            meter, turn = n % meters, n // meters
            at = np.repeat(first + turn * step + meter * step // meters, FIELDS)
            point = (meter[:, None] * FIELDS + np.arange(1, FIELDS + 1)).ravel().astype(np.int32)
            value = np.round(rng.random(len(point)) * 100, 3)
            value[::FIELDS] = meter * 1000 + turn
            value[FIELDS - 1 :: FIELDS] = turn % 2
            nothing = np.zeros(len(point), np.int32)
            yield Readings(point, at, value, nothing.astype(np.uint8), nothing)


def spent(work: Callable[[], object]) -> float:
    """Processor seconds of this process."""
    began = time.process_time()
    work()
    return time.process_time() - began


def building(estate: Estate, size: int) -> None:
    """From columns to bytes; no server."""
    table, maker = PointTable(estate.points), LineMaker()
    batches = list(estate.batches(size * 12, size, 15 * MINUTE))

    def ours(readings: Readings) -> None:
        slots, rows = maker.learn(readings, table), np.arange(len(readings))
        for _ in maker.lines(readings, slots, rows).blocks(size):
            pass
        maker.written(readings, slots, rows)

    first = spent(lambda: ours(batches[0])) / size
    later = median(spent(lambda r=r: ours(r)) / size for r in batches[1:])  # type: ignore[misc]
    print(
        f"columns to bytes, {size:,} lines a block      {later * 1e6:6.2f} us CPU a line ({first * 1e6:.0f} the first time)"
    )
    few = next(estate.batches(2_000, 2_000, 15 * MINUTE))
    naive = spent(lambda: [point.to_line_protocol() for point in as_points(estate, few)]) / 2_000
    print(
        f"beside it: `Point` objects to lines          {naive * 1e6:6.2f} us CPU a line   x {naive / later:.0f}"
    )


def as_points(estate: Estate, readings: Readings) -> list[Any]:
    """The way of the client's own documentation."""
    made = []
    for start in range(0, len(readings), FIELDS):
        first = estate.points[int(readings.point[start]) - 1]
        line = _influx.Point("water_meter").tag("device", first.device).tag("site", first.site)
        for row in range(start, start + FIELDS):
            spec = estate.points[int(readings.point[row]) - 1].spec
            value = float(readings.value[row])
            line = line.field(spec.name, int(value) if spec.kind is Kind.COUNTER else value)
        made.append(line.time(int(readings.at[start]), "ms"))
    return made


@dataclass
class Server:
    """A fresh InfluxDB, set up as an operator would."""

    influx: Influx
    token: str
    plan: Plan

    @property
    def cpu(self) -> float:
        child = self.influx.child
        assert child is not None
        return cpu_seconds([child.pid])

    def store(self, site: str = "estate") -> InfluxReadingStore:
        return InfluxReadingStore(
            self.influx.url, self.token, self.plan.org, self.plan.bucket, site, timeout_s=120
        )


def writing(server: Server, estate: Estate, lines: int, size: int, first: int) -> None:
    store, table = server.store(), PointTable(estate.points)
    batches = list(estate.batches(lines, size, 5_000, first))
    store.write(batches[0], table)  # names are learnt
    mine, its, began = time.process_time(), server.cpu, time.perf_counter()
    for readings in batches[1:]:
        store.write(readings, table)
    took, count = time.perf_counter() - began, lines - size
    mine, its = time.process_time() - mine, server.cpu - its
    store.close()
    print(
        f"store.write, {size:,} lines a batch           {mine / count * 1e6:6.2f} us CPU a line, influxd "
        f"{its / count * 1e6:5.1f}; {count / took:>8,.0f} lines/s"
    )


def writing_points(server: Server, estate: Estate, lines: int, size: int) -> None:
    with _influx.InfluxDBClient(url=server.influx.url, token=server.token, org=server.plan.org) as client:
        api = client.write_api(write_options=SYNCHRONOUS)
        batches = list(estate.batches(lines, size, 5_000, T - DAY))
        mine, its, began = time.process_time(), server.cpu, time.perf_counter()
        for readings in batches:
            api.write(server.plan.bucket, record=as_points(estate, readings), write_precision="ms")
        took = time.perf_counter() - began
        mine, its = time.process_time() - mine, server.cpu - its
    print(
        f"beside it: `Point` objects, {size:,} a batch   {mine / lines * 1e6:6.2f} us CPU a line, influxd "
        f"{its / lines * 1e6:5.1f}; {lines / took:>8,.0f} lines/s"
    )


def downsampling(server: Server, estate: Estate) -> None:
    """What one run of each task over a window of 5 minutes costs: every point sent something."""
    bucket, points = server.plan.bucket, len(estate.points)
    for kind in ("last", "windows"):
        flux = body(server.plan.org, kind, bucket, f"{bucket}_5m", "5m", iso(T), iso(T + 5 * MINUTE))
        with _influx.InfluxDBClient(
            url=server.influx.url, token=server.token, org=server.plan.org, timeout=600_000
        ) as client:
            its, began = server.cpu, time.perf_counter()
            to_its_end(client.query_api(), f'import "date"\n{flux}', server.plan.org)
        print(
            f"task `{kind}`, {points:,} points{'':14} influxd {(server.cpu - its) / points * 1e6:5.0f} us CPU a point; "
            f"{time.perf_counter() - began:.1f} s"
        )


def iso(at: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(at / 1000))


def reading(server: Server, estate: Estate) -> None:
    store = server.store()
    registers = estate.points[::FIELDS]
    for name, work in {
        f"at a moment, {len(registers):,} registers": lambda: store.at(registers, T + 4 * MINUTE, DAY),
        f"latest, {len(registers):,} registers": lambda: store.latest(registers),
        "range of one point": lambda: store.range(registers[7], T, T + DAY),
        "buckets of one point": lambda: store.buckets(registers[7], T, T + DAY, 5 * MINUTE),
    }.items():
        times = []
        for _ in range(3):
            began = time.perf_counter()
            work()
            times.append(time.perf_counter() - began)
        print(f"{name:44} {median(times) * 1000:>7.1f} ms")
    store.close()


def copying(server: Server, meters: int, folder: Path) -> None:
    """A month of quarters of an hour from the embedded store, compared and written."""
    estate = Estate.of(meters, "copied")
    table, lines = PointTable(estate.points), meters * 96 * 30
    source = EmbeddedReadingStore(folder / "readings.sqlite")
    for readings in estate.batches(lines, 20_000, 15 * MINUTE):
        source.write(readings, table)
    target = server.store("copied")
    for name in ("copy of what is not there", "the same again, compared only"):
        began = time.perf_counter()
        done = copy_readings(table, source, target)
        took = time.perf_counter() - began
        if done.differences:
            raise SystemExit(f"{len(done.differences)} points differ")
        print(f"{name:44} {done.total('source') / took:>8,.0f} readings/s")
    source.close()
    target.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--lines", type=int, default=200_000, help="for each size of batch")
    parser.add_argument("--meters", type=int, default=5_000)
    parser.add_argument("--copied", type=int, default=20, help="meters whose month is copied")
    given = parser.parse_args()
    print(f"{machine()}; lines of {FIELDS} fields, {given.meters:,} meters")
    estate = Estate.of(given.meters)
    for size in (5_000, 10_000):
        building(estate, size)
    with tempfile.TemporaryDirectory() as folder:
        influx = new_influx(Path(folder) / "influx")
        try:
            plan = Plan("bench", "bench", 0, 0, 0)
            token = first_user(Door(influx.url), plan, "bench", "only-for-benches")
            set_up(Door(influx.url), token, plan, lambda _: None, 0, dry=False, shorten=False)
            server = Server(influx, token, plan)
            for turn, size in enumerate((5_000, 10_000)):
                writing(server, estate, given.lines, size, T + turn * DAY)
            writing_points(server, estate, given.lines // 10, 5_000)
            reading(server, estate)
            downsampling(server, estate)
            copying(server, given.copied, Path(folder))
        finally:
            influx.stop()


if __name__ == "__main__":
    main()
