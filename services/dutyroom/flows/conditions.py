"""What the rules say, taken into the alarms: raised, cleared, withdrawn."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from dutyroom import tickets
from dutyroom.alarms import spans_of
from dutyroom.flows.again import further, worse
from dutyroom.flows.announced import as_test, began_in
from dutyroom.flows.backlog import unheard
from dutyroom.flows.calls import call_again, name_anew, news
from dutyroom.flows.codes import ANOTHER
from dutyroom.flows.episodes import Episode, Key, Work
from dutyroom.flows.inferred import cuts, kept
from dutyroom.flows.neighbours import ROOT_LATENESS, reports_loss
from dutyroom.flows.places import MERELY
from dutyroom.flows.room import Room
from dutyroom.flows.switching import one_step
from dutyroom.flows.ticketing import announce, raise_priority, recurs
from dutyroom.model.duty import (
    Alarm,
    AlarmEvent,
    AlarmState,
    Arguments,
    Condition,
    Device,
    Priority,
    TicketState,
)
from dutyroom.rules.behind import BEHIND, renewed
from dutyroom.rules.spec import Rule
from dutyroom.timebase import HOUR, MINUTE, Ms

_SAID_AT = "said_at"  # argument of an alarm: when its history was told last that it says another thing
_NOTED: Ms = 10 * MINUTE  # a code that flickers is noted as seldom as this
OWN = "own"  # argument of an alarm that was inferred, and that its own rule raises as well
LATE: Ms = HOUR  # an alarm recorded this long after it happened is marked late


def withdraw(room: Room, gone: Collection[Key]) -> None:
    """Closes the alarms of rules and devices that are gone; their tickets stay for a person. Of a latched one nobody watches the
    condition any more: a person resets it, as ever."""
    for key in gone:
        episode = room.open.get(key)
        if episode is None:
            continue
        if not episode.alarm.latched:
            room.step(episode, AlarmEvent.WITHDRAW, "alarm.reason.withdrawn")
        elif episode.active:
            room.step(episode, AlarmEvent.CLEAR, "alarm.reason.withdrawn")


def apply(room: Room, condition: Condition) -> None:
    """Raising what is open and clearing what is not changes nothing."""
    rule = room.context.rules.get(condition.rule)
    episode = room.open.get((condition.rule, condition.object))
    if rule is None:
        return
    if MERELY in condition.arguments:
        further(room, episode, condition)
    elif ANOTHER in condition.arguments:
        _another(room, episode, rule, condition)
    elif not condition.active:
        if episode is None or not episode.active:
            return
        if episode.guessed and episode.alarm.arguments.get(OWN):  # that is over, not what was inferred
            episode.alarm = replace(episode.alarm, arguments=_unsaid(episode.alarm.arguments))
        else:
            clear(room, episode, rule, condition.at)
    elif episode is None or not episode.active:
        raise_alarm(room, rule, condition)
    else:
        worse(room, episode, rule, condition)
        if episode.guessed and "inferred" not in condition.arguments:  # its device says so by now, too
            episode.alarm = replace(episode.alarm, arguments={**episode.alarm.arguments, OWN: True})
        if BEHIND in condition.arguments:
            told = renewed(episode.alarm.arguments, condition.arguments)
            episode.alarm = replace(episode.alarm, arguments=told)


def raise_alarm(room: Room, rule: Rule, condition: Condition) -> None:
    """A new episode, or the open one again whose condition had gone."""
    episode = room.open.get((rule.id, condition.object))
    if episode is None:
        episode = Episode(as_test(room, rule, fresh(room, rule, condition)))
        room.all.append(episode)
        room.open[episode.key] = episode
        other = False
    else:
        other = _anew(room, episode, rule, condition)
    before = episode.alarm
    room.step(episode, AlarmEvent.RAISE, at=condition.at)
    quiet = episode.alarm.chattering and not recurs(room, episode, rule)
    if episode.alarm.state is AlarmState.UNACKNOWLEDGED and not quiet:
        # What others show of a feed is not the word of its instrument.
        if (
            condition.object in room.context.out
            and not rule.latched
            and "inferred" not in condition.arguments
        ):
            room.step(episode, AlarmEvent.REMOVE, "alarm.reason.out_of_service")
        else:
            announce(room, episode, rule)
            due = episode.alarm.ticket_due
            if due is not None and _told_before(room, episode, rule):
                # Its end may come with the next message.
                episode.alarm = replace(episode.alarm, ticket_due=max(due, room.now + rule.wait))
            call_again(room, episode, rule, before, other)


def _anew(room: Room, episode: Episode, rule: Rule, condition: Condition) -> bool:
    """Whether its device says another thing this time. An alarm that had gone is raised again: what hung on it the time before has come back. Whether its device says so or
    topology infers it may be another thing this time, and with it how grave it is and what ends it."""
    hanging = (
        sum(e.root is episode and not e.guessed for e in room.open.values()) if episode.alarm.affected else 0
    )
    # What its own rule said the time before is over: it says it again where it is so.
    known = _unsaid(episode.alarm.arguments)
    episode.alarm = replace(episode.alarm, affected=hanging, arguments=known)
    if episode.guessed == ("inferred" in condition.arguments):
        return _said_now(room, episode, rule, condition)
    now = fresh(room, rule, condition)
    told = {**now.arguments, **kept(episode.alarm, room.now)}
    episode.alarm = replace(episode.alarm, priority=now.priority, key=now.key, arguments=told)
    work = room.works.get(tickets.cause_of(*episode.key))
    if work is not None and now.priority < work.ticket.priority:
        raise_priority(room, work, now.priority, "alarm.reason.worse")
        episode.work = work
    return False


def _another(room: Room, episode: Episode | None, rule: Rule, condition: Condition) -> None:
    """Its device shows another code while it stands, and perhaps another floor."""
    if episode is None or not episode.active or condition.at <= spans_of(episode.alarm)[-1][0]:
        return
    said = {n: v for n, v in condition.arguments.items() if n != ANOTHER}
    if said["code"] != episode.alarm.arguments.get("code"):
        _said_now(room, episode, rule, replace(condition, arguments=said))


def _said_now(room: Room, episode: Episode, rule: Rule, condition: Condition) -> bool:
    """What its device says this time: people are trapped at another floor, another fault is shown, a leak has become a burst. Ticket
    and history name it too. The further places of a panel are added to the first one: see `further`."""
    if "inferred" in condition.arguments or BEHIND in condition.arguments:
        return False
    places = rule.each_place
    new = {n: v for n, v in condition.arguments.items() if not (places and n.startswith("also."))}
    before = episode.alarm.arguments
    old = {n: v for n, v in before.items() if places or not n.startswith("also.")}
    figures = {n: v for n, v in _arguments(rule, condition, None).items() if n in ("value", "limit")}
    episode.alarm = replace(
        episode.alarm, value=condition.value, limit=condition.limit, arguments={**old, **figures, **new}
    )
    work = room.works.get(tickets.cause_of(*episode.key))
    if work is not None and work.ticket.id != episode.alarm.ticket:
        work = None
    if (graver := rule.priority_of(condition)) < episode.alarm.priority:
        episode.alarm = replace(episode.alarm, priority=graver)
        if work is not None:
            work.ticket = replace(work.ticket, arguments={**work.ticket.arguments, **figures, **new})
            _graver(room, episode, work, graver)
    if not (reason := news(before, new)):
        return False
    said = before.get(_SAID_AT)
    noted = not episode.alarm.chattering and not (isinstance(said, int) and room.now - said < _NOTED)
    if noted:
        arguments = {**episode.alarm.arguments, _SAID_AT: room.now}
        episode.alarm = replace(episode.alarm, arguments=arguments)
        room.step(episode, AlarmEvent.NOTE, reason)
    if work is not None:
        name_anew(room, episode, work, noted=noted)
    return True


def _graver(room: Room, episode: Episode, work: Work, priority: Priority) -> None:
    """What comes back is graver than it was; what stands and becomes so: see `worse`."""
    raise_priority(room, work, priority, "alarm.reason.worse")
    episode.work = work
    if work.ticket.state is not TicketState.DONE:  # else it is told of as what comes back
        room.tell(episode, f"again:{room.now}")


def _unsaid(arguments: Arguments) -> Arguments:
    return {name: value for name, value in arguments.items() if name != OWN}


def clear(room: Room, episode: Episode, rule: Rule, at: Ms, reason: str = "") -> None:
    """A ticket that is due while the condition stands is off; one that only waits for a root
    is not: `ticket: now` means that the work is wanted though the condition has gone.
    That of a cut which was told already is off as well, of what was over before anybody could hear of it, of what a planned
    outage brought that was over just before, and of the step that a transfer switch made."""
    told = _told_before(room, episode, rule) or unheard(room, episode, rule, at)
    passing = rule.ticket.after and not recurs(room, episode, rule)
    if passing or told or began_in(room, episode.alarm, rule) or one_step(room, episode, rule, at):
        episode.alarm = replace(episode.alarm, ticket_due=None)
    room.step(episode, AlarmEvent.CLEAR, reason, at)


def _told_before(room: Room, episode: Episode, rule: Rule) -> bool:
    """Whether a loss of power was told already as a cut that was inferred there and is over: its device says so only now, out
    of what a gateway has kept."""
    begin, device = spans_of(episode.alarm)[-1][0], episode.alarm.object
    if not reports_loss(rule):
        return False
    others = (
        e.alarm for e in (*room.open.values(), *room.recent) if e.alarm.object == device and e is not episode
    )
    spans = [(a, b) for alarm in others for a, b in cuts(alarm) if b is not None]
    return any(a - ROOT_LATENESS <= begin < b for a, b in spans)


def fresh(room: Room, rule: Rule, condition: Condition) -> Alarm:
    """The row of an alarm before its first event."""
    device = room.context.devices.get(condition.object)
    return Alarm(
        id=0,
        site=room.context.site,
        rule=rule.id,
        rule_version=rule.version,
        object=condition.object,
        space=device.space if device else "",
        episode=f"{rule.id}|{condition.object}|{condition.at}-{room.now}",
        state=AlarmState.NORMAL,
        priority=rule.priority_of(condition),
        latched=rule.latched,
        raised_at=condition.at,
        recorded_at=room.now,
        point=condition.point,
        value=condition.value,
        limit=condition.limit,
        unit=condition.unit,
        key=_message(rule, condition),
        arguments=_arguments(rule, condition, device),
        late=room.now - condition.at > LATE,
    )


def _message(rule: Rule, condition: Condition) -> str:
    """The key of its text: of the rule where it is shipped, of its kind where a site wrote it."""
    if "inferred" in condition.arguments:
        return "alarm.inferred"
    return f"alarm.{rule.id}" if rule.shipped else f"alarm.kind.{rule.kind}"


def _arguments(rule: Rule, condition: Condition, device: Device | None) -> Arguments:
    """What the message says: the device, the figures, and what the kind adds."""
    found: dict[str, str | int | float | bool | None] = {
        "object": condition.object,
        "name": device.name if device else condition.object,
        "space": device.space if device else "",
        "unit": condition.unit,
    }
    if condition.value is not None:
        found["value"] = round(condition.value, 3)
    if condition.limit is not None:
        found["limit"] = round(condition.limit, 3)
    if not rule.shipped:
        found["rule"] = rule.id
    return {**found, **condition.arguments}
