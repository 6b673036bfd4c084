"""What a home took at a time of day, as bytes; and what its neighbours said, by seats."""

from __future__ import annotations

from math import log

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dutyroom.rules.learned.blocks import MOST, Blocks, Day, alike, power, steps
from dutyroom.rules.learned.neighbours import NOTHING, Neighbours

DAYS = st.lists(st.builds(Day, st.integers(-400, 800), st.integers(-400, 800), st.booleans()), max_size=MOST)


@given(DAYS)
def test_days_are_the_same_once_packed(days: list[Day]) -> None:
    blocks = Blocks()
    blocks.put(days)
    packed = blocks.pack()
    assert list(Blocks(packed).days) == days
    assert Blocks(packed).pack() == packed
    assert len(packed) <= 7 + 4 * len(days)


@given(st.floats(0.0, 5000.0))
def test_a_power_is_kept_to_a_hundredth(kw: float) -> None:
    assert abs(log(power(steps(kw)) + 0.02) - log(kw + 0.02)) <= 0.0101


def test_three_weeks_within_a_factor_of_160_take_a_byte_a_number() -> None:
    blocks = Blocks()
    blocks.put(Day(n * 11, 255 - n * 11, n % 7 > 4) for n in range(22))
    assert len(blocks.pack()) == 7 + 2 * 22


def days(worked: list[float], rested: list[float]) -> list[Day]:
    return [Day(steps(kw), 0, rest) for kinds, rest in ((worked, False), (rested, True)) for kw in kinds]


@pytest.mark.parametrize(
    ("worked", "rested", "apart"),
    [
        pytest.param([9.0] * 14, [1.0] * 6, True, id="an office"),
        pytest.param([9.0] * 14, [1.0] * 5 + [8.0], True, id="and a Saturday that was worked"),
        pytest.param([9.0] * 14, [1.0] * 4 + [8.0] * 2, False, id="two of six"),
        pytest.param([9.0] * 17, [1.0] * 3, False, id="too few days of rest are known"),
        pytest.param([0.5] * 14, [0.9] * 6, False, id="hardly other"),
        pytest.param([0.4] * 14, [1.5] * 6, False, id="a home where people are in at weekends"),
        pytest.param([0.2, 3.0] * 7, [0.2, 2.0] * 3, False, id="anything on any day"),
    ],
)
def test_days_of_rest_are_told_apart_where_people_work(
    worked: list[float], rested: list[float], apart: bool
) -> None:
    known = days(worked, rested)
    for rest in (False, True):
        assert alike(known, rest) == ([d for d in known if d.rest == rest] if apart else known)


@given(
    st.lists(st.tuples(st.integers(0, 3), st.integers(1, 40), st.floats(-3.0, 4.0, width=32)), max_size=40)
)
def test_each_says_its_newest_block_and_the_one_before(said: list[tuple[int, int, float]]) -> None:
    known, heard = Neighbours(), [NOTHING] * 4
    seats = [known.seat() for _ in heard]
    for who, block, z in said:
        known.say(seats[who], block, z)
        if block > heard[who][0]:
            heard[who] = (block, z, *heard[who][:2])
    assert [known.spoken(seat) for seat in seats] == heard


def test_a_seat_is_free_again_and_who_left_says_nothing() -> None:
    known = Neighbours()
    seats = [known.seat() for _ in range(4)]
    for seat in seats:
        known.say(seat, 7, float(seat))
    assert known.median(seats[0], 7) == 2.0
    known.leave(seats[1])
    assert known.median(seats[0], 7) is None
    assert known.seat() == seats[1]
    assert known.spoken(seats[1]) == NOTHING
