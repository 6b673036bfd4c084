"""The alarm table: every pair is decided, and no path breaks a latch."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dutyroom.alarms import MAX_SHELF, TABLE, TAKE_BACK, step, target
from dutyroom.errors import Conflict
from dutyroom.model.duty import SYSTEM, Alarm, AlarmEvent, AlarmState, Priority

E, S = AlarmEvent, AlarmState
MUTED = (S.SHELVED, S.SUPPRESSED, S.OUT_OF_SERVICE)
NOW = 1_000_000


def fresh(latched: bool = False) -> Alarm:
    return Alarm(
        0,
        "s",
        "fire.alarm" if latched else "tank.dry",
        1,
        "d",
        "A",
        "e",
        S.NORMAL,
        Priority.HIGH,
        latched,
        NOW,
        NOW,
    )


def then(alarm: Alarm, *events: AlarmEvent, now: int = NOW) -> Alarm:
    for event in events:
        until = now + 1000 if event is E.SHELVE else None
        alarm, _ = step(alarm, event, now, "li", "because", until=until)
    return alarm


@pytest.mark.parametrize(
    ("events", "state", "ended"),
    [
        ([E.RAISE], S.UNACKNOWLEDGED, False),
        ([E.RAISE, E.ACKNOWLEDGE], S.ACKNOWLEDGED, False),
        ([E.RAISE, E.ACKNOWLEDGE, E.CLEAR], S.NORMAL, True),
        ([E.RAISE, E.CLEAR], S.RETURNED, False),
        ([E.RAISE, E.CLEAR, E.ACKNOWLEDGE], S.NORMAL, True),
        ([E.RAISE, E.CLEAR, E.RAISE], S.UNACKNOWLEDGED, False),
        ([E.RAISE, E.ACKNOWLEDGE, E.UNACKNOWLEDGE], S.UNACKNOWLEDGED, False),
        ([E.RAISE, E.SHELVE, E.UNSHELVE], S.UNACKNOWLEDGED, False),
        ([E.RAISE, E.SHELVE, E.CLEAR], S.SHELVED, False),
        ([E.RAISE, E.SHELVE, E.CLEAR, E.RAISE, E.UNSHELVE], S.UNACKNOWLEDGED, False),
        ([E.RAISE, E.SHELVE, E.CLEAR, E.UNSHELVE], S.NORMAL, True),
        ([E.RAISE, E.SUPPRESS, E.CLEAR], S.NORMAL, True),
        ([E.RAISE, E.SUPPRESS, E.UNSUPPRESS], S.UNACKNOWLEDGED, False),
        ([E.RAISE, E.REMOVE, E.CLEAR, E.RESTORE], S.NORMAL, True),
        ([E.RAISE, E.REMOVE, E.RESTORE], S.UNACKNOWLEDGED, False),
        ([E.RAISE, E.WITHDRAW], S.NORMAL, True),
        ([E.RAISE, E.DISPROVE], S.NORMAL, True),
    ],
)
def test_what_follows(events: list[AlarmEvent], state: AlarmState, ended: bool) -> None:
    alarm = then(fresh(), *events)
    assert (alarm.state, alarm.ended_at is not None) == (state, ended)


def test_a_latch_needs_clear_and_acknowledgement_and_a_person() -> None:
    alarm = then(fresh(latched=True), E.RAISE)
    with pytest.raises(Conflict, match="once its condition has gone"):
        then(alarm, E.RESET)
    acknowledged = then(alarm, E.ACKNOWLEDGE)
    with pytest.raises(Conflict, match="once its condition has gone"):
        then(acknowledged, E.RESET)
    cleared = then(acknowledged, E.CLEAR)
    assert (cleared.state, cleared.ended_at) == (S.ACKNOWLEDGED, None)
    with pytest.raises(Conflict, match="needs a person"):
        step(cleared, E.RESET, NOW, SYSTEM, "no")
    assert then(cleared, E.RESET).ended_at == NOW
    assert then(cleared, E.RAISE).state is S.UNACKNOWLEDGED
    assert then(alarm, E.CLEAR, E.ACKNOWLEDGE).state is S.ACKNOWLEDGED


@pytest.mark.parametrize("event", [E.SHELVE, E.SUPPRESS, E.REMOVE])
def test_fire_and_entrapment_are_never_muted(event: AlarmEvent) -> None:
    with pytest.raises(Conflict, match="neither shelved nor suppressed"):
        then(fresh(latched=True), E.RAISE, event)


@given(st.booleans(), st.lists(st.sampled_from(list(AlarmEvent)), max_size=40))
def test_no_sequence_leaves_the_table(latched: bool, events: list[AlarmEvent]) -> None:
    alarm, now = fresh(latched), NOW
    for event in events:
        now += 1000
        before = alarm
        try:
            alarm, change = step(before, event, now, "li", "because", until=now + 500)
        except Conflict:
            alarm = replace(before)
            continue
        cleared, noisy = before.cleared_at is not None, before.chattering
        wanted = target(before.state, event, cleared=cleared, latched=latched, chattering=noisy)
        assert change.after is alarm.state is wanted
        assert (change.before, change.actor, change.at, change.reason) == (before.state, "li", now, "because")
        assert not (latched and alarm.chattering)
        assert not (latched and alarm.state in MUTED)
        assert alarm.state is not S.RETURNED or alarm.cleared_at is not None
        assert alarm.state is not S.UNACKNOWLEDGED or (alarm.acknowledged_at, alarm.acknowledged_by) == (
            None,
            "",
        )
        assert alarm.state is not S.ACKNOWLEDGED or alarm.acknowledged_by == "li"
        held = latched or alarm.chattering
        assert alarm.state is not S.ACKNOWLEDGED or alarm.cleared_at is None or held
        if alarm.state is S.NORMAL and before.state is not S.NORMAL:
            assert alarm.ended_at == now
            return  # an episode that is over is never raised again; the next one is new


def test_every_state_has_a_way_out_and_allows_a_note() -> None:
    for state in AlarmState:
        assert TABLE[state, E.NOTE] is state
        if state is not S.NORMAL:
            assert TABLE[state, E.WITHDRAW] is S.NORMAL


def test_no_path_ends_a_latched_alarm_but_a_reset() -> None:
    latched = then(replace(fresh(), latched=True), E.RAISE)
    for alarm in (latched, then(latched, E.CLEAR), then(latched, E.ACKNOWLEDGE)):
        with pytest.raises(Conflict, match="needs a person's reset"):
            then(alarm, E.WITHDRAW)


def test_refusals_are_sentences() -> None:
    raised = then(fresh(), E.RAISE)
    with pytest.raises(Conflict, match="that is unacknowledged does not allow unshelve"):
        then(raised, E.UNSHELVE)
    with pytest.raises(Conflict, match="has no latch"):
        then(raised, E.RESET)
    with pytest.raises(Conflict, match="needs a reason"):
        step(raised, E.SHELVE, NOW, "li", " ", until=NOW + 1)
    with pytest.raises(Conflict, match="at most 24 h"):
        step(raised, E.SHELVE, NOW, "li", "noise", until=NOW + MAX_SHELF + 1)
    with pytest.raises(Conflict, match="needs a person"):
        step(raised, E.ACKNOWLEDGE, NOW, SYSTEM)
    with pytest.raises(Conflict, match="one minute"):
        then(then(raised, E.ACKNOWLEDGE), E.UNACKNOWLEDGE, now=NOW + TAKE_BACK + 1)
