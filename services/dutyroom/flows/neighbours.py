"""A feed whose own instrument says nothing is no cause of what is silent alone: what hangs beside it speaks. Nor is a gateway
that its broker says is away, where what it carries goes on speaking.

The silence of an instrument may be a cut, so what falls silent behind it hangs on its alarm at first. When more than a fifth
of what hangs on that feed alone has spoken since a device was known to be silent, the feed had power meanwhile.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from dutyroom.flows.episodes import Episode, known_since
from dutyroom.flows.inferred import GUESS, supplied
from dutyroom.flows.room import Room
from dutyroom.model.duty import Alarm
from dutyroom.model.telemetry import DeviceClass
from dutyroom.rules.spec import Rule
from dutyroom.timebase import MINUTE, SECOND, Ms
from dutyroom.topology import downstream, sole_below

# A root's message may come two minutes after its consequences, and be judged half a minute later.
ROOT_LATENESS: Ms = 150 * SECOND
RESTORE_GRACE: Ms = 5 * MINUTE  # consequences have this long, or two intervals, to come back
LEAST = 3  # devices: fewer prove nothing
FEW = (
    2  # silent devices, or a quarter of those that speak: more of them may be a part of the feed that is dead
)
_SPEAK = "speak_from"  # argument of an instrument's alarm: since when what hangs on its device speaks


def listen(room: Room) -> None:
    """Notes since when what hangs on a feed speaks though its own instrument does not."""
    for episode in room.open.values():
        if not _instrument(room, episode):
            continue
        spoke, arguments = spoken_from(episode.alarm), dict(episode.alarm.arguments)
        silent, alive = _count(room, episode)
        if 4 * alive <= silent or (spoke_until(room, episode) or 0) <= known_since(episode.alarm):
            arguments.pop(_SPEAK, None)
        elif spoke is None:
            arguments[_SPEAK] = room.now
        if arguments != episode.alarm.arguments:
            episode.alarm = replace(episode.alarm, arguments=arguments)


def spoken_from(alarm: Alarm) -> Ms | None:
    """Since when there are signs of life behind the instrument that this alarm says is silent; None = there are none."""
    since = alarm.arguments.get(_SPEAK)
    return since if isinstance(since, int) and since >= known_since(alarm) else None


def spoke_on(room: Room, root: Episode, episode: Episode) -> bool:
    """Whether a root says only that an instrument is silent, and its feed had power after an alarm behind it was known."""
    if not _instrument(room, root):
        return False
    until = spoke_until(room, root)
    return until is not None and until > known_since(episode.alarm) + ROOT_LATENESS


def says_more(room: Room, root: Episode, episode: Episode) -> bool:
    """Whether a root says, or said, only that an instrument is silent, or a gateway, and an alarm behind it that there is no
    power. A cut that was inferred may be no more than a gateway: see `zones.own_fault`."""
    rule = room.context.rules.get(episode.alarm.rule)
    back = supplied(root.alarm)
    just_back = back is not None and room.now - back < RESTORE_GRACE  # what was without power comes back now
    if rule is None or just_back or not silent_only(room, root):
        return False
    inferred = episode.alarm.arguments.get(GUESS) == "power" and _utility(room, root) == "power"
    return reports_loss(rule) or inferred


def long_unheard(room: Room, root: Episode, episode: Episode) -> bool:
    """Whether a root says only that an instrument is silent, whose gateway has been away since long before: nothing is known of
    its feed, and of an alarm that says that there is no supply it is no reason."""
    rule, above = room.context.rules.get(episode.alarm.rule), root.root
    if rule is None or above is None or not silent_only(room, root) or above.guessed:
        return False
    says = (on_battery(rule) or reports_loss(rule)) and _utility(room, above) == "network"
    return says and known_since(above.alarm) < known_since(episode.alarm) - RESTORE_GRACE


def reports_loss(rule: Rule) -> bool:
    """Whether a device that goes on speaking says by this rule that it has no power."""
    return rule.root and rule.utility == "power" and not rule.dark


def on_battery(rule: Rule) -> bool:
    """Whether a device says by this rule that it has lost its supply, and goes on speaking. A gateway's word that it has gone is
    none."""
    return rule.dark and rule.kind == "state" and not rule.root and "power" in rule.utilities


def tells_nothing(room: Room, device: str) -> bool:
    """Whether a device speaks with and without supply, and never says which: a fire panel has a battery, and one without a reading of its
    mains is no sign of either."""
    known = room.context.devices.get(device)
    if known is None or known.device_class != DeviceClass.FIRE_PANEL:
        return False
    rules = (rule.id for rule in room.context.rules.values() if on_battery(rule))
    return all(room.context.said(rule, device) is None for rule in rules)


def telling(room: Room, devices: Collection[str]) -> list[str]:
    """Those that speak of their supply by speaking; where there is none, all: a feeder of fire panels alone."""
    return [d for d in devices if not tells_nothing(room, d)] or [*devices]


def missed_again(room: Room, feed: str) -> bool:
    """Whether a feed that has spoken has missed its turn since: a switch that closes for a moment, and opens again."""
    turn, last = room.context.interval(feed), room.context.heard(feed)
    return turn > 0 and last is not None and room.now - last >= 3 * turn // 2 + 5 * SECOND


def few(room: Room, root: Episode, episode: Episode) -> bool:
    """Whether what is silent behind an instrument, an alarm's device among it, is little beside what speaks."""
    silent, alive = _count(room, root)
    return below(room, root, episode) and silent <= max(FEW, alive // 4)


def below(room: Room, root: Episode, episode: Episode) -> bool:
    """Whether an alarm's device hangs on that of a root."""
    return episode.alarm.object in downstream(room.context.topology, _utility(room, root), root.alarm.object)


def _instrument(room: Room, episode: Episode) -> bool:
    """Whether an alarm says now that a feed's own instrument is silent, or a gateway's word on its presence that it is away,
    and no more: a last will may be told after the return; so may it stand that a zone is silent."""
    # A zone's alarm stands for as long as one of it speaks rarely.
    return episode.active and (of_zone(room, episode) or silent_only(room, episode))


def of_zone(room: Room, episode: Episode) -> bool:
    """Whether an alarm says that most of what a gateway carries is silent."""
    rule = room.context.rules.get(episode.alarm.rule)
    return rule is not None and rule.kind == "zone_silence"


def silent_only(room: Room, episode: Episode) -> bool:
    """The same of one that may have gone: what is heard again had no less power before."""
    rule = room.context.rules.get(episode.alarm.rule)
    return rule is not None and rule.root and rule.dark and not episode.guessed


def _stale(room: Room, episode: Episode) -> bool:
    rule = room.context.rules.get(episode.alarm.rule)
    return rule is not None and rule.kind == "stale"


def _utility(room: Room, root: Episode) -> str:
    return room.context.rules[root.alarm.rule].utility


def spoke_until(room: Room, root: Episode) -> Ms | None:
    """The last moment up to which more than a fifth of what hangs on a feed alone has been heard."""
    feed = root.alarm.object
    if feed not in room.spoke:
        below = [*sole_below(room.context.topology, _utility(room, root), feed)]
        if _utility(room, root) == "power":
            below = telling(room, below)
        heard = [room.context.heard(d) for d in below]
        known = sorted((at for at in heard if at is not None), reverse=True)
        room.spoke[feed] = known[len(known) // 5] if known else None
    return room.spoke[feed]


def _count(room: Room, root: Episode) -> tuple[int, int]:
    """How many devices that hang on a feed alone are silent, and how many have spoken since its instrument is."""
    below = set(sole_below(room.context.topology, _utility(room, root), root.alarm.object))
    silent = below & {e.alarm.object for e in room.open.values() if e.active and _stale(room, e)}
    since = known_since(root.alarm)
    speak = [d for d in below - silent if (room.context.heard(d) or 0) > since]
    if _utility(room, root) == "power":
        speak = [d for d in telling(room, below) if d in speak]
    return len(silent), len(speak)
