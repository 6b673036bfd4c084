"""Late readings and starts as a duty log: each the cause of an alarm that once was wrong or missing."""

from __future__ import annotations

import pytest
from tests.unit.duty.duty_room import T0, Room, device, gauge, state
from tests.unit.duty.test_late_data import Stored, spans

from dutyroom.rules.parse import parse_rules

RULES = """
rules:
  - {id: t.lost, kind: limit, name: {en: lost, zh-CN: 停}, select: {classes: [feeder]}, point: voltage,
     parameters: {below: 50}, on_delay: 10s, off_delay: 10s, priority: 2, ticket: now}
  - {id: t.start, kind: expect, name: {en: start, zh-CN: 起}, select: {classes: [generator]}, point: running,
     parameters: {after: t.lost, equals: 1, within: 2min}, priority: 2, ticket: now}
  - {id: t.off, kind: sequence, name: {en: off, zh-CN: 关}, select: {classes: [generator]}, point: running,
     parameters: {after: t.lost, late: off, within: 5min,
       steps: [{step: running, point: running, equals: 1}, {step: back, ended: true}, {step: off, point: running, equals: 0}]},
     priority: 3, ticket: now}
  - {id: t.hot, kind: during, name: {en: hot at rest, zh-CN: 热}, select: {classes: [generator]}, point: heat,
     parameters: {above: 45, while: {running: {equals: 0}}}, on_delay: 2min, priority: 3, ticket: now}
  - {id: t.dry, kind: meanwhile, name: {en: dry, zh-CN: 干}, select: {classes: [pump]}, point: running,
     parameters: {equals: 1, other: tank, other_point: level, below: 0.5}, on_delay: 2min, priority: 2, ticket: now}
"""
MINUTE = 60


def duty_room() -> Room:
    room = Room(
        [
            device("feeder", "feeder", 60),
            device("gen", "generator", 60),
            device("pump", "pump", 60, tank="tank"),
            device("tank", "tank", 60),
        ],
        {
            "pump": [state("running", 60)],
            "tank": [gauge("level", "m", 60)],
            "feeder": [gauge("voltage", "V", 60)],
            "generator": [state("running", 60), gauge("heat", "°C", 60)],
        },
        [rule for rule in parse_rules(RULES, "rules.yaml") if rule.id.startswith("t.")],
    )
    room.past = Stored(room)
    room.restart()
    return room


def minutes(room: Room, begin: int, end: int, voltage: float | None, running: int) -> None:
    """Each minute what feeder and set say, five seconds after it."""
    for minute in range(begin, end):
        room.at(minute * MINUTE + 5, 5)
        if voltage is not None:
            room.reads(("feeder", "voltage", voltage))
        room.reads(("gen", "running", running))
    room.at(end * MINUTE, 5)


def alarms(room: Room, rule: str) -> list[tuple[float, float | None]]:
    """Begin and end of its alarms, in seconds."""
    found = sorted((since, until) for name, _, since, until in spans(room) if name == rule)
    return [((since - T0) / 1000, until if until is None else (until - T0) / 1000) for since, until in found]


def test_a_cut_that_time_alone_ended_before_the_process_did_does_not_hide_the_next_one() -> None:
    room = duty_room()
    minutes(room, 0, 5, 230, 0)
    minutes(room, 5, 6, 0, 0)
    minutes(room, 6, 10, 0, 1)
    room.at(10 * MINUTE + 5, 5)
    room.watch.stop()  # the state is stored, then the mains are back and the process is killed
    room.reads(("feeder", "voltage", 230), ("gen", "running", 1))
    room.at(10 * MINUTE + 20, 5)
    assert alarms(room, "t.lost") == [(315, 615)]
    room.restart()
    minutes(room, 11, 14, 230, 0)
    minutes(room, 14, 18, 0, 0)
    assert alarms(room, "t.start") == [(14 * 60 + 15 + 120, None)]


def test_a_cut_that_came_late_is_followed_though_the_process_is_killed_right_after_it_was_recorded() -> None:
    room = duty_room()
    minutes(room, 0, 5, 230, 0)
    minutes(room, 5, 10, None, 0)
    minutes(room, 10, 12, 230, 0)
    room.watch.stop()
    for minute in range(5, 10):
        room.reads(("feeder", "voltage", 0), at=minute * MINUTE + 5)
    room.at(12 * MINUTE + 1, 1)
    assert alarms(room, "t.lost") == [(315, 615)]
    assert alarms(room, "t.start") == []
    room.restart()
    room.at(13 * MINUTE, 1)
    assert alarms(room, "t.start") == [(435, 615)]


@pytest.mark.parametrize("second", [7 * MINUTE, 7 * MINUTE - 1])
def test_a_set_that_starts_at_the_end_of_the_delay_was_not_hot_at_rest(second: int) -> None:
    """Its reading comes when the clock has said already that the delay is over."""
    room = duty_room()
    room.at(5 * MINUTE, 5).reads(("gen", "running", 0), ("gen", "heat", 50))
    room.at(6 * MINUTE, 5).reads(("gen", "running", 0), ("gen", "heat", 50))
    room.at(7 * MINUTE, 1)
    assert alarms(room, "t.hot") == [(420, None)]
    room.at(7 * MINUTE + 1).reads(("gen", "running", 1), at=second)
    room.at(8 * MINUTE, 5)
    assert alarms(room, "t.hot") == []
    assert [a.disproved for a in room.records.rows.alarms.values() if a.rule == "t.hot"] == [True]


@pytest.mark.parametrize("first", ["pump", "tank"])
def test_what_two_devices_say_of_one_instant_holds_in_either_order(first: str) -> None:
    """The tank is full again at the very instant at which the pump would have run dry for two minutes."""
    room = duty_room()
    for minute in (5, 6):
        room.at(minute * MINUTE, 5).reads(("pump", "running", 1), ("tank", "level", 0.2))
    room.at(7 * MINUTE - 1, 1)
    room.clock.at += 1000
    rows = [("pump", "running", 1.0), ("tank", "level", 0.9)]
    for row in rows if first == "pump" else rows[::-1]:
        room.reads(row)
    room.at(8 * MINUTE, 5)
    assert alarms(room, "t.dry") == []
