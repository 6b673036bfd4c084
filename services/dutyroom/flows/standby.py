"""A generator of which a step is late comes in; whether all that it would feed has another supply meanwhile goes out."""

from __future__ import annotations

from collections.abc import Mapping

from dutyroom.flows.causes import dead_feeds
from dutyroom.flows.episodes import Episode
from dutyroom.flows.room import Room
from dutyroom.model.telemetry import DeviceClass
from dutyroom.rules.spec import Rule
from dutyroom.topology import children, explains, feeds_of, upstream


def needless(room: Room, episode: Episode, rule: Rule) -> bool:
    """Whether nobody waits for it: a second feeder carries each board on which it would. Without a feeder that speaks nobody
    knows."""
    if rule.idle != "power":
        return False
    generator, topology = episode.alarm.object, room.context.topology
    boards = [
        board
        for board in children(topology, "power").get(generator, ())
        if any(_of(room, feed) != DeviceClass.GENERATOR for feed in feeds_of(topology, "power", board))
    ]
    dead = dead_feeds(room, "power") if boards else {}
    return bool(boards) and all(_carried(room, board, dead) for board in boards)


def _carried(room: Room, board: str, dead: Mapping[str, Episode]) -> bool:
    topology = room.context.topology
    others = (f for f in feeds_of(topology, "power", board) if _of(room, f) != DeviceClass.GENERATOR)
    return any(
        feed not in dead
        and explains(topology, "power", feed, dead) is None
        and any(_speaks(room, one) for one in {feed, *upstream(topology, "power", feed)} - dead.keys())
        for feed in others
    )


def _speaks(room: Room, feed: str) -> bool:
    return _of(room, feed) == DeviceClass.FEEDER and room.context.heard(feed) is not None


def _of(room: Room, device: str) -> str:
    found = room.context.devices.get(device)
    return found.device_class if found is not None else ""
