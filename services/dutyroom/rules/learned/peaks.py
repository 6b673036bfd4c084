"""The largest finished values of a few measures: what is ordinary for this device.

Values wait two days before they count (quarantine) and are dropped when an alarm opens, so that an
event does not become the normal that hides the next one. Two seasons of 60 days are kept: what was
not seen again for 60 to 120 days is forgotten.
"""

from __future__ import annotations

from typing import Any

from dutyroom.rules.learned.packed import half, halves, parts, unpack_halves, zeros

QUARANTINE = 2  # days
SEASON = 60  # days


class Peaks:
    """Of `count` measures from 0 to 65504, by local day; rounded to 0.05 %."""

    __slots__ = ("_count", "_rows", "day", "season")

    def __init__(self, count: int) -> None:
        self._count = count
        # One after the other: of this season, of the one before, of today, of the days that wait. One array,
        # since five small ones hold more of headers than of figures.
        self._rows = zeros(count * (3 + QUARANTINE))
        self.season = 0  # day on which it began
        self.day = 0

    def note(self, measure: int, value: float) -> None:
        """A finished value of today."""
        place = 2 * self._count + measure
        if value > self._rows[place]:
            self._rows[place] = half(value)

    def learn(self, measure: int, value: float) -> None:
        """A value that needs no quarantine."""
        if value > self._rows[measure]:
            self._rows[measure] = half(value)

    def drop(self) -> None:
        """Forgets what waits: an alarm has opened."""
        self._rows[2 * self._count :] = zeros((1 + QUARANTINE) * self._count)

    def roll(self, day: int) -> bool:
        """It is this local day (a number); True when that is a new one, and values may have changed."""
        if day == self.day:
            return False
        if not self.day:
            self.season = day
        count = self._count
        for _ in range(min(day - self.day, QUARANTINE + 1) if self.day else 0):
            rows = self._rows
            now = zeros(0)
            now.extend(map(max, rows[:count], rows[-count:]))
            self._rows = now + rows[count : 2 * count] + zeros(count) + rows[2 * count : -count]
        self.day = day
        if day - self.season >= SEASON:
            self.season = day
            self._rows = zeros(count) + self._rows[:count] + self._rows[2 * count :]
        return True

    def largest(self, measure: int) -> float:
        return max(self._rows[measure], self._rows[self._count + measure])

    def all_largest(self) -> list[float]:
        """Of every measure."""
        rows, count = self._rows, self._count
        return [a if a > b else b for a, b in zip(rows[:count], rows[count : 2 * count], strict=True)]

    def dump(self) -> list[Any]:
        return [self.day, self.season, halves(self._rows)]

    def load(self, data: list[Any]) -> None:
        self.day, self.season, kept = parts(data, 3)
        self._rows = unpack_halves(kept, self._count * (3 + QUARANTINE))
