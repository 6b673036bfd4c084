"""The embedded store beside plain SQLite rows, in one run: `python -m tests.bench.bench_store`.

Each writer gets the same readings in the order in which devices send them. Processor time is of the whole
process (user and system), with everything that is needed until all readings lie in chunks. The ratios are
what one may quote.
"""

from __future__ import annotations

import argparse
import gc
import sqlite3
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Protocol

import numpy as np
from tests.bench.measure import machine, median
from tests.bench.plain_rows import FirstRows, SortedRows

from dutyroom.backends.readings_embedded import EmbeddedReadingStore
from dutyroom.model.telemetry import DeviceClass, Kind, Point, PointSpec, PointTable, Readings
from dutyroom.timebase import DAY, HOUR

START, STEP = 1_790_000_000_000 // DAY * DAY, 900_000
FIELDS = 6  # points of a device: two registers, two measured values, a state, a signal strength
SPEC = PointSpec("volume", "volume", "m3", Kind.COUNTER, Decimal("0.001"), 8)
TABLE = PointTable()


class Writer(Protocol):
    def write(self, r: Readings) -> None: ...
    def close(self) -> None: ...


class Ours:
    """As the service does it: a piece of upkeep after each write."""

    def __init__(self, path: Path, tidy: bool = True) -> None:
        self.store, self._tidy = EmbeddedReadingStore(path), tidy

    def write(self, r: Readings) -> None:
        self.store.write(r, TABLE)
        if self._tidy:
            self.store.tidy()

    def close(self) -> None:
        while self._tidy and self.store.tidy(all_of_it=True):
            pass
        self.store.close()


class Appended(Ours):
    """Only what is durable at once: nothing goes into chunks yet."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, tidy=False)
        self.store._make_room = lambda: None  # type: ignore[method-assign]


def points(count: int) -> list[Point]:
    return [Point(i, "s", f"d{i // FIELDS}", DeviceClass.WATER_METER, "", SPEC) for i in range(count)]


def arriving(count: int, steps: int) -> Readings:
    """Every device sends its points at its own second of each quarter of an hour, give or take two seconds."""
    dice = np.random.default_rng(5)
    point = np.arange(count)
    kind = point % FIELDS
    device = point // FIELDS
    devices = int(device[-1]) + 1
    phase = dice.integers(0, 900, devices) * 1000
    shape = (steps, count)
    registers = np.cumsum(dice.integers(0, 60, shape), axis=0) + point * 1000
    measured = np.round(21 + np.cumsum(dice.normal(0, 0.1, shape), axis=0), 2)
    states = (dice.random(shape) < 0.01).astype(np.float64)
    signal = dice.integers(-110, -60, shape)
    value = np.choose(kind, [registers, registers, measured, measured, states, signal]).astype(np.float64)
    sent = START + np.arange(steps)[:, None] * STEP + phase + dice.integers(-2000, 2000, (steps, devices))
    at = sent[:, device]
    order = np.argsort(at.reshape(-1), kind="stable")
    n = steps * count
    return Readings(
        np.tile(point, steps)[order].astype(np.int32),
        at.reshape(-1)[order],
        value.reshape(-1)[order],
        np.zeros(n, np.uint8),
        np.zeros(0, np.int32),
    )


def part_of(r: Readings, part: slice) -> Readings:
    return Readings(r.point[part], r.at[part], r.value[part], r.quality[part], r.message)


def blocks(r: Readings, size: int) -> Iterator[Readings]:
    for start in range(0, len(r), size):
        yield part_of(r, slice(start, start + size))


def by_point(r: Readings) -> Readings:
    order = np.lexsort((r.at, r.point))
    return Readings(r.point[order], r.at[order], r.value[order], r.quality, r.message)


def ingest(title: str, r: Readings, folder: Path, repeats: int, cases: dict[str, Case]) -> None:
    print(f"\n{title}")
    first = 0.0
    for name, (make, size, share) in cases.items():
        some = part_of(r, slice(0, len(r) // share))
        cpus, walls = [], []
        for repeat in range(repeats):
            path = folder / f"{len(name)}-{repeat}.sqlite"
            gc.collect()
            cpu, wall = time.process_time(), time.perf_counter()
            writer = make(path)
            for block in blocks(some, size):
                writer.write(block)
            writer.close()
            cpus.append((time.process_time() - cpu) / len(some) * 1e6)
            walls.append(len(some) / (time.perf_counter() - wall))
            size_of, free = room_of(path)
            path.unlink()
        cpu = median(cpus)
        first = first or cpu
        print(
            f"{name:47} {cpu:>6.2f} CPU-s a million   x {first / cpu:>5.1f}   {median(walls):>10,.0f} readings/s"
            f"   {size_of / len(some):>5.1f} bytes a reading, {free / len(some):>4.1f} of them free"
        )


def room_of(path: Path) -> tuple[int, int]:
    """Bytes of the file, and of those that are free for what is written next."""
    db = sqlite3.connect(path)
    free = db.execute("PRAGMA freelist_count").fetchone()[0] * db.execute("PRAGMA page_size").fetchone()[0]
    db.close()
    return path.stat().st_size, free


Case = tuple[
    Callable[[Path], Writer], int, int
]  # how it is made, readings a write, one in how many is written


def rates(count: int, steps: int, folder: Path, repeats: int) -> None:
    r = arriving(count, steps)
    cases: dict[str, Case] = {
        "plain rows, 1,000 a commit (the first quarter)": (FirstRows, 5_000, 4),
        "plain rows, sorted, 5,000 a commit (a quarter)": (SortedRows, 5_000, 4),
        "plain rows, sorted, 50,000 a commit": (SortedRows, 50_000, 1),
        "embedded store, 5,000 a write": (Ours, 5_000, 1),
        "embedded store, 50,000 a write": (Ours, 50_000, 1),
        "embedded store, 5,000 a write, appended only": (Appended, 5_000, 1),
    }
    ingest(f"ingest: {count:,} points, {steps} readings each", r, folder, repeats, cases)
    history: dict[str, Case] = {
        "plain rows, sorted, 50,000 a commit": (SortedRows, 50_000, 1),
        "embedded store, 50,000 a write": (Ours, 50_000, 1),
    }
    ingest("history, point by point", by_point(r), folder, repeats, history)


def few(folder: Path, repeats: int) -> None:
    """What compaction costs by chunk: the fewer readings a point has in the log, the more."""
    for steps in (1, 4, 16, 50):
        r = arriving(30_000, steps)
        case: dict[str, Case] = {"embedded store, one compaction": (Ours, 5_000, 1)}
        ingest(f"30,000 points, {steps} readings each", r, folder, repeats, case)


def milliseconds(work: Callable[[], object]) -> float:
    times = []
    for _ in range(7):
        began = time.perf_counter()
        work()
        times.append(time.perf_counter() - began)
    return median(times) * 1000


def reads(count: int, days: int, folder: Path) -> None:
    """A month of all points, then what pages and bills ask."""
    r, asked = arriving(count, days * 96), points(count)
    rows, ours = SortedRows(folder / "rows.sqlite"), Ours(folder / "ours.sqlite")
    for block in blocks(r, 50_000):
        rows.write(block)
        ours.write(block)
    while ours.store.tidy():
        pass
    store, ids = ours.store, [p.id for p in asked]
    end, noon = START + days * DAY, START + days // 2 * DAY + DAY // 2
    one = asked[count // 2]
    pairs: dict[str, tuple[Callable[[], object], Callable[[], object]]] = {
        f"latest of {count:,} points": (lambda: rows.newest(ids, 2**62, 0), lambda: store.latest(asked)),
        f"{days} days of one point ({days * 96:,})": (
            lambda: rows.range(one.id, START, end),
            lambda: store.range(one, START, end),
        ),
        f"{days} days of one point by the hour": (
            lambda: rows.buckets(one.id, START, end, HOUR),
            lambda: store.buckets(one, START, end, HOUR),
        ),
        f"{count:,} points at a cut-off": (
            lambda: rows.newest(ids, noon, noon - DAY),
            lambda: store.at(asked, noon, DAY),
        ),
    }
    print(f"\nreads: {count:,} points, {len(r):,} readings{'':19} plain rows   embedded store")
    for name, (theirs, mine) in pairs.items():
        print(f"{name:47} {milliseconds(theirs):>10.1f} ms {milliseconds(mine):>12.1f} ms")
    rows.close()
    ours.close()
    for name, file in (("plain rows", "rows"), ("embedded store", "ours")):
        size, free = room_of(folder / f"{file}.sqlite")
        print(f"{name:47} {size / len(r):>10.1f} bytes a reading, {free / len(r):.1f} of them free")


def beside(count: int, folder: Path) -> None:
    """A live writer of 500 rows each 20 ms while history is imported through the same store."""
    store = EmbeddedReadingStore(folder / "beside.sqlite")
    history = by_point(arriving(count, 200))

    def import_all() -> None:
        for block in blocks(history, 50_000):
            store.write(block, TABLE)

    importing = threading.Thread(target=import_all)
    waits: list[float] = []
    began = time.perf_counter()
    importing.start()
    while importing.is_alive():
        live = Readings.of([(i, START * 2 + len(waits), 1.0, 0, 0) for i in range(500)])
        before = time.perf_counter()
        store.write(live, TABLE)
        waits.append(time.perf_counter() - before)
        store.tidy()
        time.sleep(0.02)
    took = time.perf_counter() - began
    store.close()
    waits.sort()
    print(
        f"\nhistory beside a live writer: {len(history) / took:,.0f} readings/s; the live writer waits "
        f"{waits[len(waits) // 2] * 1000:.0f} ms, p99 {waits[int(len(waits) * 0.99)] * 1000:.0f} ms, "
        f"at most {waits[-1] * 1000:.0f} ms"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--points", type=int, default=30_000)
    parser.add_argument("--steps", type=int, default=100, help="readings of each point")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--month", type=int, default=1_000, help="points of the month that is read")
    given = parser.parse_args()
    print(f"{machine()}, SQLite {sqlite3.sqlite_version}", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        rates(given.points, given.steps, Path(folder), given.repeats)
        few(Path(folder), given.repeats)
        reads(given.month, 30, Path(folder))
        beside(given.points, Path(folder))


if __name__ == "__main__":
    main()
