"""Fuzzing of payload codecs and profiles: `python -m tests.fuzz.payloads --count 1000000 --seed 1 --jobs 2`.

Prints a table of all families and every fault with the number that makes it again (`--only NUMBER`). Ends with 1 when
there was one.
"""

from __future__ import annotations

import argparse
import multiprocessing
import resource
import signal
import statistics
import sys
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cache
from zoneinfo import ZoneInfo

from tests.fuzz.harsh import harsh
from tests.fuzz.trials import Fuzzer, Hang, Trying
from tests.shipped_profiles import shipped_profiles

from dutyroom.profiles.decode import Library

SMALL, SMALL_MEDIAN = 1024, 0.020  # bytes, seconds
HANG_S = 5
MAX_TOLD = 30  # faults of one kind and family
MAX_RESIDENT = 600  # MB


@dataclass(slots=True)
class Row:
    """One family. slowest: (seconds, number, size) of codec, decode and trial."""

    count: int = 0
    accepted: int = 0
    tried: int = 0
    decoded: int = 0
    large: int = 0
    memory: int = 0
    small: list[float] = field(default_factory=list)
    slowest: list[tuple[float, int, int]] = field(default_factory=lambda: [(0.0, 0, 0)] * 3)
    faults: list[tuple[int, str]] = field(default_factory=list)

    def add(self, number: int, trying: Trying) -> None:
        self.count += 1
        self.accepted += trying.accepted
        self.tried += trying.decoded > 0
        self.decoded += trying.decoded == 2
        self.large += trying.size > 4000
        self.memory = max(self.memory, trying.memory)
        spent = trying.times[0] or trying.times[1]
        if trying.size <= SMALL and (len(self.small) < 2000 or number % 50 == 0):
            self.small.append(spent)
        for place, seconds in enumerate(trying.times):
            if seconds > self.slowest[place][0]:
                self.slowest[place] = (seconds, number, trying.size)
        self.faults += [(number, fault) for fault in trying.faults]

    def join(self, other: Row) -> None:
        for name in ("count", "accepted", "tried", "decoded", "large"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.memory = max(self.memory, other.memory)
        self.small += other.small
        self.faults += other.faults
        self.slowest = [max(a, b) for a, b in zip(self.slowest, other.slowest, strict=True)]


Rows = dict[str, Row]


def library() -> Library:
    """All shipped profiles and the harsh ones. Raises Invalid."""
    return Library([*shipped_profiles(), *harsh()], ZoneInfo("Asia/Shanghai"))


def run(fuzzer: Fuzzer, numbers: Iterable[int], watch: bool = False) -> Rows:
    """watch: a payload that takes more than HANG_S of processor time is given up, and is a fault."""
    rows: Rows = {}
    began = [time.process_time()]

    def look(*_: object) -> None:
        if time.process_time() - began[0] > HANG_S:
            raise Hang

    if watch:
        signal.signal(signal.SIGALRM, look)
        signal.setitimer(signal.ITIMER_REAL, 2, 2)
    for number in numbers:
        began[0] = time.process_time()
        trying = fuzzer.run(number)
        rows.setdefault(trying.family, Row()).add(number, trying)
    if watch:
        signal.setitimer(signal.ITIMER_REAL, 0)
    return rows


def faults_of(rows: Rows) -> list[str]:
    """All of them, and families whose small payloads take too long."""
    found = []
    for family, row in sorted(rows.items()):
        found += [f"{family} {number}: {text}" for number, text in row.faults]
        median = statistics.median(row.small) if row.small else 0
        if median > SMALL_MEDIAN:
            found.append(f"{family}: {median * 1000:.1f} ms for half of the small payloads")
    return found


def table(rows: Rows) -> str:
    lines = [
        "family | payloads | codec accepts | through profiles | give readings | above 4 KB | small, median (ms) "
        "| slowest codec, decode, trial (ms) | most memory (MB)",
        "--- | --: | --: | --: | --: | --: | --: | --- | --:",
    ]
    for family, r in sorted(rows.items()):
        slow = ", ".join(f"{s * 1000:.0f}" for s, _, _ in r.slowest)
        median = statistics.median(r.small) * 1000 if r.small else 0
        accepts = f"{100 * r.accepted / r.count:.1f} %" if family != "json" else ""
        gives = f"{100 * r.decoded / r.tried:.1f} %" if r.tried else ""
        lines.append(
            f"{family} | {r.count:,} | {accepts} | {r.tried:,} | {gives} | {r.large:,} | {median:.2f} | {slow} | {r.memory / 1e6:.0f}"
        )
    return "\n".join(lines)


@cache
def _fuzzer(seed: int) -> Fuzzer:
    return Fuzzer(library(), seed)


def _part(job: tuple[int, range]) -> tuple[Rows, int]:
    rows = run(_fuzzer(job[0]), job[1], watch=True)
    return rows, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


def _one(seed: int, number: int) -> int:
    fuzzer = _fuzzer(seed)
    _, trying, example = fuzzer.made(number)
    where = f", in {example.topic} of {example.profile}" if example is not None else ""
    print(f"{trying.family}, {trying.size} bytes{where}\n{trying.payload[:600].hex()}")
    faults = faults_of(run(fuzzer, [number], watch=True))
    print("\n".join(faults) or "no fault")
    return 1 if faults else 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--first", type=int, default=0, help="number of the first payload")
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--only", type=int, help="one payload, shown in hex")
    given = parser.parse_args()
    if given.only is not None:
        return _one(given.seed, given.only)
    start, rows, resident = time.monotonic(), Rows(), 0
    # Short pieces, in an order that gives every process all families.
    pieces = [
        range(a, min(a + 20_000, given.first + given.count))
        for a in range(given.first, given.first + given.count, 20_000)
    ]
    with multiprocessing.Pool(given.jobs) as pool:
        for number, (found, size) in enumerate(
            pool.imap_unordered(_part, [(given.seed, p) for p in pieces]), 1
        ):
            resident = max(resident, size)
            for family, row in found.items():
                rows.setdefault(family, Row()).join(row)
            bad = sum(len(r.faults) for r in rows.values())
            print(
                f"{number}/{len(pieces)} pieces, {time.monotonic() - start:.0f} s, {bad} faults",
                file=sys.stderr,
                flush=True,
            )
    faults = faults_of(rows)
    if resident > MAX_RESIDENT:
        faults.append(f"{resident} MB resident, at most {MAX_RESIDENT}")
    print(table(rows))
    for family, row in sorted(rows.items()):
        for what, (seconds, number, size) in zip(("codec", "decode", "trial"), row.slowest, strict=True):
            if seconds > 0.1:
                print(f"slow: {family} {what} {seconds * 1000:.0f} ms, number {number}, {size} bytes")
    told: Counter[str] = Counter()
    for fault in faults:
        kind = fault.split(":", 2)[1][:40] if ":" in fault else fault
        told[kind] += 1
        if told[kind] <= MAX_TOLD:
            print(f"FAULT {fault[:600]}")
    total = sum(r.count for r in rows.values())
    print(
        f"seed {given.seed}, {total:,} payloads, {time.monotonic() - start:.0f} s, {resident} MB, {len(faults)} faults"
    )
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
