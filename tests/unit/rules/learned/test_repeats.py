"""A sensor on equipment that works from nine to five, on weekdays."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace
from datetime import date, timedelta

import msgspec
import pytest

from dutyroom.errors import Rejected
from dutyroom.model.workdays import Workdays
from dutyroom.rules.learned import ready
from dutyroom.rules.learned.localtime import LocalTime
from dutyroom.rules.learned.meter import Meter
from dutyroom.rules.learned.repeats import Repeats
from dutyroom.timebase import DAY, HOUR, MINUTE, zone

from .series import BEGIN, LOCAL, Reading, alarms

OVEN = Meter("sensor", "equipment", LOCAL, 300, 0.01)


def oven(days: float, change: Callable[[float, float], float] = lambda day, value: value) -> list[Reading]:
    """20 °C, 80 °C at work; the first day is a Sunday."""
    rng, out = random.Random(1), []
    for step in range(int(days * DAY / (5 * MINUTE))):
        at = BEGIN + step * 5 * MINUTE
        works = 9 <= at % DAY / HOUR < 17 and (at - BEGIN) // DAY % 7 not in (0, 6)
        out.append((at, change(step * 5 * MINUTE / DAY, (80.0 if works else 20.0) + rng.gauss(0, 1))))
    return out


def test_weeks_with_weekends_are_ordinary() -> None:
    assert alarms(Repeats(OVEN), oven(60)) == []


def test_too_hot_is_told_in_two_hours() -> None:
    found = alarms(Repeats(OVEN), oven(33, lambda day, value: value + 60 if 30.4 < day < 30.7 else value))
    assert [f[:2] for f in found] == [("raised", "sensor_anomaly"), ("cleared", "sensor_anomaly")]
    assert found[0][2] == pytest.approx(30.4 + 2 / 24, abs=1 / 24)


def test_a_night_in_which_it_stayed_on_is_told_though_the_day_knows_such_values() -> None:
    found = alarms(Repeats(OVEN), oven(33, lambda day, value: 80.0 if 30.8 < day < 31.2 else value))
    assert found[0][0] == "raised"
    assert 30.85 < found[0][2] < 31


def test_a_little_more_or_a_short_peak_is_none() -> None:
    assert alarms(Repeats(OVEN), oven(40, lambda day, value: value + 5 if day > 30 else value)) == []
    assert alarms(Repeats(OVEN), oven(40, lambda day, value: 150.0 if 30.21 < day < 30.24 else value)) == []


def test_a_new_normal_is_accepted_and_a_constant_is_calm() -> None:
    found = alarms(Repeats(OVEN), oven(70, lambda day, value: value + 60 if day > 30 else value))
    assert [f[0] for f in found] == ["raised", "cleared"]
    assert 38 < found[1][2] < 39
    assert alarms(Repeats(OVEN), oven(30, lambda day, value: 50.0 + 0.01 * (int(day * 99) % 3))) == []


def test_it_says_from_when_on_it_judges_and_does_so() -> None:
    fresh = Repeats(OVEN)
    assert ready(fresh) == 0
    alarms(fresh, oven(3))
    promised = ready(fresh)
    assert LOCAL.local(promised) == (LOCAL.local(BEGIN) // DAY + 8) * DAY
    day = (promised - BEGIN) / DAY
    found = alarms(Repeats(OVEN), oven(9.5, lambda at, value: value + 90 if at > day - 0.2 else value))
    assert [f[0] for f in found] == ["raised"]
    assert day <= found[0][2] < day + 3 / 24
    alarms(fresh, oven(9)[len(oven(3)) :])
    assert ready(fresh) == 0


def test_days_on_which_it_was_not_heard_are_none_that_it_knows() -> None:
    detector, other = Repeats(OVEN), Repeats(OVEN)
    alarms(detector, oven(3))
    before = ready(detector)
    alarms(other, oven(9))
    other.unpack(detector.pack())  # one that has worked for another point
    assert ready(other) == before
    alarms(detector, [(at + 7 * DAY, value) for at, value in oven(0.1)])
    assert ready(detector) == before + 4 * DAY


@pytest.mark.parametrize("cut", [5000, 8790, 9000])
def test_a_restart_changes_nothing_and_the_state_is_small(cut: int) -> None:
    readings = oven(33, lambda day, value: value + 60 if 30.4 < day < 30.7 else value)
    whole, first, second = alarms(Repeats(OVEN), readings), Repeats(OVEN), Repeats(OVEN)
    found = alarms(first, readings[:cut])
    kept = msgspec.msgpack.encode(first.dump())
    second.load(msgspec.msgpack.decode(kept))
    assert found + alarms(second, readings[cut:]) == whole
    assert len(kept) <= 1024
    with pytest.raises(Rejected):
        second.load([1])


def test_a_clock_that_leaps_a_year_is_outlived() -> None:
    detector = Repeats(OVEN)
    found = alarms(detector, oven(12) + [(at + 400 * DAY, v) for at, v in oven(12)] + oven(3))
    assert found == []


def test_the_first_days_of_work_after_a_week_of_holidays_are_ordinary() -> None:
    """Days 31 to 37 rest, Wednesday to Tuesday; the calendar says so."""
    listed = frozenset(date(2026, 4, 1) + timedelta(days=n) for n in range(7))
    calendar = replace(OVEN, local=LocalTime(zone("Etc/UTC"), Workdays(listed)))
    rested = [
        (at, value - 60.0 if 31 <= (at - BEGIN) // DAY < 38 and value > 50 else value)
        for at, value in oven(60)
    ]
    assert alarms(Repeats(calendar), rested) == []
    assert alarms(Repeats(OVEN), rested)  # it does not know
    hot = [(at, value + 60 if 39.4 < (at - BEGIN) / DAY < 39.7 else value) for at, value in rested]
    assert alarms(Repeats(calendar), hot)[0][:2] == ("raised", "sensor_anomaly")
