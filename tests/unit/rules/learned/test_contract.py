"""What every detector promises: it goes on after a restart as if there had been none, and is small."""

from __future__ import annotations

import random
from collections.abc import Callable

import msgspec
import pytest

from dutyroom.rules.learned import Detector
from dutyroom.rules.learned.catalog import detectors, zone_detectors
from dutyroom.rules.learned.meter import Meter
from dutyroom.timebase import DAY, HOUR, MINUTE

from .series import BEGIN, FLAT, HOME, LOCAL, OUTLET, Reading, alarms, household, register, town

PUMP = Meter("electricity_meter", "pump", LOCAL, 900, 0.1)


class Member:
    """A zone detector, heard through one of its members."""

    def __init__(self, meters: list[Meter], rule: str) -> None:
        self.whole = zone_detectors(meters)[rule]
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


CASES: list[tuple[str, Callable[[], object], Callable[[], list[Reading]]]] = [
    *((n, lambda n=n: detectors(HOME)[n], home_series) for n in detectors(HOME)),
    ("register_fault", lambda: detectors(FLAT)["register_fault"], home_series),
    ("network_water", lambda: Member([OUTLET], "network_water"), town_series),
    ("zone_silence", lambda: Member([HOME] * 3, "zone_silence"), home_series),
]  # fmt: skip


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
    assert len(msgspec.msgpack.encode(detector.dump())) <= (8192 if name == "network_water" else 1024)
    assert all(isinstance(v, int | float) for v in detector.arguments().values())


def test_a_clock_that_leaps_a_year_is_outlived() -> None:
    for name, build, series in CASES:
        detector = build()
        readings = series()
        for at, value in readings + [(at + 400 * DAY, v + 50.0) for at, v in readings[:500]]:
            detector.read(at, value)  # type: ignore[attr-defined]
        assert name, detector.arguments()  # type: ignore[attr-defined]
    assert HOUR
