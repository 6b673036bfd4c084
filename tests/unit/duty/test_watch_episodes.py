"""Episodes, tickets, shelves, withdrawals, exchanges, outages of our own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from tests.unit.duty.duty_room import SITE, T0, Room, device, gauge, person, state

from dutyroom.alarms import spans_of, step
from dutyroom.errors import Unavailable
from dutyroom.model.duty import AlarmEvent, AlarmState, Condition, DeviceStatus, Role, TicketEvent
from dutyroom.model.metering import Exchange
from dutyroom.model.telemetry import Kind, Lane, PointSpec
from dutyroom.rules.parse import parse_rules
from dutyroom.tickets import step as ticket_step
from dutyroom.topology import Topology

GATE = device("gate", "gate", 60)
TANK = device("tank", "tank", 60, height=3.0)
METER = device("m", "water_meter", 900)
SPECS: dict[str, list[PointSpec]] = {
    "gate": [state("door_forced", 60), state("door_open", 60)],
    "tank": [gauge("level", "m", 60)],
    "water_meter": [
        PointSpec("volume", unit="m3", kind=Kind.COUNTER, step=Decimal("0.001"), digits=8, interval_s=900)
    ],
}


def person_does(room: Room, rule: str, object: str, event: AlarmEvent, **more: int) -> None:
    with room.records.write() as tx:
        alarm, change = step(room.alarm(rule, object), event, room.clock.at, "li", "because", **more)
        tx.alarms.update(alarm)
        tx.alarms.log(change)


def ticket_goes(room: Room, cause: str, *events: TicketEvent) -> None:
    for event in events:
        with room.records.write() as tx:
            one = next(t for t in tx.tickets.search(SITE, open_only=True) if t.cause == cause)
            tx.tickets.update(ticket_step(one, event, room.clock.at, "li", "because", assignee="li")[0])


def forced(room: Room, second: int, value: int = 1) -> None:
    room.at(second).reads(("gate", "door_forced", value))


def test_further_episodes_attach_to_the_open_ticket_and_a_new_one_follows_a_closed_one() -> None:
    room = Room([GATE], SPECS)
    room.records.rows.people = [person("li")]
    forced(room, 0)
    person_does(room, "gate.forced", "gate", AlarmEvent.ACKNOWLEDGE)
    forced(room, 60, 0)
    forced(room, 120)
    assert len(room.records.rows.alarms) == 2
    assert room.tickets() == ["gate.forced|gate"]
    assert [c.event for c in room.records.rows.ticket_log] == [TicketEvent.OPEN, TicketEvent.ATTACH]
    assert [a.ticket for a in room.records.rows.alarms.values()] == [1, 1]
    assert len(room.records.rows.outbox) == 1
    ticket_goes(room, "gate.forced|gate", TicketEvent.ACCEPT, TicketEvent.DO, TicketEvent.CLOSE)
    person_does(room, "gate.forced", "gate", AlarmEvent.ACKNOWLEDGE)
    forced(room, 180, 0)
    forced(room, 240)
    assert len(room.records.rows.tickets) == 2
    assert len(room.records.rows.outbox) == 2


def test_what_comes_back_after_its_work_was_done_is_told_though_the_ticket_still_waits_for_its_follow_up() -> (
    None
):
    room = Room([GATE], SPECS)
    room.records.rows.people = [person("li")]
    forced(room, 0)
    person_does(room, "gate.forced", "gate", AlarmEvent.ACKNOWLEDGE)
    forced(room, 60, 0)
    ticket_goes(room, "gate.forced|gate", TicketEvent.ACCEPT, TicketEvent.DO)
    forced(room, 600)
    assert len(room.records.rows.tickets) == 1
    assert len(room.records.rows.outbox) == 2
    (work,) = room.records.rows.tickets.values()
    assert (work.state, work.assignee, work.done_at) == ("open", "", None), "nobody has been sent for it"
    ticket_goes(room, "gate.forced|gate", TicketEvent.ACCEPT)


@pytest.mark.parametrize("last", [TicketEvent.DO, TicketEvent.CLOSE])
@pytest.mark.parametrize("pause", [120, 600])
def test_so_is_what_nobody_acknowledged_and_comes_back_on_the_same_row(last: TicketEvent, pause: int) -> None:
    room = Room([GATE], SPECS)
    room.records.rows.people = [person("li")]
    forced(room, 0)
    forced(room, 60, 0)
    ticket_goes(room, "gate.forced|gate", TicketEvent.ACCEPT, TicketEvent.DO)
    if last is TicketEvent.CLOSE:
        ticket_goes(room, "gate.forced|gate", TicketEvent.CLOSE)
    forced(room, 60 + pause)
    assert len(room.records.rows.alarms) == 1
    assert len(room.records.rows.outbox) == 2
    assert list(room.records.rows.tickets.values())[-1].state == "open"
    for second in range(60, 240, 60):
        forced(room, 60 + pause + second, second // 60 % 2)
    assert len(room.records.rows.outbox) == 2


def test_a_raise_after_its_return_is_the_same_episode() -> None:
    room = Room([GATE], SPECS)
    for second, value in ((0, 1), (60, 0), (120, 1), (180, 0), (240, 1)):
        forced(room, second, value)
    assert len(room.records.rows.alarms) == 1
    assert len(room.records.rows.tickets) == 1
    assert [c.event for c in room.records.rows.alarm_log].count(AlarmEvent.RAISE) == 3


def test_an_alarm_that_is_shelved_comes_back_at_the_end_of_the_shelf() -> None:
    room = Room([GATE], SPECS)
    forced(room, 0)
    person_does(room, "gate.forced", "gate", AlarmEvent.SHELVE, until=T0 + 600_000)
    for second in range(60, 600, 60):
        forced(room, second, second // 60 % 2)
    assert room.alarms() == {"gate.forced@gate": "shelved"}
    room.at(601)
    assert room.alarms() == {"gate.forced@gate": "unacknowledged"}
    assert len(room.records.rows.alarms) == 1


@pytest.mark.parametrize("work", ["open", "accepted", "done", "closed", "none"])
def test_what_stands_at_the_end_of_its_shelf_is_announced_again(work: str) -> None:
    """Once: with the ticket that is open, or with one that is open anew; gone meanwhile it is nobody's work."""
    events = {
        "accepted": [TicketEvent.ACCEPT],
        "done": [TicketEvent.ACCEPT, TicketEvent.DO],
        "closed": [TicketEvent.ACCEPT, TicketEvent.DO, TicketEvent.CLOSE],
    }
    for gone in (False, True):
        room = Room([GATE], SPECS)
        room.records.rows.people = [person("li")]
        forced(room, 0)
        if work == "none":
            room.records.rows.tickets.clear()
            room.records.rows.outbox.clear()
            alarm = room.alarm("gate.forced", "gate")
            room.records.rows.alarms[alarm.id] = replace(alarm, ticket=None, ticket_due=None)
        person_does(room, "gate.forced", "gate", AlarmEvent.SHELVE, until=T0 + 600_000)
        ticket_goes(room, "gate.forced|gate", *events.get(work, []))
        told = len(room.records.rows.outbox)
        for second in range(60, 600, 60):
            forced(room, second, int(not gone))
        assert len(room.records.rows.outbox) == told, work
        room.at(640)
        room.at(900)
        assert len(room.records.rows.outbox) == told + (not gone), (work, gone)
        states = [ticket.state.value for ticket in room.records.rows.tickets.values()]
        again = {"done": ["open"], "closed": ["closed", "open"], "none": ["open"]}
        assert states == ((not gone and again.get(work)) or ([work] if work != "none" else [])), (work, gone)


LIFT = device("lift", "elevator", 30)
CAR = {"elevator": [state("trapped", 30), state("fault_code", 30), gauge("floor", "", 30)]}


def car(room: Room, second: int, trapped: int, floor: int, fault: int = 0) -> None:
    for at in range(second, second + 60, 30):
        room.at(at).reads(
            ("lift", "trapped", trapped), ("lift", "floor", floor), ("lift", "fault_code", fault)
        )


@pytest.mark.parametrize("answer", [[], [TicketEvent.ACCEPT], [TicketEvent.ACCEPT, TicketEvent.DO]])
def test_people_who_are_trapped_again_are_told_of_where_they_are_now(answer: list[TicketEvent]) -> None:
    """Freed at floor 3, nobody has reset the latch; the second message sent rescuers to floor 3."""
    room = Room([LIFT], CAR)
    room.records.rows.people = [person("li")]
    car(room, 0, 1, 3)
    ticket_goes(room, "elevator.entrapment|lift", *answer)
    for second in range(60, 1200, 60):
        car(room, second, 0, second // 60)
    car(room, 1200, 1, 9)
    told = [r for r in room.records.rows.outbox.values() if "elevator.entrapment" in r.dedupe]
    told = [r for r in told if r.created_at >= T0 + 1_200_000]
    assert [r.arguments["also.0.floor"] for r in told] == [9]
    (work,) = room.records.rows.tickets.values()
    for arguments in (room.alarm("elevator.entrapment", "lift").arguments, work.arguments):
        assert arguments["also.0.floor"] == 9
    history = [c.reason for c in room.records.rows.alarm_log if c.event is AlarmEvent.NOTE]
    assert history == ["alarm.reason.other:9"]


def test_a_new_alarm_on_a_ticket_that_is_open_names_where_it_is_now() -> None:
    """The first was answered and has ended; nobody has closed its ticket."""
    room = Room([LIFT], CAR)
    room.records.rows.people = [person("li")]
    car(room, 0, 1, 3)
    person_does(room, "elevator.entrapment", "lift", AlarmEvent.ACKNOWLEDGE)
    ticket_goes(room, "elevator.entrapment|lift", TicketEvent.ACCEPT)
    for second in range(60, 1200, 60):
        car(room, second, 0, 1)
    person_does(room, "elevator.entrapment", "lift", AlarmEvent.RESET)
    car(room, 1200, 1, 7)
    (work,) = room.records.rows.tickets.values()
    assert work.arguments["also.0.floor"] == 7
    assert [c.reason for c in room.records.rows.ticket_log if c.reason.startswith("alarm.reason.other")] == [
        "alarm.reason.other:7"
    ]


def test_a_code_that_flickers_fills_no_history_and_what_is_not_said_is_no_news() -> None:
    room = Room([LIFT], CAR)
    for second in range(0, 3600, 30):
        fault = (
            (5, 0, 7, 0)[second // 30 % 4]
            if second < 1800
            else (5, 0, 0, 0, 0, 0, 7, 0, 0, 0, 0, 0)[second // 30 % 12]
        )
        room.at(second).reads(("lift", "fault_code", fault))
    notes = [c for c in room.records.rows.alarm_log if c.reason.startswith("alarm.reason.other")]
    assert len(notes) <= 7
    room = Room([LIFT], CAR)
    car(room, 0, 1, 3)
    for second in range(60, 300, 60):
        car(room, second, 0, 3)
    for second in (300, 330):
        room.at(second).reads(("lift", "trapped", 1))
    assert "also.0.floor" not in room.alarm("elevator.entrapment", "lift").arguments
    assert not any(c.reason.startswith("alarm.reason.other") for c in room.records.rows.alarm_log)


@pytest.mark.parametrize("restart", [False, True])
def test_a_fault_that_becomes_another_without_a_pause_is_shown_as_that(restart: bool) -> None:
    """The work order that the mechanic reads on the way names the newest; nobody is told twice."""
    room = Room([LIFT], CAR)
    room.records.rows.people = [person("li")]
    car(room, 0, 0, 3, fault=5)
    if restart:
        room.restart()
    car(room, 60, 0, 3, fault=5)
    for second in range(120, 900, 60):
        room.at(second).reads(("lift", "fault_code", 12))
    room.reads(("lift", "fault_code", 5), at=130)  # of the time before, come late
    room.at(930).reads(("lift", "fault_code", 12))
    (work,) = room.records.rows.tickets.values()
    assert (room.alarm("elevator.fault", "lift").arguments["code"], work.arguments["code"]) == (12, 12)
    notes = [c.reason for c in room.records.rows.alarm_log if c.event is AlarmEvent.NOTE]
    assert notes == ["alarm.reason.other:12"]
    assert len(room.records.rows.outbox) == 1


def test_another_code_goes_with_the_floor_that_was_said_last() -> None:
    """By a controller that speaks on change, each thing in a message of its own."""
    room = Room([LIFT], CAR)
    room.at(0).reads(("lift", "floor", 3), ("lift", "fault_code", 0))
    for second, name, value in ((60, "fault_code", 36), (3600, "floor", 9), (3630, "fault_code", 48)):
        room.at(second, 10).reads(("lift", name, value))
    said = room.alarm("elevator.fault", "lift").arguments
    assert (said["code"], said["also.0.floor"]) == (48, 9)
    room.restart()
    room.reads(("lift", "fault_code", 50))
    said = room.alarm("elevator.fault", "lift").arguments
    assert (said["code"], said.get("also.0.floor")) == (50, None), "nobody knows any more"


@pytest.mark.parametrize("every", [1, 5, 10, 30])
def test_what_is_told_after_a_delay_names_the_floor(every: int) -> None:
    """A fault counts a second after it was said, a car outside a landing after a minute; both come by the clock, or with a later
    message."""
    specs = [state(n, 30) for n in ("fault_code", "door_zone", "moving", "mode")]
    room = Room([LIFT], {"elevator": [*specs, gauge("floor", "", 30)]})
    for second in range(0, 240, every):
        still = int(second >= 60)
        said = {"fault_code": 7 * still, "door_zone": 1 - still, "moving": 1 - still, "mode": 0}
        floor = ("lift", "floor", 6 if still else second // 10)
        room.at(second).reads(*(("lift", name, value) for name, value in said.items()), floor)
    for rule in ("elevator.fault", "elevator.stopped_outside"):
        assert room.alarm(rule, "lift").arguments["also.0.floor"] == 6, rule


def test_a_leak_that_comes_back_as_a_burst_is_as_grave_as_that() -> None:
    room = Room([METER], SPECS)
    room.records.rows.people = [person("li")]

    def home(second: int, active: bool, cause: str = "leak", flow: float = 0.2) -> None:
        room.at(second, 60)
        said = {"cause": cause} if active else {}
        found = Condition("water.home_leak", "m", active, room.clock.at, "volume", flow, 0.1, "m3/h", said)
        room.watch._pending.append(found)
        room.reads(("m", "volume", 5))

    home(0, True)
    home(3600, False)
    told = len(room.records.rows.outbox)
    home(7200, True, "burst", 4.0)
    room.at(7300, 60)
    alarm = room.alarm("water.home_leak", "m")
    (work,) = room.records.rows.tickets.values()
    assert (alarm.priority, work.priority) == (2, 2)
    assert len(room.records.rows.outbox) == told + 1


def test_a_fault_that_comes_back_as_another_is_shown_as_that() -> None:
    room = Room([LIFT], CAR)
    car(room, 0, 0, 3, fault=5)
    for second in range(60, 1200, 60):
        car(room, second, 0, 3)
    car(room, 1200, 0, 3, fault=7)
    (work,) = room.records.rows.tickets.values()
    alarm = room.alarm("elevator.fault", "lift")
    assert (alarm.arguments["code"], alarm.value, work.arguments["code"]) == (7, 7, 7)
    assert any(c.reason.startswith("alarm.reason.other:7") for c in room.records.rows.alarm_log)


def test_a_low_priority_alarm_is_listed_without_ticket_and_message() -> None:
    room = Room([METER], SPECS)
    room.records.rows.people = [person("li")]
    room.reads(("m", "volume", 5))
    room.at(86_500, 60)
    assert room.alarms() == {"meter.silent@m": "unacknowledged"}
    assert not room.records.rows.tickets
    assert not room.records.rows.outbox


def test_only_operators_and_administrators_with_a_contact_are_told() -> None:
    room = Room([TANK], SPECS)
    room.records.rows.people = [
        person("li"), person("boss", Role.ADMINISTRATOR), person("guest", Role.VIEWER), person("clerk", Role.CLERK),
        replace(person("gone"), active=False), replace(person("mute"), contacts=()),
    ]  # fmt: skip
    room.reads(("tank", "level", 2.9))
    assert sorted(m.person for m in room.records.rows.outbox.values()) == ["boss", "li"]
    message = next(iter(room.records.rows.outbox.values()))
    assert message.key == "alarm.tank.overflow"
    assert message.arguments["ticket"] == "WO-000001"
    assert (message.arguments["value"], message.arguments["limit"]) == (2.9, 2.85)
    assert ("alarm", "1") in room.records.rows.changes
    assert ("ticket", "1") in room.records.rows.changes


def test_a_rule_or_device_that_is_withdrawn_closes_its_alarms_and_leaves_the_ticket() -> None:
    room = Room([GATE, TANK], SPECS)
    room.reads(("gate", "door_forced", 1), ("tank", "level", 2.9))
    rules = parse_rules("rules:\n  - {id: gate.forced, enabled: false}\n", "rules.yaml")
    room.watch.reload(rules, room.devices)
    assert room.alarms() == {"tank.overflow@tank": "unacknowledged"}
    gone = {**room.devices, "tank": replace(TANK, status=DeviceStatus.WITHDRAWN)}
    room.watch.reload(rules, gone)
    assert room.alarms() == {}
    assert room.tickets() == ["gate.forced|gate", "tank.overflow|tank"]


@pytest.mark.parametrize("gone_before", [False, True])
def test_a_fire_alarm_needs_its_reset_though_its_panel_is_another_device_now(gone_before: bool) -> None:
    """gone_before: its condition."""
    panel = device("panel", "fire_panel")
    room = Room([panel], {"fire_panel": [state("alarm")]})
    room.reads(("panel", "alarm", 1))
    if gone_before:
        room.at(5).reads(("panel", "alarm", 0))
    room.watch.reload(room.rules, {"panel": replace(panel, device_class="gate")})
    assert room.alarms() == {"fire.alarm@panel": "returned"}
    for event in (AlarmEvent.ACKNOWLEDGE, AlarmEvent.RESET):
        alarm, _ = step(room.alarm("fire.alarm", "panel"), event, room.clock.at, "li", "")
        room.records.rows.alarms[alarm.id] = alarm
    assert room.alarms() == {}
    assert room.tickets() == ["fire.alarm|panel"]


def test_what_was_withdrawn_while_we_were_down_is_closed_at_the_start() -> None:
    room = Room([GATE, TANK], SPECS)
    room.reads(("gate", "door_forced", 1), ("tank", "level", 2.9))
    room.watch.stop()
    room.rules = parse_rules("rules:\n  - {id: gate.forced, enabled: false}\n", "rules.yaml")
    room.restart()
    room.at(2)
    assert room.alarms() == {"tank.overflow@tank": "unacknowledged"}


def test_the_alarm_of_a_rule_that_went_is_closed_at_the_start_though_the_state_of_the_rules_was_lost() -> (
    None
):
    room = Room([GATE], SPECS)
    forced(room, 0)
    room.watch.stop()
    room.records.rows.blobs.clear()
    room.rules = tuple(rule for rule in room.rules if rule.id != "gate.forced")
    room.restart()
    room.at(10)
    assert room.alarms() == {}
    assert room.tickets() == ["gate.forced|gate"], "a person closes it"


def test_an_exchange_on_record_explains_a_decrease_before_or_after_it() -> None:
    exchange = Exchange(1, SITE, "m", "volume", T0, 412_350, 0, "li", "verification")
    before = Room([METER], SPECS)
    before.records.rows.exchanges = [exchange]
    before.reads(("m", "volume", 412_345))
    before.at(900, 60).reads(("m", "volume", 3))
    assert before.alarms() == {}
    after = Room([METER], SPECS)
    after.reads(("m", "volume", 412_345))
    after.at(900, 60).reads(("m", "volume", 3))
    assert after.alarms() == {"meter.decrease@m": "unacknowledged"}
    after.records.rows.exchanges = [exchange]
    after.at(960)
    assert after.alarms() == {"meter.decrease@m": "returned"}
    assert after.tickets() == ["meter.decrease|m"]


DAYS = 86_400
VERIFIED = Exchange(1, SITE, "m", "volume", T0 + 900_000, 50_000, 5_000, "li", "verification")


def exchanged(known: int, **more: Any) -> Room:
    """A meter that is exchanged for one whose register is lower, at the second 900. known: when that is put on record."""
    room = Room([METER], SPECS, **more)
    room.records.rows.people = [person("li")]

    def record() -> None:
        room.records.rows.exchanges = [VERIFIED]
        room.records.rows.changes.append(("exchange", "m"))

    if known <= 0:
        record()
    room.reads(("m", "volume", 50_000))
    room.at(900, 300).reads(("m", "volume", 5_000))
    if known > 0:
        room.at(known, 300)
        record()
        room.at(known + 300, 60)
    return room


@pytest.mark.parametrize("known", [0, 3600, 2 * DAYS])
@pytest.mark.parametrize("start", ["none", "stopped", "killed", "killed after it"])
def test_a_meter_that_was_exchanged_for_a_lower_register_is_watched_from_its_new_level(
    known: int, start: str
) -> None:
    room = exchanged(known)
    room.at(2 * DAYS + 900, 300).reads(("m", "volume", 5_010))
    assert room.alarms().get("meter.decrease@m") in (None, "returned")
    if start == "stopped":
        room.watch.stop()
    if start in ("stopped", "killed"):
        room.restart()
    room.at(9 * DAYS, 900).reads(("m", "volume", 2_000))
    if start == "killed after it":
        room.restart()
        room.at(9 * DAYS + 60, 60)
    assert room.alarms()["meter.decrease@m"] == "unacknowledged"
    assert spans_of(room.alarm("meter.decrease", "m"))[-1] == (T0 + 9 * DAYS * 1000, None)
    room.at(9 * DAYS + 300, 60).reads(("m", "volume", 5_020))
    assert room.alarms()["meter.decrease@m"] == "returned", "its own level is back, not that of the old meter"


@pytest.mark.parametrize("known", [0, 3600])
def test_a_state_from_before_it_was_told_of_the_exchange_is_mended_at_the_start(known: int) -> None:
    """As an older version stored it: the level of the old meter, and not when that was."""
    room = exchanged(known)
    room.watch.stop()
    instance = room.engine._roster.instances["meter.decrease", "m"]
    point = room.point("m", "volume").id
    active, newest, _, resets = instance.dump()
    instance.load([active, newest, [(point, 50.0)], resets])
    room.engine._look(instance)
    room.watch.stop()
    room.restart()
    room.at(9 * DAYS, 900).reads(("m", "volume", 2_000))
    assert room.alarms()["meter.decrease@m"] == "unacknowledged"


def test_silence_is_not_counted_while_the_broker_is_away() -> None:
    room = Room([TANK], SPECS)
    room.reads(("tank", "level", 1))
    room.at(60)
    room.broker = False
    room.at(7200, 10)
    assert room.alarms() == {}
    room.broker = True
    room.at(7200 + 1790, 10)
    assert room.alarms() == {}
    room.at(7200 + 1820, 10)
    assert room.alarms() == {"tank.silent@tank": "unacknowledged"}


def test_a_machine_that_slept_gives_everybody_a_full_allowance() -> None:
    room = Room([TANK], SPECS)
    room.reads(("tank", "level", 1))
    room.at(60)
    room.clock.at += 3 * 86_400_000
    room.at(3 * 86_400 + 1800, 1)
    assert room.alarms() == {}
    room.at(3 * 86_400 + 1900, 1)
    assert room.alarms() == {"tank.silent@tank": "unacknowledged"}


@pytest.mark.parametrize("away", ["line", "machine"])
def test_the_first_of_a_backlog_rings_no_wait_whose_end_is_behind_it(away: str) -> None:
    """22:00 a gate opens, 22:00:10 its door is shut, but the line has just gone; at 23:00 what the broker kept comes,
    the message of a meter first."""
    room = Room(
        [device("gate", "gate"), device("meter", "water_meter", 10)],
        {"gate": [state("door_open")], "water_meter": [gauge("flow", "m3/h")]},
    )
    for second in range(0, 60, 10):
        room.at(second).reads(("meter", "flow", 0.1))
    room.reads(("gate", "door_open", 1))
    if away == "line":
        room.broker = False
        room.at(3600, 10)
        room.broker = True
    else:
        room.clock.at += 3_540_000
    room.reads(("meter", "flow", 0.1), at=60)
    room.reads(("gate", "door_open", 0), at=70)
    room.at(3900)
    assert room.records.rows.alarms == {}
    room.reads(("gate", "door_open", 1))
    room.at(4030, 10).reads(("meter", "flow", 0.1))
    assert room.alarms() == {"gate.held_open@gate": "unacknowledged"}


@pytest.mark.parametrize("killed", [0, 3601, 3605])
def test_a_wait_that_began_anew_after_an_outage_is_no_older_after_a_kill(killed: int) -> None:
    """A gate opens at 60 s, the line goes for an hour; of that hour nobody knows."""
    room = Room(
        [device("gate", "gate"), device("meter", "water_meter", 10)],
        {"gate": [state("door_open")], "water_meter": [gauge("flow", "m3/h")]},
    )
    room.at(50).reads(("meter", "flow", 0.1), ("gate", "door_open", 1))
    room.broker = False
    room.at(3600, 10)
    room.broker = True
    room.reads(("meter", "flow", 0.1), at=60)
    if killed:
        room.at(killed).restart()
    room.at(3609).reads(("gate", "door_open", 1), at=3606)
    room.at(3720, 10)
    assert room.records.rows.alarms == {}
    room.at(3740, 10)
    assert room.alarms() == {"gate.held_open@gate": "unacknowledged"}


@pytest.mark.parametrize("away", ["line", "machine", "process"])
def test_a_generator_whose_start_waits_in_the_broker_has_not_failed(away: str) -> None:
    """It ran 8 s after the mains was lost, but by then the line had gone; a message of another device comes first."""
    room = Room(
        [device("mains", "feeder", 10), device("set", "generator"), device("door", "gate")],
        {"feeder": [gauge("voltage")], "generator": [state("running")], "gate": [state("door_open")]},
    )
    room.at(1).reads(("mains", "voltage", 230), ("set", "running", 0), ("door", "door_open", 0))
    for second in (90, 100, 104):
        room.at(second).reads(("mains", "voltage", 230 if second < 100 else 0))
    if away == "machine":
        room.clock.at += 500_000
    else:
        room.broker = False
        room.at(600, 10)
        room.broker = True
    if away == "process":
        room.restart()
    room.reads(("door", "door_open", 0), at=107)
    room.at((room.clock.at - T0) // 1000 + 20)
    room.reads(("set", "running", 1), at=108)
    for second in range(700, 900, 10):
        room.at(second).reads(("mains", "voltage", 0))
    assert room.tickets() == ["power.mains_lost|mains"]
    assert not [a for a in room.records.rows.alarms.values() if a.rule == "generator.start_failure"]


def test_a_generator_that_did_not_start_while_the_line_was_away_is_told() -> None:
    room = Room(
        [device("mains", "feeder", 10), device("set", "generator")],
        {"feeder": [gauge("voltage")], "generator": [state("running")]},
    )
    room.at(1).reads(("mains", "voltage", 230), ("set", "running", 0))
    for second in (90, 100, 104):
        room.at(second).reads(("mains", "voltage", 230 if second < 100 else 0))
    room.broker = False
    room.at(600, 10)
    room.broker = True
    for second in range(600, 700, 10):
        room.at(second).reads(("mains", "voltage", 0))
    assert room.tickets() == ["generator.start_failure|set", "power.mains_lost|mains"]


def of_two_lines() -> Room:
    """A gate that is heard by one line, a feeder by the other."""
    room = Room(
        [device("gate", "gate"), device("mains", "feeder", 10)],
        {"gate": [state("door_open"), state("tamper")], "feeder": [gauge("voltage")]},
    )
    room.at(1).reads(("gate", "door_open", 0), ("gate", "tamper", 0), ("mains", "voltage", 230))
    return room


def heard(room: Room, since: int, until: int) -> None:
    for second in range(since, until, 10):
        room.at(second).reads(("mains", "voltage", 230))


@pytest.mark.parametrize("before", ["nothing", "another point"])
def test_while_one_of_two_lines_is_away_what_waits_there_rings_nothing(before: str) -> None:
    room = of_two_lines()
    heard(room, 10, 60)
    room.reads(("gate", "door_open", 1))
    room.broker = False
    heard(room, 60, 900)
    assert room.alarms() == {}, "the door was shut long ago: the broker has kept it"
    if before == "another point":
        room.reads(("gate", "tamper", 0), at=70)
        heard(room, 900, 910)
    room.broker = True
    room.reads(("gate", "door_open", 0), at=80)
    heard(room, 910, 1500)
    assert room.records.rows.alarms == {}


@pytest.mark.parametrize("ended", ["not", "killed", "stopped"])
def test_what_stood_open_all_the_while_is_told_when_its_line_is_back(ended: str) -> None:
    """Also by another process, which has heard the other line only since it lives."""
    room = of_two_lines()
    heard(room, 10, 60)
    room.reads(("gate", "door_open", 1))
    room.broker = False
    heard(room, 60, 890)
    if ended == "stopped":
        room.watch.stop()
    if ended != "not":
        room.restart()
    heard(room, 890, 900)
    room.broker = True
    heard(room, 900, 1000)
    assert room.alarms() == {}
    heard(room, 1000, 1100)
    assert room.alarms() == {"gate.held_open@gate": "unacknowledged"}


def test_what_the_broker_kept_counts_as_ever_when_its_line_is_back() -> None:
    room = of_two_lines()
    room.broker = False
    heard(room, 10, 900)
    room.broker = True
    room.reads(("gate", "door_open", 1), at=100)
    room.reads(("gate", "door_open", 0), at=400)
    heard(room, 900, 910)
    (alarm,) = room.records.rows.alarms.values()
    assert (alarm.raised_at, alarm.cleared_at) == (T0 + 220_000, T0 + 400_000)


def test_a_line_that_goes_with_the_mains_keeps_nothing_urgent_back() -> None:
    """Feeder and generator speak on change, and say nothing more; something else is heard by their line."""
    room = Room(
        [device("mains", "feeder"), device("set", "generator"), device("tank", "tank", 10, height=3)],
        {
            "feeder": [gauge("voltage", interval=None)],
            "generator": [state("running")],
            "tank": [gauge("level")],
        },
    )
    room.at(1).reads(("mains", "voltage", 230), ("set", "running", 0), ("tank", "level", 2))
    room.at(100).reads(("mains", "voltage", 0))
    room.at(101)
    room.broker = False
    for second in range(110, 200, 10):
        room.at(second).reads(("tank", "level", 2))
    assert room.tickets() == ["generator.start_failure|set", "power.mains_lost|mains"]


def test_the_line_that_is_there_rings_while_another_one_is_away() -> None:
    room = of_two_lines()
    room.broker = False
    heard(room, 10, 60)
    room.reads(("gate", "door_open", 1))
    heard(room, 60, 200)
    assert room.alarms() == {"gate.held_open@gate": "unacknowledged"}


@pytest.mark.parametrize("how", ["stopped", "killed", "slept"])
@pytest.mark.parametrize("lane", list(Lane))
@pytest.mark.parametrize("repeated", [False, True])
def test_what_came_before_the_watch_looks_rings_no_wait_across_the_time_in_which_nobody_listened(
    how: str, lane: Lane, repeated: bool
) -> None:
    """22:00 a gateway is away, then we are, for 42 minutes; its return is in the journal a moment before the
    watch looks, in a batch whose last message came later and whose first one had come before we went."""
    room = Room(
        [device("gateway", "gateway"), device("meter", "water_meter", 10)],
        {"gateway": [state("online")], "water_meter": [gauge("flow", "m3/h")]},
    )
    room.reads(("gateway", "online", 1), ("meter", "flow", 0.1))
    room.at(58).reads(("gateway", "online", 0))
    room.reads(("meter", "flow", 0.1))
    before = room.batch(("meter", "flow", 0.1)).messages
    if how == "stopped":
        room.watch.stop()
    room.clock.at += 2_540_000
    if how != "slept":
        room.restart()
    room.clock.at += 300
    batch = room.batch(("gateway", "online", 1), lane=lane)
    room.clock.at += 11
    later = room.batch(("meter", "flow", 0.1)).messages
    room.journal.append(
        replace(
            batch,
            messages=(*batch.messages, *later, *(before if repeated else ())),
            received_at=room.clock.at,
        )
    )
    room.clock.at += 500
    if lane is Lane.NORMAL:
        room.watch.drain()
    else:
        room.watch.tick(room.clock.at)
    room.at(2700)
    assert room.records.rows.alarms == {}


@pytest.mark.parametrize("shut", [400, 900])
@pytest.mark.parametrize("every", [1, 5, 10, 50])
@pytest.mark.parametrize("urgent", [False, True])
def test_what_was_heard_while_the_watch_alone_stood_still_is_judged_as_if_it_had_not(
    shut: int, every: int, urgent: bool
) -> None:
    """Its database was away for ten minutes, the gate stood open, and a meter spoke all the while; so did a detector,
    in a lane of its own."""
    room = Room(
        [device("gate", "gate"), device("meter", "water_meter", 10), device("fire", "fire_panel")],
        {
            "gate": [state("door_open")],
            "water_meter": [gauge("flow", "m3/h")],
            "fire_panel": [state("fault")],
        },
    )
    for second in range(0, 60, 10):
        room.at(second).reads(("meter", "flow", 0.1))
    room.reads(("gate", "door_open", 1))
    room.at(60)
    for second in range(60, 660, every):
        room.clock.at = T0 + second * 1000
        room.journal.append(room.batch(("meter", "flow", 0.1)))
        if urgent and second % 100 == 0:
            room.journal.append(room.batch(("fire", "fault", 0), lane=Lane.PRIORITY))
        if shut <= second < shut + every:
            room.journal.append(room.batch(("gate", "door_open", 0)))
    room.at(662)
    assert room.engine.pauses == []
    assert room.alarm("gate.held_open", "gate").raised_at == T0 + 170_000


def test_what_could_not_be_committed_is_committed_later() -> None:
    room = Room([TANK], SPECS)
    room.at(1)
    write = room.records.write

    @contextmanager
    def away() -> Iterator[None]:
        raise Unavailable("the disk is full")
        yield

    room.records.write = away
    with pytest.raises(Unavailable):
        room.reads(("tank", "level", 2.9))
    with pytest.raises(Unavailable):
        room.watch.drain()
    room.records.write = write
    room.watch.drain()
    assert room.alarms() == {"tank.overflow@tank": "unacknowledged"}
    assert room.tickets() == ["tank.overflow|tank"]


def test_a_consequence_by_another_rule_is_attached() -> None:
    pump = device("pump", "pump", 60, tank="tank")
    room = Room([TANK, pump], {**SPECS, "pump": [state("running", 60)]})
    room.reads(("tank", "level", 1), ("pump", "running", 1))
    room.at(60).reads(("tank", "level", 0.1), ("pump", "running", 1))
    room.at(200)
    assert room.alarms() == {"tank.dry@tank": "unacknowledged", "pump.dry_run@pump": "suppressed"}
    assert room.tickets() == ["tank.dry|tank"]


def test_a_burst_on_a_riser_explains_its_master() -> None:
    riser = device("riser", "water_meter", 10, use="riser")
    master = device("master", "water_meter", 10, use="master", burst_flow=6)
    room = Room(
        [riser, master],
        {"water_meter": [gauge("flow", "m3/h")]},
        topology=Topology({"water": {"riser": ("master",)}}),
    )
    for second in range(0, 200, 10):
        room.at(second).reads(("master", "flow", 9))
        if second >= 20:
            room.reads(("riser", "flow", 5))
    assert room.tickets() == ["water.burst|riser"]
    assert room.alarms() == {"water.burst@master": "suppressed", "water.burst@riser": "unacknowledged"}


def test_a_root_that_comes_after_the_ticket_takes_it_over_while_nobody_was_sent() -> None:
    lift = device("lift", "elevator", 60)
    feeder = device("feeder", "feeder", 10)
    specs = {"elevator": [state("fault_code", 60)], "feeder": [gauge("voltage", "V")]}
    room = Room([lift, feeder], specs, topology=Topology({"power": {"lift": ("feeder",)}}))
    room.reads(("feeder", "voltage", 230), ("lift", "fault_code", 9))
    room.at(40)
    assert room.tickets() == ["elevator.fault|lift"]
    room.at(80).reads(("feeder", "voltage", 0))
    room.at(90)
    assert room.tickets() == ["power.mains_lost|feeder"]
    ticket = room.records.rows.tickets[1]
    assert (len(room.records.rows.tickets), ticket.priority, ticket.object) == (1, 1, "feeder")
    assert ticket.alarm == room.alarm("power.mains_lost", "feeder").id
    assert room.records.rows.ticket_log[-1].reason == "alarm.reason.cause_found"
    assert room.alarm("elevator.fault", "lift").ticket is None


def test_what_stood_long_before_a_root_is_no_consequence_of_it() -> None:
    lift = device("lift", "elevator", 60)
    feeder = device("feeder", "feeder", 10)
    specs = {"elevator": [state("fault_code", 60)], "feeder": [gauge("voltage", "V")]}
    room = Room([lift, feeder], specs, topology=Topology({"power": {"lift": ("feeder",)}}))
    room.reads(("lift", "fault_code", 9))
    room.at(300).reads(("feeder", "voltage", 0))
    room.at(310)
    assert room.tickets() == ["elevator.fault|lift", "power.mains_lost|feeder"]


def test_late_buffered_data_raises_what_still_stands_and_marks_it_late() -> None:
    room = Room([TANK], SPECS)
    room.at(90_000, 600).reads(("tank", "level", 2.9), at=3600)
    alarm = room.alarm("tank.overflow", "tank")
    assert alarm.late
    assert alarm.raised_at == T0 + 3_600_000


def test_a_rule_of_the_site_has_the_words_of_its_kind() -> None:
    text = "rules:\n  - {id: own.low, kind: limit, name: Low, select: {classes: [tank]}, point: level, parameters: {below: 1}}\n"
    room = Room([TANK], SPECS, rules=parse_rules(text, "rules.yaml"))
    room.reads(("tank", "level", 0.5))
    assert room.alarm("own.low", "tank").key == "alarm.kind.limit"
    assert room.alarm("own.low", "tank").arguments["rule"] == "own.low"


def service(room: Room, status: DeviceStatus) -> None:
    """A person takes the tank out of service, or back into it, with the alarms that stand on it."""
    with room.records.write() as tx:
        tx.rows.devices = [replace(TANK, status=status)]
        tx.change(SITE, room.clock.at, "device", "tank")
        for alarm in tx.alarms.open_ones(SITE):
            if alarm.state is AlarmState.OUT_OF_SERVICE and status is DeviceStatus.ACTIVE:
                tx.alarms.update(step(alarm, AlarmEvent.RESTORE, room.clock.at, "li")[0])


def test_an_alarm_on_a_device_out_of_service_rings_when_it_is_back() -> None:
    room = Room([TANK], SPECS)
    room.records.rows.people = [person("li")]
    room.at(1)
    service(room, DeviceStatus.OUT_OF_SERVICE)
    room.at(60).reads(("tank", "level", 2.9))
    room.at(120)
    assert room.alarms() == {"tank.overflow@tank": "out_of_service"}
    assert not room.records.rows.tickets
    assert not room.records.rows.outbox
    service(room, DeviceStatus.ACTIVE)
    room.at(122)
    assert room.alarms() == {"tank.overflow@tank": "unacknowledged"}
    assert room.tickets() == ["tank.overflow|tank"]
    assert len(room.records.rows.outbox) == 1


def test_a_ticket_that_a_person_closed_stays_closed_while_the_alarm_stands() -> None:
    room = Room([TANK], SPECS)
    room.reads(("tank", "level", 2.9))
    ticket_goes(room, "tank.overflow|tank", TicketEvent.ACCEPT, TicketEvent.DO, TicketEvent.CLOSE)
    room.at(300)
    assert room.tickets() == []


def test_on_a_fast_clock_what_is_on_its_way_is_waited_for() -> None:
    """A door's closing that comes 130 s late by the clock, because that is a second by the machine's."""
    room = Room([GATE], SPECS, lag=240_000)
    room.reads(("gate", "door_open", 1))
    room.at(130, 10).reads(("gate", "door_open", 0), at=8)
    assert room.alarms() == {}
    room.at(200).reads(("gate", "door_open", 1))
    room.at(200 + 120 + 250, 10)
    assert room.alarms() == {"gate.held_open@gate": "unacknowledged"}
    assert room.alarm("gate.held_open", "gate").raised_at == T0 + 320_000
