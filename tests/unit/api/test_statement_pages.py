"""A statement on its page says what it says in its files: registers, prices, money, exchanges."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest
from tests.acceptance.pages_harness import SITE
from tests.unit.api.conftest import House

from dutyroom.api.words import THIN
from dutyroom.model.metering import Exchange, Statement

FIRST = "202610-A0101-1"


def locked(house: House, **more: object) -> Statement:
    """A second version of a statement of the estate, with something changed in it."""
    with house.estate.records.write() as tx:
        found = tx.metering.statement(SITE, FIRST)
        assert found is not None
        second = replace(found, number="202610-A0101-2", version=2, **more)  # type: ignore[arg-type]
        assert tx.metering.lock([second]) == 1
    return second


def swapped(house: House) -> Statement:
    with house.estate.records.read() as tx:
        found = tx.metering.statement(SITE, FIRST)
    assert found is not None
    usage = found.usages[0]
    at = (usage.opening.at or 0) + 1000
    swap = Exchange(
        1, SITE, usage.device, usage.point, at, 999_123, 17, "li", "worn out", step=Decimal("0.1")
    )
    closing = replace(usage.closing, steps=4_321)
    segments = ((usage.opening.steps or 0, 999_123, "before exchange"), (17, 4_321, "after exchange"))
    changed = replace(usage, exchanges=(swap,), closing=closing, segments=segments, step=Decimal("0.01"))
    return locked(house, usages=(changed, *found.usages[1:]))


def test_an_exchange_is_shown_with_both_registers_by_the_step_of_each_meter(house: House) -> None:
    made = swapped(house)
    clerk = house.person("clerk")
    sheet = clerk.get(f"/sites/{SITE}/statements/{made.number}?lang=en").text
    for register in (f"9{THIN}991.23", "1.7", "432.1"):
        assert f">{register}<" in sheet.replace("<br>", "<br><br>"), register
    trace = clerk.get(f"/sites/{SITE}/statements/{made.number}/trace?lang=en").text
    assert f"9{THIN}991.23 → 1.7" in trace
    assert "432.1" in trace
    assert "worn out" in trace


def test_a_price_is_never_rounded(house: House) -> None:
    with house.estate.records.read() as tx:
        found = tx.metering.statement(SITE, FIRST)
    assert found is not None
    line = replace(found.lines[0], price=Decimal("0.502345"))
    made = locked(house, lines=(line, *found.lines[1:]))
    assert "0.502345" in house.person("clerk").get(f"/sites/{SITE}/statements/{made.number}").text


@pytest.mark.parametrize(
    ("currency", "shown"), [("JPY", f"12{THIN}345"), ("KWD", "12.345"), ("CNY", "123.45")]
)
def test_money_has_the_places_of_its_currency(house: House, currency: str, shown: str) -> None:
    made = locked(house, currency=currency, total=12_345)
    page = house.person("clerk").get(f"/sites/{SITE}/statements/{made.number}?lang=en").text
    assert shown in page
    assert "currency." not in page


def test_the_month_is_that_of_the_last_day(house: House) -> None:
    """A period that is cut off on the 26th is named by the month in which it ends."""
    with house.estate.records.read() as tx:
        found = tx.metering.statement(SITE, FIRST)
    assert found is not None
    day = 24 * 3_600_000
    made = locked(house, start=found.start - 5 * day, end=found.end - 5 * day)
    clerk = house.person("clerk")
    titles = [
        clerk.get(f"/sites/{SITE}/statements/{number}?lang=zh-CN")
        .text.split("<header>")[1]
        .split("</header>")[0]
        for number in (found.number, made.number)
    ]
    assert all("2026年10月" in title.replace(" ", "") for title in titles), titles


@pytest.mark.parametrize(
    ("currency", "language", "column", "sum_of_all"),
    [
        ("CNY", "zh-CN", "应缴 元", "合计 ¥ "),
        ("EUR", "en", "Payable EUR", "total € "),
        ("CHF", "zh-CN", "应缴 CHF", "合计 CHF "),
    ],
)
def test_the_list_of_statements_names_their_currency(
    house: House, currency: str, language: str, column: str, sum_of_all: str
) -> None:
    locked(house, currency=currency)
    page = house.person("clerk").get(f"/sites/{SITE}/statements?find=0101&lang={language}").text
    assert f">{column}<" in page
    assert sum_of_all in page
