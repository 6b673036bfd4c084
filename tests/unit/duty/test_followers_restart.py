"""Who follows another rule, across a start: it knows what time alone had said of that rule."""

from __future__ import annotations

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
"""
MINUTE = 60


def duty_room() -> Room:
    room = Room(
        [device("feeder", "feeder", 60), device("gen", "generator", 60)],
        {"feeder": [gauge("voltage", "V", 60)], "generator": [state("running", 60)]},
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
