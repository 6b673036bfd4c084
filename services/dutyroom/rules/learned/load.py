"""A home that takes more electricity than it did at that time of day, and more than its neighbours explain.

A day has four blocks of six local hours. Of a block count the mean power and the smallest hour (what
never stops), both as logarithms against the last 20 blocks of the same time of day. Weather, holidays
and gateways are common to the neighbours on the same feeder: what most of them do is taken off as far
as this home usually goes with them. What is left is summed up over blocks, and over days for each
time of day (loads that run at night only), after taking off what is ordinary (CUSUM, Page 1954).

A sum says that it is unusual, not that it is much. So a deviation counts as far as it matters to the
mean of the home, and there must be more than this home took before: in a whole day, or of a load at
night in that time of day. Where what never stops is far above all that was, a smaller sum will do.

Where people work, days of rest are another life: a load left on over a weekend is less than a working day takes. There
only days of the same kind are asked (`blocks.alike`), as the site's calendar says.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from itertools import accumulate, pairwise
from math import isnan, nan
from statistics import median
from typing import Any

from dutyroom.errors import Rejected
from dutyroom.rules.learned import LEARNING
from dutyroom.rules.learned.blocks import SMALL, Blocks, Day, alike, logarithm, power, steps, usual
from dutyroom.rules.learned.load_older import load_older
from dutyroom.rules.learned.meter import Meter
from dutyroom.rules.learned.neighbours import NOTHING, Neighbours, Nobody
from dutyroom.rules.learned.packed import floats, half, parts, single, whole, zeros
from dutyroom.rules.learned.peaks import Peaks
from dutyroom.rules.learned.register import SIZE, UNKNOWN
from dutyroom.rules.learned.register_fault import trusted
from dutyroom.timebase import DAY, HOUR, SECOND, Ms

HOURS = 6  # of a block: night, morning, afternoon and evening are lived differently
BLOCK: Ms = HOURS * HOUR
TIMES = 4  # blocks of a day
MOST_LOST = 2  # hours of a block that may be unknown
KEPT = 20  # days behind the newest ones: about three weeks, so that weekends count and seasons pass
QUARANTINE = 2  # days
ENOUGH = 7  # days: one of each weekday
LOW, HIGH = -3.0, 4.0  # spreads: one block, however strange, is not all
MATTERS = 0.6  # of its mean power: as much more counts in full, less in proportion
DRIFT = 1.0  # spreads that are ordinary
SUM_ALARM = 5.0  # spreads: half a day as high as counts
DAILY_ALARM = 4.5  # two such nights
BASE_SUM = 0.8  # of them, where what never stops is
BASE_OWN = 1.5  # times its own largest
ONCE, ONCE_OWN = 2.5, 2.0  # spreads of six hours that all take twice as much as ever at that time,
ONCE_OTHERS = 2.0  # while the neighbours are at half of what counts at most
DAY_OWN, TIME_OWN = 1.0, 1.1  # of its own largest day, and its own largest block at that time
ALONE = 1.5  # times higher sums where there are no neighbours to ask
CALM, CALM_BLOCKS = 0.8, 4  # spreads; a whole day below them ends it
LIFE: Ms = (
    2 * DAY
)  # an alarm that a whole calm day ended within that: a day's load, somebody's doing (a car, an oven)
NORMAL: Ms = 8 * DAY  # an alarm that stood so long is the new normal
NORMAL_DAYS = 8
EMPTY, EMPTY_BLOCKS, EMPTY_MOST = -1.0, 4, 120  # after a day so low it is empty: a month is not learned
TIED, TIED_WEIGHT, TIED_MOST = 0.5, 10.0, 1.2  # how far a home goes with its neighbours before that is known
FADES = 0.99  # a block: that is known from about a month
_GAP = 3.5  # intervals: over a longer silence nothing is known of the hours
_DAY, _HALF, _WHOLE = 0, 1, 2  # peaks: kW of a day, least of 12 h and of 24 h
_TIME, _LEAST = 3, 3 + TIMES  # of each time of day: mean and smallest hour

_LAYOUT = 2  # beside whether it is active: what was stored in an older layout has not this bit
_KEPT = struct.Struct("<BqiBdddi")
_SELDOM = SIZE + _KEPT.size  # where it lies what is asked for when a block is over
_JUDGED = struct.Struct("<qBBi4f2f4f9B")
_BLOCK = struct.Struct("<B2e")


class Load:
    """On the register of a home's electricity meter (kWh)."""

    __slots__ = (
        "_gap", "_local", "active", "amount", "begun", "calm", "cause", "count", "daily", "day", "empty", "evidence",
        "hour", "least", "neighbours", "of_them", "opened", "past", "peaks", "pending", "recent", "register", "seat",
        "state", "sum", "total", "with_them", "z",
    )  # fmt: skip

    def __init__(self, meter: Meter, neighbours: Neighbours | None = None) -> None:
        """neighbours: it takes a seat among them."""
        self._local = meter.local
        self._gap: Ms = max(int(_GAP * meter.interval_s * SECOND), HOUR)
        self.neighbours = neighbours or Nobody()
        self.seat = self.neighbours.seat()
        self.register = trusted(meter)
        self.state: bytes | None = None  # where is to be found what is asked for when a block is over
        self.active, self.cause = False, "elec_abnormal"
        self.begun: Ms = 0
        self.opened: Ms = 0
        self.hour = 0  # local number of the one that is filled
        self.amount = nan  # kWh in it
        self.count, self.total, self.least = 0, 0.0, 0.0  # known hours of the block that is filled, kW
        self.past = [Blocks() for _ in range(TIMES)]  # by time of day
        self.recent = [Blocks() for _ in range(TIMES)]  # the same while it is active
        self.day: list[tuple[int, float, float]] = []  # number, mean and smallest hour of the newest blocks
        self.peaks = Peaks(_LEAST + TIMES)
        self.sum, self.daily = 0.0, zeros(TIMES)
        self.calm = self.empty = 0  # blocks in a row
        self.with_them, self.of_them = 0.0, 0.0  # sums of products with the neighbours', and of their squares
        self.pending = 0  # block that waits for what the neighbours say; 0 = none
        self.z = 0.0
        self.evidence = zeros(2)

    def arguments(self) -> dict[str, float]:
        """load, usual: kW of the last six hours, and at that time of day."""
        self._thaw()
        return {"load": self.evidence[0], "usual": self.evidence[1]}

    def tick(self, now: Ms) -> None:
        return

    def read(self, at: Ms, value: float) -> None:
        before = self.register.at
        moved = self.register.read(at, value)
        self.begun = self.begun or at
        local = self._local.local(at)
        if self.pending and local >= (self.pending + 1) * BLOCK + HOUR:
            self._judge(at)
        since = (self.register.since if moved != UNKNOWN else before) or at
        self._spread(local - (at - since), local, moved)

    # ------------------------------------------------------------ hours and blocks

    def _spread(self, since: Ms, local: Ms, moved: float) -> None:
        """What moved between two moments of local time, over the hours."""
        span, hour = local - since, local // HOUR
        if not 0 < span <= 2 * DAY or not 0 <= hour - self.hour <= 2 * DAY // HOUR:
            self.hour, self.amount, self.count, self.total = hour, nan, 0, 0.0
            return
        rate = moved / span if moved != UNKNOWN and span <= self._gap else nan
        while self.hour < hour:
            self.amount += rate * max((self.hour + 1) * HOUR - max(since, self.hour * HOUR), 0)
            self._close_hour()
        self.amount += rate * (local - max(since, hour * HOUR))

    def _close_hour(self) -> None:
        kw = self.amount
        if not isnan(kw):
            self.least = min(self.least, kw) if self.count else kw
            self.count, self.total = self.count + 1, self.total + kw
        self.hour, self.amount = self.hour + 1, 0.0
        if self.hour % HOURS == 0:
            if self.count >= HOURS - MOST_LOST:
                self._close_block(self.hour // HOURS - 1, self.total / self.count, self.least)
            self.count, self.total = 0, 0.0

    def _close_block(self, block: int, mean: float, least: float) -> None:
        self._thaw()
        self.day = [(block, half(mean), half(least)), *(b for b in self.day if b[0] > block - TIMES)]
        if len(self.past[block % TIMES].days) < QUARANTINE + ENOUGH:
            self._keep(self.past, block, KEPT + QUARANTINE)
            return
        settled, z = self._like(block, block % TIMES), 0.0
        for kw, kept in ((mean, [m for m, _, _ in settled]), (least, [n for _, n, _ in settled])):
            middle, width = usual(kept)
            z += min(max((logarithm(kw) - middle) / width, LOW), HIGH) / 2.0
        self.pending, self.z = block, single(z)
        self.neighbours.say(self.seat, block, self.z)

    def _like(self, block: int, time: int) -> Sequence[Day]:
        """What it took at that time of day on days like that of a block."""
        return alike(self.past[time].days[QUARANTINE:], self._local.rests(block // TIMES))

    def _keep(self, where: list[Blocks], block: int, days: int) -> None:
        _, mean, least = self.day[0]
        newest = Day(steps(mean), steps(least), self._local.rests(block // TIMES))
        time = block % TIMES
        where[time].put([newest, *where[time].days][:days])

    # ------------------------------------------------------------ judging

    def _judge(self, at: Ms) -> None:
        self._thaw()
        block, self.pending = self.pending, 0
        time = block % TIMES
        if not self._perhaps_life(at):
            if self.active:  # it was none: what waited is forgotten before it counts
                self.peaks.drop()
            self.peaks.roll(block // TIMES)
        others = self.neighbours.median(self.seat, block)
        kept = [[mean for mean, _, _ in self._like(block, time)] for time in range(TIMES)]
        ordinary = power(median(kept[time]))
        z = self._without_them(others)
        if z > 0.0:
            means = [power(median(k)) for k in kept if k]
            matters = MATTERS * max(sum(means) / len(means), SMALL)
            z *= min(1.0, max(self.day[0][1] - ordinary, 0.0) / matters)
        self.sum = single(max(0.0, self.sum + z - DRIFT))
        self.daily[time] = max(0.0, self.daily[time] + z - DRIFT)
        self.calm = min(self.calm + 1, CALM_BLOCKS) if z < CALM else 0
        self.empty = min(self.empty + 1, EMPTY_MOST + 1) if z < EMPTY else 0
        if self.empty < EMPTY_BLOCKS or self.empty > EMPTY_MOST:
            days = NORMAL_DAYS if self.active else KEPT + QUARANTINE
            self._keep(self.recent if self.active else self.past, block, days)
        if self.active:
            self._stands(at, z)
        elif self._high(time, z, others) and at - self.begun >= LEARNING:
            self._raise(at, ordinary)

    def _without_them(self, others: float | None) -> float:
        """What the neighbours do not explain."""
        if others is None:
            return self.z
        tied = (TIED * TIED_WEIGHT + self.with_them) / (TIED_WEIGHT + self.of_them)
        z = self.z - min(max(tied, 0.0), TIED_MOST) * others
        if not self.active:
            self.with_them = single(self.with_them * FADES + others * self.z)
            self.of_them = single(self.of_them * FADES + others * others)
        return z

    def _high(self, time: int, z: float, others: float | None) -> bool:
        """Whether the sums are high and the powers higher than ever; learns the powers."""
        least = [b[2] for b in self.day]
        now = {
            _DAY: sum(b[1] for b in self.day) / len(self.day),
            _HALF: min(least[:2]) if len(least) >= 2 else 0.0,
            _WHOLE: min(least) if len(least) == TIMES else 0.0,
            _TIME + time: self.day[0][1],
            _LEAST + time: self.day[0][2],
        }
        own = {measure: self.peaks.largest(measure) for measure in now}
        for measure, kw in now.items():
            self.peaks.note(measure, kw)
        times = ALONE if others is None else 1.0
        by_sum, by_day = self.sum / (SUM_ALARM * times), self.daily[time] / (DAILY_ALARM * times)
        base = any(now[m] > BASE_OWN * own[m] > 0.0 for m in (_HALF, _WHOLE))
        calm = others is not None and others < ONCE_OTHERS  # a cold night is one of the whole street
        more = now[_TIME + time] > TIME_OWN * own[_TIME + time]
        never = now[_LEAST + time] > ONCE_OWN * own[_LEAST + time] > 0.0
        return (
            (calm and z >= ONCE and more and never)
            or (by_sum > 1.0 and now[_DAY] > DAY_OWN * own[_DAY])
            or (by_day > 1.0 and more)
            or (base and max(by_sum, by_day) > BASE_SUM)
        )

    def _raise(self, at: Ms, usual: float) -> None:
        self.active, self.opened = True, at
        self.evidence = floats((self.day[0][1], usual))
        for past in self.past:
            past.put(past.days[QUARANTINE:])

    def _perhaps_life(self, at: Ms) -> bool:
        """While it may still turn out to be life, the peaks wait: neither learned nor forgotten."""
        return self.active and at - self.opened <= LIFE

    def _stands(self, at: Ms, z: float) -> None:
        if self.calm >= CALM_BLOCKS:
            if self._perhaps_life(at):
                self.peaks.settle()
            self._clear()
        elif at - self.opened >= NORMAL and z >= CALM:
            for time, recent in enumerate(self.recent):
                days = recent.days  # it has stood for days and waits no more
                self.past[time].put([*days[:QUARANTINE], *days])
            self._clear()

    def _clear(self) -> None:
        self.active, self.sum, self.daily = False, 0.0, zeros(TIMES)
        self.recent = [Blocks() for _ in range(TIMES)]

    # ------------------------------------------------------------ state

    def pack(self) -> bytes:
        often = self.register.dump() + _KEPT.pack(
            self.active | _LAYOUT, self.begun, self.hour, self.count, self.amount, self.total, self.least, self.pending,
        )  # fmt: skip
        if self.state is not None:
            return often + self.state[_SELDOM:]
        newest = self.day[0][0] if self.day else 0
        blocks = [_BLOCK.pack(newest - block, mean, least) for block, mean, least in self.day]
        rows = [blocks.pack() for blocks in (*self.past, *self.recent)]
        judged = _JUDGED.pack(
            self.opened, self.calm, self.empty, newest, self.sum, self.with_them, self.of_them, self.z, *self.evidence,
            *self.daily, len(blocks), *map(len, rows),
        )  # fmt: skip
        return b"".join((often, judged, self.peaks.pack(), *blocks, *rows))

    def unpack(self, state: bytes) -> None:
        self.register.look(state)
        flags, self.begun, self.hour, self.count, self.amount, self.total, self.least, self.pending = (
            _KEPT.unpack_from(state, SIZE)
        )
        self.active, self.state = bool(flags & 1), state

    def _thaw(self) -> None:
        """Takes what is asked for when a block is over from the state that was looked at."""
        state = self.state
        if state is None:
            return
        self.state, place = None, _SELDOM + _JUDGED.size
        judged = _JUDGED.unpack_from(state, _SELDOM)
        self.opened, self.calm, self.empty, newest, self.sum, self.with_them, self.of_them, self.z = judged[
            :8
        ]
        self.evidence, self.daily, (days, *sizes) = floats(judged[8:10]), floats(judged[10:14]), judged[14:]
        self.peaks.look(state, place)
        place += self.peaks.size
        blocks, place = place, place + _BLOCK.size * days
        self.day = [
            (newest - age, mean, least) for age, mean, least in _BLOCK.iter_unpack(state[blocks:place])
        ]
        if place + sum(sizes) != len(state):
            raise ValueError("another length")
        rows = [Blocks(state[a:b]) for a, b in pairwise(accumulate(sizes, initial=place))]
        self.past, self.recent = rows[:TIMES], rows[TIMES:]

    def dump(self) -> list[Any]:
        return [self.pack(), list(self.neighbours.spoken(self.seat))]

    def load(self, data: list[Any]) -> None:
        """Takes what `dump` gave, in this layout or an older one. Raises Rejected for anything else."""
        if not data or len(data) > 5:
            raise Rejected(f"a stored detector: {data!r:.40} found")
        state = data[0]
        if isinstance(state, bytes) and len(state) > SIZE and state[SIZE] & _LAYOUT:
            whole(data, self, len(data))
            self.say(data[1] if len(data) == 2 else NOTHING)
        else:
            load_older(self, data)

    def say(self, said: Sequence[Any]) -> None:
        """Once more what it said before a restart."""
        newest, z, before, before_z = parts(said, 4)
        self.neighbours.put(self.seat, (int(newest), float(z), int(before), float(before_z)))
