"""What is dark on several branches of a feed whose own instrument fell silent with it comes in; the feed that must be dead
goes out, before each of its gateways is told as away.

Two gateways of one building that go dark together, and the instrument of the feed above them, which neither of them
carries: three ways of hearing it, and all are silent at once.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from dutyroom.flows.inferred import over
from dutyroom.flows.neighbours import LEAST, of_zone, telling
from dutyroom.flows.room import Room
from dutyroom.timebase import MINUTE, SECOND, Ms
from dutyroom.topology import feeds_of, sole_below, sole_fed, upstream

ALIVE = 4  # as many signs of life as a quarter of the dark: a fifth of both
TOGETHER: Ms = 2 * MINUTE
PATIENCE: Ms = 30 * SECOND  # that what hangs on another branch has to be missed as well
KEPT_ALIVE: Ms = 3 * MINUTE  # after which a broker says that a gateway is away: one and a half keep-alives
WILL: Ms = MINUTE  # after its last will a gateway is known to be away: it may come back at once
_SLACK: Ms = 5 * SECOND  # of a message on its way


def suspects(room: Room, dark: Mapping[str, Ms]) -> list[str]:
    """Feeds above these that have missed a turn, the highest first."""
    topology, heard, interval = room.context.topology, room.context.heard, room.context.interval
    above = {feed for device in dark for feed in upstream(topology, "power", device)}
    late = [f for f in above if room.now - (heard(f) or 0) >= 3 * interval(f) // 2 + _SLACK]
    return sorted(late, key=lambda f: (len(upstream(topology, "power", f)), f))


def across(room: Room, feed: str, dark: Mapping[str, Ms]) -> bool:
    """Whether a feed of power must be dead. dark: devices that are without it or silent, whatever explains them, and since
    when we know."""
    return _enough(room, feed, _ways(room, feed, dark))


def undecided(room: Room, gateway: str, dark: Mapping[str, Ms]) -> bool:
    """Whether what is dark behind a gateway may yet turn out to be a cut: the feed above all of it has said nothing since,
    and the others below that feed have not had their turn."""
    topology = room.context.topology
    mine = [d for d in sole_fed(topology, "network", gateway) if d in dark]
    if not mine or room.now - min(dark[d] for d in mine) >= PATIENCE:
        return False
    above = set.intersection(*(upstream(topology, "power", d) for d in mine))
    return any(
        set(mine) <= set(sole_below(topology, "power", feed))
        and len(sole_fed(topology, "power", feed)) > 1
        and gateway not in feeds_of(topology, "network", feed)
        and _silent_with(room, feed, mine, dark)
        for feed in above
    )


def _silent_with(room: Room, feed: str, fresh: Sequence[str], dark: Mapping[str, Ms]) -> bool:
    """Whether a feed was last heard when these were, and nearly nothing speaks below it."""
    heard, last, pace = room.context.heard, room.context.heard(feed), room.context.interval(feed)
    if not fresh or last is None or not pace:
        return False
    gone = _gone(room, fresh, dark)
    until = max(min(_last(room, d, dark), dark[d]) for d in fresh)
    if not until - KEPT_ALIVE - 2 * pace <= last <= gone:
        return False
    below = sole_below(room.context.topology, "power", feed)
    alive = sum(d not in dark and (heard(d) or 0) > gone for d in telling(room, below))
    return ALIVE * alive <= len(fresh)


def _gone(room: Room, fresh: Sequence[str], dark: Mapping[str, Ms]) -> Ms:
    """As `gone_by`, but of what speaks only when it comes and goes its broker said it a while before it is known: whether a
    feed fell silent together with gateways. Beside boards that are weighed one by one (`gone_by`) that while would turn each
    word of a board without interval into a sign of life."""
    missed = (_last(room, d, dark) + 3 * room.context.interval(d) // 2 for d in fresh)
    return min(*(dark[d] for d in fresh), max(missed))


def _last(room: Room, device: str, dark: Mapping[str, Ms]) -> Ms:
    if not room.context.interval(device):
        return dark[device] - WILL
    return room.context.heard(device) or dark[device]


def gone_by(room: Room, fresh: Iterable[str], known: Ms) -> Ms:
    """From when a sign of life of others speaks against these devices' being one cut: they had all missed a turn by then. Of
    a gateway that hands out what it carries together, all others have spoken just before three turns are missed."""
    heard, interval = room.context.heard, room.context.interval
    missed = (((heard(d) or known) + 3 * interval(d) // 2) if interval(d) else known for d in fresh)
    return min(known, max(missed))


def _enough(room: Room, feed: str, ways: set[str]) -> bool:
    """Three ways; or its own instrument and one gateway, which hangs on the feed itself and carries as many."""
    topology = room.context.topology
    if len(ways) >= LEAST:
        return True
    hung = ways.intersection(sole_below(topology, "power", feed))
    return feed in ways and any(len(sole_fed(topology, "network", one)) >= LEAST for one in hung)


def _ways(room: Room, feed: str, dark: Mapping[str, Ms]) -> set[str]:
    """By which ways we hear of a feed that it is dead: what comes by a gateway that is away is one of them, and tells nothing
    of its own. () = one of its branches may be dead alone."""
    topology, below = room.context.topology, sole_below(room.context.topology, "power", feed)
    fresh = [d for d in below if d in dark and dark[d] > room.now - TOGETHER]
    if not _silent_with(room, feed, fresh, dark):
        return set()
    ways = _Ways(room, _gone(room, fresh, dark))
    mine = set(fresh)
    unheard = mine.union(d for d in below if ways.of(d) in mine)
    every = sole_fed(topology, "power", feed)
    branches = [b for b in every if not {b, *sole_below(topology, "power", b)}.isdisjoint(unheard)]
    if len(branches) < min(2, len(every)):
        return set()
    return {ways.of(device) for device in (feed, *fresh)}


class _Ways:
    """By which way a device is heard: its gateway, where that has handed out nothing since `gone`, or is back for less than
    a turn of the device."""

    def __init__(self, room: Room, gone: Ms) -> None:
        self._room, self._gone, self._back = room, gone, _back(room)
        self._away: dict[str, bool] = {}  # a gateway of hundreds is looked at once

    def of(self, device: str) -> str:
        topology, room = self._room.context.topology, self._room
        by = feeds_of(topology, "network", device)
        if len(by) != 1:
            return device
        turn = 3 * room.context.interval(device) // 2 + _SLACK
        back_now = by[0] in self._back and room.now - self._back[by[0]] < turn
        return by[0] if back_now or self._silent(by[0]) else device

    def _silent(self, gateway: str) -> bool:
        if gateway not in self._away:
            carried = sole_fed(self._room.context.topology, "network", gateway)
            self._away[gateway] = not any((self._room.context.heard(d) or 0) > self._gone for d in carried)
        return self._away[gateway]


def _back(room: Room) -> dict[str, Ms]:
    """Since when gateways are heard again, by the last of them or of what they carry that was; now, while one is known to be
    away: its first word is one of many."""
    found: dict[str, Ms] = {}
    for episode in (*room.recent, *room.open.values()):
        rule, device = room.context.rules.get(episode.alarm.rule), episode.alarm.object
        if rule is None or not (rule.dark or of_zone(room, episode)) or episode.alarm.disproved:
            continue
        own, ended = rule.root and rule.utility == "network", over(episode.alarm)
        if own and ended is None:
            ended = room.now
        for gateway in (device,) if own else feeds_of(room.context.topology, "network", device):
            found[gateway] = max(found.get(gateway, 0), ended or 0)
    return found
