"""Bounds in seconds that hold on a machine with nothing else to do, asserted on one that is busy."""

from __future__ import annotations

import time

_SAMPLE_S = 0.05


def slowness() -> float:
    """How many times as long as alone a program takes now: seconds on the clock for each one of a processor, at
    least 1."""
    began, used = time.monotonic(), time.thread_time()
    while time.thread_time() - used < _SAMPLE_S:
        pass
    return max(1.0, (time.monotonic() - began) / _SAMPLE_S)


def alone(seconds: float) -> float:
    """What just took so long, as of a machine with nothing else to do: what is asserted is the program's time, not
    that of the other tests and programs. A wait for something else than a processor counts less then, too: it is
    found on a machine that has time."""
    return seconds / slowness()
