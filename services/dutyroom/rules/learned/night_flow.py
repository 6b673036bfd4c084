"""The least that flows in an hour of the night, against a meter's own nights.

Between two and five o'clock people sleep; what flows in every hour of that time is a cistern that runs, a
leak, or somebody who works at night. The least hourly flow of a night is compared with that of the nights
before it of the same weekday (`Least`): a garden is watered on Wednesdays, and before a working day people are up
less than before a day of rest. The night of a holiday, or of a Saturday that is worked, is compared with those of its
kind (the calendar of the site says which is which), as all are where four of a weekday are not known. The method is that of minimum night flow as water companies use it
(UK Water Industry 1994, Managing Leakage report E), on the least rolling hour of each night.

One night too high is a guest; so many in a row, which no night between has broken, are not. What is unknown
(no readings, a leap) decides nothing.
"""

from __future__ import annotations

import struct
from array import array
from math import isnan, nan
from typing import Any

from dutyroom.rules.learned.least import Kind, Least
from dutyroom.rules.learned.localtime import weekday_of
from dutyroom.rules.learned.meter import Meter
from dutyroom.rules.learned.packed import Floats, floats, parts, unpack, whole
from dutyroom.rules.learned.register import SIZE, UNKNOWN
from dutyroom.rules.learned.register_fault import trusted
from dutyroom.timebase import DAY, HOUR, MINUTE, SECOND, Ms

BEGIN, END = 2 * HOUR, 5 * HOUR  # local: between the last one up and the first
MARK: Ms = 15 * MINUTE  # the hour whose flow is least begins at any of these
HOURLY = HOUR // MARK
_WORKDAYS = 5  # Monday to Friday
STEPS = 2  # of the register: either end of an hour may be one off
_GAP = 3.5  # intervals: over a longer silence the night is not known
_LONGEST_GAP: Ms = 2 * HOUR + 30 * MINUTE
_NUMBERS = ("night", "seen", "total")
_KEPT = struct.Struct("<qqd")
_MARKS = int((END - BEGIN) // MARK) + 1
_LEAST = SIZE + _KEPT.size + 4 * _MARKS


class NightFlow:
    """On a register (m3, kWh)."""

    __slots__ = (*_NUMBERS, "_gap", "_local", "cause", "marks", "nights", "register")

    def __init__(
        self, meter: Meter, least: float, nights: int = 2, normal: Ms = 0, cause: str = "night_flow"
    ) -> None:
        """least: unit/h that is called a leak at all; nights: in a row; normal: after so long it is the new
        normal (0 = never)."""
        self._local, self.cause = meter.local, cause
        self._gap = min(max(int(_GAP * meter.interval_s * SECOND), HOUR), _LONGEST_GAP)
        self.register = trusted(meter)
        self.nights = Least(max(least, STEPS * meter.resolution), nights, normal)
        self.night = 0  # local day that is measured; 0 = none
        self.seen: Ms = 0  # local time of the newest reading
        self.total = 0.0  # what has moved since the night began to be measured
        self.marks: Floats = floats([nan] * _MARKS)  # the total at each; nan = not known

    @property
    def begun(self) -> Ms:
        return self.nights.begun

    @property
    def active(self) -> bool:
        return self.nights.active

    def arguments(self) -> dict[str, float]:
        """flow: least of the night; usual: of such nights. Unit/h."""
        return {"flow": self.nights.evidence[0], "usual": self.nights.evidence[1]}

    def tick(self, now: Ms) -> None:
        return

    def read(self, at: Ms, value: float) -> None:
        before = self.register.at
        moved = self.register.read(at, value)
        self.nights.begun = self.nights.begun or at
        local = self._local.local(at)
        day, clock = divmod(local, DAY)
        if not self.night and clock < END:  # the night is measured from the last reading before it
            self.night, self.total = day, 0.0
        if self.night:
            self._mark(local, moved, at - (self.register.since or before))
            if day != self.night or clock >= END:
                self._close(at)
        self.seen = local

    def _mark(self, local: Ms, moved: float, span: Ms) -> None:
        """What the register was at the marks since the last reading."""
        known = moved != UNKNOWN and 0 < span <= self._gap
        first = self.night * DAY + BEGIN
        since = local - span if known else self.seen
        number = max(0, -(-(since + 1 - first) // MARK))
        while number < len(self.marks) and first + number * MARK <= local:
            part = (first + number * MARK - since) / span if known else nan
            self.marks[number] = self.total + moved * part
            number += 1
        self.total += moved if known else 0.0

    def _close(self, at: Ms) -> None:
        flows = [b - a for a, b in zip(self.marks, self.marks[HOURLY:], strict=False)]
        night, self.night = self.night, 0
        self.marks = floats([nan] * len(self.marks))
        if not any(isnan(flow) for flow in flows):
            self.nights.note(at, max(min(flows), 0.0), self.kind(night))

    def kind(self, night: int) -> Kind:
        """Of a local day. A holiday is no Wednesday, and a Saturday that is worked no Saturday."""
        rest, weekday = self._local.rests(night), weekday_of(night)
        return Kind(rest, weekday if rest == (weekday > _WORKDAYS) else 0)

    def pack(self) -> bytes:
        often = self.register.dump() + _KEPT.pack(self.night, self.seen, self.total) + self.marks.tobytes()
        return often + self.nights.pack()

    def unpack(self, state: bytes) -> None:
        self.register.look(state)
        self.night, self.seen, self.total = _KEPT.unpack_from(state, SIZE)
        self.marks = array("f", state[SIZE + _KEPT.size : _LEAST])
        self.nights.unpack(state[_LEAST:])

    def dump(self) -> list[Any]:
        return [self.pack()]

    def load(self, data: list[Any]) -> None:
        if whole(data, self):
            return
        register, nights, numbers, marks = parts(data, 4)
        self.register.load(register)
        self.nights.load(nights)
        for name, value in zip(_NUMBERS, parts(numbers, len(_NUMBERS)), strict=True):
            setattr(self, name, value)
        self.marks = unpack(marks, len(self.marks))
