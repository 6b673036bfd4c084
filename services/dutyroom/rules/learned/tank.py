"""A tank that leaves the band in which its level always was, and will be full or empty soon.

A tank between its switching levels repeats itself. A pump that does not stop, or does not start, shows
as soon as the level is beyond all that was in four weeks, hours before water runs over or is gone.
"""

from __future__ import annotations

from typing import Any

from dutyroom.rules.learned import LEARNING
from dutyroom.rules.learned.meter import Meter
from dutyroom.rules.learned.packed import Floats, floats, parts, unpack
from dutyroom.timebase import DAY, HOUR, SECOND, Ms

KEPT = 28  # days
QUARANTINE = 2  # days
ENOUGH = 7  # days: one of each weekday
MARGIN = 0.02  # of the range: waves and the digits of a level sensor
MARGIN_BAND = 0.1  # of the band, where the range is not known
AHEAD = 2.0  # hours until it is full or empty: to get there and do something
FULL, EMPTY = 0.95, 0.06  # of the range: so near to the end it need not move
NORMAL: Ms = 8 * DAY  # an alarm that stood so long is the new normal


class TankLevel:
    """On the level of a tank (m)."""

    __slots__ = ("_high", "_low", "_range", "active", "begun", "cause", "day", "days", "evidence", "opened", "recent", "span", "today")  # fmt: skip

    def __init__(self, meter: Meter) -> None:
        self._low, self._high = meter.low or 0.0, meter.high
        self._range = None if meter.high is None else meter.high - self._low
        self.span: Ms = max(HOUR, 2 * meter.interval_s * SECOND)  # over which it rises or falls
        self.active, self.cause = False, "tank_overflow"
        self.begun: Ms = 0
        self.opened: Ms = 0
        self.day = 0  # UTC day of the newest reading
        self.today: Floats = floats()  # lowest, highest
        self.days: Floats = floats()  # the same of the days before in turn, newest first
        self.recent: list[tuple[Ms, float]] = []  # of `span`, oldest first
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
        self.recent = [r for r in self.recent if at - r[0] <= self.span]
        self.recent.append((at, value))
        settled = self.days[2 * QUARANTINE :]
        known = len(settled) >= 2 * ENOUGH and at - self.begun >= LEARNING
        if known:
            self._judge(at, value, min(settled[::2]), max(settled[1::2]))
        if not self.active:
            low, high = self.today or (value, value)
            self.today = floats((min(low, value), max(high, value)))

    def _new_day(self, day: int) -> None:
        if self.today and not self.active:
            self.days[:0] = self.today
            del self.days[2 * (KEPT + QUARANTINE) :]
        self.day, self.today = day, floats()

    def _judge(self, at: Ms, level: float, lowest: float, highest: float) -> None:
        if self.active:
            over = level > highest if self.cause == "tank_overflow" else level < lowest
            if not over or at - self.opened >= NORMAL:
                self.active = False
                if over:
                    self.days, self.begun = floats(), at  # learns anew
            return
        margin = MARGIN * self._range if self._range else MARGIN_BAND * (highest - lowest)
        if level > highest + margin:
            self._raise_if_soon(at, level, "tank_overflow", self._high)
        elif level < lowest - margin:
            self._raise_if_soon(at, level, "tank_dry", self._low)

    def _raise_if_soon(self, at: Ms, level: float, cause: str, end: float | None) -> None:
        first, before = self.recent[0]
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
        del self.days[: 2 * QUARANTINE]
        self.today = floats()

    def dump(self) -> list[Any]:
        return [
            self.active, self.begun, self.opened, self.cause, self.day, self.today.tobytes(), self.days.tobytes(),
            [list(r) for r in self.recent], list(self.evidence),
        ]  # fmt: skip

    def load(self, data: list[Any]) -> None:
        self.active, self.begun, self.opened, self.cause, self.day, today, days, recent, self.evidence = (
            parts(data, 9)
        )
        self.today, self.days = unpack(today), unpack(days)
        self.recent = [(int(at), float(level)) for at, level in recent]
