"""What people announced, over the alarms: a planned outage mutes what it brings, a fire test marks it.

Neither covers fire, entrapment or gas as an outage; what still holds at the end is told as if it were new.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import replace

from dutyroom import alarms, tickets
from dutyroom.alarms import spans_of
from dutyroom.flows.causes import rule_of
from dutyroom.flows.episodes import Episode, known_since
from dutyroom.flows.room import Room
from dutyroom.flows.ticketing import announce
from dutyroom.model.announced import Announced, Announcement
from dutyroom.model.duty import Alarm, AlarmEvent, TicketEvent, TicketState
from dutyroom.rules.spec import Rule, within
from dutyroom.timebase import SECOND, Ms
from dutyroom.topology import explains

EARLY: Ms = 150 * SECOND  # what was known so shortly before the begin belongs to it
TEST_OVER = "alarm.reason.test_over"
_SILENCING = ("power", "network")  # without them nobody speaks


def covering(room: Room, episode: Episode, rule: Rule) -> Announcement | None:
    """The planned outage that an alarm comes of."""
    return next((a for a in _outages(room, episode, rule) if a.running(room.now)), None)


def covered_until(room: Room, episode: Episode, rule: Rule) -> Ms | None:
    """When the planned outage was over that an alarm came of which stands still; None = it came of none."""
    ends = (over_since(a, room.now) for a in _outages(room, episode, rule))
    return max((end for end in ends if end is not None and end > known_since(episode.alarm)), default=None)


def over_since(outage: Announcement, now: Ms) -> Ms | None:
    """When it was over; None = it is not."""
    return _ends(outage) if outage.over(now) else None


def _outages(room: Room, episode: Episode, rule: Rule) -> Iterator[Announcement]:
    """Those that had begun when an alarm came, and concern it."""
    if not room.announced or rule.vital or episode.alarm.test:
        return
    of = [
        a
        for a in room.announced.values()
        if a.kind is Announced.OUTAGE and _covers(room, a, rule, episode.alarm.object)
    ]
    for announcement in of:
        if known_since(episode.alarm) >= _begins(announcement, of) - EARLY:
            yield announcement


def _begins(outage: Announcement, of: Collection[Announcement]) -> Ms:
    """When it began, or the first of those of the same place that passed into it without a pause: who announces the rest of the work
    anew prolongs it."""
    begins = outage.begins
    for other in sorted(of, key=lambda a: a.begins, reverse=True):
        if other.begins < begins <= _ends(other) + EARLY:
            begins = other.begins
    return begins


def _ends(outage: Announcement) -> Ms:
    return min(outage.ends, outage.cancelled_at or outage.ends)


def _covers(room: Room, outage: Announcement, rule: Rule, device: str) -> bool:
    """Whether what a rule says of a device may come of an outage: the device is named, lies in a space that is, or is fed by such
    devices alone. One of everything is one of each utility, and of all else at what it names."""
    own, utility = device in _devices(room, outage), outage.utility
    if utility:
        return _concerns(utility, rule) and (own or _feeds(room, outage, utility, device))
    if own and not rule.fire:
        return True
    return any(_concerns(u, rule) and _feeds(room, outage, u, device) for u in room.context.topology.feeds)


def _concerns(utility: str, rule: Rule) -> bool:
    """Whether what this rule says may come of an outage of a utility."""
    silent = rule.kind == "stale" and utility in _SILENCING and not rule.fire
    return silent or utility == rule.utility or utility in rule.utilities


def _feeds(room: Room, outage: Announcement, utility: str, device: str) -> bool:
    return explains(room.context.topology, utility, device, _devices(room, outage)) is not None


def _devices(room: Room, announcement: Announcement) -> frozenset[str]:
    """Those that are named, or lie in a space that is."""
    named = room.named.get(announcement.id)
    if named is None:
        named = room.named[announcement.id] = _named(room, announcement)
    return named


def _named(room: Room, announcement: Announcement) -> frozenset[str]:
    devices = room.context.devices
    if not announcement.devices and not announcement.spaces:
        return frozenset(devices)
    inside = {d.id for d in devices.values() if any(within(d.space, s) for s in announcement.spaces)}
    return frozenset(inside.union(announcement.devices))


def mute(room: Room, episode: Episode, announcement: Announcement) -> None:
    """Suppressed by design, with the reason that the person gave. A work order of an earlier time stays what it is."""
    episode.root = None
    room.step(episode, AlarmEvent.SUPPRESS, announcement.reason)
    episode.alarm = replace(episode.alarm, announced=announcement.id)
    _count(room, announcement)
    work = room.works.get(tickets.cause_of(*episode.key))
    if work is None or work.ticket.opened_at < announcement.begins - EARLY:
        return
    if work.of(episode) and work.ticket.state is TicketState.OPEN:
        room.ticket(work, TicketEvent.CANCEL, announcement.reason)
        del room.works[work.ticket.cause]
        room.opened.append(work)
        episode.alarm = replace(episode.alarm, ticket=None)


def passed_on(room: Room, episode: Episode) -> bool:
    """Whether the next planned outage keeps it quiet where one is over."""
    rule = rule_of(room, episode)
    following = covering(room, episode, rule) if rule is not None else None
    if following is None:
        return False
    episode.alarm = replace(episode.alarm, announced=following.id)
    _count(room, following)
    return True


def muted(room: Room, alarm: Alarm) -> bool:
    """Whether a planned outage that is not over covers it."""
    known = room.announced.get(alarm.announced or 0)
    return known is not None and known.kind is Announced.OUTAGE and known.running(room.now)


def began_in(room: Room, alarm: Alarm, rule: Rule) -> bool:
    """Whether it began in a planned outage that is over, and that covered it."""
    begin = spans_of(alarm)[-1][0]
    return any(
        a.kind is Announced.OUTAGE
        and a.over(room.now)
        and a.begins <= begin < _ends(a)
        and _covers(room, a, rule, alarm.object)
        for a in room.announced.values()
    )


def _count(room: Room, announcement: Announcement) -> None:
    known = room.announced[announcement.id]
    room.announced[announcement.id] = replace(known, affected=known.affected + 1)


# ------------------------------------------------------------ fire tests


def as_test(room: Room, rule: Rule, alarm: Alarm) -> Alarm:
    """A new alarm, marked where its device is being tested."""
    if not rule.fire:
        return alarm
    for announcement in room.announced.values():
        if announcement.kind is not Announced.FIRE_TEST or not announcement.running(room.now):
            continue
        if alarm.object in _devices(room, announcement):
            _count(room, announcement)
            arguments = {**alarm.arguments, "test": True}
            return replace(alarm, test=True, announced=announcement.id, arguments=arguments)
    return alarm


def end_tests(room: Room) -> None:
    """What still holds when its test is over is a true alarm."""
    for episode in list(room.open.values()):
        alarm = episode.alarm
        if not alarm.test or not episode.active:
            continue
        known = room.announced.get(alarm.announced or 0)
        rule = rule_of(room, episode)
        if rule is None or (known is not None and not known.over(room.now)):
            continue
        plain = {name: value for name, value in alarm.arguments.items() if name != "test"}
        episode.alarm = replace(
            alarm, test=False, announced=None, ticket=None, arguments=plain, called_at=room.now
        )  # its times run from now on, also on a ticket of an earlier fire
        if alarms.following(episode.alarm, AlarmEvent.REALARM) is not None:
            room.step(episode, AlarmEvent.REALARM, TEST_OVER)
        announce(room, episode, rule)
