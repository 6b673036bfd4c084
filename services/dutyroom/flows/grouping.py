"""Roots and their consequences: what is inferred, suppressed, and announced when its root has gone."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from dutyroom import tickets
from dutyroom.flows.causes import RESTORE_GRACE, root_of, root_rule, roots
from dutyroom.flows.conditions import apply, clear
from dutyroom.flows.episodes import Episode
from dutyroom.flows.room import ANNUNCIATED, Room
from dutyroom.model.duty import AlarmEvent, AlarmState, Arguments, Condition, TicketEvent, TicketState
from dutyroom.timebase import MINUTE, SECOND, Ms
from dutyroom.topology import feeds_of, inferred

ROOT_LATENESS: Ms = 2 * MINUTE  # a root's message may come this long after its consequences


def infer(room: Room) -> None:
    """A root alarm on a feed that is silent together with what hangs on it, and its end."""
    silent = {e.alarm.object for e in room.open.values() if e.active and _is_silence(room, e)}
    for utility in room.context.topology.feeds:
        found = _silent_feeds(room, utility, silent) if silent else set()
        for episode in list(room.open.values()):
            mine = episode.active and episode.alarm.arguments.get("inferred") == utility
            if mine and episode.alarm.object not in found:
                clear(room, episode, room.context.rules[episode.alarm.rule], room.now, "alarm.reason.back")
        for feed in sorted(found - {e.alarm.object for e, _ in roots(room, utility)}):
            if rule := root_rule(room, utility, feed):
                arguments: Arguments = {"inferred": utility}
                apply(room, Condition(rule.id, feed, True, room.now, arguments=arguments))


def _is_silence(room: Room, episode: Episode) -> bool:
    rule = room.context.rules.get(episode.alarm.rule)
    return rule is not None and rule.kind == "stale"


def _silent_feeds(room: Room, utility: str, silent: Collection[str]) -> set[str]:
    """A feed counts as silent when it was not heard after its silent children were."""
    heard = room.context.heard
    parents = set()
    for child in silent:
        last = heard(child) or 0
        for feed in feeds_of(room.context.topology, utility, child):
            if (heard(feed) or 0) <= last + MINUTE:
                parents.add(feed)
    return set(inferred(room.context.topology, utility, {*silent, *parents}))


def group(room: Room) -> None:
    """Suppresses every alarm that another one explains."""
    dead: dict[str, dict[str, Episode]] = {}
    for episode in list(room.open.values()):
        if episode.alarm.state not in ANNUNCIATED or not episode.active or episode.alarm.latched:
            continue
        root = root_of(room, episode, dead)
        if root is not None and _together(room, episode, root):
            _suppress(room, episode, root)


def _together(room: Room, episode: Episode, root: Episode) -> bool:
    """What stood long before the root is no consequence of it."""
    rule = room.context.rules[episode.alarm.rule]
    lateness = max(ROOT_LATENESS, rule.wait)
    return episode.alarm.recorded_at >= root.alarm.recorded_at - lateness


def _suppress(room: Room, episode: Episode, root: Episode) -> None:
    episode.root = root
    room.step(episode, AlarmEvent.SUPPRESS, "alarm.reason.explained")
    root.alarm = replace(root.alarm, affected=root.alarm.affected + 1)
    work = room.works.get(tickets.cause_of(*episode.key))
    if work is None or work.ticket.alarm != episode.alarm.id:
        return
    if work.ticket.state is TicketState.OPEN:
        room.ticket(work, TicketEvent.CANCEL, "alarm.reason.explained")
        del room.works[work.ticket.cause]
        room.opened.append(work)
        episode.alarm = replace(episode.alarm, ticket=None)
    else:
        room.ticket(work, TicketEvent.NOTE, "alarm.reason.explained")


def lift(room: Room) -> None:
    """Consequences that stay when their root has gone are announced one by one."""
    dead: dict[str, dict[str, Episode]] = {}
    for episode in list(room.open.values()):
        if episode.alarm.state is not AlarmState.SUPPRESSED or _still_explained(room, episode):
            continue
        root = root_of(room, episode, dead)
        if root is not None and root is not episode.root and root.active:
            episode.root = root
            room.step(episode, AlarmEvent.SUPPRESS, "alarm.reason.explained")
            root.alarm = replace(root.alarm, affected=root.alarm.affected + 1)
            continue
        episode.root = None
        room.step(episode, AlarmEvent.UNSUPPRESS, "alarm.reason.root_gone")
        rule = room.context.rules.get(episode.alarm.rule)
        if rule is not None and rule.ticket.after is not None:
            episode.alarm = replace(episode.alarm, ticket_due=room.now)


def _still_explained(room: Room, episode: Episode) -> bool:
    root = episode.root
    if root is None:
        return False
    over = root.alarm.cleared_at if root.alarm.cleared_at is not None else root.alarm.ended_at
    device = room.context.devices.get(episode.alarm.object)
    interval = (device.interval_s or 0) * SECOND if device else 0
    return over is None or room.now - over < max(RESTORE_GRACE, 2 * interval)


def unshelve(room: Room) -> None:
    """Takes from the shelf what has been there for its time."""
    for episode in list(room.open.values()):
        until = episode.alarm.shelved_until
        if episode.alarm.state is AlarmState.SHELVED and until is not None and until <= room.now:
            room.step(episode, AlarmEvent.UNSHELVE, "alarm.reason.shelf_over")
