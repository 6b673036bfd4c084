"""The figures of ISA-18.2 and EEMUA 191, out of calls and out of the history of alarms."""

from __future__ import annotations

from dataclasses import replace
from datetime import time

import pytest
from tests.unit.duty.duty_room import FakeRecords

from dutyroom.flows.alarm_load import Load, Ring, load_of
from dutyroom.flows.alarm_report import calls, rings
from dutyroom.flows.corrections import REASON
from dutyroom.model.duty import Alarm, AlarmChange, AlarmEvent, AlarmState, Priority
from dutyroom.timebase import DAY, HOUR, MINUTE, SECOND, Ms, zone

SHANGHAI = zone("Asia/Shanghai")
START: Ms = 1_772_294_400_000  # midnight in Shanghai


def load(*at: Ms, days: int = 1) -> Load:
    return load_of(
        [Ring(START + t, "r", "d", 3, START + t + MINUTE) for t in at], START, START + days * DAY, SHANGHAI
    )


def figure(found: Load, name: str) -> tuple[float | None, str]:
    return next((f.value, f.grade) for f in found.figures if f.name == name)


def test_a_quiet_day_is_good_in_all() -> None:
    found = load(HOUR, 9 * HOUR)
    assert {f.grade for f in found.figures} <= {"good", ""}
    assert [s.alarms for s in found.shifts] == [1, 1, 0]


def test_nothing_at_all_is_no_division_by_zero() -> None:
    found = load_of([], START, START, SHANGHAI)
    assert found.alarms == 0
    assert found.peak_at is None


def test_a_flood_counts_until_a_slot_has_fewer_than_five() -> None:
    first = [n * SECOND * 20 for n in range(11)]  # 11 in the first 10 min
    second = [10 * MINUTE + n * SECOND * 60 for n in range(6)]  # 6 in the next
    found = load(*first, *second)
    assert figure(found, "peak_10min") == (11.0, "over")
    assert figure(found, "crowded_share") == (1 / 144 * 100, "good")
    assert figure(found, "flood_share") == (2 / 144 * 100, "manageable")


def test_what_people_take_from_the_shelf_or_back_into_service_does_not_chatter() -> None:
    rings = [Ring(START + n * MINUTE, "r", "d", 3, came=n == 0) for n in range(3)]
    made = load_of(rings, START, START + DAY, SHANGHAI)
    assert (made.alarms, made.chattering) == (3, 0)
    assert figure(made, "chattering") == (0.0, "good")


def test_three_calls_of_one_source_in_five_minutes_chatter() -> None:
    assert figure(load(0, MINUTE, 2 * MINUTE), "chattering") == (1.0, "manageable")
    assert figure(load(0, 10 * MINUTE, 20 * MINUTE), "chattering") == (0.0, "good")


def test_what_is_gone_before_ten_seconds_is_fleeting() -> None:
    """Not what stays for ten, still stands, or came back from a shelf and was no condition of its own."""
    gone = Ring(START, "r", "gone", 3, START + 10 * SECOND - 1)
    stays = Ring(START, "r", "stays", 3, START + 10 * SECOND)
    found = load_of(
        [
            gone,
            replace(gone, at=START + HOUR, cleared_at=START + HOUR + SECOND),
            stays,
            replace(stays, object="stands", cleared_at=None),
            replace(gone, object="from a shelf", came=False),
        ],
        START,
        START + DAY,
        SHANGHAI,
    )
    assert {a.object: a.fleeting for a in found.worst} == {
        "gone": 2, "stays": 0, "stands": 0, "from a shelf": 0,
    }  # fmt: skip
    assert (found.fleeting, figure(found, "fleeting")) == (2, (2.0, "manageable"))
    assert figure(load(HOUR), "fleeting") == (0.0, "good")


def test_what_stands_longer_than_a_day_is_stale() -> None:
    rings = [Ring(START + n, "r", f"d{n}", 3) for n in range(6)]
    assert figure(load_of(rings, START, START + 3 * DAY, SHANGHAI), "stale_most") == (6.0, "over")


def test_a_shift_that_passes_midnight_belongs_to_the_day_on_which_it_began() -> None:
    begins = (time(7), time(19))
    rings = [Ring(START + t, "r", "d", 3) for t in (20 * HOUR, 26 * HOUR)]
    found = load_of(rings, START, START + 2 * DAY, SHANGHAI, begins)
    assert [(s.begins.hour, s.alarms, s.most_alarms) for s in found.shifts] == [(7, 0, 0), (19, 2, 2)]


def test_a_span_has_as_many_shifts_as_it_has_time_for() -> None:
    def counts(since: Ms, until: Ms, *begins: int, where: str = "Asia/Shanghai") -> list[int]:
        found = load_of([], since, until, zone(where), [time(h) for h in begins])
        return [s.count for s in found.shifts]

    assert counts(START, START + 7 * DAY, 0, 8, 16) == [7, 7, 7]
    assert counts(START + 19 * HOUR, START + 43 * HOUR, 0, 8, 16) == [1, 1, 1], "from one evening to the next"
    assert counts(START + 19 * HOUR, START + 19 * HOUR + 30 * DAY, 0, 8, 16) == [30, 30, 30]
    assert counts(START, START + 7 * DAY, 7, 19) == [7, 7], "the nights of two begin or end outside"
    assert counts(START, START + 2 * DAY, 9) == [2]
    assert counts(START + HOUR, START + 2 * HOUR, 0, 8, 16) == [1, 1, 1], "never nothing to divide by"
    berlin = 1_774_652_400_000  # 2026-03-28 00:00, a day before 23 h
    assert counts(berlin, berlin + 2 * DAY - HOUR, 0, 8, 16, where="Europe/Berlin") == [2, 2, 2]


def alarm() -> Alarm:
    return Alarm(
        7, "s", "r", 1, "d", "", "e", AlarmState.UNACKNOWLEDGED, Priority(2), False, START, START, ticket=3
    )


def change(at: Ms, event: AlarmEvent, before: AlarmState, after: AlarmState) -> AlarmChange:
    return AlarmChange(7, START + at, "x", event, before, after)


def test_an_alarm_calls_when_it_is_raised_and_when_it_calls_again() -> None:
    un, ack, normal = AlarmState.UNACKNOWLEDGED, AlarmState.ACKNOWLEDGED, AlarmState.NORMAL
    history = [
        change(0, AlarmEvent.RAISE, normal, un),
        change(2 * MINUTE, AlarmEvent.ACKNOWLEDGE, un, ack),
        change(HOUR, AlarmEvent.CLEAR, ack, normal),
    ]
    (one,) = calls(replace(alarm(), ended_at=START + HOUR), history)
    assert (one.at, one.waited, one.cleared_at, one.ticket) == (START, 2 * MINUTE, START + HOUR, True)


def test_what_comes_back_from_the_shelf_calls_but_its_condition_did_not_come_again() -> None:
    un, shelved = AlarmState.UNACKNOWLEDGED, AlarmState.SHELVED
    history = [
        change(0, AlarmEvent.RAISE, AlarmState.NORMAL, un),
        change(MINUTE, AlarmEvent.SHELVE, un, shelved),
        change(2 * MINUTE, AlarmEvent.UNSHELVE, shelved, un),
    ]
    assert [(ring.at - START, ring.came) for ring in calls(alarm(), history)] == [
        (0, True),
        (2 * MINUTE, False),
    ]


def test_what_is_muted_at_once_calls_nobody() -> None:
    un, normal = AlarmState.UNACKNOWLEDGED, AlarmState.NORMAL
    history = [
        change(0, AlarmEvent.RAISE, normal, un),
        change(0, AlarmEvent.SUPPRESS, un, AlarmState.SUPPRESSED),
    ]
    assert calls(alarm(), history) == []


def test_what_late_data_raises_when_it_is_over_calls_nobody_unless_it_latches() -> None:
    un, normal = AlarmState.UNACKNOWLEDGED, AlarmState.NORMAL
    raised = replace(change(0, AlarmEvent.RAISE, normal, un), reason=REASON)
    history = [raised, change(0, AlarmEvent.CLEAR, un, AlarmState.RETURNED)]
    assert calls(alarm(), history) == []
    assert len(calls(replace(alarm(), latched=True), history)) == 1
    assert len(calls(alarm(), [raised])) == 1  # it holds: people are told


def test_a_call_that_later_data_disproves_is_load_but_no_alarm_that_stood() -> None:
    rings = [Ring(START, "r", f"d{n}", 3, disproved=n == 0) for n in range(2)]
    load = load_of(rings, START, START + 3 * DAY, SHANGHAI)
    assert (load.alarms, load.disproved) == (2, 1)
    assert next(f.value for f in load.figures if f.name == "stale_most") == 1
    assert [a.stale for a in load.worst] == [1, 0]


def test_what_rings_in_a_fire_test_is_counted_apart() -> None:
    """Thirty detectors tried in ten minutes are no flood, and no bad actor."""
    tried = [
        Ring(START + n * 20 * SECOND, "fire.alarm", "panel", 1, ticket=True, test=True) for n in range(30)
    ]
    true = Ring(START + HOUR, "water.burst", "riser", 2, ticket=True)
    found = load_of([*tried, true], START, START + DAY, SHANGHAI)
    assert (found.alarms, found.tickets, found.tests) == (1, 1, 30)
    assert [a.object for a in found.worst] == ["riser"]
    assert figure(found, "peak_10min") == (1.0, "good")
    assert figure(found, "flood_share") == (0.0, "good")
    assert [s.alarms for s in found.shifts] == [1, 0, 0]


def test_a_call_knows_that_it_was_a_test() -> None:
    history = [change(0, AlarmEvent.RAISE, AlarmState.NORMAL, AlarmState.UNACKNOWLEDGED)]
    assert [ring.test for ring in calls(replace(alarm(), test=True), history)] == [True]
    assert [ring.test for ring in calls(alarm(), history)] == [False]


@pytest.mark.parametrize("state", [AlarmState.UNACKNOWLEDGED, AlarmState.ACKNOWLEDGED])
def test_what_still_holds_at_the_end_of_a_fire_test_calls_then_and_not_when_it_was_tried(
    state: AlarmState,
) -> None:
    """Whether or not somebody had acknowledged it while it was a test."""
    un = AlarmState.UNACKNOWLEDGED
    tried = [change(0, AlarmEvent.RAISE, AlarmState.NORMAL, un)]
    if state is not un:
        tried.append(change(MINUTE, AlarmEvent.ACKNOWLEDGE, un, state))
    over = replace(change(HOUR, AlarmEvent.REALARM, state, un), reason="alarm.reason.test_over")
    found = calls(alarm(), [*tried, over])
    assert [(r.at - START, r.test, r.ticket) for r in found] == [(0, True, False), (HOUR, False, True)]
    told = load_of(found, START, START + 3 * DAY, SHANGHAI)
    assert (told.alarms, told.tickets, told.tests, told.worst[0].stale) == (1, 1, 1, 1)


def test_what_was_seen_to_after_it_sounded_again_did_not_stand_until_today() -> None:
    un, ack, shelved = AlarmState.UNACKNOWLEDGED, AlarmState.ACKNOWLEDGED, AlarmState.SHELVED
    begun = [change(0, AlarmEvent.RAISE, AlarmState.NORMAL, un)]
    sounded = [change(MINUTE, AlarmEvent.ACKNOWLEDGE, un, ack), change(8 * HOUR, AlarmEvent.REALARM, ack, un)]
    back = [
        change(MINUTE, AlarmEvent.SHELVE, un, shelved),
        change(8 * HOUR, AlarmEvent.UNSHELVE, shelved, un),
    ]
    over = change(9 * HOUR, AlarmEvent.CLEAR, un, AlarmState.RETURNED)
    again = change(30 * HOUR, AlarmEvent.RAISE, AlarmState.RETURNED, un)
    for between in (sounded, back):
        found = calls(alarm(), [*begun, *between, over])
        assert [ring.cleared_at for ring in found] == [START + 9 * HOUR] * 2
        assert figure(load_of(found, START, START + 7 * DAY, SHANGHAI), "stale_most")[0] == 0
        found = calls(alarm(), [*begun, *between, over, again])
        assert [ring.raised for ring in found] == [True, False, True]
        assert figure(load_of(found, START, START + 7 * DAY, SHANGHAI), "stale_most")[0] == 1


def test_what_has_stood_since_before_the_span_is_stale_and_a_source_to_mend() -> None:
    rings = [
        Ring(START - 20 * DAY, "r", "stands", 3),
        Ring(START - 20 * DAY, "r", "was over before", 3, START - DAY),
        Ring(START - HOUR, "r", "ended within a day", 3, START + HOUR),
        Ring(START + HOUR, "r", "called", 3, START + 2 * HOUR),
    ]
    found = load_of(rings, START, START + 7 * DAY, SHANGHAI)
    assert (found.alarms, figure(found, "stale_most")) == (1, (1.0, "good"))
    assert [(a.object, a.alarms, a.stale) for a in found.worst] == [("called", 1, 0), ("stands", 0, 1)]
    quiet = load_of(rings[:1], START, START + 7 * DAY, SHANGHAI)
    assert [(a.object, a.share, a.stale) for a in quiet.worst] == [("stands", 0, 1)]


def test_a_work_order_to_which_further_alarms_were_attached_is_one() -> None:
    records = FakeRecords()
    un, old = AlarmState.UNACKNOWLEDGED, START - 40 * DAY
    with records.write() as tx:
        for number, (about, ticket, at, ended) in enumerate(
            [
                ("a", 3, START, True),
                ("b", 3, START + HOUR, True),
                ("c", 4, START + HOUR, True),
                ("d", 5, old, False),
            ]
        ):
            over = at + MINUTE if ended else None
            made = replace(
                alarm(), object=about, ticket=ticket, raised_at=at, recorded_at=at, cleared_at=over
            )
            stored = tx.alarms.insert(replace(made, rule=f"r{number}"))
            tx.alarms.update(replace(stored, ended_at=over))
            tx.alarms.log(AlarmChange(stored.id, at, "x", AlarmEvent.RAISE, AlarmState.NORMAL, un))
    found, cut = rings(records, "s", START, START + DAY)
    made = load_of(found, START, START + DAY, SHANGHAI)
    assert (made.alarms, made.tickets, cut) == (3, 2, False)
    assert figure(made, "stale_most")[0] == 1, "of those that are open none is too old"
