"""Nobody answers an emergency, nobody comes: what the duty room says, as a log."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest
from tests.unit.duty.duty_room import T0, Room, device, state

from dutyroom import alarms, tickets
from dutyroom.flows.escalation import alarm_of, deadlines
from dutyroom.model.duty import AlarmEvent, Person, Role, Ticket, TicketEvent
from dutyroom.timebase import MINUTE, Ms

LIFT = [device("lift", "elevator", 30)]
POINTS = {"elevator": [state("trapped", 30), state("fault_code", 30)]}


def room() -> Room:
    made = Room(LIFT, POINTS)
    made.records.rows.people = [
        Person(1, "s", "wang", "Wang", Role.OPERATOR, "zh-CN", contacts=("json://w",)),
        Person(2, "s", "chief", "Chief", Role.ADMINISTRATOR, "en", contacts=("json://c",)),
        Person(3, "s", "guest", "Guest", Role.VIEWER, "en", contacts=("json://g",)),
    ]
    return made


def until(made: Room, start: Ms, minutes: float, trapped: int = 1) -> None:
    """Every half a minute the elevator speaks and the duty room looks at the clock."""
    while made.clock.at < start + minutes * MINUTE:
        made.clock.at += MINUTE // 2
        made.reads(("lift", "trapped", trapped))
        made.watch.tick(made.clock.at)


def told(made: Room) -> list[tuple[str, str]]:
    rows = made.records.rows.outbox.values()
    return sorted((r.person, r.dedupe.split("|")[-1].partition(":")[0]) for r in rows)


def ticket(made: Room) -> Ticket:
    (one,) = made.records.rows.tickets.values()
    return one


def act(made: Room, event: TicketEvent, **more: object) -> None:
    with made.records.write() as tx:
        after, change = tickets.step(ticket(made), event, made.clock.at, "wang", "", **more)
        tx.tickets.update(after)
        tx.tickets.log(change)
        tx.change("s", made.clock.at, "ticket", str(after.id))


def due(made: Room) -> list[tuple[Ms, str]]:
    """What runs, as who looks at the ticket reads it."""
    rule = next(r for r in made.rules if r.id == "elevator.entrapment")
    with made.records.read() as tx:
        alarm = alarm_of(tx, ticket(made))
    assert alarm is not None
    return deadlines(ticket(made), alarm, rule)


BOTH = [("chief", "raised"), ("wang", "raised")]
UNANSWERED = [("chief", "unanswered"), ("wang", "unanswered")]
UNARRIVED = [("chief", "unarrived"), ("wang", "unarrived")]


def test_an_entrapment_that_nobody_answers_is_told_again_once_after_three_minutes() -> None:
    made = room()
    start = made.clock.at
    until(made, start, 3)
    assert told(made) == BOTH
    until(made, start, 20)
    assert told(made) == sorted(BOTH + UNANSWERED)
    assert [c.reason for c in made.records.rows.ticket_log].count("alarm.reason.unanswered") == 1


def test_who_is_on_the_way_and_not_there_within_half_an_hour() -> None:
    made = room()
    start = made.clock.at
    until(made, start, 2)
    act(made, TicketEvent.DISPATCH, assignee="lift-man")
    until(made, start, 30)
    assert told(made) == BOTH
    until(made, start, 40)
    assert told(made) == sorted(BOTH + UNARRIVED)
    act(made, TicketEvent.ARRIVE)
    assert (ticket(made).arrived_at, ticket(made).accepted_at) == (made.clock.at, made.clock.at)
    assert ticket(made).state == "accepted"


def test_who_is_there_in_time_is_left_to_the_work() -> None:
    made = room()
    start = made.clock.at
    until(made, start, 2)
    act(made, TicketEvent.ACCEPT)
    until(made, start, 25)
    act(made, TicketEvent.ARRIVE)
    until(made, start, 60)
    assert told(made) == BOTH


def test_passengers_who_are_free_need_nobody_to_arrive() -> None:
    made = room()
    start = made.clock.at
    until(made, start, 2)
    act(made, TicketEvent.ACCEPT)
    until(made, start, 10)
    assert [what for _, what in due(made)] == ["unarrived"]
    until(made, start, 60, trapped=0)
    assert told(made) == BOTH
    assert due(made) == []


def test_it_is_told_once_also_when_the_process_ends() -> None:
    made = room()
    start = made.clock.at
    until(made, start, 5)
    made.restart()
    until(made, start, 15)
    assert told(made) == sorted(BOTH + UNANSWERED)


@pytest.mark.parametrize("event", [TicketEvent.ARRIVE])
def test_nobody_arrives_where_nobody_was_sent(event: TicketEvent) -> None:
    made = room()
    until(made, made.clock.at, 1)
    with pytest.raises(Exception, match="does not allow arrive"):
        tickets.step(replace(ticket(made)), event, made.clock.at, "wang")


def alarm_act(made: Room, event: AlarmEvent) -> None:
    with made.records.write() as tx:
        (alarm,) = tx.alarms.open_ones("s")
        after, change = alarms.step(alarm, event, made.clock.at, "wang", "seen")
        tx.alarms.update(after)
        tx.alarms.log(change)
        tx.change("s", made.clock.at, "alarm", str(after.id))


def messages(made: Room) -> list[str]:
    """What one of them was told, without the moments; not of an elevator that is silent."""
    rows = (r for r in made.records.rows.outbox.values() if r.person == "wang" and "offline" not in r.dedupe)
    return [r.dedupe.split("|")[-1].partition(":")[0] for r in rows]


@pytest.mark.parametrize("reset", [True, False])
@pytest.mark.parametrize("done", [True, False])
def test_who_is_trapped_again_before_anybody_closed_the_work_order_is_no_less_urgent(
    reset: bool, done: bool
) -> None:
    """Seen to, freed, and the latch perhaps not reset, the work order not closed; two hours later once more."""
    made = room()
    start = made.clock.at
    until(made, start, 1)
    alarm_act(made, AlarmEvent.ACKNOWLEDGE)
    act(made, TicketEvent.ACCEPT)
    act(made, TicketEvent.ARRIVE)
    until(made, start, 10)
    until(made, start, 20, trapped=0)
    if reset:
        alarm_act(made, AlarmEvent.RESET)
    if done:
        act(made, TicketEvent.DO)
    until(made, start, 120, trapped=0)
    assert messages(made) == ["raised"]
    assert due(made) == []
    until(made, start, 121)
    assert len(messages(made)) == 2
    assert due(made) == [(start + 123.5 * MINUTE, "unanswered"), (start + 150.5 * MINUTE, "unarrived")]
    until(made, start, 125)
    assert messages(made)[2:] == ["unanswered"]
    until(made, start, 152)
    assert messages(made)[3:] == ["unarrived"]
    until(made, start, 170)
    assert len(messages(made)) == 4
    assert len(made.records.rows.tickets) == 1


def test_one_that_flickers_puts_off_no_deadline() -> None:
    made = room()
    start = made.clock.at
    for minute in range(1, 9):
        until(made, start, minute, trapped=minute % 2)
    assert messages(made) == ["raised", "unanswered"]


def test_gas_that_comes_back_after_an_hour_is_told_again_and_one_that_flickers_is_not() -> None:
    made = Room([device("hob", "sensor", 30)], {"sensor": [state("gas", 30)]})
    made.records.rows.people = room().records.rows.people
    start = made.clock.at

    def says(until_minute: float, gas: int) -> None:
        while made.clock.at < start + until_minute * MINUTE:
            made.clock.at += MINUTE // 2
            made.reads(("hob", "gas", gas))
            made.watch.tick(made.clock.at)

    for minute in range(1, 7):
        says(minute, minute % 2)
    assert messages(made) == ["raised"]
    says(60, 0)
    says(61, 1)
    assert messages(made) == ["raised", "again"]
    assert len(made.records.rows.tickets) == len(made.records.rows.alarms) == 1
    assert [c.event for c in made.records.rows.ticket_log].count(TicketEvent.ATTACH) == 1


def test_the_second_emergency_is_told_with_its_own_time() -> None:
    made = room()
    start = made.clock.at
    until(made, start, 1)
    alarm_act(made, AlarmEvent.ACKNOWLEDGE)
    until(made, start, 120, trapped=0)
    until(made, start, 121)
    rows = [r for r in made.records.rows.outbox.values() if r.person == "wang"]
    assert [r.arguments["at"] for r in rows] == [start + 0.5 * MINUTE, start + 120.5 * MINUTE]


@pytest.mark.parametrize("known", [True, False])
def test_what_a_device_tells_at_once_of_hours_is_one_message(known: bool) -> None:
    """It was cut off for hours, in which its sensor came and went every ten minutes."""
    made = room()
    start = made.clock.at
    if known:
        until(made, start, 1)
        alarm_act(made, AlarmEvent.ACKNOWLEDGE)
        until(made, start, 2, trapped=0)
    made.clock.at = start + 150 * MINUTE
    moments = [(start + n * 10 * MINUTE - T0) // 1000 for n in range(1, 15)]
    made.journal.append(
        *(made.batch(("lift", "trapped", (n + 1) % 2), at=at) for n, at in enumerate(moments))
    )
    made.watch.drain()
    made.watch.tick(made.clock.at)
    assert messages(made) == (["raised", "again"] if known else ["raised"])


def comes_late(made: Room, by: Ms, trapped: int) -> None:
    """Its message was on its way for so long: no reading in between, then what it said then."""
    made.journal.append(made.batch(("lift", "trapped", trapped), at=(made.clock.at - by - T0) // 1000))
    made.watch.drain()
    made.watch.tick(made.clock.at)


def quiet(made: Room, minutes: float) -> None:
    """Nothing comes; the duty room looks at the clock."""
    end = made.clock.at + minutes * MINUTE
    while made.clock.at < end:
        made.clock.at += MINUTE // 2
        made.watch.tick(made.clock.at)


def test_a_second_entrapment_that_is_told_ten_minutes_late_has_its_times_from_when_it_was_known() -> None:
    made = room()
    start = made.clock.at
    until(made, start, 1)
    alarm_act(made, AlarmEvent.ACKNOWLEDGE)
    until(made, start, 120, trapped=0)
    quiet(made, 11)
    known = made.clock.at
    comes_late(made, 10 * MINUTE, 1)
    assert messages(made) == ["raised", "again"], "and not: nobody has answered"
    assert due(made) == [(known + 3 * MINUTE, "unanswered"), (known + 30 * MINUTE, "unarrived")]
    alarm = made.alarm("elevator.entrapment", "lift")
    assert alarm.spans[-1] == (known - 10 * MINUTE, None), "the record keeps the time of the device"
    assert (alarm.called_at, alarm.raised_at) == (known, start + 0.5 * MINUTE)
    quiet(made, 2.5)
    made.restart()
    assert messages(made) == ["raised", "again"]
    quiet(made, 1)
    assert messages(made) == ["raised", "again", "unanswered"]
    quiet(made, 27)
    assert messages(made) == ["raised", "again", "unanswered", "unarrived"]


def night(made: Room, minutes: int, on: int = 1, every: int = 10) -> None:
    """A sensor that says so for a minute, every ten minutes."""
    start = made.clock.at
    while made.clock.at < start + minutes * MINUTE:
        begun = made.clock.at
        until(made, begun, on)
        until(made, begun, every, trapped=0)


def test_a_sensor_that_comes_and_goes_all_night_while_nobody_answers_is_told_in_half_hours_and_counted() -> (
    None
):
    made = room()
    night(made, 8 * 60)
    rows = [r for r in made.records.rows.outbox.values() if r.person == "wang"]
    calls = [r for r in rows if r.arguments.get("again")]
    moments = [r.created_at for r in rows if not r.arguments.get("unanswered")]
    assert min(b - a for a, b in pairwise(moments)) >= 30 * MINUTE
    assert len(rows) <= 2 * 8 * 2
    first, last = rows[0].arguments, calls[-1].arguments
    assert last["since"] == first["at"]
    assert (last["times"] - 1) * 10 * MINUTE == last["at"] - first["at"]
    assert len(made.records.rows.tickets) == len(made.records.rows.alarms) == 1
    (alarm,) = made.records.rows.alarms.values()
    assert len(alarms.calls(alarm)) == 48


def test_what_somebody_has_answered_is_told_at_once_when_it_comes_again() -> None:
    made = room()
    for _ in range(4):
        until(made, made.clock.at, 1)
        alarm_act(made, AlarmEvent.ACKNOWLEDGE)
        until(made, made.clock.at, 7, trapped=0)
    assert messages(made) == ["raised", "again", "again", "again"]


def test_sent_for_the_first_and_not_for_the_second() -> None:
    """Who was dispatched has answered, though nobody acknowledged: the next one is told at once."""
    made = room()
    start = made.clock.at
    until(made, start, 1)
    act(made, TicketEvent.DISPATCH, assignee="lift-man")
    until(made, start, 10, trapped=0)
    until(made, start, 11)
    assert messages(made) == ["raised", "again"]
    until(made, start, 15)
    assert messages(made) == ["raised", "again", "unanswered"]


def test_one_that_is_held_back_and_then_stays_is_told_though_it_does_not_come_again() -> None:
    """Ten minutes after the first, which nobody has answered: people are trapped, and stay so."""
    made = room()
    start = made.clock.at
    until(made, start, 1)
    until(made, start, 10, trapped=0)
    until(made, start, 29)
    assert messages(made) == ["raised", "unanswered"]
    until(made, start, 31)
    assert messages(made)[2:] == ["unarrived"]
    until(made, start, 100)
    assert messages(made)[3:] == ["unarrived", "unarrived"], "every half hour, as long as nobody comes"


def test_a_flicker_after_the_acknowledgement_has_three_minutes_again_and_puts_off_no_arrival() -> None:
    """Seen after five minutes, nobody sent; it goes for a minute and comes back: the desk sounds, and nobody hears it."""
    made = room()
    start = made.clock.at
    until(made, start, 5)
    alarm_act(made, AlarmEvent.ACKNOWLEDGE)
    until(made, start, 10)
    until(made, start, 11, trapped=0)
    until(made, start, 12)
    assert messages(made) == ["raised", "unanswered"], "no sooner than three minutes after it sounded again"
    assert due(made) == [(start + 14.5 * MINUTE, "unanswered"), (start + 30.5 * MINUTE, "unarrived")]
    until(made, start, 20)
    assert messages(made)[2:] == ["unanswered"]
    until(made, start, 31)
    assert messages(made)[3:] == ["unarrived"]


def test_who_hears_that_it_sounds_again_after_half_an_hour_has_three_minutes() -> None:
    """Acknowledged, nobody sent, and it stands: told again, and only then that nobody answers."""
    made = Room([device("panel", "fire_panel", 30)], {"fire_panel": [state("alarm", 30)]})
    made.records.rows.people = room().records.rows.people
    start = made.clock.at

    def burns(minutes: float) -> None:
        while made.clock.at < start + minutes * MINUTE:
            made.clock.at += MINUTE // 2
            made.reads(("panel", "alarm", 1))
            made.watch.tick(made.clock.at)

    burns(1)
    alarm_act(made, AlarmEvent.ACKNOWLEDGE)
    burns(32)
    assert messages(made) == ["raised", "again"]
    reasons = [c.reason for c in made.records.rows.ticket_log]
    assert "alarm.reason.unanswered" not in reasons, "the first time was answered"
    burns(35)
    assert messages(made) == ["raised", "again", "unanswered"]


@pytest.mark.parametrize("closed", [True, False])
def test_trapped_again_minutes_after_the_work_was_called_done(closed: bool) -> None:
    """The latch was not reset. Those who were told think that it is over: a pause of two minutes is no flicker."""
    made = room()
    start = made.clock.at
    until(made, start, 1)
    alarm_act(made, AlarmEvent.ACKNOWLEDGE)
    act(made, TicketEvent.ACCEPT)
    act(made, TicketEvent.ARRIVE)
    until(made, start, 5)
    until(made, start, 6, trapped=0)
    act(made, TicketEvent.DO)
    if closed:
        act(made, TicketEvent.CLOSE)
    until(made, start, 7, trapped=0)
    until(made, start, 8)
    assert messages(made) == ["raised", "again"]
    newest = list(made.records.rows.tickets.values())[-1]
    assert (newest.state, newest.assignee, newest.arrived_at) == ("open", "", None)
    assert newest.respond_by == start + 10.5 * MINUTE
    assert len(made.records.rows.tickets) == 1 + closed
    for minute in (8.5, 9, 9.5, 10):  # and now it flickers: once is enough
        until(made, start, minute, trapped=int(minute % 1 == 0))
    assert messages(made) == ["raised", "again"]
    until(made, start, 12)
    assert messages(made) == ["raised", "again", "unanswered"]


@pytest.mark.parametrize("closed", [True, False])
def test_work_that_is_called_done_while_people_are_trapped_does_not_make_it_silent(closed: bool) -> None:
    """Nobody has acknowledged it, and it stands: it sounds again after half an hour."""
    made = room()
    start = made.clock.at
    until(made, start, 2)
    act(made, TicketEvent.ACCEPT)
    act(made, TicketEvent.DO)
    if closed:
        act(made, TicketEvent.CLOSE)
    until(made, start, 30)
    assert messages(made) == ["raised"]
    until(made, start, 33)
    assert messages(made) == ["raised", "again"]
    until(made, start, 60)
    if not closed:  # done before it sounded again: somebody has to answer
        assert messages(made)[2:] == ["unanswered"]
