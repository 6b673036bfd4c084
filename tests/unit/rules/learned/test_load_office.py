"""Places where people work: the week is known, weekends are quiet, and so is the alarm."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import date

import pytest

from dutyroom.model.workdays import WEEK, Workdays
from dutyroom.rules.learned.load import Load
from dutyroom.rules.learned.localtime import LocalTime
from dutyroom.rules.learned.meter import Meter
from dutyroom.timebase import DAY, HOUR, Ms, zone

from .series import BEGIN, Reading, alarms, register

MAY = frozenset(date(2026, 5, day) for day in range(1, 6))
# 1 to 5 May are a holiday (days 61 to 65, Friday to Tuesday), Saturday 9 May is worked in exchange (day 69).
LISTED = Workdays(MAY | {date(2026, 4, 6)}, frozenset({date(2026, 5, 9)}))
LOCAL = LocalTime(zone("Etc/UTC"), LISTED)
FRIDAY = 47  # 17 April
LEFT_ON = FRIDAY + 18 / 24, FRIDAY + 3 + 8 / 24  # from Friday 18:00 to Monday 8:00
More = Callable[[float], float]  # days since the beginning -> kW


def meter(calendar: Workdays = LISTED) -> Meter:
    return Meter("electricity_meter", "unit", LocalTime(zone("Etc/UTC"), calendar), 3600, 0.01)


def office(
    seed: int, peak: float, standby: float, days: float = 73, more: More = lambda day: 0.0
) -> list[Reading]:
    """Worked from 8 to 18 o'clock and sometimes later; some Saturdays by few from 10 to 15."""
    rng = random.Random(seed)
    busy = [rng.gauss(1.0, 0.08) for _ in range(80)]
    late = [rng.random() < 0.15 for _ in range(80)]

    def used(at: Ms) -> float:
        day, hour = divmod(at - 1, DAY)
        number, clock = day - BEGIN // DAY, hour // HOUR
        share = 0.0
        if not LOCAL.rests(day):
            share = (
                1.0 if 8 <= clock < 18 else 0.5 if clock == 7 or (clock in (18, 19) and late[number]) else 0.0
            )
        elif late[number] and 10 <= clock < 15:
            share = 0.3
        worked = share * (peak - standby) * busy[number] * rng.uniform(0.85, 1.15)
        return worked + standby * rng.uniform(0.7, 1.3) + more((at - BEGIN) / DAY)

    return list(register(used, days, HOUR, 0.01))


def left_on(kw: float) -> More:
    return lambda day: kw if LEFT_ON[0] < day <= LEFT_ON[1] else 0.0


@pytest.mark.parametrize(("peak", "standby"), [(3.0, 0.2), (12.0, 1.0), (15.0, 5.0)])
@pytest.mark.parametrize("calendar", [LISTED, WEEK])
def test_ten_weeks_of_an_office_raise_nothing(peak: float, standby: float, calendar: Workdays) -> None:
    """With weekends, a holiday and a Saturday that is worked, whether or not the calendar says so."""
    for seed in range(3):
        assert alarms(Load(meter(calendar)), office(seed, peak, standby)) == []


@pytest.mark.parametrize("share", [0.15, 0.3, 0.6])
def test_what_is_left_on_over_a_weekend_is_found_on_saturday(share: float) -> None:
    for seed in range(3):
        found = alarms(Load(meter()), office(seed, 12.0, 1.0, 52, left_on(share * 12.0)))
        assert [what for what, _, _ in found] == ["raised", "cleared"]
        assert LEFT_ON[0] < found[0][2] < FRIDAY + 2, found
        assert LEFT_ON[1] < found[1][2] < FRIDAY + 5, found


def test_what_is_left_on_over_a_holiday_is_found_by_the_calendar() -> None:
    """From Thursday evening: Friday is a day of rest, and usual means what days of rest take."""
    load = Load(meter())
    found = alarms(load, office(1, 12.0, 1.0, 64, lambda day: 2.5 if 60.75 < day < 66.3 else 0.0))
    assert [what for what, _, _ in found] == ["raised"]
    assert 61 < found[0][2] < 62
    assert load.arguments()["usual"] < 2.0


def test_a_weekend_that_is_worked_is_no_load_left_on() -> None:
    def worked(day: float) -> float:
        return 9.0 if FRIDAY + 1 < day < FRIDAY + 3 and 8 / 24 < day % 1 <= 18 / 24 else 0.0

    assert alarms(Load(meter()), office(2, 12.0, 1.0, 52, worked)) == []
