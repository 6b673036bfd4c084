"""How often a point is read, and whether its device said something else in as many of its steps."""

from __future__ import annotations

import random

import numpy as np
import pytest

from dutyroom.flows.point_habit import STEPS, habit_of, spoke, times_of
from dutyroom.flows.point_rows import silences
from dutyroom.model.telemetry import Longs, Quality, Series
from dutyroom.timebase import DAY, HOUR, MINUTE, Ms

T = 1_795_000_000_000 // DAY * DAY


def longs(*values: Ms) -> Longs:
    return np.array(values, np.int64)


def every(step: Ms, count: int, start: Ms = T) -> Longs:
    return start + step * np.arange(count, dtype=np.int64)


def series(at: Longs, late: dict[int, Ms] | None = None, quality: int = 0) -> Series:
    return Series(1, at, np.zeros(len(at)), np.full(len(at), quality, np.uint8), late or {})


def test_a_day_that_waits_and_comes_at_once_is_one_time() -> None:
    at = every(HOUR, 48)
    late = {row: T + (row // 24 + 1) * DAY for row in range(48) if row % 24 != 23}  # the 24th is an hour old
    times = times_of(series(at, late), HOUR)
    assert times.came.tolist() == [T + DAY, T + 2 * DAY]
    assert times.at.tolist() == [T + 23 * HOUR, T + 47 * HOUR]


def test_what_a_broker_had_retained_is_no_reading() -> None:
    assert len(times_of(series(every(HOUR, 5), quality=Quality.RETAINED), HOUR).came) == 0
    assert times_of(series(every(HOUR, 5)), 0).came.tolist() == every(HOUR, 5).tolist()


def test_what_does_as_expected_has_its_habit_soon() -> None:
    habit = habit_of(every(HOUR, 7), HOUR)
    assert habit is not None
    assert (habit.step, habit.patience, habit.pauses) == (HOUR, 6 * HOUR, ())
    assert habit_of(every(HOUR, 6), HOUR) is None
    assert habit_of(every(HOUR, 7), 0) is None  # nobody expects it: more must be known
    assert habit_of(every(HOUR, 21), 0) is not None


def test_a_slow_point_under_the_interval_of_its_profile_has_its_own_step() -> None:
    assert habit_of(every(DAY, 20), HOUR) is None
    habit = habit_of(every(DAY, 21), HOUR)
    assert habit is not None
    assert habit.step == DAY


def test_what_comes_by_seconds_may_still_be_silent_for_an_hour() -> None:
    habit = habit_of(every(10_000, 50), 10_000)
    assert habit is not None
    assert habit.patience == HOUR


@pytest.mark.parametrize("seed", range(20))
def test_what_comes_by_chance_has_no_habit(seed: int) -> None:
    draw = random.Random(seed)
    gaps = [round(draw.expovariate(1 / (5 * HOUR))) for _ in range(100)]
    assert habit_of(T + np.cumsum(np.array(gaps, np.int64)), HOUR) is None


def test_lost_messages_make_the_step_longer_and_no_alarm() -> None:
    draw = random.Random(3)
    kept = np.array([at for at in every(HOUR, 1000).tolist() if draw.random() > 0.1], np.int64)
    habit = habit_of(kept, HOUR)
    assert habit is not None
    assert (habit.step, habit.pauses) == (2 * HOUR, ())


def test_a_pause_is_a_gap_longer_than_its_patience() -> None:
    habit = habit_of(np.concatenate([every(HOUR, 40), every(HOUR, 40, T + 60 * HOUR)]), HOUR)
    assert habit is not None
    assert habit.pauses == (39,)


@pytest.mark.parametrize(
    ("came", "said"),
    [
        (every(HOUR, STEPS, T + HOUR), True),
        (every(HOUR, STEPS - 1, T + HOUR), False),
        (every(10 * MINUTE, 35, T + 10 * MINUTE), False),  # not six hours yet
        (longs(T + 10 * HOUR, T + 10 * HOUR + 1, T + 10 * HOUR + 2), False),  # what waited comes at once
        (longs(T - 2, T - 1), False),
        (longs(), False),
    ],
)
def test_others_must_be_read_in_six_of_its_steps(came: Longs, said: bool) -> None:
    assert spoke(came, T, HOUR) is said


def test_silence_is_counted_up_to_the_newest_sign_of_the_device() -> None:
    device, received = longs(0, 0, 1, -1, 0), longs(T, T + HOUR, T - DAY, T, T + 9 * HOUR)
    tells = np.array([True, True, True, True, False])
    assert silences(device, received, tells).tolist() == [HOUR, 0, 0, 0, 0]
    assert silences(longs(), longs(), np.zeros(0, np.bool_)).tolist() == []
