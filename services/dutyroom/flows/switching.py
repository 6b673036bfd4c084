"""What hangs on a transfer switch, and when the mains failed, come in; the generators that do not carry it yet, and whether a loss
of supply was no more than the switch's own step, go out.

Between two feeders, or the mains and the generator, and back, a switch leaves its load without supply for some seconds, and an instrument
behind it that is asked in that moment says so.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from dutyroom.alarms import spans_of
from dutyroom.flows.episodes import Episode, known_since
from dutyroom.flows.neighbours import reports_loss
from dutyroom.flows.room import Room
from dutyroom.model.telemetry import DeviceClass
from dutyroom.rules.spec import Rule
from dutyroom.timebase import MINUTE, SECOND, Ms
from dutyroom.topology import explains, feeds_of, upstream

TRANSFER: Ms = MINUTE  # starts in 15 s at most, and switches within 10 s, some with an adjustable delay of up to a minute
START: Ms = 30 * SECOND  # one that turns over several times
OFTEN = 3  # times within minutes: a contact that is loose, and no switch
STEP: Ms = (
    45 * SECOND
)  # for so long what is asked each half minute may seem dead though its switch made one step


def starting(room: Room, device: str, dead: Mapping[str, Episode]) -> dict[str, Episode]:
    """Generators above a device that do not carry it yet, each with the mains failure for which they start. dead: feeds
    that are dead in power."""
    above = upstream(room.context.topology, "power", device)
    waiting = [feed for feed in above - dead.keys() if _generates(room, feed)]
    failed = going_over(room, device, dead) if waiting else None
    return {} if failed is None else dict.fromkeys(waiting, dead[failed])


def going_over(room: Room, device: str, dead: Mapping[str, Episode]) -> str | None:
    """The feed above a device that has failed so lately that its load may still be on its way to another one."""
    above = upstream(room.context.topology, "power", device)
    grace = max(grace_of(room, device), _verdict_of(room, above))
    failed = [f for f in above & dead.keys() if room.now - known_since(dead[f].alarm) < grace]
    return max(sorted(failed), key=lambda f: known_since(dead[f].alarm), default=None)


def grace_of(room: Room, device: str) -> Ms:
    """For so long its load may be on its way, and its instrument has had no turn since."""
    return TRANSFER + 2 * room.context.interval(device)


def stayed_behind(room: Room, episode: Episode, rule: Rule, dead: Mapping[str, Episode]) -> bool:
    """Whether a loss of supply was held to be of a switch that goes over, and that time is past: the other supply is there
    and does not reach it, however long the first one was away."""
    root, device, topology = episode.root, episode.alarm.object, room.context.topology
    above = upstream(topology, "power", device)
    grace = max(grace_of(room, device), _verdict_of(room, above))
    if root is None or not reports_loss(rule) or room.now - known_since(root.alarm) < grace:
        return False
    return root.alarm.object in above and explains(topology, "power", device, dead) is None


def switched(room: Room, device: str) -> bool:
    """Whether a device hangs on a switch between two supplies, of one of which an instrument would say that it has failed."""
    topology = room.context.topology
    above = upstream(topology, "power", device)
    twice = any(len(feeds_of(topology, "power", one)) > 1 for one in (device, *above))
    return twice and any(_feeder(room, feed) and room.context.heard(feed) is not None for feed in above)


def one_step(room: Room, episode: Episode, rule: Rule, end: Ms) -> bool:
    """Whether a loss of supply that is over was so short that the switch made a step. What comes again and again is none."""
    spans = spans_of(episode.alarm)
    short = end - spans[-1][0] < MINUTE and len(spans) < OFTEN
    return reports_loss(rule) and short and switched(room, episode.alarm.object)


def _verdict_of(room: Room, above: Collection[str]) -> Ms:
    """When it is known at the latest that a load has not gone over to a generator among these, where its switch says so."""
    turns = [room.context.interval(feed) for feed in above if _generates(room, feed)]
    return START + max(turns) + TRANSFER if turns else 0


def _generates(room: Room, feed: str) -> bool:
    return _class(room, feed) == DeviceClass.GENERATOR


def _feeder(room: Room, feed: str) -> bool:
    return _class(room, feed) == DeviceClass.FEEDER


def _class(room: Room, feed: str) -> str:
    device = room.context.devices.get(feed)
    return device.device_class if device is not None else ""
