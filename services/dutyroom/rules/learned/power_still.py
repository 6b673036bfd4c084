"""Electricity that stands still: one unit without supply, or a whole building.

Something always runs in a home: refrigerators, routers, standby. Its register stands still for a
moment only, how long depends on what a step of the register is. So a unit that stands still for
several times its longest such spell is without supply, or its meter has stopped: from outside these
two look the same.

In a building the units stand still together. How improbable that is adds up over them, so that the
first whole interval after the cut says enough, also where registers are coarse.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from math import log
from typing import Any

from dutyroom.rules.learned import LEARNING
from dutyroom.rules.learned.meter import Meter
from dutyroom.rules.learned.packed import parts, unpack, whole, zeros
from dutyroom.rules.learned.peaks import Peaks
from dutyroom.timebase import DAY, HOUR, SECOND, Ms

LEAST: Ms = HOUR  # no home takes less than a step of its register for longer, but its own spells say more
INTERVALS = 3  # readings that are the same again: one may be lost and sent twice
OWN_TIMES = 3.0  # of its own longest spell
GAP = 3  # intervals
UNKNOWN_YET: Ms = 6 * HOUR  # before two weeks are known
MOST: Ms = 24 * HOUR  # a night and a day: whoever is away for longer leaves the refrigerator on

TOGETHER = 0.8  # of those that are heard
FEWEST = 3
RARE = 0.005  # what is never seen in two weeks of readings may still be chance as often
SURE = 12.0  # nats: once in 160,000 intervals by chance, 4 years of quarters of an hour
SCORE_TIMES = 1.5  # of the building's own largest score: nights of coarse registers are not independent
COUNTED = (
    12  # intervals of one standstill that count: coarse registers need some, and further ones say nothing new
)
FORGET = 4000  # intervals: the share of still ones is that of about six weeks
_KEPT = struct.Struct("<?qqqdqdd")
_AGAIN = 0.5  # fewer than that stand still: supply is back


class UnitStill:
    """On the register of a home's electricity meter."""

    __slots__ = (
        "active",
        "begun",
        "cause",
        "hours",
        "interval",
        "last",
        "level",
        "limit",
        "peaks",
        "seen",
        "since",
    )

    def __init__(self, meter: Meter) -> None:
        self.interval: Ms = meter.interval_s * SECOND
        self.peaks = Peaks(1)  # finished spells, hours
        self.active, self.cause = False, "power_cut"
        self.begun: Ms = 0
        self.since: Ms = 0  # first reading of the level that stands
        self.last: Ms = 0
        self.level = 0.0
        self.seen = 0  # readings of it
        self.hours = 0.0  # still, when it was raised
        self.limit: float = UNKNOWN_YET

    def _set_limit(self, at: Ms) -> None:
        known = at - self.begun >= LEARNING
        longest = self.peaks.largest(0) * HOUR
        own = max(LEAST, INTERVALS * self.interval, OWN_TIMES * longest)
        self.limit = max(min(own, MOST), 1.5 * longest) if known else max(UNKNOWN_YET, own)

    def arguments(self) -> dict[str, float]:
        """hours: how long it has not moved."""
        return {"hours": self.hours}

    def tick(self, now: Ms) -> None:
        return

    def read(self, at: Ms, value: float) -> None:
        self.begun = self.begun or at
        if self.peaks.roll(at // DAY):
            self._set_limit(at)
        if value != self.level:
            if self.since and not self.active:
                self.peaks.note(0, (self.last - self.since) / HOUR)
            self.active, self.level, self.since, self.seen = False, value, at, 0
        elif at - self.last > GAP * self.interval and not self.active:
            self.since, self.seen = at, 0  # what nobody saw does not count
        elif self.seen >= INTERVALS and at - self.since >= self.limit and not self.active:
            self.active = True
            self.peaks.drop()
        self.seen, self.last = self.seen + 1, at
        if self.active:
            self.hours = (at - self.since) / HOUR

    def pack(self) -> bytes:
        own = _KEPT.pack(
            self.active, self.begun, self.since, self.last, self.level, self.seen, self.hours, self.limit
        )
        return own + self.peaks.pack()

    def unpack(self, state: bytes) -> None:
        (self.active, self.begun, self.since, self.last, self.level, self.seen, self.hours, self.limit) = (
            _KEPT.unpack_from(state)
        )
        self.peaks.look(state, _KEPT.size)

    def dump(self) -> list[Any]:
        return [self.pack()]

    def load(self, data: list[Any]) -> None:
        if whole(data, self):
            return
        (
            self.active, self.begun, self.since, self.last, self.level, self.seen, self.hours, self.limit, peaks
        ) = parts(data, 9)  # fmt: skip
        self.peaks.load(peaks)


class BuildingStill:
    """On the registers of what one feeder feeds."""

    __slots__ = (
        "_interval", "active", "begun", "cause", "levels", "newest", "peaks", "runs", "shares", "still",
        "unlooked",
    )  # fmt: skip

    def __init__(self, meters: Sequence[Meter]) -> None:
        count = len(meters)
        self._interval = [m.interval_s * SECOND for m in meters]
        self.levels = [0.0] * count
        self.newest: list[Ms] = [0] * count  # its reading; 0 = none yet
        self.runs = [0] * count  # intervals for which it has stood still
        self.shares = zeros(2 * count)  # intervals seen, and still ones among them
        self.peaks = Peaks(1)  # scores that were no alarm
        self.active, self.cause = False, "power_cut"
        self.begun: Ms = 0
        self.still = 0
        self.unlooked = 0  # readings since it was looked at

    def arguments(self) -> dict[str, float]:
        """silent: those that stand still; devices: those that are heard."""
        return {"silent": self.still, "devices": sum(1 for at in self.newest if at)}

    def tick(self, now: Ms) -> None:
        return

    def read(self, member: int, at: Ms, value: float) -> None:
        self.begun = self.begun or at
        self.peaks.roll(at // DAY)
        before, self.newest[member] = self.newest[member], at
        if value != self.levels[member] or not before:
            self.still -= self.runs[member] > 0
            self.levels[member], self.runs[member] = value, 0
        else:
            self.still += self.runs[member] == 0
            self.runs[member] += 1
        if not self.active:
            self._learn(member)
        self.unlooked += 1
        # An eighth of the building may wait: most of it still counts when all stand still.
        if self.unlooked * 8 >= len(self.levels) and (self.still >= FEWEST or self.active):
            self.unlooked = 0
            self._look(at)

    def _learn(self, member: int) -> None:
        shares, place = self.shares, 2 * member
        if shares[place] >= FORGET:
            shares[place] *= 0.5
            shares[place + 1] *= 0.5
        shares[place] += 1.0
        shares[place + 1] += self.runs[member] > 0

    def _look(self, at: Ms) -> None:
        heard = [i for i, last in enumerate(self.newest) if last and at - last <= 2 * self._interval[i]]
        still = [i for i in heard if self.runs[i]]
        if self.active:
            self.active = len(still) >= _AGAIN * len(heard)
            return
        if len(still) < max(FEWEST, TOGETHER * len(heard)):
            return
        score = sum(min(self.runs[i], COUNTED) * -log(self._share(i)) for i in still)
        if score > max(SURE, SCORE_TIMES * self.peaks.largest(0)) and at - self.begun >= LEARNING:
            self.active = True
            self.peaks.drop()
        else:
            self.peaks.note(0, score)

    def _share(self, member: int) -> float:
        """Of its intervals in which it stands still; one in two of what is not known."""
        return max(RARE, (self.shares[2 * member + 1] + 0.5) / (self.shares[2 * member] + 1.0))

    def dump(self) -> list[Any]:
        return [
            self.active, self.begun, self.levels, self.newest, self.runs, self.shares.tobytes(), self.unlooked,
            self.peaks.dump(),
        ]  # fmt: skip

    def load(self, data: list[Any]) -> None:
        self.active, self.begun, levels, newest, runs, shares, self.unlooked, peaks = parts(data, 8)
        count = len(self.levels)
        self.levels, self.newest, self.runs = (list(parts(x, count)) for x in (levels, newest, runs))
        self.shares = unpack(shares, 2 * count)
        self.still = sum(1 for run in self.runs if run)
        self.peaks.load(peaks)
