"""A leak or a burst in a water network, on its consumption side.

The meters that leave sources and tanks show use and leaks; inlets show pump cycles. At night use is
least and most alike, so a small leak is seen there; by day a large one.

- Night: the smallest hour since midnight (local) against that of the same time of past nights.
- Day: the flow of the last hour against the same hour of past days.
- Step: how far the flow rose within three quarters of an hour, beyond what it does at that time of
  day. A thousand homes do not open their taps at once; a main that breaks takes a moment.

Night and day are differences of logarithms in units of their own spread, summed up (CUSUM, Page
1954) after taking off what is ordinary; a step is judged alone. Each has a limit of the class, and
one from the network's own largest value that was no alarm.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import exp, log
from typing import Any

from dutyroom.rules.learned import LEARNING
from dutyroom.rules.learned.habits import HOURS, NIGHT, Hours, Nights, grown, spread
from dutyroom.rules.learned.meter import Meter
from dutyroom.rules.learned.packed import floats, parts, unpack
from dutyroom.rules.learned.peaks import Peaks
from dutyroom.rules.learned.zone_flow import ZoneFlow
from dutyroom.timebase import DAY, HOUR, Ms

DAYS = 7  # days until sums are made: one of each weekday
DAY_LEARNING = (
    LEARNING + 3 * DAY
)  # sums by day are made from the tenth day on: a week of them, with both days of rest
STEP_DAYS = 3  # days until rises are measured: they need the shape of a day only
FIRST_LOOK = 3  # local hour; before it half the town is still up
NIGHT_FLOOR = 0.05  # ln: nights differ by 5 % even where a few weeks happened to be calm
NIGHT_DRIFT = 1.0  # spreads a night that are ordinary
NIGHT_CAP = 6.0  # spreads: one night, however strange, is not all
NIGHT_ALARM = 2.0  # spreads: one night 3 above, or two 2 above
DAY_FLOOR, DAY_DRIFT, DAY_CAP, DAY_ALARM = 0.10, 1.0, 8.0, 7.5  # the same by hours
NEAR = 2  # hours: a morning's rise comes an hour or two later on other days
STEP = 0.25  # ln: 28 % at once
OWN_TIMES = 1.5  # of its own largest night's sum, or rise in these hours
DAY_TIMES = 2.0  # of its own largest sum by day: weather and feasts go on for days
SEEN_TIMES = 0.85  # of the largest sum by day among the days it was learned from
LIFE: Ms = 36 * HOUR  # an alarm that ended by itself within that, less than half above its limit, was none
LIFE_TIMES = 1.5
CALM = 12.0  # hours: half a day like any other
BURST = 0.3  # ln: a third above the usual flow at once is no leak
NORMAL: Ms = 14 * DAY  # an alarm that stood so long is the new normal: it is known, and would hide the next
_DAY, _NIGHT, _STEP = 0, 1, 2  # measures; steps have one for each hour
_NAMES = ("calm", "cusum", "limit", "measure", "nightly", "opened", "own_day", "reached", "seen")


class NetworkWater:
    """On the zone's outlet meters (m3); of the other members it hears nothing."""

    __slots__ = (
        *_NAMES, "_local", "active", "begun", "cause", "evidence", "flow", "hours", "nights", "peaks",
        "places", "recent", "residues",
    )  # fmt: skip

    def __init__(self, meters: Sequence[Meter]) -> None:
        places = [i for i, m in enumerate(meters) if m.klass == "water_meter" and m.role == "zone_outlet"]
        self.places = {member: i for i, member in enumerate(places)}
        self._local = meters[places[0]].local
        self.flow = ZoneFlow([meters[i] for i in places])
        self.hours, self.nights = Hours(DAY_FLOOR), Nights()
        self.peaks = Peaks(_STEP + HOURS)
        self.active, self.cause = False, "leak"
        self.evidence = [0.0, 0.0]
        self.begun: Ms = 0
        self.opened: Ms = 0
        self.seen = 0  # local day of the newest bin
        self.recent = floats()  # flow of the last bins, newest first
        self.residues = floats()  # their logarithms less the usual ones
        self.cusum = self.nightly = 0.0
        self.calm = 0.0  # hours
        self.own_day = 0.0  # the largest sum by day of the days that it was learned from
        self.measure, self.reached, self.limit = _DAY, 0.0, 0.0  # of the alarm

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
        self.recent.insert(0, flow)
        del self.recent[count:]
        whole = len(self.recent) == count and min(self.recent) > 0.0
        last = log(sum(self.recent) / count) if whole else 0.0
        if whole and self.hours.known >= DAYS:
            self._by_day(end, local, last)
        if flow > 0.0 and self.hours.shape:
            self._by_step(end, local, log(flow))
        else:
            del self.residues[:]
        if whole and self._local.local(end) % HOUR < self.flow.bin:
            self.hours.note(local % DAY // HOUR, last)
            self._by_night(end, local % DAY // HOUR, last)

    def _new_day(self, day: int) -> None:
        if self.seen:
            self.hours.close(not self.active, STEP_DAYS)
            self.nights.close(not self.active)
            self.own_day = self.hours.largest(DAY_DRIFT, DAY_CAP)
        self.peaks.roll(day)
        self.seen = day

    # ------------------------------------------------------------ judging

    def _by_day(self, end: Ms, local: Ms, last: float) -> None:
        usual, width = self.hours.usual(local + 1 - HOUR // 2)
        z, share = (last - usual) / width, self.flow.bin / HOUR
        self.cusum = max(0.0, self.cusum + (min(z, DAY_CAP) - DAY_DRIFT) * share)
        self.calm = self.calm + share if z < 1.0 else 0.0
        self._weigh(end, _DAY, self.cusum, max(DAY_ALARM, SEEN_TIMES * self.own_day), last, usual)
        if self.active and self.measure != _NIGHT and self.calm >= CALM:
            self._clear(end)
        if self.active and end - self.opened >= NORMAL:
            self._accept(end)

    def _by_step(self, end: Ms, local: Ms, last: float) -> None:
        """A rise that stands for two bins, against what rises at that time of day."""
        usual, _ = self.hours.usual(local + 1 - self.flow.bin // 2)
        self.residues.insert(0, last - usual)
        del self.residues[4:]
        if len(self.residues) == 4:
            rise = min(self.residues[:2]) - max(self.residues[2:])
            self._weigh(end, _STEP + local % DAY // HOUR, rise, STEP, last, usual)

    def _by_night(self, end: Ms, hour: int, last: float) -> None:
        least = self.nights.note(hour, last)
        if least is None or hour < FIRST_LOOK:
            return
        past = self.nights.past(hour)
        if len(past) < DAYS:
            return
        usual, width = spread(past, NIGHT_FLOOR)
        usual += grown(past)
        z = min((least - usual) / width, NIGHT_CAP)
        total = max(0.0, self.nightly + z - NIGHT_DRIFT)
        self._weigh(end, _NIGHT, total, NIGHT_ALARM, least, usual)
        if hour == NIGHT - 1:
            self.nightly = total
            if self.active and z < 1.0:
                self._clear(end)

    def _own(self, measure: int) -> float:
        """Its largest value that was no alarm; of steps also in the hours beside it."""
        if measure < _STEP:
            return (DAY_TIMES if measure == _DAY else OWN_TIMES) * self.peaks.largest(measure)
        hour = measure - _STEP
        return OWN_TIMES * max(
            self.peaks.largest(_STEP + h % HOURS) for h in range(hour - NEAR, hour + NEAR + 1)
        )

    def _weigh(self, at: Ms, measure: int, value: float, floor: float, last: float, usual: float) -> None:
        """Raises what is above its limit; learns what is not. A burst is told in a leak, too."""
        if self.active and measure == self.measure:
            self.reached = max(self.reached, value)
        if self.active and (measure < _STEP or self.cause == "burst"):
            return
        limit = max(floor, self._own(measure)) if value > floor else floor
        learns = at - self.begun < (DAY_LEARNING if measure == _DAY else LEARNING)
        if value <= limit or learns:
            if not self.active:
                (self.peaks.learn if learns else self.peaks.note)(measure, value)
            return
        self.active, self.opened = True, at
        self.measure, self.reached, self.limit = measure, value, limit
        self.cause = "burst" if measure != _NIGHT and last - usual > BURST else "leak"
        self.evidence = [exp(last), exp(usual)]
        for learner in (self.hours, self.nights, self.peaks):
            learner.drop()

    def _clear(self, at: Ms) -> None:
        if at - self.opened <= LIFE and self.reached <= LIFE_TIMES * self.limit:
            self.peaks.learn(self.measure, self.reached)
        self.hours.drop()
        self.nights.waiting.clear()
        self.active = False
        self.cusum = self.nightly = self.calm = 0.0

    def _accept(self, at: Ms) -> None:
        """What was seen since the alarm opened is ordinary from now on."""
        self.hours.adopt()
        self.nights.adopt()
        self._clear(at)

    # ------------------------------------------------------------ state

    def dump(self) -> list[Any]:
        learned = [x.dump() for x in (self.flow, self.hours, self.nights, self.peaks)]
        arrays = [self.recent.tobytes(), self.residues.tobytes()]
        numbers = [getattr(self, name) for name in _NAMES]
        return [learned, arrays, numbers, list(self.evidence), self.active, self.cause, self.begun]

    def load(self, data: list[Any]) -> None:
        learned, arrays, numbers, self.evidence, self.active, self.cause, self.begun = parts(data, 7)
        flow, hours, nights, peaks = parts(learned, 4)
        self.flow.load(flow)
        self.hours.load(hours)
        self.nights.load(nights)
        self.peaks.load(peaks)
        self.recent, self.residues = (unpack(a) for a in parts(arrays, 2))
        for name, value in zip(_NAMES, parts(numbers, len(_NAMES)), strict=True):
            setattr(self, name, value)
