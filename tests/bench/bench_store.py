"""The embedded store beside plain SQLite rows, in one run: `python -m tests.bench.bench_store`.

Medians of three, on whatever machine this is (stated). The ratios are what one may quote.
"""

from __future__ import annotations

import argparse
import os
import platform
import sqlite3
import statistics
import tempfile
import threading
import time
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import numpy as np

from dutyroom.backends.readings_embedded import EmbeddedReadingStore
from dutyroom.model.telemetry import DeviceClass, Kind, Point, PointSpec, PointTable, Readings

POINTS = 5_000
START, STEP = 1_790_000_000_000, 900_000
BLOCK = 50_000
SPEC = PointSpec("volume", "volume", "m3", Kind.COUNTER, Decimal("0.001"), 8)


def points() -> list[Point]:
    return [Point(i, "s", f"m{i}", DeviceClass.WATER_METER, "", SPEC) for i in range(POINTS)]


def columns(rows: int) -> Readings:
    """All points at one instant, then all at the next: as they arrive."""
    n = np.arange(rows)
    point = (n % POINTS).astype(np.int32)
    at = START + n // POINTS * STEP
    value = (point * 1000 + n // POINTS).astype(np.float64)
    return Readings(point, at, value, np.zeros(rows, np.uint8), np.zeros(rows, np.int32))


def part(r: Readings, start: int, end: int) -> Readings:
    return Readings(
        r.point[start:end], r.at[start:end], r.value[start:end], r.quality[start:end], r.message[:0]
    )


def naive(path: Path, r: Readings) -> None:
    """What one writes first: a table with a key, INSERT OR REPLACE, a commit each 1,000 rows."""
    db = sqlite3.connect(path)
    db.execute("PRAGMA journal_mode=WAL")
    db.execute(
        "CREATE TABLE reading (point INTEGER, at INTEGER, value REAL, quality INTEGER, UNIQUE (point, at))"
    )
    for start in range(0, len(r), 1_000):
        p = part(r, start, start + 1_000)
        rows = zip(p.point.tolist(), p.at.tolist(), p.value.tolist(), p.quality.tolist(), strict=True)
        with db:
            db.executemany("INSERT OR REPLACE INTO reading VALUES (?,?,?,?)", rows)
    db.close()


def ours(path: Path, r: Readings, block: int = BLOCK) -> None:
    store, table = EmbeddedReadingStore(path), PointTable()
    for start in range(0, len(r), block):
        store.write(part(r, start, start + block), table)
    store.close()


def seconds(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def ingest(rows: int, folder: Path, repeats: int) -> None:
    r = columns(rows)
    by_point = np.lexsort((r.at, r.point))
    history = Readings(r.point[by_point], r.at[by_point], r.value[by_point], r.quality, r.message)
    cases: dict[str, Callable[[Path], None]] = {
        "plain rows, 1,000 a commit": lambda path: naive(path, r),
        "embedded store, 5,000 a write": lambda path: ours(path, r, 5_000),
        "embedded store, 50,000 a write": lambda path: ours(path, r),
        "embedded store, history by point": lambda path: ours(path, history),
    }
    taken: dict[str, list[float]] = {name: [] for name in cases}
    for repeat in range(repeats):
        for number, (name, work) in enumerate(cases.items()):
            path = folder / f"{repeat}-{number}.sqlite"
            taken[name].append(seconds(lambda work=work, path=path: work(path)))  # type: ignore[misc]
            path.unlink()
    first = statistics.median(taken["plain rows, 1,000 a commit"])
    for name, times in taken.items():
        median = statistics.median(times)
        print(f"{name:34} {rows / median:>9,.0f} rows/s   x {first / median:.1f}")


def reads(rows: int, folder: Path) -> None:
    path = folder / "read.sqlite"
    ours(path, columns(rows))
    store, all_points = EmbeddedReadingStore(path), points()
    day = START + 86_400_000
    for name, work in {
        f"at a moment, {POINTS:,} points": lambda: store.at(all_points, day, 86_400_000),
        f"latest, {POINTS:,} points": lambda: store.latest(all_points),
        "range of one point": lambda: store.range(all_points[77], START, START + 40 * 86_400_000),
        "hourly buckets of one point": lambda: store.buckets(
            all_points[77], START, START + 40 * 86_400_000, 3_600_000
        ),
    }.items():
        print(f"{name:34} {statistics.median(seconds(work) for _ in range(7)) * 1000:>9.1f} ms")
    store.close()


def beside(rows: int, folder: Path) -> None:
    """A live writer of 500 rows each 20 ms while history is imported through the same store."""
    store, table = EmbeddedReadingStore(folder / "beside.sqlite"), PointTable()
    r = columns(rows)
    by_point = np.lexsort((r.at, r.point))
    history = Readings(r.point[by_point], r.at[by_point], r.value[by_point], r.quality, r.message)

    def import_all() -> None:
        for start in range(0, rows, BLOCK):
            store.write(part(history, start, start + BLOCK), table)

    importing = threading.Thread(target=import_all)
    waits: list[float] = []
    began = time.perf_counter()
    importing.start()
    while importing.is_alive():
        live = Readings.of([(i, START * 2 + len(waits), 1.0, 0, 0) for i in range(500)])
        waits.append(seconds(lambda live=live: store.write(live, table)))  # type: ignore[misc]
        time.sleep(0.02)
    took = time.perf_counter() - began
    waits.sort()
    print(
        f"history beside a live writer       {rows / took:>9,.0f} rows/s; the live writer waits "
        f"{waits[len(waits) // 2] * 1000:.0f} ms, p99 {waits[int(len(waits) * 0.99)] * 1000:.0f} ms, "
        f"at most {waits[-1] * 1000:.0f} ms"
    )
    store.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--repeats", type=int, default=3)
    given = parser.parse_args()
    print(f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}, ", end="")
    print(f"SQLite {sqlite3.sqlite_version}; {given.rows:,} rows, {POINTS:,} points")
    with tempfile.TemporaryDirectory() as folder:
        ingest(given.rows, Path(folder), given.repeats)
        reads(given.rows, Path(folder))
        beside(given.rows * 2, Path(folder))


if __name__ == "__main__":
    main()
