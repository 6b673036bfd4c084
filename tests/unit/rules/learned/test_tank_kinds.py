"""A tank's level: frozen, leaking, or not lifted by its pump; and the life of a tank that is none of these."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator
from itertools import pairwise
from math import cos, pi
from typing import Protocol

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dutyroom.rules.filling import Filling
from dutyroom.rules.learned import ZoneDetector
from dutyroom.rules.learned.frozen import LevelFrozen
from dutyroom.rules.learned.level_leak import LevelLeak
from dutyroom.rules.learned.meter import Meter
from dutyroom.timebase import DAY, HOUR, MINUTE, Ms

from .series import BEGIN, LOCAL

LEVEL = Meter("tank", "domestic", LOCAL, 300, 0.0, 0.0, 3.0)
PUMP = Meter("pump", "unit", LOCAL, 300)
Row = tuple[int, Ms, float]
STEP: Ms = 5 * MINUTE


class Flow(Protocol):
    def __call__(self, at: Ms) -> float: ...


def days_of(at: Ms) -> float:
    return (at - BEGIN) / DAY


def draw(at: Ms) -> float:
    """m an hour that people draw: little at night, most in the evening."""
    return 0.02 + 0.28 * (1 - cos(2 * pi * (at % DAY) / DAY)) / 2


def domestic(
    days: float,
    seed: int = 1,
    leak: Flow = lambda at: 0.0,
    brings: Flow = lambda at: 1.0,
    shows: Callable[[Ms, float], float] = lambda at, level: level,
    digit: float = 0.01,
) -> Iterator[Row]:
    """A tank whose pump (member 1) starts at 1.2 m and stops at 1.9 m; brings: m an hour of it. Draw differs by a
    fifth from day to day."""
    rng, level, runs = random.Random(seed), 1.5, False
    mood = 1.0
    for step in range(int(days * DAY / STEP)):
        at = BEGIN + step * STEP
        if at % DAY == 0:
            mood = rng.uniform(0.8, 1.2)
        taken = draw(at) * mood + leak(at) - (brings(at) if runs else 0.0)
        level = min(max(level - taken * STEP / HOUR, 0.0), 3.0)
        shown = shows(at, round(level / digit) * digit)
        runs = shown < 1.2 or (runs and shown < 1.9)
        yield 0, at, shown
        yield 1, at, float(runs)


def said(detector: ZoneDetector, rows: Iterable[Row]) -> list[tuple[str, float]]:
    found, active = [], detector.active
    for member, at, value in rows:
        detector.read(member, at, value)
        if detector.active != active:
            active = detector.active
            found.append(("raised" if active else "cleared", round(days_of(at), 2)))
    return found


def frozen() -> LevelFrozen:
    return LevelFrozen(LEVEL, [PUMP], 2 * HOUR, DAY)


def leaking() -> LevelLeak:
    return LevelLeak(LEVEL, [PUMP], 0.005, HOUR)


def filling() -> Filling:
    return Filling(PUMP, LEVEL, 20 * MINUTE, 0.02)


def swapped(rows: Iterable[Row]) -> Iterator[Row]:
    """The pump first, as the rule on a pump has it."""
    return ((1 - member, at, value) for member, at, value in rows)


# ------------------------------------------------------------ life


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("digit", [0.001, 0.01, 0.05])
def test_a_tank_that_works_raises_nothing(seed: int, digit: float) -> None:
    rows = list(domestic(60, seed, digit=digit))
    assert said(frozen(), rows) == []
    assert said(leaking(), rows) == []
    assert said(filling(), swapped(rows)) == []


# ------------------------------------------------------------ frozen


def test_a_level_that_stands_while_people_draw_is_told_within_some_hours_and_ends_when_it_moves() -> None:
    stuck = lambda at, level: 1.55 if 20 <= days_of(at) < 21.5 else level  # noqa: E731
    detector = frozen()
    what = said(detector, domestic(25, shows=stuck, digit=0.001))
    assert [name for name, _ in what] == ["raised", "cleared"]
    assert 20.08 < what[0][1] < 20.3
    assert 21.5 <= what[1][1] < 21.52
    assert detector.arguments()["level"] == pytest.approx(1.55)


def test_a_level_that_stands_while_its_pump_runs_is_told_sooner() -> None:
    """It froze low, so the pump never stops."""
    stuck = lambda at, level: 1.1 if days_of(at) >= 20 else level  # noqa: E731
    rows = list(domestic(22, shows=stuck, digit=0.05))
    alone = LevelFrozen(LEVEL, [PUMP], 2 * HOUR, 0)
    by_pump, by_time = said(frozen(), rows), said(alone, rows)
    assert by_pump[0][0] == by_time[0][0] == "raised"
    assert by_pump[0][1] < by_time[0][1] - 0.05


def test_from_the_first_day_a_pump_that_ran_for_a_day_proves_it() -> None:
    rows = [
        row for n in range(0, 40 * 12) for row in ((0, BEGIN + n * STEP, 1.3), (1, BEGIN + n * STEP, 1.0))
    ]
    assert said(frozen(), rows) == [("raised", 1.0)]
    assert said(LevelFrozen(LEVEL, [PUMP], 2 * HOUR, 0), rows) == []


def test_water_that_may_stand_for_days_is_not_judged_by_time() -> None:
    """Fire water to the centimetre: it is topped up twice in two months."""
    rows = [(0, BEGIN + n * HOUR, 2.41 if n < 500 else 2.45 if n < 900 else 2.5) for n in range(24 * 70)]
    level = Meter("tank", "fire", LOCAL, 3600, 0.0, 0.0, 3.0)
    assert said(LevelFrozen(level, [], 2 * HOUR, 0), rows) == []


def test_fire_water_whose_sensor_trembles_is_judged_by_that() -> None:
    rng = random.Random(5)
    rows = [
        (0, BEGIN + n * HOUR, 2.4 + rng.choice((0.0, 0.001, 0.002)) if n < 24 * 30 else 2.4)
        for n in range(24 * 32)
    ]
    level = Meter("tank", "fire", LOCAL, 3600, 0.0, 0.0, 3.0)
    found = said(LevelFrozen(level, [], 2 * HOUR, 0), rows)
    assert [name for name, _ in found] == ["raised"]
    assert found[0][1] < 32


def test_hours_without_readings_are_not_stillness() -> None:
    rows = [row for row in domestic(30, digit=0.001) if not 20 <= days_of(row[1]) < 21]
    held = [(m, at, 1.5 if m == 0 and 20 <= days_of(at - DAY) < 20.01 else value) for m, at, value in rows]
    assert said(frozen(), held) == []


# ------------------------------------------------------------ leaking


def test_a_leak_is_told_after_its_second_day_and_ends_after_two_sound_ones() -> None:
    leak = lambda at: 0.03 if 30 <= days_of(at) < 36 else 0.0  # noqa: E731
    detector = leaking()
    assert said(detector, domestic(42, leak=leak, digit=0.001)) == [("raised", 32.0), ("cleared", 38.0)]
    assert detector.arguments()["rate"] == pytest.approx(5.0, abs=1.0)  # cm/h: 2 of the night and 3 that leak
    assert detector.arguments()["usual"] == pytest.approx(2.0, abs=0.5)


def test_fire_water_that_sinks_a_centimetre_an_hour_is_told() -> None:
    level = Meter("tank", "fire", LOCAL, 900, 0.0, 0.0, 3.0)
    rows = [(0, BEGIN + n * 15 * MINUTE, 2.4 - max(0, n - 96 * 20) * 0.0025) for n in range(96 * 24)]
    assert said(LevelLeak(level, [], 0.005, HOUR), rows) == [("raised", 22.0)]


def test_what_evaporates_is_no_leak() -> None:
    level = Meter("tank", "fire", LOCAL, 900, 0.0, 0.0, 3.0)
    rows = [
        (0, BEGIN + n * 15 * MINUTE, round(2.4 - max(0, n - 96 * 20) * 0.01 / 96, 3)) for n in range(96 * 40)
    ]
    assert said(LevelLeak(level, [], 0.005, HOUR), rows) == []


def test_where_the_pump_is_not_heard_nothing_is_known() -> None:
    leak = lambda at: 0.05 if days_of(at) >= 30 else 0.0  # noqa: E731
    rows = [row for row in domestic(40, leak=leak) if row[0] == 0 or days_of(row[1]) < 30]
    assert said(leaking(), rows) == []


# ------------------------------------------------------------ a pump that does not fill


def test_a_pump_that_brings_nothing_is_told_after_twenty_minutes_and_ends_when_the_level_rises() -> None:
    broken = lambda at: 0.0 if 5 <= days_of(at) < 6 else 1.0  # noqa: E731
    rows = list(domestic(8, brings=broken))
    started = next(at for m, at, v in rows if m == 1 and v and days_of(at) >= 5)
    detector = filling()
    found = said(detector, swapped(rows))
    assert [name for name, _ in found] == ["raised", "cleared"]
    assert found[0][1] == pytest.approx(days_of(started) + 20 / 24 / 60, abs=0.01)
    assert 6 <= found[1][1] < 6.05


def test_a_draw_larger_than_the_pump_does_not_look_like_a_broken_pump() -> None:
    """From when the pump stopped on it falls by 1.5 m an hour and more, and by half of that when the pump runs again."""
    usual = [row for row in domestic(3, brings=lambda at: 0.75) if row[0] == 1]
    stopped = next(at for (_, _, before), (_, at, now) in pairwise(usual) if before > now and days_of(at) > 2)
    draws = lambda at: 1.5 if stopped < at < stopped + 80 * MINUTE else 0.0  # noqa: E731
    rows = list(swapped(domestic(3, leak=draws, brings=lambda at: 0.75)))
    assert said(filling(), rows) == []
    assert min(value for member, _, value in rows if member == 1) < 1.0  # it fell all the time


def test_a_tank_that_is_full_cannot_rise() -> None:
    rows = [
        row for n in range(60) for row in ((0, BEGIN + n * STEP, float(n > 5)), (1, BEGIN + n * STEP, 2.9))
    ]
    assert said(filling(), rows) == []
    low = [(m, at, 1.0 if m else v) for m, at, v in rows]
    assert [name for name, _ in said(filling(), low)] == ["raised"]


def test_a_start_that_nobody_saw_is_not_judged() -> None:
    rows = [row for n in range(60) for row in ((0, BEGIN + n * STEP, 1.0), (1, BEGIN + n * STEP, 1.0))]
    assert said(filling(), rows) == []
    gap = [(0, BEGIN, 0.0), (1, BEGIN, 1.0), *((m, at + HOUR, v) for m, at, v in rows)]
    assert said(filling(), gap) == []


# ------------------------------------------------------------ restarts


@settings(max_examples=10, deadline=None)
@given(
    st.sampled_from([frozen, leaking, filling]),
    st.integers(0, 99),
    st.lists(st.integers(0, 2 * 288 * 24), max_size=6),
)
def test_a_restart_at_any_reading_changes_nothing(
    make: Callable[[], ZoneDetector], seed: int, cuts: list[int]
) -> None:
    leak = lambda at: 0.04 if 17 <= days_of(at) < 20 else 0.0  # noqa: E731
    stuck = lambda at, level: 1.6 if 21 <= days_of(at) < 21.5 else level  # noqa: E731
    broken = lambda at: 0.0 if 22 <= days_of(at) < 22.5 else 1.0  # noqa: E731
    rows = domestic(24, seed, leak, broken, stuck)
    whole, parted = make(), make()
    for number, row in enumerate(swapped(rows) if make is filling else rows):
        whole.read(*row)
        parted.read(*row)
        if number in cuts:
            kept, parted = msgspec.msgpack.encode(parted.dump()), make()
            parted.load(msgspec.msgpack.decode(kept))
        assert (parted.active, parted.arguments()) == (whole.active, whole.arguments())
    assert len(msgspec.msgpack.encode(whole.dump())) <= 1024
