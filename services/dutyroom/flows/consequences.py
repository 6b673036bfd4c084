"""What an alarm wants looked at, beside its ticket: lists of devices, and the steps that must follow."""

from __future__ import annotations

from dutyroom.flows.checklist import backs, begun, known_state, list_of, said_by, step_of, steps_of
from dutyroom.flows.episodes import Step
from dutyroom.flows.room import ANNUNCIATED, Room
from dutyroom.model.duty import AlarmEvent, CheckState, Condition

_NEWS = (AlarmEvent.RAISE, AlarmEvent.UNSUPPRESS)


def make_lists(room: Room) -> None:
    """Of alarms that stand on their own from now on, and of those that people are told of now: as it is known.

    The steps are followed from the beginning, also while a planned outage or a root keeps the alarm quiet: what is
    done by then is never told again."""
    told = {id(notice.episode) for notice in room.notices}
    alarms = [e.alarm for e in room.open.values()] if told or room.all else []
    for episode in room.all:
        rule = room.context.rules.get(episode.alarm.rule)
        news = any(change.event in _NEWS for change in episode.changes) or id(episode) in told
        if rule is None or not news or not episode.active:
            continue
        alone = episode.alarm.state in ANNUNCIATED

        def state(device: str, since: int = begun(episode.alarm)) -> CheckState:
            return known_state(device, alarms, room.context.rules, room.context.heard(device), since)

        found = room.context.devices, room.context.topology
        listed = list_of(episode.alarm, rule.checks, *found, state, room.now) if rule.checks and alone else ()
        steps = steps_of(episode.alarm, room.context.rules, *found, room.now)
        episode.checks = (*listed, *steps)


def follow_step(room: Room, condition: Condition) -> None:
    """A step that is late, or done, on the lists of all alarms that await it."""
    rule, told = room.context.rules.get(condition.rule), step_of(condition)
    host = room.context.devices.get(condition.object)
    if rule is None or told is None or host is None or rule.kind != "sequence":
        return
    after = rule.parameters.get("after")
    every = (*room.open.values(), *room.recent)
    known = room.context.devices, room.context.topology
    awaiting = [
        e
        for e in every
        if after in said_by(e.alarm, room.context.rules, known[0]) and backs(host, e.alarm.object, *known)
    ]
    room.steps.append(Step(tuple(awaiting), condition.object, *told))
