"""Late readings and starts as a duty log: each the cause of an alarm that once was wrong or missing."""

from __future__ import annotations

from decimal import Decimal

import pytest
from tests.unit.duty.duty_room import SITE, T0, Room, device, gauge, state
from tests.unit.duty.test_late_data import Stored, spans

from dutyroom.model.metering import Exchange
from dutyroom.model.telemetry import Kind, PointSpec
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
  - {id: t.warm, kind: limit, name: {en: warm, zh-CN: 热}, select: {classes: [generator]}, point: heat,
     parameters: {above: 45}, off_delay: 2min, priority: 3, ticket: now}
  - {id: t.repeated, kind: repeated, name: {en: again, zh-CN: 再}, select: {classes: [elevator]}, point: door,
     parameters: {equals: 1, times: 3, over: 8min, forget: {moving: {equals: 1}}}, priority: 3, ticket: now}
  - {id: t.state, kind: state, name: {en: open, zh-CN: 开}, select: {classes: [gate]}, point: door_open,
     parameters: {equals: 1}, on_delay: 2min, priority: 3, ticket: now}
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
            device("lift", "elevator"),
        ],
        {
            "pump": [state("running", 60)],
            "tank": [gauge("level", "m", 60)],
            "elevator": [state("door"), state("moving")],
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
    room.at(7 * MINUTE + 2, 1)
    assert alarms(room, "t.hot") == [(420, None)]
    room.at(7 * MINUTE + 3).reads(("gen", "running", 1), at=second)
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


def test_what_was_over_but_not_said_when_a_state_was_set_aside_keeps_its_one_stretch() -> None:
    """Two minutes in its gateway, the end of an alarm waits out its delay when the state is set aside; late readings
    are judged again from there."""
    room = duty_room()
    room.watch.start()
    base = 4 * 3600  # the rules' states are set aside every four hours
    room.at(base - 300, 60).reads(("gen", "heat", 50))
    room.at(base - 10, 10).reads(("gen", "heat", 40), at=base - 130)
    room.at(base + 120, 10)
    once = [(base - 300, base - 10)]
    assert alarms(room, "t.warm") == once
    for late in (300, 400):
        room.at(base + late, 10).reads(("gen", "heat", 40))
        room.reads(("gen", "heat", 40), at=base + late - 50)
        room.at(base + late + 20, 10)
    assert alarms(room, "t.warm") == once


def test_a_state_that_judged_by_a_clock_that_is_ahead_is_none_to_begin_from() -> None:
    """Ten minutes ahead, it is hot at rest for two minutes by the clock alone; then a reading between says otherwise."""
    room = duty_room()
    room.watch.start()
    base, ahead = 4 * 3600, 600
    room.at(base - 240, 60).reads(("gen", "running", 0), at=base - 240 + ahead)
    room.reads(("gen", "heat", 50), at=base - 240 + ahead)
    room.at(base - 10, 10).reads(("feeder", "voltage", 230))  # something is to be stored
    room.at(base, 10)
    assert alarms(room, "t.hot") == [(base - 120 + ahead, None)]
    room.at(base + 60, 10).reads(("gen", "heat", 40), at=base - 180 + ahead)
    room.at(base + 90, 10)
    assert alarms(room, "t.hot") == []


def test_a_trip_that_came_late_ends_what_was_judged_again_meanwhile() -> None:
    """Judged again from a state of after its end, an alarm is said to have ended nowhere; that it did is known all the same."""
    room = duty_room()
    for second, open_ in ((0, 0), (60, 1), (90, 0), (120, 1), (150, 0), (180, 1), (200, 0), (680, 0)):
        room.at(second, 5).reads(("lift", "door", open_))
    for newest in (1290, 1310, 1330):
        room.at(newest, 5).reads(("lift", "door", 0))
        room.reads(("lift", "door", 0), at=newest - 5)
    room.at(1340, 5)
    assert alarms(room, "t.repeated") == [(180, 660)]
    room.reads(("lift", "moving", 1), at=400)
    room.at(1350, 5)
    assert alarms(room, "t.repeated") == [(180, 400)]


def test_the_end_of_a_cut_that_was_said_after_a_state_was_set_aside_lets_the_next_one_be_followed() -> None:
    """It came a minute late, so that it was over by the devices' clocks before the state was set aside."""
    room = duty_room()
    room.watch.start()
    base = 4 * 60  # minutes: the rules' states are set aside every four hours
    minutes(room, base - 10, base - 6, 230, 0)
    minutes(room, base - 6, base - 2, 0, 1)
    room.at(base * MINUTE - 5, 5).reads(("feeder", "voltage", 230), at=base * MINUTE - 75)
    minutes(room, base, base + 2, 230, 0)
    assert alarms(room, "t.lost") == [((base - 6) * MINUTE + 15, base * MINUTE - 65)]
    room.reads(("gen", "running", 0), at=base * MINUTE + 30)  # late: judged again
    minutes(room, base + 2, base + 10, 0, 0)
    assert alarms(room, "t.start") == [((base + 2) * MINUTE + 15 + 120, None)]


def test_a_start_that_was_late_when_the_mains_came_back_is_so_once() -> None:
    """Both are over by the devices' clocks when a state is set aside, and said after it."""
    room = duty_room()
    room.watch.start()
    base = 4 * 3600
    room.at(base - 300, 60).reads(("feeder", "voltage", 230), ("gen", "running", 0))
    room.at(base - 70, 5).reads(("feeder", "voltage", 0), at=base - 170)
    room.at(base - 1, 1).reads(("feeder", "voltage", 230), at=base - 15)
    room.at(base + 60, 1)
    once = [(base - 40, base - 5)]
    assert alarms(room, "t.start") == once
    room.reads(("gen", "running", 0))
    room.reads(("gen", "running", 0), at=base + 30)
    room.at(base + 90, 5)
    assert alarms(room, "t.start") == once


@pytest.mark.parametrize("hours", [1, 5])  # judged again from before the exchange, and from after it
@pytest.mark.parametrize("known", ["before", "after"])
def test_a_late_reading_does_not_tell_again_of_a_meter_that_was_exchanged(known: str, hours: int) -> None:
    """By the rule its register is lower than it was, for as long as it stays so."""
    volume = PointSpec("volume", unit="m3", kind=Kind.COUNTER, step=Decimal("0.001"), interval_s=300)
    room = Room([device("m", "water_meter", 300)], {"water_meter": [volume]})
    room.past = Stored(room)
    room.restart()
    exchange = Exchange(1, SITE, "m", "volume", T0, 412_350, 0, "li", "verification")
    room.records.rows.exchanges = [exchange] if known == "before" else []
    room.at(300, 60).reads(("m", "volume", 412_350))
    room.at(600, 60).reads(("m", "volume", 3))
    room.records.rows.exchanges = [exchange]
    end = hours * 3600
    room.at(end - 300, 60).reads(("m", "volume", 4))
    room.at(end, 60).reads(("m", "volume", 6))
    before = list(room.records.rows.alarms.values())
    assert [a.rule for a in before] == (["meter.decrease"] if known == "after" else [])
    room.reads(("m", "volume", 5), at=end - 150)
    room.at(end + 300, 60)
    assert list(room.records.rows.alarms.values()) == before


@pytest.mark.parametrize("hours", [73, 80])  # judged again from before the second decrease, and from after it
@pytest.mark.parametrize("known", ["before", "after", "late"])
def test_a_late_reading_does_not_blind_the_watch_over_a_meter_that_was_exchanged(
    known: str, hours: int
) -> None:
    """50 to 5 m3 by an exchange; more than three days later 5 to 2. late: on record only when that is judged again."""
    volume = PointSpec("volume", unit="m3", kind=Kind.COUNTER, step=Decimal("0.001"), interval_s=300)
    room = Room([device("m", "water_meter", 300)], {"water_meter": [volume]})
    room.past = Stored(room)
    room.restart()
    exchange = Exchange(1, SITE, "m", "volume", T0, 50_000, 5_000, "li", "verification")
    room.records.rows.exchanges = [exchange] if known == "before" else []
    room.at(300, 60).reads(("m", "volume", 50_000))
    room.at(600, 60).reads(("m", "volume", 5_000))
    if known == "after":
        room.records.rows.exchanges = [exchange]
    room.at(72 * 3600, 600).reads(("m", "volume", 5_010))
    room.at(73 * 3600 - 300, 60).reads(("m", "volume", 2_000))
    if hours > 73:
        room.at(77 * 3600, 60).reads(("m", "volume", 2_010))
    room.at(hours * 3600, 60).reads(("m", "volume", 2_030))
    if known == "late":
        room.records.rows.exchanges = [exchange]
    room.reads(("m", "volume", 2_020 if hours > 73 else 5_020), at=hours * 3600 - 450)
    room.at(hours * 3600 + 300, 60).reads(("m", "volume", 1_000))
    room.at(hours * 3600 + 360, 60)
    begun = [begin for begin, end in alarms(room, "meter.decrease") if end is None]
    unseen = known == "late" and hours > 73  # it went down again in a stretch that nobody looks at any more
    assert begun == [hours * 3600 + 300 if unseen else 73 * 3600 - 300]


@pytest.mark.parametrize("kept", [False, True])
@pytest.mark.parametrize("killed", [False, True])
def test_what_nobody_knows_of_an_outage_of_ours_late_readings_do_not_know_either(
    kept: bool, killed: bool
) -> None:
    """A gate opens, then we hear nothing for an hour, then it shuts. kept: what the broker had of that hour comes with it."""
    room = Room(
        [device("gate", "gate"), device("meter", "water_meter", 60)],
        {"gate": [state("door_open")], "water_meter": [gauge("flow", "m3/h", 60)]},
        [rule for rule in parse_rules(RULES, "rules.yaml") if rule.id == "t.state"],
    )
    room.past = Stored(room)
    room.restart()
    room.at(50).reads(("meter", "flow", 0.1))
    room.at(60).reads(("gate", "door_open", 1))
    room.broker = False
    room.at(3600, 10)
    room.broker = True
    if kept:
        room.reads(("gate", "door_open", 0), at=1000)
        room.reads(("gate", "door_open", 1), at=1010)
    room.reads(("meter", "flow", 0.1))
    room.at(3655).reads(("gate", "door_open", 0), at=3650)
    live = alarms(room, "t.state")
    assert live == ([(180, 1000)] if kept else [])
    if killed:
        room.watch.stop()
        room.restart()
    room.at(4000, 10).reads(("gate", "door_open", 0), at=30)  # it makes the whole time be judged again
    room.at(4100, 10)
    assert not room.engine.missed
    assert alarms(room, "t.state") == live
    assert not [a for a in room.records.rows.alarms.values() if a.disproved]
