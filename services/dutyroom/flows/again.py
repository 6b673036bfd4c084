"""What sounds again: an alarm that stands acknowledged for too long, or whose cause has become worse."""

from __future__ import annotations

from dataclasses import replace

from dutyroom import tickets
from dutyroom.alarms import following, spans_of
from dutyroom.flows.causes import rule_of
from dutyroom.flows.episodes import Episode
from dutyroom.flows.escalation import answered, last_told, on_site
from dutyroom.flows.places import PREFIX, place_of, places_of
from dutyroom.flows.room import ANNUNCIATED, Room
from dutyroom.flows.ticketing import raise_priority
from dutyroom.model.duty import AlarmEvent, AlarmState, Condition, TicketEvent, TicketState
from dutyroom.rules.spec import Rule
from dutyroom.timebase import Ms

_LISTED = 50  # places that an alarm names
_TOLD = 20  # messages that people get of it, the first one included: a panel that tells of a whole floor is one fire


def realarm(room: Room) -> None:
    """Acknowledged and still there after the time that its rule gives; what is vital also where nobody did that, and its
    work order says that it is seen to."""
    for episode in list(room.open.values()):
        alarm = episode.alarm
        if alarm.state not in ANNUNCIATED or not episode.active or alarm.chattering:
            continue
        rule = rule_of(room, episode)
        since = _seen_to(room, episode, rule) if rule is not None and rule.realarm else None
        if rule is not None and since is not None and room.now - since >= rule.realarm:
            acknowledged = alarm.state is AlarmState.ACKNOWLEDGED
            sound(room, episode, "alarm.reason.stands" if acknowledged else "alarm.reason.stands_seen_to")
            episode.alarm = replace(episode.alarm, sounded_at=room.now)


def _seen_to(room: Room, episode: Episode, rule: Rule) -> Ms | None:
    """Since when somebody is thought to see to it; None = nobody is, and that is told by `escalation`."""
    alarm = episode.alarm
    if alarm.state is AlarmState.ACKNOWLEDGED:
        return alarm.acknowledged_at
    if not rule.vital or alarm.test or alarm.ticket is None:
        return None
    work = room.works.get(tickets.cause_of(*episode.key))
    if work is None:  # closed with a reason while it stood
        return max(last_told(None, alarm), alarm.sounded_at or 0)
    ticket = work.ticket
    if ticket.state is not TicketState.DONE and (on_site(ticket, alarm) or rule.arrive_within):
        return None  # left to those who are there, or `unarrived`
    steps = (ticket.dispatched_at, ticket.accepted_at, ticket.arrived_at, ticket.done_at, alarm.sounded_at)
    told = max(last_told(ticket, alarm), *(at or 0 for at in steps))
    return told if answered(ticket, alarm) else None


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
    figures = {"value": condition.value, "limit": condition.limit}
    said = {n: round(v, 3) for n, v in figures.items() if v is not None} | dict(condition.arguments)
    episode.alarm = replace(
        episode.alarm,
        priority=graver,
        value=condition.value,
        limit=condition.limit,
        arguments={**episode.alarm.arguments, **said},
    )
    work = room.works.get(tickets.cause_of(*episode.key))
    if work is not None:
        work.ticket = replace(work.ticket, arguments={**work.ticket.arguments, **said})
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
    if episode.alarm.ticket_due is not None and episode.alarm.ticket is None:
        return  # the first message is on its way, and names this one too
    if number < _TOLD and all(notice.episode is not episode for notice in room.notices):
        room.tell(episode, f"further:{number}")


def _gone(room: Room, episode: Episode) -> Ms:
    """When the condition had last gone: what was said until then belongs to what is over."""
    same = [e for e in room.recent if e.key == episode.key]
    return max((end for e in (*same, episode) for _, end in spans_of(e.alarm) if end is not None), default=-1)
