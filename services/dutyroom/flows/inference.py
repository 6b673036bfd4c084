"""A feed that says nothing itself, known to be dead from what hangs on it.

Three devices that hang on one feed alone and go dark together are no chance, unless as many others
there are heard meanwhile, or the feed itself. What goes dark together: four fifths of all, or three
within two minutes. One sign of life of the feed, or of more than a fifth, ends what was inferred.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from math import inf

from dutyroom import tickets
from dutyroom.flows.across import ALIVE, KEPT_ALIVE, TOGETHER, WILL, across, gone_by, suspects, undecided
from dutyroom.flows.announced import covering
from dutyroom.flows.causes import dead_feeds, inferred_rule, lost_again, root_rules
from dutyroom.flows.conditions import OWN, clear, fresh, raise_alarm
from dutyroom.flows.episodes import Episode, known_since
from dutyroom.flows.inferred import GUESS, SINCE, SUPPLIED, kept, over, supplied
from dutyroom.flows.neighbours import (
    LEAST,
    ROOT_LATENESS,
    missed_again,
    on_battery,
    reports_loss,
    silent_only,
    telling,
)
from dutyroom.flows.room import ANNUNCIATED, Room
from dutyroom.flows.ticketing import raise_priority
from dutyroom.flows.wills import SETTLES, departed, settled
from dutyroom.flows.witness import SAYS, STEPS, TELLS, told_of
from dutyroom.flows.zones import silent_zones
from dutyroom.model.duty import AlarmEvent, AlarmState, Condition
from dutyroom.rules.spec import Rule
from dutyroom.timebase import MINUTE, SECOND, Ms
from dutyroom.topology import children, explains, feeds_of, sole_below, sole_fed, upstream

HUSH: Ms = 20 * SECOND  # a feed that speaks more often than this has missed its turn by then
_TELLING = 2  # of them say, or are said, to be without supply
_LIVE = "live_from"  # argument of an inferred alarm: since when boards below it speak
# A dead gateway is no power cut: what it explains is no evidence. Gas carries nobody's word: it makes nothing dark.
_ORDER = ("network", "water", "power")


def infer(room: Room) -> None:
    """A root alarm on a feed that is silent together with what hangs on it, and its end."""
    silent = _seeming(room, "power")
    wills = settled(departed(room.context, room.now), room.now)
    _branches(room, {**silent_zones(room), **silent})
    _told_early(room, silent, wills)
    waiting: set[str] = set()  # what is dark behind gateways of which nobody knows yet whether there is a cut
    for utility in [u for u in _ORDER if u in room.context.topology.feeds]:
        dark = _dark(room, utility)
        if utility == "power":
            wills = {device: at for device, at in wills.items() if device not in dark}
            dark = dark | wills
        _end(room, utility, dark)
        dark = {device: at for device, at in dark.items() if device not in waiting}
        while dark and (found := _dead_now(room, utility, dark, wills)):
            for feed, rule in found:
                if utility == "network" and undecided(room, feed, silent):
                    behind = sole_fed(room.context.topology, utility, feed)
                    waiting.update(behind)
                    dark = {device: at for device, at in dark.items() if device not in behind}
                    continue
                _say(room, rule, utility, feed)
                dark[feed] = room.now


def _branches(room: Room, silent: Mapping[str, Ms], feeds: Collection[str] | None = None) -> None:
    for feed in suspects(room, silent):
        rule = _untold(room, feed, silent) if feeds is None or feed in feeds else None
        if rule is not None and across(room, feed, _since_back(room, rule, feed, silent)):
            _say(room, rule, "power", feed)


def _told_early(room: Room, silent: Mapping[str, Ms], wills: Mapping[str, Ms]) -> None:
    """The same, before what is silent has been missed: two devices on one feed say on their battery that they have no supply, or their
    broker says that they have gone. Last wills alone may be a switch that restarts, so it takes one that says so, or that of what the
    gateway of the feed's own instrument carries that alone is silent; and one panel may be a test of its mains."""
    topology = room.context.topology
    saying = {device: at for device, at in _on_battery(room).items() if room.now - at >= SETTLES}
    feeds = set()
    for feed in {feed for device in (*saying, *wills) for feed in upstream(topology, "power", device)}:
        below = {*sole_below(topology, "power", feed)}
        told = sorted(saying.get(d, wills.get(d, 0)) for d in below & (saying.keys() | wills.keys()))
        if len(told) >= _TELLING and (
            not below.isdisjoint(saying) or _alone(room, feed, below, told[_TELLING - 1])
        ):
            feeds.add(feed)
    if feeds:
        gone = {device: at + WILL for device, at in wills.items()}
        _branches(room, {**silent_zones(room), **gone, **saying, **silent}, feeds)


def _alone(room: Room, feed: str, below: Collection[str], since: Ms) -> bool:
    """Whether of what a gateway carries a feed's instrument has missed three turns, and others that have nothing to do with that feed
    have spoken since."""
    heard, turn, topology = room.context.heard, room.context.interval(feed), room.context.topology
    if not turn or room.now - (heard(feed) or room.now) < 3 * turn:
        return False
    by = feeds_of(topology, "network", feed)
    carried = {d for gateway in by for d in children(topology, "network").get(gateway, ())}
    return any((heard(d) or 0) > since for d in carried - {feed, *below})


def _since_back(room: Room, rule: Rule, feed: str, dark: Mapping[str, Ms]) -> Mapping[str, Ms]:
    """What went dark after a cut inferred on this feed was over: what has not come back yet is no second one."""
    standing = room.open.get((rule.id, feed))
    back = supplied(standing.alarm) if standing is not None else None
    return dark if back is None else {device: at for device, at in dark.items() if at > back}


def _untold(room: Room, feed: str, dark: Mapping[str, Ms]) -> Rule | None:
    """The rule whose alarm would say that a feed is dead; None = that is known, or nothing can say it."""
    # Of one that is over it is enough that one has spoken since: ways are counted.
    standing = dead_feeds(room, "power")
    known = {
        f: e
        for f, e in standing.items()
        if over(e.alarm) is None or not _outlived(room, "power", f, e, dark, 1)
    }
    merely = feed in known and _merely_silent(room, feed, known[feed])
    if explains(room.context.topology, "power", feed, known) is not None or (feed in known and not merely):
        return None
    return inferred_rule(room, "power", feed)


def _merely_silent(room: Room, feed: str, episode: Episode) -> bool:
    return _silent(room, feed, episode) and episode.alarm.state in ANNUNCIATED


def _silent(room: Room, feed: str, episode: Episode) -> bool:
    """Whether all that an alarm says is that a feed's own instrument is silent."""
    rule = room.context.rules.get(episode.alarm.rule)
    silent = rule is not None and rule.kind == "stale" and episode.active and not episode.guessed
    return silent and episode.alarm.object == feed


def _end(room: Room, utility: str, dark: Mapping[str, Ms]) -> None:
    """What was inferred and is over by what was heard since."""
    inferred = [e for e in room.open.values() if e.active and e.alarm.arguments.get(GUESS) == utility]
    for episode in inferred:
        if not _alive(room, utility, episode, dark):
            continue
        if episode.alarm.arguments.get(OWN):
            no_guess(room, episode, "alarm.reason.back")
            told = {**episode.alarm.arguments, SUPPLIED: room.now}
            episode.alarm = replace(episode.alarm, arguments=told)
        else:
            # A gateway that is back before anybody was told is nobody's work.
            due = None if utility == "network" else episode.alarm.ticket_due
            episode.alarm = replace(episode.alarm, ticket_due=due)
            clear(room, episode, room.context.rules[episode.alarm.rule], room.now, "alarm.reason.back")


def _say(room: Room, rule: Rule, utility: str, feed: str) -> None:
    told: dict[str, str | int | float | bool | None] = {GUESS: utility, SINCE: room.now}
    _raise(room, rule, Condition(rule.id, feed, True, room.now, arguments=told))


def _raise(room: Room, rule: Rule, condition: Condition) -> None:
    """Where its instrument was silent before, that ends here: what is told now is another thing."""
    standing = room.open.get((rule.id, condition.object))
    if standing is None or not standing.active:
        raise_alarm(room, rule, condition)
        return
    own_due = standing.alarm.ticket_due
    untold = own_due is not None  # the ticket that opens now tells of it
    clear(room, standing, rule, room.now, "alarm.reason.worse")
    raise_alarm(room, rule, condition)
    episode = room.open[rule.id, condition.object]
    due = episode.alarm.ticket_due
    if own_due is not None and due is not None:
        due = min(due, own_due)  # no later than it was: power may be back in a moment, and nobody told
    arguments = {**episode.alarm.arguments, OWN: True}
    episode.alarm = replace(episode.alarm, arguments=arguments, ticket_due=due)
    # One that a person had acknowledged has ended: a new one is told of as ever.
    if episode is standing and not untold:
        room.tell(episode, f"again:{room.now}")
    work = room.works.get(tickets.cause_of(*episode.key))
    if work is not None and rule.priority < work.ticket.priority:
        raise_priority(room, work, rule.priority, "alarm.reason.worse")


def no_guess(room: Room, episode: Episode, reason: str) -> None:
    """What was inferred is over, but it is silent itself: that, and no more, stands from now on."""
    alarm, rule = episode.alarm, room.context.rules[episode.alarm.rule]
    own = fresh(room, rule, Condition(rule.id, alarm.object, True, room.now))
    told = {**own.arguments, **kept(alarm, room.now)}
    episode.alarm = replace(alarm, priority=own.priority, key=own.key, arguments=told)
    room.step(episode, AlarmEvent.NOTE, reason)


def _dark(room: Room, utility: str) -> dict[str, Ms]:
    """Devices that seem to be without this utility, and since when we know. What a dead feed of another
    utility explains says nothing of this one."""
    seeming = _seeming(room, utility)
    others = [u for u in _ORDER if u in room.context.topology.feeds and u != utility] if seeming else ()
    elsewhere = {u: dead_feeds(room, u) for u in others}
    saying = (
        _saying(room) | _heard_on_battery(room) if utility == "power" and seeming else ()
    )  # no want of a gateway
    return {
        device: at
        for device, at in seeming.items()
        if device in saying or not any(_explained(room, u, device, dead) for u, dead in elsewhere.items())
    }


def _seeming(room: Room, utility: str) -> dict[str, Ms]:
    """The same, whatever explains them but a planned outage."""
    dark: dict[str, Ms] = {}
    for episode in room.open.values():
        rule = room.context.rules.get(episode.alarm.rule)
        if rule is None or not episode.active or not (rule.dark or reports_loss(rule)):
            continue
        silent = rule.kind == "stale" and utility != "water"  # no water silences nobody
        if not silent and utility not in rule.utilities:
            continue
        at = known_since(episode.alarm)
        if on_battery(rule) and room.now - at < STEPS:
            continue
        if covering(room, episode, rule) is None:
            dark[episode.alarm.object] = min(at, dark.get(episode.alarm.object, at))
    return dark


def _explained(room: Room, utility: str, device: str, dead: Mapping[str, Episode]) -> bool:
    """By a feed that is itself no victim: a gateway without power explains nothing of a power cut. Nor does one that is back,
    or whose instrument alone is silent, of what was heard since."""
    if not dead:
        return False
    last = room.context.heard(device) or 0
    causes = {feed: root for feed, root in dead.items() if root.alarm.object == feed}
    own = {f for f, root in causes.items() if _own(room, utility, root) and last <= _reaches(room, root)}
    return explains(room.context.topology, utility, device, own) is not None


def _own(room: Room, utility: str, root: Episode) -> bool:
    """Whether nothing else explains it, or only what is dead in the same utility: a gateway, by its own word."""
    above = room.context.rules.get(root.root.alarm.rule) if root.root is not None else None
    return root.root is None or (above is not None and above.utility == utility)


def _reaches(room: Room, root: Episode) -> float:
    """Until when a device must have been silent for this to explain it."""
    if (ended := over(root.alarm)) is not None:
        return ended
    return known_since(root.alarm) + ROOT_LATENESS if silent_only(room, root) else inf


def _dead_now(
    room: Room, utility: str, dark: Mapping[str, Ms], wills: Collection[str]
) -> list[tuple[str, Rule]]:
    """Feeds that must be dead, each with the rule of the alarm that says so; not below dead ones. wills: of the dark ones
    those of which only their broker says so."""
    topology, counted = room.context.topology, dict[str, list[str]]()
    behind = _behind_victims(room, dark) if utility == "power" else {}
    for device in dark:
        feeds = feeds_of(topology, utility, device)
        if len(feeds) == 1:
            counted.setdefault(feeds[0], []).append(device)
    told = told_of(room, utility, dark, wills)
    candidates = sorted(
        feed
        for feed in told | counted.keys()
        if feed in told
        or sum(
            d not in behind or feed in {behind[d], *upstream(topology, "power", behind[d])}
            for d in counted[feed]
        )
        >= LEAST
    )
    if not candidates:
        return []
    known = dead_feeds(room, utility)
    known = {f: e for f, e in known.items() if not _outlived(room, utility, f, e, dark)}
    return [
        (feed, rule)
        for feed in candidates
        if (feed not in known or (feed in told and _silent(room, feed, known[feed])))
        and explains(
            topology,
            utility,
            feed,
            {
                f: e
                for f, e in known.items()
                if f != feed and not (feed in told and _outlived(room, utility, f, e, {feed: room.now}, 1))
            },
        )
        is None
        and (rule := inferred_rule(room, utility, feed)) is not None
        and (feed in told or _proven(room, utility, feed, dark, wills))
    ]


def _behind_victims(room: Room, dark: Mapping[str, Ms]) -> dict[str, str]:
    """Devices that are heard by a gateway alone which has no power itself, and where its cut is: what is silent there says
    something of that cut, or of one above, and nothing of another."""
    topology, found = room.context.topology, dict[str, str]()
    dead = dead_feeds(room, "network") if "network" in topology.feeds else {}
    for device in dark if dead else ():
        gateway = explains(topology, "network", device, dead)
        if gateway is None:
            continue
        root = dead[gateway].root or dead[gateway]
        rule = room.context.rules.get(root.alarm.rule)
        if rule is not None and rule.utility == "power":
            found[device] = root.alarm.object
    return found


def _outlived(
    room: Room, utility: str, feed: str, episode: Episode, dark: Mapping[str, Ms], least: int = LEAST
) -> bool:
    """Whether what hangs on a feed, and is dark now, spoke on though its instrument was silent, or again since it is not, or
    since what had been inferred was over."""
    alarm, rule = episode.alarm, room.context.rules.get(episode.alarm.rule)
    if rule is None or alarm.object != feed:
        return False
    out = alarm.state is AlarmState.OUT_OF_SERVICE
    only = sole_below(room.context.topology, utility, feed)
    if (ended := over(alarm)) is not None:
        same = (over(e.alarm) or ended for e in room.recent if e.key == episode.key)
        # Before that it would hang on the one that is over: see `lost_again`.
        if utility == "power" and room.now < max([ended, *same]) + MINUTE:
            return False
        since, said = ended, {e.alarm.object for e in _losses(room) if not lost_again(room, episode, e, 0)}
    else:
        if episode.guessed or (rule.kind != "stale" and not out):
            return False
        if alarm.state not in ANNUNCIATED and inferred_rule(room, utility, feed) is None:
            return False
        since, said = known_since(alarm), set()
    return sum(d in dark and d not in said and (room.context.heard(d) or 0) > since for d in only) >= least


def _speaking(room: Room, utility: str, feed: str) -> list[str]:
    """What hangs on a feed alone, but what says nothing of its supply though it speaks."""
    only = sole_fed(room.context.topology, utility, feed)
    return telling(room, only) if utility == "power" else [*only]


def _proven(room: Room, utility: str, feed: str, dark: Mapping[str, Ms], wills: Collection[str] = ()) -> bool:
    heard = room.context.heard
    only = _speaking(room, utility, feed)
    last, saying = heard(feed), _saying(room)
    # Below one that has spoken for a minute since, it is a fault of their own that they say.
    quiet = [d for d in only if d in dark and not (d in saying and (last or 0) > dark[d] + MINUTE)]
    told = [d for d in quiet if d in wills]
    if told and not _fell_silent(room, feed, last, min(dark[d] for d in told), wills):
        quiet = [d for d in quiet if d not in wills]
        if len(quiet) < LEAST:
            return False
    if _spoke_after(room, last, quiet, dark):
        return False
    missed = [d for d in quiet if d not in saying and d not in wills]
    if 5 * len(quiet) >= 4 * len(only):
        return (
            feed in dark
            or _hushed(room, feed, last)
            or any((last or 0) <= (heard(d) or 0) + MINUTE for d in missed)
        )
    fresh = [d for d in quiet if dark[d] > room.now - TOGETHER]
    if len(fresh) < LEAST or not _hushed(room, feed, last):
        return False
    since = gone_by(room, fresh, min(dark[d] for d in fresh))
    alive = sum(d not in dark and (heard(d) or 0) > since for d in only)
    return ALIVE * alive <= len(fresh)


def _fell_silent(room: Room, feed: str, last: Ms | None, since: Ms, wills: Collection[str]) -> bool:
    """Whether a feed fell silent with those of which their broker has said since that they have gone, and has missed its turn:
    an access point that restarts takes them, and not its instrument. Of one that was silent before nobody knows."""
    if last is None or feed in wills:
        return feed in wills
    turn = room.context.interval(feed) + TELLS
    return room.now - last >= turn and last >= since - KEPT_ALIVE - turn


def _spoke_after(room: Room, last: Ms | None, quiet: Sequence[str], dark: Mapping[str, Ms]) -> bool:
    """Whether a feed has spoken after each of these had missed a turn: what silences takes minutes to be known."""
    return last is not None and last > max((gone_by(room, [d], dark[d]) for d in quiet), default=last)


def _saying(room: Room) -> set[str]:
    """Devices that go on speaking, and say that they have no power."""
    return {e.alarm.object for e in _losses(room)}


def _on_battery(room: Room) -> dict[str, Ms]:
    """Devices that say on their battery that they have no power, and since when."""
    rules = room.context.rules
    known = ((e, rules.get(e.alarm.rule)) for e in room.open.values() if e.active)
    return {
        e.alarm.object: known_since(e.alarm) for e, rule in known if rule is not None and on_battery(rule)
    }


def _heard_on_battery(room: Room) -> set[str]:
    """Those of them that have missed no two turns."""
    heard, interval = room.context.heard, room.context.interval
    return {d for d in _on_battery(room) if room.now - (heard(d) or 0) < 2 * interval(d)}


def _losses(room: Room) -> list[Episode]:
    known = room.context.rules
    rules = {e: known.get(e.alarm.rule) for e in room.open.values() if e.active and not e.guessed}
    return [e for e, rule in rules.items() if rule is not None and reports_loss(rule)]


def _hushed(room: Room, feed: str, last: Ms | None) -> bool:
    """Whether a feed that speaks has missed its turn; one that never does says nothing."""
    if last is None:
        return True
    interval = room.context.interval(feed)
    return room.now - last >= (min(2 * interval, HUSH) or HUSH)


def _alive(room: Room, utility: str, episode: Episode, dark: Mapping[str, Ms]) -> bool:
    """Whether what was heard since speaks against it. A feed that speaks again may be about to say
    itself that it is dead: it has half a minute for that."""
    heard, since = room.context.heard, known_since(episode.alarm)
    feed, arguments = episode.alarm.object, episode.alarm.arguments
    if (heard(feed) or 0) > since:
        spoke = arguments.get("spoke_at")
        this_time = isinstance(spoke, int) and spoke >= since
        if missed_again(room, feed):
            kept_on = {name: value for name, value in arguments.items() if name != "spoke_at"}
            episode.alarm = replace(episode.alarm, arguments=kept_on)
        elif isinstance(spoke, int) and this_time and room.now - spoke >= SAYS:
            return True
        elif not this_time:
            episode.alarm = replace(episode.alarm, arguments={**arguments, "spoke_at": room.now})
    only = _speaking(room, utility, feed)
    alive = [d for d in only if d not in dark and (heard(d) or 0) > since]
    gone = sum(d in dark for d in only)
    if ALIVE * sum(not _may_say(room, utility, d) for d in alive) > gone:
        return True
    return _holds(room, episode, ALIVE * len(alive) > gone)


def _may_say(room: Room, utility: str, device: str) -> bool:
    """Whether a device that speaks may be about to say that it has no power."""
    return any(reports_loss(rule) for rule in root_rules(room, utility, device))


def _holds(room: Room, episode: Episode, live: bool) -> bool:
    """Whether what may still say otherwise has been live for as long as it needs for that."""
    arguments = dict(episode.alarm.arguments)
    since = arguments.get(_LIVE)
    if live != (since is not None):
        arguments.pop(_LIVE, None)
        episode.alarm = replace(episode.alarm, arguments=arguments | ({_LIVE: room.now} if live else {}))
    return live and isinstance(since, int) and room.now - since >= TELLS
