"""A leak or a burst in a water network, on its consumption side.

The meters that leave sources and tanks show use and leaks; inlets show pump cycles. At night use is
least and most alike, so a small leak is seen there; by day a large one.

- Night: the smallest hour since midnight (local) against that of the same time of past nights.
- Day: the flow of the last hour against the same hour of past days.

Both as differences of logarithms in units of their own spread, summed up (CUSUM, Page 1954) after
taking off what is ordinary.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import exp, log
from statistics import median
from typing import Any

from dutyroom.rules.learned import LEARNING
from dutyroom.rules.learned.meter import Meter
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
CALM = 12.0  # hours
BURST = 0.3  # of the ordinary flow of that hour
NORMAL: Ms = 28 * DAY  # an alarm that stood so long is the new normal


def spread(values: Sequence[float], floor: float) -> tuple[float, float]:
    """Median and robust standard deviation, no smaller than the floor."""
    middle = median(values)
    return middle, max(floor, 1.4826 * median([abs(v - middle) for v in values]))


class NetworkWater:
    """On the zone's outlet meters (m3); of the other members it hears nothing."""

    __slots__ = (
        "_local", "active", "begun", "calm", "cause", "cusum", "evidence", "flow", "hours", "night",
        "nightly", "nights", "opened", "places", "profile", "recent", "seen", "shape", "since", "today",
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
        self.since = ""  # by which of the two it was raised: "night" or "day"
        self.recent: list[float] = []  # flow of the last bins, newest first
        self.seen = -1  # local day of the newest bin
        self.cusum = self.nightly = self.calm = 0.0
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
        if whole and self.shape and self._ready(end):
            self._by_day(end, local, last)
        if self._local.local(end) % HOUR < self.flow.bin:
            self._hour(end, local % DAY // HOUR, last if whole else None)

    def _ready(self, at: Ms) -> bool:
        return at - self.begun >= LEARNING - DAY

    def _hour(self, end: Ms, hour: int, last: float | None) -> None:
        """A local clock hour is complete."""
        if last is not None:
            self.today.append((hour, last))
        if hour < NIGHT_END and len(self.night) == hour and last is not None:
            self.night.append(min(last, self.night[-1]) if self.night else last)
            if hour >= FIRST_LOOK and self._ready(end):
                self._by_night(end, hour)

    # ------------------------------------------------------------ judging

    def _by_day(self, end: Ms, local: Ms, last: float) -> None:
        """Between the middles of two clock hours the profile is a straight line."""
        middle = local + 1 - HOUR // 2
        hour, part = middle // HOUR - (middle % HOUR < HOUR // 2), (middle % HOUR / HOUR - 0.5) % 1.0
        (a, sa), (b, sb) = self.shape[hour % 24], self.shape[(hour + 1) % 24]
        usual = a + (b - a) * part
        z = (last - usual) / (sa + (sb - sa) * part)
        share = self.flow.bin / HOUR
        self.cusum = max(0.0, self.cusum + (min(z, DAY_CAP) - DAY_DRIFT) * share)
        self.calm = self.calm + share if z < 1.0 else 0.0
        if self.cusum > DAY_ALARM:
            self._raise(end, "day", last, usual)
        elif self.since == "day" and self.calm >= CALM:
            self._clear()
        if self.active and end - self.opened >= NORMAL:
            self._forget(end)

    def _by_night(self, end: Ms, hour: int) -> None:
        past = [n[hour] for n in self.nights[QUARANTINE:] if len(n) > hour]
        if len(past) < LEARNING // DAY // 2:
            return
        usual, width = spread(past, NIGHT_FLOOR)
        z = min((self.night[hour] - usual) / width, NIGHT_CAP)
        total = max(0.0, self.nightly + z - NIGHT_DRIFT)
        if total > NIGHT_ALARM:
            self._raise(end, "night", self.night[hour], usual)
        if hour == NIGHT_END - 1:
            self.nightly = total
            if z < 1.0:
                self._clear()

    def _raise(self, at: Ms, since: str, last: float, usual: float) -> None:
        if self.active:
            return
        self.active, self.since, self.opened = True, since, at
        self.cause = "burst" if since == "day" and last - usual > BURST else "leak"
        self.evidence = [exp(last), exp(usual)]
        self.hours, self.today = [], []
        self.nights = self.nights[QUARANTINE:]

    def _clear(self) -> None:
        if self.active:
            self.active, self.since = False, ""
            self.cusum = self.nightly = self.calm = 0.0

    def _forget(self, at: Ms) -> None:
        self._clear()
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
            if all(len(p) >= LEARNING // DAY // 2 for p in self.profile):
                self.shape = [spread(p, DAY_FLOOR) for p in self.profile]
        self.seen, self.today, self.night = day, [], []

    # ------------------------------------------------------------ state

    def dump(self) -> list[Any]:
        return [getattr(self, name) if name != "flow" else self.flow.dump() for name in _KEPT]

    def load(self, data: list[Any]) -> None:
        for name, value in zip(_KEPT, data, strict=True):
            if name == "flow":
                self.flow.load(value)
            else:
                setattr(self, name, value)


_KEPT = tuple(n for n in NetworkWater.__slots__ if n not in ("_local", "places"))
