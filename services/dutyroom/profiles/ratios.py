"""Device parameters that multiply together: the ratios of transformers before a meter (`scale: [ct, pt]`).

The register of such a meter stays as its display shows it; a bill multiplies its use by the product, the parameter
`multiplier` of the device row. Rows from before profiles could multiply may give that product alone.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from fractions import Fraction
from functools import lru_cache
from typing import Final

from dutyroom.model.telemetry import Kind, Scalar
from dutyroom.profiles.profile import Profile

MULTIPLIER: Final = "multiplier"
WHOLE: Final = "@product"  # among a device's parameters, as the decoder gets them; no row can hold the name


def factor_of(parameters: Mapping[str, Scalar], names: tuple[str, ...]) -> float:
    """The product of a device's parameters, rounded once; NaN where one is no number."""
    if len(names) > 1:
        return _product(_values(parameters, names))[0]
    value = parameters.get(names[0], 1) if names else 1
    try:
        return float(value)
    except (ValueError, OverflowError):
        return math.nan


def exact_factor(parameters: Mapping[str, Scalar], names: tuple[str, ...]) -> Fraction:
    """The same, exact; 0 where one is no number."""
    return _product(_values(parameters, names))[1]


def _values(parameters: Mapping[str, Scalar], names: tuple[str, ...]) -> tuple[Scalar, ...]:
    whole = parameters.get(WHOLE) if len(names) > 1 else None
    return (whole,) if whole is not None else tuple(parameters.get(name, 1) for name in names)


@lru_cache(10_000)
def _product(values: tuple[Scalar, ...]) -> tuple[float, Fraction]:
    found = Fraction(1)
    try:
        for value in values:
            found *= Fraction(repr(float(value)))  # as it is written: 0.1 is a tenth
        return float(found), found
    except (ValueError, OverflowError):
        return math.nan, Fraction(0)


def ratio_of(profile: Profile) -> tuple[str, ...]:
    """The parameters whose product multiplies what a meter measures but not its register: a bill has yet to. ()
    where the profile has none, or has a parameter `multiplier` of its own."""
    if len(profile.parameters) < 2 or MULTIPLIER in profile.parameters:
        return ()
    rules = [rule for layout in profile.layouts for rule in layout.points if rule.scale_by]
    lists = {rule.scale_by for rule in rules if len(rule.scale_by) > 1}
    names = lists.pop() if len(lists) == 1 else ()
    registers = (rule for rule in rules if rule.spec.kind is Kind.COUNTER)
    return () if any(not set(names).isdisjoint(rule.scale_by) for rule in registers) else names


def on_device(profile: Profile, own: Mapping[str, Scalar]) -> Mapping[str, Scalar]:
    """A device's parameters over the profile's defaults. One that has the product and none of its parts is an old
    row: the product counts as it stands there."""
    return over_defaults(profile.parameters, ratio_of(profile), own)


def over_defaults(
    defaults: Mapping[str, Scalar], ratio: tuple[str, ...], own: Mapping[str, Scalar]
) -> Mapping[str, Scalar]:
    """The same with what `ratio_of` gives of the profile."""
    if not defaults:
        return own
    known = {**defaults, **own}
    if ratio and MULTIPLIER in own and own.keys().isdisjoint(ratio):
        known[WHOLE] = own[MULTIPLIER]
    return known
