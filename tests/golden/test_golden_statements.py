"""Statements that must never change by a byte, and whose money an independent reckoning confirms.

`UPDATE_GOLDEN=1 pytest tests/golden` writes the files anew; read the difference before committing.
"""

from __future__ import annotations

import json
import os
from datetime import date
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import pytest

from dutyroom.metering import registers
from dutyroom.metering.statement import Inputs, Metered, Shared, canonical, statement
from dutyroom.metering.tariff import PublicShare, Tariff, Tier
from dutyroom.model.metering import Exchange, PeriodRead, ReadFlag, Register, Statement, Usage
from dutyroom.timebase import from_iso, zone

D = Decimal
FOLDER = Path(__file__).parent
TZ = zone("Asia/Shanghai")
START, END = from_iso("2026-10-01", TZ), from_iso("2026-11-01", TZ)

POWER = Tariff(
    "home-power",
    "electricity_meter",
    {"zh-CN": "居民电价", "en": "Home electricity"},
    (Tier(D(200), D("0.5050")), Tier(D(400), D("0.5388")), Tier(None, D("0.8050"))),
    "kWh",
    date(2026, 1, 1),
)
WATER = Tariff(
    "home-water",
    "water_meter",
    {"zh-CN": "居民水价", "en": "Home water"},
    (Tier(D(180), D("3.45")), Tier(D(260), D("4.83")), Tier(None, D("5.83"))),
    "m3",
    date(2025, 7, 1),
    "year",
)
GAS = Tariff(
    "home-gas", "gas_meter", {"zh-CN": "气价", "en": "Gas"}, (Tier(None, D("2.63")),), "m3", date(2025, 7, 1)
)
SHARE = PublicShare(
    "public-power", {"zh-CN": "公摊用电", "en": "Public electricity"}, "A", ("P",), (), D("0.5050"), "kWh"
)


def a_usage(
    device: str, unit: str, opening: int, closing: int, *exchanges: Exchange, multiplier: str = "1"
) -> Usage:
    point, step = ("energy", D("0.01")) if unit == "kWh" else ("volume", D("0.001"))
    register = Register(device, point, unit, step, 8, D(multiplier), D(5) if unit == "m3" else D(50))
    first = PeriodRead("lake", device, point, START, opening, START - 900_000, ReadFlag.ACTUAL, source="o")
    last = PeriodRead("lake", device, point, END, closing, END - 900_000, ReadFlag.ACTUAL, source="c")
    return registers.usage(register, first, last, exchanges)


def swap(device: str, closing: int, opening: int) -> Exchange:
    at = from_iso("2026-10-17T10:00", TZ)
    return Exchange(1, "lake", device, "volume", at, closing, opening, "li", "worn out")


def inputs(*metered: Metered, shared: tuple[Shared, ...] = (), currency: str = "CNY") -> Inputs:
    return Inputs("lake", "2026-10", "A/12/1204", START, END, currency, D("89.6"), metered, shared)


def power(opening: int, closing: int) -> Metered:
    return Metered(a_usage("E", "kWh", opening, closing), "electricity_meter", POWER)


CASES = {
    "plain_month": inputs(
        power(841_236, 865_581),
        Metered(a_usage("W", "m3", 412_600, 424_000), "water_meter", WATER, D("84.8")),
        Metered(a_usage("G", "m3", 1_036_200, 1_051_000), "gas_meter", GAS),
        shared=(
            Shared(
                SHARE, D("1106.20"), D("89.6"), D("21504.0"), 233, (a_usage("P", "kWh", 0, 110_620),), "p"
            ),
        ),
    ),
    "water_meter_exchanged": inputs(
        Metered(a_usage("W", "m3", 412_600, 5_100, swap("W", 418_900, 0)), "water_meter", WATER, D("84.8"))
    ),
    "register_wraps": inputs(power(99_990_000, 14_345)),
    "third_tier": inputs(power(0, 45_000)),
    "year_passes_two_limits": inputs(
        Metered(a_usage("W", "m3", 0, 100_000), "water_meter", WATER, D("170.5"))
    ),
    "two_meters_climb_the_same_tiers": inputs(
        power(0, 15_000), Metered(a_usage("F", "kWh", 0, 10_001), "electricity_meter", POWER)
    ),
    "nothing_used": inputs(power(841_236, 841_236)),
    "multiplier": inputs(Metered(a_usage("E", "kWh", 0, 250, multiplier="40"), "electricity_meter", POWER)),
    "yen_have_no_hundredths": inputs(power(0, 12_345), currency="JPY"),
}


def made(name: str) -> Statement:
    return statement(CASES[name], code="A1204", created_at=END + 1_800_000, actor="clerk")


def pretty(value: Statement) -> str:
    return json.dumps(json.loads(canonical(value)), ensure_ascii=False, indent=1, sort_keys=True) + "\n"


@pytest.mark.parametrize("name", CASES)
def test_not_a_byte_differs(name):
    file = FOLDER / f"{name}.json"
    if os.environ.get("UPDATE_GOLDEN"):
        file.write_text(pretty(made(name)), encoding="utf-8")
    assert file.read_text(encoding="utf-8") == pretty(made(name))


def test_no_golden_file_without_its_case():
    assert {file.stem for file in FOLDER.glob("*.json")} == set(CASES)


@pytest.mark.parametrize("name", CASES)
def test_the_money_by_rational_arithmetic(name):
    """From the file alone: registers to quantities, quantities to fen."""
    printed = json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))
    tariffs = {t.id: t for t in (POWER, WATER, GAS)}
    unit = 1 if printed["currency"] == "JPY" else 100
    used: dict[str, Fraction] = {}
    by_device = {usage["device"]: usage for usage in printed["usages"]}
    for line in (x for x in printed["lines"] if x["device"] and not x["detail"]):
        tariff, quantity = tariffs[line["arguments"]["tariff"]], registers_of(by_device[line["device"]])
        to_date = (
            Fraction(line["arguments"].get("year_to_date", "0")) - quantity if tariff.basis == "year" else 0
        )
        before = to_date + used.get(tariff.id, Fraction(0))
        used[tariff.id] = used.get(tariff.id, Fraction(0)) + quantity
        exact = (price(tariff, before + quantity) - price(tariff, before)) * unit
        assert Fraction(line["quantity"]) == quantity
        assert line["amount"] == (exact + Fraction(1, 2)).__floor__()
    assert printed["total"] == sum(x["amount"] for x in printed["lines"] if not x["detail"])


def registers_of(usage: dict) -> Fraction:
    steps = sum((last - first) % 10**8 for first, last, _ in usage["segments"])
    return steps * Fraction(usage["step"]) * Fraction(usage["multiplier"])


def price(tariff: Tariff, amount: Fraction) -> Fraction:
    """What `amount` costs from zero."""
    total, floor = Fraction(0), Fraction(0)
    for tier in tariff.tiers:
        top = amount if tier.limit is None else min(amount, Fraction(tier.limit))
        total, floor = total + max(Fraction(0), top - floor) * Fraction(tier.price), max(floor, top)
    return total
