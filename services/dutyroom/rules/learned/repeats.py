"""A sensor on equipment that repeats itself day by day, and now does not.

By the mean of each local hour: beyond all that was in four weeks by a good part of it, or far from
everything that was at that time of day within a week, weekend included, where a day of its kind was in it (a load that did not come, a
cooling that does not stop, a sensor that stands still).
"""

from __future__ import annotations

import struct
from math import frexp, isnan, nan
from typing import Any

from dutyroom.rules.learned.meter import Meter
from dutyroom.rules.learned.packed import half, halves, halves_at, parts, unpack_halves, whole
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
_KEPT = struct.Struct("<?qqdqqqqddd")
_BOUNDS, _DAY = 4, 2 * HOURS
_DAYS = _KEPT.size + 2 * (_BOUNDS + HOURS)  # where the days before lie; in front of them bounds and today
_NAMES = ("active", "opened", "hour", "total", "count", "run", "calm", "season", "unit")


class Repeats:
    """On any gauge."""

    __slots__ = (
        *_NAMES,
        "_least",
        "_local",
        "_wanted",
        "bounds",
        "cause",
        "days",
        "evidence",
        "state",
        "today",
    )

    def __init__(self, meter: Meter) -> None:
        self._local, self._least = meter.local, LEAST_STEPS * meter.resolution
        self._wanted = max(1.0, HEARD * HOUR / (meter.interval_s * SECOND))
        self.active, self.cause = False, "sensor_anomaly"
        self.opened: Ms = 0
        self.hour = 0  # local number of the one that is filled
        self.total, self.count = 0.0, 0
        self.run = self.calm = 0  # hours in a row
        self.season = 0  # local day on which it began
        # What an hour asks for. state: where the first two are to be found once they are asked for.
        self.state: bytes | None = None
        self.today = [nan] * HOURS
        self.bounds = [nan] * _BOUNDS  # lowest and highest hour of this season, and of the one before
        self.days = b""  # hours of days before as halves, newest first
        self.evidence = [0.0, 0.0]
        self.unit = 0.0  # of what is kept: a power of two, by the first reading; 0 = there was none

    @property
    def ready(self) -> Ms:
        """The local midnight after which it will know enough days, if it is heard until then; 0 = it does, or it has
        heard nothing. An hour off where clocks are changed on that day."""
        known = len(self.days) if self.state is None else len(self.state) - _DAYS
        lacking = SHAPE + QUARANTINE - known // _DAY
        if not self.unit or lacking <= 0:
            return 0
        midnight = (self.hour // HOURS + lacking) * DAY
        return 2 * midnight - self._local.local(midnight)

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
            self._thaw()
            if self.count >= self._wanted:
                self._close(at, self.hour % HOURS, half(self.total / self.count))
            if hour // HOURS != self.hour // HOURS:
                self._new_day(hour // HOURS)
            self.hour, self.total, self.count = hour, 0.0, 0
        self.total, self.count = self.total + value, self.count + 1

    def _new_day(self, day: int) -> None:
        if not all(map(isnan, self.today)):
            self.days = (halves(self.today) + self.days)[: _DAY * (SHAPE + QUARANTINE)]
            if len(self.days) > _DAY * QUARANTINE:
                self._widen(self._settled()[:HOURS])
        if not 0 <= day - self.season < SEASON:
            self.bounds = [nan, nan, *self.bounds[:2]]
            self.season = day
            self._widen(self._settled())
        self.today = [nan] * HOURS

    def _settled(self) -> list[float]:
        """The hours of the days that do not wait, newest day first."""
        return halves_at(self.days, 0, len(self.days) // 2)[HOURS * QUARANTINE :]

    def _widen(self, hours: list[float]) -> None:
        values = [v for v in hours if not isnan(v)]
        if not values:
            return
        low, high, *before = self.bounds
        low, high = (min(values), max(values)) if isnan(low) else (min(low, *values), max(high, *values))
        self.bounds = [low, high, *before]

    def _close(self, at: Ms, hour: int, mean: float) -> None:
        if len(self.days) >= _DAY * (SHAPE + QUARANTINE):
            self._judge(at, hour, mean)
        if not self.active:
            self.today[hour] = mean

    def _judge(self, at: Ms, hour: int, mean: float) -> None:
        bounds = [v for v in self.bounds if not isnan(v)]
        lowest, highest = min(bounds), max(bounds)
        times = ((hour - 1) % HOURS, hour, (hour + 1) % HOURS)
        settled = self._settled()
        near = [v for day in range(0, len(settled), HOURS) for h in times if not isnan(v := settled[day + h])]
        usual = min(near, key=lambda v: abs(v - mean)) if near else mean
        span = max(highest - lowest, self._least / self.unit, LEAST_SHARE * abs(usual))
        beyond = not lowest - BEYOND * span <= mean <= highest + BEYOND * span
        far = abs(mean - usual) > FAR * span
        out = beyond or (far and self._of_its_kind(self.hour // HOURS))
        self.run, self.calm = (self.run + 1, 0) if out else (0, self.calm + 1)
        if self.active:
            if at - self.opened >= NORMAL:
                self.days, self.bounds, self.active = b"", [nan] * _BOUNDS, False  # learns anew
            elif self.calm >= CALM:
                self.active = False
        elif self.run >= RUNNING:
            self.active, self.opened = True, at
            self.evidence = [mean * self.unit, usual * self.unit]
            self.today = [nan] * HOURS

    def _of_its_kind(self, day: int) -> bool:
        """Whether a day like this, of work or of rest, is among those that are known: after a week of holidays none is."""
        rests, last = self._local.rests(day), day - QUARANTINE
        return any(self._local.rests(other) is rests for other in range(last - SHAPE, last))

    def pack(self) -> bytes:
        often = _KEPT.pack(
            self.active, self.opened, self.hour, self.total, self.count, self.run, self.calm, self.season, self.unit,
            *self.evidence,
        )  # fmt: skip
        if self.state is not None:
            return often + self.state[_KEPT.size :]
        return b"".join((often, halves(self.bounds), halves(self.today), self.days))

    def unpack(self, state: bytes) -> None:
        (
            self.active, self.opened, self.hour, self.total, self.count, self.run, self.calm, self.season, self.unit,
            *self.evidence,
        ) = _KEPT.unpack_from(state)  # fmt: skip
        self.state = state

    def _thaw(self) -> None:
        """Takes what is asked for once an hour from the state that was looked at."""
        state = self.state
        if state is not None:
            self.state, self.days = None, state[_DAYS:]
            self.bounds = halves_at(state, _KEPT.size, _BOUNDS)
            self.today = halves_at(state, _DAYS - _DAY, HOURS)

    def dump(self) -> list[Any]:
        return [self.pack()]

    def load(self, data: list[Any]) -> None:
        if whole(data, self):
            return
        names, self.evidence, kept = parts(data, 3)
        for name, value in zip(_NAMES, parts(names, len(_NAMES)), strict=True):
            setattr(self, name, value)
        hours = list(unpack_halves(kept))
        self.state, self.bounds, self.today = None, hours[:_BOUNDS], hours[_BOUNDS : _BOUNDS + HOURS]
        self.days = halves(hours[_BOUNDS + HOURS :])
