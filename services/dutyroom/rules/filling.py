"""A pump that runs and does not lift the level of the tank that it fills.

A pump that delivers either raises the level, or at least bends it: what falls by draw falls more slowly
while it runs. Both are asked once in a run, when it has lasted long enough: so much of a rise since the start,
or against how the level went in as long a time before. A tank that is nearly full cannot rise. What is not
known (no level around the start, a start that nobody saw) is not judged. The condition stands until the
level rises while the pump runs; that it stops says nothing of it.
"""

from __future__ import annotations

from typing import Any

from dutyroom.rules.learned.meter import Meter
from dutyroom.rules.learned.packed import parts
from dutyroom.timebase import MINUTE, SECOND, Ms

FULL = 0.95  # of the height: from here on water runs over, or a float valve holds it
SAMPLES = 30  # of the time that a run must last
_GAP = 3.5  # intervals: over a longer silence nothing is known
_NUMBERS = ("active", "heard", "lowest", "ran", "since")


class Filling:
    """On the running of a pump (member 0: above 0.5 it runs) and the level of the tank it fills (member 1, m)."""

    __slots__ = (*_NUMBERS, "_gaps", "_height", "_over", "_rise", "before", "cause", "evidence", "levels")

    def __init__(self, pump: Meter, level: Meter, over: Ms, rise: float) -> None:
        """over: ms that it must have run; rise: m in that time that can be measured."""
        self._over, self._rise, self._height = over, rise, level.high
        self._gaps = [max(int(_GAP * m.interval_s * SECOND), MINUTE) for m in (pump, level)]
        self.active, self.cause = False, "pump_no_rise"
        self.ran = False
        self.heard: Ms = 0  # of the newest word of the pump; 0 = none
        self.since: Ms = 0  # of the run that is to be judged; 0 = there is none
        self.before: list[float] = []  # of it: levels at its start, and as long before as it must last
        self.levels: list[tuple[Ms, float]] = []  # of that time; oldest first
        self.lowest = 0.0  # level since the start of the run, or since it is active
        self.evidence = [0.0, 0.0]

    def arguments(self) -> dict[str, float]:
        """minutes: that it has run; rise: cm in that time."""
        return {"minutes": round(self.evidence[0]), "rise": round(self.evidence[1] * 100.0, 1)}

    def tick(self, now: Ms) -> None:
        return

    def read(self, member: int, at: Ms, value: float) -> None:
        if member:
            self._level(at, value)
            return
        lost = not self.heard or at - self.heard > self._gaps[0]
        runs = value > 0.5
        if runs and not self.ran and not lost:
            self._start(at)
        elif not runs or lost:
            self.since = 0
        self.ran, self.heard = runs, at

    def _start(self, at: Ms) -> None:
        first, last = self._at(at - self._over), self._at(at)
        self.since = 0 if last is None else at
        self.before = [level for level in (last, first) if level is not None]
        if last is not None and not self.active:
            self.lowest = last

    def _at(self, moment: Ms) -> float | None:
        """The level at a moment: the last one until then; None = not known."""
        found = [level for at, level in self.levels if moment - self._gaps[1] <= at <= moment]
        return found[-1] if found else None

    def _level(self, at: Ms, value: float) -> None:
        runs = self.ran and at - self.heard <= self._gaps[0]
        if self.active:
            self.lowest = min(self.lowest, value)
            self.active = not (runs and value - self.lowest >= self._rise)
        elif self.since and runs:
            self._judge(at, value)
        if not self.levels or at - self.levels[-1][0] >= self._over // SAMPLES:
            self.levels.append((at, value))
        while len(self.levels) > 1 and at - self.levels[1][0] >= self._over:
            del self.levels[0]

    def _judge(self, at: Ms, value: float) -> None:
        start, *earlier = self.before
        rose = value - start
        full = self._height is not None and value >= FULL * self._height
        self.lowest = min(
            self.lowest, value
        )  # it may have fallen between the level before the start and the start
        if value - self.lowest >= self._rise or full:
            self.since = 0  # it delivers, or nothing can be seen
        elif at - self.since >= self._over:
            lasted, self.since = at - self.since, 0
            bent = rose * self._over / lasted - (start - earlier[0]) if earlier else 0.0
            if bent < self._rise:
                self.active, self.lowest, self.evidence = True, value, [lasted / MINUTE, rose]

    def dump(self) -> list[Any]:
        numbers = [getattr(self, name) for name in _NUMBERS]
        return [numbers, list(self.before), [list(pair) for pair in self.levels], list(self.evidence)]

    def load(self, data: list[Any]) -> None:
        numbers, self.before, levels, self.evidence = parts(data, 4)
        for name, value in zip(_NUMBERS, parts(numbers, len(_NUMBERS)), strict=True):
            setattr(self, name, value)
        self.levels = [(int(at), float(level)) for at, level in levels]
