"""When an alarm sounds, when it rests, and when it sounds again."""

from __future__ import annotations

from dataclasses import replace

from tests.unit.duty.duty_room import SITE, T0, device
from tests.unit.duty.plain_book import PlainBook

from dutyroom.alarms import CHATTER_IN, step
from dutyroom.flows.episodes import Context
from dutyroom.model.duty import AlarmEvent, Condition
from dutyroom.rules.parse import default_rules, parse_rules
from dutyroom.timebase import HOUR, MINUTE, SECOND
from dutyroom.topology import Topology

RULES = {rule.id: rule for rule in default_rules()}
DEVICES = {
    d.id: d
    for d in (
        device("gate", "gate"), device("panel", "fire_panel"), device("home", "water_meter"),
        device("feeder", "feeder"), device("lift", "elevator"), device("zone", "other", use="zone"),
        device("roof", "tank"), device("pump", "pump", tank="roof"), device("hob", "sensor"), device("cellar", "tank"),
        device("filler", "pump", fills="cellar"),
    )
}  # fmt: skip
TOPOLOGY = Topology({"power": {"lift": ("feeder",)}, "water": {"roof": ("zone",), "cellar": ("filler",)}})


def book() -> PlainBook:
    return PlainBook(Context(SITE, RULES, DEVICES, TOPOLOGY))


def says(room: PlainBook, rule: str, object: str, active: bool, second: float, **more: object) -> None:
    at = T0 + round(second * 1000)
    room.act([Condition(rule, object, active, at, arguments=more)], at)  # type: ignore[arg-type]


def person(room: PlainBook, rule: str, object: str, event: AlarmEvent, second: float) -> None:
    alarm, change = step(room.open(rule, object), event, T0 + round(second * 1000), "li", "seen")
    del room.alarms[alarm.id]
    (room.alarms if alarm.ended_at is None else room.ended)[alarm.id] = alarm
    room.log.append(change)


# ---------------------------------------------------------------- coming and going


def test_what_comes_and_goes_is_held_and_sounds_no_more() -> None:
    room = book()
    for n in range(20):
        says(room, "gate.forced", "gate", True, 60 * n)
        says(room, "gate.forced", "gate", False, 60 * n + 30)
    alarm = room.open("gate.forced", "gate")
    assert (alarm.state, alarm.chattering, len(room.alarms), len(room.tickets)) == (
        "unacknowledged", True, 1, 1,
    )  # fmt: skip
    raised = [c for c in room.log if c.event is AlarmEvent.RAISE]
    assert len(raised) == 20, "nothing is lost"
    assert sum(c.before != "unacknowledged" for c in raised) == 3, "it has sounded three times"
    person(room, "gate.forced", "gate", AlarmEvent.ACKNOWLEDGE, 1190)
    says(room, "gate.forced", "gate", True, 1200)
    assert room.open("gate.forced", "gate").state == "acknowledged"
    says(room, "gate.forced", "gate", False, 1210)
    room.act([], T0 + 1210_000 + CHATTER_IN - 1)
    assert room.open("gate.forced", "gate").chattering
    room.act([], T0 + 1210_000 + CHATTER_IN)
    assert not room.alarms
    (ended,) = room.ended.values()
    assert (ended.chattering, ended.cleared_at) == (False, T0 + 1210_000)
    assert room.log[-1].reason == "alarm.reason.quiet"


def test_one_that_stays_after_its_chatter_is_an_alarm_like_any_other() -> None:
    room = book()
    for n in range(3):
        says(room, "gate.forced", "gate", True, 30 * n)
        if n < 2:
            says(room, "gate.forced", "gate", False, 30 * n + 15)
    assert room.open("gate.forced", "gate").chattering
    room.act([], T0 + 60_000 + CHATTER_IN)
    alarm = room.open("gate.forced", "gate")
    assert (alarm.chattering, alarm.state, alarm.cleared_at) == (False, "unacknowledged", None)


def test_one_that_a_person_acknowledges_between_chatters_over_its_episodes() -> None:
    room = book()
    for n in range(3):
        says(room, "gate.forced", "gate", True, 60 * n)
        person(room, "gate.forced", "gate", AlarmEvent.ACKNOWLEDGE, 60 * n + 5)
        if n < 2:
            says(room, "gate.forced", "gate", False, 60 * n + 10)
    assert len(room.ended) == 2
    assert room.open("gate.forced", "gate").chattering


def test_fire_entrapment_and_gas_never_chatter() -> None:
    for rule, object in (("fire.alarm", "panel"), ("elevator.entrapment", "lift"), ("gas.leak", "hob")):
        room = book()
        for n in range(8):
            says(room, rule, object, True, 20 * n)
            if n < 7:
                says(room, rule, object, False, 20 * n + 10)
        assert not room.open(rule, object).chattering
        assert room.open(rule, object).state == "unacknowledged"


# ---------------------------------------------------------------- first-out


def test_the_first_in_event_time_is_marked_whatever_came_first() -> None:
    room = book()
    at = T0 + 60_000
    room.act([Condition("power.mains_lost", "feeder", True, at - 2000)], at)
    assert not room.open("power.mains_lost", "feeder").first_out, "one alone is no group"
    room.act([Condition("elevator.fault", "lift", True, at - 1000)], at + 1000)
    assert room.open("power.mains_lost", "feeder").first_out
    room.act([Condition("elevator.offline", "lift", True, at - 9000)], at + 2000)
    marks = {a.rule: a.first_out for a in room.alarms.values()}
    assert marks == {"power.mains_lost": False, "elevator.fault": False, "elevator.offline": True}


def test_what_is_raised_in_one_place_at_another_time_is_no_group() -> None:
    room = book()
    says(room, "fire.fault", "panel", True, 0)
    says(room, "gate.forced", "gate", True, 301)
    assert {a.first_out for a in room.alarms.values()} == {False}
    says(room, "gate.fault", "gate", True, 400)
    assert [a.rule for a in room.alarms.values() if a.first_out] == ["gate.forced"]


# ---------------------------------------------------------------- again


def test_what_is_vital_sounds_again_after_half_an_hour() -> None:
    room = book()
    says(room, "elevator.entrapment", "lift", True, 0)
    person(room, "elevator.entrapment", "lift", AlarmEvent.ACKNOWLEDGE, 60)
    room.act([], T0 + 60_000 + 30 * MINUTE - 1)
    assert room.open("elevator.entrapment", "lift").state == "acknowledged"
    room.act([], T0 + 60_000 + 30 * MINUTE)
    alarm = room.open("elevator.entrapment", "lift")
    assert (alarm.state, alarm.acknowledged_by) == ("unacknowledged", "")
    assert len(room.told) == 3, "raised, nobody on site after 30 min, and now"
    assert (room.log[-1].actor, room.log[-1].reason) == ("system", "alarm.reason.stands")
    assert len(room.jobs()) == 1


def test_how_long_is_set_by_rule() -> None:
    said = {r.id: r.realarm for r in default_rules()}
    assert (said["power.mains_lost"], said["gate.forced"]) == (8 * HOUR, 0)
    own = parse_rules(
        "rules:\n- {id: power.mains_lost, realarm: never}\n- {id: fire.alarm, realarm: 10min}\n", "r"
    )
    assert {r.id: r.realarm for r in own if r.id in ("power.mains_lost", "fire.alarm")} == {
        "power.mains_lost": 0, "fire.alarm": 10 * MINUTE,
    }  # fmt: skip


def test_a_burst_in_a_leak_that_is_known_sounds_on_the_same_ticket() -> None:
    room = book()
    says(room, "water.leak", "home", True, 0)
    room.act([], T0 + 40_000)
    person(room, "water.leak", "home", AlarmEvent.ACKNOWLEDGE, 60)
    later = 9 * 86_400
    says(room, "water.unit_burst", "home", True, later)
    room.act([], T0 + later * 1000 + 30 * SECOND)
    assert room.open("water.unit_burst", "home").state == "unacknowledged"
    assert room.jobs() == ["water.leak|home"]
    ticket = room.tickets[1]
    assert (ticket.priority, room.open("water.unit_burst", "home").ticket) == (2, 1)
    assert ticket.respond_by == T0 + later * 1000 + 30 * SECOND + 10 * MINUTE
    assert [rule for _, rule, _ in room.told] == ["water.leak", "water.unit_burst"]
    says(room, "water.unit_burst", "home", False, later + 600)
    says(room, "water.unit_burst", "home", True, later + 1200)
    room.act([], T0 + (later + 1300) * 1000)
    assert (room.jobs(), len(room.told)) == (["water.leak|home"], 2)


def test_a_tank_that_stands_at_its_brim_or_empty_has_no_frozen_sensor_beside() -> None:
    for cause in ("tank.overflow", "tank.dry"):
        room = book()
        says(room, cause, "cellar", True, 0)
        says(room, "tank.level_frozen", "cellar", True, 7200)
        room.act([], T0 + 7300_000)
        assert room.open("tank.level_frozen", "cellar").state == "suppressed"
        assert room.jobs() == [f"{cause}|cellar"]


def test_a_sensor_that_freezes_while_its_pump_fills_is_one_job() -> None:
    room = book()
    says(room, "pump.no_rise", "filler", True, 0)
    says(room, "tank.level_frozen", "cellar", True, 1200)
    room.act([], T0 + 1300_000)
    assert room.jobs() == ["pump.no_rise|filler"]


def test_a_leak_that_becomes_a_burst_sounds_again() -> None:
    room = book()
    says(room, "water.home_leak", "home", True, 0, cause="leak")
    room.act([], T0 + 40_000)
    person(room, "water.home_leak", "home", AlarmEvent.ACKNOWLEDGE, 60)
    says(room, "water.home_leak", "home", True, 120, cause="leak")
    assert room.open("water.home_leak", "home").state == "acknowledged", "saying it twice is harmless"
    says(room, "water.home_leak", "home", True, 180, cause="burst")
    alarm = room.open("water.home_leak", "home")
    assert (alarm.state, alarm.priority, alarm.arguments["cause"]) == ("unacknowledged", 2, "burst")
    assert (len(room.tickets), room.tickets[1].priority) == (1, 2)
    assert len(room.told) == 2


def test_a_pump_that_stands_still_and_its_empty_tank_are_one_ticket() -> None:
    for first, second in (("pumps.off@zone", "tank.dry@roof"), ("tank.dry@roof", "pumps.off@zone")):
        room = book()
        says(room, *first.split("@"), True, 0)  # type: ignore[arg-type]
        room.act([], T0 + 60_000)
        says(room, *second.split("@"), True, 3600)  # type: ignore[arg-type]
        room.act([], T0 + 3_700_000)
        assert room.jobs() == [first.replace("@", "|")]
        assert {a.state for a in room.alarms.values()} == {"unacknowledged"}
        assert {a.ticket for a in room.alarms.values()} == {1}


def test_something_graver_that_hangs_on_an_acknowledged_root_sounds_through_it() -> None:
    rules = {
        **RULES,
        "elevator.fault": replace(RULES["elevator.fault"], priority=RULES["fire.alarm"].priority),
    }
    room = PlainBook(Context(SITE, rules, DEVICES, TOPOLOGY))
    says(room, "feeder.offline", "feeder", True, 0)
    person(room, "feeder.offline", "feeder", AlarmEvent.ACKNOWLEDGE, 5)
    says(room, "elevator.fault", "lift", True, 60)
    assert room.open("elevator.fault", "lift").state == "suppressed"
    assert room.open("feeder.offline", "feeder").state == "unacknowledged"
