"""What a person does at the desk, on real records."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import time
from pathlib import Path

import pytest

from dutyroom.backends.records_sql import open_records
from dutyroom.errors import Conflict, Rejected
from dutyroom.flows.desk import UNDO, Desk
from dutyroom.interfaces import Records
from dutyroom.model.duty import (
    Alarm,
    AlarmEvent,
    AlarmState,
    Device,
    DeviceStatus,
    Occurrence,
    OccurrenceState,
    Person,
    Priority,
    Role,
    Ticket,
    TicketKind,
    TicketState,
)
from dutyroom.plans import Plan, Proof, Schedule
from dutyroom.rules.spec import Rule, Select, TicketPolicy
from dutyroom.timebase import DAY, HOUR, MINUTE, SECOND, Ms

NOW = 1_790_000_000_000
BURST = Rule(
    "water.burst",
    "limit",
    Select(),
    Priority.HIGH,
    TicketPolicy(0),
    {"en": "Burst"},
    respond_within=10 * MINUTE,
)


def plan(name: str, proof: Proof | None) -> Plan:
    return Plan(name, {"en": name}, Schedule(time(9), every_days=15), Priority.MEDIUM, HOUR, proof=proof)


PLANS = (plan("generator.test", Proof()), plan("tank.cleaning", None))


@dataclass
class Watch:
    """A clock that stands until it is moved."""

    at: Ms = NOW

    def now(self) -> Ms:
        return self.at


@dataclass
class Room:
    """A desk with its clock, and what can be seen in the records."""

    records: Records
    clock: Watch
    desk: Desk

    def alarm(self, object: str = "riser-a", **more: object) -> Alarm:
        alarm = Alarm(
            id=0,
            site="s",
            rule="water.burst",
            rule_version=1,
            object=object,
            space="A",
            episode=f"e-{object}",
            state=AlarmState.UNACKNOWLEDGED,
            priority=Priority.HIGH,
            latched=False,
            raised_at=NOW,
            recorded_at=NOW,
            key="alarm.water.burst",
            arguments={"value": 4.8},
        )
        with self.records.write() as tx:
            return tx.alarms.insert(replace(alarm, **more))  # type: ignore[arg-type]

    def seen(self, alarm: Alarm) -> Alarm:
        with self.records.read() as tx:
            found = tx.alarms.get("s", alarm.id)
        assert found is not None
        return found

    def ticket(self, ticket: int | None) -> Ticket:
        assert ticket is not None
        with self.records.read() as tx:
            found = tx.tickets.get("s", ticket)
        assert found is not None
        return found

    def traces(self) -> list[tuple[str, str, str]]:
        """(actor, action, detail) of the audit trail, oldest first."""
        with self.records.read() as tx:
            return [(row.actor, row.action, row.detail) for row in reversed(tx.audit_rows("s"))]

    def changes(self) -> list[tuple[str, str]]:
        with self.records.read() as tx:
            return [(change.kind, change.key) for change in tx.changes(0)]


@pytest.fixture
def room(tmp_path: Path) -> Iterator[Room]:
    records, clock = open_records(f"sqlite:///{tmp_path}/records.sqlite"), Watch()
    with records.write() as tx:
        tx.devices.upsert([Device("s", "riser-a", "Riser", "water_meter", "v/m", "1", "A")])
        tx.people.upsert(
            Person(0, "s", "zhang", "张师傅", Role.OPERATOR, "zh-CN", contacts=("json://host/x",))
        )
    yield Room(records, clock, Desk(records, clock, [BURST], PLANS))
    records.close()


# ---------------------------------------------------------------- alarms


def test_an_acknowledgement_leaves_its_traces(room: Room) -> None:
    alarm = room.alarm()
    acknowledged = room.desk.acknowledge("s", alarm.id, "王工")
    assert acknowledged == room.seen(alarm)
    assert (acknowledged.state, acknowledged.acknowledged_by) == (AlarmState.ACKNOWLEDGED, "王工")
    assert acknowledged.acknowledged_at == NOW
    assert room.traces() == [("王工", "alarm.acknowledge", "")]
    assert room.changes() == [("alarm", str(alarm.id))]
    with room.records.read() as tx:
        assert [(c.actor, c.after) for c in tx.alarms.history(alarm.id)] == [
            ("王工", AlarmState.ACKNOWLEDGED)
        ]


def test_the_second_person_is_told_who_was_first(room: Room) -> None:
    alarm = room.alarm()
    room.desk.acknowledge("s", alarm.id, "王工")
    with pytest.raises(Conflict) as refused:
        room.desk.acknowledge("s", alarm.id, "李工")
    assert (refused.value.reason, refused.value.items) == ("conflict.acknowledged", {"by": "王工"})
    assert room.seen(alarm).acknowledged_by == "王工"
    assert len(room.traces()) == 1


def test_of_ten_people_at_once_one_acknowledges(room: Room) -> None:
    alarm, together = room.alarm(), threading.Barrier(10)
    refused: list[str] = []

    def press(name: str) -> None:
        together.wait(10)
        try:
            room.desk.acknowledge("s", alarm.id, name)
        except Conflict as err:
            refused.append(err.items["by"])

    threads = [threading.Thread(target=press, args=(f"p{n}",)) for n in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    winner = room.seen(alarm).acknowledged_by
    assert refused == [winner] * 9
    assert [(actor, action) for actor, action, _ in room.traces()] == [(winner, "alarm.acknowledge")]


def test_a_mistaken_acknowledgement_is_taken_back(room: Room) -> None:
    alarm = room.alarm()
    room.desk.acknowledge("s", alarm.id, "王工")
    room.clock.at += 4 * SECOND
    back = room.desk.undo_acknowledge("s", alarm.id, "王工")
    assert (back.state, back.acknowledged_at, back.acknowledged_by) == (AlarmState.UNACKNOWLEDGED, None, "")


@pytest.mark.parametrize(
    ("actor", "later", "why"),
    [("王工", UNDO + 1, "too late"), ("李工", 1, "not his own")],
    ids=str,
)
def test_an_acknowledgement_stays(room: Room, actor: str, later: Ms, why: str) -> None:
    alarm = room.alarm()
    room.desk.acknowledge("s", alarm.id, "王工")
    room.clock.at += later
    with pytest.raises(Conflict, match=r"conflict\.undo"):
        room.desk.undo_acknowledge("s", alarm.id, actor)
    assert room.seen(alarm).state is AlarmState.ACKNOWLEDGED, why


def test_what_acknowledging_ended_cannot_be_taken_back(room: Room) -> None:
    alarm = room.alarm(state=AlarmState.RETURNED, cleared_at=NOW)
    assert room.desk.acknowledge("s", alarm.id, "王工").state is AlarmState.NORMAL
    with pytest.raises(Conflict, match=r"conflict\.undo"):
        room.desk.undo_acknowledge("s", alarm.id, "王工")


def test_shelved_and_taken_from_the_shelf(room: Room) -> None:
    alarm = room.alarm()
    shelved = room.desk.shelve("s", alarm.id, "王工", NOW + HOUR, "检修中")
    assert (shelved.state, shelved.shelved_until, shelved.shelve_reason) == (
        AlarmState.SHELVED,
        NOW + HOUR,
        "检修中",
    )
    assert room.desk.unshelve("s", alarm.id, "王工").state is AlarmState.UNACKNOWLEDGED


def test_what_comes_back_from_the_shelf_calls_for_a_person_again(room: Room) -> None:
    alarm = room.alarm()
    room.desk.acknowledge("s", alarm.id, "王工")
    room.desk.shelve("s", alarm.id, "王工", NOW + HOUR, "检修中")
    back = room.desk.unshelve("s", alarm.id, "李工")
    assert (back.state, back.acknowledged_at, back.acknowledged_by) == (AlarmState.UNACKNOWLEDGED, None, "")
    assert room.desk.acknowledge("s", alarm.id, "李工").acknowledged_by == "李工"
    with room.records.read() as tx:
        history = [(c.actor, c.event, c.reason) for c in tx.alarms.history(alarm.id)]
    assert history == [
        ("王工", AlarmEvent.ACKNOWLEDGE, "alarm.reason.seen"),
        ("王工", AlarmEvent.SHELVE, "检修中"),
        ("李工", AlarmEvent.UNSHELVE, "alarm.reason.by_hand"),
        ("李工", AlarmEvent.ACKNOWLEDGE, "alarm.reason.seen"),
    ]


def test_a_latch_is_reset_in_its_order(room: Room) -> None:
    alarm = room.alarm(latched=True)
    with pytest.raises(Conflict, match=r"conflict\.reset"):
        room.desk.reset("s", alarm.id, "王工")
    acknowledged = room.desk.acknowledge("s", alarm.id, "王工")
    with room.records.write() as tx:
        tx.alarms.update(replace(acknowledged, cleared_at=NOW + 1))
    assert room.desk.reset("s", alarm.id, "王工").state is AlarmState.NORMAL


Action = Callable[[Desk, int], object]


@pytest.mark.parametrize(
    ("more", "action", "key"),
    [
        ({}, lambda d, a: d.note("s", a, "王工", " "), "conflict.reason"),
        ({}, lambda d, a: d.shelve("s", a, "王工", NOW + HOUR, ""), "conflict.reason"),
        ({}, lambda d, a: d.shelve("s", a, "王工", NOW + DAY + 1, "why"), "conflict.shelf"),
        ({}, lambda d, a: d.shelve("s", a, "王工", NOW, "why"), "conflict.shelf"),
        ({}, lambda d, a: d.unshelve("s", a, "王工"), "conflict.alarm.unacknowledged"),
        ({}, lambda d, a: d.reset("s", a, "王工"), "conflict.no_latch"),
        ({"latched": True}, lambda d, a: d.shelve("s", a, "王工", NOW + HOUR, "w"), "conflict.latched"),
        (
            {"state": AlarmState.NORMAL, "ended_at": NOW},
            lambda d, a: d.shelve("s", a, "王工", NOW + HOUR, "w"),
            "conflict.alarm.normal",
        ),
        ({}, lambda d, a: d.dispatch("s", a, "王工", " "), "conflict.assignee"),
    ],
)
def test_what_is_not_possible_says_why_and_leaves_nothing(
    room: Room, more: dict[str, object], action: Action, key: str
) -> None:
    alarm = room.alarm(**more)
    with pytest.raises(Conflict) as refused:
        action(room.desk, alarm.id)
    assert refused.value.reason == key
    assert room.seen(alarm) == alarm
    assert (room.traces(), room.changes()) == ([], [])


@pytest.mark.parametrize(
    ("action", "key"),
    [
        (lambda d: d.acknowledge("s", 99, "王工"), "error.no_alarm"),
        (lambda d: d.accept("s", 99, "王工"), "error.no_ticket"),
        (lambda d: d.occurrence_done("s", 99, "王工"), "error.no_occurrence"),
        (lambda d: d.remove("s", "none", "王工", "why"), "error.no_device"),
        (lambda d: d.open_report("s", "王工", text="x", object="none"), "error.no_device"),
    ],
)
def test_what_does_not_exist_is_refused(room: Room, action: Callable[[Desk], object], key: str) -> None:
    with pytest.raises(Rejected) as refused:
        action(room.desk)
    assert refused.value.reason == key


def test_an_alarm_of_another_site_is_out_of_reach(room: Room) -> None:
    alarm = room.alarm()
    with pytest.raises(Rejected, match=r"error\.no_alarm"):
        room.desk.acknowledge("t", alarm.id, "王工")


# ---------------------------------------------------------------- somebody is sent


def test_sending_somebody_opens_a_ticket_and_tells_them(room: Room) -> None:
    alarm = room.alarm()
    ticket = room.desk.dispatch("s", alarm.id, "王工", "张师傅", "带泵")
    assert (ticket.state, ticket.assignee, ticket.number) == (TicketState.DISPATCHED, "张师傅", "WO-000001")
    assert (ticket.cause, ticket.alarm, ticket.respond_by) == (
        "water.burst|riser-a",
        alarm.id,
        NOW + 10 * MINUTE,
    )
    assert room.seen(alarm).ticket == ticket.id
    with room.records.read() as tx:
        assert tx.tickets.history(ticket.id)[-1].reason == "→ 张师傅 · 带泵"
    assert [t[1:] for t in room.traces()] == [("ticket.open", "WO-000001"), ("ticket.dispatch", "带泵")]
    with room.records.read() as tx:
        (message,) = tx.outbox.search("s")
    assert (message.person, message.url, message.key) == ("zhang", "json://host/x", "message.dispatched")
    assert (message.arguments["number"], message.arguments["about"]) == ("WO-000001", "alarm.water.burst")


def test_sending_somebody_again_keeps_the_ticket(room: Room) -> None:
    alarm = room.alarm()
    first = room.desk.dispatch("s", alarm.id, "王工", "张师傅")
    room.clock.at += MINUTE
    second = room.desk.dispatch("s", alarm.id, "王工", "赵师傅")
    assert (second.id, second.assignee) == (first.id, "赵师傅")


def test_after_a_closed_ticket_a_new_one_is_opened(room: Room) -> None:
    alarm = room.alarm()
    first = room.desk.dispatch("s", alarm.id, "王工", "张师傅")
    room.desk.cancel("s", first.id, "王工", "误派")
    second = room.desk.dispatch("s", alarm.id, "王工", "张师傅")
    assert second.id != first.id
    assert room.seen(alarm).ticket == second.id


def test_somebody_sent_for_a_consequence_goes_for_its_root(room: Room) -> None:
    root = room.alarm("feeder")
    consequence = room.alarm("lift", state=AlarmState.SUPPRESSED, root=root.id)
    ticket = room.desk.dispatch("s", consequence.id, "王工", "张师傅")
    assert ticket.cause == "water.burst|feeder"
    assert (room.seen(root).ticket, room.seen(consequence).ticket) == (ticket.id, None)


def test_a_ticket_from_call_to_close(room: Room) -> None:
    ticket = room.desk.open_report(
        "s",
        "客服",
        text="  厨房漏水\n请尽快  ",
        reporter="陈先生",
        contact="13800000000",
        object="riser-a",
        priority=Priority.HIGH,
    )
    assert (ticket.kind, ticket.state, ticket.space) == (TicketKind.REPORT, TicketState.OPEN, "A")
    assert (ticket.key, ticket.arguments) == ("ticket.report", {"summary": "厨房漏水"})
    assert (ticket.text, ticket.respond_by) == ("厨房漏水\n请尽快", NOW + 10 * MINUTE)
    room.desk.ticket_dispatch("s", ticket.id, "王工", "张师傅")
    room.desk.accept("s", ticket.id, "张师傅")
    room.desk.ticket_note("s", ticket.id, "张师傅", "需换阀")
    room.desk.done("s", ticket.id, "张师傅", "已换阀")
    room.desk.redo("s", ticket.id, "王工", "仍渗水")
    room.desk.accept("s", ticket.id, "张师傅")
    room.desk.done("s", ticket.id, "张师傅")
    closed = room.desk.close("s", ticket.id, "王工")
    assert (closed.state, closed.closed_at) == (TicketState.CLOSED, NOW)
    with room.records.read() as tx:
        events = [str(change.event) for change in tx.tickets.history(ticket.id)]
    assert events == ["open", "dispatch", "accept", "note", "do", "redo", "accept", "do", "close"]
    assert room.changes() == [("ticket", str(ticket.id))] * 9


def test_a_ticket_whose_alarm_stands_is_closed_only_with_a_reason(room: Room) -> None:
    alarm = room.alarm()
    ticket = room.desk.dispatch("s", alarm.id, "王工", "张师傅")
    room.desk.accept("s", ticket.id, "张师傅")
    room.desk.done("s", ticket.id, "张师傅")
    with pytest.raises(Conflict) as refused:
        room.desk.close("s", ticket.id, "王工", " ")
    assert (refused.value.reason, refused.value.items) == ("conflict.standing", {"number": ticket.number})
    assert room.desk.close("s", ticket.id, "王工", "阀门已关，等配件").state is TicketState.CLOSED
    assert room.seen(alarm).state is AlarmState.UNACKNOWLEDGED


def test_a_ticket_whose_alarm_has_gone_is_closed_without_a_word(room: Room) -> None:
    alarm = room.alarm()
    ticket = room.desk.dispatch("s", alarm.id, "王工", "张师傅")
    room.desk.accept("s", ticket.id, "张师傅")
    room.desk.done("s", ticket.id, "张师傅")
    with room.records.write() as tx:
        tx.alarms.update(replace(room.seen(alarm), cleared_at=NOW))
    assert room.desk.close("s", ticket.id, "王工").state is TicketState.CLOSED


def test_two_calls_are_two_tickets(room: Room) -> None:
    numbers = [room.desk.open_report("s", "客服", text="漏水").number for _ in range(2)]
    assert numbers == ["WO-000001", "WO-000002"]


@pytest.mark.parametrize(
    ("action", "key"),
    [
        (lambda d, t: d.done("s", t, "张师傅"), "conflict.ticket.open"),
        (lambda d, t: d.cancel("s", t, "王工", ""), "conflict.reason"),
        (lambda d, t: d.ticket_dispatch("s", t, "王工", ""), "conflict.assignee"),
        (lambda d, t: d.open_report("s", "客服", text=" \n"), "conflict.text"),
    ],
)
def test_a_ticket_refuses_with_a_reason(room: Room, action: Callable[[Desk, int], object], key: str) -> None:
    ticket = room.desk.open_report("s", "客服", text="漏水")
    with pytest.raises(Conflict) as refused:
        action(room.desk, ticket.id)
    assert refused.value.reason == key
    assert room.ticket(ticket.id) == ticket


# ---------------------------------------------------------------- devices


def test_out_of_service_and_back(room: Room) -> None:
    alarm, latched = room.alarm(), room.alarm("riser-a", rule="fire.alarm", latched=True)
    other = room.alarm("riser-b")
    device = room.desk.remove("s", "riser-a", "王工", "挂牌检修")
    assert device.status is DeviceStatus.OUT_OF_SERVICE
    states = [room.seen(a).state for a in (alarm, latched, other)]
    assert states == [AlarmState.OUT_OF_SERVICE, AlarmState.UNACKNOWLEDGED, AlarmState.UNACKNOWLEDGED]
    with pytest.raises(Conflict, match=r"conflict\.device\.out_of_service"):
        room.desk.remove("s", "riser-a", "王工", "又一次")
    with pytest.raises(Conflict, match=r"conflict\.reason"):
        room.desk.remove("s", "riser-a", "王工", "")
    assert room.desk.restore("s", "riser-a", "王工").status is DeviceStatus.ACTIVE
    assert room.seen(alarm).state is AlarmState.UNACKNOWLEDGED
    assert ("王工", "device.remove", "挂牌检修") in room.traces()
    assert ("device", "riser-a") in room.changes()


# ---------------------------------------------------------------- plans


def planned(room: Room, plan: str, state: OccurrenceState = OccurrenceState.DUE) -> Occurrence:
    with room.records.write() as tx:
        order = room_ticket(plan)
        ticket = tx.tickets.insert(order)
        stored = tx.occurrences.insert(Occurrence(0, "s", plan, "", NOW, state, NOW, ticket=ticket.id))
    assert stored is not None
    return stored


def room_ticket(plan: str) -> Ticket:
    return Ticket(
        id=0,
        site="s",
        number="",
        kind=TicketKind.PLAN,
        state=TicketState.OPEN,
        priority=Priority.MEDIUM,
        key="ticket.plan",
        arguments={"plan": plan},
        object="",
        space="",
        opened_at=NOW,
        respond_by=None,
        cause=f"plan|{plan}||{NOW}",
    )


@pytest.mark.parametrize("state", [OccurrenceState.DUE, OccurrenceState.OVERDUE, OccurrenceState.MISSED])
def test_one_tick_fulfils_a_plan_and_its_work_order(room: Room, state: OccurrenceState) -> None:
    row = planned(room, "tank.cleaning", state)
    done = room.desk.occurrence_done("s", row.id, "张师傅", "照片 3 张")
    assert (done.state, done.done_at, done.evidence, done.actor) == (
        OccurrenceState.DONE,
        NOW,
        "照片 3 张",
        "张师傅",
    )
    assert room.ticket(row.ticket).state is TicketState.DONE
    with pytest.raises(Conflict) as refused:
        room.desk.occurrence_done("s", row.id, "赵师傅")
    assert (refused.value.reason, refused.value.items) == ("conflict.occurrence.done", {"by": "张师傅"})


def test_a_tick_does_not_replace_a_proof(room: Room) -> None:
    row = planned(room, "generator.test")
    with pytest.raises(Conflict, match=r"conflict\.proof"):
        room.desk.occurrence_done("s", row.id, "张师傅")
    with pytest.raises(Conflict, match=r"conflict\.reason"):
        room.desk.occurrence_excused("s", row.id, "王工", " ")
    excused = room.desk.occurrence_excused("s", row.id, "王工", "机房施工")
    assert (excused.state, excused.done_at, excused.evidence) == (OccurrenceState.EXCUSED, None, "机房施工")
    assert room.ticket(row.ticket).state is TicketState.CANCELLED


def test_a_report_on_a_device_that_does_not_exist_is_refused(room: Room) -> None:
    with pytest.raises(Rejected, match=r"error\.no_device"):
        room.desk.open_report("s", "王工", text="灯不亮", object="nobody", space="A")


def test_every_refusal_has_words_in_both_languages() -> None:
    from dutyroom.api.words import read_catalogue

    wanted = {f"conflict.alarm.{state}" for state in AlarmState}
    wanted |= {f"conflict.ticket.{state}" for state in TicketState}
    wanted |= {f"conflict.device.{state}" for state in DeviceStatus}
    wanted |= {
        "conflict.occurrence.done",
        "conflict.occurrence.excused",
        "conflict.not_read",
        "conflict.standing",
        "conflict.billing_run",
        "message.dispatched",
        "message.test",
    }
    for words in read_catalogue().values():
        assert wanted <= words.keys()
