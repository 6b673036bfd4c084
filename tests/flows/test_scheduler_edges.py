"""Plans when something else goes wrong: the store is away, a process dies, people tick too early."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import date
from pathlib import Path
from threading import Thread

import pytest
from tests.flows.metered import Store, at, device
from tests.flows.test_scheduler import DEVICES, LIFTS, READING, TEST_RUN, Duty, metered

from dutyroom.backends.records_sql import open_records
from dutyroom.errors import Conflict, Unavailable
from dutyroom.flows import planned_work
from dutyroom.interfaces import Records
from dutyroom.model.duty import OccurrenceState, TicketState
from dutyroom.timebase import DAY, HOUR, MINUTE

S = OccurrenceState


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.servers)])
def records(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Records]:
    """Both databases: what several processes do at once is theirs to keep apart."""
    sqlite = request.param == "sqlite"
    url = (
        f"sqlite:///{tmp_path}/records.sqlite" if sqlite else request.getfixturevalue("postgres_records_url")
    )
    opened = open_records(url)
    yield opened
    opened.close()


class Away(Store):
    """A store that can be switched off."""

    off = False

    def range(self, *given: object, **more: object) -> object:  # type: ignore[override]
        if self.off:
            raise Unavailable("the store does not answer")
        return super().range(*given, **more)  # type: ignore[arg-type]

    def at(self, *given: object) -> object:  # type: ignore[override]
        if self.off:
            raise Unavailable("the store does not answer")
        return super().at(*given)  # type: ignore[arg-type]


def with_away(duty: Duty) -> Away:
    store = Away()
    duty.store = store
    duty.scheduler = duty.fresh()
    return store


# ---------------------------------------------------------------- the store is away


def test_a_store_that_is_away_holds_up_only_what_it_proves(records: Records) -> None:
    duty = Duty(records, [TEST_RUN, LIFTS])
    store = with_away(duty)
    duty.at("2026-10-18T12:00")
    store.off = True
    while duty.time < at("2026-10-22T12:00"):
        with pytest.raises(Unavailable):
            duty.at(duty.time + HOUR)
    assert duty.state("2026-10-19T10:00") == S.DUE, "nobody can know whether it ran"
    assert duty.state("2026-10-25T09:00", "lift-1") == S.DUE
    assert {t.object for t in duty.tickets(open_only=True)} == {"gen-1", "lift-1", "lift-2"}
    store.off = False
    duty.runs("2026-10-19T10:05", 35)
    duty.at(duty.time + HOUR)
    assert duty.state("2026-10-19T10:00") == S.DONE
    assert duty.alarms() == []


def test_plans_without_proof_become_overdue_while_the_store_is_away(records: Records) -> None:
    duty = Duty(records, [TEST_RUN, replace(LIFTS, select=None)])
    store = with_away(duty)
    duty.at("2026-10-09T12:00")
    store.off = True
    while duty.time < at("2026-10-12T00:00"):
        duty.time += HOUR
        duty.scheduler.wake()  # nothing to prove yet: the store is not asked
    assert duty.state("2026-10-10T09:00", "") == S.OVERDUE
    assert [a.rule for a in duty.alarms()] == ["plan.overdue/lift-service"]


# ---------------------------------------------------------------- at the edge of a window

NO_AHEAD = replace(TEST_RUN, ahead=0)


@pytest.mark.parametrize(
    ("start", "minutes", "served"),
    [
        pytest.param("2026-10-19T09:45", 35, "2026-10-19T10:00", id="begun before due, long enough after it"),
        pytest.param("2026-10-19T09:20", 60, "2026-10-04T10:00", id="long enough before the next is due"),
        pytest.param("2026-10-19T10:00", 30, "2026-10-19T10:00", id="begun when due"),
    ],
)
def test_a_run_over_the_edge_serves_exactly_one(
    records: Records, start: str, minutes: int, served: str
) -> None:
    duty = Duty(records, [NO_AHEAD]).at("2026-10-04T09:00").at("2026-10-19T09:00")
    duty.runs(start, minutes)
    duty.until("2026-10-19T12:00")
    done = [r.due for r in duty.rows() if r.state is S.DONE]
    assert done == [at(served)]


def test_an_interrupted_run_does_not_count_and_the_next_one_does(records: Records) -> None:
    duty = Duty(records, [TEST_RUN]).at("2026-10-18T12:00")
    duty.runs("2026-10-19T10:00", 20)
    duty.runs("2026-10-19T10:25", 20)
    duty.until("2026-10-19T12:00", 30 * MINUTE)
    assert duty.state("2026-10-19T10:00") == S.DUE
    duty.runs("2026-10-19T13:00", 31)
    duty.until("2026-10-19T14:00", 30 * MINUTE)
    assert duty.state("2026-10-19T10:00") == S.DONE


# ---------------------------------------------------------------- people


def test_an_overdue_proof_whose_work_order_was_closed_early_opens_one_more(records: Records) -> None:
    duty = Duty(records, [TEST_RUN]).at("2026-10-18T12:00")
    (order,) = duty.tickets()
    for step in (duty.desk.accept, duty.desk.done, duty.desk.close):
        step("lake", order.id, "li")
    duty.until("2026-10-21T12:00", HOUR)
    (alarm,) = duty.alarms()
    (second,) = duty.tickets(open_only=True)
    assert (alarm.ticket, second.alarm) == (second.id, alarm.id)
    assert second.id != order.id
    for step in (duty.desk.accept, duty.desk.done, duty.desk.close):
        step("lake", second.id, "li")
    duty.until("2026-10-22T12:00", HOUR)
    assert duty.tickets(open_only=True) == [], "who closes it again has decided"
    assert len(duty.alarms()) == 1


def test_an_excused_one_takes_its_work_order_along(records: Records) -> None:
    duty = Duty(records, [LIFTS]).at("2026-10-09T12:00")
    row = next(r for r in duty.rows() if r.object == "lift-1" and r.ticket is not None)
    duty.desk.occurrence_excused("lake", row.id, "wang", "lift is rebuilt")
    duty.until("2026-10-12T09:00", HOUR)
    with records.read() as tx:
        order = tx.tickets.get("lake", row.ticket or 0)
        last = tx.tickets.history(row.ticket or 0)[-1]
    assert order is not None
    assert (order.state, last.actor, last.reason) == (TicketState.CANCELLED, "wang", "lift is rebuilt")
    assert [a.object for a in duty.alarms()] == ["lift-2"]


def test_a_reading_day_cannot_be_ticked_off_before_the_registers_were_looked_for(records: Records) -> None:
    plan = replace(READING, ahead=2 * DAY)
    duty = Duty(records, [plan]).at("2026-10-30T12:00")
    (register,) = duty.table.of_device("A-1204-power")
    duty.store.put(register, "2026-09-30T23:45", 841_236)
    (order,) = duty.tickets()
    (row,) = [r for r in duty.rows() if r.ticket == order.id]
    with pytest.raises(Conflict, match=r"conflict\.not_read"):
        duty.desk.occurrence_done("lake", row.id, "li")
    duty.desk.accept("lake", order.id, "li")
    duty.desk.done("lake", order.id, "li")
    duty.until("2026-11-01T03:00", HOUR)
    assert duty.state("2026-11-01T00:30", "") == S.DUE, "the register is still missing"
    duty.store.put(register, "2026-10-31T23:45", 865_581)
    duty.until("2026-11-01T05:00", HOUR)
    assert duty.state("2026-11-01T00:30", "") == S.DONE
    with records.read() as tx:
        assert len(tx.metering.statements("lake", "2026-10")) == 1


def test_who_gives_a_register_up_after_it_was_looked_for_ends_the_reading_day(records: Records) -> None:
    duty = metered(records).until("2026-11-02T06:00", HOUR)
    row = next(r for r in duty.rows() if r.due == at("2026-11-01T00:30"))
    assert (row.state, row.evidence) == (S.OVERDUE, "2026-10 · 0/1 · 0")
    duty.desk.occurrence_done("lake", row.id, "li", "meter burnt, settled by hand")
    duty.until("2026-11-02T09:00", HOUR)
    assert duty.state("2026-11-01T00:30", "") == S.DONE
    assert [a.ended_at is not None or a.cleared_at is not None for a in duty.alarms()] == [True]


# ---------------------------------------------------------------- what is new has no past


def test_a_plan_that_came_while_we_were_down_has_no_past(records: Records) -> None:
    duty = Duty(records, [LIFTS]).at("2026-10-08T00:00")
    duty.site = replace(duty.site, plans=(LIFTS, TEST_RUN))
    duty.scheduler = duty.fresh()
    duty.at("2027-01-10T12:00")
    assert {r.plan for r in duty.rows() if r.due < duty.time} == {"lift-service"}
    assert {a.rule for a in duty.alarms()} == {"plan.overdue/lift-service"}


def test_a_device_that_came_while_we_were_down_has_no_past(records: Records) -> None:
    duty = Duty(records, [LIFTS]).at("2026-10-08T00:00")
    with records.write() as tx:
        tx.devices.upsert([device("lift-3", "elevator", "A/3")])
    duty.at("2026-11-20T00:00")
    past = Counter(r.object for r in duty.rows() if r.due < duty.time)
    assert past == {"lift-1": 3, "lift-2": 3}
    assert any(r.object == "lift-3" for r in duty.rows())


def test_a_shorter_interval_keeps_what_is_done_and_plans_the_rest(records: Records) -> None:
    duty = Duty(records, [TEST_RUN]).at("2026-10-18T12:00")
    duty.runs("2026-10-19T10:00", 35)
    duty.until("2026-10-19T12:00", HOUR)
    weekly = replace(TEST_RUN, schedule=replace(TEST_RUN.schedule, every_days=7, anchor=date(2026, 10, 19)))
    duty.site = replace(duty.site, plans=(weekly,))
    duty.scheduler = duty.fresh()
    duty.at("2026-10-19T12:10")
    rows = {r.due: r.state for r in duty.rows() if r.due < at("2026-11-04T00:00")}
    assert rows == {
        at("2026-10-19T10:00"): S.DONE,
        at("2026-10-26T10:00"): S.DUE,
        at("2026-11-02T10:00"): S.DUE,
        at("2026-11-03T10:00"): S.EXCUSED,
    }
    assert duty.alarms() == []


# ---------------------------------------------------------------- processes


@pytest.mark.parametrize("dies_in", ["order", "raise_overdue"])
def test_a_process_that_dies_halfway_is_made_good_by_the_next(
    records: Records, monkeypatch: pytest.MonkeyPatch, dies_in: str
) -> None:
    duty = Duty(records, [LIFTS]).at("2026-10-01T00:00")
    if dies_in == "raise_overdue":
        duty.until("2026-10-11T08:00", 6 * HOUR)
    real = getattr(planned_work, dies_in)

    def dies(*given: object) -> object:
        real(*given)
        raise SystemExit

    with monkeypatch.context() as patched:
        patched.setattr(planned_work, dies_in, dies)
        with pytest.raises(SystemExit):
            duty.at("2026-10-11T12:00")
    duty.scheduler = duty.fresh()
    duty.at("2026-10-11T12:01").at("2026-10-11T12:02")
    assert Counter((r.object, r.due) for r in duty.rows()).most_common(1)[0][1] == 1
    assert Counter(t.cause for t in duty.tickets()).most_common(1)[0][1] == 1
    assert sorted(a.object for a in duty.alarms()) == ["lift-1", "lift-2"]


def test_two_processes_at_the_same_moment_make_each_row_and_order_once(records: Records) -> None:
    duty = Duty(records, [LIFTS, TEST_RUN])
    others = [duty.fresh() for _ in range(3)]
    for moment in ("2026-10-07T10:00", "2026-10-11T10:00"):
        threads = [Thread(target=one.wake, args=(at(moment),)) for one in others]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert set(Counter((r.plan, r.object, r.due) for r in duty.rows()).values()) == {1}
    assert set(Counter(t.cause for t in duty.tickets()).values()) == {1}
    assert sorted(a.object for a in duty.alarms()) == ["lift-1", "lift-2"]


def test_two_sites_of_one_database_keep_their_plans_apart(records: Records) -> None:
    duty = Duty(records, [LIFTS]).at("2026-10-09T12:00")
    hill = Duty(records, [])
    hill.site = replace(hill.site, id="hill", plans=(replace(LIFTS, grace=10 * DAY),))
    with records.write() as tx:
        tx.devices.upsert([replace(d, site="hill") for d in DEVICES])
    hill.scheduler = hill.fresh()
    hill.at("2026-10-09T12:00")
    for moment in ("2026-10-09T13:00", "2026-10-10T09:10", "2026-10-11T09:10", "2026-10-12T09:10"):
        duty.at(moment)
        hill.at(moment)
    assert {(a.site, a.object) for a in duty.alarms()} == {("lake", "lift-1"), ("lake", "lift-2")}
    with records.read() as tx:
        assert list(tx.alarms.search("hill")) == []
        numbers = {site: {t.number for t in tx.tickets.search(site)} for site in ("lake", "hill")}
    assert numbers["hill"] == {"WO-000001", "WO-000002"}


def test_a_year_of_daily_checks_keeps_nothing_from_being_planned(tmp_path: Path) -> None:
    """Two daily checks of 135 lifts: more rows than a wake once looked at, the oldest first."""
    records = open_records(f"sqlite:///{tmp_path}/records.sqlite")
    first = at("2026-10-01T00:00") - 395 * DAY
    checks = [(f"{plan}-{n}", first + day * DAY) for plan in "ab" for n in range(135) for day in range(390)]
    with closing(sqlite3.connect(tmp_path / "records.sqlite")) as database:
        database.executemany(
            "INSERT INTO occurrences (site, plan, object, due, state, created_at, done_at, evidence, actor)"
            " VALUES ('lake', 'gone', ?, ?, 'done', 0, 0, '', '')",
            checks,
        )
        database.commit()
    duty = Duty(records, [LIFTS]).at("2026-10-08T12:00")
    assert [t.object for t in duty.tickets()] == ["lift-2", "lift-1"], "their orders are open"
    duty.at("2026-10-11T09:00")
    due = [row for row in duty.rows(LIFTS.id) if row.due == at("2026-10-10T09:00")]
    assert [row.state for row in due] == [S.MISSED] * 2
    assert len(duty.alarms()) == 2
    records.close()


def test_the_alarm_of_what_was_excused_ends_though_nothing_else_is_open(records: Records) -> None:
    duty = Duty(records, [LIFTS]).at("2026-10-09T08:00").until("2026-10-11T10:00", HOUR)
    assert len(duty.alarms()) == 2
    with records.write() as tx:
        for row in tx.occurrences.search("lake"):
            tx.occurrences.update(replace(row, state=S.EXCUSED))
    duty.until("2026-10-11T10:10")
    assert [a.state for a in duty.alarms() if a.cleared_at is None] == []
