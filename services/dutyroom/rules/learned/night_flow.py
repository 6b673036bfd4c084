"""The least that flows in an hour of the night, against a meter's own nights.

Between two and five o'clock people sleep; what flows in every hour of that time is a cistern that runs, a
leak, or somebody who works at night. The least hourly flow of a night is compared with that of the nights
before it of the same kind: before a working day people are up less than before a day of rest (the calendar
of the site says which is which). The method is that of minimum night flow as water companies use it (UK
Water Industry 1994, Managing Leakage report E), on the least rolling hour of each night.

A night is too much when it is above all that is known of its kind, above three spreads of it, and by more
than a register can show and the trade calls a small leak. One such night is a guest; so many in a row,
which no night between has broken, are not; it ends after as many nights like those before. What is unknown (no readings, a leap) decides nothing.
"""

from __future__ import annotations

from math import isnan, nan
from typing import Any

from dutyroom.rules.learned import LEARNING
from dutyroom.rules.learned.habits import spread
from dutyroom.rules.learned.meter import Meter
from dutyroom.rules.learned.packed import floats, parts, unpack
from dutyroom.rules.learned.register import UNKNOWN
from dutyroom.rules.learned.register_fault import trusted
from dutyroom.timebase import DAY, HOUR, MINUTE, SECOND, Ms

BEGIN, END = 2 * HOUR, 5 * HOUR  # local: between the last one up and the first
MARK: Ms = 15 * MINUTE  # the hour whose flow is least begins at any of these
HOURLY = HOUR // MARK
KEPT = 30  # nights
QUARANTINE = 2  # nights
ENOUGH, ENOUGH_ALIKE = (
    7,
    4,
)  # nights known; of the same kind, else all are asked (a fortnight has four days of rest)
SPREADS = 3.0
ALIKE = 0.1  # of the usual: nights differ by a tenth even where four weeks were calm
STEPS = 2  # of the register: either end of an hour may be one off
CLEARS = 0.5  # of what it must be above the limit
_GAP = 3.5  # intervals: over a longer silence the night is not known
_LONGEST_GAP: Ms = 2 * HOUR + 30 * MINUTE
_NUMBERS = ("active", "begun", "opened", "night", "seen", "total", "row")


class NightFlow:
    """On a register (m3, kWh)."""

    __slots__ = (*_NUMBERS, "_gap", "_local", "_step", "cause", "evidence", "kinds", "least", "marks", "nights", "normal", "past", "register", "waiting")  # fmt: skip

    def __init__(
        self, meter: Meter, least: float, nights: int = 2, normal: Ms = 0, cause: str = "night_flow"
    ) -> None:
        """least: unit/h that is called a leak at all; nights: in a row; normal: after so long it is the new
        normal (0 = never)."""
        self._local, self._step = meter.local, meter.resolution
        self._gap = min(max(int(_GAP * meter.interval_s * SECOND), HOUR), _LONGEST_GAP)
        self.least, self.nights, self.normal, self.cause = least, nights, normal, cause
        self.register = trusted(meter)
        self.active = False
        self.begun: Ms = 0
        self.opened: Ms = 0
        self.night = 0  # local day that is measured; 0 = none
        self.seen: Ms = 0  # local time of the newest reading
        self.total = 0.0  # what has moved since the night began to be measured
        self.row = 0  # nights in a row that are above the limit; while active, that are not
        self.marks = floats([nan] * (int((END - BEGIN) // MARK) + 1))  # the total at each; nan = not known
        self.past = floats()  # least hourly flow of each night, newest first
        self.kinds: list[bool] = []  # whether it was one of rest
        self.waiting: list[tuple[float, bool]] = []  # of an open alarm
        self.evidence = [0.0, 0.0]

    def arguments(self) -> dict[str, float]:
        """flow: least of the night; usual: of such nights. Unit/h."""
        return {"flow": self.evidence[0], "usual": self.evidence[1]}

    def tick(self, now: Ms) -> None:
        return

    def read(self, at: Ms, value: float) -> None:
        before = self.register.at
        moved = self.register.read(at, value)
        self.begun = self.begun or at
        local = self._local.local(at)
        day, clock = divmod(local, DAY)
        if self.night and (day != self.night or clock >= END):
            self._mark(local, moved, at - (self.register.since or before))
            self._close(at)
        elif self.night:
            self._mark(local, moved, at - (self.register.since or before))
        elif clock < END:  # the night is measured from the last reading before it
            self.night, self.total = day, 0.0
            self._mark(local, moved, at - (self.register.since or before))
        self.seen = local

    # ------------------------------------------------------------ a night

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
        if flows and not any(isnan(flow) for flow in flows):
            self._judge(at, max(min(flows), 0.0), self._local.rests(night))

    def _judge(self, at: Ms, flow: float, rest: bool) -> None:
        margin = max(self.least, STEPS * self._step)
        limit, usual = self._limit(rest)
        known = limit is not None and at - self.begun >= LEARNING
        if self.active:
            self.waiting.insert(0, (flow, rest))
            del self.waiting[KEPT:]
            self.row = self.row + 1 if limit is None or flow <= limit + CLEARS * margin else 0
            if self.row >= self.nights:
                self._clear()
            elif self.normal and at - self.opened >= self.normal:
                self.past, self.kinds = floats(f for f, _ in self.waiting), [r for _, r in self.waiting]
                self._clear()
            return
        self.past.insert(0, flow)
        self.kinds.insert(0, rest)
        del self.past[KEPT + QUARANTINE :], self.kinds[KEPT + QUARANTINE :]
        self.row = self.row + 1 if known and limit is not None and flow > limit + margin else 0
        if self.row >= self.nights:
            self.active, self.opened, self.evidence = True, at, [flow, usual]
            self.waiting = list(zip(self.past[: self.row], self.kinds[: self.row], strict=True))
            newest = max(self.row, QUARANTINE)
            del self.past[:newest], self.kinds[:newest]
            self.row = 0

    def _limit(self, rest: bool) -> tuple[float | None, float]:
        """(what nights like this never were above, what they are usually); None where too few are known."""
        first = 0 if self.active else max(QUARANTINE, self.row)  # those in a row wait as well
        known = list(zip(self.past[first:], self.kinds[first:], strict=True))
        alike = [flow for flow, kind in known if kind == rest]
        if len(alike) < ENOUGH_ALIKE:
            alike = [flow for flow, _ in known]
        if len(known) < ENOUGH or not alike:
            return None, 0.0
        usual, width = spread(alike, 0.0)
        return max(*alike, usual + SPREADS * max(width, ALIKE * usual)), usual

    def _clear(self) -> None:
        self.active, self.row = False, 0
        self.waiting = []

    # ------------------------------------------------------------ state

    def dump(self) -> list[Any]:
        waiting = [[flow, kind] for flow, kind in self.waiting]
        numbers = [getattr(self, name) for name in _NUMBERS]
        kept = [self.marks.tobytes(), self.past.tobytes(), list(self.kinds), waiting]
        return [self.register.dump(), numbers, kept, list(self.evidence)]

    def load(self, data: list[Any]) -> None:
        register, numbers, kept, self.evidence = parts(data, 4)
        self.register.load(register)
        for name, value in zip(_NUMBERS, parts(numbers, len(_NUMBERS)), strict=True):
            setattr(self, name, value)
        marks, past, kinds, waiting = parts(kept, 4)
        self.marks, self.past, self.kinds = unpack(marks, len(self.marks)), unpack(past), list(kinds)
        self.waiting = [(float(flow), bool(kind)) for flow, kind in waiting]
