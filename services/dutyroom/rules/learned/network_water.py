"""A leak or a burst in a water network, on its consumption side.

The meters that leave sources and tanks show use and leaks; inlets show pump cycles. At night use is
least and most alike, so a small leak is seen there; by day a large one.

- Night: the smallest hour since midnight (local) against that of the same time of past nights.
- Day: the flow of the last hour against the same hour of past days.
- Step: how far the flow rose within three quarters of an hour, beyond what it does at that time of
  day. A thousand homes do not open their taps at once; a main that breaks takes a moment.

Night and day are differences of logarithms in units of their own spread, summed up (CUSUM, Page
1954) after taking off what is ordinary; a step is judged alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import exp, log
from statistics import median
from typing import Any

from dutyroom.rules.learned import LEARNING
from dutyroom.rules.learned.meter import Meter
from dutyroom.rules.learned.peaks import Peaks
from dutyroom.rules.learned.zone_flow import ZoneFlow
from dutyroom.timebase import DAY, HOUR, Ms

KEPT = 28  # days of the profile
QUARANTINE = 2  # days
NIGHT_END = 6  # local hours 0..5
FIRST_LOOK = 3  # from then on the night's smallest hour is known well enough
NIGHT_FLOOR = 0.05  # the least spread that a night's smallest hour is taken to have
NIGHT_DRIFT, NIGHT_CAP, NIGHT_ALARM = 0.75, 6.0, 3.5
DAY_FLOOR = 0.10
DAY_DRIFT, DAY_CAP, DAY_ALARM = 1.0, 8.0, 7.5
NIGHT_TAIL, DAY_TAIL = False, True
NIGHT_TIMES = 1.4
OWN_TIMES = 1.4  # of its own largest sum that was none: networks whose days go their own way
LIFE: Ms = 36 * HOUR  # an alarm that ended by itself within that, less than half above its limit, was none
LIFE_TIMES = 1.5
STEP = 0.25  # ln: a rise of 28 % at once
STEP_DAYS = 3  # days until rises are measured
CALM = 12.0  # hours
BURST = 0.3  # of the ordinary flow of that hour
NORMAL: Ms = 28 * DAY  # an alarm that stood so long is the new normal
_RISES = 2  # where the peaks of rises begin


def spread(values: Sequence[float], floor: float, tail: bool = False) -> tuple[float, float]:
    """Median and robust standard deviation upwards, no smaller than the floor.

    tail: what one day in ten reaches is ordinary, even where the others are all alike (weekends).
    """
    middle = median(values)
    tenth = sorted(values)[-1 - len(values) // 10] if tail else middle
    return middle, max(floor, 1.4826 * median([abs(v - middle) for v in values]), (tenth - middle) / 1.2816)


class NetworkWater:
    """On the zone's outlet meters (m3); of the other members it hears nothing."""

    __slots__ = (
        "_local",
        "active",
        "begun",
        "calm",
        "cause",
        "cusum",
        "evidence",
        "flow",
        "hours",
        "limit",
        "measure",
        "night",
        "nightly",
        "nights",
        "opened",
        "peaks",
        "places",
        "profile",
        "reached",
        "recent",
        "residues",
        "seen",
        "shape",
        "since",
        "today",
    )  # fmt: skip

    def __init__(self, meters: Sequence[Meter]) -> None:
        places = [i for i, m in enumerate(meters) if m.klass == "water_meter" and m.role == "zone_outlet"]
        self.places = {member: i for i, member in enumerate(places)}
        self._local = meters[0].local
        self.flow = ZoneFlow([meters[i] for i in places])
        self.active, self.cause = False, "leak"
        self.evidence = [0.0, 0.0]
        self.begun: Ms = 0
        self.opened: Ms = 0
        self.since = ""  # by which it was raised: "night", "day" or "step"
        self.recent: list[float] = []  # flow of the last bins, newest first
        self.seen = -1  # local day of the newest bin
        self.cusum = self.nightly = self.calm = 0.0
        self.peaks = Peaks(_RISES + 24)  # sums by day and by night; rises by hour of day
        self.residues: list[float] = []  # ln flow of the last bins less the usual one, newest first
        self.measure, self.reached, self.limit = 0, 0.0, 0.0  # of the alarm
        self.night: list[float] = []  # smallest ln flow until the end of hour 0, 1, ...
        self.today: list[tuple[int, float]] = []  # hours that wait for their day's end: hour, ln flow
        self.hours: list[list[tuple[int, float]]] = []  # days in quarantine, newest first
        self.nights: list[list[float]] = []  # newest first, with those in quarantine
        self.profile: list[list[float]] = [[] for _ in range(24)]  # by hour, newest first
        self.shape: list[tuple[float, float]] = []  # middle and spread by hour

    def arguments(self) -> dict[str, float]:
        """flow: m3/h of the last hour; usual: of that hour on other days, or nights."""
        return {"flow": self.evidence[0], "usual": self.evidence[1]}

    def tick(self, now: Ms) -> None:
        return

    def read(self, member: int, at: Ms, value: float) -> None:
        place = self.places.get(member)
        if place is None:
            return
        self.begun = self.begun or at
        for start, flow in self.flow.read(place, at, value):
            self._bin(start + self.flow.bin, flow)

    # ------------------------------------------------------------ bins and hours

    def _bin(self, end: Ms, flow: float) -> None:
        local = self._local.local(end - 1)
        if local // DAY != self.seen:
            self._new_day(local // DAY)
        count = HOUR // self.flow.bin
        self.recent = [flow, *self.recent[: count - 1]]
        whole = len(self.recent) == count and min(self.recent) > 0.0
        last = log(sum(self.recent) / count) if whole else 0.0
        if whole and self.shape:
            self._by_day(end, local, last)
        if flow > 0.0 and self.shape:
            self._by_step(end, local, log(flow))
        else:
            self.residues = []
        if self._local.local(end) % HOUR < self.flow.bin:
            self._hour(end, local % DAY // HOUR, last if whole else None)

    def _hour(self, end: Ms, hour: int, last: float | None) -> None:
        """A local clock hour is complete."""
        if last is not None:
            self.today.append((hour, last))
        if hour < NIGHT_END and len(self.night) == hour and last is not None:
            self.night.append(min(last, self.night[-1]) if self.night else last)
            if hour >= FIRST_LOOK:
                self._by_night(end, hour)

    # ------------------------------------------------------------ judging

    def _usual(self, middle: Ms) -> tuple[float, float]:
        """ln flow and spread at a local moment: between the middles of clock hours straight lines."""
        hour, part = (middle - HOUR // 2) // HOUR, ((middle - HOUR // 2) % HOUR) / HOUR
        (a, sa), (b, sb) = self.shape[hour % 24], self.shape[(hour + 1) % 24]
        return a + (b - a) * part, sa + (sb - sa) * part

    def _by_step(self, end: Ms, local: Ms, last: float) -> None:
        """A rise that stands for two bins."""
        usual, _ = self._usual(local - self.flow.bin // 2)
        self.residues = [last - usual, *self.residues[:3]]
        if len(self.residues) < 4:
            return
        rise = min(self.residues[:2]) - max(self.residues[2:])
        hour = local % DAY // HOUR
        near = max(self.peaks.largest(_RISES + h % 24) for h in (hour - 1, hour, hour + 1))
        self._weigh(end, "step", _RISES + hour, rise, max(STEP, OWN_TIMES * near), last, usual)

    def _by_day(self, end: Ms, local: Ms, last: float) -> None:
        usual, width = self._usual(local + 1 - HOUR // 2)
        z = (last - usual) / width
        share = self.flow.bin / HOUR
        self.cusum = max(0.0, self.cusum + (min(z, DAY_CAP) - DAY_DRIFT) * share)
        self.calm = self.calm + share if z < 1.0 else 0.0
        limit = max(DAY_ALARM, OWN_TIMES * self.peaks.largest(0))
        self._weigh(end, "day", 0, self.cusum, limit, last, usual)
        if self.since in ("day", "step") and self.calm >= CALM:
            self._clear(end)
        if self.active and end - self.opened >= NORMAL:
            self._forget(end)

    def _by_night(self, end: Ms, hour: int) -> None:
        past = [n[hour] for n in self.nights[QUARANTINE:] if len(n) > hour]
        if len(past) < LEARNING // DAY // 2:
            return
        usual, width = spread(past, NIGHT_FLOOR, NIGHT_TAIL)
        z = min((self.night[hour] - usual) / width, NIGHT_CAP)
        total = max(0.0, self.nightly + z - NIGHT_DRIFT)
        limit = max(NIGHT_ALARM, NIGHT_TIMES * self.peaks.largest(1))
        self._weigh(end, "night", 1, total, limit, self.night[hour], usual)
        if hour == NIGHT_END - 1:
            self.nightly = total
            if z < 1.0:
                self._clear(end)

    def _weigh(
        self, at: Ms, since: str, measure: int, value: float, limit: float, last: float, usual: float
    ) -> None:
        """Raises what is above the limit; learns what is not."""
        if self.active:
            if measure == self.measure:
                self.reached = max(self.reached, value)
        elif value <= limit or at - self.begun < LEARNING:
            self.peaks.note(measure, value)
        else:
            self.measure, self.reached, self.limit = measure, value, limit
            self._raise(at, since, last, usual)

    def _raise(self, at: Ms, since: str, last: float, usual: float) -> None:
        self.active, self.since, self.opened = True, since, at
        self.cause = "burst" if since != "night" and last - usual > BURST else "leak"
        self.evidence = [exp(last), exp(usual)]
        self.hours, self.today = [], []
        self.peaks.drop()
        self.nights = self.nights[QUARANTINE:]

    def _clear(self, at: Ms) -> None:
        if self.active:
            if at - self.opened <= LIFE and self.reached <= LIFE_TIMES * self.limit:
                self.peaks.learn(self.measure, self.reached)
            self.active, self.since = False, ""
            self.cusum = self.nightly = self.calm = 0.0

    def _forget(self, at: Ms) -> None:
        self._clear(at)
        self.begun, self.shape, self.nights = at, [], []
        self.profile = [[] for _ in range(24)]

    # ------------------------------------------------------------ learning

    def _new_day(self, day: int) -> None:
        if self.seen >= 0 and not self.active:
            self.hours.insert(0, self.today)
            if len(self.night) == NIGHT_END:
                self.nights = [self.night, *self.nights[: KEPT + QUARANTINE - 1]]
            while len(self.hours) > QUARANTINE:
                for hour, value in self.hours.pop():
                    self.profile[hour] = [value, *self.profile[hour][: KEPT - 1]]
            if all(len(p) >= STEP_DAYS for p in self.profile):
                self.shape = [spread(p, DAY_FLOOR, DAY_TAIL) for p in self.profile]
        self.peaks.roll(day)
        self.seen, self.today, self.night = day, [], []

    # ------------------------------------------------------------ state

    def dump(self) -> list[Any]:
        kept = {"flow": self.flow.dump(), "peaks": self.peaks.dump()}
        return [kept.get(name) or getattr(self, name) for name in _KEPT]

    def load(self, data: list[Any]) -> None:
        for name, value in zip(_KEPT, data, strict=True):
            if name in ("flow", "peaks"):
                getattr(self, name).load(value)
            else:
                setattr(self, name, value)


_KEPT = tuple(n for n in NetworkWater.__slots__ if n not in ("_local", "places"))
