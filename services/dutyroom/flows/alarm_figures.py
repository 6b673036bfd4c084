"""Alarms as figures for dashboards, after ISA-18.2 and EEMUA 191: what rang, what waited, what stands.

`dutyroom_alarm`, a line for each transition: tags site, device, rule, priority, event and state (the one after
it); fields alarm_id, rang (1: it called for a person), waited_s and prompt of an acknowledgement, stood_s of
what cleared. The same history gives the same lines, so that writing it again changes nothing.
`dutyroom_standing`, a line for each priority and minute: what is open now.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from dutyroom.flows.corrections import REASON
from dutyroom.model.duty import Alarm, AlarmChange, AlarmEvent, AlarmState, Priority
from dutyroom.model.figures import Figure
from dutyroom.timebase import DAY, MINUTE, Ms

TRANSITION, STANDING = "dutyroom_alarm", "dutyroom_standing"
PROMPT: Ms = 10 * MINUTE  # an acknowledgement within it is prompt
STALE: Ms = DAY  # what stands longer is stale: ISA-18.2, 16.7
_SILENT = (AlarmEvent.NOTE, AlarmEvent.UNACKNOWLEDGE)  # they call nobody
_MUTED = (AlarmState.SHELVED, AlarmState.SUPPRESSED, AlarmState.OUT_OF_SERVICE)


def transitions(alarm: Alarm, history: Sequence[AlarmChange]) -> Iterator[Figure]:
    """Lines of one alarm from all of its history, oldest change first."""
    rang_at = raised_at = alarm.recorded_at
    used: set[tuple[str, Ms]] = set()
    for place, change in enumerate(history):
        if change.event is AlarmEvent.NOTE:
            continue
        rang = rings_at(history, place, alarm.latched)
        fields: dict[str, int | float] = {"alarm_id": alarm.id, "rang": int(rang)}
        if change.event is AlarmEvent.ACKNOWLEDGE:
            waited = max(0, change.at - rang_at)
            fields |= {"waited_s": waited / 1000, "prompt": float(waited <= PROMPT)}
        if change.event is AlarmEvent.CLEAR:
            fields["stood_s"] = max(0, change.at - raised_at) / 1000
        rang_at = change.at if rang else rang_at
        raised_at = change.at if change.event is AlarmEvent.RAISE else raised_at
        at = change.at
        while (change.event, at) in used:  # twice in one instant: both are to be seen
            at += 1
        used.add((change.event, at))
        yield Figure(TRANSITION, _tags(alarm, change), fields, at)


def rings_at(history: Sequence[AlarmChange], place: int, latched: bool = False) -> bool:
    """Whether a change calls for a person: not where the same decision has muted it at once, nor where
    late data raised it when it was over already and it does not latch."""
    change = history[place]
    if change.after is not AlarmState.UNACKNOWLEDGED or change.event in _SILENT:
        return False
    if change.before is AlarmState.UNACKNOWLEDGED:
        return False
    same = [c for c in history[place + 1 :] if c.at == change.at]
    if not latched and change.reason == REASON and any(c.event is AlarmEvent.CLEAR for c in same):
        return False
    return not any(c.after in _MUTED for c in same)


def _tags(alarm: Alarm, change: AlarmChange) -> dict[str, str]:
    return {
        "device": alarm.object,
        "event": change.event,
        "priority": str(int(alarm.priority)),
        "rule": alarm.rule,
        "site": alarm.site,
        "state": change.after,
    }


def standing(site: str, opened: Sequence[Alarm], now: Ms) -> Iterator[Figure]:
    """What is open at an instant, for every priority: also where there is none.

    standing: the condition holds and nothing mutes it; stale: so for longer than a day; oldest_s: the age of
    the oldest of these.
    """
    for priority in Priority:
        mine = [a for a in opened if a.priority is priority]
        active = [a for a in mine if a.cleared_at is None and a.state not in _MUTED]
        ages = [max(0, now - a.recorded_at) for a in active]
        fields: dict[str, int | float] = {
            "open": len(mine),
            "standing": len(active),
            "unacknowledged": _in(mine, AlarmState.UNACKNOWLEDGED) + _in(mine, AlarmState.RETURNED),
            "shelved": _in(mine, AlarmState.SHELVED),
            "suppressed": _in(mine, AlarmState.SUPPRESSED),
            "out_of_service": _in(mine, AlarmState.OUT_OF_SERVICE),
            "stale": sum(age > STALE for age in ages),
            "oldest_s": max(ages, default=0) / 1000,
        }
        yield Figure(STANDING, {"priority": str(int(priority)), "site": site}, fields, now)


def _in(alarms: Sequence[Alarm], state: AlarmState) -> int:
    return sum(a.state is state for a in alarms)
