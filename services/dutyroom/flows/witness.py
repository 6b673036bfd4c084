"""A feed known to be dead by a witness: below it something goes on speaking on its battery and says that it has no supply.

What stands, and when each device was heard, goes in; feeds come out whose own instruments fell silent just then. Silence alone
is judged by `inference`.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from dutyroom.alarms import spans_of
from dutyroom.flows.announced import covered_until, over_since
from dutyroom.flows.episodes import Episode
from dutyroom.flows.inferred import GUESS
from dutyroom.flows.neighbours import (
    LEAST,
    RESTORE_GRACE,
    ROOT_LATENESS,
    on_battery,
    reports_loss,
    tells_nothing,
)
from dutyroom.flows.room import Room
from dutyroom.timebase import HOUR, MINUTE, SECOND, Ms
from dutyroom.topology import children, feeds_of, sole_fed, upstream

TELLS: Ms = 10 * SECOND  # a board that speaks again has by then
STEPS: Ms = MINUTE  # what is on its battery for less hangs on a switch that makes a step
SAYS: Ms = 30 * SECOND  # a feed that speaks has said by then whether it is dead
STARTS: Ms = 2 * MINUTE  # a gateway, and what it carries
_PAIR = 2  # boards with the same feeds: two do not fail by chance


def told_of(room: Room, utility: str, dark: Mapping[str, Ms], wills: Collection[str]) -> set[str]:
    """Feeds whose own instrument fell silent just when something below, that goes on speaking on a battery, said that it has no
    supply, with a third one that has missed its turns; nothing else there has spoken since."""
    found: set[str] = set()
    saying = (_witnesses(room) & dark.keys()) - set(wills) if utility == "power" else set()
    for feed in {feed for d in saying for feed in feeds_of(room.context.topology, utility, d)}:
        saying -= {d for d in saying if _loose(room, d, feed) or not _says_on(room, d, dark[d])}
        last, turn = room.context.heard(feed), room.context.interval(feed)
        only = sole_fed(room.context.topology, utility, feed)
        mine = [dark[d] for d in only if d in saying]
        if last is None or not turn or not mine or room.now - last < max(3 * turn, STEPS):
            continue
        since = min(mine)
        own = max(
            (room.context.interval(d) for d in only if d in saying), default=0
        )  # until it says so itself
        first = min(_lost_from(room, d, dark[d]) for d in only if d in saying)
        if not first - 3 * turn - own - TELLS <= last <= since + SAYS:
            continue
        rest = {d: room.context.heard(d) for d in only if d not in saying and not tells_nothing(room, d)}
        missed = [
            d
            for d, at in rest.items()
            if (every := room.context.interval(d))
            and at is not None
            and room.now - at >= max(3 * every, STEPS)
        ]
        if len(mine) + len(missed) + 1 >= LEAST and not any((at or 0) > since + SAYS for at in rest.values()):
            found.add(feed)
    return found | _of_several(room, found)


def _of_several(room: Room, told: set[str]) -> set[str]:
    """The feed of boards, or all where they have several, that have the same and are dead together: their own instruments fell silent just then, and
    nothing that hangs on them alone has spoken since. One that had been silent before says nothing. Where these have one feed
    themselves of which the same is true, that."""
    topology, found = room.context.topology, set[str]()
    if not told:
        return found
    inferred = (
        e.alarm.object for e in room.open.values() if e.active and e.alarm.arguments.get(GUESS) == "power"
    )
    groups: dict[tuple[str, ...], list[str]] = {}
    for board in told | set(inferred):
        if feeds := feeds_of(topology, "power", board):
            groups.setdefault(tuple(sorted(feeds)), []).append(board)
    for feeds, boards in groups.items():
        until = max(room.context.heard(board) or 0 for board in boards) + SAYS
        if len(boards) < _PAIR or not _silent_since(room, feeds, until):
            continue
        above = {feeds_of(topology, "power", feed) for feed in feeds}
        top = above.pop() if len(above) == 1 else ()
        if len(top) != 1 or not _silent_since(room, top, until):
            top = feeds
        found |= {feed for feed in top if (room.context.heard(feed) or 0) > until - RESTORE_GRACE}
    return found


def _silent_since(room: Room, feeds: Collection[str], until: Ms) -> bool:
    """Whether the instruments of feeds, and all that hangs on them alone, have said nothing since, and these have missed their
    turns."""
    heard, interval, fed = room.context.heard, room.context.interval, children(room.context.topology, "power")
    every = {device for feed in feeds for device in fed.get(feed, ())}
    alone = {d for d in every if set(feeds_of(room.context.topology, "power", d)) <= set(feeds)}
    missed = all(
        interval(feed) > 0 and room.now - (heard(feed) or room.now) >= max(3 * interval(feed), STEPS)
        for feed in feeds
    )
    return missed and not any((heard(d) or 0) > until for d in (*feeds, *alone))


def _witnesses(room: Room) -> set[str]:
    """Devices that say so. What they said while a planned outage kept that quiet they have to say anew after its end: their supply may
    have come back with it, or just before. What hung on one outage is judged together."""
    held = {outage for outage in room.announced if awaited_after(room, outage)}
    mine = [e for e in room.open.values() if e.active and _says_so(room, e)]
    return {e.alarm.object for e in mine if e.alarm.announced not in held and not _awaited(room, e)}


def awaited_after(room: Room, outage: int) -> bool:
    """Whether a planned outage is just over, and what it covered may be about to speak: what said that it has no supply has not said it
    anew (then the whole board is dead, and one ticket), or nothing says anything, and gateways start. For two minutes at most, or where
    a person has ended it, who has switched on, for the grace that all has after a cut. Not where a feed says itself that it is dead."""
    mine = [e for e in room.open.values() if e.alarm.announced == outage and e.active]
    rules = [rule for e in mine if (rule := room.context.rules.get(e.alarm.rule)) is not None]
    if any(reports_loss(rule) for rule in rules):
        return False
    saying = [e for e in mine if _says_so(room, e)]
    if saying:
        return any(_awaited(room, e, STARTS) for e in saying)
    known = room.announced[outage]
    ended = over_since(known, room.now)
    if ended is None or known.utility == "network" or not any(rule.root for rule in rules):
        return False
    return room.now - ended < (STARTS if known.cancelled_at is None else RESTORE_GRACE)


def _says_so(room: Room, episode: Episode) -> bool:
    rule = room.context.rules.get(episode.alarm.rule)
    return rule is not None and on_battery(rule)


def _says_on(room: Room, device: str, since: Ms) -> bool:
    """Whether a witness that speaks each minute or quicker has said it again a minute later: its word that the supply is back may be on its
    way."""
    every = room.context.interval(device)
    return not 0 < every <= STEPS or (room.context.heard(device) or 0) >= since + STEPS - TELLS


def _awaited(room: Room, episode: Episode, long: Ms = HOUR) -> bool:
    ended = covered_until(room, episode, room.context.rules[episode.alarm.rule])
    if ended is None or room.now >= ended + long:
        return False
    return (room.context.heard(episode.alarm.object) or 0) < ended + MINUTE


def _losses(room: Room, device: str) -> list[tuple[Ms, Ms | None]]:
    """From when to when a device said so, in order."""
    episodes = (e for e in (*room.recent, *room.open.values()) if e.alarm.object == device)
    spans = (span for e in episodes if _says_so(room, e) for span in spans_of(e.alarm))
    return sorted(spans, key=lambda span: span[0])


def _loose(room: Room, device: str, feed: str) -> bool:
    """Whether a device that hangs on a feed has said so twice within the last hour, for a minute or longer, while no alarm stood there
    or above: it is its own supply that comes and goes."""
    if feed not in feeds_of(room.context.topology, "power", device):
        return False
    above = {feed, *upstream(room.context.topology, "power", feed)}
    alarms = [
        e.alarm
        for e in (*room.recent, *room.open.values())
        if e.alarm.object in above and not e.alarm.disproved
    ]
    theirs = [span for alarm in alarms for span in spans_of(alarm)]
    own = [
        (begun, gone)
        for begun, gone in _losses(room, device)
        if gone is not None and gone - begun >= STEPS and gone > room.now - HOUR
    ]
    return sum(not any(a <= gone and (b is None or b >= begun) for a, b in theirs) for begun, gone in own) > 1


def _lost_from(room: Room, device: str, since: Ms) -> Ms:
    """Since when a witness says so, by its own clock, for what it says may come late; short returns of its supply left out: what
    hangs on a gateway has had no time to speak in one."""
    for begun, gone in reversed(_losses(room, device)):
        late = gone is None and since - begun < ROOT_LATENESS
        if begun < since and (late or (gone is not None and since - gone < RESTORE_GRACE)):
            since = begun
    return since
