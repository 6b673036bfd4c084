"""A pump that does not start where it always started, or stopped where it never stopped.

Pumps that fill a tank are switched by its level. Which tank, and at what levels, is seen: that is the
tank at whose level the pump starts (stops) with the least spread. A pump that rests while this level
falls below all its starts has no supply, has tripped, or its control is broken.
"""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median
from typing import Any, TypeAlias

from dutyroom.rules.learned import LEARNING
from dutyroom.rules.learned.meter import Meter
from dutyroom.rules.learned.packed import Floats, floats, parts, unpack
from dutyroom.rules.learned.peaks import Peaks
from dutyroom.timebase import DAY, HOUR, SECOND, Ms

KEPT = 14  # days
QUARANTINE = 2  # days
RUNS = 0.1  # of its largest power
ALIKE = 0.03  # of the range of a tank: its level switches the pump where these levels spread less
STARTS, START_MARGIN, START_SPREADS = (
    4,
    0.02,
    2.0,
)  # days known; below the lowest one by that share of the range, and
STOPS, STOP_MARGIN, STOP_SPREADS = 6, 0.03, 3.0  # by so many spreads
STOOD = 2  # intervals without power: the first may be that in which it stopped
STANDBY: Ms = DAY  # a pump that was missed for a day and still does not run is one that others stand in for
RESTS, OWN_TIMES = 6, 2.0  # intervals, and times its own longest rest, where no level switches it


Limit: TypeAlias = tuple[int, float]  # a tank, and a level of it


class Switching:
    """At what levels of one tank a pump was switched: the lowest one of each day."""

    __slots__ = ("day", "days")

    def __init__(self) -> None:
        self.day = 0
        self.days: Floats = floats()  # newest first

    def note(self, day: int, level: float) -> None:
        if day == self.day and self.days:
            self.days[0] = min(self.days[0], level)
            return
        self.day = day
        self.days.insert(0, level)
        del self.days[KEPT + QUARANTINE :]

    def known(self) -> Floats:
        return self.days[QUARANTINE:]

    def drop(self) -> None:
        del self.days[:QUARANTINE]
        self.day = 0


class Pump:
    """One of them."""

    __slots__ = (
        "at", "interval", "largest", "level", "off", "peaks", "ran", "runs", "start", "starts", "stop", "stops",
    )  # fmt: skip

    def __init__(self, interval_s: int, tanks: int) -> None:
        self.interval: Ms = interval_s * SECOND
        self.at: Ms = 0  # of the newest reading; 0 = none
        self.level = 0.0  # of its register, kWh
        self.largest = 0.0  # kW
        self.runs = False
        self.ran: Ms = 0  # when it last did
        self.off = False  # it should run and does not
        self.starts = [Switching() for _ in range(tanks)]
        self.stops = [Switching() for _ in range(tanks)]
        self.start: Limit | None = None  # below it the pump always ran
        self.stop: Limit | None = None  # above it it always stopped
        self.peaks = Peaks(1)  # rests, hours

    def read(self, at: Ms, value: float) -> bool:
        """Whether it was switched since the reading before."""
        hours, moved, before = (at - self.at) / HOUR, value - self.level, self.runs
        known = bool(self.at) and 0.0 < hours <= 3 * self.interval / HOUR and moved >= 0.0
        self.at, self.level = at, value
        if not known:
            return False
        power = moved / hours
        self.largest = max(self.largest, power)
        self.runs = power > RUNS * self.largest
        if self.runs:
            self.ran = at
        return self.runs != before

    def learn(self, at: Ms, levels: Sequence[Sequence[float]], ranges: Sequence[float | None]) -> None:
        """It has just been switched at these levels of the tanks (the newest ones and those before)."""
        for one, level in zip(self.starts if self.runs else self.stops, levels, strict=True):
            if level:
                one.note(at // DAY, min(level) if self.runs else max(level))
        self.look(ranges)

    def look(self, ranges: Sequence[float | None]) -> None:
        self.start = _limit(self.starts, ranges, STARTS, START_MARGIN, START_SPREADS)
        self.stop = _limit(self.stops, ranges, STOPS, STOP_MARGIN, STOP_SPREADS)

    def drop(self) -> None:
        for switching in (*self.starts, *self.stops):
            switching.drop()
        self.peaks.drop()

    def dump(self) -> list[Any]:
        kept = [[s.day, s.days.tobytes()] for s in (*self.starts, *self.stops)]
        return [self.at, self.level, self.largest, self.runs, self.ran, self.off, kept, self.peaks.dump()]

    def load(self, data: list[Any]) -> None:
        self.at, self.level, self.largest, self.runs, self.ran, self.off, kept, peaks = parts(data, 8)
        both = (*self.starts, *self.stops)
        for switching, (day, days) in zip(both, parts(kept, len(both)), strict=True):
            switching.day, switching.days = day, unpack(days)
        self.peaks.load(peaks)


class PumpStation:
    """On the registers of some pumps (kWh) and the levels of the tanks beside them (m)."""

    __slots__ = (
        "_low",
        "_range",
        "active",
        "begun",
        "cause",
        "ended",
        "evidence",
        "levels",
        "opened",
        "pumps",
    )

    def __init__(self, pumps: Sequence[Meter], tanks: Sequence[Meter]) -> None:
        """Members are the pumps, then the tanks."""
        self.pumps = [Pump(m.interval_s, len(tanks)) for m in pumps]
        self._range = [None if m.high is None else m.high - (m.low or 0.0) for m in tanks]
        self.levels: list[list[float]] = [[] for _ in tanks]  # the newest and the one before
        self.active, self.cause = False, "pump_off"
        self.begun: Ms = 0
        self.opened: Ms = 0
        self.ended: Ms = 0  # of the last alarm: what follows it is not ordinary for a day
        self.evidence = [0.0, 0.0]

    def arguments(self) -> dict[str, float]:
        """level: m of the tank, or 0; hours: since the pump ran."""
        return {"level": self.evidence[0], "hours": self.evidence[1]}

    def tick(self, now: Ms) -> None:
        return

    def read(self, member: int, at: Ms, value: float) -> None:
        self.begun = self.begun or at
        if member >= len(self.pumps):
            levels = self.levels[member - len(self.pumps)]
            levels[:] = [value, *levels[:1]]
            return
        pump = self.pumps[member]
        since, switched = pump.ran, pump.read(at, value)
        pump.peaks.roll(at // DAY)
        if switched and not self.active and at - self.ended >= DAY:
            pump.learn(at, self.levels, self._range)
            if pump.runs and since:
                pump.peaks.note(0, (at - since) / HOUR)
        if pump.runs:
            pump.off = False
        elif at - self.begun >= LEARNING and not pump.off and pump.ran:
            self._judge(pump, at, switched)
        self._settle(at)

    def _judge(self, pump: Pump, at: Ms, switched: bool) -> None:
        rests = at - pump.ran
        if switched and pump.stop is not None and max(self.levels[pump.stop[0]]) < pump.stop[1]:
            self._off(pump, at, "pump_off", self.levels[pump.stop[0]][0])
        elif pump.start is not None:
            levels = self.levels[pump.start[0]]
            low = levels[0] < pump.start[1] and levels[0] < levels[-1]
            if low and rests >= STOOD * pump.interval * 0.9:  # readings come a little early, too
                self._off(pump, at, "tank_low", levels[0])
        elif rests > max(RESTS * pump.interval, OWN_TIMES * pump.peaks.largest(0) * HOUR):
            self._off(pump, at, "pump_off", 0.0)

    def _off(self, pump: Pump, at: Ms, cause: str, level: float) -> None:
        pump.off = True
        if not self.active:
            self.active, self.opened, self.cause = True, at, cause
            self.evidence = [level, (at - pump.ran) / HOUR]
            for each in self.pumps:
                each.drop()

    def _settle(self, at: Ms) -> None:
        if self.active and at - self.opened >= STANDBY:
            for pump in self.pumps:
                pump.ran, pump.off = 0 if pump.off else pump.ran, False
        if self.active and not any(pump.off for pump in self.pumps):
            self.active, self.ended = False, at

    def dump(self) -> list[Any]:
        return [
            self.active, self.cause, self.begun, self.opened, self.ended, [list(v) for v in self.levels], list(self.evidence),
            [pump.dump() for pump in self.pumps],
        ]  # fmt: skip

    def load(self, data: list[Any]) -> None:
        (
            self.active, self.cause, self.begun, self.opened, self.ended, levels, self.evidence, pumps
        ) = parts(data, 8)  # fmt: skip
        self.levels = [list(v) for v in parts(levels, len(self.levels))]
        for pump, kept in zip(self.pumps, parts(pumps, len(self.pumps)), strict=True):
            pump.load(kept)
            pump.look(self._range)


def _limit(
    switching: Sequence[Switching], ranges: Sequence[float | None], enough: int, margin: float, spreads: float
) -> Limit | None:
    """The tank that switches a pump, and the level below which it always did; None = not known."""
    found: list[tuple[float, int, float]] = []
    for tank, one in enumerate(switching):
        known, whole = one.known(), ranges[tank]
        if len(known) >= enough and whole:
            middle = median(known)
            spread = 1.4826 * median([abs(v - middle) for v in known])
            found.append((spread / whole, tank, min(known) - max(margin * whole, spreads * spread)))
    if not found or min(found)[0] > ALIKE:
        return None
    return min(found)[1:]
