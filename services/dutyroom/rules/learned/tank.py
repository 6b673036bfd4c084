"""A tank that leaves the band in which its level always was, and will be full or empty soon.

A tank between its switching levels repeats itself. A pump that does not stop, or does not start, shows
as soon as the level is beyond all that was in four weeks, hours before water runs over or is gone.
"""

from __future__ import annotations

import struct
from typing import Any

from dutyroom.rules.learned import LEARNING
from dutyroom.rules.learned.meter import Meter
from dutyroom.rules.learned.packed import Floats, floats, parts, single, unpack, whole
from dutyroom.timebase import DAY, HOUR, SECOND, Ms

KEPT = 28  # days
QUARANTINE = 2  # days
ENOUGH = 7  # days: one of each weekday
MARGIN = 0.02  # of the range: waves and the digits of a level sensor
MARGIN_BAND = 0.1  # of the band, where the range is not known
AHEAD = 2.0  # hours until it is full or empty: to get there and do something
FULL, EMPTY = 0.95, 0.06  # of the range: so near to the end it need not move
NORMAL: Ms = 8 * DAY  # an alarm that stood so long is the new normal
_CAUSES = ("tank_overflow", "tank_dry")
_KEPT = struct.Struct("<?BqqqddB4fI")
_SAMPLE = struct.Struct("<qd")
_NONE = (0.0, 0.0)


class TankLevel:
    """On the level of a tank (m)."""

    __slots__ = ("_high", "_low", "_place", "_range", "active", "begun", "cause", "day", "days", "evidence", "extremes", "opened", "recent", "span", "state", "today")  # fmt: skip

    def __init__(self, meter: Meter) -> None:
        self._low, self._high = meter.low or 0.0, meter.high
        self._range = None if meter.high is None else meter.high - self._low
        self.span: Ms = max(HOUR, 2 * meter.interval_s * SECOND)  # over which it rises or falls
        self.active, self.cause = False, "tank_overflow"
        self.begun: Ms = 0
        self.opened: Ms = 0
        self.day = 0  # UTC day of the newest reading
        self.today: tuple[float, float] | None = None  # lowest, highest
        # The same of the days before in turn, newest first. state: where they are to be found once they are asked for.
        self.days: Floats = floats()
        self.state: bytes | None = None
        self._place = 0  # and from where on
        self.extremes: tuple[float, float] | None = None  # of those that do not wait; None = too few
        self.recent = b""  # (time, level) of `span`, oldest first
        self.evidence = [0.0, 0.0]

    def arguments(self) -> dict[str, float]:
        """level: m; hours: until it is full or empty as it moves now (0 = there, or not known)."""
        return {"level": self.evidence[0], "hours": self.evidence[1]}

    def tick(self, now: Ms) -> None:
        return

    def read(self, at: Ms, value: float) -> None:
        self.begun = self.begun or at
        if at // DAY != self.day:
            self._new_day(at // DAY)
        first = 0
        while first < len(self.recent) and at - _SAMPLE.unpack_from(self.recent, first)[0] > self.span:
            first += _SAMPLE.size
        self.recent = self.recent[first:] + _SAMPLE.pack(at, value)
        if self.extremes is not None and at - self.begun >= LEARNING:
            self._judge(at, value, *self.extremes)
        if not self.active:
            low, high = self.today or (value, value)
            self.today = single(min(low, value)), single(max(high, value))

    def _set_extremes(self) -> None:
        settled = self.days[2 * QUARANTINE :]
        self.extremes = (min(settled[::2]), max(settled[1::2])) if len(settled) >= 2 * ENOUGH else None

    def _new_day(self, day: int) -> None:
        if self.today and not self.active:
            self._thaw()
            self.days[:0] = floats(self.today)
            del self.days[2 * (KEPT + QUARANTINE) :]
            self._set_extremes()
        self.day, self.today = day, None

    def _judge(self, at: Ms, level: float, lowest: float, highest: float) -> None:
        if self.active:
            over = level > highest if self.cause == "tank_overflow" else level < lowest
            if not over or at - self.opened >= NORMAL:
                self.active = False
                if over:
                    self._thaw()
                    self.days, self.begun, self.extremes = floats(), at, None  # learns anew
            return
        margin = MARGIN * self._range if self._range else MARGIN_BAND * (highest - lowest)
        if level > highest + margin:
            self._raise_if_soon(at, level, "tank_overflow", self._high)
        elif level < lowest - margin:
            self._raise_if_soon(at, level, "tank_dry", self._low)

    def _raise_if_soon(self, at: Ms, level: float, cause: str, end: float | None) -> None:
        first, before = _SAMPLE.unpack_from(self.recent)
        rate = (level - before) / ((at - first) / HOUR) if at - first >= self.span // 4 else 0.0
        towards = rate if cause == "tank_overflow" else -rate
        hours = 0.0
        if end is not None and self._range:
            share = (level - self._low) / self._range
            near = share > FULL if cause == "tank_overflow" else share < EMPTY
            hours = abs(end - level) / towards if towards > 0.0 else 0.0
            if not near and not (towards > 0.0 and hours < AHEAD):
                return
        elif towards <= 0.0:
            return
        self.active, self.opened, self.cause = True, at, cause
        self.evidence = [level, hours]
        self._thaw()
        del self.days[: 2 * QUARANTINE]
        self._set_extremes()
        self.today = None

    def pack(self) -> bytes:
        known = (self.today is not None) + 2 * (self.extremes is not None)
        often = _KEPT.pack(
            self.active, _CAUSES.index(self.cause), self.begun, self.opened, self.day, *self.evidence, known,
            *(self.today or _NONE), *(self.extremes or _NONE), len(self.recent),
        )  # fmt: skip
        days = self.days.tobytes() if self.state is None else self.state[self._place :]
        return often + self.recent + days

    def unpack(self, state: bytes) -> None:
        (
            self.active, cause, self.begun, self.opened, self.day, level, hours, known, low, high, lowest, highest, recent,
        ) = _KEPT.unpack_from(state)  # fmt: skip
        self.cause, self.evidence = _CAUSES[cause], [level, hours]
        self.today = (low, high) if known & 1 else None
        self.extremes = (lowest, highest) if known & 2 else None
        self.state, self._place = state, _KEPT.size + recent
        self.recent = state[_KEPT.size : self._place]

    def _thaw(self) -> None:
        """Takes the days from the state that was looked at."""
        if self.state is not None:
            self.days, self.state = unpack(self.state[self._place :]), None

    def dump(self) -> list[Any]:
        return [self.pack()]

    def load(self, data: list[Any]) -> None:
        if whole(data, self):
            return
        self.active, self.begun, self.opened, self.cause, self.day, today, days, recent, self.evidence = (
            parts(data, 9)
        )
        known = unpack(today)
        self.today, self.state, self.days = (known[0], known[1]) if known else None, None, unpack(days)
        self.recent = b"".join(_SAMPLE.pack(int(at), float(level)) for at, level in recent)
        self._set_extremes()
