"""What explains an alarm: dead feeds above it, alarms that its rule names."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from dutyroom.alarms import spans_of
from dutyroom.flows.episodes import Episode, known_since
from dutyroom.flows.inferred import over, restored
from dutyroom.flows.neighbours import (
    LEAST,
    RESTORE_GRACE,
    ROOT_LATENESS,
    long_unheard,
    of_zone,
    on_battery,
    reports_loss,
    says_more,
    silent_only,
    spoke_on,
)
from dutyroom.flows.room import ANNUNCIATED, Room
from dutyroom.flows.switching import going_over, starting
from dutyroom.flows.zones import cut_of, lingers, of_gateway, own_fault, unheard_by
from dutyroom.model.duty import Alarm, AlarmState
from dutyroom.rules.behind import done_in, waiting_in
from dutyroom.rules.kind import GAPS
from dutyroom.rules.spec import Cause, Rule, TicketPolicy, matches
from dutyroom.timebase import MINUTE, Ms
from dutyroom.topology import children, downstream, explains, feeds_of, sole_below, upstream


def root_of(
    room: Room, episode: Episode, dead: dict[str, dict[str, Episode]], beside: bool = False
) -> Episode | None:
    """The alarm at the top of what explains this one. beside: an instrument that is silent explains it though what
    hangs beside it has spoken."""
    rule = room.context.rules.get(episode.alarm.rule)
    if rule is None:
        return None
    for utility in rule.utilities:
        if utility not in dead:
            dead[utility] = dead_feeds(room, utility)
        explaining = {
            f: root
            for f, root in dead[utility].items()
            if not says_more(room, root, episode)
            and not lost_again(room, root, episode)
            and not unheard_by(room, root, episode)
            and not long_unheard(room, root, episode)
            and not _out_since(room, root, episode)
            and not _off_the_air(room, root, rule)
            and (beside or not spoke_on(room, root, episode))
        }
        if utility == "power":
            explaining |= starting(room, episode.alarm.object, explaining)
        feed = _dead_feed(room, utility, episode.alarm.object, explaining)
        if feed is None and utility == "power" and reports_loss(rule):
            feed = going_over(room, episode.alarm.object, explaining)
        top = top_of(explaining[feed], episode) if feed is not None else None
        if top is not None and (utility != "network" or own_fault(room, episode, top, dead[utility])):
            return top
    for cause in rule.explained_by:
        for object in objects(room, cause, episode.alarm.object):
            found = room.open.get((cause.rule, object))
            if cause.above == "network" and (found is None or not _explaining(room, found)):
                found = _lately(room, cause.rule, object) or _without_supply(room, object, episode, dead)
            if found is None or not _explaining(room, found) or _long_before(room, cause, found, episode):
                continue
            if cause.above == "network" and _no_way_of(room, found, episode):
                continue
            if top := top_of(found, episode):
                return top
    cut = cut_of(room, episode, dead.get("power", {}))
    return top_of(cut, episode) if cut is not None else None


def _long_before(room: Room, cause: Cause, found: Episode, episode: Episode) -> bool:
    """Whether what would explain an alarm stood too long before it came: of a device that speaks rarely longer, for it may have
    had no turn before."""
    turns = GAPS * room.context.interval(episode.alarm.object)
    return bool(cause.within) and known_since(found.alarm) < known_since(episode.alarm) - max(
        cause.within, turns
    )


def _out_since(room: Room, root: Episode, episode: Episode) -> bool:
    """Whether a root stands where nobody looks, on a device out of service, since before an alarm's device was last heard: it hides nothing
    that happens later. Of what says that there is no supply it is enough that something below was heard; an instrument that is silent
    alone is taken for a cut as one in service is."""
    if root.alarm.state is not AlarmState.OUT_OF_SERVICE or episode.root is root:
        return False
    topology, device, known = room.context.topology, episode.alarm.object, known_since(root.alarm)
    hanging, says = set[str](), rule_of(room, root)
    if says is not None and reports_loss(says):
        hanging = downstream(topology, "power", device) | downstream(topology, "network", device)
    return any((room.context.heard(d) or 0) > known + ROOT_LATENESS for d in {device, *hanging})


def _off_the_air(room: Room, root: Episode, rule: Rule) -> bool:
    """Whether a root is an instrument's silence for which people announced that its network is away: no reason that something says that
    it has no supply."""
    outage = room.announced.get(root.alarm.announced or 0)
    if outage is None or outage.utility != "network" or not silent_only(room, root):
        return False
    return on_battery(rule) or reports_loss(rule)


def _lately(room: Room, rule: str, object: str) -> Episode | None:
    """An alarm that has ended, and may explain still what is coming back: one that hung on a cut ends with the first word."""
    return next((e for e in room.recent if e.key == (rule, object) and _explaining(room, e)), None)


def _without_supply(
    room: Room, gateway: str, episode: Episode, dead: dict[str, dict[str, Episode]]
) -> Episode | None:
    """What takes its supply from a gateway of which its broker has not said yet that it is away: a cut that is more than an instrument's
    silence, or announced, where nothing that the gateway carries was heard since. Of one with a supply of its own something is."""
    if "power" not in dead:
        dead["power"] = dead_feeds(room, "power")
    cuts = {f: e for f, e in dead["power"].items() if not silent_only(room, e) or _announced(room, e)}
    feed = explains(room.context.topology, "power", gateway, cuts)
    root = None if feed is None else top_of(cuts[feed], episode)
    if root is None:
        return None
    carried = {episode.alarm.object, *children(room.context.topology, "network").get(gateway, ())}
    since = known_since(root.alarm)
    return None if any((room.context.heard(d) or 0) > since for d in carried) else root


def _announced(room: Room, episode: Episode) -> bool:
    """Whether a planned outage keeps it quiet."""
    outage = room.announced.get(episode.alarm.announced or 0)
    return outage is not None and not episode.alarm.test and outage.running(room.now)


def _no_way_of(room: Room, found: Episode, episode: Episode) -> bool:
    """Whether a gateway that is said to be away is no reason that a device is not heard: it was heard since, by another way or by a
    gateway that says so wrongly. One of which nobody is told hides nothing either."""
    hidden = found.alarm.state in (AlarmState.SHELVED, AlarmState.OUT_OF_SERVICE)
    return hidden or (room.context.heard(episode.alarm.object) or 0) > known_since(found.alarm)


def lost_again(room: Room, root: Episode, episode: Episode, steady: Ms = MINUTE) -> bool:
    """Whether an alarm says that there is no power again, after its root was over and its device was live: what hangs on it
    has spoken in between, or it had said so itself. steady: for how long; of one that is dead sooner supply comes back by
    fits and starts."""
    rule, ended = room.context.rules.get(episode.alarm.rule), restored(root.alarm)
    loss = rule is not None and reports_loss(rule)
    if ended is None or not (loss or episode.alarm.arguments.get("inferred") == "power"):
        return False
    since = max((begun for begun, _ in spans_of(episode.alarm)), default=ended)
    live = _said_live(room, episode)
    if since < max((ended, *live)) + steady:
        return False
    below = sole_below(room.context.topology, "power", episode.alarm.object)
    if sum((room.context.heard(d) or 0) > ended for d in below) >= LEAST:
        return True
    return loss and any(at > known_since(root.alarm) for at in live)


def _said_live(room: Room, episode: Episode) -> list[Ms]:
    """When what an alarm says was over before, as far as is known."""
    same = (e.alarm for e in room.recent if e.key == episode.key and e is not episode)
    ends = [over(alarm) for alarm in same if not alarm.disproved]
    return [at for at in (*ends, *(end for _, end in spans_of(episode.alarm)[:-1])) if at is not None]


def _dead_feed(room: Room, utility: str, device: str, dead: Mapping[str, Episode]) -> str | None:
    """What explains that a device is dead: of mains and a generator that does not run the mains."""
    topology = room.context.topology
    feed = explains(topology, utility, device, dead)
    if feed is None or not _idle(room, dead[feed], utility):
        return feed
    above = sorted(upstream(topology, utility, device) & dead.keys())
    return next((other for other in above if not _idle(room, dead[other], utility)), feed)


def _idle(room: Room, root: Episode, utility: str) -> bool:
    rule = room.context.rules.get(root.alarm.rule)
    return rule is not None and rule.idle == utility


def top_of(root: Episode, episode: Episode) -> Episode | None:
    """The end of the chain of roots; None when it leads back to the episode itself, also by what came of it and is over."""
    seen = {id(episode)}
    while id(root) not in seen and root.root is not episode:
        seen.add(id(root))
        if root.root is None or root.alarm.state is not AlarmState.SUPPRESSED:
            return root
        root = root.root
    return None


def objects(room: Room, cause: Cause, object: str) -> list[str]:
    """Where the alarm of a cause would stand."""
    if cause.below:
        return sorted(downstream(room.context.topology, cause.below, object))
    if cause.above:
        return sorted(upstream(room.context.topology, cause.above, object))
    if cause.parameter:
        device = room.context.devices.get(object)
        return [str(device.parameters.get(cause.parameter, ""))] if device else []
    if cause.naming:
        devices = room.context.devices.values()
        return sorted(d.id for d in devices if d.parameters.get(cause.naming) == object)
    return [object]


def dead_feeds(room: Room, utility: str) -> dict[str, Episode]:
    """Feeds that are dead in a utility, by device; a gateway without power feeds nothing."""
    dead: dict[str, Episode] = {}
    partly: list[Episode] = []
    for episode, rule in roots(room, utility):
        if rule.idle != utility or _of_all(room, episode, rule, utility):
            dead[episode.alarm.object] = episode
        else:
            partly.append(episode)
    for episode in partly:
        for device in late_devices(episode.alarm, room.now):
            if device not in dead and _without(room, utility, device, episode.alarm.object, dead):
                dead[device] = episode
    if utility != "power":
        power = dead_feeds(room, "power")
        feeds = room.context.topology.feeds.get(utility, {})
        for feed in {f for fs in feeds.values() for f in fs} - set(dead):
            root = explains(room.context.topology, "power", feed, power)
            if root is not None:
                dead[feed] = power[root]
    return dead


def roots(room: Room, utility: str) -> list[tuple[Episode, Rule]]:
    """Alarms that say that a feed is dead in this utility, with their rules; what stands comes last, and of that what says more
    than that an instrument is silent: one that said that it has no power falls silent as well."""
    found = []
    for episode in (*room.recent, *room.open.values()):
        rule = room.context.rules.get(episode.alarm.rule)
        if rule and _says_dead(rule, utility) and _explaining(room, episode):
            found.append((episode, rule))
    return sorted(found, key=lambda pair: (pair[0].active, not silent_only(room, pair[0])))


def _says_dead(rule: Rule, utility: str) -> bool:
    return rule.idle == utility or (rule.root and rule.utility == utility)


def _of_all(room: Room, episode: Episode, rule: Rule, utility: str) -> bool:
    """Whether what is late concerns all that hangs on the device: of two switches one may have its load on it."""
    steps, late = rule.parameters.get("steps"), rule.parameters.get("late")
    listed = steps if isinstance(steps, tuple) else ()
    on = {step.on for step in listed if step.on and step.name == late}
    below = downstream(room.context.topology, utility, episode.alarm.object) if on else set()
    found = (room.context.devices.get(device) for device in below)
    return sum(device is not None and device.device_class in on for device in found) <= 1


def late_devices(alarm: Alarm, now: Ms) -> list[str]:
    """Of several devices that one feeds those that a step of it is late at, or was until a moment ago."""
    lately = [d for d, at in done_in(alarm.arguments).items() if now - at < RESTORE_GRACE]
    return [*waiting_in(alarm.arguments), *lately]


def _without(room: Room, utility: str, device: str, idle: str, dead: Mapping[str, Episode]) -> bool:
    """Whether a device has no feed alive beside the one (`idle`) whose supply has not come to it."""
    topology = room.context.topology
    others = [
        feed
        for feed in feeds_of(topology, utility, device)
        if feed != idle and idle not in upstream(topology, utility, feed)
    ]
    return all(feed in dead or explains(topology, utility, feed, dead) is not None for feed in others)


def _explaining(room: Room, root: Episode) -> bool:
    """A root explains while it stands, and for the grace in which its consequences come back."""
    ended = over(root.alarm)
    if ended is not None and of_zone(room, root):  # its zone may speak long after the gateway is back
        ended = min([ended, *_ends_of_gateway(room, root)])
    back = restored(root.root.alarm) if root.root is not None else None
    if back is not None and lingers(room, root, back):
        return False
    return not root.alarm.disproved and (ended is None or room.now - ended < RESTORE_GRACE)


def _ends_of_gateway(room: Room, zone: Episode) -> list[Ms]:
    """When alarms of a gateway itself were over, since its zone fell silent or just before."""
    object, since = zone.alarm.object, known_since(zone.alarm) - RESTORE_GRACE
    own = (e for e in (*room.open.values(), *room.recent) if e.alarm.object == object and e is not zone)
    ends = (over(e.alarm) for e in own if of_gateway(room, e) and not of_zone(room, e))
    return [end for end in ends if end is not None and end >= since]


def root_rules(room: Room, utility: str, feed: str) -> tuple[Rule, ...]:
    """The rules whose alarm on this feed says that it is dead in this utility."""
    device = room.context.devices.get(feed)
    key = (utility, device.device_class if device else "")
    found = room.root_rules.get(key)
    if found is None:
        found = room.root_rules[key] = tuple(
            r
            for r in room.context.rules.values()
            if r.root and r.utility == utility and key[1] in r.select.classes
        )
    return found


def inferred_rule(room: Room, utility: str, feed: str, own: str = "") -> Rule | None:
    """The rule whose alarm says that this feed is away: silence before anything else, as grave as the gravest of them and told
    at once; of a gateway when its own rule says, for it may be back in a moment. own: whose alarm it is already; else none
    whose alarm stands where nobody looks."""
    rules = root_rules(room, utility, feed)
    fit = [r for r in rules if (r.id == own if own else not _hidden(room, r, feed))]
    if not fit:
        return None
    first = min(fit, key=lambda r: (r.kind != "stale", r.priority))
    worst = min(rules, key=lambda r: r.priority)
    ticket = first.ticket if utility == "network" else TicketPolicy(0)
    return replace(first, priority=worst.priority, respond_within=worst.respond_within, ticket=ticket)


def _hidden(room: Room, rule: Rule, feed: str) -> bool:
    """Whether the alarm of a rule stands already, on a shelf or as the consequence of something else."""
    standing = room.open.get((rule.id, feed))
    return standing is not None and standing.active and standing.alarm.state not in ANNUNCIATED


def rule_of(room: Room, episode: Episode) -> Rule | None:
    """The rule that an alarm follows; one that is inferred as that of the gravest root."""
    utility = episode.alarm.arguments.get("inferred")
    if isinstance(utility, str) and (found := inferred_rule(room, utility, *reversed(episode.key))):
        return found
    return room.context.rules.get(episode.alarm.rule)


def may_have_root(room: Room, rule: Rule, object: str) -> bool:
    """Whether waiting for a root of this alarm makes sense: never for fire, entrapment and gas."""
    if rule.latched or not rule.waits:
        return False
    if any(_may_die(room, utility, object) for utility in rule.utilities):
        return True
    return any(_possible(room, cause, object) for cause in rule.explained_by)


def _may_die(room: Room, utility: str, object: str, seen: frozenset[str] = frozenset()) -> bool:
    """Whether a root alarm could ever stand on something that feeds it in this utility."""
    for feed in set(feeds_of(room.context.topology, utility, object)) - seen:
        if root_rules(room, utility, feed) or _may_die(room, utility, feed, seen | {object}):
            return True
        if utility != "power" and _may_die(room, "power", feed):
            return True
    return False


def _possible(room: Room, cause: Cause, object: str) -> bool:
    """Whether the alarm of a cause could ever stand where it would explain ours."""
    rule = room.context.rules.get(cause.rule)
    places = (room.context.devices.get(place) for place in objects(room, cause, object))
    return rule is not None and any(place and matches(rule.select, place) for place in places)
