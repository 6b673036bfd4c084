"""Prices: tiers, rounding once a line, and the file with every mistake in its place."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dutyroom.errors import Invalid, Rejected
from dutyroom.metering.tariff import Tariff, Tier, changes_within, charge, in_force, parse_tariffs, split

D = Decimal


def a_tariff(*tiers: tuple[str | None, str], basis: str = "month", **more: object) -> Tariff:
    rows = tuple(Tier(None if limit is None else D(limit), D(price)) for limit, price in tiers)
    start = more.pop("valid_from", date(2026, 1, 1))
    return Tariff(
        str(more.pop("id", "t")), "electricity_meter", {"en": "t"}, rows, "kWh", start, basis, **more
    )  # type: ignore[arg-type]


HOME = a_tariff(("200", "0.5050"), ("400", "0.5388"), (None, "0.8050"))


@pytest.mark.parametrize(
    ("quantity", "before", "amount", "parts"),
    [
        ("243.45", "0", 12441, [(1, "200", 10100), (2, "43.45", 2341)]),
        ("200", "0", 10100, [(1, "200", 10100)]),
        ("200.01", "0", 10101, [(1, "200", 10100), (2, "0.01", 1)]),
        ("450", "0", 24901, [(1, "200", 10100), (2, "200", 10776), (3, "50", 4025)]),
        ("10", "195", 522, [(1, "5", 253), (2, "5", 269)]),
        ("10", "400", 805, [(3, "10", 805)]),
        ("0", "0", 0, [(1, "0", 0)]),
        ("0", "200", 0, [(2, "0", 0)]),
        ("0.005", "0", 0, [(1, "0.005", 0)]),
    ],
)
def test_tiers(quantity, before, amount, parts):
    found = charge(HOME, D(quantity), D(before))
    assert found.amount == amount
    assert [(p.tier, str(p.quantity.normalize() + 0), p.amount) for p in found.parts] == [
        (tier, str(D(q).normalize() + 0), a) for tier, q, a in parts
    ]


def test_slabs_add_up():
    """10 units and 25 units over slabs of 10 at 2, 3 and 4: 20 and 70."""
    slabs = a_tariff(("10", "2"), ("20", "3"), (None, "4"))
    assert charge(slabs, D(10)).amount == 2_000
    assert charge(slabs, D(25)).amount == 7_000


def test_half_a_fen_goes_up():
    assert charge(a_tariff((None, "0.067")), D("55.00")).amount == 369  # 3.685
    assert charge(a_tariff((None, "0.5")), D("0.01")).amount == 1  # 0.005


def test_currencies_without_hundredths():
    assert charge(a_tariff((None, "25.4")), D(10), currency="JPY").amount == 254
    assert charge(a_tariff((None, "0.0255")), D(10), currency="KWD").amount == 255


def test_a_negative_quantity_has_no_price():
    with pytest.raises(Rejected):
        charge(HOME, D(-1))


prices = st.decimals(min_value=D(0), max_value=D(10), places=4)
quantities = st.decimals(min_value=D(0), max_value=D(5_000), places=3)


@st.composite
def tariffs(draw: st.DrawFn) -> Tariff:
    limits = sorted(draw(st.sets(st.integers(1, 4_000), max_size=4)))
    rows = [(str(limit), str(draw(prices))) for limit in limits]
    return a_tariff(*rows, (None, str(draw(prices))))


def oracle(tariff: Tariff, quantity: Decimal, before: Decimal) -> Fraction:
    """The exact price in fen by rational arithmetic, as the area under the price curve."""

    def upto(amount: Fraction) -> Fraction:
        total, floor = Fraction(0), Fraction(0)
        for tier in tariff.tiers:
            top = amount if tier.limit is None else min(amount, Fraction(tier.limit))
            total += max(Fraction(0), top - floor) * Fraction(tier.price)
            floor = max(floor, top)
        return total

    return (upto(Fraction(before) + Fraction(quantity)) - upto(Fraction(before))) * 100


@given(tariffs(), quantities, quantities)
def test_exact_against_rational_arithmetic(tariff, quantity, before):
    found = charge(tariff, quantity, before)
    exact = oracle(tariff, quantity, before)
    assert found.amount == (exact + Fraction(1, 2)).__floor__()
    assert sum(p.amount for p in found.parts) == found.amount, "printed parts add up to their line"
    assert sum(p.quantity for p in found.parts) == quantity


@given(tariffs(), quantities, quantities)
def test_tiers_do_not_forget_between_two_months(tariff, first, second):
    whole = split(tariff.tiers, first + second)
    pieces = [*split(tariff.tiers, first), *split(tariff.tiers, second, first)]
    assert sum(p.quantity * p.price for p in whole) == sum(p.quantity * p.price for p in pieces)


def test_the_newest_that_is_valid():
    old, new = a_tariff((None, "1"), id="old"), a_tariff((None, "2"), id="new", valid_from=date(2026, 7, 1))
    assert in_force([new, old], "electricity_meter", date(2026, 6, 30)) is old
    assert in_force([old, new], "electricity_meter", date(2026, 7, 1)) is new
    assert in_force([old, new], "electricity_meter", date(2025, 12, 31)) is None
    assert in_force([old, new], "gas_meter", date(2026, 7, 1)) is None


GOOD = """\
tariffs:
  - id: home-power
    class: electricity_meter
    name: {zh-CN: 居民电价, en: Home electricity}
    unit: kWh
    valid_from: 2026-01-01
    tiers:
      - {up_to: 200, price: 0.5050}
      - {up_to: 400, price: 0.5388}
      - {price: 0.8050}
  - id: home-water
    class: water_meter
    name: Water
    unit: m3
    valid_from: 2025-07-01
    basis: year
    price: "3.4500"
shares:
  - id: public-power-a
    name: {zh-CN: 公摊用电, en: Public electricity}
    space: A
    meters: [A-public-power]
    less: A-shop-power
    price: 0.5050
    unit: kWh
"""


def test_a_good_file():
    (power, water), (share,) = parse_tariffs(GOOD, "tariffs.yaml")
    assert power.tiers == HOME.tiers
    assert (water.basis, water.tiers) == ("year", (Tier(None, D("3.4500")),))
    assert (share.meters, share.less, share.price) == (("A-public-power",), ("A-shop-power",), D("0.505"))


def test_an_empty_file():
    assert parse_tariffs("", "tariffs.yaml") == ((), ())


def test_a_public_meter_is_shared_out_once():
    second = (
        GOOD[GOOD.index("  - id: public-power-a") :]
        .replace("power-a\n", "power-b\n")
        .replace("A-shop", "B-shop")
    )
    with pytest.raises(
        Invalid, match=r"shares\[1\].meters: 'A-public-power' is shared out by 'public-power-a'"
    ):
        parse_tariffs(GOOD + second, "tariffs.yaml")
    of_its_own = second.replace("meters: [A-public-power]", "meters: [A-shop-power]")
    assert len(parse_tariffs(GOOD + of_its_own, "tariffs.yaml")[1]) == 2, (
        "a sub-meter may be a share of its own"
    )


def test_a_change_of_price_within_a_period_is_seen():
    old, new = a_tariff((None, "1"), id="old"), a_tariff((None, "2"), id="new", valid_from=date(2026, 7, 10))
    months = (date(2026, 7, 1), date(2026, 8, 1)), (date(2026, 7, 10), date(2026, 8, 10))
    assert [changes_within([old, new], "electricity_meter", *month) for month in months] == [new, None]
    assert changes_within([old, new], "gas_meter", *months[0]) is None


@pytest.mark.parametrize(
    ("old", "new", "line", "field", "words"),
    [
        ("up_to: 400", "up_to: 150", 9, "tariffs[0].tiers[1].up_to", "more than that of the tier before"),
        ("{up_to: 200, price", "{price", 8, "tariffs[0].tiers[0]", "up_to is missing"),
        ("{price: 0.8050}", "{up_to: 600, price: 0.8050}", 10, "tariffs[0].tiers[2].up_to", "last tier"),
        ("price: 0.8050", "price: -0.8", 10, "tariffs[0].tiers[2].price", "negative"),
        ("class: water_meter", "class: watermeter", 12, "tariffs[1].class", "did you mean 'water_meter'"),
        ("valid_from: 2025-07-01", "valid_from: July", 15, "tariffs[1].valid_from", "not a date"),
        ("basis: year", "basis: week", 16, "tariffs[1].basis", "not known"),
        ('    price: "3.4500"\n', "", 11, "tariffs[1]", "either price"),
        ("id: home-water", "id: home-power", 11, "tariffs[1].id", "there twice"),
        ("    meters: [A-public-power]\n", "", 19, "shares[0]", "at least one public meter"),
        ('price: "3.4500"', "price: cheap", 17, "tariffs[1].price", "decimal number"),
        ("less: A-shop-power", "less: A-public-power", 22, "shares[0].meters", "there twice"),
        ("shares:", "share:", 18, "share", "unknown field"),
    ],
)
def test_each_mistake_has_its_place(old, new, line, field, words):
    assert GOOD.count(old) >= 1
    with pytest.raises(Invalid) as caught:
        parse_tariffs(GOOD.replace(old, new, 1), "tariffs.yaml")
    found = [(m.file, m.line, m.field) for m in caught.value.mistakes if words in m.message]
    assert found == [("tariffs.yaml", line, field)]
