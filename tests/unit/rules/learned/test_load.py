"""Loads that are unusual for a home, and not for its street."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

import msgspec
import pytest

from dutyroom.errors import Rejected
from dutyroom.rules.learned.load import Load
from dutyroom.rules.learned.neighbours import Neighbours
from dutyroom.timebase import DAY, HOUR, Ms

from .series import BEGIN, FLAT, Reading, register

Power = Callable[[Ms, float], float]  # at, usual kW -> kW
METER = FLAT.__class__("electricity_meter", "unit", FLAT.local, 3600, 0.01)


def usual(at: Ms, power: float) -> float:
    return power


def between(
    first: float, last: float, change: Callable[[float], float], hours: Sequence[int] = range(24)
) -> Power:
    def power(at: Ms, kw: float) -> float:
        inside = first < (at - BEGIN) / DAY <= last and (at // HOUR - 1) % 24 in hours
        return change(kw) if inside else kw

    return power


def home(seed: int, days: float, power: Power = usual) -> list[Reading]:
    """A home of about 0.6 kW: 0.2 at night, meals in the morning and in the evening."""
    rng = random.Random(seed)

    def use(at: Ms) -> float:
        hour = (at // HOUR - 1) % 24
        kw = rng.uniform(0.15, 0.3) + (rng.expovariate(1.2) if 6 <= hour < 23 else 0.0)
        return power(at, kw)

    return list(register(use, days, HOUR, 0.01))


def street(days: float, powers: Sequence[Power]) -> list[tuple[int, str, float]]:
    """Each home's raised (1) and cleared (0) with days since the beginning."""
    known = Neighbours()
    homes = [Load(METER, known) for _ in powers]
    rows = sorted(
        (at, i, value) for i, power in enumerate(powers) for at, value in home(i, days, power)
    )  # fmt: skip
    active, found = [False] * len(powers), []
    for at, i, value in rows:
        homes[i].tick(at)
        homes[i].read(at, value)
        if homes[i].active != active[i]:
            active[i] = homes[i].active
            found.append((int(active[i]), f"home-{i}", (at - BEGIN) / DAY))
    return found


STUCK_ON = between(30, 35, lambda kw: kw + 1.0)


def test_a_load_that_stays_on_is_told_within_a_day_and_a_half() -> None:
    found = street(42, [STUCK_ON, usual, usual, usual, usual])
    assert [f[:2] for f in found] == [(1, "home-0"), (0, "home-0")]
    assert 30.2 < found[0][2] < 31.5
    assert 35 < found[1][2] < 37


def test_without_neighbours_it_takes_more_and_still_comes() -> None:
    found = street(42, [STUCK_ON])
    assert [f[:2] for f in found] == [(1, "home-0"), (0, "home-0")]
    assert found[0][2] < 32.5


@pytest.mark.parametrize(("more", "told"), [(0.35, True), (0.2, False)])
def test_one_night_that_takes_far_more_than_ever_is_enough(more: float, told: bool) -> None:
    found = street(32, [between(30, 31, lambda kw: kw + more, range(0, 6)), usual, usual, usual, usual])
    assert [f[:2] for f in found[:1]] == ([(1, "home-0")] if told else [])
    assert all(30.25 < f[2] < 30.35 for f in found[:1])


def nights(*days: int, kw: float) -> Power:
    """So much more on these nights only."""
    return lambda at, usual: usual + kw * (int((at - 1 - BEGIN) / DAY) in days and (at // HOUR - 1) % 24 < 6)


def test_a_car_that_is_charged_now_and_then_is_told_once() -> None:
    found = street(60, [nights(30, 34, 39, 43, 50, kw=3.6), usual, usual, usual, usual])
    assert [f[:2] for f in found] == [(1, "home-0"), (0, "home-0")]
    assert 30.2 < found[0][2] < 30.4


def test_what_stood_for_days_is_not_learned_and_told_again() -> None:
    def twice(at: Ms, kw: float) -> float:
        day = (at - BEGIN) / DAY
        return kw + 1.0 if 30 < day <= 34 or 44 < day <= 48 else kw

    found = street(55, [twice, usual, usual, usual, usual])
    assert [f[0] for f in found] == [1, 0, 1, 0]
    assert 44.2 < found[2][2] < 45.5


def test_a_load_at_night_only_is_told_after_some_nights() -> None:
    found = street(45, [between(30, 40, lambda kw: kw + 1.0, range(0, 6)), usual, usual, usual, usual])
    assert found[0][:2] == (1, "home-0")
    assert found[0][2] < 34


def test_a_cold_week_of_the_whole_street_is_none() -> None:
    cold = between(30, 37, lambda kw: kw * 1.6 + 0.3)
    assert street(45, [cold] * 6) == []


def test_what_is_ordinary_or_small_is_none() -> None:
    more = between(30, 36, lambda kw: kw + 0.08)
    assert street(60, [usual, usual, usual, usual, more]) == []


def test_who_comes_home_after_three_weeks_has_no_abnormal_load() -> None:
    away = between(25, 46, lambda kw: 0.12)
    assert street(60, [away, usual, usual, usual, usual]) == []


def test_a_new_normal_is_accepted_after_eight_days() -> None:
    found = street(60, [between(30, 99, lambda kw: kw + 1.0), usual, usual, usual, usual])
    assert [f[0] for f in found] == [1, 0]
    assert 38 < found[1][2] < 40


def test_nothing_is_said_in_the_first_two_weeks() -> None:
    found = street(20, [between(11, 13.5, lambda kw: kw + 2.0), usual, usual, usual, usual])
    assert all(f[2] > 14 for f in found)


@pytest.mark.parametrize("day", [5, 20, 31, 33, 36])
def test_a_restart_changes_nothing_and_the_state_is_small(day: int) -> None:
    readings = home(0, 42, STUCK_ON)

    def run(detector: Load, part: Sequence[Reading]) -> list[tuple[bool, Ms]]:
        found, active = [], detector.active
        for at, value in part:
            detector.read(at, value)
            if detector.active != active:
                active = detector.active
                found.append((active, at))
        return found

    whole, first, second = run(Load(METER), readings), Load(METER), Load(METER)
    found = run(first, readings[: day * 24 + 5])
    kept = msgspec.msgpack.encode(first.dump())
    second.load(msgspec.msgpack.decode(kept))
    assert found + run(second, readings[day * 24 + 5 :]) == whole
    assert len(kept) <= 1024
    assert set(second.arguments()) == {"load", "usual"}


def test_a_foreign_state_is_refused() -> None:
    with pytest.raises(Rejected):
        Load(METER).load([1, 2, 3])


def test_gaps_leaps_and_a_clock_a_year_ahead_are_outlived() -> None:
    readings = home(0, 30)
    strange = [*readings[:400], *[(at, v + 500.0) for at, v in readings[480:]]]
    detector = Load(METER)
    for at, value in [*strange, *[(at + 400 * DAY, v + 900.0) for at, v in readings]]:
        detector.read(at, value)
    assert not detector.active
