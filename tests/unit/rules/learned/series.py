"""Small made-up series for the detectors' tests."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator

from dutyroom.rules.learned import Detector
from dutyroom.rules.learned.localtime import LocalTime
from dutyroom.rules.learned.meter import Meter
from dutyroom.timebase import DAY, HOUR, MINUTE, Ms, zone

BEGIN: Ms = 1_772_323_200_000  # 2026-03-01T00:00Z
LOCAL = LocalTime(zone("Etc/UTC"))
HOME = Meter("water_meter", "unit", LOCAL, 3600, 0.001)
FLAT = Meter("electricity_meter", "unit", LOCAL, 900, 0.01)
OUTLET = Meter("water_meter", "zone_outlet", LOCAL, 900, 0.1)
Reading = tuple[Ms, float]


def register(
    flow: Callable[[Ms], float], days: float, interval: Ms = HOUR, digit: float = 0.001
) -> Iterator[Reading]:
    """What a register shows; flow: units in the interval that ends then."""
    level = 1000.0
    for step in range(int(days * DAY // interval) + 1):
        at = BEGIN + step * interval
        level += flow(at) if step else 0.0
        yield at, int(level / digit + 1e-6) * digit


def household(seed: int = 1) -> Callable[[Ms], float]:
    """m3 in the hour before: up from 7 to 23, 15 L/h on average."""
    rng = random.Random(seed)

    def flow(at: Ms) -> float:
        hour = at % DAY // HOUR
        return rng.choice((0, 0.004, 0.012, 0.03, 0.05)) if 7 < hour <= 23 else rng.choice((0, 0, 0, 0.006))

    return flow


def town(seed: int = 1) -> Callable[[Ms], float]:
    """m3 in a quarter of an hour: 100 m3/h at night, 300 by day, 3 % of noise."""
    rng = random.Random(seed)
    return lambda at: (25.0 if at % DAY // HOUR < 6 else 75.0) * rng.gauss(1.0, 0.03)


def alarms(detector: Detector, readings: Iterable[Reading]) -> list[tuple[str, str, float]]:
    """Raised and cleared, with the cause and days since the beginning."""
    found, active = [], detector.active
    clock: Ms | None = None
    for at, value in readings:
        while clock is not None and clock + 5 * MINUTE < at:
            clock += 5 * MINUTE
            detector.tick(clock)
            active = note(found, active, detector, clock)
        detector.tick(at)
        detector.read(at, value)
        clock, active = at, note(found, active, detector, at)
    return found


def note(found: list[tuple[str, str, float]], active: bool, detector: Detector, at: Ms) -> bool:
    if detector.active != active:
        found.append(
            ("raised" if detector.active else "cleared", detector.cause, round((at - BEGIN) / DAY, 2))
        )
    return detector.active
