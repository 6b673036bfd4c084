"""Public consumption shared out by area: to the fen, every time the same way."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from fractions import Fraction

from dutyroom.errors import Rejected


def allocate(total: int, weights: Mapping[str, Decimal]) -> dict[str, int]:
    """Shares of `total` (smallest currency unit) in proportion to `weights`; they sum to `total`.

    Largest remainder; of equal remainders the smaller key first, so the order of the mapping does
    not matter. Raises Rejected for a negative total, no weight, or a weight below zero.
    """
    if total < 0:
        raise Rejected(f"a negative amount ({total}) is not shared out")
    wrong: dict[int | str, str] = {
        key: f"weight {weight}" for key, weight in weights.items() if not weight.is_finite() or weight < 0
    }
    if wrong:
        raise Rejected("a weight is a number of at least zero", wrong)
    whole = sum((Fraction(weight) for weight in weights.values()), Fraction(0))
    if whole == 0:
        if total == 0:
            return dict.fromkeys(weights, 0)
        raise Rejected("nothing to share by: all weights are zero")
    exact = {key: Fraction(weight) * total / whole for key, weight in weights.items()}
    shares = {key: value.numerator // value.denominator for key, value in exact.items()}
    left = total - sum(shares.values())
    by_remainder = sorted(exact, key=lambda key: (shares[key] - exact[key], key))
    for key in by_remainder[:left]:
        shares[key] += 1
    return shares


def pool(
    meters: Mapping[str, Decimal | None], less: Mapping[str, Decimal | None]
) -> tuple[Decimal | None, tuple[str, ...]]:
    """What public meters used, without their sub-meters; and which of them are not known.

    None when any is unknown or the sub-meters used more than the whole: a negative loss is a
    question for a person, never a credit.
    """
    unknown = tuple(sorted(d for side in (meters, less) for d, quantity in side.items() if quantity is None))
    if unknown:
        return None, unknown
    whole = sum((q for q in meters.values() if q is not None), Decimal(0))
    parts = sum((q for q in less.values() if q is not None), Decimal(0))
    return (whole - parts if whole >= parts else None), ()
