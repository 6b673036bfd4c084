"""The largest finished values of a few measures: what is ordinary for this device.

Values wait two days before they count (quarantine) and are dropped when an alarm opens, so that an
event does not become the normal that hides the next one. Two seasons of 60 days are kept: what was
not seen again for 60 to 120 days is forgotten.
"""

from __future__ import annotations

from typing import Any

from dutyroom.rules.learned.packed import Floats, floats, half, halves, parts, unpack_halves, zeros

QUARANTINE = 2  # days
SEASON = 60  # days


class Peaks:
    """Of `count` measures from 0 to 65504, by local day; rounded to 0.05 %."""

    __slots__ = ("day", "now", "old", "season", "waiting")

    def __init__(self, count: int) -> None:
        self.now, self.old = zeros(count), zeros(count)
        self.season = 0  # day on which it began
        self.day = 0
        self.waiting: list[Floats] = [zeros(count) for _ in range(QUARANTINE + 1)]  # today first

    def note(self, measure: int, value: float) -> None:
        """A finished value of today."""
        today = self.waiting[0]
        if value > today[measure]:
            today[measure] = half(value)

    def learn(self, measure: int, value: float) -> None:
        """A value that needs no quarantine."""
        self.now[measure] = max(self.now[measure], half(value))

    def drop(self) -> None:
        """Forgets what waits: an alarm has opened."""
        self.waiting = [zeros(len(self.now)) for _ in self.waiting]

    def roll(self, day: int) -> bool:
        """It is this local day (a number); True when that is a new one, and values may have changed."""
        if day == self.day:
            return False
        if not self.day:
            self.season = day
        for _ in range(min(day - self.day, QUARANTINE + 1) if self.day else 0):
            last = self.waiting.pop()
            self.now = floats(map(max, self.now, last))
            self.waiting.insert(0, zeros(len(last)))
        self.day = day
        if day - self.season >= SEASON:
            self.season, self.old, self.now = day, self.now, zeros(len(self.now))
        return True

    def largest(self, measure: int) -> float:
        return max(self.now[measure], self.old[measure])

    def dump(self) -> list[Any]:
        return [self.day, self.season, halves(sum(self.waiting, self.now + self.old))]

    def load(self, data: list[Any]) -> None:
        count = len(self.now)
        self.day, self.season, kept = parts(data, 3)
        rows = unpack_halves(kept, count * (QUARANTINE + 3))
        self.now, self.old, *self.waiting = (rows[i * count : (i + 1) * count] for i in range(QUARANTINE + 3))
