"""What late readings do to alarms, tickets and messages that are there already."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.unit.duty.duty_room import SITE, T0, Room, device, person, state
from tests.unit.duty.test_late_data import Stored

from dutyroom import alarms, tickets
from dutyroom.alarms import spans_of
from dutyroom.flows.decide import decide
from dutyroom.flows.episodes import Standing
from dutyroom.flows.recording import write
from dutyroom.model.duty import Alarm, AlarmEvent, AlarmState, Condition, Ticket, TicketEvent, TicketState
from dutyroom.rules.parse import parse_rules

RULES = """
rules:
  - {id: gate.open, kind: state, name: {en: open, zh-CN: 开}, select: {classes: [gate]}, point: door_open,
     parameters: {equals: 1}, on_delay: 60s, priority: 2, ticket: now}
  - {id: fire.bell, kind: state, name: {en: bell, zh-CN: 铃}, select: {classes: [fire_panel]}, point: alarm,
     parameters: {equals: 1}, priority: 1, latched: true, ticket: now}
"""
MINE = [rule for rule in parse_rules(RULES, "rules.yaml") if rule.id in ("gate.open", "fire.bell")]
MINUTE_S = 60


@pytest.fixture
def room() -> Room:
    room = Room([device("gate", "gate"), device("panel", "fire_panel")], SPECS, MINE)
    room.records.rows.people.append(person("lin"))
    room.past = Stored(room)
    room.restart()
    return room.at(1)


SPECS = {"gate": [state("door_open")], "fire_panel": [state("alarm")]}


def door(room: Room, value: int, at: int | None = None) -> None:
    room.reads(("gate", "door_open", value), at=at)


def rows(room: Room) -> list[Alarm]:
    return list(room.records.rows.alarms.values())


def work(room: Room) -> list[Ticket]:
    return list(room.records.rows.tickets.values())


def stretches(alarm: Alarm) -> list[tuple[float, float | None]]:
    return [((a - T0) / 1000, None if b is None else (b - T0) / 1000) for a, b in spans_of(alarm)]


def step(room: Room, event: AlarmEvent) -> None:
    """A person does something to the newest alarm."""
    with room.records.write() as tx:
        after, change = alarms.step(rows(room)[-1], event, room.clock.at, "lin", "seen")
        tx.alarms.update(after)
        tx.alarms.log(change)
        tx.change(SITE, room.clock.at, "alarm", str(after.id))


def test_what_is_over_is_recorded_late_and_nobody_is_called(room: Room) -> None:
    door(room, 0)
    room.at(1000)
    door(room, 0)
    door(room, 1, at=100)
    door(room, 0, at=300)
    room.at(1010)
    (alarm,) = rows(room)
    assert stretches(alarm) == [(160, 300)]
    assert (alarm.late, alarm.state, alarm.raised_at, alarm.cleared_at) == (
        True,
        AlarmState.RETURNED,
        T0 + 160_000,
        T0 + 300_000,
    )
    assert not work(room)
    assert not room.records.rows.outbox


def test_what_still_holds_is_told_of(room: Room) -> None:
    door(room, 0)
    room.at(1000)
    door(room, 1)
    room.at(1010)
    door(room, 1, at=100)
    room.at(1020)
    (alarm,) = rows(room)
    assert (stretches(alarm), alarm.late, alarm.state) == ([(160, None)], True, AlarmState.UNACKNOWLEDGED)
    assert len(work(room)) == 1
    assert len(room.records.rows.outbox) == 1


def test_what_never_was_is_disproved_and_its_order_called_off(room: Room) -> None:
    door(room, 1)
    room.at(100)
    assert room.alarms() == {"gate.open@gate": "unacknowledged"}
    door(room, 0, at=20)
    room.at(110)
    (alarm,), (ticket,) = rows(room), work(room)
    assert alarm.disproved
    assert alarm.state is AlarmState.NORMAL
    assert not spans_of(alarm)
    assert ticket.state is TicketState.CANCELLED
    assert [c.reason for c in room.records.rows.alarm_log if c.event is AlarmEvent.DISPROVE] == [
        "alarm.reason.disproved"
    ]


def test_an_order_that_somebody_is_on_stays_for_a_person(room: Room) -> None:
    door(room, 1)
    room.at(100)
    with room.records.write() as tx:
        after, change = tickets.step(
            work(room)[0], TicketEvent.DISPATCH, room.clock.at, "lin", assignee="wang"
        )
        tx.tickets.update(after)
        tx.tickets.log(change)
        tx.change(SITE, room.clock.at, "ticket", str(after.id))
    door(room, 0, at=20)
    room.at(110)
    assert rows(room)[0].disproved
    assert work(room)[0].state is TicketState.DISPATCHED
    assert room.records.rows.ticket_log[-1].event is TicketEvent.NOTE


def test_an_ended_alarm_can_be_disproved(room: Room) -> None:
    door(room, 1)
    room.at(100)
    step(room, AlarmEvent.ACKNOWLEDGE)
    door(room, 0)
    room.at(110)
    ended = rows(room)[0].ended_at
    assert ended is not None
    door(room, 0, at=20)
    room.at(120)
    (alarm,) = rows(room)
    assert alarm.disproved
    assert alarm.ended_at == ended


def test_begin_and_end_are_moved_and_the_number_stays(room: Room) -> None:
    door(room, 1)
    room.at(300)
    door(room, 0)
    room.at(310)
    door(room, 0, at=200)
    door(room, 1, at=-100)
    room.at(320)
    (alarm,) = rows(room)
    assert stretches(alarm) == [(-40, 200)]
    assert [c.event for c in room.records.rows.alarm_log][-1] is AlarmEvent.REVISE


def test_two_that_were_one_become_the_older_with_what_was_done_to_the_younger(room: Room) -> None:
    door(room, 1)
    room.at(100)
    step(room, AlarmEvent.ACKNOWLEDGE)
    door(room, 0)
    room.at(200)
    door(room, 1)
    room.at(300)
    step(room, AlarmEvent.ACKNOWLEDGE)
    older, younger = rows(room)
    assert older.ended_at is not None
    assert younger.state is AlarmState.ACKNOWLEDGED
    # The door had not been shut: of one instant the larger value counts.
    door(room, 1, at=100)
    room.at(320)
    older, younger = rows(room)
    assert younger.merged_into == older.id
    assert younger.state is AlarmState.NORMAL
    assert (older.state, stretches(older)) == (AlarmState.ACKNOWLEDGED, [(61, None)])
    door(room, 0)
    room.at(330)
    assert rows(room)[0].ended_at is not None


def test_a_split_alarm_stays_one_for_the_people(room: Room) -> None:
    door(room, 1)
    room.at(500)
    door(room, 0, at=200)
    door(room, 1, at=300)
    room.at(600)
    (alarm,) = rows(room)
    assert stretches(alarm) == [(61, 200), (360, None)]
    assert len(work(room)) == 1
    assert len(room.records.rows.outbox) == 1


def test_a_fire_that_is_over_rings_all_the_same(room: Room) -> None:
    room.reads(("panel", "alarm", 0))
    room.at(1000)
    room.reads(("panel", "alarm", 0))
    room.reads(("panel", "alarm", 1), at=500)
    room.reads(("panel", "alarm", 0), at=520)
    room.at(1010)
    (alarm,) = rows(room)
    assert (alarm.state, stretches(alarm)) == (AlarmState.RETURNED, [(500, 520)])
    assert len(work(room)) == 1
    assert len(room.records.rows.outbox) == 1


def test_later_than_a_day_changes_nothing_and_is_counted(room: Room) -> None:
    door(room, 0)
    room.at(90_000, step=20)
    door(room, 0)
    door(room, 1, at=100)
    door(room, 0, at=300)
    room.at(90_010)
    assert not rows(room)
    assert room.engine.late["gate"] == 2


def test_while_the_store_is_behind_late_readings_wait(room: Room) -> None:
    stored = room.past
    assert isinstance(stored, Stored)
    stored.behind = True
    door(room, 0)
    room.at(1000)
    door(room, 0)
    door(room, 1, at=100)
    door(room, 0, at=300)
    room.at(1010)
    assert not rows(room)
    room.restart()
    room.at(1020)
    assert not rows(room)
    stored.behind = False
    room.at(1030)
    assert [stretches(a) for a in rows(room)] == [[(160, 300)]]


def bell(room: Room, value: int, at: int | None = None) -> None:
    room.reads(("panel", "alarm", value), at=at)


def told(room: Room) -> list[str]:
    return [r.dedupe.split("|")[-1].partition(":")[0] for r in room.records.rows.outbox.values()]


def test_a_fire_between_that_is_known_late_is_told_though_it_looked_like_one(room: Room) -> None:
    """Seen and acknowledged; then the line is cut, in which the panel is quiet for half an hour and burns again."""
    bell(room, 1)
    room.at(60, step=10)
    step(room, AlarmEvent.ACKNOWLEDGE)
    room.at(3000, step=100)
    bell(room, 1)
    before = ["raised", "again", "unanswered"]
    assert told(room) == before, "it stands: told again after half an hour, and nobody heard it"
    step(room, AlarmEvent.ACKNOWLEDGE)
    room.at(3600, step=100)
    bell(room, 1)
    assert stretches(rows(room)[0]) == [(1, None)]
    bell(room, 0, at=3100)
    bell(room, 1, at=3500)
    room.at(3610)
    (alarm,) = rows(room)
    assert stretches(alarm) == [(1, 3100), (3500, None)]
    assert (alarm.state, told(room)) == (AlarmState.UNACKNOWLEDGED, [*before, "again"])
    assert 3_600_000 <= (alarm.called_at or 0) - T0 <= 3_610_000, (
        "by our clock: it is to be answered from now on"
    )
    bell(room, 1, at=3550)
    room.at(3700, step=10)
    assert len(told(room)) == 4
    room.at(3800, step=10)
    assert told(room)[4:] == ["unanswered"]


def test_who_acknowledged_after_it_had_come_again_is_not_asked_twice(room: Room) -> None:
    bell(room, 1)
    room.at(900, step=100)
    step(room, AlarmEvent.ACKNOWLEDGE)
    bell(room, 1)
    bell(room, 0, at=100)
    bell(room, 1, at=800)
    room.at(910)
    (alarm,) = rows(room)
    assert stretches(alarm) == [(1, 100), (800, None)]
    assert (alarm.state, told(room)) == (AlarmState.ACKNOWLEDGED, ["raised", "unanswered"]), "of the first"


@pytest.mark.parametrize("acknowledged", [60, 2900])
def test_a_second_fire_that_is_known_when_it_is_over_rings_like_a_first_one(
    room: Room, acknowledged: int
) -> None:
    """Its latch was not reset. Of a first one that is known late people are told; so they are of this, also where
    somebody has acknowledged the first one since: he did not know."""
    bell(room, 1)
    room.at(60, step=10)
    bell(room, 0)
    room.at(acknowledged, step=10)
    step(room, AlarmEvent.ACKNOWLEDGE)
    before = told(room)
    room.at(3000, step=100)
    bell(room, 0)
    bell(room, 1, at=2000)
    bell(room, 0, at=2100)
    room.at(3010)
    (alarm,) = rows(room)
    assert stretches(alarm) == [(1, 60), (2000, 2100)]
    assert (alarm.state, told(room)) == (AlarmState.RETURNED, [*before, "again"])


def test_a_fire_on_a_latch_whose_alarm_was_disproved_is_one(room: Room) -> None:
    """Late data took the first back, nobody has reset the latch: what comes then must not look disproved, nor be silent."""
    bell(room, 0)
    room.at(100, step=10)
    bell(room, 1, at=100)
    room.at(200, step=10)
    step(room, AlarmEvent.ACKNOWLEDGE)
    (alarm,) = rows(room)
    with room.records.write() as tx:  # as `corrections` leaves it
        gone, _ = alarms.step(alarm, AlarmEvent.CLEAR, room.clock.at, "system", at=alarm.raised_at)
        tx.alarms.update(replace(gone, disproved=True, spans=()))
        tx.change(SITE, room.clock.at, "alarm", str(alarm.id))
    room.engine.adopt([], room.clock.at, [Condition("fire.bell", "panel", False, alarm.raised_at)])
    bell(room, 0)
    room.at(260, step=10)
    bell(room, 1)
    room.at(270)
    (alarm,) = rows(room)
    assert (alarm.disproved, alarm.raised_at, stretches(alarm)) == (False, T0 + 260_000, [(260, None)])
    assert told(room) == ["raised", "again"]


def test_one_whose_begin_is_moved_by_seconds_is_not_told_twice(room: Room) -> None:
    bell(room, 1)
    room.at(60, step=10)
    step(room, AlarmEvent.ACKNOWLEDGE)
    bell(room, 0)
    room.at(1000, step=100)
    bell(room, 1)
    room.at(1010)
    step(room, AlarmEvent.ACKNOWLEDGE)
    bell(room, 0)
    room.at(1020)
    bell(room, 0)
    bell(room, 1, at=990)
    room.at(1040)
    (alarm,) = rows(room)
    assert stretches(alarm) == [(1, 60), (990, 1010)]
    assert (alarm.state, told(room)) == (AlarmState.ACKNOWLEDGED, ["raised", "again"])


def test_a_fire_that_is_over_on_a_latch_whose_alarm_was_disproved_is_told(room: Room) -> None:
    """Of a rule and object one alarm is open: the latch that nobody has reset takes what late data found."""
    bell(room, 0)
    room.at(100, step=10)
    bell(room, 1, at=100)
    room.at(200, step=10)
    bell(room, 0)
    step(room, AlarmEvent.ACKNOWLEDGE)
    (alarm,) = rows(room)
    with room.records.write() as tx:  # as `corrections` leaves it
        tx.alarms.update(replace(alarm, disproved=True, spans=()))
        tx.change(SITE, room.clock.at, "alarm", str(alarm.id))
    room.at(2000, step=100)
    bell(room, 0)
    bell(room, 1, at=1500)
    bell(room, 0, at=1600)
    room.at(2010)
    (alarm,) = rows(room)
    assert (alarm.disproved, alarm.state) == (False, AlarmState.RETURNED)
    assert stretches(alarm)[-1] == (1500, 1600)
    assert told(room)[-1] == "again"


def test_what_was_over_before_topology_inferred_the_alarm_that_stands_is_part_of_that(room: Room) -> None:
    room.at(400, step=50)
    door(room, 0)
    with room.records.write() as tx:
        guess = Condition("gate.open", "gate", True, room.clock.at, arguments={"inferred": "network"})
        write(tx, SITE, decide([guess], Standing((), (), ()), room.watch._context(), room.clock.at), 0)
    door(room, 1, at=100)
    door(room, 0, at=200)
    for _ in range(2):
        room.at(410)
        (alarm,) = rows(room)
        assert stretches(alarm) == [(160, 200), (400, None)]
        door(room, 0, at=300)
        room.clock.at += 30_000
