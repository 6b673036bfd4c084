"""A statement is a function of its inputs; two versions say in what they differ."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dutyroom.errors import Rejected
from dutyroom.metering.statement import (
    Inputs,
    Metered,
    Shared,
    canonical,
    corrected,
    digest,
    statement,
    trace,
    unit_codes,
)
from dutyroom.metering.tariff import PublicShare, Tariff, Tier
from dutyroom.model.metering import Exchange, PeriodRead, ReadFlag, Statement, Usage

D = Decimal
PRICE = Tariff("t", "water_meter", {"en": "t"}, (Tier(None, D("3.45")),), "m3", date(2026, 1, 1))
SHARE = PublicShare("s", {"zh-CN": "公摊", "en": "Share"}, "A", ("P",), (), D("0.5"), "kWh")


def a_usage(device: str = "W", quantity: str = "11.4", closing: int = 424_000, **more: object) -> Usage:
    first = PeriodRead("lake", device, "volume", 0, 412_600, 0, ReadFlag.ACTUAL)
    last = PeriodRead("lake", device, "volume", 9, closing, 9, ReadFlag.ACTUAL)
    return Usage(device, "volume", "m3", D(quantity), first, last, (), step=D("0.001"), **more)  # type: ignore[arg-type]


def inputs(usage: Usage | None = None, price: Tariff = PRICE, **more: object) -> Inputs:
    metered = (Metered(usage or a_usage(), "water_meter", price),)
    return Inputs("lake", "2026-10", "A/12/1204", 0, 9, "CNY", D("89.6"), metered, **more)  # type: ignore[arg-type]


def make(given: Inputs, version: int = 1) -> Statement:
    return statement(given, code="A1204", created_at=10, version=version)


def test_the_order_and_spelling_of_inputs_do_not_matter():
    a, b = Metered(a_usage("A"), "water_meter", PRICE), Metered(a_usage("B"), "water_meter", PRICE)
    one, two = replace(inputs(), metered=(a, b)), replace(inputs(), metered=(b, a))
    assert make(one).lines == make(two).lines
    assert digest(inputs(a_usage(quantity="11.40"))) == digest(inputs(a_usage(quantity="11.4")))


def test_every_input_is_in_the_digest():
    base = digest(inputs())
    others = [
        inputs(a_usage(closing=424_001)),
        inputs(price=replace(PRICE, version=2)),
        replace(inputs(), area=D("90")),
        replace(inputs(), metered=(replace(inputs().metered[0], before=D(1)),)),
        replace(inputs(), end=10),
    ]
    assert len({base, *map(digest, others)}) == len(others) + 1


def test_a_time_of_making_is_no_input():
    assert make(inputs()).digest == replace(make(inputs()), created_at=99).digest


def test_canonical_is_one_spelling():
    assert canonical({"b": D("1.50"), "a": (D("0.00"), None, date(2026, 1, 1))}) == (
        b'{"a":["0",null,"2026-01-01"],"b":"1.5"}'
    )


@pytest.mark.parametrize(
    ("paths", "codes"),
    [
        (["A/12/1204", "A/1/101"], {"A/12/1204": "A1204", "A/1/101": "A101"}),
        (["A/6/0605"], {"A/6/0605": "A0605"}),
        (["A/2/01", "A/21/1"], {"A/2/01": "A-2-01", "A/21/1": "A-21-1"}),
        (["A/1204", "A/12/1204"], {"A/1204": "A.1204", "A/12/1204": "A.12.1204"}),
        (["1204"], {"1204": "1204"}),
    ],
)
def test_how_units_are_written_in_numbers(paths, codes):
    assert unit_codes(paths) == codes


def changes(before: Inputs, after: Inputs) -> list[tuple[str, dict[str, str]]]:
    found = corrected(make(before), make(after, 2)).corrections
    return [(c.key, dict(c.arguments)) for c in found]


def test_what_changed_is_named():
    swap = Exchange(1, "lake", "W", "volume", 5, 1, 0, "li", "worn")
    assert changes(inputs(), inputs(a_usage(closing=425_000)))[0][0] == "correction.closing"
    assert changes(inputs(), replace(inputs(), area=D("90"))) == [
        ("correction.area", {"old": "89.6", "new": "90"})
    ]
    assert changes(inputs(), inputs(price=replace(PRICE, id="u"))) == [
        ("correction.tariff", {"device": "W", "old": "t", "new": "u"})
    ]
    assert changes(inputs(), inputs(a_usage(multiplier=D(2)))) == [
        ("correction.multiplier", {"device": "W", "old": "1", "new": "2"})
    ]
    assert changes(inputs(), inputs(a_usage(exchanges=(swap,)))) == [("correction.exchange", {"device": "W"})]
    assert changes(inputs(), inputs(a_usage("X"))) == [
        ("correction.meter_removed", {"device": "W"}),
        ("correction.meter_added", {"device": "X"}),
    ]


def test_a_missing_read_that_was_found_shows_as_a_dash():
    was = a_usage()
    was = replace(was, closing=replace(was.closing, steps=None, at=None, flag=ReadFlag.MISSING))
    ((key, arguments),) = changes(inputs(was), inputs())
    assert (key, arguments["old"], arguments["new"]) == ("correction.closing", "—", "424.000")


def test_a_difference_in_nothing_printed_is_still_named():
    assert changes(inputs(), replace(inputs(), end=10)) == [("correction.inputs", {})]


def shared(pool: str, amount: int) -> tuple[Shared, ...]:
    return (Shared(SHARE, D(pool), D("89.6"), D("200"), amount, (a_usage("P"),), f"digest of {pool}"),)


def test_a_changed_share_is_named():
    assert changes(inputs(shared=shared("10", 5)), inputs(shared=shared("12", 6))) == [
        ("correction.share", {"share": "s", "old": "10", "new": "12"})
    ]


def test_trace():
    made = make(inputs(shared=shared("10", 5)))
    assert [(t.line, t.usage.device) for t in trace(made, {})] == [(0, "W"), (1, "P")]
    pools = {"digest of 10": (a_usage("P"), a_usage("Q"))}
    assert [(t.line, t.usage.device) for t in trace(made, pools)] == [(0, "W"), (1, "P"), (1, "Q")]


def test_use_that_is_not_known_is_never_billed_as_zero():
    unknown = replace(a_usage(), quantity=None)
    with pytest.raises(Rejected, match="use of W is not known"):
        make(inputs(unknown))


@given(
    st.lists(st.tuples(st.integers(0, 300), st.integers(0, 300)), min_size=1, max_size=4),
    st.sampled_from([D("0.3"), D("1.25")]),
)
def test_the_meters_of_a_home_cost_what_one_meter_with_all_their_use_costs(used, price):
    """By the year or the month, whichever meter comes first: the tiers see only the sum. Prices are
    whole fen a unit here, so that no rounding hides a step on the wrong tier."""
    tiers = (Tier(D(180), price), Tier(D(260), price * 2), Tier(None, price * 3))
    rate = replace(PRICE, tiers=tiers, basis="year")
    many = tuple(
        Metered(a_usage(f"W{n}", str(now)), "water_meter", rate, D(before))
        for n, (before, now) in enumerate(used)
    )
    one = (
        Metered(a_usage("W", str(sum(n for _, n in used))), "water_meter", rate, D(sum(b for b, _ in used))),
    )
    assert make(replace(inputs(), metered=many)).total == make(replace(inputs(), metered=one)).total
