"""Plans at work on a clock of their own, with real records."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import date, time

import pytest
from tests.flows.metered import Store, a_site, at, device, points_of

from dutyroom.backends.records_sql import open_records
from dutyroom.flows.desk import Desk
from dutyroom.flows.scheduler import Scheduler
from dutyroom.model.duty import (
    AlarmState,
    DeviceStatus,
    OccurrenceState,
    Person,
    Priority,
    Role,
    TicketKind,
    TicketState,
)
from dutyroom.model.telemetry import DeviceClass, Kind, Point, PointSpec, PointTable
from dutyroom.plans import Plan, Proof, Schedule
from dutyroom.rules.spec import Select
from dutyroom.timebase import DAY, HOUR, MINUTE, Ms

S = OccurrenceState
TEST_RUN = Plan(
    "test-run",
    {"en": "Generator test run"},
    Schedule(time(10), every_days=15, anchor=date(2026, 10, 4)),
    Priority.MEDIUM,
    grace=2 * DAY,
    ahead=DAY,
    select=Select(classes=("generator",)),
    proof=Proof(minutes=30, load_kw=50),
)
LIFTS = Plan(
    "lift-service",
    {"en": "Lift service"},
    Schedule(time(9), every_days=15, anchor=date(2026, 10, 10)),
    Priority.HIGH,
    grace=DAY,
    ahead=3 * DAY,
    select=Select(classes=("elevator",)),
)
TANK = Plan(
    "tank-cleaning",
    {"en": "Tank cleaning"},
    Schedule(time(9), month_day=15, every_months=3, anchor=date(2026, 10, 15)),
    Priority.LOW,
    grace=7 * DAY,
)
READING = Plan(
    "reading-day",
    {"en": "Reading day"},
    Schedule(time(0, 30), month_day=1),
    Priority.MEDIUM,
    grace=DAY,
    reading_day=True,
)
DEVICES = [
    device("gen-1", "generator", "A"),
    device("lift-1", "elevator", "A/1"),
    device("lift-2", "elevator", "A/2"),
    device("A-1204-power", "electricity_meter", "A/12/1204"),
]
GENERATOR = (
    Point(901, "lake", "gen-1", DeviceClass.GENERATOR, "A", PointSpec("running", kind=Kind.STATE)),
    Point(902, "lake", "gen-1", DeviceClass.GENERATOR, "A", PointSpec("power", "power", "kW")),
)


class Duty:
    """The duty log: `at` moves the clock and wakes, the rest asks."""

    def __init__(self, records, plans, **more) -> None:
        self.records, self.time = records, at("2026-10-01T00:00")
        self.store = Store()
        self.site = a_site({"A/12/1204": "80"}, DEVICES, plans=tuple(plans), shares=(), **more)
        self.table = PointTable([*points_of(DEVICES), *GENERATOR])
        with records.write() as tx:
            tx.devices.upsert(DEVICES)
        self.scheduler = self.fresh()
        self.desk = Desk(records, self, (), plans)

    def fresh(self) -> Scheduler:
        return Scheduler(self.site, self.table, self.store, self.records, self)

    def now(self) -> Ms:
        return self.time

    def at(self, moment: str | Ms) -> Duty:
        """Wakes at this instant; the service was not awake in between."""
        self.time = at(moment) if isinstance(moment, str) else moment
        self.scheduler.wake()
        return self

    def until(self, moment: str, step: Ms = 10 * MINUTE) -> Duty:
        """Wakes regularly up to an instant."""
        end = at(moment)
        while self.time < end:
            self.at(min(end, self.time + step))
        return self

    def runs(self, start: str, minutes: int, load_kw: float = 80.0) -> None:
        first = at(start)
        for minute in range(minutes + 1):
            moment = first + minute * MINUTE
            self.store.put(GENERATOR[0], moment, 0 if minute == minutes else 1)
            self.store.put(GENERATOR[1], moment, 0.0 if minute == minutes else load_kw)

    def rows(self, plan: str = "", until: str = "2028-01-01"):
        with self.records.read() as tx:
            return tx.occurrences.search("lake", plan=plan or None, until=at(until))

    def state(self, due: str, object: str = "gen-1") -> OccurrenceState:
        (row,) = [r for r in self.rows() if r.due == at(due) and r.object == object]
        return row.state

    def tickets(self, open_only: bool = False):
        with self.records.read() as tx:
            return tx.tickets.search("lake", open_only=open_only)

    def alarms(self, ended: bool | None = None):
        with self.records.read() as tx:
            return tx.alarms.search("lake", ended=ended)


@pytest.fixture
def records(tmp_path):
    opened = open_records(f"sqlite:///{tmp_path}/records.sqlite")
    yield opened
    opened.close()


# ---------------------------------------------------------------- rows


def test_the_first_start_invents_no_past(records):
    duty = Duty(records, [TEST_RUN]).at("2026-10-10T12:00")
    assert [r.due for r in duty.rows()] == [at("2026-10-19T10:00"), at("2026-11-03T10:00")]
    assert duty.tickets() == []
    assert duty.alarms() == []


def test_waking_again_changes_nothing(records):
    duty = Duty(records, [TEST_RUN, LIFTS, TANK, READING]).at("2026-10-10T12:00")
    before = duty.rows(), duty.tickets()
    duty.scheduler.wake()
    duty.fresh().wake(duty.time)
    assert (duty.rows(), duty.tickets()) == before


def test_two_schedulers_make_each_row_once(records):
    duty = Duty(records, [LIFTS])
    other = duty.fresh()
    for hour in range(0, 24 * 12, 6):
        duty.at(at("2026-10-01T00:00") + hour * HOUR)
        other.wake(duty.time)
    assert set(Counter((r.plan, r.object, r.due) for r in duty.rows()).values()) == {1}
    assert set(Counter(t.cause for t in duty.tickets()).values()) == {1}


def test_the_work_order_opens_ahead(records):
    duty = Duty(records, [LIFTS]).at("2026-10-07T08:50")
    assert duty.tickets() == []
    duty.at("2026-10-07T09:00")
    orders = duty.tickets(open_only=True)
    assert {(t.kind, t.key, t.object, t.arguments["plan"]) for t in orders} == {
        (TicketKind.PLAN, "ticket.plan", "lift-1", "lift-service"),
        (TicketKind.PLAN, "ticket.plan", "lift-2", "lift-service"),
    }
    assert {t.cause for t in orders} == {
        f"plan|lift-service|{lift}|{at('2026-10-10T09:00')}" for lift in ("lift-1", "lift-2")
    }
    assert {t.respond_by for t in orders} == {at("2026-10-11T09:00")}


def test_the_next_instant_to_wake_at(records):
    duty = Duty(records, [TEST_RUN]).at("2026-10-10T12:00")
    assert duty.scheduler.next_instant(duty.time) == at("2026-10-18T10:00")
    assert duty.scheduler.next_instant(at("2026-10-18T10:00")) == at("2026-10-19T10:00")
    assert duty.scheduler.next_instant(at("2026-10-19T10:00")) == at("2026-10-21T10:00")


# ---------------------------------------------------------------- due, overdue, done


def test_due_then_overdue_is_one_alarm_on_the_work_order(records):
    duty = Duty(records, [TEST_RUN]).at("2026-10-19T09:00").until("2026-10-21T09:50", HOUR)
    assert duty.state("2026-10-19T10:00") == S.DUE
    assert duty.alarms() == []
    duty.until("2026-10-21T11:00")
    assert duty.state("2026-10-19T10:00") == S.OVERDUE
    (alarm,) = duty.alarms()
    (order,) = duty.tickets()
    assert (alarm.rule, alarm.key, alarm.object) == ("plan.overdue/test-run", "alarm.plan.overdue", "gen-1")
    assert (alarm.priority, alarm.raised_at) == (Priority.MEDIUM, at("2026-10-21T10:00"))
    assert (alarm.arguments, alarm.ticket, order.alarm) == ({"plan": "test-run"}, order.id, alarm.id)
    duty.until("2026-10-25T00:00", HOUR)
    assert len(duty.alarms()) == len(duty.tickets()) == 1


def test_telemetry_fulfils_and_closes(records):
    duty = Duty(records, [TEST_RUN]).at("2026-10-18T10:00")
    duty.runs("2026-10-19T10:05", 35)
    duty.until("2026-10-19T12:00")
    (row, *_) = duty.rows()
    assert (row.state, row.evidence) == (S.DONE, "2026-10-19 10:05–10:40 · 35 min")
    (order,) = duty.tickets()
    assert order.state == TicketState.CLOSED
    assert duty.alarms() == []


@pytest.mark.parametrize(
    ("start", "minutes", "load"),
    [
        pytest.param("2026-10-19T10:05", 20, 80.0, id="too short"),
        pytest.param("2026-10-19T10:05", 40, 10.0, id="not loaded"),
        pytest.param("2026-10-18T09:00", 40, 80.0, id="before its window"),
    ],
)
def test_what_does_not_fulfil(records, start, minutes, load):
    duty = Duty(records, [TEST_RUN]).at("2026-10-18T08:00")
    duty.runs(start, minutes, load)
    duty.until("2026-10-20T00:00", HOUR)
    assert duty.state("2026-10-19T10:00") == S.DUE


def test_an_early_run_within_the_window_counts(records):
    duty = Duty(records, [TEST_RUN]).at("2026-10-18T08:00")
    duty.runs("2026-10-18T15:00", 35)
    duty.until("2026-10-18T16:00")
    assert duty.state("2026-10-19T10:00") == S.DONE


def test_a_late_run_ends_the_alarm(records):
    duty = Duty(records, [TEST_RUN]).at("2026-10-19T09:00").until("2026-10-22T00:00", HOUR)
    duty.runs("2026-10-22T08:00", 35)
    duty.until("2026-10-22T09:00")
    assert duty.state("2026-10-19T10:00") == S.DONE
    (alarm,) = duty.alarms()
    assert alarm.state == AlarmState.RETURNED
    (order,) = duty.tickets()
    assert order.state == TicketState.CLOSED


def test_a_tick_does_not_fulfil_what_telemetry_must_prove(records):
    duty = Duty(records, [TEST_RUN]).at("2026-10-19T09:00")
    (order,) = duty.tickets()
    duty.desk.accept("lake", order.id, "li")
    duty.desk.done("lake", order.id, "li")
    duty.until("2026-10-19T12:00")
    assert duty.state("2026-10-19T10:00") == S.DUE


def test_a_finished_work_order_fulfils_another_plan(records):
    duty = Duty(records, [LIFTS]).at("2026-10-10T08:00")
    order = next(t for t in duty.tickets() if t.object == "lift-1")
    duty.desk.accept("lake", order.id, "li")
    duty.desk.done("lake", order.id, "li")
    duty.until("2026-10-10T09:00")
    assert duty.state("2026-10-10T09:00", "lift-1") == S.DONE
    assert duty.state("2026-10-10T09:00", "lift-2") == S.DUE


def test_a_cancelled_work_order_excuses(records):
    duty = Duty(records, [LIFTS]).at("2026-10-10T08:00")
    for order in duty.tickets():
        duty.desk.cancel("lake", order.id, "li", "lift is rebuilt")
    duty.until("2026-10-12T09:00", HOUR)
    assert duty.state("2026-10-10T09:00", "lift-1") == S.EXCUSED
    assert duty.alarms() == []


def test_a_later_one_done_makes_the_earlier_one_missed(records):
    duty = Duty(records, [TEST_RUN]).at("2026-10-18T09:00").until("2026-11-02T12:00", 6 * HOUR)
    duty.runs("2026-11-03T10:00", 35)
    duty.until("2026-11-03T12:00", HOUR)
    assert duty.state("2026-10-19T10:00") == S.MISSED
    assert duty.state("2026-11-03T10:00") == S.DONE
    assert [a.state for a in duty.alarms()] == [AlarmState.RETURNED]
    assert [t for t in duty.tickets() if t.state != TicketState.CLOSED] == []


def test_those_who_can_be_reached_are_told_once_of_all_that_is_overdue_together(records):
    duty = Duty(records, [LIFTS])
    with records.write() as tx:
        for login, role, contacts in (
            ("li", Role.OPERATOR, ("mailto://li",)),
            ("wang", Role.OPERATOR, ()),
            ("zhao", Role.VIEWER, ("mailto://zhao",)),
        ):
            tx.people.upsert(Person(0, "lake", login, login, role, "zh-CN", "", contacts))
    duty.at("2026-10-10T08:00").until("2026-10-13T00:00", HOUR)
    with records.read() as tx:
        (message,) = tx.outbox.search("lake")
    assert (message.person, message.key) == ("li", "alarm.plan.overdue")
    assert (message.arguments["space"], message.arguments["ticket"]) == ("", "")  # of two lifts, not of one
    assert len(duty.alarms()) == 2


# ---------------------------------------------------------------- down


def test_three_months_off_are_listed_and_make_no_storm(records):
    duty = Duty(records, [TEST_RUN]).at("2026-10-10T12:00")
    duty.at("2027-01-10T12:00")
    rows = [(r.due, r.state) for r in duty.rows() if r.due <= duty.time]
    assert [state for _, state in rows] == [S.MISSED] * 6
    assert len(duty.alarms()) == 1
    assert len(duty.tickets(open_only=True)) == 1
    duty.until("2027-01-11T12:00", HOUR)
    assert len(duty.alarms()) == 1


def test_due_while_down_but_still_in_its_grace_is_simply_due(records):
    duty = Duty(records, [TEST_RUN]).at("2026-10-18T00:00").at("2026-10-20T00:00")
    assert duty.state("2026-10-19T10:00") == S.DUE
    duty.until("2026-10-21T10:00", 10 * MINUTE)
    assert duty.state("2026-10-19T10:00") == S.OVERDUE


def test_a_fast_clock_is_no_downtime(records):
    """Six hours of the site's clock between two wakes, more than the grace: late, not slept through."""
    plan = replace(LIFTS, grace=HOUR, ahead=0)
    duty = Duty(records, [plan]).at("2026-10-08T00:00").until("2026-10-10T12:00", 6 * HOUR)
    assert duty.state("2026-10-10T09:00", "lift-1") == S.OVERDUE


def test_due_before_we_went_down_is_overdue(records):
    duty = Duty(records, [TEST_RUN]).at("2026-10-18T12:00").until("2026-10-19T12:00", HOUR)
    duty.at("2026-10-25T00:00")
    assert duty.state("2026-10-19T10:00") == S.OVERDUE


def test_a_run_while_we_were_down_still_counts(records):
    duty = Duty(records, [TEST_RUN]).at("2026-10-18T00:00")
    duty.runs("2026-10-19T10:00", 35)
    duty.at("2026-10-25T00:00")
    assert duty.state("2026-10-19T10:00") == S.DONE
    assert duty.alarms() == []


def test_a_missed_one_is_made_good_later(records):
    duty = Duty(records, [TEST_RUN]).at("2026-10-18T00:00").at("2026-10-25T00:00")
    assert duty.state("2026-10-19T10:00") == S.MISSED
    duty.runs("2026-10-25T10:00", 35)
    duty.until("2026-10-25T11:00", HOUR)
    assert duty.state("2026-10-19T10:00") == S.DONE
    assert [a.state for a in duty.alarms()] == [AlarmState.RETURNED]


# ---------------------------------------------------------------- changed plans


def test_a_changed_schedule_withdraws_what_was_coming(records):
    duty = Duty(records, [LIFTS]).at("2026-10-08T00:00")
    later = replace(LIFTS, schedule=replace(LIFTS.schedule, anchor=date(2026, 10, 12)))
    duty.site = replace(duty.site, plans=(later,))
    duty.scheduler = duty.fresh()
    duty.at("2026-10-08T00:10")
    assert duty.state("2026-10-10T09:00", "lift-1") == S.EXCUSED
    assert duty.state("2026-10-12T09:00", "lift-1") == S.DUE
    cancelled = [t for t in duty.tickets() if t.state == TicketState.CANCELLED]
    assert len(cancelled) == 2


def test_what_a_plan_names_again_comes_back(records):
    duty = Duty(records, [LIFTS]).at("2026-10-08T00:00")
    for index, listed in enumerate(((), (LIFTS,)), 1):
        duty.site = replace(duty.site, plans=listed)
        duty.scheduler = duty.fresh()
        duty.at(at("2026-10-08T00:00") + index * MINUTE)
    assert duty.state("2026-10-10T09:00", "lift-1") == S.DUE
    assert {t.object for t in duty.tickets(open_only=True)} == {"lift-1", "lift-2"}


def test_a_device_that_is_gone_withdraws_what_is_planned_for_it(records):
    duty = Duty(records, [LIFTS]).at("2026-10-10T08:00").until("2026-10-12T00:00", HOUR)
    assert len(duty.alarms(ended=False)) == 2
    with records.write() as tx:
        tx.devices.upsert([replace(DEVICES[1], status=DeviceStatus.WITHDRAWN)])
    duty.at("2026-10-12T00:10")
    assert duty.state("2026-10-10T09:00", "lift-1") == S.EXCUSED
    assert [a.object for a in duty.alarms(ended=False)] == ["lift-2"]
    assert duty.state("2026-10-25T09:00", "lift-1") == S.EXCUSED


def test_a_plan_that_is_gone_withdraws_its_alarm_and_leaves_the_ticket(records):
    duty = Duty(records, [TEST_RUN]).at("2026-10-19T09:00").until("2026-10-22T00:00", HOUR)
    duty.site = replace(duty.site, plans=())
    duty.scheduler = duty.fresh()
    duty.at("2026-10-22T01:00")
    assert duty.state("2026-10-19T10:00") == S.EXCUSED
    assert [a.state for a in duty.alarms()] == [AlarmState.NORMAL]
    assert len(duty.tickets(open_only=True)) == 1


# ---------------------------------------------------------------- reading day


def metered(records) -> Duty:
    duty = Duty(records, [READING]).at("2026-10-20T00:00")
    (register,) = duty.table.of_device("A-1204-power")
    duty.store.put(register, "2026-09-30T23:45", 841_236)
    return duty


def test_the_reading_day_reads_and_bills(records):
    duty = metered(records)
    duty.store.put(duty.table.of_device("A-1204-power")[0], "2026-10-31T23:45", 865_581)
    duty.until("2026-11-01T01:00", HOUR)
    row = next(r for r in duty.rows() if r.due == at("2026-11-01T00:30"))
    assert (row.state, row.evidence) == (S.DONE, "2026-10 · 1/1 · 1")
    with records.read() as tx:
        (made,) = tx.metering.statements("lake", "2026-10")
    assert made.total == 12441
    assert duty.tickets() == [], "nothing is left for a person to do"


def test_a_missing_register_keeps_the_reading_day_open_until_it_comes(records):
    duty = metered(records)
    duty.until("2026-11-01T06:00", HOUR)
    row = next(r for r in duty.rows() if r.due == at("2026-11-01T00:30"))
    assert (row.state, row.evidence) == (S.DUE, "2026-10 · 0/1 · 0")
    duty.store.put(duty.table.of_device("A-1204-power")[0], "2026-10-31T23:45", 865_581)
    duty.until("2026-11-01T08:00", HOUR)
    assert duty.state("2026-11-01T00:30", "") == S.DONE
    with records.read() as tx:
        assert len(tx.metering.statements("lake", "2026-10")) == 1


def test_registers_that_never_come_make_one_alarm(records):
    duty = metered(records).at("2026-11-09T00:00").until("2026-11-09T06:00", HOUR)
    row = next(r for r in duty.rows() if r.due == at("2026-11-01T00:30"))
    assert (row.state, row.evidence) == (S.MISSED, "2026-10 · 0/1 · 0")
    assert [a.rule for a in duty.alarms()] == ["plan.overdue/reading-day"]
    assert [t.cause for t in duty.tickets()] == [f"plan|reading-day||{row.due}"]


def test_a_reading_day_that_was_slept_through_is_made_good(records):
    duty = metered(records)
    duty.store.put(duty.table.of_device("A-1204-power")[0], "2026-10-31T23:45", 865_581)
    duty.at("2026-11-09T00:00")
    assert duty.state("2026-11-01T00:30", "") == S.DONE
    assert duty.alarms() == []
