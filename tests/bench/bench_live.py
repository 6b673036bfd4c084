"""Live through Mosquitto with QoS 1: `python -m tests.bench.bench_live`.

rate    As fast as the broker gives: a subscriber in C (subscriber.c; it keeps nothing) and ours until the journal
        and the rules, in turn, each beside the same publisher; the share of the C subscriber's rate that ours takes.
paced   20,000 messages/s: the share of a core that we use, into the journal and into the embedded store, and what
        the C subscriber uses.
load    ThingsBoard's published load (stream.py) against a whole `dutyroom serve`, alarms on, with broker and store
        on this machine: 5,000, 10,000 and 20,000 messages/s, then three times the last for half as long, until
        the backlog has drained. Processor and memory of each process; after each the ledger must balance, all
        alarms be there, and the readings of some meters be compared with what was sent, one by one.

Each part by name: `bench_live rate paced`. `--minutes` is for `paced` and each rate of `load`.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from tests.acceptance.demo_process import wait_for
from tests.bench import stream
from tests.bench.bench_ingest import forget
from tests.bench.consumers import CLIENT
from tests.bench.measure import cpu_seconds, machine, median, resident
from tests.bench.rig import SETTINGS, SITE, Rig, rig_of
from tests.servers.mosquitto import Mosquitto

from dutyroom.backends.journal import SqliteJournal
from dutyroom.backends.records_sql.records import open_records
from dutyroom.errors import Unavailable
from dutyroom.flows.keep import READER as KEEP
from dutyroom.interfaces import ReadingStore
from dutyroom.model.telemetry import Lane
from dutyroom.settings import Settings
from dutyroom.wiring.stores import store_of

ROOT = Path(__file__).parents[2]
SAMPLE = 100  # of 5,000 meters are compared one by one
RATES = (5_000, 10_000, 20_000)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("parts", nargs="*", default=["rate", "paced", "load"])
    parser.add_argument("--minutes", type=float, default=1.0)
    parser.add_argument("--messages", type=int, default=300_000, help="of `rate`")
    parser.add_argument("--runs", type=int, default=3, help="of `rate`")
    parser.add_argument("--rates", default=",".join(map(str, RATES)), help="of `load`")
    parser.add_argument("--stores", default="embedded,influx", help="of `load`")
    asked = parser.parse_args()
    print(machine(), flush=True)
    with tempfile.TemporaryDirectory() as folder:
        if "rate" in asked.parts:
            rate(Path(folder) / "rate", asked.messages, asked.runs)
        if "paced" in asked.parts:
            paced(Path(folder) / "paced", round(asked.minutes * 60))
        if "load" in asked.parts:
            rates = [int(each) for each in asked.rates.split(",")]
            for store in asked.stores.split(","):
                load(Path(folder) / store, store, rates, asked.minutes * 60)


# ---------------------------------------------------------------- beside a subscriber in C


def rate(folder: Path, count: int, runs: int) -> None:
    broker = Mosquitto(folder / "broker", SETTINGS)
    broker.start()
    program = _subscriber(folder)
    found: dict[str, list[dict[str, Any]]] = {"C": [], "ours": []}
    try:
        for run in range(runs):
            command = [program, str(broker.port), "meters/+/up", str(count)]
            found["C"].append(_beside(command, broker.port, count))
            ours = _consumer("journal", folder / f"ours-{run}", broker.port, count)
            found["ours"].append(_beside(ours, broker.port, count))
            forget(broker.port, CLIENT["journal"])  # else the broker keeps the next run's for it, too
    finally:
        broker.stop()
    print(f"\n| live, QoS 1, {count:,} messages | messages/s | CPU a message | runs |")
    print("| --- | --: | --: | --- |")
    speed: dict[str, float] = {}
    for name, rows in found.items():
        speeds = [count / (row["live_s"] if "live_s" in row else row["seconds"]) for row in rows]
        speed[name] = median(speeds)
        cpu = median(row["cpu_s"] for row in rows) / count * 1e6
        print(f"| {name} | {speed[name]:,.0f} | {cpu:.2f} µs | {', '.join(f'{s:,.0f}' for s in speeds)} |")
    print(f"\nours takes {speed['ours'] / speed['C']:.0%} of it; every message is in the ledger", flush=True)


def _subscriber(folder: Path) -> str:
    program = folder / "subscriber"
    subprocess.run(["cc", "-O2", "-o", str(program), str(ROOT / "tests/bench/subscriber.c")], check=True)
    return str(program)


def _consumer(kind: str, folder: Path, port: int, count: int) -> list[str]:
    folder.mkdir(parents=True)
    return [sys.executable, "-m", "tests.bench.consumers", kind, str(folder), str(port), str(count)]


def _environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'services'}"}


def _beside(command: Sequence[str], port: int, count: int, pace: float = 0.0) -> dict[str, Any]:
    """What a consumer tells of messages that are published while it listens."""
    child = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT, env=_environment())
    assert child.stdout is not None
    for line in child.stdout:
        if line.startswith("ready"):
            break
    flood = [sys.executable, "-m", "tests.bench.flood", str(port), str(count), str(pace)]
    subprocess.run(flood, check=True, cwd=ROOT, env=_environment(), stdout=subprocess.DEVNULL)
    said, _ = child.communicate(timeout=300)
    told: dict[str, Any] = json.loads(next(line for line in reversed(said.splitlines()) if line[:1] == "{"))
    return told


def paced(folder: Path, seconds: int, pace: int = 20_000) -> None:
    broker = Mosquitto(folder / "broker", SETTINGS)
    broker.start()
    print(f"\n| {pace:,} messages/s for {seconds} s | of a core | CPU a message |\n| --- | --: | --: |")
    count = seconds * pace
    program = _subscriber(folder)
    ways = {"a subscriber in C, kept nowhere": [program, str(broker.port), "meters/+/up", str(count)]}
    ways |= {
        name: _consumer(kind, folder / kind, broker.port, count)
        for kind, name in (("journal", "into the journal"), ("embedded", "into the embedded store"))
    }
    try:
        for name, command in ways.items():
            row = _beside(command, broker.port, count, pace)
            print(
                f"| {name} | {row['cpu_s'] / seconds:.1%} | {row['cpu_s'] / count * 1e6:.1f} µs |", flush=True
            )
    finally:
        broker.stop()


# ---------------------------------------------------------------- a whole service under ThingsBoard's load


def load(folder: Path, kind: str, rates: Sequence[int], seconds: float) -> None:
    print(f"\n| {kind}: messages/s | for | reached | load | behind, drained after | ", end="")
    print("CPU of a core: service, broker, store | memory, MB | compared |")
    print("| --: | --: | --: | --: | --: | --- | --- | --- |", flush=True)
    with rig_of(folder, kind) as rig:
        journal = SqliteJournal(rig.settings.data / "sites" / SITE / "journal.sqlite", read_only=True)
        store = store_of(rig.settings, SITE) if kind == "influx" else _followed(rig.settings)
        sent = 0
        for pace, lasting in [*((r, seconds) for r in rates), (3 * rates[-1], seconds / 2)]:
            before, began = _cpu(rig), time.monotonic()
            took, count = _published(rig, pace, lasting, sent)
            published, loaded = time.monotonic(), os.getloadavg()[1]
            sent += count
            behind = sent - sum(row.received for row in journal.ledger(0))
            wait_for(partial(_drained, journal, sent), 1800, f"{sent} messages stored", 0.5)
            drained, whole = time.monotonic() - published, time.monotonic() - began
            cpu = {name: (now - before[name]) / whole for name, now in _cpu(rig).items()}
            memory = {name: sum(map(resident, pids)) >> 20 for name, pids in rig.processes().items()}
            print(
                f"| {pace:,} | {took:.0f} s | {count / took:,.0f}/s | {loaded:.1f} | {behind:,}, {drained:.1f} s | "
                f"{', '.join(f'{name} {share:.0%}' for name, share in cpu.items())} | "
                f"{', '.join(f'{name} {size}' for name, size in memory.items())} | "
                f"{_compared(journal, store, rig.settings, sent)} |",
                flush=True,
            )
        store.close()
        journal.close()


def _published(rig: Rig, pace: int, lasting: float, first: int) -> tuple[float, int]:
    """Seconds it took, and how many messages a busy machine let it send in about that time."""
    count = round(pace * lasting) // stream.DEVICES * stream.DEVICES
    command = [sys.executable, "-m", "tests.bench.stream", *map(str, (rig.broker.port, count, pace))]
    said = subprocess.run(
        [*command, str(first), str(lasting + 1)],
        check=True,
        cwd=ROOT,
        env=_environment(),
        capture_output=True,
        text=True,
    )
    took, sent = said.stdout.split()
    return float(took), int(sent)


def _followed(settings: Settings) -> ReadingStore:
    from dutyroom.wiring.stores import followed_store_of

    return followed_store_of(settings, SITE)


def _cpu(rig: Rig) -> dict[str, float]:
    return {name: cpu_seconds(pids) for name, pids in rig.processes().items()}


def _drained(journal: SqliteJournal, sent: int) -> bool:
    try:
        if journal.cursor(KEEP, Lane.NORMAL) < journal.last(Lane.NORMAL):
            return False
        return sum(row.received for row in journal.ledger(0)) >= sent
    except Unavailable:
        return False


def _compared(journal: SqliteJournal, store: ReadingStore, settings: Settings, sent: int) -> str:
    """Fails where something is lost, doubled or changed."""
    rows = journal.ledger(0)
    received, decoded = sum(row.received for row in rows), sum(row.decoded for row in rows)
    readings = sum(row.readings for row in rows)
    stored = sum(row.stored + row.duplicate for row in rows)
    assert received == decoded == sent, f"sent {sent}, received {received}, decoded {decoded}"
    assert readings == stored == 3 * sent, f"{readings} readings, {stored} stored, of {sent} messages"
    records = open_records(f"sqlite:///{settings.data / 'records.sqlite'}")
    with records.read() as tx:
        points = [p for p in tx.devices.points(SITE) if p.spec.name == "volume"][:: stream.DEVICES // SAMPLE]
        leaks = sum(map(stream.leaks, range(sent)))
    records.close()
    assert len(points) == SAMPLE
    for point in points:
        found = store.range(point, 0, 1 << 45, limit=10 * sent).value.tolist()
        assert found == list(range(sent // stream.DEVICES)), f"{point.device}: {len(found)} of its readings"
    deadline = time.monotonic() + 60
    while (alarms := _alarms(settings, leaks)) < leaks and time.monotonic() < deadline:
        time.sleep(0.5)
    assert alarms == leaks, f"{alarms} alarms of {leaks} leaks; the log says {_said(settings)}"
    return f"ledger of {received:,}, {SAMPLE} meters one by one, {alarms} alarms"


def _said(settings: Settings) -> str:
    """What the service's log has of what went wrong."""
    lines = [line for file in settings.data.glob("*.log") for line in file.read_text().splitlines()]
    return "\n".join(line for line in lines if '"level": "info"' not in line)[-3000:]


def _alarms(settings: Settings, wanted: int) -> int:
    """How many of our rule there are, at most `wanted`."""
    records = open_records(f"sqlite:///{settings.data / 'records.sqlite'}")
    with records.read() as tx:
        found = [a for a in tx.alarms.search(SITE, limit=10_000_000) if a.rule == "bench.leak"]
    records.close()
    assert len(found) <= wanted, f"{len(found)} alarms of {wanted} leaks"
    return len(found)


if __name__ == "__main__":
    main()
