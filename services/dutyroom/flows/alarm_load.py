"""How much rings in a duty room, in the figures of ISA-18.2 (clause 16) and EEMUA 191, for one operator's seat.

Counted is what calls a person, nothing else: not acknowledgements, notes or what hangs on a root. A call that later
data disproves was a call all the same: it is counted, and said beside, but never as an alarm that stood. What later
data raised when it was over called nobody. The limits are
those that reprints of the standards give: target, the most that can be managed, and more than that.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from datetime import time as wall_time
from statistics import median
from zoneinfo import ZoneInfo

import numpy as np

from dutyroom.alarms import CHATTER, CHATTER_IN, FLEETING
from dutyroom.model.telemetry import Longs
from dutyroom.timebase import DAY, MINUTE, Ms, from_local, local_date, to_datetime

SLOT: Ms = 10 * MINUTE
MANY = 10  # alarms in 10 min: more cannot be seen to
CALM = 5  # a flood is over below it
STALE: Ms = DAY
TOP = 10  # sources whose share of all is shown
ENOUGH = 100  # alarms below which a share of sources says nothing
SHIFTS = (wall_time(0), wall_time(8), wall_time(16))  # when shifts begin: nobody sits longer than 8 h


@dataclass(frozen=True, slots=True)
class Ring:
    """One call. cleared_at: None = its condition still holds. waited: ms until acknowledged; None = never. ticket: the
    first one on its work order."""

    at: Ms
    rule: str
    object: str
    priority: int
    cleared_at: Ms | None = None
    waited: Ms | None = None
    ticket: bool = False
    raised: bool = True  # the first one since its condition came; False: it calls again
    disproved: bool = False  # later data: its condition never held
    test: bool = False  # in a fire test that people had announced
    came: bool = (
        True  # its condition did; False: back from a shelf, an outage or service, or not seen to in time
    )

    @property
    def source(self) -> tuple[str, str]:
        return self.rule, self.object


@dataclass(frozen=True, slots=True)
class Graded:
    """A figure beside its limits: at most `target` is good, at most `most` can be managed. None = not known."""

    name: str
    value: float | None
    target: float
    most: float

    @property
    def grade(self) -> str:
        """good, manageable, over, or "" where there is nothing to grade."""
        if self.value is None:
            return ""
        return "good" if self.value <= self.target else "manageable" if self.value <= self.most else "over"


@dataclass(frozen=True, slots=True)
class Shift:
    """All shifts that begin at one time of the day. peak: most calls in any 10 min of them."""

    begins: wall_time
    count: int  # whole shifts that the span has time for, those without a call too
    alarms: int
    tickets: int
    most_alarms: int  # in the worst one
    most_tickets: int
    peak: int


@dataclass(frozen=True, slots=True)
class Actor:
    """One source. chatters: calls that came in bursts; fleeting: gone within 10 s; stale: stood longer than a day."""

    rule: str
    object: str
    alarms: int
    share: float
    chatters: int
    fleeting: int
    stale: int


@dataclass(frozen=True, slots=True)
class Load:
    """What rang from `since` to `until`."""

    since: Ms
    until: Ms
    alarms: int
    tickets: int
    figures: Sequence[Graded]
    peak_at: Ms | None  # begin of the fullest 10 min
    priorities: Sequence[tuple[int, int, float]]  # priority, calls, share
    shifts: Sequence[Shift]
    worst: Sequence[Actor]
    chattering: int  # sources
    fleeting: int
    waited: Ms | None  # median until acknowledged
    prompt: float | None  # share acknowledged within 10 min
    disproved: int = 0  # calls that later data says were none
    tests: int = 0  # calls in announced fire tests: in none of the other figures


def load_of(
    rings: Sequence[Ring],
    since: Ms,
    until: Ms,
    tz: ZoneInfo,
    begins: Sequence[wall_time] = SHIFTS,
    worst: int = 20,
) -> Load:
    """The figures of what called in [since, until), and of what had called before and still stood then. EEMUA 191 looks
    at the alarms of operation: what rang in an announced test was expected, and is counted apart."""
    every = [r for r in rings if since <= r.at < until]
    mine = sorted((r for r in every if not r.test), key=lambda r: r.at)
    stood = [r for r in rings if r.at < until and _overdue(r, since, until)]
    at = np.array([r.at for r in mine], np.int64)
    peak, peak_at = peak_of(at)
    days = max((until - since) / DAY, SLOT / DAY)
    slots = np.unique((at - since) // SLOT, return_counts=True)[1] if len(at) else np.zeros(0, np.int64)
    all_slots = max(1, -(-(until - since) // SLOT))
    actors = _actors(mine, stood)
    top = sum(a.alarms for a in actors[:TOP]) / len(mine) * 100 if len(mine) >= ENOUGH else None
    figures = (
        Graded("per_10min", len(mine) / all_slots, 1, 2),
        Graded("per_day", len(mine) / days, 150, 300),
        Graded("worst_day", float(_worst_day(mine, tz)), 150, 300),
        Graded("peak_10min", float(peak), MANY, MANY),
        Graded("crowded_share", float((slots > MANY).sum()) / all_slots * 100, 1, 5),
        Graded("flood_share", _flood(at, since, until) * 100, 1, 5),
        Graded("stale_most", float(_stale_most(stood, until)), 5, 5),
        Graded("chattering", float(sum(a.chatters > 0 for a in actors)), 0, 3),
        Graded("fleeting", float(sum(a.fleeting for a in actors)), 0, 3),
        Graded("top_share", top, 5, 15),
    )
    waits = [r.waited for r in mine if r.waited is not None]
    return Load(
        since,
        until,
        len(mine),
        sum(r.ticket for r in mine),
        figures,
        peak_at,
        _priorities(mine),
        _shifts(mine, since, until, tz, begins),
        actors[:worst],
        sum(a.chatters > 0 for a in actors),
        sum(a.fleeting for a in actors),
        round(median(waits)) if waits else None,
        sum(w <= SLOT for w in waits) / len(waits) if waits else None,
        sum(r.disproved for r in mine),
        len(every) - len(mine),
    )


def peak_of(at: Longs, width: Ms = SLOT) -> tuple[int, Ms | None]:
    """(most calls in any stretch of `width`, its begin). at: in time order."""
    if not len(at):
        return 0, None
    count = np.searchsorted(at, at + width, "left") - np.arange(len(at))
    first = int(count.argmax())
    return int(count[first]), int(at[first])


def _flood(at: Longs, since: Ms, until: Ms) -> float:
    """Share of the time in a flood: it begins with a slot above 10 calls and ends with one below 5."""
    count = np.bincount((at - since) // SLOT) if len(at) else np.zeros(0, np.int64)
    flooded, inside = 0, False
    for calls in count.tolist():
        inside = calls > MANY or (inside and calls >= CALM)
        flooded += inside
    return flooded * SLOT / max(until - since, SLOT)


def _worst_day(rings: Sequence[Ring], tz: ZoneInfo) -> int:
    return max(Counter(local_date(r.at, tz) for r in rings).values(), default=0)


def _overdue(ring: Ring, since: Ms, until: Ms) -> bool:
    """Whether at some time in [since, until) it had stood for longer than a day."""
    stands = ring.raised and not ring.disproved and not ring.test
    return stands and min(ring.cleared_at or until, until) > max(ring.at + STALE, since)


def _stale_most(stood: Sequence[Ring], until: Ms) -> int:
    """Most alarms at one time that had stood for longer than a day."""
    begins, ends = (
        [(r.at + STALE, 1) for r in stood],
        [(min(r.cleared_at or until, until), -1) for r in stood],
    )
    most = now = 0
    for _, step in sorted(begins + ends):
        now += step
        most = max(most, now)
    return most


def _priorities(rings: Sequence[Ring]) -> list[tuple[int, int, float]]:
    found = Counter(r.priority for r in rings)
    return [(p, found[p], found[p] / max(1, len(rings))) for p in (1, 2, 3, 4)]


def _actors(rings: Sequence[Ring], stood: Sequence[Ring]) -> list[Actor]:
    """The loudest first; also what only stood for longer than a day."""
    by: dict[tuple[str, str], list[Ring]] = {r.source: [] for r in (*rings, *stood)}
    for ring in rings:
        by[ring.source].append(ring)
    stale = Counter(r.source for r in stood)
    found = [
        Actor(
            rule,
            about,
            len(mine),
            len(mine) / max(1, len(rings)),
            _chatters(np.array([r.at for r in mine if r.came], np.int64)),
            sum(r.came and r.cleared_at is not None and r.cleared_at - r.at < FLEETING for r in mine),
            stale[rule, about],
        )
        for (rule, about), mine in by.items()
    ]
    return sorted(found, key=lambda a: (-a.alarms, -a.stale, a.rule, a.object))


def _chatters(at: Longs) -> int:
    """Calls that are part of a burst."""
    last = len(at) - CHATTER + 1
    if last <= 0:
        return 0
    inside = np.zeros(len(at), bool)
    for first in np.flatnonzero(at[CHATTER - 1 :] - at[:last] <= CHATTER_IN).tolist():
        inside[first : first + CHATTER] = True
    return int(inside.sum())


def _shifts(
    rings: Sequence[Ring], since: Ms, until: Ms, tz: ZoneInfo, begins: Sequence[wall_time]
) -> list[Shift]:
    order = sorted(begins)
    at: dict[wall_time, Counter[int]] = {b: Counter() for b in order}
    tickets: dict[wall_time, Counter[int]] = {b: Counter() for b in order}
    calls: dict[wall_time, list[Ms]] = {b: [] for b in order}
    for ring in rings:
        begin, day = _shift(to_datetime(ring.at, tz), order)
        at[begin][day] += 1
        tickets[begin][day] += ring.ticket
        calls[begin].append(ring.at)
    return [
        Shift(
            b,
            _whole(b, order, since, until, tz),
            at[b].total(),
            tickets[b].total(),
            max(at[b].values(), default=0),
            max(tickets[b].values(), default=0),
            peak_of(np.array(calls[b], np.int64))[0],
        )
        for b in order
    ]


def _whole(begin: wall_time, order: Sequence[wall_time], since: Ms, until: Ms, tz: ZoneInfo) -> int:
    """How many whole shifts that begin then the span has time for; what it has of two at its ends counts together."""
    place = order.index(begin)
    last = place + 1 == len(order)
    ends = order[0] if last else order[place + 1]
    inside = length = 0
    for number in range(to_datetime(since, tz).toordinal() - 1, to_datetime(until, tz).toordinal() + 1):
        day = date.fromordinal(number)
        starts = from_local(datetime.combine(day, begin), tz)
        over = from_local(datetime.combine(day + timedelta(days=last), ends), tz)
        if part := max(0, min(over, until) - max(starts, since)):
            inside, length = inside + part, max(length, over - starts)
    return max(1, round(inside / length)) if length else 1


def _shift(moment: datetime, order: Sequence[wall_time]) -> tuple[wall_time, int]:
    """(when the shift begins, number of the day on which it began)."""
    begun = [b for b in order if b <= moment.time()]
    return (begun[-1], moment.toordinal()) if begun else (order[-1], moment.toordinal() - 1)
