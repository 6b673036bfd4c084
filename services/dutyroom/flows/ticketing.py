"""When an alarm is told of, and the ticket of its cause."""

from __future__ import annotations

from dataclasses import replace

from dutyroom import tickets
from dutyroom.alarms import called_anew, spans_of
from dutyroom.flows.backlog import unfinished, unspoken
from dutyroom.flows.calls import attach, name_anew
from dutyroom.flows.causes import may_have_root, objects, root_of, rule_of
from dutyroom.flows.episodes import Episode, Work, known_since
from dutyroom.flows.inferred import GUESS, over
from dutyroom.flows.neighbours import missed_again, reports_loss
from dutyroom.flows.room import ANNUNCIATED, WORKED, Room
from dutyroom.flows.standby import hold_back
from dutyroom.flows.switching import OFTEN, STEP, switched
from dutyroom.model.duty import SYSTEM, Priority, Ticket, TicketEvent, TicketState
from dutyroom.rules.spec import Rule
from dutyroom.timebase import HOUR, MINUTE, Ms

TOLD = "told"  # argument of an alarm whose ticket went to what explained it
LATELY: Ms = HOUR  # for so long after its end an alarm's ticket takes what is the same cause, grown worse
JOINED: Ms = 12 * HOUR  # and for so long after it was opened: who took it days ago has to hear of this anew


def announce(room: Room, episode: Episode, rule: Rule) -> None:
    """When its ticket and message are due: at once where nothing can explain it. The ticket
    itself opens when all is grouped, so that what is explained already never has one."""
    wait = rule.wait if may_have_root(room, rule, episode.alarm.object) else 0
    if reports_loss(rule) and switched(room, episode.alarm.object):
        wait = max(wait, STEP)
    if rule.ticket.after is None:
        if episode.alarm.priority <= Priority.HIGH:
            room.tell(episode)
        return
    after = 0 if recurs(room, episode, rule) else rule.ticket.after
    episode.alarm = replace(episode.alarm, ticket_due=room.now + max(after, wait))


def recurs(room: Room, episode: Episode, rule: Rule) -> bool:
    """Whether what belongs to fire protection, and has a ticket where it stands for a while only, is there for the third time
    within an hour: a loose terminal is work, however short each time was. What another one has as well at that time is none."""
    if not (rule.fire and rule.ticket.after):
        return False
    lately = [begun for begun, _ in spans_of(episode.alarm) if begun > room.now - HOUR]
    if len(lately) < OFTEN:
        return False
    others = (
        e for e in (*room.open.values(), *room.recent) if e.alarm.rule == rule.id and e.key != episode.key
    )
    theirs = [begun for e in others for begun, _ in spans_of(e.alarm)]
    return sum(all(abs(begun - at) > MINUTE for at in theirs) for begun in lately) >= OFTEN


def announce_restored(room: Room) -> None:
    """What stands again without a ticket, back from a shelf or from service: as if it were new."""
    for episode in list(room.open.values()):
        alarm, announced = episode.alarm, episode.work is not None
        if alarm.state not in ANNUNCIATED or announced or alarm.ticket is not None:
            continue
        if alarm.ticket_due is not None or not episode.active or alarm.test:
            continue
        rule = rule_of(room, episode)
        if rule is not None and rule.ticket.after is not None:
            announce(room, episode, rule)


def open_due(room: Room) -> None:
    """Tickets whose wait is over and that nothing explains."""
    dead: dict[str, dict[str, Episode]] = {}
    for episode in list(room.open.values()):
        if episode.alarm.ticket_due is not None and (late := rule_of(room, episode)) is not None:
            hold_back(room, episode, late)
        due = episode.alarm.ticket_due
        if due is None or due > room.now or episode.alarm.state not in WORKED:
            continue
        rule = rule_of(room, episode)
        if not episode.active and root_of(room, episode, dead) is not None:
            episode.alarm = replace(episode.alarm, ticket_due=None)
        elif rule is None or not _waits(room, episode, rule):
            _open_ticket(room, episode)


def _waits(room: Room, episode: Episode, rule: Rule) -> bool:
    """Whether it is not told yet though it is due: its end may be under way, or nobody knows whether it stands."""
    return unfinished(room, episode, rule) or unspoken(room, episode, rule) or _speaks(room, episode)


def _speaks(room: Room, episode: Episode) -> bool:
    """Whether a feed that was inferred to be dead has just spoken: within half a minute it is over, or the feed says so itself."""
    alarm = episode.alarm
    guessed = episode.active and alarm.arguments.get(GUESS) == "power"
    spoke = (room.context.heard(alarm.object) or 0) > known_since(alarm)
    return guessed and spoke and not missed_again(room, alarm.object)


def _open_ticket(room: Room, episode: Episode) -> None:
    """Opens the ticket of its cause, or attaches the episode to the one that is open."""
    episode.alarm = replace(episode.alarm, ticket_due=None)
    rule = rule_of(room, episode)
    if rule is None:
        return
    if episode.alarm.test:
        _join_test(room, episode)
        return
    cause = tickets.cause_of(*episode.key)
    work = room.works.get(cause)
    anew = None if rule.vital else called_anew(episode.alarm)  # what is vital has been told already
    if anew is None and not rule.vital and episode.alarm.ticket is not None:
        anew = _after_its_work(episode, work)
    what = "raised" if anew is None else f"again:{anew}"  # the same row was told of before
    if work is None and (joined := _joined(room, episode, rule)):
        if episode.alarm.ticket != joined.ticket.id:
            raise_priority(room, joined, episode.alarm.priority, "alarm.reason.joined")
            room.tell(episode)
        work = joined
    elif work is None and (begun := _begun_as(room, episode, rule)):
        hand_over(room, begun, episode)
        work = begun
    elif work is None:
        ticket = tickets.for_alarm(episode.alarm, _within(rule, episode), room.now)
        work = Work(ticket, origin=episode)
        work.changes.append(tickets.opening(ticket, room.now, SYSTEM))
        room.works[cause] = work
        room.tell(episode, f"again:{room.now}" if anew is None and TOLD in episode.alarm.arguments else what)
    elif episode.alarm.ticket != work.ticket.id:
        name_anew(room, episode, work, rule.each_place)
        # Who has done the work thinks that it is over.
        if rule.priority == Priority.EMERGENCY or work.ticket.state is TicketState.DONE:
            room.tell(episode)
        attach(room, work, rule)
    elif anew is not None and (rule.priority == Priority.EMERGENCY or work.ticket.state is TicketState.DONE):
        room.tell(episode, what)
        attach(room, work, rule)
    episode.work = work


def _after_its_work(episode: Episode, work: Work | None) -> Ms | None:
    """When it came back within minutes after its work order was done or closed: those who were told think it is over."""
    over = work is None or work.ticket.state is TicketState.DONE
    return spans_of(episode.alarm)[-1][0] if over else None


def _within(rule: Rule, episode: Episode) -> Ms | None:
    """How soon it is to be answered: sooner where it is graver than its rule usually is."""
    usual = tickets.RESPOND[episode.alarm.priority]
    if episode.alarm.priority >= rule.priority or usual is None:
        return rule.respond_within
    return usual if rule.respond_within is None else min(rule.respond_within, usual)


def _work_of(room: Room, rule: str, object: str) -> Work | None:
    """The ticket of an alarm: of its own cause, or that which it has joined itself."""
    work = room.works.get(tickets.cause_of(rule, object))
    if work is not None:
        return work
    of = {e.alarm.ticket for e in (*room.open.values(), *room.recent) if e.key == (rule, object)} - {None}
    return next((work for work in room.works.values() if work.ticket.id in of), None) if of else None


def _joined(room: Room, episode: Episode, rule: Rule) -> Work | None:
    """The open ticket of a milder alarm of the same cause: one that stands, or did until lately, whose work is not done, and that
    nobody has taken but lately."""
    for cause in rule.joins:
        for object in objects(room, cause, episode.alarm.object):
            work = _work_of(room, cause.rule, object)
            if (
                work is not None
                and work.ticket.state is not TicketState.DONE
                and _nobodys(room, work.ticket, cause.within or JOINED)
                and _lately(room, cause.rule, object)
            ):
                return work
    return None


def _begun_as(room: Room, episode: Episode, rule: Rule) -> Work | None:
    """The order of what was the beginning of an emergency, and is over: a fault that clears, and a minute later people ring. Of what
    stands it is taken over where that is grouped."""
    for other in room.context.rules.values() if rule.vital else ():
        earlier = max((c.earlier for c in other.explained_by if c.rule == rule.id), default=0)
        work = room.works.get(tickets.cause_of(other.id, episode.alarm.object)) if earlier else None
        if work is None or work.ticket.state is TicketState.DONE:
            continue
        if work.ticket.opened_at >= room.now - earlier:
            return work
    return None


def _nobodys(room: Room, ticket: Ticket, lately: Ms) -> bool:
    """Whether somebody will look at it anew."""
    return ticket.state is TicketState.OPEN or room.now - ticket.opened_at <= lately


def _lately(room: Room, rule: str, object: str) -> bool:
    alarms = [e.alarm for e in (*room.open.values(), *room.recent) if e.key == (rule, object)]
    ends = [over(alarm) for alarm in alarms]
    return any(end is None or room.now - end < LATELY for end in ends)


def _join_test(room: Room, episode: Episode) -> None:
    """A test has one ticket and one message per person, whatever it raises; closed, it is not opened again."""
    cause = f"test|{episode.alarm.announced}"
    work = room.works.get(cause)
    if work is not None and episode.alarm.ticket != work.ticket.id:
        room.ticket(work, TicketEvent.ATTACH, "alarm.reason.test")
        episode.work = work
    room.tell(episode, cause=cause)


def raise_priority(room: Room, work: Work, priority: Priority, reason: str) -> None:
    """A further alarm of a ticket's cause: it is as urgent as the gravest."""
    room.ticket(work, TicketEvent.ATTACH, reason)
    if priority < work.ticket.priority:
        due = _sooner(room, work.ticket, tickets.RESPOND[priority])
        work.ticket = replace(work.ticket, priority=priority, respond_by=due)


def _sooner(room: Room, ticket: Ticket, within: Ms | None) -> Ms | None:
    """By when a ticket that is graver now is to be answered; what has run out already begins anew."""
    due = None if within is None else room.now + within
    if due is not None and ticket.respond_by is not None and ticket.respond_by >= room.now:
        return min(due, ticket.respond_by)
    return due


def hand_over(room: Room, work: Work, root: Episode) -> None:
    """The ticket of a consequence becomes that of its cause, which is known only now. People who were
    told of something less grave are told again, and it is to be answered as soon as its cause wants."""
    told, ticket, rule = work.ticket.priority, work.ticket, rule_of(room, root)
    del room.works[ticket.cause]
    room.ticket(work, TicketEvent.NOTE, "alarm.reason.cause_found")
    alarm = root.alarm
    work.ticket = replace(
        work.ticket,
        cause=tickets.cause_of(*root.key),
        key=alarm.key,
        arguments=alarm.arguments,
        object=alarm.object,
        space=alarm.space,
        priority=min(told, alarm.priority),
    )
    work.origin = root
    root.work = room.works[work.ticket.cause] = work
    root.alarm = replace(alarm, ticket_due=None)
    vital = rule is not None and rule.vital
    if vital:  # who answered before was not asked of this
        root.alarm = replace(root.alarm, called_at=room.now)
    if alarm.priority < told or vital:
        within = tickets.RESPOND[alarm.priority] if rule is None else _within(rule, root)
        anew = room.now + within if vital and within is not None else None
        work.ticket = replace(work.ticket, respond_by=anew or _sooner(room, work.ticket, within))
        room.tell(root)
