"""First checks of a usage before it is billed: what is not known, and what is unlike the meter."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from decimal import Decimal

from dutyroom.model.metering import Usage

HIGH = 5  # times the median of the meter's own history
ENOUGH = 2  # periods of history before anything is compared
HOLDS = ("missing", "suspect", "reset")  # a statement waits for a person


def check(usage: Usage, history: Sequence[Decimal], *, occupied: bool = True) -> tuple[str, ...]:
    """Flags: missing, suspect, reset (they hold the statement back); zero, high, vacant_use (to look at).

    history: quantities of the meter's earlier periods, any order. occupied False: any use is odd.
    """
    if usage.quantity is None:
        return tuple(flag for flag in usage.flags if flag in HOLDS) or ("suspect",)
    flags: list[str] = []
    if not occupied and usage.quantity > 0:
        flags.append("vacant_use")
    if len(history) >= ENOUGH:
        usual = statistics.median(history)
        if usage.quantity == 0 and usual > 0 and occupied:
            flags.append("zero")
        if usual > 0 and usage.quantity > HIGH * usual:
            flags.append("high")
    return tuple(flags)


def holds(flags: Sequence[str]) -> bool:
    """Whether a statement must wait until a person has looked."""
    return any(flag in HOLDS for flag in flags)
