"""A leak or a burst behind the meter of a home.

People stop using water, leaks do not. Two measures say it:

- the hours since the register last stood still for w hours (w = 1, 2, 3, 4): a leak of q L/h on a
  register of 1 L moves it every 1/q h, so still spells longer than that vanish, even those far below
  the resolution of the meter;
- the smallest hourly flow over the last k hours (the envelope of the flow-duration curve): what no
  household takes for so long.

Each is compared with a floor of the class, from physics, and with the home's own largest finished
value times a factor.
"""

from __future__ import annotations

import struct
from array import array
from typing import Any

from dutyroom.rules.learned import LEARNING
from dutyroom.rules.learned.meter import Meter
from dutyroom.rules.learned.packed import (
    Floats,
    floats,
    half,
    halves,
    halves_at,
    parts,
    unpack,
    unpack_halves,
    whole,
    zeros,
)
from dutyroom.rules.learned.peaks import Peaks
from dutyroom.rules.learned.register import SIZE, UNKNOWN
from dutyroom.rules.learned.register_fault import trusted
from dutyroom.timebase import DAY, HOUR, Ms

LITRE = 0.001  # m3

SPELLS = (1, 2, 3, 4)  # hours still
SPELL_FLOORS = (36.0, 60.0, 96.0, 168.0)  # hours: a day with a night on either side; 2.5 d; 4 d; a week
SPELL_FACTORS = (1.4, 1.5, 1.6, 2.0)  # longer spells are rarer: their largest is known less well
TOLERANCE = 0.9  # readings are not on the second

WINDOWS = (1, 2, 3, 4, 6, 8, 12, 18, 24)  # hours
FLOW_FLOORS = (350.0, 200.0, 130.0, 80.0, 55.0, 35.0, 25.0, 5.0, 2.0)  # L/h
FLOW_FACTOR = 1.4
BURST_WINDOWS = 2  # the first two are a burst

NIGHT = (4 * HOUR, 7 * HOUR + HOUR // 2)  # local: who was up late sleeps, who is up early is not up yet
NIGHT_WINDOWS = (3, 4, 6)
NIGHT_FLOORS = (40.0, 20.0, 15.0)  # L/h
NIGHT_FACTOR = 1.5

SHORT = (
    4  # hours of high flow that are somebody's doing (a garden, a pool): learned at once, even in an alarm
)
HIGH = 80.0  # L/h that such a spell has
SHORTS = 4  # the first windows, no longer than that
LIFE: Ms = 36 * HOUR  # an alarm that ended by itself within that, and was less than half above its
LIFE_TIMES = 1.5  # limit, was life after all: its values are learned, or the same visitors ring again
_FLOWS, _NIGHTS = len(SPELLS), len(SPELLS) + len(WINDOWS)  # where their peaks begin
_COUNT = _NIGHTS + len(NIGHT_WINDOWS)
_FLOORS = (*SPELL_FLOORS, *FLOW_FLOORS, *NIGHT_FLOORS)
_FACTORS = (*SPELL_FACTORS, *(FLOW_FACTOR for _ in WINDOWS), *(NIGHT_FACTOR for _ in NIGHT_WINDOWS))

_CAUSES = ("leak", "burst")
_KEPT = struct.Struct("<?B?qqqddq")
_SINCE = SIZE + _KEPT.size  # where the hours since still spells lie
_SELDOM = _SINCE + 4 * len(SPELLS)  # and what is asked for once an hour


class HomeWater:
    """On the register of a home's water meter (m3)."""

    __slots__ = (
        "_local", "active", "begun", "bin_hours", "bin_moved", "cause", "evidence", "flows", "opened",
        "peaks", "reached", "register", "since", "spell", "spell_hours", "state", "still_since", "stood", "unknown",
    )  # fmt: skip

    def __init__(self, meter: Meter) -> None:
        self._local = meter.local
        self.register = trusted(meter)
        coarse = meter.resolution > LITRE
        self.unknown = meter.resolution if coarse else 0.0  # a coarse register leaps by a digit
        self.peaks = Peaks(_COUNT)
        self.state: bytes | None = (
            None  # where what an hour asks for is to be found: flows, spell, evidence, reached
        )
        self.reached: Floats = floats()  # in the open alarm, what is above its limit
        self.active, self.cause = False, "leak"
        self.evidence: Floats = zeros(3)  # measure, value, limit
        self.begun: Ms = 0
        self.opened: Ms = 0
        self.still_since: Ms = 0
        self.stood = False  # a still hour since the alarm opened
        self.since = zeros(len(SPELLS))  # hours since a still spell of that length
        self.flows: list[float] = []  # L/h of the last hours, newest first
        self.bin_hours = self.bin_moved = 0.0
        self.spell_hours = 0  # of high flow until now
        self.spell = [0.0] * SHORTS  # its smallest flows by window

    def arguments(self) -> dict[str, float]:
        """measure: hours of the window; value and limit: hours since a still spell, or flow in m3/h."""
        self._thaw()
        measure, value, limit = self.evidence
        name = "hours_since_still" if measure < _FLOWS else "least_flow"
        scale = 1.0 if measure < _FLOWS else LITRE
        return {"window": self._window(int(measure)), name: value * scale, "limit": limit * scale}

    def tick(self, now: Ms) -> None:
        return

    def read(self, at: Ms, value: float) -> None:
        moved = self.register.read(at, value)
        if not self.begun:
            self.begun = self.still_since = at
        self.peaks.roll(self._local.local(at) // DAY)
        if moved == UNKNOWN:
            return
        hours = (at - self.register.since) / HOUR
        caught_up = self.register.since - self.still_since >= DAY and moved > 0.0
        self._spells(at, moved, hours)
        self.bin_hours += hours
        self.bin_moved += 0.0 if caught_up else moved  # after a day of stillness: a register that was stuck
        if self.bin_hours >= 0.8:  # readings are not on the second
            self._hour(at, max(self.bin_moved - self.unknown, 0.0) / LITRE / self.bin_hours)
        self._clear(at)

    # ------------------------------------------------------------ still spells

    def _spells(self, at: Ms, moved: float, hours: float) -> None:
        since = self.since
        if moved <= 0.0:
            still = (at - self.still_since) / HOUR
            for i, w in enumerate(SPELLS):
                if still >= TOLERANCE * w:
                    self._stood(i)
                else:
                    since[i] += hours
        else:
            self.still_since = at
            for i, w in enumerate(SPELLS):
                if hours <= 1.5 or hours <= 0.75 * w:  # what a gap hides may have been a still spell
                    since[i] += hours
        if max(since) <= SPELL_FLOORS[0]:  # below all limits
            return
        for i in range(_FLOWS):
            if since[i] > self._limit(i):
                self._raise(at, "leak", i, since[i])

    def _stood(self, i: int) -> None:
        if i == 0:
            self.stood = True
        if self.since[i] and not self.active:
            self.peaks.note(i, self.since[i])
        self.since[i] = 0.0

    # ------------------------------------------------------------ flow

    def _hour(self, at: Ms, flow: float) -> None:
        """An hour of flow is complete (L/h); a gap counts as one hour of its mean."""
        self._thaw()
        self.bin_hours = self.bin_moved = 0.0
        flow, flows = half(flow), self.flows
        flows.insert(0, flow)
        if flow < HIGH and self.spell_hours:
            self._spell_over()
        self.spell_hours += flow >= HIGH
        if len(flows) > WINDOWS[-1]:
            flows.pop()
        least, taken = flow, 0
        for i, k in enumerate(WINDOWS):
            if k > len(flows):
                break
            least, taken = min(least, *flows[taken:k]), k
            if least <= 0.0:
                break
            self._flow(at, _FLOWS + i, least)
        if NIGHT[0] <= self._local.local(at) % DAY <= NIGHT[1]:
            for i, k in enumerate(NIGHT_WINDOWS):
                if k <= len(flows):
                    self._flow(at, _NIGHTS + i, min(flows[:k]))

    def _spell_over(self) -> None:
        if self.spell_hours <= SHORT:
            for i, least in enumerate(self.spell):
                self.peaks.learn(_FLOWS + i, least)
        self.spell_hours, self.spell = 0, [0.0] * SHORTS

    def _flow(self, at: Ms, measure: int, least: float) -> None:
        short = measure - _FLOWS
        if short < SHORTS:
            self.spell[short] = max(self.spell[short], least)
        elif not self.active:
            self.peaks.note(measure, least)
        if least > self._limit(measure):
            self._raise(at, "burst" if measure < _FLOWS + BURST_WINDOWS else "leak", measure, least)

    @staticmethod
    def _window(measure: int) -> int:
        return (*SPELLS, *WINDOWS, *NIGHT_WINDOWS)[measure]

    # ------------------------------------------------------------ the alarm

    def _limit(self, measure: int) -> float:
        limit = max(_FLOORS[measure], _FACTORS[measure] * self.peaks.largest(measure))
        if _FLOWS < measure < _FLOWS + SHORTS:  # what runs for an hour may run on for another
            return max(limit, self.peaks.largest(measure - 1))
        return limit

    def _raise(self, at: Ms, cause: str, measure: int, value: float) -> None:
        if self.active:
            self._thaw()
            self.reached[measure] = max(self.reached[measure], value)
        worse = self.active and (self.cause, cause) == ("leak", "burst")
        if (self.active and not worse) or at - self.begun < LEARNING:
            return
        self._thaw()
        self.active, self.cause, self.stood, self.opened = True, cause, False, at
        self.evidence = floats((measure, value, self._limit(measure)))
        self.reached = zeros(_COUNT)
        self.reached[measure] = value
        self.peaks.drop()

    def _clear(self, at: Ms) -> None:
        if not self.active or not self.stood:
            return
        if all(hours < max(12.0, self._limit(i) / 2) for i, hours in enumerate(self.since)):
            self._thaw()
            ordinary = all(v <= LIFE_TIMES * self._limit(measure) for measure, v in enumerate(self.reached))
            if ordinary and at - self.opened <= LIFE:
                for measure, value in enumerate(self.reached):
                    self.peaks.learn(measure, value)
            self.active, self.reached = False, floats()

    # ------------------------------------------------------------ state

    def pack(self) -> bytes:
        own = _KEPT.pack(
            self.active, _CAUSES.index(self.cause), self.stood, self.begun, self.opened, self.still_since,
            self.bin_hours, self.bin_moved, self.spell_hours,
        )  # fmt: skip
        often = self.register.dump() + own + self.since.tobytes()
        if self.state is not None and not self.peaks.touched:
            return often + self.state[_SELDOM:]
        self._thaw()
        seldom = self.peaks.pack(), halves(self.spell), self.evidence.tobytes(), self.reached.tobytes()
        return b"".join((often, *seldom, halves(self.flows)))

    def unpack(self, state: bytes) -> None:
        self.register.look(state)
        (
            self.active, cause, self.stood, self.begun, self.opened, self.still_since, self.bin_hours, self.bin_moved,
            self.spell_hours,
        ) = _KEPT.unpack_from(state, SIZE)  # fmt: skip
        self.cause = _CAUSES[cause]
        self.since = array("f", state[_SINCE:_SELDOM])
        self.peaks.look(state, _SELDOM)
        self.state = state

    def _thaw(self) -> None:
        """Takes what is asked for once an hour from the state that was looked at."""
        state = self.state
        if state is None:
            return
        self.state, place = None, _SELDOM + self.peaks.size
        self.spell, place = halves_at(state, place, SHORTS), place + 2 * SHORTS
        self.evidence, place = array("f", state[place : place + 12]), place + 12
        reached = 4 * _COUNT if self.active else 0
        self.reached, place = array("f", state[place : place + reached]), place + reached
        self.flows = halves_at(state, place, (len(state) - place) // 2)

    def dump(self) -> list[Any]:
        return [self.pack()]

    def load(self, data: list[Any]) -> None:
        if whole(data, self):
            return
        self.state = None
        (
            register, peaks, flows, spell, since, reached, evidence, self.active, self.cause,
            self.begun, self.opened, self.still_since, self.stood, self.bin_hours, self.bin_moved,
            self.spell_hours,
        ) = parts(data, 16)  # fmt: skip
        self.register.load(register)
        self.peaks.load(peaks)
        self.flows, self.spell = list(unpack_halves(flows)), list(unpack_halves(spell, SHORTS))
        self.since, self.evidence = unpack(since, len(SPELLS)), unpack(evidence, 3)
        self.reached = unpack(reached, _COUNT if self.active else 0)
