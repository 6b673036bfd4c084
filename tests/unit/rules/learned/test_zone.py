"""Networks and silences."""

from __future__ import annotations

import random
from collections.abc import Callable
from math import exp

import pytest

from dutyroom.rules.learned import ZoneDetector
from dutyroom.rules.learned.network_water import NetworkWater
from dutyroom.rules.learned.silence import ZoneSilence
from dutyroom.rules.learned.zone_flow import ZoneFlow
from dutyroom.timebase import DAY, HOUR, MINUTE, Ms

from .series import BEGIN, FLAT, OUTLET, note, register, town

QUARTER = 15 * MINUTE


def network(extra: float, first: float, last: float, days: float) -> list[tuple[str, str, float]]:
    """extra: m3/h between two days."""
    usual = town()
    detector = NetworkWater([OUTLET])
    found: list[tuple[str, str, float]] = []
    active = False
    for at, value in register(
        lambda at: usual(at) + (extra / 4 if first * DAY < at - BEGIN <= last * DAY else 0),
        days,
        QUARTER,
        0.1,
    ):
        detector.read(0, at, value)
        active = note(found, active, detector, at)  # type: ignore[arg-type]
    return found


def test_a_calm_network_is_quiet() -> None:
    assert network(0, 0, 0, 60) == []


@pytest.mark.parametrize(("flow", "hours", "cause"), [(150, 1, "burst"), (60, 19, "leak"), (12, 90, "leak")])
def test_leaks_of_a_network(flow: float, hours: float, cause: str) -> None:
    found = network(flow, 30.5, 36.5, 45)
    assert found[0][:2] == ("raised", cause)
    assert found[0][2] <= 30.5 + hours / 24 + 0.03
    assert found[1][0] == "cleared"
    assert found[1][2] < 38


def test_what_has_stood_for_two_weeks_is_the_new_normal() -> None:
    found = network(30, 30.5, 99, 70)
    assert [f[0] for f in found] == ["raised", "cleared"]
    assert 14 <= found[1][2] - found[0][2] < 15


def used(much: Callable[[float], float], days: float, seed: int = 1) -> list[tuple[str, str, float]]:
    """A town that uses so many times as much at a moment (days since the beginning)."""
    usual = town(seed)
    detector = NetworkWater([OUTLET])
    found: list[tuple[str, str, float]] = []
    active = False
    for at, value in register(lambda at: usual(at) * much((at - BEGIN) / DAY), days, QUARTER, 0.1):
        detector.read(0, at, value)
        active = note(found, active, detector, at)  # type: ignore[arg-type]
    return found


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_town_that_uses_more_every_night_until_summer_is_quiet(seed: int) -> None:
    rng = random.Random(seed)
    night = [rng.gauss(0.0, 0.03) for _ in range(71)]
    assert used(lambda day: exp(0.0045 * day + night[int(day)]), 70, seed) == []


def test_nights_that_rise_faster_than_any_season_are_a_leak() -> None:
    assert used(lambda day: exp(0.0048 * day + 0.02 * max(0.0, day - 40)), 60)[0][1] == "leak"


def test_hot_days_of_the_first_two_weeks_are_known_when_they_come_again() -> None:
    hot = used(lambda day: 1.3 if int(day) in (13, 15, 17) and day % 1 > 0.4 else 1.0, 25)
    assert hot == []


def test_flow_of_meters_that_are_read_at_different_moments_adds_up() -> None:
    flow = ZoneFlow([OUTLET, OUTLET])
    bins = []
    for step in range(20):
        at = BEGIN + step * QUARTER
        bins += flow.read(0, at, 10.0 * step)
        bins += flow.read(1, at + 7 * MINUTE, 20.0 * step)
    assert [round(f) for _, f in bins[1:]] == [120] * (len(bins) - 1)
    assert [b[0] for b in bins] == [BEGIN + i * QUARTER for i in range(len(bins))]


def test_a_bin_in_which_a_meter_was_silent_for_hours_has_no_flow() -> None:
    flow = ZoneFlow([OUTLET])
    flow.read(0, BEGIN, 0.0)
    flow.read(0, BEGIN + QUARTER, 10.0)
    assert all(f == -1.0 for _, f in flow.read(0, BEGIN + 3 * HOUR, 50.0)[1:])


def silent_from(
    detector: ZoneDetector, members: int, gone: Ms, back: Ms, end: Ms
) -> list[tuple[str, str, float]]:
    found: list[tuple[str, str, float]] = []
    active = False
    for at in range(BEGIN, end, 5 * MINUTE):
        detector.tick(at)
        for member in range(members):
            if (at - BEGIN) % QUARTER == member % 3 * 5 * MINUTE and not gone <= at < back:
                detector.read(member, at, 0.0)
        active = note(found, active, detector, at)  # type: ignore[arg-type]
    return found


def test_a_zone_that_falls_silent_is_one_alarm() -> None:
    gone, back = BEGIN + 10 * HOUR, BEGIN + 14 * HOUR
    found = silent_from(ZoneSilence([FLAT] * 6), 6, gone, back, BEGIN + DAY)
    assert [f[0] for f in found] == ["raised", "cleared"]
    assert found[0][2] <= 0.45


def test_two_devices_are_no_zone() -> None:
    assert silent_from(ZoneSilence([FLAT] * 2), 2, BEGIN + HOUR, BEGIN + 9 * HOUR, BEGIN + DAY) == []
