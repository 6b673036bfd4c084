"""Conversions that are one product and one sum: the loop over plain fields computes them in place, without a call.

Each gives to the last bit what `values.converter` gives: a fraction 1/n divides, since x / 1000 is exact
where x * 0.001 is not.
"""

from __future__ import annotations

import math
from typing import Final, NamedTuple

from dutyroom.model.telemetry import Kind
from dutyroom.profiles.profile import PointRule
from dutyroom.profiles.values import affine_steps
from dutyroom.quantities import unit_of


class Linear(NamedTuple):
    """value = raw * factor / divisor + added for raw values of these types; all others take the long way.

    Adding -0.0 changes nothing, not even the sign of a zero. steps: of a counter, rounded to whole steps where it is
    within a quarter of one (see `values.affine_steps`).
    """

    types: frozenset[type]
    factor: float = 1.0
    divisor: float = 1.0
    added: float = -0.0
    steps: bool = False


MAX_SHARED: Final = 10_000
NEVER: Final = Linear(frozenset())
_NUMBERS: Final = frozenset({int, float})


_SHARED: Final[dict[tuple[float, float], float]] = {}


def shared(number: float) -> float:
    """The same number, one object for all who ask."""
    found = _SHARED.setdefault((number, math.copysign(1.0, number)), number)
    if len(_SHARED) > MAX_SHARED:
        _SHARED.clear()
    return found


def linear(rule: PointRule) -> Linear:
    """The short way of a rule, NEVER where it has none."""
    if rule.mapping or rule.none:
        return NEVER
    if rule.spec.kind is Kind.STATE:
        return Linear(frozenset({int}))  # a float must be looked at: it may be no whole code
    if rule.scale_by or rule.spec.kind is Kind.TEXT:
        return NEVER
    if rule.spec.kind is Kind.COUNTER:
        factor, added, _, _ = affine_steps(rule)
        return Linear(_NUMBERS, shared(factor), 1.0, shared(added), True)
    unit = unit_of(rule.spec.quantity, rule.unit)
    by, offset = rule.scale * unit.factor, rule.offset * unit.factor + unit.offset
    if by == 1 and offset == 0:
        return Linear(_NUMBERS)
    if by.numerator == 1 and by.denominator > 1:
        return Linear(_NUMBERS, 1.0, shared(float(by.denominator)), shared(float(offset)))
    return Linear(_NUMBERS, shared(float(by)), 1.0, shared(float(offset)))


def scaled(raw: str, factor: float, divisor: float, added: float) -> str:
    """The text of raw * factor / divisor + added without what changes nothing; a float."""
    changes = f" * {factor!r}" if factor != 1.0 else ""
    changes += f" / {divisor!r}" if divisor != 1.0 else ""
    changes += f" + {added!r}" if added or math.copysign(1.0, added) > 0 else ""
    return raw + (changes or " * 1.0")
