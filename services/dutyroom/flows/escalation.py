"""Fire and entrapment that nobody answers, or where nobody has arrived in time: people are told again, and the ticket says so."""

from __future__ import annotations

from dataclasses import replace

from dutyroom.flows.causes import rule_of
from dutyroom.flows.episodes import Episode, Work
from dutyroom.flows.room import Room
from dutyroom.interfaces import Tx
from dutyroom.model.duty import Alarm, Ticket, TicketEvent, TicketKind, TicketState
from dutyroom.rules.spec import Rule
from dutyroom.timebase import MINUTE, Ms

_WORKED_ON = (TicketState.OPEN, TicketState.DISPATCHED, TicketState.ACCEPTED)
AGAIN: Ms = (
    30 * MINUTE
)  # as soon as that what nobody has answered is told again, where its rule does not say it
_REASONS = {"unanswered": "alarm.reason.unanswered", "unarrived": "alarm.reason.unarrived"}


def escalate(room: Room) -> None:
    """Each deadline of a ticket that has passed is told of once, and again after a while as long as it stands so."""
    for work in room.works.values():
        episode = _alarm_of(room, work)
        rule = rule_of(room, episode) if episode is not None else None
        if episode is None or rule is None:
            continue
        alarm, told = episode.alarm, work.ticket.escalated_at
        late = [(due, what) for due, what in deadlines(work.ticket, alarm, rule) if due <= room.now]
        news = [(due, what) for due, what in late if told is None or told < due]
        still = not news and bool(late) and episode.active and _long_ago(room, work.ticket, alarm, rule)
        if not news and not still:
            continue
        due, what = (news or late)[-1]
        room.ticket(work, TicketEvent.NOTE, _REASONS[what])
        work.ticket = replace(work.ticket, escalated_at=room.now)
        episode.work = work
        if all(notice.episode is not episode for notice in room.notices):  # else it sounds already
            room.tell(episode, f"{what}:{due if news else room.now}")


def last_told(ticket: Ticket | None, alarm: Alarm) -> Ms:
    """When people were told of an alarm's newest emergency, or that nobody has answered it."""
    late = ticket.escalated_at if ticket is not None else None
    return max(alarm.called_at or alarm.recorded_at, late or 0)


def _long_ago(room: Room, ticket: Ticket, alarm: Alarm, rule: Rule) -> bool:
    told = max(last_told(ticket, alarm), alarm.sounded_at or 0)
    return room.now - told >= (rule.realarm or AGAIN)


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


def _since(ticket: Ticket, alarm: Alarm) -> Ms:
    """When people could know of the emergency that stands (by our own clock: what comes late must be answered from
    then on): when the ticket opened, or later where it has taken on another one."""
    if alarm.called_at is not None:
        return alarm.called_at
    return ticket.opened_at if alarm.id in (0, ticket.alarm) else alarm.recorded_at


def asked(ticket: Ticket, alarm: Alarm) -> Ms:
    """From when on somebody has to answer: it has come, or has sounded again after an acknowledgement."""
    return max(_since(ticket, alarm), alarm.sounded_at or 0)


def answered(ticket: Ticket | None, alarm: Alarm) -> bool:
    """Whether somebody has acknowledged an emergency, or was sent for it and has not been done with it before it
    sounded again."""
    if ticket is None or alarm.acknowledged_at is not None:
        return alarm.acknowledged_at is not None
    since = _since(ticket, alarm)
    if ticket.done_at is not None and ticket.done_at < asked(ticket, alarm):
        since = asked(ticket, alarm)
    steps = (ticket.dispatched_at, ticket.accepted_at, ticket.arrived_at, ticket.done_at)
    return any(at is not None and at >= since for at in steps)


def on_site(ticket: Ticket, alarm: Alarm) -> bool:
    """Whether somebody came for the emergency that stands; who came for an earlier one did not."""
    return ticket.arrived_at is not None and ticket.arrived_at >= _since(ticket, alarm)


def _wanted(ticket: Ticket, alarm: Alarm) -> bool:
    """Whether somebody ought to be working on it: on no test, and what is done was done for the time before."""
    done = ticket.state is TicketState.DONE and (ticket.done_at or 0) < asked(ticket, alarm)
    return not alarm.test and (done or ticket.state in _WORKED_ON)


def deadlines(ticket: Ticket, alarm: Alarm, rule: Rule) -> list[tuple[Ms, str]]:
    """(when, what is late then), as far as nobody has met it; the earliest first. alarm: the ticket's that stands, else
    the one that opened it."""
    found = []
    active = alarm.cleared_at is None and alarm.ended_at is None
    if not _wanted(ticket, alarm) or not (active or alarm.latched):
        return []
    since, begun = _since(ticket, alarm), asked(ticket, alarm)
    answer_by = ticket.respond_by
    if begun != ticket.opened_at:  # who answered before was not asked of this
        answer_by = None if rule.respond_within is None else begun + rule.respond_within
    # Fire and entrapment; else one message per person and cause is enough.
    if alarm.latched and answer_by is not None and not answered(ticket, alarm):
        found.append((answer_by, "unanswered"))
    if rule.arrive_within is not None and active and not on_site(ticket, alarm):
        found.append((since + rule.arrive_within, "unarrived"))
    return sorted(found)
