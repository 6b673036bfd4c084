"""Rules on several devices, one of which waits in a gateway: each of its readings is its newest, and late among the others."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal

from hypothesis import example, given, settings
from hypothesis import strategies as st
from tests.unit.duty.duty_room import SITE, T0, Room, device, gauge, state
from tests.unit.duty.test_late_data import EXAMPLES, FIXED, Said, Stored, spans

from dutyroom.model.telemetry import (
    Batch,
    Kind,
    Lane,
    Message,
    MessageRecord,
    Outcome,
    PointSpec,
    Readings,
)
from dutyroom.rules.kind import NOWHERE
from dutyroom.rules.parse import parse_rules
from dutyroom.timebase import HOUR, MINUTE, Ms

RULES = """
rules:
  - {id: t.rise, kind: pump_no_rise, name: {en: no rise, zh-CN: 不升}, select: {classes: [pump]}, point: running,
     parameters: {other: fills, over: 10min, rise: 0.1}, priority: 3}
  - {id: t.frozen, kind: level_frozen, name: {en: frozen, zh-CN: 卡死}, select: {classes: [tank]}, point: level,
     parameters: {still: 1h, pumped: 20min}, priority: 3}
  - {id: t.loss, kind: balance, name: {en: lost, zh-CN: 漏失}, select: {classes: [water_meter], where: {use: [master]}},
     point: volume, parameters: {over: 1h, share: 0.1, floor: 0.01}, priority: 3}
"""
UNITS = ("u0", "u1", "u2")
DEVICES = [
    device("pump", "pump", 60, fills="tank"),
    device("tank", "tank", 60, height=3.0),
    device("master", "water_meter", 300, use="master"),
    *(device(name, "water_meter", 300, use="unit") for name in UNITS),
]
VOLUME = PointSpec("volume", unit="m3", kind=Kind.COUNTER, step=Decimal("0.001"), interval_s=300)
SPECS = {"pump": [state("running", 60)], "tank": [gauge("level", "m", 60)], "water_meter": [VOLUME]}
MINE = [rule for rule in parse_rules(RULES, "rules.yaml") if rule.id.startswith("t.")]
GROUND = replace(
    NOWHERE,
    below=lambda utility, device: UNITS if (utility, device) == ("water", "master") else (),
    above=lambda device: ["master"] if device in UNITS else [],
)
LASTS: Ms = 5 * HOUR


def plant(chance: random.Random) -> list[Said]:
    """A pump that brings water or does not, a level that sticks now and then, meters behind a master with a hose."""
    said: list[Said] = []
    runs, level, stuck, hose = 0, 1.0, False, False
    volumes = dict.fromkeys(("master", *UNITS), 1000)
    for at in range(T0, T0 + LASTS, MINUTE):
        runs, stuck = runs ^ (chance.random() < 0.07), stuck ^ (chance.random() < 0.03)
        level += 0 if stuck else chance.uniform(-0.02, 0.02) + 0.02 * runs * chance.choice([0, 1])
        told = [("pump", "running", float(runs)), ("tank", "level", round(level, 2))]
        if (at - T0) % (5 * MINUTE) == 0:
            hose ^= chance.random() < 0.05
            for unit in UNITS:
                used = chance.choice([0, 10, 30])
                volumes[unit], volumes["master"] = volumes[unit] + used, volumes["master"] + used
            volumes["master"] += 30 * hose
            told += [(name, "volume", float(total)) for name, total in volumes.items()]
        second = 1000 * chance.randrange(20)  # whole seconds: some at the same instant
        said += [(at + second * (n % 2), *row) for n, row in enumerate(told) if chance.random() < 0.95]
    return said


def late(said: Sequence[Said], chance: random.Random) -> list[tuple[Ms, Said]]:
    """Devices whose messages wait somewhere and come at once, in their order; some readings come late alone."""
    away: dict[str, tuple[Ms, Ms]] = {}
    for one in DEVICES:
        begin = T0 + chance.randrange(LASTS)
        away[one.id] = (begin, begin + chance.randrange(3 * HOUR)) if chance.random() < 0.6 else (0, 0)
    share = chance.choice([0.0, 0.1])
    found = []
    for row in said:
        begin, end = away[row[1]]
        arrives = end if begin <= row[0] < end else row[0]
        found.append((arrives + (chance.randrange(HOUR) if chance.random() < share else 0), row))
    return sorted(found)


def played(said: Sequence[tuple[Ms, Said]]) -> set[tuple[str, str, Ms, Ms | None]]:
    room = Room(DEVICES, SPECS, MINE)
    room.ground, room.past, room.clock.at = GROUND, Stored(room), T0 - HOUR
    room.restart()
    for arrives, (at, name, point, value) in said:
        ticked(room, arrives)
        row = (room.point(name, point).id, at, value, 0, 0)
        record = MessageRecord(Message("t", b"", arrives), Outcome.DECODED)
        room.journal.append(Batch(SITE, Lane.NORMAL, arrives, (record,), Readings.of([row])))
        room.watch.drain()
    ticked(room, T0 + LASTS + 4 * HOUR)
    return spans(room)


def ticked(room: Room, until: Ms) -> None:
    while room.clock.at < until:
        room.clock.at = min(until, room.clock.at + MINUTE)
        room.watch.tick(room.clock.at)


@settings(max_examples=EXAMPLES, deadline=None, derandomize=FIXED)
@given(st.integers(0, 1_000_000))
@example(20)
@example(23)
def test_a_device_that_waits_in_a_gateway_changes_no_alarm_of_a_group(seed: int) -> None:
    chance = random.Random(seed)
    said = plant(chance)
    assert played(late(said, chance)) == played(sorted((row[0], row) for row in said))


def test_in_a_large_group_readings_that_cross_each_other_on_their_way_are_no_disorder() -> None:
    """What is late by more than an interval is."""
    many = [f"u{n}" for n in range(8)]
    room = Room([DEVICES[2], *(device(name, "water_meter", 300, use="unit") for name in many)], SPECS, MINE)
    room.ground = replace(NOWHERE, below=lambda utility, device: many if device == "master" else ())
    room.restart()
    for name, minute in (("u0", 10), ("u1", 6), ("u2", 12)):
        room.engine.feed(room.batch((name, "volume", 1000), at=minute * 60))
    assert not room.engine.missed
    room.engine.feed(room.batch(("u3", "volume", 1000), at=6 * 60))
    assert room.engine.missed == {("t.loss", "master"): T0 + 6 * MINUTE}
