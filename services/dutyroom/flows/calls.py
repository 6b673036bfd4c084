"""Fire, entrapment and gas that come back while their alarm is still open: nobody has reset its latch, or acknowledged it.

The same row and the same work order, and yet another emergency: people are told, and its times run anew. What comes and
goes within minutes is one, unless those who were sent think that it is over. One that comes and goes all night while nobody
answers is told of once in a while and counted; whatever somebody has answered is told of at once when it comes again.
"""

from __future__ import annotations

from dataclasses import replace

from dutyroom import tickets
from dutyroom.alarms import called_anew, spans_of
from dutyroom.flows.episodes import Episode, Work
from dutyroom.flows.escalation import AGAIN, answered, last_told
from dutyroom.flows.places import PREFIX, places_of
from dutyroom.flows.room import Room
from dutyroom.model.duty import Alarm, Arguments, TicketEvent, TicketState
from dutyroom.rules.spec import Rule
from dutyroom.timebase import Ms


def call_again(room: Room, episode: Episode, rule: Rule, before: Alarm, other: bool = False) -> None:
    """People are told that it has come back. before: the alarm as it was until then. other: it says another place than
    before. Of what a device tells at once (it
    was cut off for a while) they are told one time, and not beside the first message."""
    alarm = episode.alarm
    if not rule.vital or alarm.test or episode.stored is None:
        return
    begun = spans_of(alarm)[-1][0]
    work = room.works.get(tickets.cause_of(*episode.key))
    over = _over(before, work)
    if not over and (called_anew(alarm) != begun or (not other and _just_told(room, work, rule, before))):
        return  # it is counted (`alarms.calls`), and told of with the next message
    episode.alarm = replace(alarm, called_at=room.now)
    _tell(room, episode, begun)
    if work is not None:
        attach(room, work, rule)
        episode.work = work


def attach(room: Room, work: Work, rule: Rule) -> None:
    """The work order takes on what has come again; one that is done is not done with it, and nobody is sent."""
    if work.ticket.state is TicketState.DONE:
        room.ticket(work, TicketEvent.REOPEN, "alarm.reason.again")
        due = None if rule.respond_within is None else room.now + rule.respond_within
        work.ticket = replace(work.ticket, respond_by=due)
    else:
        room.ticket(work, TicketEvent.ATTACH, "alarm.reason.again")


def named(arguments: Arguments) -> Arguments:
    """The code that was shown, and what was mentioned with it."""
    return {n: v for n, v in arguments.items() if n == "code" or n.startswith("also.")}


def news(before: Arguments, now: Arguments) -> str:
    """The reason in a history of what is another one now; "" = nothing is."""
    other = [v for n, v in named(now).items() if before.get(n) != v and isinstance(v, int | float)]
    return ":".join(("alarm.reason.other", " · ".join(f"{v:g}" for v in other))) if other else ""


def name_anew(room: Room, episode: Episode, work: Work, each: bool = False, noted: bool = True) -> None:
    """The work order says what its alarm says now, and its history that this is another thing. each: it is of a panel that names
    each place, and keeps those that it has."""
    alarm, ticket = episode.alarm, work.ticket
    reason = news(ticket.arguments, alarm.arguments)
    if not reason:
        return
    if each:
        known = places_of(ticket.arguments)
        places = [place for place in places_of(alarm.arguments) if place and place not in known]
        if not places:
            return
        now = dict(ticket.arguments)
        for number, place in enumerate(places, len(known)):
            now |= {f"{PREFIX}{number:03}.{name}": value for name, value in place.items()}
    else:
        now = {n: v for n, v in ticket.arguments.items() if not n.startswith("also.")}
        now |= {
            n: v
            for n, v in alarm.arguments.items()
            if n in ("code", "value", "limit") or n.startswith("also.")
        }
    work.ticket = replace(ticket, arguments=now)
    if noted:
        room.ticket(work, TicketEvent.NOTE, reason)
    episode.work = work


def _just_told(room: Room, work: Work | None, rule: Rule, before: Alarm) -> bool:
    """Whether people have been told a short time ago, and nobody has answered yet."""
    ticket = work.ticket if work is not None else None
    if answered(ticket, before):
        return False
    return room.now - last_told(ticket, before) < (rule.realarm or AGAIN)


def _over(before: Alarm, work: Work | None) -> bool:
    """Whether those who were told think that it is over: it ended, was disproved, or the work is done since then."""
    if before.disproved or before.ended_at is not None:
        return True
    if work is None:
        return before.ticket is not None  # closed
    done = work.ticket.done_at if work.ticket.state is TicketState.DONE else None
    return done is not None and done >= (before.called_at or before.recorded_at)


def _tell(room: Room, episode: Episode, begun: Ms) -> None:
    room.notices = [n for n in room.notices if n.episode is not episode or not n.what.startswith("again:")]
    room.tell(episode, f"again:{begun}")
