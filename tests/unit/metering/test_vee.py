"""First checks: what is held back, and what is only pointed at."""

from __future__ import annotations

from decimal import Decimal

import pytest

from dutyroom.metering.vee import check, holds
from dutyroom.model.metering import PeriodRead, ReadFlag, Usage

D = Decimal


def a_usage(quantity: str | None, *flags: str) -> Usage:
    read = PeriodRead("s", "m", "volume", 0, 0, 0, ReadFlag.ACTUAL)
    return Usage("m", "volume", "m3", None if quantity is None else D(quantity), read, read, (), flags)


@pytest.mark.parametrize(
    ("usage", "history", "occupied", "flags", "held"),
    [
        (a_usage("12"), ["11", "13", "10"], True, (), False),
        (a_usage("0"), ["11", "13", "10"], True, ("zero",), False),
        (a_usage("0"), ["0", "0", "0"], True, (), False),
        (a_usage("60"), ["11", "13", "10"], True, ("high",), False),
        (a_usage("60"), ["11"], True, (), False),
        (a_usage("2"), [], False, ("vacant_use",), False),
        (a_usage("0"), ["11", "12"], False, (), False),
        (a_usage(None, "missing"), ["11", "12"], True, ("missing",), True),
        (a_usage(None, "exchange", "suspect"), [], True, ("suspect",), True),
    ],
)
def test_flags(usage, history, occupied, flags, held):
    found = check(usage, [D(h) for h in history], occupied=occupied)
    assert found == flags
    assert holds(found) is held
