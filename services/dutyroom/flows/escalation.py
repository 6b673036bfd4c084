"""Fire and entrapment that nobody answers, or where nobody has arrived in time: people are told again, and the ticket says so."""

from __future__ import annotations

from dataclasses import replace

from dutyroom.alarms import called_anew
from dutyroom.flows.causes import rule_of
from dutyroom.flows.episodes import Episode, Work
from dutyroom.flows.room import Room
from dutyroom.interfaces import Tx
from dutyroom.model.duty import Alarm, Ticket, TicketEvent, TicketKind, TicketState
from dutyroom.rules.spec import Rule
from dutyroom.timebase import Ms

_WORKED_ON = (TicketState.OPEN, TicketState.DISPATCHED, TicketState.ACCEPTED)
_REASONS = {"unanswered": "alarm.reason.unanswered", "unarrived": "alarm.reason.unarrived"}


def escalate(room: Room) -> None:
    """Each deadline of a ticket that has passed is told of once."""
    for work in room.works.values():
        episode = _alarm_of(room, work)
        rule = rule_of(room, episode) if episode is not None else None
        if episode is None or rule is None:
            continue
        told, anew = work.ticket.escalated_at, _anew(work.ticket, episode.alarm)
        late = [(due, what) for due, what in deadlines(work.ticket, episode.alarm, rule) if due <= room.now]
        news = [what for due, what in late if told is None or told < due]
        if news:
            room.ticket(work, TicketEvent.NOTE, _REASONS[news[-1]])
            work.ticket = replace(work.ticket, escalated_at=room.now)
            episode.work = work
            if all(notice.episode is not episode for notice in room.notices):  # else it sounds already
                room.tell(episode, news[-1] if anew is None else f"{news[-1]}:{anew}")


def _alarm_of(room: Room, work: Work) -> Episode | None:
    """The alarm of a ticket which somebody ought to be working on: the one that stands, else the one that opened it."""
    ticket = work.ticket
    if ticket.kind is not TicketKind.ALARM or not ticket.id:
        return None
    rule, _, about = ticket.cause.partition("|")
    episode = room.open.get((rule, about))
    if episode is None or episode.alarm.ticket != ticket.id:
        episode = room.by_id.get(ticket.alarm or 0)
    return episode


def alarm_of(tx: Tx, ticket: Ticket) -> Alarm | None:
    """The same for who looks at a ticket."""
    if ticket.kind is not TicketKind.ALARM:
        return None
    rule, _, about = ticket.cause.partition("|")
    standing = tx.alarms.search(ticket.site, object=about, ended=False)
    first = tx.alarms.get(ticket.site, ticket.alarm) if ticket.alarm is not None else None
    return next((a for a in standing if a.rule == rule and a.ticket == ticket.id), first)


def _anew(ticket: Ticket, alarm: Alarm) -> Ms | None:
    """When the emergency came that a ticket of an earlier one has taken on; None = it is the one that opened it."""
    again = called_anew(alarm)
    if again is not None:
        return max(again, alarm.recorded_at)
    return None if alarm.id == ticket.alarm else alarm.recorded_at


def _asked(ticket: Ticket, alarm: Alarm, anew: Ms | None) -> bool:
    """Whether somebody ought to be working on it: on no test, and what is done was done for the time before."""
    done = ticket.state is TicketState.DONE and anew is not None and (ticket.done_at or 0) < anew
    return not alarm.test and (done or ticket.state in _WORKED_ON)


def deadlines(ticket: Ticket, alarm: Alarm, rule: Rule) -> list[tuple[Ms, str]]:
    """(when, what is late then), as far as nobody has met it; the earliest first. alarm: the ticket's that stands, else
    the one that opened it."""
    found, anew = [], _anew(ticket, alarm)
    active = alarm.cleared_at is None and alarm.ended_at is None
    if not _asked(ticket, alarm, anew) or not (active or alarm.latched):
        return []
    since, answer_by = ticket.opened_at, ticket.respond_by
    if anew is not None:  # who answered before was not asked of this
        since, answer_by = anew, None if rule.respond_within is None else anew + rule.respond_within
    steps = [at for at in (ticket.dispatched_at, ticket.accepted_at) if at is not None and at >= since]
    vital = alarm.latched  # fire and entrapment; else one message per person and cause is enough
    if vital and answer_by is not None and not steps and alarm.acknowledged_at is None:
        found.append((answer_by, "unanswered"))
    arrived = ticket.arrived_at is not None and ticket.arrived_at >= since
    if rule.arrive_within is not None and not arrived and active:
        found.append((since + rule.arrive_within, "unarrived"))
    return sorted(found)
