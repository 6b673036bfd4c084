"""A counter of passages whose readings come late: hours without anybody, and how far it went since a service."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.duty.duty_room import SITE, T0, Room, device
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
from dutyroom.rules.kinds import quiet_hours
from dutyroom.rules.parse import parse_rules
from dutyroom.timebase import DAY, HOUR, MINUTE, Ms

RULES = """
rules:
  - {id: t.quiet, kind: quiet_hours, name: {en: quiet, zh-CN: 静}, select: {classes: [gate]}, point: openings,
     parameters: {least: 1}, priority: 4}
  - {id: t.service, kind: since_service, name: {en: due, zh-CN: 保}, select: {classes: [gate]}, point: openings,
     parameters: {above: 60}, priority: 4}
"""
STEP: Ms = 20 * MINUTE
CALM: Ms = 3 * DAY  # readings come in order
BUSY: Ms = 30 * HOUR  # they come late, twice and in any order
SERVICED: Ms = T0 + CALM + 20 * HOUR


def duty_room() -> Room:
    room = Room(
        [device("gate", "gate")],
        {"gate": [PointSpec("openings", kind=Kind.COUNTER, step=Decimal(1), interval_s=STEP // 1000)]},
        [rule for rule in parse_rules(RULES, "rules.yaml") if rule.id.startswith("t.")],
    )
    room.ground = replace(
        NOWHERE,
        serviced=lambda device: {"work": SERVICED if room.clock.at >= SERVICED else T0 - DAY},
    )
    room.past = Stored(room)
    room.clock.at = T0
    room.restart()
    return room


def passages(chance: random.Random) -> list[Said]:
    """Somebody passes in most looks of each hour; on the last days the reader is dead for hours, or says nothing."""
    said: list[Said] = []
    total, dead, silent = 0, False, False
    for at in range(T0 + STEP, T0 + CALM + BUSY, STEP):
        if at > T0 + CALM:
            dead = dead ^ (chance.random() < 0.12)
            silent = silent ^ (chance.random() < (0.5 if silent else 0.05))
        total += 0 if dead else 1
        if not silent:
            said.append((at + chance.randrange(MINUTE), "gate", "openings", total))
    return said


def played(said: Sequence[tuple[Ms, Said]], kills: random.Random | None = None) -> set[tuple[object, ...]]:
    room = duty_room()
    for arrives, (at, name, point, value) in said:
        ticked(room, arrives)
        row = (room.point(name, point).id, at, float(value), 0, 0)
        record = MessageRecord(Message("t", b"", arrives), Outcome.DECODED)
        room.journal.append(Batch(SITE, Lane.NORMAL, arrives, (record,), Readings.of([row])))
        room.watch.drain()
        if kills is not None and kills.random() < 0.05:
            room.restart()
            room.watch.drain()
    ticked(room, max(room.clock.at, T0 + CALM + BUSY) + HOUR)
    return set(spans(room))


def ticked(room: Room, until: Ms) -> None:
    while room.clock.at < until:
        room.clock.at = min(until, room.clock.at + 10 * MINUTE)
        room.watch.tick(room.clock.at)


def late(said: Sequence[Said], chance: random.Random) -> list[tuple[Ms, Said]]:
    share, most = chance.choice([0.1, 0.5, 1.0]), chance.choice([HOUR, 5 * HOUR, DAY - MINUTE])
    found = [
        (row[0] + (chance.randrange(most) if row[0] > T0 + CALM and chance.random() < share else 0), row)
        for row in said
        for _ in range(2 if chance.random() < 0.1 else 1)
    ]
    return sorted(found)


@settings(max_examples=EXAMPLES, deadline=None, derandomize=FIXED)
@given(st.integers(0, 1_000_000))
def test_any_order_and_delay_of_a_counter_gives_the_alarms_of_the_true_order(seed: int) -> None:
    chance = random.Random(seed)
    said = passages(chance)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(quiet_hours, "ENOUGH", (1, 1))  # days, in place of two weeks
        true = played([(row[0], row) for row in said])
        assert played(late(said, chance)) == true
        assert played(late(said, chance), chance) == true
