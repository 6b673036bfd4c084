"""What every detector promises: it goes on after a restart as if there had been none, and is small."""

from __future__ import annotations

import random
from collections.abc import Callable
from math import pi, sin

import msgspec
import pytest

from dutyroom.rules.learned import Detector, ZoneDetector
from dutyroom.rules.learned.home_stuck import HomeStuck
from dutyroom.rules.learned.home_water import HomeWater
from dutyroom.rules.learned.load import Load
from dutyroom.rules.learned.meter import Meter
from dutyroom.rules.learned.neighbours import Neighbours
from dutyroom.rules.learned.network_water import NetworkWater
from dutyroom.rules.learned.power_still import UnitStill
from dutyroom.rules.learned.register_fault import RegisterFault
from dutyroom.rules.learned.repeats import Repeats
from dutyroom.rules.learned.silence import ZoneSilence
from dutyroom.rules.learned.tank import TankLevel
from dutyroom.timebase import DAY, HOUR, MINUTE

from .series import BEGIN, FLAT, HOME, LOCAL, OUTLET, Reading, alarms, household, register, town

ROOM = Meter("temperature_sensor", "equipment", LOCAL, 900)
TANK = Meter("tank_level", "tank", LOCAL, 900, 0.01, 0.0, 2.5)


class Member:
    """A zone detector, heard through one of its members."""

    def __init__(self, whole: ZoneDetector) -> None:
        self.whole = whole
        self.tick, self.dump, self.load = self.whole.tick, self.whole.dump, self.whole.load

    def __getattr__(self, name: str) -> object:
        return getattr(self.whole, name)

    def read(self, at: int, value: float) -> None:
        self.whole.read(0, at, value)


def home_series() -> list[Reading]:
    usual = household(3)
    leak = lambda at: 0.006 if 40 < (at - BEGIN) / DAY < 46 else 0.0  # noqa: E731
    flow = lambda at: 0.0 if 55 < (at - BEGIN) / DAY < 63 else usual(at) + leak(at)  # noqa: E731
    rows = list(register(flow, 70))
    return [(at, v - (5.0 if i == 900 else 0.0)) for i, (at, v) in enumerate(rows) if not 1300 < i < 1320]


def town_series() -> list[Reading]:
    usual = town(3)
    return list(
        register(lambda at: usual(at) + (20 if 30 < (at - BEGIN) / DAY < 33 else 0), 50, 15 * MINUTE, 0.1)
    )


def power_series() -> list[Reading]:
    """kWh of a home; 1 kW more for five days, and a cut of six hours."""
    rng = random.Random(5)

    def used(at: int) -> float:
        day = (at - BEGIN) / DAY
        usual = 0.05 + 0.15 * rng.random() * (6 < at % DAY / HOUR < 23)
        return 0.0 if 55 < day < 55.25 else usual + (0.25 if 40 < day < 45 else 0.0)

    return list(register(used, 58, 15 * MINUTE, 0.01))


def daily_series() -> list[Reading]:
    """A level, or a temperature: the same each day, and for a day higher than ever."""
    return [
        (at, 1.0 + 0.5 * sin(at % DAY / DAY * 2 * pi) + 0.9 * (39 < (at - BEGIN) / DAY < 40))
        for at in range(BEGIN, BEGIN + 50 * DAY, 15 * MINUTE)
    ]


CASES: list[tuple[str, Callable[[], object], Callable[[], list[Reading]]]] = [
    ("home_water", lambda: HomeWater(HOME), home_series),
    ("home_stuck", lambda: HomeStuck(HOME), home_series),
    ("register_fault", lambda: RegisterFault(HOME), home_series),
    ("register_fault", lambda: RegisterFault(FLAT), home_series),
    ("abnormal_load", lambda: Load(FLAT, Neighbours()), power_series),
    ("power_still", lambda: UnitStill(FLAT), power_series),
    ("repeats", lambda: Repeats(ROOM), daily_series),
    ("tank_level", lambda: TankLevel(TANK), daily_series),
    ("network_water", lambda: Member(NetworkWater([OUTLET])), town_series),
    ("zone_silence", lambda: Member(ZoneSilence([HOME] * 3)), home_series),
]


@pytest.mark.parametrize(("name", "build", "series"), CASES)
def test_a_restart_changes_nothing(
    name: str, build: Callable[[], Detector], series: Callable[[], list[Reading]]
) -> None:
    readings, rng = series(), random.Random(name)
    whole = alarms(build(), readings)
    assert whole or name == "zone_silence"
    cuts = sorted(rng.sample(range(len(readings)), 12))
    found, kept = [], None
    for first, last in zip([0, *cuts], [*cuts, len(readings)], strict=True):
        detector = build()
        if kept is not None:
            detector.load(msgspec.msgpack.decode(kept))
            if detector.active and last > first:
                found.append(None)  # went on while active: `alarms` sees no edge
        part = alarms(detector, readings[first:last])
        found += part
        kept = msgspec.msgpack.encode(detector.dump())
    edges = [f for f in found if f]
    assert [e for e in edges if e[0] == "raised"] == [e for e in whole if e[0] == "raised"]


@pytest.mark.parametrize(("name", "build", "series"), CASES)
def test_its_state_is_small(
    name: str, build: Callable[[], Detector], series: Callable[[], list[Reading]]
) -> None:
    detector = build()
    alarms(detector, series())
    assert len(msgspec.msgpack.encode(detector.dump())) <= (2500 if name == "network_water" else 750)
    assert all(isinstance(v, int | float) for v in detector.arguments().values())


def test_a_clock_that_leaps_a_year_is_outlived() -> None:
    for name, build, series in CASES:
        detector = build()
        readings = series()
        for at, value in readings + [(at + 400 * DAY, v + 50.0) for at, v in readings[:500]]:
            detector.read(at, value)  # type: ignore[attr-defined]
        assert name, detector.arguments()  # type: ignore[attr-defined]
    assert HOUR
