"""The short way of plain numbers gives to the last bit what conversions give."""

from __future__ import annotations

import struct
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.profiles.test_decode import library, readings, send

from dutyroom.model.telemetry import Kind, PointSpec
from dutyroom.profiles.decode import Decoded
from dutyroom.profiles.linear import NEVER, linear
from dutyroom.profiles.profile import PointRule
from dutyroom.profiles.values import converter

NUMBERS = st.one_of(
    st.integers(-(10**15), 10**15),
    st.floats(-1e15, 1e15),
    st.sampled_from([0, -0.0, 0.5, 1.5, 2.5, 12.345, 12.3455, 1e-9, 4294967295, 1e308]),
)
STEP = Decimal("0.001")
RULES = (
    PointRule(PointSpec("a", "number"), ()),
    PointRule(PointSpec("a", "power"), (), "kW"),
    PointRule(PointSpec("a", "temperature"), (), "degF"),
    PointRule(PointSpec("a", "volume"), (), "L", scale=Fraction(1, 10)),
    PointRule(PointSpec("a", "number"), (), scale=Fraction(1, 3), offset=Fraction(-7, 10)),
    PointRule(PointSpec("a", "number"), (), offset=Fraction(5)),
    PointRule(PointSpec("a", kind=Kind.STATE), ()),
    PointRule(PointSpec("a", "volume", kind=Kind.COUNTER, step=STEP), ()),
    PointRule(PointSpec("a", "volume", kind=Kind.COUNTER, step=STEP), (), "L"),
    PointRule(PointSpec("a", kind=Kind.COUNTER, step=Decimal(3)), (), offset=Fraction(1, 2)),
)


def bits(value: float) -> bytes:
    return struct.pack("<d", value)


@pytest.mark.parametrize("rule", RULES)
@given(raw=NUMBERS)
def test_the_same_to_the_last_bit(rule: PointRule, raw: float) -> None:
    types, factor, divisor, added, steps = linear(rule)
    if type(raw) not in types:
        return
    value = raw * factor / divisor + added
    if steps:
        if abs(value) > 2**49 or not -0.25 < value - round(value) < 0.25:
            return
        value = float(round(value))
    have = converter(rule)(raw, {})
    if isinstance(have, float):
        assert bits(value) == bits(have)


@pytest.mark.parametrize(
    "rule",
    [
        PointRule(PointSpec("a", kind=Kind.TEXT), ()),
        PointRule(PointSpec("a", "number"), (), scale_by=("size",)),
        PointRule(PointSpec("a", "number"), (), none=frozenset({"-1"})),
        PointRule(PointSpec("a", "number"), (), mapping={"a": 1.0}),
    ],
)
def test_what_must_be_looked_at_has_no_short_way(rule: PointRule) -> None:
    assert linear(rule) is NEVER


METER = """
class: water_meter
match: {topics: ["m/{id}"]}
identity: "{id}"
points:
  volume: {from: total, quantity: volume, kind: counter, step: 0.001, digits: 5}
  also: {from: total, quantity: volume}
  status: {from: status, kind: state}
  outside: {from: $.t.out, quantity: temperature, low: -40, high: 60}
  first: {from: [x.a, x.b], quantity: temperature}
  lone: {from: y.z.w, quantity: temperature, low: 0, high: 9}
"""


@pytest.mark.parametrize(
    ("payload", "expected"),
    [
        ({"total": 1.5}, {"volume": 1500, "also": 1.5}),
        ({"total": 12.34549}, {"volume": 12345, "also": 12.34549}),
        ({"total": 12.3455}, {"volume": 12346, "also": 12.3455}),  # a tie goes the exact way
        ({"total": -0.0001}, {"volume": 0, "also": -0.0001}),
        ({"total": True}, {"also": 1}),
        ({"total": "2.5"}, {"volume": 2500, "also": 2.5}),
        ({"status": 3.0}, {"status": 3}),
        ({"status": 3.5}, {}),
        ({"t": {"out": 7}, "x": {"b": 2}}, {"outside": 7, "first": 2}),
        ({"t": {"out": 61}, "x": {"a": None, "b": 2}}, {"outside": 61, "first": 2}),
        ({"t": 5, "x": [], "y": {"z": {"w": 10}}}, {"lone": 10}),
        ({"y": {"z": 1}, **{f"f{n}": n for n in range(20)}}, {}),
    ],
)
def test_a_plain_field(payload: dict[str, object], expected: dict[str, float]) -> None:
    outcome = send(library(METER), "m/7", payload)
    assert readings(outcome) == {("7", name): value for name, value in expected.items()}


def test_what_is_out_of_range_is_told_as_it_was_sent() -> None:
    outcome = send(library(METER), "m/7", {"y": {"z": {"w": 10.0}}, "total": 100.0})
    assert isinstance(outcome, Decoded)
    assert {detail for _, _, detail in outcome.findings} == {"lone: 10.0", "volume: 100.0"}
