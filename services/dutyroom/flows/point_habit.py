"""How often a point is read, by what is stored of it, and how often its device said something else since then.

By receive time where that is known (a reading that came late), else by its own: a day that waits in a device
and comes at once is one time. What a broker had retained is no reading of its hour.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dutyroom.model.telemetry import Longs, Quality, Series
from dutyroom.timebase import HOUR, MINUTE, Ms

# Of its steps that pass with others of its device before a point counts as lost. Three are what a whole device may
# be silent. A point in messages of its own loses some of them by radio, and its step is longer than all but one in
# twenty of its gaps: six in vain by chance are 0.05**6, once in 60 million readings, however many messages are lost.
STEPS = 6
LEAST: Ms = (
    HOUR  # for six of what comes by seconds: a restart of the device, an update, somebody who tries things
)
USUAL = 0.95  # of its gaps are no longer than its step
FEW = 6  # gaps that show the habit of a point whose interval is expected, and is what it does
MANY = 20  # of every other one, and
EVEN = 3  # times as long as the usual gap its step is at most; what comes by chance has 4.3
_ON_CHANGE: Ms = 5 * MINUTE  # what has no interval is late after this, as `keep` has it


@dataclass(frozen=True, slots=True)
class Times:
    """When a point was read, rising, each time once: by receive time, and by the device's own."""

    came: Longs
    at: Longs


@dataclass(frozen=True, slots=True)
class Habit:
    """step: the time in which it is read again, ms. pauses: numbers of the gaps that are longer than it may be
    silent."""

    step: Ms
    pauses: tuple[int, ...]

    @property
    def patience(self) -> Ms:
        return STEPS * self.step


def times_of(series: Series, interval: Ms) -> Times:
    """interval: 0 = none is known. Readings of one delivery are one time, the newest of them too, which is not late."""
    came = series.at.copy()
    if series.late:
        rows = np.fromiter(series.late, np.int64, len(series.late))
        came[rows] = np.fromiter(series.late.values(), np.int64, len(rows))
        _join(came, rows, interval or _ON_CHANGE)
    own = series.quality != Quality.RETAINED
    came, at = came[own], series.at[own]
    order = np.lexsort((at, came))
    came, at = came[order], at[order]
    last = np.append(came[1:] != came[:-1], np.True_)[: len(came)]
    return Times(came[last], at[last])


def _join(came: Longs, late: Longs, usual: Ms) -> None:
    """What was in time, and came with what was late."""
    deliveries = np.unique(came[late])
    early = np.ones(len(came), np.bool_)
    early[late] = False
    rows = np.flatnonzero(early)
    place = np.minimum(np.searchsorted(deliveries, came[rows]), len(deliveries) - 1)
    with_it = (deliveries[place] >= came[rows]) & (deliveries[place] - came[rows] <= usual)
    came[rows[with_it]] = deliveries[place[with_it]]


def habit_of(came: Longs, interval: Ms) -> Habit | None:
    """None = it comes when it likes, or too little is known. interval: expected, 0 = none."""
    gaps = np.diff(came)
    if len(gaps) < FEW:
        return None
    middle, usual = (round(q) for q in np.quantile(gaps, (0.5, USUAL)).tolist())
    if middle > 2 * interval and (len(gaps) < MANY or usual > EVEN * middle):
        return None  # nobody expects it so often: the interval may be that of its profile, and not its own
    step = max(interval, usual, LEAST // STEPS)
    return Habit(step, tuple(np.flatnonzero(gaps > STEPS * step).tolist()))


def spoke(came: Longs, after: Ms, step: Ms) -> bool:
    """Whether others of the device were read in `STEPS` steps of a point after it was. came: some of their receive
    times, rising. What waited and comes at once is one; so are all before and after an outage."""
    times, last = 0, after
    for at in came[came > after].tolist():
        if at - last >= step // 2:
            times, last = times + 1, at
    return times >= STEPS and last - after >= STEPS * step
