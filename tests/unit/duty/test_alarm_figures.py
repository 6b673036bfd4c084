"""What dashboards are told of alarms: each transition once, whatever is written again; what stands."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from dutyroom.alarms import step
from dutyroom.errors import Conflict
from dutyroom.flows.alarm_figures import standing, transitions
from dutyroom.model.duty import Alarm, AlarmChange, AlarmEvent, AlarmState, Priority
from dutyroom.timebase import DAY, MINUTE, SECOND

T = 1_793_491_200_000
E = AlarmEvent
FRESH = Alarm(
    7, "estate", "water.burst", 1, "A-1", "A", "e1", AlarmState.NORMAL, Priority.HIGH, False, T - 9_000, T
)


def lived(*events: tuple[AlarmEvent, int], alarm: Alarm = FRESH) -> tuple[Alarm, list[AlarmChange]]:
    """An alarm through events at seconds after T."""
    history = []
    for event, after in events:
        now = T + after * SECOND
        actor = "duty" if event in (E.ACKNOWLEDGE, E.UNACKNOWLEDGE, E.SHELVE, E.NOTE) else "system"
        alarm, change = step(alarm, event, now, actor, "because", until=now + 60_000, root=1)
        history.append(change)
    return alarm, history


def told(*events: tuple[AlarmEvent, int]) -> list[tuple[str, int, dict[str, float]]]:
    """(event, seconds after T, fields without the id) of each line."""
    return [
        (f.tags["event"], (f.at - T) // SECOND, {k: v for k, v in f.fields.items() if k != "alarm_id"})
        for f in transitions(*lived(*events))
    ]


def test_an_alarm_that_is_answered_in_time() -> None:
    assert told((E.RAISE, 0), (E.ACKNOWLEDGE, 90), (E.CLEAR, 600)) == [
        ("raise", 0, {"rang": 1}),
        ("acknowledge", 90, {"rang": 0, "waited_s": 90.0, "prompt": 1.0}),
        ("clear", 600, {"rang": 0, "stood_s": 600.0}),
    ]


def test_an_acknowledgement_after_ten_minutes_is_late() -> None:
    assert told((E.RAISE, 0), (E.ACKNOWLEDGE, 601))[1][2] == {"rang": 0, "waited_s": 601.0, "prompt": 0.0}


def test_one_that_chatters_rings_each_time_and_waits_since_the_last() -> None:
    lines = told(
        (E.RAISE, 0), (E.CLEAR, 10), (E.RAISE, 20), (E.CLEAR, 25), (E.RAISE, 30), (E.ACKNOWLEDGE, 50)
    )
    assert [fields["rang"] for event, _, fields in lines if event == "raise"] == [1, 1, 1]
    assert [fields["stood_s"] for event, _, fields in lines if event == "clear"] == [10.0, 5.0]
    assert lines[-1][2]["waited_s"] == 20.0


def test_what_its_root_explains_at_once_has_called_nobody() -> None:
    assert [f["rang"] for _, _, f in told((E.RAISE, 0), (E.SUPPRESS, 0))] == [0, 0]
    assert [f["rang"] for _, _, f in told((E.RAISE, 0), (E.SUPPRESS, 5))] == [1, 0]


def test_a_consequence_that_stays_rings_when_its_root_has_gone() -> None:
    lines = told((E.RAISE, 0), (E.SUPPRESS, 0), (E.UNSUPPRESS, 100), (E.ACKNOWLEDGE, 130))
    assert [f["rang"] for _, _, f in lines] == [0, 0, 1, 0]
    assert lines[-1][2]["waited_s"] == 30.0


def test_notes_are_no_transitions_and_taking_back_rings_nobody() -> None:
    lines = told((E.RAISE, 0), (E.NOTE, 5), (E.ACKNOWLEDGE, 10), (E.UNACKNOWLEDGE, 12), (E.ACKNOWLEDGE, 20))
    assert [(event, f["rang"]) for event, _, f in lines] == [
        ("raise", 1), ("acknowledge", 0), ("unacknowledge", 0), ("acknowledge", 0),
    ]  # fmt: skip
    assert lines[-1][2]["waited_s"] == 20.0


def test_tags_say_whose_alarm_it_is_and_what_it_became() -> None:
    (line,) = transitions(*lived((E.RAISE, 0)))
    assert line.tags == {
        "device": "A-1", "event": "raise", "priority": "2", "rule": "water.burst", "site": "estate",
        "state": "unacknowledged",
    }  # fmt: skip
    assert line.fields["alarm_id"] == 7


moments = st.lists(st.tuples(st.sampled_from(list(AlarmEvent)), st.integers(0, 2)), max_size=30)


@given(moments)
def test_every_transition_has_a_line_of_its_own_and_more_history_changes_no_line(
    wanted: list[tuple[AlarmEvent, int]],
) -> None:
    alarm, history, now = FRESH, list[AlarmChange](), T
    for event, wait in wanted:
        now += wait
        try:
            alarm, change = step(alarm, event, now, "duty", "because", until=now + 60_000, root=1)
        except Conflict:
            continue
        history.append(change)
    lines = list(transitions(alarm, history))
    keys = {(tuple(sorted(line.tags.items())), line.at) for line in lines}
    assert len(keys) == len(lines) == sum(c.event is not E.NOTE for c in history)
    for known in range(len(history)):
        before = list(transitions(alarm, history[:known]))
        assert [(b.tags, b.at) for b in before] == [(line.tags, line.at) for line in lines[: len(before)]]
        other = [line for b, line in zip(before, lines, strict=False) if b.fields != line.fields]
        # Only what the same decision mutes may change, and that is one transaction.
        assert all(line.at - history[known].at < len(history) for line in other)
        assert all(line.at >= history[known].at for line in other)


def test_what_stands_is_counted_by_priority_also_where_there_is_nothing() -> None:
    now = T + 2 * DAY
    opened = [
        lived((E.RAISE, 0))[0],
        lived((E.RAISE, 0), (E.ACKNOWLEDGE, 5))[0],
        lived((E.RAISE, 0), (E.CLEAR, 5))[0],
        lived((E.RAISE, 0), (E.SUPPRESS, 0))[0],
        lived((E.RAISE, 0), (E.SHELVE, 0))[0],
        replace(lived((E.RAISE, 0))[0], priority=Priority.LOW, recorded_at=now - MINUTE),
    ]
    lines = {line.tags["priority"]: dict(line.fields) for line in standing("estate", opened, now)}
    assert set(lines) == {"1", "2", "3", "4"}
    assert lines["2"] == {
        "open": 5, "standing": 2, "unacknowledged": 2, "shelved": 1, "suppressed": 1, "out_of_service": 0,
        "stale": 2, "oldest_s": 2 * DAY / 1000,
    }  # fmt: skip
    assert (lines["4"]["standing"], lines["4"]["stale"], lines["4"]["oldest_s"]) == (1, 0, 60.0)
    assert set(lines["1"].values()) == {0}
