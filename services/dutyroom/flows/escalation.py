"""Fire and entrapment that nobody answers, or where nobody has arrived in time: people are told again, and the ticket says so."""

from __future__ import annotations

from dataclasses import replace

from dutyroom.flows.causes import rule_of
from dutyroom.flows.episodes import Episode, Work
from dutyroom.flows.room import Room
from dutyroom.model.duty import TicketEvent, TicketKind, TicketState
from dutyroom.rules.spec import Rule
from dutyroom.timebase import Ms

_WORKED_ON = (TicketState.OPEN, TicketState.DISPATCHED, TicketState.ACCEPTED)
_REASONS = {"unanswered": "alarm.reason.unanswered", "unarrived": "alarm.reason.unarrived"}


def escalate(room: Room) -> None:
    """Each deadline of a ticket that has passed is told of once."""
    for work in room.works.values():
        episode = _alarm_of(room, work)
        rule = rule_of(room, episode) if episode is not None else None
        if episode is None or rule is None or not (episode.active or episode.alarm.latched):
            continue
        told = work.ticket.escalated_at
        late = [(due, what) for due, what in deadlines(work, episode, rule) if due <= room.now]
        news = [what for due, what in late if told is None or told < due]
        if news:
            room.ticket(work, TicketEvent.NOTE, _REASONS[news[-1]])
            work.ticket = replace(work.ticket, escalated_at=room.now)
            episode.work = work
            if all(notice.episode is not episode for notice in room.notices):  # else it sounds already
                room.tell(episode, news[-1])


def _alarm_of(room: Room, work: Work) -> Episode | None:
    """The alarm that opened a ticket which somebody ought to be working on; None of a test."""
    ticket = work.ticket
    if ticket.kind is not TicketKind.ALARM or ticket.state not in _WORKED_ON or not ticket.id:
        return None
    episode = room.by_id.get(ticket.alarm or 0)
    return episode if episode is not None and not episode.alarm.test else None


def deadlines(work: Work, episode: Episode, rule: Rule) -> list[tuple[Ms, str]]:
    """(when, what is late then), as far as nobody has met it; the earliest first."""
    ticket, found = work.ticket, []
    answered = ticket.dispatched_at or ticket.accepted_at or episode.alarm.acknowledged_at
    vital = episode.alarm.latched  # fire and entrapment; else one message per person and cause is enough
    if vital and ticket.respond_by is not None and not answered:
        found.append((ticket.respond_by, "unanswered"))
    if rule.arrive_within is not None and ticket.arrived_at is None and episode.active:
        found.append((ticket.opened_at + rule.arrive_within, "unarrived"))
    return sorted(found)
