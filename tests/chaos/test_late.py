"""A day in which gateways swap, repeat and hold back what they send, up to a day: the alarms of the true order.

The service is a process on a real broker; its clock is stepped through the day, so that states of the rules are
set aside meanwhile, and it is killed halfway.
"""

from __future__ import annotations

import os
import random
import sqlite3
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest
from tests.chaos.plant import SITE, Sent
from tests.chaos.room import Room, load
from tests.servers.influx import Bucket

from dutyroom.alarms import spans_of
from dutyroom.backends.journal import SqliteJournal
from dutyroom.backends.records_sql import open_records
from dutyroom.flows.watch import READER
from dutyroom.model.telemetry import Lane
from dutyroom.timebase import HOUR, MINUTE, Ms

METERS, RATE = 24, 3_000
STEP, STEPS = 4 * HOUR, 9  # of the clock: some hours of readings, and a day until the last of them has come
SAID, MOST = 16 * HOUR, 20 * HOUR  # with a step of the clock, the latest come a day late
APART = 5 * MINUTE
RULES = """\
rules:
  - {id: plant.over, kind: limit, name: Overvoltage, select: {classes: [electricity_meter]}, point: voltage,
     parameters: {above: 260, deadband: 5}, on_delay: 8min, off_delay: 7min, priority: 3, ticket: now}
  - {id: plant.fast, kind: rate, name: Load, select: {classes: [electricity_meter]}, point: energy,
     parameters: {above: 3, over: 20min}, priority: 3, ticket: now}
  - {id: plant.still, kind: stuck, name: Still, select: {classes: [electricity_meter]}, point: energy,
     parameters: {over: 50min}, priority: 4}
  - {id: plant.back, kind: decrease, name: Back, select: {classes: [electricity_meter]}, priority: 4}
"""

Stretch = tuple[str, str, Ms, Ms | None]


def spoken(begin: Ms, dice: random.Random) -> list[Sent]:
    """Of all meters in time order: voltage wanders over its limit, counters rest, run and now and then fall back."""
    said = []
    for meter in range(METERS):
        device, energy, voltage, pace = f"m{meter:04d}", 100_000, 245.0, 10
        for turn in range(SAID // APART):
            if dice.random() < 0.05:
                pace = dice.choice([0, 0, 10, 40])
            energy += pace - (500 if dice.random() < 0.003 else 0)
            # In the end it stays: a delay that runs while our clock leaps and nobody speaks begins again each time.
            stays = turn >= SAID // APART - 4
            voltage = voltage if stays else min(275.0, max(215.0, voltage + dice.uniform(-9, 9)))
            at = begin + turn * APART + meter * 1000
            if not stays and dice.random() < 0.05:
                continue  # it did not read
            body = b'{"ts":%d,"kwh":%d.%02d,"v":%.1f}' % (at, energy // 100, energy % 100, voltage)
            said.append(Sent(f"plant/{device}/up", body, device, at, energy, round(voltage, 1)))
    return sorted(said, key=lambda s: s.at)


def held_back(said: Sequence[Sent], dice: random.Random) -> list[tuple[Ms, Sent]]:
    """When each comes: some meters hold back all, some a few; what comes does so in any order, some of it twice."""
    found = []
    for sent in said:
        share = (0.0, 0.05, 0.5, 1.0)[int(sent.device[1:]) % 4]
        for _ in range(1 + (dice.random() < 0.1)):
            delay = dice.randrange(MOST) if dice.random() < share else dice.randrange(2 * MINUTE)
            found.append((sent.at + delay, sent))
    return sorted(found, key=lambda row: row[0])


def played(room: Room, begin: Ms, order: Sequence[tuple[Ms, Sent]], kill_in: int = -1) -> list[Stretch]:
    """The stretches of its alarms, when each message has come by the step of the clock after its instant."""
    offset = room.folder / "offset"
    stepped = Path(__file__).parent / "stepped"
    path = os.pathsep.join([str(stepped), room.service.environment["PYTHONPATH"]])
    room.service.environment |= {"CHAOS_CLOCK": str(offset), "PYTHONPATH": path}
    _set(offset, begin)
    room.open()
    count = 0
    for step in range(STEPS):
        start = begin + step * STEP
        part = [sent for at, sent in order if start <= at < start + STEP]
        _set(offset, start + STEP)
        sender = load(room, part, RATE)
        if step == kill_in:
            time.sleep(0.1)
            room.service.kill()
            with sqlite3.connect(room.service.data / "records.sqlite", timeout=10) as db:
                db.execute("UPDATE leases SET expires_at = 0")
            room.service.start()
        assert sender.done.wait(60)
        count += len(part)
        room.until(partial(_judged, room, count), 60, f"step {step} is judged")
        time.sleep(1.2)  # a tick
    return stretches(room)


def _judged(room: Room, count: int) -> bool:
    """Whether so many messages were received, and the rules have seen them all."""
    if room.service.received() < count:
        return False
    journal = SqliteJournal(room.service.folder / "journal.sqlite", read_only=True)
    records = open_records(f"sqlite:///{room.service.data}/records.sqlite")
    try:
        with records.read() as tx:
            return all(tx.cursor(SITE, READER, lane) >= journal.last(lane) for lane in Lane)
    finally:
        records.close()
        journal.close()


def _set(offset: Path, at: Ms) -> None:
    part = offset.with_suffix(".new")
    part.write_text(str(at // 1000 - int(time.time())))
    part.replace(offset)


def stretches(room: Room) -> list[Stretch]:
    records = open_records(f"sqlite:///{room.service.data}/records.sqlite")
    try:
        with records.read() as tx:
            rows = tx.alarms.search(SITE, limit=10_000)
        return sorted(
            (a.rule, a.object, since, until)
            for a in rows
            if a.rule.startswith("plant.") and not a.disproved
            for since, until in spans_of(a)
        )
    finally:
        records.close()


def settled(room: Room, wanted: Sequence[Stretch]) -> list[Stretch]:
    """Once they are as wanted, or after a while."""
    deadline = time.monotonic() + 40
    while stretches(room) != wanted and time.monotonic() < deadline:
        time.sleep(0.5)
    time.sleep(2)
    return stretches(room)


@dataclass(frozen=True, slots=True)
class Undisturbed:
    """What came of the day in its order, and how else it may come."""

    begin: Ms
    stretches: list[Stretch]
    order: list[tuple[Ms, Sent]]


@pytest.fixture(scope="module")
def day(tmp_path_factory: pytest.TempPathFactory) -> Undisturbed:
    dice = random.Random(11)
    begin = (int(time.time()) // 3600 - 60) * HOUR
    said = spoken(begin, dice)
    room = Room(tmp_path_factory.mktemp("calm"), METERS, rules=RULES, interval_s=300)
    try:
        found = played(room, begin, [(sent.at, sent) for sent in said])
    finally:
        room.close()
    assert {rule for rule, *_ in found} == {"plant.over", "plant.fast", "plant.still", "plant.back"}
    return Undisturbed(begin, found, held_back(said, dice))


@pytest.fixture
def room(tmp_path: Path) -> Iterator[Room]:
    made = Room(tmp_path, METERS, rules=RULES, interval_s=300)
    yield made
    made.close()


@pytest.fixture
def influx_room(tmp_path: Path, influx: Bucket) -> Iterator[Room]:
    store = influx.url, influx.token, influx.org, influx.name
    made = Room(tmp_path, METERS, store, rules=RULES, interval_s=300)
    yield made
    made.close()


def test_the_alarms_are_those_of_the_true_order(room: Room, day: Undisturbed) -> None:
    played(room, day.begin, day.order, kill_in=4)
    assert settled(room, day.stretches) == day.stretches


def test_so_they_are_where_influxdb_holds_the_readings(influx_room: Room, day: Undisturbed) -> None:
    played(influx_room, day.begin, day.order, kill_in=5)
    assert settled(influx_room, day.stretches) == day.stretches
