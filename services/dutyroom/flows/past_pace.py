"""How often devices of the past really speak: a history may be thinner than what they promise today.

Readings that were thinned out, imported or simulated at 15 min say nothing of a radio that failed, though the devices
promise one every 10 s. Judged by the promise, each of them falls silent after every reading.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from statistics import median

import numpy as np

from dutyroom.flows.backtest import Past
from dutyroom.flows.past_readings import Columns
from dutyroom.model.telemetry import Ints, Longs, PointTable
from dutyroom.timebase import DAY, MINUTE, SECOND, Ms

DAYS = 7  # looked at, spread over the span: enough to tell a habit from a bad day
FEWEST = 4  # gaps in a day: fewer say nothing of a habit
THINNER = 2  # times the promise: one message lost now and then is no other pace


@dataclass(frozen=True, slots=True)
class Pace:
    """What a history shows in place of a promise, seconds. points, devices: only those that are thinner."""

    points: Mapping[int, int]
    devices: Mapping[str, int]


def looked_at(since: Ms, until: Ms) -> list[tuple[Ms, Ms]]:
    """Days spread over a span, the first and the last among them; all of it where it is short."""
    if until - since <= DAYS * DAY:
        return [(start, min(start + DAY, until)) for start in range(since, until, DAY)]
    step = (until - since - DAY) // (DAYS - 1)
    return [(since + n * step, since + n * step + DAY) for n in range(DAYS)]


def some_days(whole: Columns) -> Iterator[Columns]:
    """These days out of readings in their order of arrival."""
    if len(whole):
        for start, end in looked_at(int(whole.received[0]), int(whole.received[-1]) + 1):
            first, last = np.searchsorted(whole.received, (start, end)).tolist()
            yield whole.rows(slice(first, last))


def pace_of(days: Iterable[Columns], past: Past) -> Pace:
    """Of readings of some days. Thinner is a pace that holds steadily: on more than half of the days on which something
    came, three gaps in four are longer than twice the promise. It is the median gap of these days."""
    names = sorted({p.device for p in past.table})
    number = {name: n for n, name in enumerate(names)}
    owner = np.zeros(past.table.top + 1, np.int32)
    for p in past.table:
        owner[p.id] = number[p.device]
    by_point = {p.id: p.spec.interval_s for p in past.table if p.spec.interval_s}
    by_device = {number[n]: d.interval_s for n, d in past.devices.items() if d.interval_s and n in number}
    points = _Seen(by_point)
    devices = _Seen(by_device)
    for columns in days:
        points.take(columns.point, columns.at)
        devices.take(owner[columns.point], columns.at)
    return Pace(points.thinner(), {names[n]: s for n, s in devices.thinner().items()})


class _Seen:
    """By key: how many days something came, and the middle gaps (ms) of those that were thin."""

    def __init__(self, promised: Mapping[int, int]) -> None:
        self._promised = promised
        self._days: Counter[int] = Counter()
        self._thin: dict[int, list[Ms]] = {}

    def take(self, key: Ints, at: Longs) -> None:
        """A day."""
        for one, gaps in _gaps(key, at):
            promised = self._promised.get(one, 0) * SECOND
            if not promised or len(gaps) < FEWEST:
                continue
            self._days[one] += 1
            apart = np.sort(gaps[gaps * 2 > promised])  # values of one message may stand a moment apart
            if len(apart) >= FEWEST and apart[len(apart) // 4] > THINNER * promised:
                self._thin.setdefault(one, []).append(int(apart[len(apart) // 2]))

    def thinner(self) -> dict[int, int]:
        """Seconds; from two minutes on whole minutes, so that devices alike are told together."""
        return {
            one: _round(median(gaps)) for one, gaps in self._thin.items() if 2 * len(gaps) > self._days[one]
        }


def _gaps(key: Ints, at: Longs) -> Iterator[tuple[int, Longs]]:
    """The gaps between the readings of each key, ms."""
    order = np.lexsort((at, key))
    key, at = key[order], at[order]
    ends = [*(np.flatnonzero(np.diff(key)) + 1).tolist(), len(key)]
    start = 0
    for end in ends:
        if end > start:
            yield int(key[start]), np.diff(at[start:end])
        start = end


def _round(gap: float) -> int:
    step = MINUTE if gap >= 2 * MINUTE else SECOND
    return max(1, round(gap / step)) * step // SECOND


def paced(past: Past, pace: Pace) -> Past:
    """The same site, whose devices promise what the history shows."""
    if not pace.points and not pace.devices:
        return past
    table = PointTable(
        replace(p, spec=replace(p.spec, interval_s=pace.points.get(p.id, p.spec.interval_s)))
        for p in past.table
    )
    devices = {
        name: replace(d, interval_s=pace.devices[name]) if name in pace.devices else d
        for name, d in past.devices.items()
    }
    return replace(past, table=table, devices=devices)


def changed(before: Past, after: Past) -> dict[tuple[int, int], list[str]]:
    """(promised, shown) seconds -> the devices of which it holds."""
    found: dict[tuple[int, int], list[str]] = {}
    for name in sorted({p.device for p in before.table}):
        pair = _interval(before, name), _interval(after, name)
        if pair[0] != pair[1]:
            found.setdefault(pair, []).append(name)
    return found


def _interval(past: Past, name: str) -> int:
    device = past.devices.get(name)
    return (device.interval_s if device else None) or past.table.interval(name)
