"""What sounds again: an alarm that stands acknowledged for too long, or whose cause has become worse."""

from __future__ import annotations

from dataclasses import replace

from dutyroom import tickets
from dutyroom.alarms import following
from dutyroom.flows.causes import rule_of
from dutyroom.flows.episodes import Episode
from dutyroom.flows.room import Room
from dutyroom.flows.ticketing import raise_priority
from dutyroom.model.duty import AlarmEvent, AlarmState, Condition
from dutyroom.rules.spec import Rule


def realarm(room: Room) -> None:
    """Acknowledged and still there after the time that its rule gives."""
    for episode in list(room.open.values()):
        alarm = episode.alarm
        if alarm.state is not AlarmState.ACKNOWLEDGED or not episode.active or alarm.chattering:
            continue
        rule = rule_of(room, episode)
        since = alarm.acknowledged_at
        if rule is not None and rule.realarm and since is not None and room.now - since >= rule.realarm:
            sound(room, episode, "alarm.reason.stands")


def sound(room: Room, episode: Episode, reason: str) -> None:
    """Calls for a person again, and tells people, where the state allows it."""
    if following(episode.alarm, AlarmEvent.REALARM) is not None:
        room.step(episode, AlarmEvent.REALARM, reason)
        room.tell(episode, f"again:{room.now}")


def worse(room: Room, episode: Episode, rule: Rule, condition: Condition) -> None:
    """What stands says a graver cause now: a leak that has become a burst. Its ticket is more urgent."""
    graver = rule.priority_of(condition)
    if graver >= episode.alarm.priority:
        return
    episode.alarm = replace(
        episode.alarm,
        priority=graver,
        value=condition.value,
        limit=condition.limit,
        arguments={**episode.alarm.arguments, **condition.arguments},
    )
    work = room.works.get(tickets.cause_of(*episode.key))
    if work is not None:
        raise_priority(room, work, graver, "alarm.reason.worse")
        episode.work = work
    sound(room, episode, "alarm.reason.worse")
