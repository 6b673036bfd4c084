"""What a duty room had on record in the past: exchanges of meters, planned outages and fire tests, work that plans had done."""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import TypeAlias, cast

from dutyroom.flows.upkeep import Upkeep
from dutyroom.interfaces import Records, Tx
from dutyroom.model.announced import Announced, Announcement
from dutyroom.model.duty import Device, OccurrenceState
from dutyroom.model.metering import Exchange
from dutyroom.plans import Plan
from dutyroom.rules.columns import FOREVER
from dutyroom.timebase import DAY, Ms

_PAGE = 5_000
_NONE: Mapping[str, Ms] = MappingProxyType({})
Done: TypeAlias = tuple[Ms, str, str]  # when, device, plan


@dataclass(frozen=True, slots=True)
class Kept:
    """done: in the order of time."""

    exchanges: Sequence[Exchange] = ()
    announcements: Sequence[Announcement] = ()
    done: Sequence[Done] = ()
    plans: Sequence[Plan] = ()

    def counted(self, since: Ms, until: Ms) -> dict[str, int]:
        """How many there are of [since, until)."""
        mine = [a.kind for a in self.announcements if a.begins < until and _until(a) > max(since, a.begins)]
        return {
            "exchanges": sum(since <= e.at < until for e in self.exchanges),
            "outages": mine.count(Announced.OUTAGE),
            "fire_tests": mine.count(Announced.FIRE_TEST),
            "works": sum(since <= at < until for at, _, _ in self.done),
        }


def kept_of(tx: Tx, site: str, plans: Sequence[Plan]) -> Kept:
    """All that the records of a site have of it. plans: of its folder."""
    return Kept(tx.metering.exchanges(site), tx.announcements.current(site, 0), _done(tx, site), plans)


def _done(tx: Tx, site: str) -> list[Done]:
    found: set[Done] = set()
    since: Ms = 0
    while True:
        page = tx.occurrences.search(site, since=since, limit=_PAGE)
        found.update(
            (o.done_at or o.due, o.object, o.plan)
            for o in page
            if o.state is OccurrenceState.DONE and o.object
        )
        if len(page) < _PAGE:
            return sorted(found)
        since = max(page[-1].due, since + 1)


class Announcements:
    """As they were known at an instant; the records know of an end only what it has become."""

    def __init__(self, every: Sequence[Announcement]) -> None:
        self._every = every
        moments = {
            m for a in every for m in (a.created_at, a.begins, a.ends, a.cancelled_at) if m is not None
        }
        self._moments = sorted(moments)

    def at(self, now: Ms) -> list[Announcement]:
        """Those whose end was not a day ago, as live operation asks for them."""
        return [_as_of(a, now) for a in self._every if a.created_at <= now and a.ends >= now - DAY]

    def next(self, now: Ms) -> Ms:
        """When one begins, ends or becomes known next; FOREVER = never."""
        place = bisect_right(self._moments, now)
        return self._moments[place] if place < len(self._moments) else FOREVER

    def quiet(self, announcement: int | None, now: Ms) -> bool:
        """Whether a planned outage is not over."""
        mine = [a for a in self._every if a.id == announcement and a.kind is Announced.OUTAGE]
        return any(now < _until(a) for a in mine)


def _until(announcement: Announcement) -> Ms:
    cancelled = announcement.cancelled_at
    return announcement.ends if cancelled is None else min(announcement.ends, cancelled)


def _as_of(announcement: Announcement, now: Ms) -> Announcement:
    cancelled = announcement.cancelled_at
    return replace(
        announcement,
        affected=0,
        cancelled_at=cancelled if cancelled is not None and cancelled <= now else None,
    )


class PastUpkeep(Upkeep):
    """What plans had done by an instant of the past, which `look` moves on."""

    def __init__(self, site: str, kept: Kept, time_zone: str, devices: Mapping[str, Device]) -> None:
        super().__init__(site, kept.plans, time_zone, cast(Records, None), devices)
        self._rest = list(reversed(kept.done))
        self._last: defaultdict[str, dict[str, Ms]] = defaultdict(dict)

    def look(self, now: Ms) -> None:
        while self._rest and self._rest[-1][0] <= now:
            at, device, plan = self._rest.pop()
            self._last[device][plan] = at

    def serviced(self, device: str) -> Mapping[str, Ms]:
        return self._last.get(device, _NONE)
