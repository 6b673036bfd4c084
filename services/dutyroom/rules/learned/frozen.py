"""A level sensor that shows the same value for longer than the water ever stood still.

Waves, pumps and the last digit are a sensor's signs of life. Longest still spells are learned like other
largest values (`Peaks`), and beside them how long pumps ran in one: water that a pump draws or brings moves
the level, whatever the hour. Only observed time counts. A tank that may well stand still for a day (fire water,
read to the centimetre) is not judged by stillness.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from dutyroom.rules.learned import LEARNING
from dutyroom.rules.learned.meter import Meter
from dutyroom.rules.learned.packed import parts
from dutyroom.rules.learned.peaks import Peaks
from dutyroom.timebase import DAY, HOUR, SECOND, Ms

INTERVALS = 4  # at least: fewer readings alike are chance
TIMES = 3.0  # of its own longest
LIVELY = 24.0  # hours: where it stood still for longer, stillness says nothing
PUMPED = 0.5  # hours of pumping: 2 m3 and more, a centimetre in the widest tank of a house
_GAP = 3.5  # intervals: a longer silence is not observed
_STILL, _PUMPED = 0, 1  # measures, hours
_NUMBERS = ("active", "begun", "at", "value", "still", "pumped", "clock")


class LevelFrozen:
    """On a level (member 0, m) and the pumps of its tank (members 1 and up: above 0.5 they run)."""

    __slots__ = (*_NUMBERS, "_floor", "_gaps", "_local", "_plain", "_shortest", "cause", "evidence", "heard", "peaks", "runs")  # fmt: skip

    def __init__(self, level: Meter, pumps: Sequence[Meter], least: Ms, pumped: Ms) -> None:
        """least: no shorter stillness is one; pumped: so much pumping proves it before two weeks are known (0 = pumps
        are not looked at)."""
        self._local, self.cause = level.local, "level_frozen"
        self._floor = max(least, INTERVALS * level.interval_s * SECOND) / HOUR
        self._shortest = level.interval_s * SECOND / HOUR  # a spell that no reading saw the inside of
        self._plain = pumped / HOUR
        self._gaps = [max(int(_GAP * m.interval_s * SECOND), HOUR // 4) for m in (level, *pumps)]
        self.peaks = Peaks(2)
        self.active = False
        self.begun: Ms = 0
        self.at: Ms = 0  # of the newest level; 0 = none
        self.value = 0.0
        self.still = self.pumped = 0.0  # hours observed since it last changed; of these with a pump running
        self.clock: Ms = 0  # until when pumping is counted
        self.runs = [False] * len(pumps)
        self.heard: list[Ms] = [0] * len(pumps)
        self.evidence = [0.0, 0.0, 0.0]

    def arguments(self) -> dict[str, float]:
        """level: m; hours: without a change; pumped: of these with a pump running."""
        level, hours, pumped = self.evidence
        return {"level": level, "hours": round(hours, 1), "pumped": round(pumped, 1)}

    def tick(self, now: Ms) -> None:
        return

    def read(self, member: int, at: Ms, value: float) -> None:
        self._pumping(at)
        if member:
            self.runs[member - 1], self.heard[member - 1] = value > 0.5, at
            return
        self.begun = self.begun or at
        self.peaks.roll(self._local.local(at) // DAY)
        if abs(value - self.value) > 1e-9 or not self.at:
            self._moved()
        elif 0 < at - self.at <= self._gaps[0]:
            self.still += (at - self.at) / HOUR
            self._judge(at)
        self.at, self.value = at, value

    def _pumping(self, at: Ms) -> None:
        """The time since the last word of anybody was pumped where a pump ran that was heard lately."""
        fresh = (at - heard <= gap for heard, gap in zip(self.heard, self._gaps[1:], strict=True))
        if self._plain and self.clock < at and any(r and f for r, f in zip(self.runs, fresh, strict=True)):
            self.pumped += min(at - self.clock, *self._gaps) / HOUR
        self.clock = max(self.clock, at)

    def _moved(self) -> None:
        if self.at and not self.active:
            self.peaks.note(_STILL, max(self.still, self._shortest))
            self.peaks.note(_PUMPED, self.pumped)
        self.active, self.still, self.pumped = False, 0.0, 0.0

    def _judge(self, at: Ms) -> None:
        if self.active:
            return
        longest = self.peaks.largest(_STILL)
        known = at - self.begun >= LEARNING and longest > 0.0
        by_time = known and longest <= LIVELY and self.still > max(self._floor, TIMES * longest)
        enough = max(PUMPED, TIMES * self.peaks.largest(_PUMPED)) if known else self._plain
        if by_time or (self._plain and self.pumped > enough and self.still > self._floor / 2):
            self.active, self.evidence = True, [self.value, self.still, self.pumped]
            self.peaks.drop()

    def dump(self) -> list[Any]:
        numbers = [getattr(self, name) for name in _NUMBERS]
        return [numbers, self.peaks.dump(), list(self.runs), list(self.heard), list(self.evidence)]

    def load(self, data: list[Any]) -> None:
        numbers, peaks, self.runs, self.heard, self.evidence = parts(data, 5)
        for name, value in zip(_NUMBERS, parts(numbers, len(_NUMBERS)), strict=True):
            setattr(self, name, value)
        self.peaks.load(peaks)
