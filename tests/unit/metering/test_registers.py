"""From registers to use: nothing is lost, nothing is guessed."""

from __future__ import annotations

import itertools
from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dutyroom.errors import Rejected
from dutyroom.metering.registers import is_register, register_of, usage
from dutyroom.model.duty import Device
from dutyroom.model.metering import Exchange, PeriodRead, ReadFlag, Register
from dutyroom.model.telemetry import DeviceClass, Kind, Point, PointSpec
from dutyroom.timebase import DAY, HOUR

D = Decimal
WATER = Register("m", "volume", "m3", D("0.001"), 8, rated=D(5))


def read(steps: int | None, at: int, flag: ReadFlag = ReadFlag.ACTUAL) -> PeriodRead:
    return PeriodRead("s", "m", "volume", at, steps, None if steps is None else at, flag)


def exchange(at: int, closing: int, opening: int, **more: object) -> Exchange:
    return Exchange(1, "s", "m", "volume", at, closing, opening, "li", "worn out", **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("opening", "closing", "quantity", "segments", "flags"),
    [
        pytest.param(412_600, 424_000, D("11.4"), ((412_600, 424_000, "plain"),), (), id="plain"),
        pytest.param(412_600, 412_600, D(0), ((412_600, 412_600, "plain"),), (), id="nothing used"),
        pytest.param(
            99_998_000, 20, D("2.02"), ((99_998_000, 20, "rollover"),), ("rollover",), id="wraps at 10^8"
        ),
        pytest.param(
            412_600, 0, None, ((412_600, 0, "plain"),), ("suspect",), id="zero after a value is no wrap"
        ),
        pytest.param(
            412_600, 412_599, None, ((412_600, 412_599, "plain"),), ("suspect",), id="one step back"
        ),
        pytest.param(
            0, 1_103_325, D("1103.325"), ((0, 1_103_325, "plain"),), (), id="a leap that the pipe can carry"
        ),
        pytest.param(
            0, 99_000_000, None, ((0, 99_000_000, "plain"),), ("suspect",), id="more than the pipe can carry"
        ),
        pytest.param(None, 5, None, (), ("missing",), id="opening missing"),
        pytest.param(5, None, None, (), ("missing",), id="closing missing"),
        pytest.param(5, 100_000_000, None, ((5, 100_000_000, "plain"),), ("suspect",), id="too many digits"),
    ],
)
def test_usage_in_a_month(opening, closing, quantity, segments, flags):
    found = usage(WATER, read(opening, 0), read(closing, 31 * DAY))
    assert (found.quantity, found.segments, found.flags) == (quantity, segments, flags)


def test_missing_is_not_zero():
    assert usage(WATER, read(5, 0), read(None, DAY)).quantity is None


def test_a_wrap_must_fit_the_time():
    """50 m3 in an hour is more than 5 m3/h carries; in a day it is not."""
    assert usage(WATER, read(99_990_000, 0), read(40_000, HOUR)).quantity is None
    assert usage(WATER, read(99_990_000, 0), read(40_000, DAY)).quantity == D(50)


def test_without_a_rated_maximum_no_wrap_is_believed():
    big = Register("m", "volume", "m3", D("0.001"), 8)
    assert usage(big, read(99_998_000, 0), read(20, DAY)).quantity is None
    assert usage(big, read(0, 0), read(99_000_000, DAY)).quantity == D(99_000)


def test_an_exchange_gives_two_stretches():
    found = usage(WATER, read(412_600, 0), read(5_100, 31 * DAY), [exchange(17 * DAY, 418_900, 0)])
    assert found.quantity == D("11.4")
    assert found.segments == ((412_600, 418_900, "before exchange"), (0, 5_100, "after exchange"))
    assert found.flags == ("exchange",)


def test_an_exchange_may_change_step_digits_and_multiplier():
    swap = exchange(10 * DAY, 1_000, 500, step=D("0.01"), digits=6, multiplier=D(10))
    found = usage(WATER, read(0, 0), read(600, 31 * DAY), [swap])
    assert found.quantity == D("1.000") + D("0.01") * 100 * 10
    later = usage(WATER, read(600, 31 * DAY), read(700, 61 * DAY), [swap])
    assert (later.quantity, later.step, later.multiplier) == (D(10), D("0.01"), D(10))


def test_exchanges_of_other_meters_and_times_do_not_count():
    others = [
        exchange(40 * DAY, 9, 0),
        exchange(0, 9, 0),
        Exchange(2, "s", "other", "volume", DAY, 9, 0, "li", "x"),
    ]
    assert usage(WATER, read(1_000, 0), read(2_000, 31 * DAY), others).quantity == D(1)


def test_a_suspect_stretch_spoils_the_whole():
    swap = exchange(17 * DAY, 400_000, 0)  # closes below the opening read
    found = usage(WATER, read(412_600, 0), read(5_100, 31 * DAY), [swap])
    assert found.quantity is None
    assert "suspect" in found.flags


def test_multiplier():
    ct = Register("m", "energy", "kWh", D("0.01"), 8, multiplier=D(40))
    assert usage(ct, read(0, 0), read(250, DAY)).quantity == D(100)


def test_reads_that_are_no_actual_ones_are_named():
    found = usage(WATER, read(0, 0, ReadFlag.SUBSTITUTED), read(1, DAY, ReadFlag.ESTIMATED))
    assert found.flags == ("estimated", "substituted")


# A meter's life: hours of use, each within what it can carry, and now and then an exchange.
_LIFE = st.lists(
    st.one_of(
        st.tuples(st.just("use"), st.integers(0, 5_000)),
        st.tuples(st.just("exchange"), st.integers(0, 99_999_999)),
    ),
    min_size=1,
    max_size=60,
)


@given(st.integers(0, 99_999_999), _LIFE, st.sets(st.integers(0, 60)))
def test_what_is_used_is_what_is_billed(start, life, cuts):
    """Conservation: over any cut-offs the usages add up to what really flowed."""
    reads, exchanges, register, truth = [read(start, 0)], [], start, 0
    for hour, (what, amount) in enumerate(life, 1):
        at = hour * HOUR
        if what == "use":
            register, truth = (register + amount) % 10**8, truth + amount
        else:
            exchanges.append(exchange(at - HOUR // 2, register, amount))
            register = amount
        reads.append(read(register, at))
    chosen = [r for i, r in enumerate(reads) if i in cuts or i in (0, len(reads) - 1)]
    total = D(0)
    for a, b in itertools.pairwise(chosen):
        part = usage(WATER, a, b, exchanges)
        assert part.quantity is not None
        total += part.quantity
    assert total == truth * D("0.001")


@given(st.integers(0, 10**8 - 1), st.integers(0, 10**8 - 1), st.integers(1, 60))
def test_use_is_never_negative_and_never_more_than_rated(a, b, days):
    found = usage(WATER, read(a, 0), read(b, days * DAY)).quantity
    assert found is None or 0 <= found <= 5 * 24 * days + D("0.001")


def point(
    name: str = "energy", device_class: DeviceClass = DeviceClass.ELECTRICITY_METER, **more: object
) -> Point:
    spec = PointSpec(name, "energy", "kWh", Kind.COUNTER, D("0.01"), 8)
    return Point(1, "s", "m", device_class, "A/1/101", spec, **more)  # type: ignore[arg-type]


def device(**parameters: object) -> Device:
    return Device("s", "m", "m", "electricity_meter", "v/m", "1", "A/1/101", parameters)  # type: ignore[arg-type]


def test_the_register_of_a_point():
    found = register_of(point(), device(multiplier="40", rated=100), dwelling=False)
    assert (found.step, found.digits, found.multiplier, found.rated) == (D("0.01"), 8, D(40), D(100))
    assert register_of(point(), device(), dwelling=True).rated == D(22)
    assert register_of(point(), device(), dwelling=False).rated is None


@pytest.mark.parametrize("wrong", [0, -1, "forty", "NaN", "inf", True])
def test_a_wrong_multiplier_is_named(wrong):
    with pytest.raises(Rejected, match="multiplier"):
        register_of(point(), device(multiplier=wrong), dwelling=True)


def test_heat_is_billed_by_energy():
    assert is_register(point("energy", DeviceClass.HEAT_METER))
    assert not is_register(point("volume", DeviceClass.HEAT_METER))
    assert not is_register(point("power"))


# ---------------------------------------------------------------- counters that are no dial

BINARY = Register("m", "volume", "m3", D("0.001"), None, rated=D(5), wrap=2**32)


def test_a_binary_counter_wraps_at_its_width():
    found = usage(BINARY, read(2**32 - 1_980, 0), read(20, 31 * DAY))
    assert (found.quantity, found.flags) == (D("2.000"), ("rollover",))
    assert found.segments == ((2**32 - 1_980, 20, "rollover"),)
    lost = usage(BINARY, read(412_600, 0), read(20, 31 * DAY))
    assert (lost.quantity, lost.flags) == (None, ("suspect",))
    assert usage(BINARY, read(0, 0), read(2**32, DAY)).quantity is None  # no such register


def test_a_counter_that_may_have_gone_round_is_not_guessed():
    """65.5 m3 are a turn of 16 bits of litres; a meter of 5 m3/h can make several in a month."""
    short = Register("m", "volume", "m3", D("0.001"), None, rated=D(5), wrap=2**16)
    assert usage(short, read(100, 0), read(9_100, 31 * DAY)).quantity is None
    assert usage(short, read(60_000, 0), read(64, 31 * DAY)).quantity is None
    assert usage(short, read(65_000, 0), read(64, 6 * HOUR)).quantity == D("0.600")


def test_a_new_meter_with_digits_is_a_dial():
    swap = exchange(10 * DAY, 2**32 - 1, 99_990, digits=5)
    found = usage(BINARY, read(2**32 - 1_000, 0), read(20, 20 * DAY), [swap])
    assert found.quantity == D("0.999") + D("0.030")


def test_the_register_of_a_binary_counter():
    wide = replace(point(), spec=replace(point().spec, digits=None, wrap=2**32))
    assert is_register(wide)
    found = register_of(wide, device(), dwelling=True)
    assert (found.digits, found.wrap, found.modulus) == (None, 2**32, 2**32)
    assert not is_register(replace(wide, spec=replace(wide.spec, wrap=None)))


def test_what_starts_again_by_itself_is_no_register():
    daily = replace(point(), spec=replace(point().spec, resets=True))
    assert not is_register(daily)
    with pytest.raises(Rejected, match="starts again from 0 by itself"):
        register_of(daily, device(), dwelling=True)


@given(st.integers(0, 2**24 - 1), st.lists(st.tuples(st.integers(0, 600), st.integers(1, 27)), min_size=1))
def test_over_any_wraps_of_a_binary_counter_the_parts_add_up(start, parts):
    """Litres an hour for some hours; 24 bits of millilitres are a turn of 16.8 m3, 27 hours at 0.6 m3/h less."""
    fine = Register("m", "volume", "m3", D("0.000001"), None, rated=D("0.6"), wrap=2**24)
    at, count, total = 0, start, D(0)
    for litres, hours in parts:
        before = read(count % 2**24, at)
        count, at = count + litres * hours * 1000, at + hours * HOUR
        found = usage(fine, before, read(count % 2**24, at))
        assert found.quantity is not None
        total += found.quantity
    assert total == D(count - start) / 1_000_000
