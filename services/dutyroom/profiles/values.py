"""From what a payload holds to a point's value: maps, numbers in text, units, steps, sentinels.

A compiled converter gives a float (canonical unit, a code, or whole steps), NOTHING for "no
reading", or a Problem. A sentinel or null is never 0.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from math import isfinite
from typing import Final, TypeAlias

from dutyroom.model.telemetry import Kind, Scalar
from dutyroom.profiles.paths import as_text
from dutyroom.profiles.profile import PointRule
from dutyroom.profiles.ratios import exact_factor, factor_of
from dutyroom.quantities import QUANTITIES, unit_of


@dataclass(frozen=True, slots=True)
class Problem:
    """Why a value gives no reading: a finding's kind and words for people."""

    kind: str
    detail: str


class Nothing:
    """No reading, and that is in order."""


NOTHING: Final = Nothing()
Result: TypeAlias = "float | str | Nothing | Problem"
Convert: TypeAlias = Callable[[object, Mapping[str, Scalar]], Result]

SCALARS: Final = (str, int, float)
LARGEST = float(2**53)  # counters are whole below it
_NO_WORDS = frozenset({"", "null", "none", "nan", "n/a", "na", "-", "--"})
_WITH_UNIT = re.compile(
    r"([-+]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]{1,3})?)\s*([^0-9\s.,][^\s]{0,15})?\Z"
)
_DIGITS = re.compile(r"-?[0-9]{1,40}(?:\.[0-9]{1,20})?\Z").match  # what `float` reads as it stands
BOOLEANS: Mapping[str, float] = {
    "true": 1.0, "false": 0.0, "1": 1.0, "0": 0.0, "on": 1.0, "off": 0.0, "ON": 1.0, "OFF": 0.0,
    "yes": 1.0, "no": 0.0, "True": 1.0, "False": 0.0,
}  # fmt: skip


def converter(rule: PointRule) -> Convert:
    """The conversion of one point."""
    inner = _mapped(rule) if rule.mapping else _PLAIN[rule.spec.kind](rule)
    if not rule.none:
        return inner
    none, numbers = rule.none, rule.spec.kind is not Kind.TEXT and not rule.mapping

    def with_sentinels(raw: object, parameters: Mapping[str, Scalar]) -> Result:
        if as_text(raw) in none or (numbers and type(raw) is str and _as_number(raw) in none):
            return NOTHING
        return inner(raw, parameters)

    return with_sentinels


def _as_number(text: str) -> str | None:
    """A number in a text as JSON would have it: " -999.00" is -999, also with its unit beside it."""
    match = _WITH_UNIT.match(text.strip()) if len(text) < 64 else None
    return as_text(float(match[1])) if match else text.strip()


def _mapped(rule: PointRule) -> Convert:
    mapping, otherwise = rule.mapping, rule.otherwise

    def look_up(raw: object, parameters: Mapping[str, Scalar]) -> Result:
        text = as_text(raw)
        if text is None:
            return Problem("malformed", "not a single value")
        found = mapping.get(text, otherwise)
        return Problem("unknown_code", shortened(text)) if found is None else found

    return look_up


def _text(rule: PointRule) -> Convert:
    def read(raw: object, parameters: Mapping[str, Scalar]) -> Result:
        text = as_text(raw)
        return Problem("malformed", "not a text") if text is None else stored(text)

    return read


def _state(rule: PointRule) -> Convert:
    def read(raw: object, parameters: Mapping[str, Scalar]) -> Result:
        value = _number(raw, rule)
        if isinstance(value, float) and not value.is_integer():
            return Problem("malformed", f"{value!r} is no whole code")
        return value

    return read


def _gauge(rule: PointRule) -> Convert:
    factor, offset = _affine(rule)
    scale_by, invert = rule.scale_by, 0.0
    if factor.numerator == 1 and factor.denominator > 1:
        invert = float(factor.denominator)  # x / 1000 is exact to the last bit, x * 0.001 is not
    a, b, plain = float(factor), float(offset), factor == 1 and offset == 0

    def as_it_stands(raw: object, parameters: Mapping[str, Scalar]) -> Result:
        if type(raw) is str and _DIGITS(raw):
            return float(raw)
        value = raw if type(raw) is float else _number(raw, rule)
        return value if type(value) is not float or isfinite(value) else _not_finite(raw)

    def read(raw: object, parameters: Mapping[str, Scalar]) -> Result:
        if type(raw) is str and _DIGITS(raw):
            value: float | Nothing | Problem = float(raw)
        else:
            value = raw if type(raw) is float else _number(raw, rule)
        if type(value) is not float:
            return value
        if scale_by:
            value *= factor_of(parameters, scale_by)
        if not plain:
            value = (value / invert if invert else value * a) + b
        return value if isfinite(value) else _not_finite(raw)

    return as_it_stands if plain and not scale_by else read


def _counter(rule: PointRule) -> Convert:
    factor, offset = _steps(rule)
    a, b, low, high = affine_steps(rule)
    scale_by = rule.scale_by
    wrap = float(rule.spec.wrap) if rule.spec.wrap is not None else math.inf

    def read(raw: object, parameters: Mapping[str, Scalar]) -> Result:
        if type(raw) is bool:  # else `true` would be a register of 1
            return Problem("malformed", "bool where a number is expected")
        if type(raw) is str and _DIGITS(raw):
            value: float | Nothing | Problem = float(raw)
        else:
            value = raw if type(raw) is float else _number(raw, rule)
        if type(value) is not float:
            return value
        scaled = value * factor_of(parameters, scale_by) if scale_by else value
        near = scaled * a + b
        if low < near < high and -0.25 < near - (whole := round(near)) < 0.25:
            return float(whole)
        if not isfinite(value):
            return _not_finite(raw)
        if not abs(near) < LARGEST:
            return Problem("out_of_range", f"{shortened(str(raw))} is more steps than a register holds")
        if wrap - 0.5 <= near < wrap:  # rounded up, the last part of a step is the next turn's beginning
            return 0.0
        by = exact_factor(parameters, scale_by)
        return float(round(Fraction(Decimal(repr(value))) * by * factor + offset))

    return read


_PLAIN = {Kind.TEXT: _text, Kind.STATE: _state, Kind.GAUGE: _gauge, Kind.COUNTER: _counter}


def _affine(rule: PointRule) -> tuple[Fraction, Fraction]:
    unit = unit_of(rule.spec.quantity, rule.unit)
    return rule.scale * unit.factor, rule.offset * unit.factor + unit.offset


def _steps(rule: PointRule) -> tuple[Fraction, Fraction]:
    """The same in steps of a counter."""
    factor, offset = _affine(rule)
    step = Fraction(rule.spec.step if rule.spec.step is not None else 1)
    return factor / step, offset / step


def affine_steps(rule: PointRule) -> tuple[float, float, float, float]:
    """(a, b, low, high) of a counter: raw * a + b is, between low and high and within a quarter of a whole
    number, so near the exact product that it rounds to the same step."""
    factor, offset = _steps(rule)
    wrap = float(rule.spec.wrap) if rule.spec.wrap is not None else math.inf
    return float(factor), float(offset), -LARGEST / 8, min(LARGEST / 8, wrap - 0.5)


def _not_finite(raw: object) -> Problem:
    return Problem("malformed", f"{shortened(str(raw))} is no finite number")


def _number(raw: object, rule: PointRule) -> float | Nothing | Problem:
    if type(raw) is float:
        return raw
    if type(raw) is bool:
        return 1.0 if raw else 0.0
    if type(raw) is int:
        return float(raw)
    if not isinstance(raw, str):
        return Problem("malformed", f"{type(raw).__name__} where a number is expected")
    if _DIGITS(raw):
        return float(raw)
    text = raw.strip()
    if text.lower() in _NO_WORDS:
        return NOTHING
    if rule.spec.kind is Kind.STATE and text in BOOLEANS:
        return BOOLEANS[text]
    match = _WITH_UNIT.match(text) if len(text) < 64 else None
    if match is None:
        return Problem("malformed", f"{shortened(text)!r} is no number")
    return _in_rule_unit(float(match[1]), match[2], rule)


def _in_rule_unit(value: float, unit: str | None, rule: PointRule) -> float | Problem:
    """A number with its unit beside it ("15 mm"), in the unit that the rule reads."""
    if unit is None or unit == rule.unit:
        return value
    found = QUANTITIES[rule.spec.quantity].units.get(unit)
    if found is None:
        return Problem("malformed", f"unit {unit!r} is none of {rule.spec.quantity}")
    own = unit_of(rule.spec.quantity, rule.unit)
    try:
        return float((Fraction(value) * found.factor + found.offset - own.offset) / own.factor)
    except OverflowError:
        return Problem("malformed", f"{value} {unit} is no finite number")


def stored(text: str, limit: int = 1000) -> str:
    """As it may be stored: bounded, and without the character that databases refuse."""
    if len(text) <= limit and "\0" not in text:
        return text
    return text[:limit].replace("\0", "\ufffd")


def shortened(text: str, limit: int = 80) -> str:
    """For messages: never a megabyte of payload."""
    return text if len(text) <= limit else text[: limit - 1] + "…"
