"""A water meter of a home that has stopped counting.

An empty home and a stuck register are the same picture. Three things tell them apart, the last one
only just:

- a home that never stood still for 6 h in a week (something always runs) now stands still for two
  days and a half;
- after a day or more of stillness one step holds most of what is used in that time, more than the
  home ever takes in an hour: the register has caught up;
- stillness longer than six days, and than any of its own.

A home where nobody lives is not judged.
"""

from __future__ import annotations

import struct
from typing import Any

from dutyroom.rules.learned import LEARNING
from dutyroom.rules.learned.meter import Meter
from dutyroom.rules.learned.packed import parts, single, unpack, whole
from dutyroom.rules.learned.peaks import Peaks
from dutyroom.rules.learned.register import SIZE, UNKNOWN
from dutyroom.rules.learned.register_fault import trusted
from dutyroom.timebase import DAY, HOUR, Ms

NIGHT = 6.0  # hours: a home where nothing runs has such a spell every night
BASE_DAYS = 7
BASE_STILL = 60.0  # hours: longer than a weekend away
CATCH_STILL = 24.0  # hours
CATCH_HOUR = 1.2  # of its own largest hour
CATCH_SHARE = 0.4  # of the mean use in that time
CATCH_GAP = 3.0  # hours: over a longer silence of the meter any step is ordinary
EMPTY = 144.0  # hours: six days, a working week and a weekend less one
EMPTY_OWN = 1.5
LIVED = 5.0  # days with use among the fortnight before it stopped: somebody lives there
_LIVED_KEPT = 13 / 14
_MEAN: Ms = 30 * DAY  # its mean flow is that of about a month
_KEPT = struct.Struct("<?qqqddqff")
_STILL, _STEP = 0, 1  # peaks: a still spell in hours, an hour's movement


class HomeStuck:
    """On the register of a home's water meter (m3)."""

    __slots__ = (
        "_local", "active", "base_since", "begun", "cause", "evidence", "lived", "lived_day", "mean", "peaks", "register", "still_since"
    )  # fmt: skip

    def __init__(self, meter: Meter) -> None:
        self._local = meter.local
        self.register = trusted(meter)
        self.peaks = Peaks(2)
        self.active, self.cause = False, "meter_stuck"
        self.begun: Ms = 0
        self.still_since: Ms = 0
        self.base_since: Ms = 0  # end of the last spell as long as a night
        self.mean = 0.0  # m3/h
        self.lived, self.lived_day = 0.0, 0  # days with use, the older the less
        self.evidence = (0.0, 0.0)  # hours still, m3 of the step after it

    def arguments(self) -> dict[str, float]:
        """hours still; step: m3 by which the register caught up (0 = it stands still)."""
        return {"hours": self.evidence[0], "step": self.evidence[1]}

    def tick(self, now: Ms) -> None:
        return

    def read(self, at: Ms, value: float) -> None:
        moved = self.register.read(at, value)
        if not self.begun:
            self.begun = self.still_since = self.base_since = at
        self.peaks.roll(at // DAY)
        if moved == UNKNOWN:
            return
        still = (at - self.still_since) / HOUR
        if moved > 0.0:
            self._moves(at, moved, (self.register.since - self.still_since) / HOUR)
        elif still >= BASE_STILL and self._too_long(still - self._local.on_holiday(self.still_since, at)):
            self._raise(at, still, 0.0)
        self._use(at, moved, at - self.register.since)

    def _use(self, at: Ms, moved: float, span: Ms) -> None:
        """Its mean use: of all time at first, of about a month later."""
        if span and not self.active:
            weight = min(span / min(_MEAN, at - self.begun + 1), 1.0)
            self.mean += (moved / (span / HOUR) - self.mean) * weight

    def _moves(self, at: Ms, moved: float, still: float) -> None:
        hours = (at - self.register.since) / HOUR
        caught = (
            still >= CATCH_STILL
            and hours <= CATCH_GAP
            and moved > CATCH_HOUR * self.peaks.largest(_STEP)
            and moved >= CATCH_SHARE * self.mean * still
        )
        if self.active:
            self.active = False
        elif caught:
            self._raise(at, still, moved)
        else:
            self.peaks.note(_STILL, still)
            if hours <= 1.5:
                self.peaks.note(_STEP, moved)
        day = at // DAY
        if day != self.lived_day:
            self.lived = self.lived * _LIVED_KEPT ** min(day - self.lived_day, 1000) + 1.0
            self.lived_day = day
        if still >= NIGHT:
            self.base_since = self.register.since
        self.still_since = at

    def _too_long(self, still: float) -> bool:
        """still: hours, without public holidays: people are away."""
        if self.lived < LIVED:
            return False
        base = self.still_since - self.base_since >= BASE_DAYS * DAY
        return (base and still >= BASE_STILL) or still >= max(EMPTY, EMPTY_OWN * self.peaks.largest(_STILL))

    def _raise(self, at: Ms, still: float, step: float) -> None:
        if self.active or at - self.begun < LEARNING:
            return
        self.active, self.evidence = True, (single(still), single(step))
        self.peaks.drop()

    def pack(self) -> bytes:
        own = _KEPT.pack(
            self.active, self.begun, self.still_since, self.base_since, self.mean, self.lived, self.lived_day, *self.evidence
        )  # fmt: skip
        return self.register.dump() + own + self.peaks.pack()

    def unpack(self, state: bytes) -> None:
        self.register.look(state)
        (
            self.active, self.begun, self.still_since, self.base_since, self.mean, self.lived, self.lived_day,
            hours, step,
        ) = _KEPT.unpack_from(state, SIZE)  # fmt: skip
        self.evidence = hours, step
        self.peaks.look(state, SIZE + _KEPT.size)

    def dump(self) -> list[Any]:
        return [self.pack()]

    def load(self, data: list[Any]) -> None:
        if whole(data, self):
            return
        (
            register, peaks, self.active, self.begun, self.still_since,
            self.base_since, self.mean, evidence, self.lived, self.lived_day,
        ) = parts(data, 10)  # fmt: skip
        self.register.load(register)
        hours, step = unpack(evidence, 2)
        self.evidence = hours, step
        self.peaks.load(peaks)
