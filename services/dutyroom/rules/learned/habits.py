"""What a day is usually like, hour by hour, and a night: medians and robust spreads over four weeks.

Days wait two days before they count (quarantine); those that wait when an alarm opens are dropped,
and nothing is learned while it is open. Values are logarithms, of flows in steps of 0.025 %.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Sequence
from math import isnan, nan
from statistics import median
from typing import Any

import numpy as np

from dutyroom.rules.learned.packed import Floats, floats, parts, unpack_shorts
from dutyroom.timebase import HOUR, Ms

KEPT = 28  # days
LEVEL = 14  # days
QUARANTINE = 2  # days
HOURS = 24
_STEPS, _LAST, _UNKNOWN = 4000, 32767, -32768
SEASON = 0.005  # ln a night: what grows faster than a seventh in a month is no spring
NIGHT = 6  # local hours 0 to 5: use is least and most alike


def fine(value: float) -> float:
    """A logarithm as it is kept: from 0.0003 to 3600 m3/h. Not a number stays that."""
    return value if isnan(value) else min(max(round(value * _STEPS), -_LAST), _LAST) / _STEPS


def _packed(rows: Iterable[Floats]) -> bytes:
    steps = np.array(sum(rows, floats())) * _STEPS
    unknown = np.isnan(steps)
    steps[unknown] = _UNKNOWN
    return bytes(np.rint(steps).astype(np.int16))


def _unpacked(data: object) -> Floats:
    """Raises Rejected for anything but packed numbers."""
    steps = np.array(unpack_shorts(data), np.float64)
    steps[steps == _UNKNOWN] = nan
    return array("f", (steps / _STEPS).astype(np.float32).tobytes())


def spread(values: Sequence[float], floor: float) -> tuple[float, float]:
    """Median of the newest fortnight (they come first) and robust standard deviation (1.4826 MAD) of all,
    no smaller than the floor: a season moves the level within weeks."""
    middle = median(values[:LEVEL])
    return middle, max(floor, 1.4826 * median([abs(v - middle) for v in values]))


def grown(values: Sequence[float]) -> float:
    """How far a level has risen since the fortnight whose median `spread` takes, at the pace at which it rose from
    the oldest of these nights to the newest; 0 before two weeks are known, and where it falls."""
    count = min(LEVEL, len(values) // 2)
    if len(values) < LEVEL:
        return 0.0
    pace = (median(values[:count]) - median(values[-count:])) / (len(values) - count)
    return min(max(pace, 0.0), SEASON) * (QUARANTINE + (LEVEL + 1) / 2)


class Hours:
    """Of the hours of a day."""

    __slots__ = ("days", "floor", "kept", "known", "shape", "today")

    def __init__(self, floor: float) -> None:
        self.floor = floor
        self.today = floats([nan] * HOURS)  # not a number: not known
        self.days: list[Floats] = []  # in quarantine, newest first
        self.kept: list[Floats] = []  # newest first
        self.known = 0  # days behind the hour that is known least
        self.shape: list[tuple[float, float]] = []  # middle and spread of each hour; empty = not known

    def note(self, hour: int, value: float) -> None:
        """The hour of today is over."""
        self.today[hour] = fine(value)

    def close(self, learn: bool, enough: int) -> None:
        """Today is over. enough: values that every hour needs before anything is said. Without `learn` the
        days wait, until they are dropped or adopted."""
        self.days.insert(0, self.today)
        while learn and len(self.days) > QUARANTINE:
            self.kept.insert(0, self.days.pop())
            del self.kept[KEPT:]
        del self.days[KEPT:]
        self.today = floats([nan] * HOURS)
        self._set_shape(enough)

    def _set_shape(self, enough: int) -> None:
        by_hour = [[v for v in column if not isnan(v)] for column in zip(*self.kept, strict=True)]
        self.known = min(map(len, by_hour), default=0)
        self.shape = [spread(v, self.floor) for v in by_hour] if self.known >= enough else []

    def drop(self) -> None:
        """What waits is not learned."""
        self.days, self.today = [], floats([nan] * HOURS)

    def adopt(self) -> None:
        """What waits is the new normal, in place of the old."""
        self.kept, self.days = self.days, []

    def usual(self, middle: Ms) -> tuple[float, float]:
        """Value and spread at a local moment: straight lines between the middles of clock hours."""
        hour, part = (middle - HOUR // 2) // HOUR, ((middle - HOUR // 2) % HOUR) / HOUR
        (a, sa), (b, sb) = self.shape[hour % HOURS], self.shape[(hour + 1) % HOURS]
        return a + (b - a) * part, sa + (sb - sa) * part

    def largest(self, drift: float, cap: float) -> float:
        """The largest sum of deviations (spreads, less the drift) that any of the kept days came to."""
        most = 0.0
        for day in self.kept:
            total = 0.0
            for value, (middle, width) in zip(day, self.shape, strict=False):
                if not isnan(value):
                    total = max(0.0, total + min((value - middle) / width, cap) - drift)
                    most = max(most, total)
        return most

    def dump(self) -> list[Any]:
        rows = [self.today, *self.days, *self.kept]
        return [len(self.days), _packed(rows), len(self.shape)]

    def load(self, data: list[Any]) -> None:
        waiting, kept, shaped = parts(data, 3)
        values = _unpacked(kept)
        rows = [values[i : i + HOURS] for i in range(0, len(values), HOURS)]
        self.today, self.days, self.kept = rows[0], rows[1 : 1 + waiting], rows[1 + waiting :]
        self._set_shape(1 if shaped else KEPT + 1)


class Nights:
    """Of the smallest hour since midnight, at the end of each hour of the night."""

    __slots__ = ("kept", "night", "waiting")

    def __init__(self) -> None:
        self.night = floats()
        self.kept: list[Floats] = []  # newest first, with those in quarantine
        self.waiting: list[Floats] = []  # of an open alarm

    def note(self, hour: int, value: float) -> float | None:
        """The smallest hour until now; None in a night that is not known from its beginning."""
        if hour >= NIGHT or len(self.night) != hour:
            return None
        self.night.append(fine(min(value, self.night[-1]) if hour else value))
        return self.night[hour]

    def past(self, hour: int) -> list[float]:
        """The same of past nights."""
        return [n[hour] for n in self.kept[QUARANTINE:]]

    def close(self, learn: bool) -> None:
        """A new day begins."""
        kept = self.kept if learn else self.waiting
        if len(self.night) == NIGHT:
            kept.insert(0, self.night)
            del kept[KEPT + QUARANTINE :]
        self.night = floats()

    def drop(self) -> None:
        """Those in quarantine are not learned."""
        del self.kept[:QUARANTINE]

    def adopt(self) -> None:
        """What waits is the new normal, in place of the old."""
        self.kept, self.waiting = self.waiting, []

    def dump(self) -> list[Any]:
        rows = [*self.kept, *self.waiting]
        return [_packed([self.night]), len(self.kept), _packed(rows)]

    def load(self, data: list[Any]) -> None:
        night, known, kept = parts(data, 3)
        self.night, values = _unpacked(night), _unpacked(kept)
        rows = [values[i : i + NIGHT] for i in range(0, len(values), NIGHT)]
        self.kept, self.waiting = rows[:known], rows[known:]
