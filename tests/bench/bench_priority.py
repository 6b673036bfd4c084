"""Fire, entrapment and gas, and what is not urgent, while all meters upload: `python -m tests.bench.bench_priority`.

A whole `dutyroom serve` with the shipped rules behind Mosquitto, QoS 1. Every meter publishes `--each` messages, as
fast as the broker takes them; meanwhile fire panels, elevators and gas detectors say once, at random moments, that
something is wrong. Seconds from the message to the row of its ticket, seen by another process in the records.

priority    the site names their topics in `priority`: a session of their own
one         it names none: their messages wait at the broker among the others, and go first from then on
quiet       nothing else is published
ordinary    not what is urgent: doors that are forced, by the session and the lane of all meters
calm        the same, and nothing else is published
"""

from __future__ import annotations

import argparse
import contextlib
import math
import random
import socket
import sqlite3
import struct
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.acceptance.demo_process import Program, tree, wait_for
from tests.bench import stream
from tests.bench.measure import cpu_seconds, machine
from tests.bench.rig import SETTINGS
from tests.servers.mosquitto import Mosquitto

SITE = "burst"
ROOT = Path(__file__).parents[2]
METER = """\
name: {en: A meter of a home}
class: water_meter
match: {topics: ["m/{meter}/up"]}
identity: "{meter}"
time: {from: ts, format: epoch_ms}
points:
  volume: {from: v, quantity: volume, kind: counter, step: 0.001, digits: 8}
  battery: {from: b, quantity: ratio, unit: "%", low: 0, high: 100}
examples:
  - topic: m/m00001/up
    payload: {ts: 1795575600000, v: 1.5, b: 90}
    expect: {m00001: {volume: 1.5}}
"""
URGENT = """\
name: {{en: A {topic} that may be urgent}}
class: {kind}
match: {{topics: ["{topic}/{{id}}/up"]}}
identity: "{{id}}"
lane: {lane}
points:
  {point}: {{from: x, kind: state}}
examples:
  - topic: {topic}/{topic}001/up
    payload: {{x: 1}}
    expect: {{{topic}001: {{{point}: 1}}}}
"""
KINDS = {"fire": ("fire_panel", "alarm"), "lift": ("elevator", "trapped"), "gas": ("sensor", "gas")}
ORDINARY = {"door": ("gate", "door_forced")}  # its ticket waits for no cause
HEAD = "id,name,class,profile,address,space,interval_s,parameters"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("parts", nargs="*", default=["quiet", "priority", "one", "calm", "ordinary"])
    parser.add_argument("--meters", type=int, default=50_000)
    parser.add_argument("--each", type=int, default=4, help="messages of each meter")
    parser.add_argument("--urgent", type=int, default=300, help="messages of panels, elevators, detectors")
    parser.add_argument("--within", type=float, default=0.0, help="seconds in which they come; 0 = as it is")
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    print(machine(), flush=True)
    print(
        "\n| way | messages of meters | published in | tickets | p50 | p99 | longest | CPU of the service |"
    )
    print("| --- | --: | --: | --: | --: | --: | --: | --: |", flush=True)
    for part in asked.parts:
        with tempfile.TemporaryDirectory() as folder:
            each = 0 if part in ("quiet", "calm") else asked.each
            ordinary = part in ("ordinary", "calm")
            plan = Plan(
                asked.meters,
                each,
                asked.urgent,
                part != "one" and not ordinary,
                asked.seed,
                ordinary,
                asked.within,
            )
            print(f"| {part} {measured(Path(folder), plan)}", flush=True)


@dataclass(frozen=True, slots=True)
class Plan:
    """each: messages of each meter. urgent: messages that make a ticket. named: the site has `priority` topics.
    ordinary: none of them is urgent. within: seconds in which they come, 0 = while the meters' messages are taken and
    as long again."""

    meters: int
    each: int
    urgent: int
    named: bool = True
    seed: int = 1
    ordinary: bool = False
    within: float = 0.0

    @property
    def kinds(self) -> dict[str, tuple[str, str]]:
        """By topic the class of what may be wrong, and the point that says so."""
        return ORDINARY if self.ordinary else KINDS


@dataclass(frozen=True, slots=True)
class Seen:
    """Seconds from message to ticket, in rising order; how long the meters' messages took to be published."""

    waits: Sequence[float]
    published_s: float
    cpu_s: float

    def share(self, part: float) -> float:
        return self.waits[min(len(self.waits) - 1, math.ceil(part * len(self.waits)) - 1)]


def measured(folder: Path, plan: Plan) -> str:
    broker = Mosquitto(folder / "broker", SETTINGS)
    broker.start()
    try:
        seen = run(folder, broker.port, plan)
    finally:
        broker.stop()
    return (
        f"| {plan.meters * plan.each:,} | {seen.published_s:.1f} s | {len(seen.waits)} | {seen.share(0.5):.2f} s "
        f"| {seen.share(0.99):.2f} s | {seen.waits[-1]:.2f} s | {seen.cpu_s:.1f} s |"
    )


def run(folder: Path, port: int, plan: Plan) -> Seen:
    """Fails where a message has made no ticket, or more than one."""
    site, data = write_site(folder / "site", port, plan), folder / "data"
    arguments = ("serve", "--site", site, "--data", data, "--port", "0")
    with Program(*arguments, more={"DUTYROOM_CANARY": "false"}) as service:
        service.url(300)
        memory = data / "sites" / SITE / "subscriptions.json"
        wait_for(lambda: memory.exists() and "m/+/up" in memory.read_text(), 120, "a subscription")
        link = Link(port)
        _spoken(link, plan, data)
        before, began = cpu_seconds(tree(service.pid)), time.monotonic()
        burst = _burst(port, plan) if plan.each else None
        watcher = Watcher(data / "records.sqlite")
        watcher.start()
        sent = _urgent(link, plan, burst)
        published = 0.0
        if burst is not None:
            said, _ = burst.communicate(timeout=600)
            published = float(said.split()[0])
        watcher.until(len(sent), 120)
        link.close()
        cpu = cpu_seconds(tree(service.pid)) - before
    assert watcher.seen.keys() == sent.keys(), f"{len(watcher.seen)} tickets of {len(sent)} messages"
    assert watcher.rows == len(sent), f"{watcher.rows} tickets of {len(sent)} messages"
    assert time.monotonic() > began
    return Seen(sorted(watcher.seen[name] - at for name, at in sent.items()), published, cpu)


# ---------------------------------------------------------------- the site


def names(plan: Plan) -> list[tuple[str, str]]:
    """(topic, id) of what may be wrong."""
    kinds = list(plan.kinds)
    return [(kinds[n % len(kinds)], f"{kinds[n % len(kinds)]}{n:03d}") for n in range(plan.urgent)]


def write_site(folder: Path, port: int, plan: Plan) -> Path:
    profiles = folder / "device_profiles" / "bench"
    profiles.mkdir(parents=True)
    (profiles / "meter.yaml").write_text(METER)
    lane = "normal" if plan.ordinary else "priority"
    for topic, (kind, point) in plan.kinds.items():
        (profiles / f"{topic}.yaml").write_text(URGENT.format(topic=topic, kind=kind, point=point, lane=lane))
    urgent = ", ".join(f"'{topic}/+/up'" for topic in plan.kinds)
    listed = f"['m/+/up'], priority: [{urgent}]" if plan.named else f"['m/+/up', {urgent}]"
    (folder / "rules.yaml").write_text("rules: []\n")
    (folder / "site.yaml").write_text(
        f"id: {SITE}\nname: {{en: Burst}}\ntime_zone: Asia/Shanghai\nlanguage: en\n"
        f"broker: {{host: 127.0.0.1, port: {port}, topics: {listed}}}\n"
    )
    rows = [f"m{n:05d},Meter {n},water_meter,bench/meter,m{n:05d},,900," for n in range(plan.meters)]
    rows += [
        f"{name},{name},{plan.kinds[topic][0]},bench/{topic},{name},,,\n".rstrip()
        for topic, name in names(plan)
    ]
    (folder / "devices.csv").write_text("\n".join([HEAD, *rows, ""]))
    return folder


# ---------------------------------------------------------------- what is published


def packet(topic: str, body: bytes, number: int) -> bytes:
    """PUBLISH, QoS 1, of less than 128 bytes."""
    name = topic.encode()
    rest = struct.pack(">H", len(name)) + name + struct.pack(">H", number % 65_535 + 1) + body
    assert len(rest) < 128
    return b"\x32%c%b" % (len(rest), rest)


def burst_packets(meters: int, start: int, count: int, first: int = 0) -> Iterator[bytes]:
    """Every meter once, then again: a quarter of an hour between two messages of one, by its own clock."""
    for n in range(first, first + count):
        meter, turn = n % meters, n // meters
        at, litres = start + turn * 900_000, meter % 977 + turn * (meter % 13)
        body = b'{"ts":%d,"v":%d.%03d,"b":%d}' % (at, litres // 1000, litres % 1000, 100 - meter % 50)
        yield packet(f"m/m{meter:05d}/up", body, n)


def _burst(port: int, plan: Plan) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "tests.bench.bench_priority", "--burst"]
    return subprocess.Popen(
        [*command, str(port), str(plan.meters), str(plan.each)], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )


def burst(port: int, meters: int, each: int) -> None:
    """Prints the seconds it took."""
    start = int(time.time() * 1000) - each * 900_000

    def packets(count: int, first: int) -> Iterator[bytes]:
        return burst_packets(meters, start, count, first)

    print(round(stream.publish(port, meters * each, 0, packets)[0], 2))


class Link:
    """One connection for what is urgent; acknowledgements are read aside."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port))
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket.sendall(b"\x10\x12\x00\x04MQTT\x04\x02\x00\x00\x00\x06urgent")
        self._number = 0
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        with contextlib.suppress(OSError):
            while self._socket.recv(65_536):
                pass

    def say(self, topic: str, name: str, value: int) -> None:
        self._number += 1
        self._socket.sendall(packet(f"{topic}/{name}/up", b'{"x":%d}' % value, self._number))

    def close(self) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()


def _spoken(link: Link, plan: Plan, data: Path) -> None:
    """All is well with each of them, and a first ticket has gone the whole way."""
    for topic, name in names(plan):
        link.say(topic, name, 0)
    time.sleep(2.0)


def _urgent(link: Link, plan: Plan, burst: subprocess.Popen[str] | None) -> dict[str, float]:
    """Says once of each that something is wrong, at random moments while the meters upload and shortly after.
    Returns when, of `time.time`."""
    dice, sent = random.Random(plan.seed), {}
    listed = names(plan)
    dice.shuffle(listed)
    for topic, name in listed:
        time.sleep(dice.expovariate(plan.urgent / _lasts(plan)))
        sent[name] = time.time()
        link.say(topic, name, 1)
    return sent


def _lasts(plan: Plan) -> float:
    """Seconds in which they come: about those of the burst and of what is left of it."""
    return plan.within or max(3.0, plan.meters * max(plan.each, 1) / 10_000)


# ---------------------------------------------------------------- what is seen


class Watcher(threading.Thread):
    """Looks for tickets every 10 ms."""

    def __init__(self, file: Path) -> None:
        super().__init__(daemon=True)
        self._file = file
        self.seen: dict[str, float] = {}
        self.rows = 0
        self._wanted, self._done = math.inf, threading.Event()

    def run(self) -> None:
        with contextlib.closing(sqlite3.connect(f"file:{self._file}?mode=ro", uri=True, timeout=10)) as db:
            last = 0
            while not self._done.is_set():
                for number, object in db.execute(
                    "SELECT id, object FROM tickets WHERE id > ?", (last,)
                ).fetchall():
                    last = number
                    self.rows += object[0] != "m"
                    self.seen.setdefault(object, time.time())
                time.sleep(0.01)

    def until(self, wanted: int, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while self.rows < wanted and time.monotonic() < deadline:
            time.sleep(0.05)
        time.sleep(0.3)  # one too many would come now
        self._done.set()
        self.join()
        self.seen = {name: at for name, at in self.seen.items() if name[0] != "m"}


if __name__ == "__main__":
    if sys.argv[1:2] == ["--burst"]:
        burst(*map(int, sys.argv[2:5]))
    else:
        main()
