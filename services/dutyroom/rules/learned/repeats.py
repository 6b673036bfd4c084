"""A sensor on equipment that repeats itself day by day, and now does not.

By the mean of each local hour: beyond all that was in four weeks by a good part of it, or far from
everything that was at that time of day within a week, weekend included (a load that did not come, a
cooling that does not stop, a sensor that stands still).
"""

from __future__ import annotations

from math import frexp, isnan, nan
from typing import Any

from dutyroom.rules.learned.meter import Meter
from dutyroom.rules.learned.packed import Floats, floats, half, halves, parts, unpack_halves
from dutyroom.timebase import DAY, HOUR, SECOND, Ms

HOURS = 24
SHAPE = 7  # days: one of each weekday; before that nothing is said
QUARANTINE = 1  # day: an event of a sensor is told within hours
SEASON = 28  # days; the season before counts as well
BEYOND = 0.15  # of the span between the extremes: next month's weather, a little more load
FAR = 0.3  # of the span: a shift of the day by some minutes moves the mean of an hour so much
LEAST_STEPS, LEAST_SHARE = 20, 0.05  # the span is never less than so many digits, or that share of the value
RUNNING = 2  # hours: one may be a door left open
CALM = 12  # hours: half a day like any other
NORMAL: Ms = 8 * DAY  # an alarm that stood so long is the new normal
HEARD = 0.5  # of the readings of an hour

_LARGE = 13  # binary digits: larger values are kept in larger units, so that 16 bits hold them
_NAMES = ("active", "opened", "hour", "total", "count", "run", "calm", "season", "unit")


class Repeats:
    """On any gauge."""

    __slots__ = (*_NAMES, "_least", "_local", "_wanted", "bounds", "cause", "evidence", "shape", "today")

    def __init__(self, meter: Meter) -> None:
        self._local, self._least = meter.local, LEAST_STEPS * meter.resolution
        self._wanted = max(1.0, HEARD * HOUR / (meter.interval_s * SECOND))
        self.active, self.cause = False, "sensor_anomaly"
        self.opened: Ms = 0
        self.hour = 0  # local number of the one that is filled
        self.total, self.count = 0.0, 0
        self.run = self.calm = 0  # hours in a row
        self.season = 0  # local day on which it began
        self.today = floats([nan] * HOURS)
        self.shape: list[Floats] = []  # days before, newest first
        self.bounds = floats([nan] * 4)  # lowest and highest hour of this season, and of the one before
        self.evidence = [0.0, 0.0]
        self.unit = 0.0  # of what is kept: a power of two, by the first reading; 0 = there was none

    def arguments(self) -> dict[str, float]:
        """mean: of the last hour; usual: the nearest to it of that time of day within a week."""
        return {"mean": self.evidence[0], "usual": self.evidence[1]}

    def tick(self, now: Ms) -> None:
        return

    def read(self, at: Ms, value: float) -> None:
        hour = self._local.local(at) // HOUR
        self.unit = self.unit or 2.0 ** max(frexp(value)[1] - _LARGE, 0)
        value /= self.unit
        if hour != self.hour:
            if self.count >= self._wanted:
                self._close(at, self.hour % HOURS, half(self.total / self.count))
            if hour // HOURS != self.hour // HOURS:
                self._new_day(hour // HOURS)
            self.hour, self.total, self.count = hour, 0.0, 0
        self.total, self.count = self.total + value, self.count + 1

    def _new_day(self, day: int) -> None:
        if not all(map(isnan, self.today)):
            self.shape.insert(0, self.today)
            del self.shape[SHAPE + QUARANTINE :]
            if len(self.shape) > QUARANTINE:
                self._widen([v for v in self.shape[QUARANTINE] if not isnan(v)])
        if not 0 <= day - self.season < SEASON:
            self.bounds = floats([nan, nan, *self.bounds[:2]])
            self.season = day
            for past in self.shape[QUARANTINE:]:
                self._widen([v for v in past if not isnan(v)])
        self.today = floats([nan] * HOURS)

    def _widen(self, values: list[float]) -> None:
        low, high, *before = self.bounds
        low, high = (min(values), max(values)) if isnan(low) else (min(low, *values), max(high, *values))
        self.bounds = floats([low, high, *before])

    def _close(self, at: Ms, hour: int, mean: float) -> None:
        if len(self.shape) >= SHAPE + QUARANTINE:
            self._judge(at, hour, mean)
        if not self.active:
            self.today[hour] = mean

    def _judge(self, at: Ms, hour: int, mean: float) -> None:
        bounds = [v for v in self.bounds if not isnan(v)]
        lowest, highest = min(bounds), max(bounds)
        times = (hour - 1, hour, (hour + 1) % HOURS)
        near = [day[h] for day in self.shape[QUARANTINE:] for h in times if not isnan(day[h])]
        usual = min(near, key=lambda v: abs(v - mean)) if near else mean
        span = max(highest - lowest, self._least / self.unit, LEAST_SHARE * abs(usual))
        beyond = not lowest - BEYOND * span <= mean <= highest + BEYOND * span
        out = beyond or abs(mean - usual) > FAR * span
        self.run, self.calm = (self.run + 1, 0) if out else (0, self.calm + 1)
        if self.active:
            if at - self.opened >= NORMAL:
                self.shape, self.bounds, self.active = [], floats([nan] * 4), False  # learns anew
            elif self.calm >= CALM:
                self.active = False
        elif self.run >= RUNNING:
            self.active, self.opened = True, at
            self.evidence = [mean * self.unit, usual * self.unit]
            self.today = floats([nan] * HOURS)

    def dump(self) -> list[Any]:
        kept = [*self.bounds, *self.today, *(v for day in self.shape for v in day)]
        return [[getattr(self, name) for name in _NAMES], list(self.evidence), halves(kept)]

    def load(self, data: list[Any]) -> None:
        names, self.evidence, kept = parts(data, 3)
        for name, value in zip(_NAMES, parts(names, len(_NAMES)), strict=True):
            setattr(self, name, value)
        hours = unpack_halves(kept)
        self.bounds = hours[:4]
        self.today, *self.shape = (hours[i : i + HOURS] for i in range(4, len(hours), HOURS))
