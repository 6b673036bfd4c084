"""A gateway that is away, or of which most is silent, comes in; the power cut that is reason enough for it goes out.

A gateway's supply need not be known: where what it carries has no power, nothing is wrong with it. And after a cut its zone
is silent for as long as what it carries speaks rarely.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from dutyroom.flows.episodes import Context, Episode, known_since
from dutyroom.flows.inferred import GUESS, restored
from dutyroom.flows.neighbours import LEAST, RESTORE_GRACE, of_zone, on_battery, reports_loss, silent_only
from dutyroom.flows.room import Room
from dutyroom.flows.wills import COUNTS, departed, settled
from dutyroom.model.telemetry import DeviceClass
from dutyroom.timebase import MINUTE, SECOND, Ms
from dutyroom.topology import children, explains, feeds_of, sole_below, sole_fed

_PAIR = 2  # gateways: two do not fail by chance
TELLS: Ms = 10 * SECOND  # what speaks each minute has by then
# Of these most have no supply but their own.
_BATTERY = (DeviceClass.WATER_METER, DeviceClass.GAS_METER, DeviceClass.HEAT_METER, DeviceClass.SENSOR)


def cut_of(room: Room, episode: Episode, dead: Mapping[str, Episode]) -> Episode | None:
    """The cut that explains a gateway's alarm. dead: feeds that are dead in power. Of a gateway that is told to be away by
    itself only where nobody knows what feeds it."""
    gateway = episode.alarm.object
    if not of_gateway(room, episode):
        return None
    if not of_zone(room, episode) and feeds_of(room.context.topology, "power", gateway):
        return None
    cuts = {feed: root for feed, root in dead.items() if _of_others(room, root, gateway)}
    feed = _reason_of(room, gateway, cuts, of_zone(room, episode), battery=True) if cuts else None
    return None if feed is None else cuts[feed]


def _reason(room: Room, episode: Episode, cuts: Collection[str]) -> str | None:
    """The dead feed that is reason enough for a gateway's alarm."""
    return _reason_of(room, episode.alarm.object, cuts, of_zone(room, episode))


def _reason_of(
    room: Room, gateway: str, cuts: Collection[str], zone: bool, battery: bool = False
) -> str | None:
    """The same: of what it carries and still has power there is too little for that alarm, and less than of what has none
    (what never spoke is not there yet). zone: most of it is silent, and no more is said. battery: what runs on its own and is
    silent with the gateway speaks for neither side; where the cut itself is known from that gateway, it does."""
    topology, heard = room.context.topology, room.context.heard
    carried = [d for d in children(topology, "network").get(gateway, ()) if heard(d) is not None]
    by = {device: explains(topology, "power", device, cuts) for device in carried}
    supplied = [
        device
        for device, feed in by.items()
        if feed is None and not (battery and on_its_own(room.context, device))
    ]
    without = sorted(feed for feed in by.values() if feed is not None)
    if len(without) <= len(supplied):
        return None
    if len(supplied) >= LEAST and not (zone and _most_speak(room, supplied)):
        return None
    return max(without, key=without.count)


def on_its_own(context: Context, device: str) -> bool:
    """Whether a device runs on a battery, as far as anybody knows."""
    known = context.devices.get(device)
    return (
        known is not None
        and known.device_class in _BATTERY
        and not feeds_of(context.topology, "power", device)
    )


def own_fault(room: Room, cut: Episode, top: Episode, network: Mapping[str, Episode]) -> bool:
    """Whether a cut that was inferred is no more than a gateway's fault (top: its alarm), or that of several: what is
    dark there comes by it alone, or by such as carry too much else for this cut to be their reason. network: gateways that
    are away."""
    if cut.alarm.arguments.get(GUESS) != "power":
        return True  # of each of thousands no gateway is looked at
    feed = cut.alarm.object
    away = {name for name, root in network.items() if top in (root, root.root)}
    away |= {
        n for n, root in network.items() if n == root.alarm.object and _reason(room, root, {feed}) is None
    }
    if _others_gone(room, cut, top, away):
        return False
    return not (several_ways(room, cut, away | _mute(room, feed)) or _witnessed(room, cut))


def _others_gone(room: Room, cut: Episode, top: Episode, away: Collection[str]) -> bool:
    """Whether only what one gateway carries is silent, which its broker still hears, and two others below the cut have gone with it: the
    instruments of a switch room die with the transformer, its gateway on a supply of its own does not."""
    if not of_zone(room, top) or top.alarm.object in room.context.departed(room.now - COUNTS):
        return False
    known = [e for e in room.open.values() if e.active and of_gateway(room, e) and not of_zone(room, e)]
    if any(e.alarm.object == top.alarm.object for e in known):
        return False
    gone = {e.alarm.object for e in known} | settled(departed(room.context, room.now), room.now).keys()
    below = set(sole_below(room.context.topology, "power", cut.alarm.object))
    return len((gone & below) - set(away)) >= _PAIR


def _mute(room: Room, feed: str) -> set[str]:
    """Gateways of what is dark below a feed that are about to be known as away: of all they carry nothing was heard since,
    and that is too much for this cut to be the reason."""
    topology = room.context.topology
    dark = {e.alarm.object for e in room.open.values() if e.active}
    below = {feed, *sole_below(topology, "power", feed)} & dark
    gateways = {by for device in below for by in feeds_of(topology, "network", device)}
    return {
        g
        for g in gateways
        if _hands_out_nothing(room, g, dark) and _reason_of(room, g, {feed}, False) is None
    }


def _hands_out_nothing(room: Room, gateway: str, dark: Collection[str]) -> bool:
    heard, interval = room.context.heard, room.context.interval
    carried = children(room.context.topology, "network").get(gateway, ())
    # What says in its turn that it has no supply is dark, and heard.
    late = [due for d in carried if d in dark and (due := (heard(d) or 0) + 3 * interval(d) // 2) <= room.now]
    return bool(late) and not any((heard(d) or 0) > max(late) for d in carried)


def several_ways(room: Room, episode: Episode, gateways: Collection[str]) -> bool:
    """Whether of what is dark where a cut was inferred, and is no gateway, three or more than a fifth come by other ways than
    these gateways, or one that says itself that it runs on its battery."""
    if episode.alarm.arguments.get(GUESS) != "power":
        return False
    topology, feed = room.context.topology, episode.alarm.object
    below = {feed, *sole_below(topology, "power", feed)} - children(topology, "network").keys()
    # As well what hung on it and has just come back: one way is heard again before the other.
    every = [*(e for e in room.open.values() if e.active or e.root is episode), *_hung_on(room, episode)]
    dark = {e.alarm.object for e in every} & below
    # What is missed of these gateways is no evidence, nor does it speak against a cut.
    wills = settled(departed(room.context, room.now), room.now)
    missed = below & (silent_zones(room).keys() | wills.keys()) - dark
    other = sum(explains(topology, "network", device, gateways) is None for device in dark | missed)
    if other >= LEAST or 5 * other > len(dark):
        return True
    rules, own = room.context.rules, dark - {feed}
    saying = {e.alarm.object for e in every if (rule := rules.get(e.alarm.rule)) and on_battery(rule)} & own
    return any(explains(topology, "network", device, gateways) is None for device in saying)


def _witnessed(room: Room, cut: Episode) -> bool:
    """Whether something that hangs on an inferred cut has said on its battery, a minute after that was known and later, that it has no
    supply, or says so for a minute and has missed no two turns: the gateway by which it is heard is alive, though all else there is
    silent."""
    below, since = (
        sole_below(room.context.topology, "power", cut.alarm.object),
        known_since(cut.alarm) + MINUTE,
    )
    for episode in room.open.values():
        rule, device = room.context.rules.get(episode.alarm.rule), episode.alarm.object
        if not episode.active or rule is None or not on_battery(rule) or device not in below:
            continue
        last, turn = room.context.heard(device) or 0, room.context.interval(device)
        steady = last >= known_since(episode.alarm) + MINUTE - TELLS and room.now - last < 2 * turn
        if last > since or steady:
            return True
    return False


def _hung_on(room: Room, cut: Episode) -> list[Episode]:
    return [e for e in room.recent if e.root is cut or (cut.alarm.id and e.alarm.root == cut.alarm.id)]


def unheard_by(room: Room, root: Episode, episode: Episode) -> bool:
    """Whether a root says only that an instrument is silent, and an alarm that the gateway is away by which alone that is
    heard: it is no reason for the gateway, or each explains the other for ever."""
    by = feeds_of(room.context.topology, "network", root.alarm.object)
    return by == (episode.alarm.object,) and silent_only(room, root) and of_gateway(room, episode)


def silent_zones(room: Room) -> dict[str, Ms]:
    """What says nothing of gateways whose zone is silent, or that are away and of which nobody knows what feeds them, and since
    when that is known: long before each is missed."""
    found: dict[str, Ms] = {}
    for episode in room.open.values():
        if not episode.active or not _zone_silent(room, episode):
            continue
        at, carried = (
            known_since(episode.alarm),
            sole_fed(room.context.topology, "network", episode.alarm.object),
        )
        found.update((d, at) for d in carried if _silent(room, d))
    return found


def _zone_silent(room: Room, episode: Episode) -> bool:
    if of_zone(room, episode):
        return True
    unknown = not feeds_of(room.context.topology, "power", episode.alarm.object)
    return unknown and not episode.guessed and of_gateway(room, episode)


def _silent_since(room: Room, episode: Episode, ended: Ms) -> bool:
    """Whether most of those that a gateway carries, and that have had their turn since a cut was over, have said nothing."""
    carried = sole_fed(room.context.topology, "network", episode.alarm.object)
    turns = {d: 2 * room.context.interval(d) for d in carried if room.context.heard(d) is not None}
    due = [d for d, turn in turns.items() if 0 < turn <= room.now - ended]
    silent = sum((room.context.heard(d) or 0) <= ended for d in due)
    return len(due) >= LEAST and 5 * silent >= 4 * len(due)


def lingers(room: Room, episode: Episode, ended: Ms) -> bool:
    """Whether a zone's alarm only waits, after a cut, for those of it that speak rarely."""
    of_it = of_zone(room, episode) and known_since(episode.alarm) < ended + RESTORE_GRACE
    return of_it and not _silent_since(room, episode, ended)


def of_gateway(room: Room, episode: Episode) -> bool:
    """Whether an alarm says that a gateway is away, or its zone silent."""
    rule = room.context.rules.get(episode.alarm.rule)
    return rule is not None and rule.root and rule.utility == "network"


def _of_others(room: Room, root: Episode, gateway: str) -> bool:
    """Whether a cut is more than an instrument's silence, or an old word, and not inferred from what comes by this gateway
    alone, nor a consequence of another one: of gateways that fail together none is the reason of the next."""
    if root.guessed:
        of_gateways = root.root is not None and of_gateway(room, root.root)
        if of_gateways:
            return False
        return several_ways(room, root, {gateway, *_mute(room, root.alarm.object)}) or _witnessed(room, root)
    rule = room.context.rules.get(root.alarm.rule)
    return rule is not None and reports_loss(rule) and not _old_word(room, root)


def _old_word(room: Room, root: Episode) -> bool:
    """Whether a device that said that it has no power has said nothing since what explained that is over."""
    back = restored(root.root.alarm) if root.root is not None else None
    return back is not None and (room.context.heard(root.alarm.object) or 0) <= back


def _most_speak(room: Room, devices: list[str]) -> bool:
    return 5 * sum(_silent(room, device) for device in devices) < 4 * len(devices)


def _silent(room: Room, device: str) -> bool:
    """Whether it has missed two turns; one that has none misses nothing, nor one that never spoke: it is not there yet."""
    heard = room.context.heard(device)
    return heard is not None and 0 < 2 * room.context.interval(device) <= room.now - heard
