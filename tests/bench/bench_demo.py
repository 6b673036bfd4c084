"""The demo from outside: how soon it is usable, what it holds and uses: `python -m tests.bench.bench_demo`.

480 units, two months of history, no scenarios. Beside it, in the same run, a bare FastAPI page under
uvicorn: what any service of this kind costs before it does anything.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from tests.acceptance.demo_process import PASSWORD, Program, Visitor, answers, environment, run, wait_for
from tests.bench.measure import busy, machine, median, name_of, resident
from tests.servers.child import free_port

MB = 1 << 20
LIMITS = {"first": 15.0, "later": 3.0, "resident": 300.0, "idle": 10.0}
BARE = """
import sys, uvicorn
from fastapi import FastAPI
app = FastAPI()
app.get("/login")(lambda: "hello")
uvicorn.run(app, port=int(sys.argv[1]), log_config=None)
"""


@dataclass
class Figures:
    """Seconds, MB, % of a core; one entry a run."""

    first: list[float] = field(default_factory=list)
    later: list[float] = field(default_factory=list)
    history: list[float] = field(default_factory=list)
    resident: list[float] = field(default_factory=list)
    idle: list[float] = field(default_factory=list)
    stop: list[float] = field(default_factory=list)
    bare_start: list[float] = field(default_factory=list)
    bare_resident: list[float] = field(default_factory=list)


def usable(program: Program) -> float:
    """Seconds from the command to a log-in page of a service whose broker is connected."""
    visitor = Visitor(program.url())
    wait_for(lambda: visitor.health()["ok"], 60, "a healthy service", 0.02)
    return time.monotonic() - program.started


def bare() -> tuple[float, float]:
    """(seconds, MB) of a page without a service behind it."""
    port, began = free_port(), time.monotonic()
    process = subprocess.Popen([sys.executable, "-c", BARE, str(port)], env=environment())
    try:
        wait_for(lambda: answers(f"http://127.0.0.1:{port}/login"), 60, "the bare page", 0.02)
        return time.monotonic() - began, resident(process.pid) / MB
    finally:
        process.terminate()
        process.wait(10)


def one_run(data: Path, idle_s: float, settle_s: float, figures: Figures) -> None:
    options = ("demo", "--data", data, "--port", "0", "--no-browser", "--no-scenarios")
    with Program(*options) as first:
        figures.first.append(usable(first))
        password = first.expect(PASSWORD)[1]
        visitor = Visitor(first.url()).log_in(password)
        wait_for(lambda: "history" not in visitor.get("")["progress"], 300, "the history", 0.5)
        assert visitor.get("/statements"), "the history was not imported"
        figures.history.append(time.monotonic() - first.started)
        imported = sum(resident(pid) for pid in first.tree()) / MB
        figures.stop.append(first.interrupt())
    with Program(*options) as later:
        figures.later.append(usable(later))
        time.sleep(settle_s)
        everybody = later.tree()
        figures.idle.append(busy(everybody, idle_s) * 100)
        held = {pid: resident(pid) / MB for pid in everybody}
        figures.resident.append(max(imported, sum(held.values())))
        parts = ", ".join(f"{name_of(pid)} {mb:.0f} MB" for pid, mb in held.items())
        print(f"   after the import {imported:.0f} MB; after the next start {parts}", flush=True)
        figures.stop.append(later.interrupt())


def line(name: str, values: list[float], form: Callable[[float], str], limit: float | None) -> str:
    verdict = ""
    if limit is not None:
        verdict = f"   limit {form(limit)}: {'met' if median(values) <= limit else 'MISSED'}"
    return f"{name:<44}{form(median(values)):>9}   ({', '.join(form(v) for v in values)}){verdict}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--idle", type=float, default=60, help="seconds over which the idle use is measured")
    parser.add_argument("--settle", type=float, default=10, help="seconds after the start before that")
    given = parser.parse_args()
    print(machine(), flush=True)
    bare()  # compiles what an installation has compiled
    run("--version")
    run("simulate", "--scenario", "list")
    figures = Figures()
    for _ in range(given.runs):
        start, held = bare()
        figures.bare_start.append(start)
        figures.bare_resident.append(held)
        with tempfile.TemporaryDirectory() as folder:
            one_run(Path(folder) / "data", given.idle, given.settle, figures)

    def seconds(value: float) -> str:
        return f"{value:.1f} s"

    def megabytes(value: float) -> str:
        return f"{value:.0f} MB"

    def percent(value: float) -> str:
        return f"{value:.1f} %"

    print(line("first start, usable after", figures.first, seconds, LIMITS["first"]))
    print(line("later start, usable after", figures.later, seconds, LIMITS["later"]))
    print(line("first start, history and bills there after", figures.history, seconds, 60.0))
    print(line("resident, whole tree, history imported", figures.resident, megabytes, LIMITS["resident"]))
    print(line("idle, whole tree, of one core", figures.idle, percent, LIMITS["idle"]))
    print(line("Ctrl-C to the end of the tree", figures.stop, seconds, 2.0))
    print(line("bare FastAPI page, usable after", figures.bare_start, seconds, None))
    print(line("bare FastAPI page, resident", figures.bare_resident, megabytes, None))
    print(
        f"later start = {median(figures.later) / median(figures.bare_start):.1f} x, "
        f"resident = {median(figures.resident) / median(figures.bare_resident):.1f} x the bare page"
    )


if __name__ == "__main__":
    main()
