"""Numbers of codecs are exact, and floats are the shortest ones."""

import struct
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dutyroom.errors import Rejected
from dutyroom.profiles.codecs.exact import decimal_setting, float32, scaled, shifted

decimals = st.decimals(-(10**9), 10**9, places=11, allow_nan=False, allow_infinity=False)


@given(st.integers(-(2**63), 2**64), decimals, decimals)
def test_nothing_is_rounded(raw: int, scale: Decimal, offset: Decimal) -> None:
    assert Fraction(scaled(raw, scale, offset)) == raw * Fraction(scale) + Fraction(offset)


@given(st.integers(0, 2**64), st.integers(-10, 10))
def test_powers_of_ten(raw: int, power: int) -> None:
    assert Fraction(shifted(raw, power)) == raw * Fraction(10) ** power


def test_whole_numbers_are_int() -> None:
    assert scaled(185, Decimal("0.05")) == "9.25"
    assert scaled(200, Decimal("0.05")) == 10
    assert scaled(0, Decimal("0.001")) == 0


@given(st.floats(width=32, allow_nan=False, allow_infinity=False))
def test_float32_is_short_and_the_same(value: float) -> None:
    found = float32(struct.pack(">f", value))
    assert found is not None
    assert struct.pack(">f", found) == struct.pack(">f", value)
    assert repr(found) == repr(float(f"{found:.9g}"))


def test_float32_of_people() -> None:
    assert float32(bytes.fromhex("4366199a")) == 230.1
    assert float32(bytes.fromhex("7fc00000")) is None
    assert float32(bytes.fromhex("ff800000")) is None


@pytest.mark.parametrize("text", ["1/3", "x", "nan", "1e99", "1/0", True, "1" * 31, ""])
def test_resolutions_that_are_not_exact(text: str | bool) -> None:
    with pytest.raises(Rejected):
        decimal_setting({"scale": text}, "scale", Decimal(1), "")


def test_resolutions() -> None:
    assert decimal_setting({"scale": "1/128"}, "scale", Decimal(1), "") == Decimal("0.0078125")
    assert decimal_setting({"scale": 0.1}, "scale", Decimal(1), "") == Decimal("0.1")
