"""Roots and their consequences: what is inferred, suppressed, and announced when its root has gone."""

from __future__ import annotations

from dataclasses import replace

from dutyroom import tickets
from dutyroom.flows.again import sound
from dutyroom.flows.announced import covering, mute, muted, passed_on
from dutyroom.flows.causes import dead_feeds, objects, root_of, rule_of
from dutyroom.flows.conditions import OWN
from dutyroom.flows.episodes import Episode, Work, known_since
from dutyroom.flows.inference import no_guess
from dutyroom.flows.inferred import SUPPLIED, over, restored
from dutyroom.flows.neighbours import (
    RESTORE_GRACE,
    ROOT_LATENESS,
    below,
    few,
    of_zone,
    reports_loss,
    spoke_on,
    spoke_until,
    spoken_from,
)
from dutyroom.flows.room import ANNUNCIATED, Room
from dutyroom.flows.switching import stayed_behind
from dutyroom.flows.ticketing import TOLD, hand_over, raise_priority
from dutyroom.flows.witness import awaited_after
from dutyroom.flows.zones import lingers, of_gateway
from dutyroom.model.duty import AlarmEvent, AlarmState, TicketEvent, TicketState
from dutyroom.rules.behind import done_in
from dutyroom.timebase import MINUTE, Ms
from dutyroom.topology import upstream

SLOW: Ms = (
    15 * MINUTE
)  # before a cut is inferred: what was known since all behind it were last heard is of it
MISSED: Ms = (
    10 * MINUTE
)  # a broker misses a gateway of a long keep-alive after what it carries has been missed
_GONE = "alarm.reason.root_gone"
_BACK = "back_at"  # argument of an alarm that a planned outage covers: when what explains it was over


def group(room: Room) -> None:
    """Suppresses every alarm that another one explains."""
    dead: dict[str, dict[str, Episode]] = {}
    for episode in list(room.open.values()):
        if episode.alarm.state not in ANNUNCIATED or not episode.active or episode.alarm.latched:
            continue
        rule = room.context.rules.get(episode.alarm.rule)
        if rule is not None and (announcement := covering(room, episode, rule)):
            mute(room, episode, announcement)
            continue
        root = root_of(room, episode, dead)
        if root is not None and _together(room, episode, root) and not _told_beside(room, episode, root):
            _suppress(room, episode, root)
    _move(room, dead)


def as_grave(room: Room) -> None:
    """What a part of the fire system that is not heard hangs on is as urgent as that, and waits for a root of its own no longer than
    other things do."""
    for episode in list(room.open.values()):
        rule, root = room.context.rules.get(episode.alarm.rule), episode.root
        if rule is None or not rule.fire or root is None or not episode.active:
            continue
        graver, alarm = episode.alarm.priority, root.alarm
        if episode.alarm.state is not AlarmState.SUPPRESSED or graver >= alarm.priority:
            continue
        if not root.active or alarm.state not in ANNUNCIATED:
            continue
        due, above = alarm.ticket_due, rule_of(room, root)
        if due is not None and above is not None:
            due = min(due, room.now + above.wait)
        root.alarm = replace(alarm, priority=graver, ticket_due=due)
        work = room.works.get(tickets.cause_of(*root.key))
        if work is not None and work.of(root):
            raise_priority(room, work, graver, "alarm.reason.graver")
            root.work = work
            room.tell(root, f"again:{room.now}")


def _move(room: Room, dead: dict[str, dict[str, Episode]]) -> None:
    """What hangs on a silent instrument, or on what that hangs on, to the cut that has been inferred now."""
    inferred = [
        e for e in room.open.values() if e.guessed and any(c.event is AlarmEvent.RAISE for c in e.changes)
    ]
    for episode in [*room.open.values()] if inferred else ():
        before = episode.root
        if episode.alarm.state is not AlarmState.SUPPRESSED or before is None or muted(room, episode.alarm):
            continue
        root = root_of(room, episode, dead)
        if root is not before and root in inferred and _together(room, episode, root):
            _hang(room, episode, root)
            before.alarm = replace(before.alarm, affected=max(0, before.alarm.affected - 1))


def _told_beside(room: Room, episode: Episode, root: Episode) -> bool:
    """Whether it had its own ticket while a root was known already that is over now: that goes on explaining what hangs on
    it for a while, and takes nobody's ticket."""
    work = room.works.get(tickets.cause_of(*episode.key))
    if work is None or root.active or not work.of(episode):
        return False
    return work.ticket.opened_at > known_since(root.alarm)


def _together(room: Room, episode: Episode, root: Episode) -> bool:
    """What stood long before the root is no consequence of it; a guess is the root's own at any time."""
    return _of_root(room, episode, root, known_since(episode.alarm))


def _of_root(room: Room, episode: Episode, root: Episode, moment: Ms) -> bool:
    """Whether what happened to an episode at a moment belongs to the root that explains it."""
    if episode.guessed and episode.alarm.object == root.alarm.object:
        return True
    rule = room.context.rules[episode.alarm.rule]
    # What speaks often was missed long before there was enough to infer a cut from.
    slow = root.guessed and (spoke_until(room, root) or moment) < moment
    earlier = max((c.earlier for c in rule.explained_by if c.rule == root.alarm.rule), default=0)
    if rule.kind == "stale" and of_gateway(room, root):
        earlier = MISSED
    return moment >= known_since(root.alarm) - max(SLOW if slow else ROOT_LATENESS, rule.wait, earlier)


def _suppress(room: Room, episode: Episode, root: Episode) -> None:
    _hang(room, episode, root)
    work = room.works.get(tickets.cause_of(*episode.key))
    if work is not None and work.of(episode):
        _pass_on(room, episode, work, root)
    if not episode.guessed or episode.alarm.object != root.alarm.object:
        return
    if episode.alarm.arguments.get(OWN):  # its own rule says it too, once: it stands as that
        no_guess(room, episode, "alarm.reason.known")
    elif (
        root.active
    ):  # what it stood for is said by its root now; of one that is over it hangs on, as all else does
        room.step(episode, AlarmEvent.CLEAR, "alarm.reason.known")


def _hang(room: Room, episode: Episode, root: Episode) -> None:
    """Under a root, with whatever hung on the episode itself."""
    hanging = [e for e in room.open.values() if e.root is episode]
    for one in hanging:
        one.root = root
        one.alarm = replace(one.alarm, root=root.alarm.id or None)
    episode.root = root
    room.step(episode, AlarmEvent.SUPPRESS, "alarm.reason.explained")
    if episode.alarm.priority < root.alarm.priority and root.alarm.state is AlarmState.ACKNOWLEDGED:
        sound(room, root, "alarm.reason.graver")
    more = len(hanging) + (not episode.guessed)
    root.alarm = replace(root.alarm, affected=root.alarm.affected + more)


def _pass_on(room: Room, episode: Episode, work: Work, root: Episode) -> None:
    """The ticket of what is explained: its root's, unless that has one or wants none. One of an earlier time, or whose work is
    done, which nobody has closed yet, stays what it is: the root has its own, and people are told of it."""
    rule = rule_of(room, root)
    # People were told of it: of a ticket of its own, later, they are told again.
    episode.alarm = replace(episode.alarm, ticket=None, arguments={**episode.alarm.arguments, TOLD: True})
    supplied = episode.alarm.arguments.get(SUPPLIED)  # it is the ticket of a cut, and stays that
    of_a_cut = isinstance(supplied, int) and work.ticket.opened_at <= supplied
    done = work.ticket.state is TicketState.DONE
    if of_a_cut or done or not _of_root(room, episode, root, work.ticket.opened_at):
        room.ticket(work, TicketEvent.NOTE, "alarm.reason.explained")
    elif (
        tickets.cause_of(*root.key) not in room.works
        and rule is not None
        and rule.ticket.after is not None
        and not muted(room, root.alarm)
        and covering(room, root, rule) is None
    ):
        hand_over(room, work, root)
    elif work.ticket.state is TicketState.OPEN:
        room.ticket(work, TicketEvent.CANCEL, "alarm.reason.explained")
        del room.works[work.ticket.cause]
        room.opened.append(work)
    else:
        room.ticket(work, TicketEvent.NOTE, "alarm.reason.explained")


def lift(room: Room) -> None:
    """Consequences that stay when their root has gone are announced one by one."""
    dead: dict[str, dict[str, Episode]] = {}
    held = {outage for outage in room.announced if awaited_after(room, outage)}
    for episode in list(room.open.values()):
        if episode.alarm.state is not AlarmState.SUPPRESSED:
            continue
        if muted(room, episode.alarm):
            _note_end(room, episode, dead)
            continue
        planned = _of_outage(episode)
        if planned and (passed_on(room, episode) or episode.alarm.announced in held):
            continue
        if not planned and _still_explained(room, episode, dead):
            continue
        root = root_of(room, episode, dead)
        if root is not None and (planned or root is not episode.root) and root.active:
            _hang(room, episode, root)
            continue
        if _comes_back(room, episode, root) if planned else _has_been_back(root):
            continue
        reason = _why_told(episode)
        zone = of_zone(room, episode) and reason == _GONE
        unexplained = zone and _stands(episode.root) and not _ends_above(room, episode)
        episode.root = None
        room.step(episode, AlarmEvent.UNSUPPRESS, reason)
        rule = room.context.rules.get(episode.alarm.rule)
        if rule is not None and rule.ticket.after is not None:
            # What was raised just now may be of something that begins again: it waits for its root as ever.
            due = max(room.now, known_since(episode.alarm) + rule.wait)
            if unexplained:
                due = max(due, known_since(episode.alarm) + rule.ticket.after)
            if planned and rule.off_delay:  # what is about to end comes to its end
                due = max(due, room.now + rule.off_delay + room.context.interval(episode.alarm.object))
            episode.alarm = replace(episode.alarm, ticket_due=due)


def _stands(root: Episode | None) -> bool:
    """Whether what explained it is not over: another supply has come, and it has had no grace."""
    return root is not None and over(root.alarm) is None


def _of_outage(episode: Episode) -> bool:
    """Whether a planned outage kept it quiet."""
    return episode.alarm.announced is not None and not episode.alarm.test


def _note_end(room: Room, episode: Episode, dead: dict[str, dict[str, Episode]]) -> None:
    """Since when what explains an alarm is over that a planned outage keeps quiet still."""
    root, arguments = root_of(room, episode, dead), dict(episode.alarm.arguments)
    if root is not None and root.active:
        arguments.pop(_BACK, None)
    elif root is not None and (ended := over(root.alarm)) is not None:
        arguments[_BACK] = ended
    if arguments != episode.alarm.arguments:
        episode.alarm = replace(episode.alarm, arguments=arguments)


def _comes_back(room: Room, episode: Episode, root: Episode | None) -> bool:
    """Whether its supply was there again before the planned outage was over, or with its end, and it has its grace as after
    any cut."""
    back = over(root.alarm) if root is not None else episode.alarm.arguments.get(_BACK)
    if root is None and back is None:
        back = max(_ends_above(room, episode), default=None)
    if not isinstance(back, int):
        return False
    return room.now - back < _grace(room, episode) or lingers(room, episode, back)


def _has_been_back(root: Episode | None) -> bool:
    """Whether what else explained it has gone too, later than its root: its grace runs from then."""
    return root is not None and not root.active


def _why_told(episode: Episode) -> str:
    if _of_outage(episode):
        return "alarm.reason.outage_over"
    stands = episode.root is not None and spoken_from(episode.root.alarm) is not None
    return "alarm.reason.others_speak" if stands else _GONE


def _still_explained(room: Room, episode: Episode, dead: dict[str, dict[str, Episode]]) -> bool:
    root = episode.root
    if root is None:
        return False
    rule = room.context.rules.get(episode.alarm.rule)
    if rule is not None and reports_loss(rule):
        if "power" not in dead:
            dead["power"] = dead_feeds(room, "power")
        if stayed_behind(room, episode, rule, dead["power"]):
            return False
    ended, back = over(root.alarm), restored(root.alarm)
    if back is not None and lingers(room, episode, back):
        return True
    if ended is None and _others_speak(room, episode, dead):
        return False
    if ended is None:
        return not _no_longer(room, episode, dead)
    return room.now - ended < _grace(room, episode)


def _others_speak(room: Room, episode: Episode, dead: dict[str, dict[str, Episode]]) -> bool:
    """Whether nothing explains it any more but an instrument that is silent, and what hangs beside it has spoken for
    longer than the grace: after a cut all of it comes back, one after the other."""
    grace = _grace(room, episode)
    above = [
        (root, room.now - since >= grace)
        for root in room.open.values()
        if (since := spoken_from(root.alarm)) is not None and below(room, root, episode)
        if spoke_on(room, root, episode)
    ]
    # Behind another one it may have had its turn only now.
    long = all(long for _, long in above) and any(few(room, root, episode) for root, _ in above)
    return long and root_of(room, episode, dead) is None


def _grace(room: Room, episode: Episode) -> Ms:
    """How long it has to come back once its supply, or whatever explained it, has."""
    rule, turns = rule_of(room, episode), 2 * room.context.interval(episode.alarm.object)
    # Its end must be seen for `off_delay` before it counts: it cannot be gone sooner.
    own = max(rule.lags, rule.off_delay + turns) if rule else 0
    return max(RESTORE_GRACE, turns, own)


def _no_longer(room: Room, episode: Episode, dead: dict[str, dict[str, Episode]]) -> bool:
    """Whether nothing explains it for longer than the grace, though its root still stands: a second feed has come back, or
    what lay between the two."""
    if root_of(room, episode, dead, beside=True) is not None:  # of an instrument alone: see `_others_speak`
        return False
    ends = _ends_above(room, episode)
    return not ends or room.now - max(ends) >= _grace(room, episode)


def _ends_above(room: Room, episode: Episode) -> list[Ms]:
    """When what may have explained it was over, as far as that is not long ago."""
    above = _above(room, episode) | ({episode.root.alarm.object} if episode.root is not None else set())
    every = [e for e in (*room.open.values(), *room.recent) if e is not episode]
    ends = [ended for e in every if e.alarm.object in above and (ended := over(e.alarm)) is not None]
    ends += [at for e in every for feed, at in done_in(e.alarm.arguments).items() if feed in above]
    back = (e.alarm.arguments.get(SUPPLIED) for e in every if e.alarm.object in above)
    return ends + [at for at in back if isinstance(at, int)]


def _above(room: Room, episode: Episode) -> set[str]:
    """Where what explains it may stand: all that feeds it, or the gateway that it hangs on, and what its rule names."""
    topology, rule = room.context.topology, room.context.rules.get(episode.alarm.rule)
    if rule is None:
        return set()
    found = {o for cause in rule.explained_by for o in objects(room, cause, episode.alarm.object)}
    for utility in rule.utilities:
        found |= upstream(topology, utility, episode.alarm.object)
    return found | {above for feed in found for above in upstream(topology, "power", feed)}


def unshelve(room: Room) -> None:
    """Takes from the shelf what has been there for its time. What stands still is announced again: where its ticket is open
    people are told, where its work is done or closed it is work anew, and without one it is as if it were new."""
    for episode in list(room.open.values()):
        until = episode.alarm.shelved_until
        if episode.alarm.state is not AlarmState.SHELVED or until is None or until > room.now:
            continue
        room.step(episode, AlarmEvent.UNSHELVE, "alarm.reason.shelf_over")
        alarm = episode.alarm
        if not episode.active or alarm.ticket is None or alarm.ticket_due is not None:
            continue
        work = next((work for work in room.works.values() if work.ticket.id == alarm.ticket), None)
        if work is not None and work.ticket.state is not TicketState.DONE:
            episode.work = work
            room.tell(episode, f"again:{room.now}")
        else:
            episode.alarm = replace(alarm, ticket_due=room.now)
