"""What sounds again: an alarm that stands acknowledged for too long, or whose cause has become worse."""

from __future__ import annotations

from dataclasses import replace

from dutyroom import tickets
from dutyroom.alarms import following, spans_of
from dutyroom.flows.causes import rule_of
from dutyroom.flows.episodes import Episode
from dutyroom.flows.places import PREFIX, place_of, places_of
from dutyroom.flows.room import Room
from dutyroom.flows.ticketing import raise_priority
from dutyroom.model.duty import AlarmEvent, AlarmState, Condition, TicketEvent
from dutyroom.rules.spec import Rule
from dutyroom.timebase import Ms

_LISTED = 50  # places that an alarm names
_TOLD = 20  # messages that people get of it, the first one included: a panel that tells of a whole floor is one fire


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


def further(room: Room, episode: Episode | None, condition: Condition) -> None:
    """A second detector of a fire whose alarm stands: it sounds again, and alarm and ticket name it."""
    place = place_of(condition.arguments)
    if episode is None or not episode.active or not place or condition.at <= _gone(room, episode):
        return
    known = places_of(episode.alarm.arguments)
    if place in known or len(known) > _LISTED:
        return
    number = len(known) if known[0] else 0
    prefix = f"{PREFIX}{number:03}." if number else "also."
    named = {f"{prefix}{name}": value for name, value in place.items()}
    episode.alarm = replace(episode.alarm, arguments={**episode.alarm.arguments, **named})
    if not number:  # the panel says only now where it burns
        return
    reason = ":".join(("alarm.reason.further", " · ".join(f"{value:g}" for value in place.values())))
    if following(episode.alarm, AlarmEvent.REALARM) is not None:
        room.step(episode, AlarmEvent.REALARM, reason)
    if episode.alarm.test:
        return
    work = room.works.get(tickets.cause_of(*episode.key))
    if work is not None:
        work.ticket = replace(work.ticket, arguments={**work.ticket.arguments, **named})
        room.ticket(work, TicketEvent.ATTACH, reason)
        episode.work = work
    if episode.alarm.ticket_due is not None:
        return  # the first message is on its way, and names this one too
    if number < _TOLD and all(notice.episode is not episode for notice in room.notices):
        room.tell(episode, f"further:{number}")


def _gone(room: Room, episode: Episode) -> Ms:
    """When the condition had last gone: what was said until then belongs to what is over."""
    same = [e for e in room.recent if e.key == episode.key]
    return max((end for e in (*same, episode) for _, end in spans_of(e.alarm) if end is not None), default=-1)
