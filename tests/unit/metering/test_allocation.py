"""Public shares: to the fen, every time the same way."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dutyroom.errors import Rejected
from dutyroom.metering.allocation import allocate, pool

D = Decimal
areas = st.decimals(min_value=D("0.1"), max_value=D(500), places=1)
weights = st.dictionaries(st.text("ABC/0123456789", min_size=1, max_size=8), areas, min_size=1, max_size=60)


def test_480_equal_households_pay_exactly_the_bill():
    """137.50 kWh at 0.5880: rounding each share would bill 81.60."""
    shares = allocate(8_085, {f"{n:03d}": D("89.6") for n in range(480)})
    assert sum(shares.values()) == 8_085
    assert set(shares.values()) == {16, 17}


def test_ties_go_to_the_smaller_key():
    assert allocate(2, {"c": D(1), "a": D(1), "b": D(1)}) == {"a": 1, "b": 1, "c": 0}


@given(st.integers(0, 10_000_000), weights)
def test_exact_against_rational_arithmetic(total, by_unit):
    shares = allocate(total, by_unit)
    whole = sum(map(Fraction, by_unit.values()))
    assert sum(shares.values()) == total
    for unit, amount in shares.items():
        assert abs(amount - Fraction(by_unit[unit]) * total / whole) < 1


@given(st.integers(0, 1_000_000), weights, st.randoms())
def test_the_order_of_the_units_does_not_matter(total, by_unit, random):
    items = list(by_unit.items())
    random.shuffle(items)
    assert allocate(total, dict(items)) == allocate(total, by_unit)


@given(st.integers(0, 1_000_000), weights)
def test_who_has_more_never_pays_less(total, by_unit):
    shares = allocate(total, by_unit)
    for a in by_unit:
        for b in by_unit:
            assert not (by_unit[a] > by_unit[b] and shares[a] < shares[b])


@pytest.mark.parametrize(
    ("total", "by_unit"),
    [(-1, {"a": D(1)}), (1, {"a": D(0)}), (1, {}), (1, {"a": D(-1)}), (1, {"a": D("NaN")})],
)
def test_what_cannot_be_shared(total, by_unit):
    with pytest.raises(Rejected):
        allocate(total, by_unit)


def test_nothing_to_share_is_nothing_for_each():
    assert allocate(0, {"a": D(0), "b": D(0)}) == {"a": 0, "b": 0}


def test_pool():
    assert pool({"m": D(10)}, {"s": D("2.5")}) == (D("7.5"), ())
    assert pool({"m": D(10), "n": None}, {"s": D(1)}) == (None, ("n",))
    assert pool({"m": D(1)}, {"s": D(2)}) == (None, ()), "a negative loss is not a credit"
