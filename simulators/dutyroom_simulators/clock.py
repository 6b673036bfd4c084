"""The only place of the simulators that reads the machine's time."""

from __future__ import annotations

import time


class ScaledClock:
    """A clock that showed `base` (ms UTC) when the machine's showed `real_base`, `speed` times as fast."""

    def __init__(self, base: int, real_base: int, speed: float) -> None:
        self.base, self.real_base, self.speed = base, real_base, speed

    @staticmethod
    def parse(text: str) -> ScaledClock:
        """From "BASE,REAL_BASE,SPEED"; an empty text is the machine's own clock."""
        if not text:
            return ScaledClock(0, 0, 1.0)
        base, real_base, speed = text.split(",")
        return ScaledClock(int(base), int(real_base), float(speed))

    def now(self) -> int:
        real = time.time_ns() // 1_000_000
        return self.base + round((real - self.real_base) * self.speed)
