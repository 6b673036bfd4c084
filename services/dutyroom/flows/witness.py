"""A feed known to be dead by a witness: below it something goes on speaking on its battery and says that it has no supply.

What stands, and when each device was heard, goes in; feeds come out whose own instruments fell silent just then. Silence alone
is judged by `inference`.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from dutyroom.alarms import spans_of
from dutyroom.flows.inferred import GUESS
from dutyroom.flows.neighbours import LEAST, RESTORE_GRACE, ROOT_LATENESS, on_battery
from dutyroom.flows.room import Room
from dutyroom.timebase import MINUTE, SECOND, Ms
from dutyroom.topology import children, feeds_of, sole_fed

TELLS: Ms = 10 * SECOND  # a board that speaks again has by then
STEPS: Ms = MINUTE  # what is on its battery for less hangs on a switch that makes a step
SAYS: Ms = 30 * SECOND  # a feed that speaks has said by then whether it is dead
_PAIR = 2  # boards with the same feeds: two do not fail by chance


def told_of(room: Room, utility: str, dark: Mapping[str, Ms], wills: Collection[str]) -> set[str]:
    """Feeds whose own instrument fell silent just when something below, that goes on speaking on a battery, said that it has no
    supply, with a third one that has missed its turns; nothing else there has spoken since."""
    found: set[str] = set()
    saying = {d for d in dark if d not in wills and _witness(room, d)} if utility == "power" else set()
    for feed in {feed for d in saying for feed in feeds_of(room.context.topology, utility, d)}:
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
        rest = {d: room.context.heard(d) for d in only if d not in saying}
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
    """The feeds of boards that have the same two or more and are dead together: their own instruments fell silent just then, and
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
        if len(feeds := feeds_of(topology, "power", board)) > 1:
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


def _witness(room: Room, device: str) -> bool:
    alarms = (e for e in room.open.values() if e.alarm.object == device and e.active)
    known = (room.context.rules.get(e.alarm.rule) for e in alarms)
    return any(rule is not None and on_battery(rule) for rule in known)


def _lost_from(room: Room, device: str, since: Ms) -> Ms:
    """Since when a witness says so, by its own clock, for what it says may come late; short returns of its supply left out: what
    hangs on a gateway has had no time to speak in one."""
    episodes = (e for e in (*room.open.values(), *room.recent) if e.alarm.object == device)
    known = ((e, room.context.rules.get(e.alarm.rule)) for e in episodes)
    spans = [span for e, rule in known if rule is not None and on_battery(rule) for span in spans_of(e.alarm)]
    for begun, gone in sorted(spans, key=lambda span: span[0], reverse=True):
        late = gone is None and since - begun < ROOT_LATENESS
        if begun < since and (late or (gone is not None and since - gone < RESTORE_GRACE)):
            since = begun
    return since
