"""What the benchmarks share: which machine this is, what processes use, medians."""

from __future__ import annotations

import os
import platform
import statistics
import time
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")


def machine() -> str:
    """Processor, cores, Python, date, how busy the machine is besides, and how fast it is today: machines of one name differ
    threefold, by what others do on the same host."""
    cpu = platform.machine()
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            cpu = line.partition(":")[2].strip()
            break
    busy = os.getloadavg()[0]
    return (
        f"{cpu}, {os.cpu_count()} cores, Python {platform.python_version()}, "
        f"{datetime.now(UTC):%Y-%m-%d}, load average at the start {busy:.1f}, "
        f"a turn of a bare loop {bare_loop():.0f} ns"
    )


def bare_loop(turns: int = 1_000_000, runs: int = 5) -> float:
    """Nanoseconds of a turn of a loop that adds up small integers; the best of some runs."""
    best = float("inf")
    for _ in range(runs):
        begin, total = time.perf_counter(), 0
        for number in range(turns):
            total += number & 7
        best = min(best, time.perf_counter() - begin)
    return best / turns * 1e9


def cpu_seconds(pids: Iterable[int]) -> float:
    """User and system time of these processes together; one that has ended counts nothing."""
    total = 0
    for pid in pids:
        try:
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        total += int(fields[11]) + int(fields[12])
    return total / _TICKS


def resident(pid: int) -> int:
    """Bytes in memory, shared libraries included."""
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * _PAGE
    except OSError:
        return 0


def name_of(pid: int) -> str:
    """What a process of ours is, in a word."""
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace").replace("\0", " ")
    except OSError:
        return "ended"
    for part, name in (("iotcore", "broker"), ("dutyroom_simulators", "estate"), ("dutyroom", "service")):
        if part in words:
            return name
    return words[:20]


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest value that at least this share of them does not exceed."""
    ranked = sorted(values)
    return ranked[max(0, -(-round(len(ranked) * share * 1000) // 1000) - 1)]


def median(values: Iterable[float]) -> float:
    return statistics.median(values)


def busy(pids: set[int], seconds: float) -> float:
    """Cores that these processes use, over some seconds."""
    before, began = cpu_seconds(pids), time.monotonic()
    time.sleep(seconds)
    return (cpu_seconds(pids) - before) / (time.monotonic() - began)
