"""Leaks, bursts and stopped meters of a home: what rings, and what does not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import date, timedelta

import pytest

from dutyroom.model.workdays import Workdays
from dutyroom.rules.learned.home_stuck import HomeStuck
from dutyroom.rules.learned.home_water import HomeWater
from dutyroom.rules.learned.localtime import LocalTime
from dutyroom.timebase import DAY, HOUR, Ms, zone

from .series import BEGIN, HOME, alarms, household, register

Flow = Callable[[Ms], float]


def with_leak(litres: float, first: float, last: float, home: Flow | None = None) -> Flow:
    """Litres an hour more between two days."""
    usual = home or household()
    return lambda at: usual(at) + (litres / 1000 if first * DAY < at - BEGIN <= last * DAY else 0.0)


def test_a_home_without_a_leak_is_quiet() -> None:
    for seed in range(5):
        assert alarms(HomeWater(HOME), register(household(seed), 90)) == []


@pytest.mark.parametrize(("litres", "days"), [(0.5, 8.0), (3.0, 2.0), (60.0, 1.0)])
def test_leaks_are_found_and_cleared(litres: float, days: float) -> None:
    found = alarms(HomeWater(HOME), register(with_leak(litres, 30.3, 42), 50))
    assert [f[:2] for f in found] == [("raised", "leak"), ("cleared", "leak")]
    assert 30.3 < found[0][2] <= 30.3 + days
    assert 42 <= found[1][2] < 44


def test_a_burst_is_found_within_two_hours() -> None:
    found = alarms(HomeWater(HOME), register(with_leak(400.0, 30.0, 30.5), 33))
    assert found[0][:2] == ("raised", "burst")
    assert found[0][2] <= 30.09


def test_a_leak_that_becomes_a_burst_is_told_again() -> None:
    both = with_leak(600.0, 32, 32.5, with_leak(20.0, 30, 34))
    detector, causes = HomeWater(HOME), []
    for at, value in register(both, 36):
        detector.read(at, value)
        if detector.active and (not causes or causes[-1] != detector.cause):
            causes.append(detector.cause)
    assert causes == ["leak", "burst"]


def test_visitors_ring_once() -> None:
    usual = household()

    def visited(at: Ms) -> float:
        days = (at - BEGIN) / DAY
        return usual(at) + (0.003 if 30 <= days < 31.2 or 40 <= days < 41.2 else 0.0)

    assert len(alarms(HomeWater(HOME), register(visited, 50))) <= 2


def test_a_leak_from_the_first_day_on_is_told_when_the_fortnight_is_over() -> None:
    found = alarms(HomeWater(HOME), register(with_leak(3.0, 0, 99), 20))
    assert found == [("raised", "leak", 14.0)]


def test_who_waters_a_garden_rings_once_at_most() -> None:
    usual = household()

    def watering(at: Ms) -> float:
        days, hour = divmod((at - BEGIN) // HOUR, 24)
        return usual(at) + (0.7 if days > 20 and days % 3 == 0 and hour == 20 else 0.0)

    assert len(alarms(HomeWater(HOME), register(watering, 80))) <= 2


def test_a_register_that_catches_up_after_a_holiday_is_no_burst() -> None:
    usual = household()

    def stuck(at: Ms) -> float:
        days = (at - BEGIN) / DAY
        return 0.0 if 30 <= days < 33 else 1.0 if at == BEGIN + 33 * DAY else usual(at)

    assert alarms(HomeWater(HOME), register(stuck, 40)) == []
    found = alarms(HomeStuck(HOME), register(stuck, 40))
    assert found[0] == ("raised", "meter_stuck", 33.0)


def test_a_meter_that_stands_still_for_a_week_is_told_and_a_long_weekend_is_not() -> None:
    usual = household()
    away = alarms(
        HomeStuck(HOME), register(lambda at: 0.0 if 30 < (at - BEGIN) / DAY < 33 else usual(at), 40)
    )
    stopped = alarms(HomeStuck(HOME), register(lambda at: 0.0 if (at - BEGIN) / DAY > 30 else usual(at), 40))
    assert away == []
    assert stopped[0][:2] == ("raised", "meter_stuck")
    assert 35.9 < stopped[0][2] < 36.3


def test_a_week_away_over_a_public_holiday_is_no_stopped_meter_and_one_that_goes_on_is() -> None:
    usual = household(7)
    listed = frozenset(date(2026, 3, 30) + timedelta(days=n) for n in range(8))
    home = replace(HOME, local=LocalTime(zone("Etc/UTC"), Workdays(listed)))

    def away(until: float) -> Flow:
        return lambda at: 0.0 if 29 < (at - BEGIN) / DAY <= until else usual(at)

    assert alarms(HomeStuck(HOME), register(away(36.5), 40))[0][:2] == ("raised", "meter_stuck")
    assert alarms(HomeStuck(home), register(away(36.5), 40)) == []
    #  nobody came back: eight days of holiday, then the days count as ever
    longer = alarms(HomeStuck(home), register(away(60.0), 60))[0]
    plain = alarms(HomeStuck(HOME), register(away(60.0), 60))[0]
    assert longer[2] - plain[2] == pytest.approx(8.0, abs=0.1)


def test_an_empty_flat_is_no_stuck_meter() -> None:
    assert alarms(HomeStuck(HOME), register(lambda at: 0.0, 60)) == []


def test_lost_readings_neither_ring_nor_hide() -> None:
    def lossy(flow: Flow) -> list[tuple[Ms, float]]:
        return [r for i, r in enumerate(register(flow, 50)) if i % 17 > 3]

    assert alarms(HomeWater(HOME), lossy(household())) == []
    assert alarms(HomeWater(HOME), lossy(with_leak(60.0, 30, 42)))[0][:2] == ("raised", "leak")
