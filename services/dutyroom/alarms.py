"""The life of an alarm after ISA-18.2, as a table of states and events.

`TABLE` says what follows while the condition stands. Three small tables overrule it: `CLEARED` once
the condition has gone (`Alarm.cleared_at`), `LATCHED` for fire and entrapment, which need a
person's reset and which no path shelves or suppresses, and `CHATTERING` for what comes and goes
too often. What no table names is refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from itertools import pairwise
from typing import TypeAlias

from dutyroom.errors import Conflict
from dutyroom.model.duty import SYSTEM, Alarm, AlarmChange, AlarmEvent, AlarmState, Spans
from dutyroom.timebase import DAY, MINUTE, SECOND, Ms

Key: TypeAlias = tuple[AlarmState, AlarmEvent]

MAX_SHELF: Ms = DAY  # nothing disappears for longer than this without another decision
TAKE_BACK: Ms = MINUTE  # how long a mistaken acknowledgement can be taken back

_S, _E = AlarmState, AlarmEvent

TABLE: Mapping[Key, AlarmState] = {
    (_S.NORMAL, _E.RAISE): _S.UNACKNOWLEDGED,
    (_S.NORMAL, _E.NOTE): _S.NORMAL,
    (_S.UNACKNOWLEDGED, _E.ACKNOWLEDGE): _S.ACKNOWLEDGED,
    (_S.UNACKNOWLEDGED, _E.CLEAR): _S.RETURNED,
    (_S.UNACKNOWLEDGED, _E.SHELVE): _S.SHELVED,
    (_S.UNACKNOWLEDGED, _E.SUPPRESS): _S.SUPPRESSED,
    (_S.UNACKNOWLEDGED, _E.REMOVE): _S.OUT_OF_SERVICE,
    (_S.UNACKNOWLEDGED, _E.NOTE): _S.UNACKNOWLEDGED,
    (_S.UNACKNOWLEDGED, _E.WITHDRAW): _S.NORMAL,
    (_S.UNACKNOWLEDGED, _E.DISPROVE): _S.NORMAL,
    (_S.ACKNOWLEDGED, _E.UNACKNOWLEDGE): _S.UNACKNOWLEDGED,
    (_S.ACKNOWLEDGED, _E.CLEAR): _S.NORMAL,
    (_S.ACKNOWLEDGED, _E.SHELVE): _S.SHELVED,
    (_S.ACKNOWLEDGED, _E.SUPPRESS): _S.SUPPRESSED,
    (_S.ACKNOWLEDGED, _E.REMOVE): _S.OUT_OF_SERVICE,
    (_S.ACKNOWLEDGED, _E.NOTE): _S.ACKNOWLEDGED,
    (_S.ACKNOWLEDGED, _E.WITHDRAW): _S.NORMAL,
    (_S.ACKNOWLEDGED, _E.DISPROVE): _S.NORMAL,
    (_S.RETURNED, _E.RAISE): _S.UNACKNOWLEDGED,
    (_S.RETURNED, _E.ACKNOWLEDGE): _S.NORMAL,
    (_S.RETURNED, _E.REMOVE): _S.OUT_OF_SERVICE,
    (_S.RETURNED, _E.NOTE): _S.RETURNED,
    (_S.RETURNED, _E.WITHDRAW): _S.NORMAL,
    (_S.RETURNED, _E.DISPROVE): _S.NORMAL,
    (_S.SHELVED, _E.CLEAR): _S.SHELVED,
    (_S.SHELVED, _E.UNSHELVE): _S.UNACKNOWLEDGED,
    (_S.SHELVED, _E.REMOVE): _S.OUT_OF_SERVICE,
    (_S.SHELVED, _E.NOTE): _S.SHELVED,
    (_S.SHELVED, _E.WITHDRAW): _S.NORMAL,
    (_S.SHELVED, _E.DISPROVE): _S.NORMAL,
    (_S.SUPPRESSED, _E.CLEAR): _S.NORMAL,
    (_S.SUPPRESSED, _E.SUPPRESS): _S.SUPPRESSED,  # another root explains it now
    (_S.SUPPRESSED, _E.UNSUPPRESS): _S.UNACKNOWLEDGED,
    (_S.SUPPRESSED, _E.REMOVE): _S.OUT_OF_SERVICE,
    (_S.SUPPRESSED, _E.NOTE): _S.SUPPRESSED,
    (_S.SUPPRESSED, _E.WITHDRAW): _S.NORMAL,
    (_S.SUPPRESSED, _E.DISPROVE): _S.NORMAL,
    (_S.OUT_OF_SERVICE, _E.CLEAR): _S.OUT_OF_SERVICE,
    (_S.OUT_OF_SERVICE, _E.RESTORE): _S.UNACKNOWLEDGED,
    (_S.OUT_OF_SERVICE, _E.NOTE): _S.OUT_OF_SERVICE,
    (_S.OUT_OF_SERVICE, _E.WITHDRAW): _S.NORMAL,
    (_S.OUT_OF_SERVICE, _E.DISPROVE): _S.NORMAL,
    (_S.NORMAL, _E.DISPROVE): _S.NORMAL,
    (_S.UNACKNOWLEDGED, _E.CHATTER): _S.UNACKNOWLEDGED,
    (_S.UNACKNOWLEDGED, _E.REALARM): _S.UNACKNOWLEDGED,  # it sounds already; something is new about it
    (_S.ACKNOWLEDGED, _E.REALARM): _S.UNACKNOWLEDGED,
    **{(state, _E.MERGE): _S.NORMAL for state in _S},
    **{(state, _E.REVISE): state for state in _S},
}

# Once the condition has gone. A shelved alarm stays on its shelf, so that one that chatters does
# not ring again; what comes back from shelf or service without its condition is over.
CLEARED: Mapping[Key, AlarmState | None] = {
    (_S.SHELVED, _E.RAISE): _S.SHELVED,
    (_S.SHELVED, _E.CLEAR): None,
    (_S.SHELVED, _E.UNSHELVE): _S.NORMAL,
    (_S.OUT_OF_SERVICE, _E.RAISE): _S.OUT_OF_SERVICE,
    (_S.OUT_OF_SERVICE, _E.CLEAR): None,
    (_S.OUT_OF_SERVICE, _E.RESTORE): _S.NORMAL,
}

# Fire and entrapment. None = refused.
LATCHED: Mapping[Key, AlarmState | None] = {
    (_S.ACKNOWLEDGED, _E.CLEAR): _S.ACKNOWLEDGED,
    (_S.ACKNOWLEDGED, _E.RAISE): _S.UNACKNOWLEDGED,
    (_S.ACKNOWLEDGED, _E.RESET): _S.NORMAL,
    (_S.RETURNED, _E.ACKNOWLEDGE): _S.ACKNOWLEDGED,
} | {
    (state, event): None for state in AlarmState for event in (_E.SHELVE, _E.SUPPRESS, _E.REMOVE, _E.WITHDRAW)
}

# One that chatters is held while it comes and goes, and settles when it has been quiet. What it says then
# is what an alarm says that does not chatter.
CHATTERING: Mapping[Key, AlarmState] = {
    (_S.UNACKNOWLEDGED, _E.CLEAR): _S.UNACKNOWLEDGED,
    (_S.UNACKNOWLEDGED, _E.RAISE): _S.UNACKNOWLEDGED,
    (_S.ACKNOWLEDGED, _E.CLEAR): _S.ACKNOWLEDGED,
    (_S.ACKNOWLEDGED, _E.RAISE): _S.ACKNOWLEDGED,
    **{(state, _E.SETTLE): state for state in _S if state is not _S.NORMAL},
}
SETTLED: Mapping[AlarmState, AlarmState] = {_S.UNACKNOWLEDGED: _S.RETURNED, _S.ACKNOWLEDGED: _S.NORMAL}

CHATTER, CHATTER_IN = 3, 5 * MINUTE  # raised so often in so long: it chatters, until it is quiet for as long
FLEETING: Ms = 10 * SECOND  # gone before anybody could act

MOST_SPANS = 100  # that an alarm remembers of itself, however often it comes and goes

# Why something happened of which nobody says it: every line of a history has a reason.
REASONS: Mapping[AlarmEvent, str] = {
    _E.RAISE: "alarm.reason.holds",
    _E.CLEAR: "alarm.reason.gone",
    _E.ACKNOWLEDGE: "alarm.reason.seen",
    _E.UNACKNOWLEDGE: "alarm.reason.mistaken",
    _E.RESET: "alarm.reason.seen_to",
    _E.UNSHELVE: "alarm.reason.by_hand",
    _E.RESTORE: "alarm.reason.in_service",
}
_STAYS = (_E.NOTE, _E.REVISE)
_SOUNDS = (_E.RAISE, _E.REALARM)  # a mistaken acknowledgement, taken back, was none
_MUTED = (_S.SHELVED, _S.SUPPRESSED, _S.OUT_OF_SERVICE)
_NEEDS_REASON = frozenset({_E.SHELVE, _E.REMOVE, _E.NOTE})
# Not REMOVE: an alarm that is raised on a device out of service joins it there by itself.
_NEEDS_PERSON = frozenset({_E.ACKNOWLEDGE, _E.UNACKNOWLEDGE, _E.RESET, _E.SHELVE, _E.RESTORE})


def target(
    state: AlarmState, event: AlarmEvent, *, cleared: bool, latched: bool, chattering: bool = False
) -> AlarmState | None:
    """The state that follows; None = refused."""
    key = (state, event)
    if event is _E.CHATTER and (latched or chattering):
        return None
    if chattering and key in CHATTERING:
        # Only what is gone can be raised, only what is there can clear.
        if event is _E.SETTLE:
            return SETTLED.get(state, state) if cleared else state
        return CHATTERING[key] if cleared is (event is _E.RAISE) else None
    if latched and key in LATCHED:
        # The latch opens only after the condition has gone; it closes again only with a new one.
        if event in (_E.RESET, _E.RAISE) and not cleared:
            return None
        return None if event is _E.CLEAR and cleared else LATCHED[key]
    if cleared and key in CLEARED:
        return CLEARED[key]
    return TABLE.get(key)


def following(alarm: Alarm, event: AlarmEvent) -> AlarmState | None:
    """The state that an alarm would have after an event; None = refused."""
    cleared = alarm.cleared_at is not None
    return target(alarm.state, event, cleared=cleared, latched=alarm.latched, chattering=alarm.chattering)


def step(
    alarm: Alarm,
    event: AlarmEvent,
    now: Ms,
    actor: str,
    reason: str = "",
    *,
    at: Ms | None = None,
    until: Ms | None = None,
    root: int | None = None,
) -> tuple[Alarm, AlarmChange]:
    """The alarm after the event, and the line for its history.

    at: event time of a RAISE or CLEAR (now when None). until: end of a SHELVE, at most MAX_SHELF
    away. root: id of the alarm that explains a SUPPRESS. Raises Conflict with a sentence.
    """
    after = following(alarm, event)
    if after is None:
        raise Conflict(_refusal(alarm, event))
    _check(alarm, event, now, actor, reason, until)
    why = reason if reason.strip() else REASONS.get(event, "")
    change = AlarmChange(alarm.id, now, actor, event, alarm.state, after, why)
    changed = _effects(replace(alarm, state=after), event, now, actor, reason, at, until, root)
    if alarm.state is AlarmState.ACKNOWLEDGED and after is AlarmState.UNACKNOWLEDGED and event in _SOUNDS:
        changed = replace(changed, sounded_at=now)
    if after is AlarmState.UNACKNOWLEDGED:  # also back from the shelf: it calls for a person again
        changed = replace(changed, acknowledged_at=None, acknowledged_by="")
    if after is not AlarmState.NORMAL:
        return replace(changed, ended_at=None), change
    if event not in _STAYS and changed.ended_at is None:
        changed = replace(changed, ended_at=now, ticket_due=None)
    return changed, change


def spans_of(alarm: Alarm) -> Spans:
    """When its condition held. A row of before this was kept counts as one stretch."""
    if alarm.spans or alarm.disproved or alarm.merged_into is not None or alarm.id == 0:
        return alarm.spans
    return ((alarm.raised_at, alarm.cleared_at),)


def calls(alarm: Alarm) -> list[Ms]:
    """When its condition began, and when it came back after a pause (event time). What comes and goes within minutes
    is one call."""
    spans = spans_of(alarm)
    anew = [
        begun for (_, gone), (begun, _) in pairwise(spans) if gone is not None and begun - gone > CHATTER_IN
    ]
    return [*(since for since, _ in spans[:1]), *anew]


def called_anew(alarm: Alarm) -> Ms | None:
    """When its condition came back after a pause, the last time; None = it is as it began."""
    found = calls(alarm)
    return found[-1] if len(found) > 1 else None


def _check(alarm: Alarm, event: AlarmEvent, now: Ms, actor: str, reason: str, until: Ms | None) -> None:
    if event in _NEEDS_REASON and not reason.strip():
        raise Conflict(f"{event} needs a reason")
    if event in _NEEDS_PERSON and (not actor or actor == SYSTEM):
        raise Conflict(f"{event} needs a person")
    if event is _E.SHELVE and (until is None or not now < until <= now + MAX_SHELF):
        raise Conflict("a shelf needs an end, at most 24 h from now")
    if event is _E.UNACKNOWLEDGE and now - (alarm.acknowledged_at or 0) > TAKE_BACK:
        raise Conflict("an acknowledgement can be taken back for one minute only")


def _effects(
    alarm: Alarm,
    event: AlarmEvent,
    now: Ms,
    actor: str,
    reason: str,
    at: Ms | None,
    until: Ms | None,
    root: int | None,
) -> Alarm:
    """The fields that an event changes beside the state."""
    match event:
        case AlarmEvent.RAISE:
            since = now if at is None else at
            if alarm.disproved:  # a latch that nobody has reset: what comes now is true
                alarm = replace(alarm, disproved=False, raised_at=since)
                return replace(alarm, cleared_at=None, spans=((since, None),))
            begun = (*spans_of(alarm), (since, None))
            return replace(alarm, cleared_at=None, spans=begun[-MOST_SPANS:])
        case AlarmEvent.CLEAR:
            *before, (since, _) = spans_of(alarm) or ((alarm.raised_at, None),)
            gone = max(since, now if at is None else at)  # a reading older than what raised it
            return replace(alarm, cleared_at=gone, spans=(*before, (since, gone)))
        case AlarmEvent.ACKNOWLEDGE:
            return replace(alarm, acknowledged_at=now, acknowledged_by=actor)
        case AlarmEvent.SHELVE:
            return replace(alarm, shelved_until=until, shelve_reason=reason)
        case AlarmEvent.UNSHELVE:
            return replace(alarm, shelved_until=None, shelve_reason="")
        case AlarmEvent.SUPPRESS:
            known = alarm.announced if alarm.test else None
            return replace(alarm, root=root, announced=known, ticket_due=None)
        case AlarmEvent.UNSUPPRESS:
            return replace(alarm, root=None, announced=alarm.announced if alarm.test else None)
        case AlarmEvent.CHATTER | AlarmEvent.SETTLE:
            return replace(alarm, chattering=event is _E.CHATTER)
        case AlarmEvent.DISPROVE:
            return replace(alarm, disproved=True, spans=())
        case AlarmEvent.MERGE:
            return replace(alarm, spans=())
        case _:
            return alarm


def _refusal(alarm: Alarm, event: AlarmEvent) -> str:
    if alarm.latched and event in (_E.SHELVE, _E.SUPPRESS, _E.REMOVE):
        return f"{alarm.rule} can be neither shelved nor suppressed nor taken out of service"
    if alarm.latched and event is _E.WITHDRAW:
        return f"{alarm.rule} needs a person's reset"
    if event is _E.RESET and not alarm.latched:
        return f"{alarm.rule} has no latch to reset"
    if event is _E.RESET:
        return f"{alarm.rule} can be reset once its condition has gone and it is acknowledged"
    return f"an alarm that is {alarm.state} does not allow {event}"


def table_markdown() -> str:
    """The tables as one Markdown table, for the documentation."""
    lines = [
        "| state | event | then | once cleared | latched | chattering |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for state in AlarmState:
        for event in AlarmEvent:
            gone = event in (_E.RESET, _E.RAISE)
            columns = [
                target(state, event, cleared=False, latched=False),
                target(state, event, cleared=True, latched=False),
                target(state, event, cleared=gone, latched=True),
                target(state, event, cleared=event is _E.RAISE, latched=False, chattering=True),
            ]
            if any(columns):
                cells = [str(c) if c else "refused" for c in columns]
                cells[2] = "never here" if state in _MUTED else cells[2]
                lines.append(f"| {state} | {event} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"
