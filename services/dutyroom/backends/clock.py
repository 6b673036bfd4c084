"""The only place that reads the machine's time."""

from __future__ import annotations

import time

from dutyroom.timebase import Ms


class SystemClock:
    """The machine's clock."""

    def now(self) -> Ms:
        return time.time_ns() // 1_000_000


class ScaledClock:
    """A clock that started at `base` when the machine's showed `real_base` and runs `speed` times
    as fast. Handed to child processes by these three numbers, so one process tree has one clock."""

    def __init__(self, base: Ms, real_base: Ms, speed: float) -> None:
        self.base, self.real_base, self.speed = base, real_base, speed

    def now(self) -> Ms:
        real = time.time_ns() // 1_000_000
        return self.base + round((real - self.real_base) * self.speed)


def read_machine_time() -> Ms:
    """Milliseconds UTC of the machine, for measuring real time beside a scaled clock."""
    return time.time_ns() // 1_000_000
