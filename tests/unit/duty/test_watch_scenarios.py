"""Scenarios as the duty log tells them, on a clock we own."""

from __future__ import annotations

from decimal import Decimal

from tests.unit.duty.duty_room import Room, device, gauge, person, state

from dutyroom.model.telemetry import Kind, PointSpec, Quality
from dutyroom.topology import Topology

METER = device("A-riser", "water_meter", use="riser")
PANEL = device("panel", "fire_panel")


def test_a_burst_opens_one_alarm_one_ticket_and_one_message_each() -> None:
    room = Room([METER], {"water_meter": [gauge("flow", "m3/h")]})
    room.records.rows.people = [person("li"), person("wang")]
    for second in range(0, 300, 10):
        room.at(second)
        room.reads(("A-riser", "flow", 4.8 if second >= 60 else 0.4))
    assert room.alarms() == {"water.burst@A-riser": "unacknowledged"}
    assert room.tickets() == ["water.burst|A-riser"]
    assert sorted(row.person for row in room.records.rows.outbox.values()) == ["li", "wang"]
    alarm = room.alarm("water.burst", "A-riser")
    assert (alarm.value, alarm.limit, alarm.unit, alarm.ticket) == (4.8, 3.0, "m3/h", 1)


def test_a_fire_alarm_keeps_its_latch() -> None:
    room = Room([PANEL], {"fire_panel": [state("alarm", 10), state("fault", 10)]})
    room.reads(("panel", "alarm", 0))
    room.at(10).reads(("panel", "alarm", 1))
    room.at(20).reads(("panel", "alarm", 0))
    assert room.alarms() == {"fire.alarm@panel": "returned"}
    assert room.tickets() == ["fire.alarm|panel"]


def test_a_fire_alarm_names_loop_and_detector_as_they_were_when_it_was_raised() -> None:
    where = [state("alarm_loop", 10), state("alarm_detector", 10)]
    room = Room([PANEL], {"fire_panel": [state("alarm", 10), *where]})
    room.reads(("panel", "alarm", 0), ("panel", "alarm_loop", 0), ("panel", "alarm_detector", 0))
    room.at(10).reads(("panel", "alarm", 1), ("panel", "alarm_loop", 2), ("panel", "alarm_detector", 17))
    room.at(20).reads(("panel", "alarm", 0), ("panel", "alarm_loop", 0), ("panel", "alarm_detector", 0))
    arguments = room.alarm("fire.alarm", "panel").arguments
    assert (arguments["also.0.alarm_loop"], arguments["also.1.alarm_detector"]) == (2.0, 17.0)
    assert all(not name.startswith("also.") or value for name, value in arguments.items())


def test_what_a_panel_sends_apart_is_not_mentioned() -> None:
    room = Room([PANEL], {"fire_panel": [state("alarm", 10), state("alarm_loop", 10)]})
    room.reads(("panel", "alarm_loop", 2))
    room.at(10).reads(("panel", "alarm", 1))
    assert "also.0.alarm_loop" not in room.alarm("fire.alarm", "panel").arguments


def test_three_days_off_make_no_storm() -> None:
    room = Room([PANEL], {"fire_panel": [state("alarm", 10)]})
    room.reads(("panel", "alarm", 0))
    room.at(20)
    room.clock.at += 3 * 86_400_000
    room.restart()
    room.at(3 * 86_400 + 20 + 290, 10)
    assert room.alarms() == {}
    room.at(3 * 86_400 + 20 + 310, 10)
    assert room.alarms() == {"fire.offline@panel": "unacknowledged"}
    room.reads(("panel", "alarm", 0), quality=Quality.RETAINED)
    assert room.alarms() == {"fire.offline@panel": "unacknowledged"}
    room.at(3 * 86_400 + 20 + 320).reads(("panel", "alarm", 0))
    assert room.alarms() == {"fire.offline@panel": "returned"}


def test_a_fault_that_clears_while_its_ticket_waits_for_a_root_still_has_its_ticket() -> None:
    lift = device("lift", "elevator", 60)
    room = Room(
        [lift], {"elevator": [state("fault_code", 60)]}, topology=Topology({"power": {"lift": ("feeder",)}})
    )
    room.reads(("lift", "fault_code", 0))
    room.at(10).reads(("lift", "fault_code", 36))
    room.at(20).reads(("lift", "fault_code", 0))
    assert room.tickets() == []
    assert room.at(45).tickets() == ["elevator.fault|lift"]
    assert room.alarms() == {"elevator.fault@lift": "returned"}


def test_a_ticket_after_a_time_is_off_when_the_condition_goes() -> None:
    lift = device("lift", "elevator", 60)
    room = Room([lift], {"elevator": [state("fault_code", 60)]})
    room.reads(("lift", "fault_code", 0))
    room.at(700)
    assert room.alarms() == {"elevator.offline@lift": "unacknowledged"}
    room.reads(("lift", "fault_code", 0))
    assert room.at(1100).tickets() == []


def test_a_forced_door_that_stays_open_never_has_a_second_ticket() -> None:
    room = Room([device("gate", "gate")], {"gate": [state("door_open"), state("door_forced")]})
    room.reads(("gate", "door_open", 0))
    room.at(10).reads(("gate", "door_open", 1), ("gate", "door_forced", 1))
    room.at(200)
    assert room.alarms() == {"gate.forced@gate": "unacknowledged", "gate.held_open@gate": "suppressed"}
    assert [t.cause for t in room.records.rows.tickets.values()] == ["gate.forced|gate"]


def test_a_register_that_comes_back_after_a_false_reading_is_no_burst() -> None:
    volume = PointSpec(
        "volume", unit="m3", kind=Kind.COUNTER, step=Decimal("0.001"), digits=8, interval_s=900
    )
    room = Room([device("A-0101-water", "water_meter", 900)], {"water_meter": [volume]})
    for second, litres in ((0, 850_000), (900, 1_000), (1800, 850_020), (2700, 850_030), (3600, 850_040)):
        room.at(second, 30).reads(("A-0101-water", "volume", litres))
    room.at(4000, 30)
    assert room.tickets() == ["meter.decrease|A-0101-water"]
    assert room.alarms() == {"meter.decrease@A-0101-water": "returned"}


def test_a_burst_that_nothing_can_explain_does_not_wait() -> None:
    """Its riser hangs on a master, but no rule says that a master has no water."""
    room = Room(
        [METER, device("master", "water_meter", use="master")],
        {"water_meter": [gauge("flow", "m3/h")]},
        topology=Topology({"water": {"A-riser": ("master",)}}),
    )
    for second in range(0, 41, 10):
        room.at(second).reads(("A-riser", "flow", 4.8 if second >= 10 else 0.4))
    assert room.tickets() == ["water.burst|A-riser"]
