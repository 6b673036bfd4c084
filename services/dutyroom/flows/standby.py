"""A generator of which a step is late comes in; whether all that it would feed has another supply meanwhile goes out.

Hidden is worse than told in vain: an instrument of the second feeder and one of the board must say so themselves.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace

from dutyroom.flows.causes import dead_feeds
from dutyroom.flows.episodes import Episode, known_since
from dutyroom.flows.room import Room
from dutyroom.flows.switching import grace_of
from dutyroom.model.telemetry import DeviceClass
from dutyroom.rules.backing import meeting
from dutyroom.rules.kind import GAPS
from dutyroom.rules.spec import Rule
from dutyroom.timebase import MINUTE, SECOND, Ms
from dutyroom.topology import children, downstream, explains, feeds_of, upstream

STARTS: Ms = 30 * SECOND  # from when on it is needed


def hold_back(room: Room, episode: Episode, rule: Rule) -> None:
    """What is late and nobody waits for is not told; from the moment on at which somebody does it has the usual time."""
    due = episode.alarm.ticket_due
    if due is not None and due < room.now + STARTS and needless(room, episode, rule):
        episode.alarm = replace(episode.alarm, ticket_due=room.now + 2 * STARTS)


def needless(room: Room, episode: Episode, rule: Rule) -> bool:
    """Whether nobody waits for a generator: a second feeder carries each board on which it would."""
    host = room.context.devices.get(episode.alarm.object)
    if rule.idle != "power" or host is None:
        return False
    topology = room.context.topology
    below = children(topology, "power")
    boards, own = meeting(
        host,
        room.context.devices,
        lambda one: below.get(one, ()),
        lambda one: feeds_of(topology, "power", one),
    )
    dead = dead_feeds(room, "power") if boards else {}
    return bool(boards) and all(_carried(room, board, own, dead) for board in boards)


def _carried(room: Room, board: str, own: Collection[str], dead: Mapping[str, Episode]) -> bool:
    topology = room.context.topology
    live = any(
        feed not in dead
        and explains(topology, "power", feed, dead) is None
        and any(_speaks(room, one) for one in {feed, *upstream(topology, "power", feed)} - dead.keys())
        for feed in feeds_of(topology, "power", board)
        if feed not in own
    )
    shown = [one for one in {board, *downstream(topology, "power", board)} if _speaks(room, one)]
    return live and bool(shown) and all(_powered(room, one, dead.get(one)) for one in shown)


def _powered(room: Room, board: str, loss: Episode | None) -> bool:
    """Whether an instrument shows that there is supply, or has had no turn since the switch may have gone over."""
    return loss is None or not loss.active or room.now - known_since(loss.alarm) < grace_of(room, board)


def _speaks(room: Room, feed: str) -> bool:
    """Whether a feeder's instrument has missed no three turns."""
    device, heard = room.context.devices.get(feed), room.context.heard(feed)
    if device is None or device.device_class != DeviceClass.FEEDER or heard is None:
        return False
    return room.now - heard <= (GAPS * room.context.interval(feed) or MINUTE)
