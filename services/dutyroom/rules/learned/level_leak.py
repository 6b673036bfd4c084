"""A tank that loses water while its pumps rest, faster than it ever did.

People stop drawing for an hour some time of a day; a crack, an open drain or a check valve that leaks does not
stop. So the slowest fall over an hour without pumping is taken of each day, and compared with those of days
of its kind (`Least`).
"""

from __future__ import annotations

from collections.abc import Sequence
from math import inf
from typing import Any

from dutyroom.rules.learned.least import Kind, Least
from dutyroom.rules.learned.meter import Meter
from dutyroom.rules.learned.packed import parts
from dutyroom.timebase import DAY, HOUR, SECOND, Ms

NORMAL: Ms = 14 * DAY
SAMPLES = 24  # of a window: more add nothing
_GAP = 3.5  # intervals: over a longer silence nothing is known


class LevelLeak:
    """On a level (member 0, m) and the pumps of its tank (members 1 and up: above 0.5 they run)."""

    __slots__ = ("_gaps", "_local", "_over", "cause", "day", "days", "heard", "runs", "slowest", "window")

    def __init__(self, level: Meter, pumps: Sequence[Meter], least: float, over: Ms) -> None:
        """least: m/h that is called a leak at all; over: of rest."""
        self._local, self._over, self.cause = (
            level.local,
            max(over, 2 * level.interval_s * SECOND),
            "tank_leak",
        )
        self._gaps = [max(int(_GAP * m.interval_s * SECOND), HOUR // 4) for m in (level, *pumps)]
        self.days = Least(least, normal=NORMAL)
        self.day = 0  # local day that is measured; 0 = none
        self.slowest = inf  # m/h, of the day; inf = not known
        self.window: list[tuple[Ms, float]] = []  # levels since the pumps rest, of `over`, oldest first
        self.runs = [False] * len(pumps)
        self.heard: list[Ms] = [0] * len(pumps)

    @property
    def begun(self) -> Ms:
        return self.days.begun

    @property
    def active(self) -> bool:
        return self.days.active

    def arguments(self) -> dict[str, float]:
        """rate, usual: slowest fall of the day and of such days, cm/h."""
        rate, usual = self.days.evidence
        return {"rate": rate * 100.0, "usual": usual * 100.0}

    def tick(self, now: Ms) -> None:
        return

    def read(self, member: int, at: Ms, value: float) -> None:
        if member:
            self.runs[member - 1], self.heard[member - 1] = value > 0.5, at
            if self.runs[member - 1]:
                self.window.clear()
            return
        self.days.begun = self.days.begun or at
        day = self._local.local(at) // DAY
        if day != self.day:
            self._close(at)
            self.day = day
        rests = not any(self.runs) and all(
            at - heard <= gap for heard, gap in zip(self.heard, self._gaps[1:], strict=True)
        )
        if not rests or (self.window and at - self.window[-1][0] > self._gaps[0]):
            self.window.clear()
        if rests:
            self._fall(at, value)

    def _fall(self, at: Ms, level: float) -> None:
        window = self.window
        if not window or at - window[-1][0] >= self._over // SAMPLES:
            window.append((at, level))
        while len(window) > 1 and at - window[1][0] >= self._over:
            del window[0]
        first, before = window[0]
        if at - first >= self._over:
            self.slowest = min(self.slowest, max((before - level) / ((at - first) / HOUR), 0.0))

    def _close(self, at: Ms) -> None:
        if self.day and self.slowest < inf:
            self.days.note(at, self.slowest, Kind(self._local.rests(self.day)))
        self.slowest = inf
        self.window.clear()  # an hour belongs to one day

    def dump(self) -> list[Any]:
        slowest = None if self.slowest == inf else self.slowest
        kept = [list(self.runs), list(self.heard), [list(pair) for pair in self.window]]
        return [self.days.dump(), self.day, slowest, kept]

    def load(self, data: list[Any]) -> None:
        days, self.day, slowest, kept = parts(data, 4)
        self.days.load(days)
        self.slowest = inf if slowest is None else slowest
        self.runs, self.heard, window = parts(kept, 3)
        self.window = [(int(at), float(level)) for at, level in window]
