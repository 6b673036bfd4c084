"""From payload values to readings: units, steps, codes, sentinels."""

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dutyroom.model.telemetry import Kind, PointSpec
from dutyroom.profiles.profile import PointRule
from dutyroom.profiles.values import NOTHING, Problem, converter


def rule(kind: Kind = Kind.GAUGE, quantity: str = "number", step: str = "", **more: object) -> PointRule:
    spec = PointSpec("p", quantity, kind=kind, step=Decimal(step) if step else None)
    return PointRule(spec, (), **more)  # type: ignore[arg-type]


WATER = rule(Kind.COUNTER, "volume", "0.001")


@pytest.mark.parametrize(
    ("raw", "steps"),
    [
        (0.001, 1.0),
        (2.675, 2675.0),
        (99999.999, 99999999.0),
        (6.408, 6408.0),
        (12, 12000.0),
        ("6.408", 6408.0),
        ("00042", 42000.0),
        (0.0005, 0.0),  # a tie goes to the even step
        (0.0015, 2.0),
        (-910.2, -910200.0),
    ],
)
def test_counters_are_whole_steps(raw: object, steps: float) -> None:
    assert converter(WATER)(raw, {}) == steps


@given(st.integers(0, 10**12))
def test_every_printed_register_gives_its_own_step(steps: int) -> None:
    printed = float(Decimal(steps) * Decimal("0.001"))
    assert converter(WATER)(printed, {}) == float(steps)


@given(st.integers(0, 10**11))
def test_watt_hours_of_a_kilowatt_hour_register(steps: int) -> None:
    meter = rule(Kind.COUNTER, "energy", "0.01", unit="Wh")
    assert converter(meter)(steps * 10, {}) == float(steps)


def test_a_counter_beyond_what_a_register_holds_is_no_reading() -> None:
    found = converter(WATER)(1e20, {})
    assert isinstance(found, Problem)
    assert found.kind == "out_of_range"


@pytest.mark.parametrize("raw", [True, False])
def test_a_truth_value_is_no_register(raw: bool) -> None:
    found = converter(WATER)(raw, {})
    assert isinstance(found, Problem)
    assert found.kind == "malformed"


def test_gauges_are_exact_to_the_last_bit_when_units_divide() -> None:
    watt = converter(rule(quantity="power", unit="W"))
    assert watt(22, {}) == 0.022
    assert watt(3.7, {}) == 0.0037
    assert converter(rule(quantity="temperature", unit="degF"))(212.0, {}) == 100.0


def test_scale_offset_and_device_parameter() -> None:
    assert converter(rule(scale=Fraction(1, 10), offset=Fraction(-40)))(505, {}) == pytest.approx(10.5)
    assert converter(rule(quantity="current", scale_by=("ct",)))(5.0, {"ct": 40}) == 200.0
    assert converter(rule(scale_by=("ct",)))(5.0, {}) == 5.0
    assert isinstance(converter(rule(scale_by=("ct",)))(5.0, {"ct": "many"}), Problem)


@pytest.mark.parametrize(
    ("raw", "value"),
    [("3.00V", 3.0), ("15 mV", 0.015), ("1e3", 1000.0), ("-3.5", -3.5), (".5 V", 0.5), (True, 1.0)],
)
def test_numbers_in_text_carry_their_unit(raw: object, value: float) -> None:
    assert converter(rule(quantity="voltage"))(raw, {}) == pytest.approx(value)


@pytest.mark.parametrize("raw", ["", " ", "null", "N/A", "nan", "-"])
def test_words_for_no_value_give_no_reading(raw: str) -> None:
    assert converter(rule())(raw, {}) is NOTHING


@pytest.mark.parametrize(
    "raw", ["abc", "1.2.3", "3 parsecs", [], {}, "1" * 100, float("nan"), float("inf"), "１２"]
)
def test_what_is_no_number_is_a_problem_not_zero(raw: object) -> None:
    assert isinstance(converter(rule(quantity="voltage"))(raw, {}), Problem)


@pytest.mark.parametrize("raw", [-999, -999.0, "-999", "-999.0", " -999.00 ", "-999 mm", "-9.99e2"])
def test_a_number_that_means_no_reading_may_be_a_text(raw: object) -> None:
    read = converter(rule(quantity="level", unit="mm", none=frozenset({"-999"})))
    assert read(raw, {}) is NOTHING
    assert read("-999.5", {}) == -0.9995
    words = converter(rule(Kind.TEXT, none=frozenset({"255"})))
    assert (words("0255", {}), words("255.0", {})) == ("0255", "255.0")


@pytest.mark.parametrize("raw", ["1e999 m3", "1e308 m3", "1e999 L", "-1e999"])
def test_a_number_beyond_all_measure_is_no_reading(raw: str) -> None:
    for kind in (rule(Kind.GAUGE, "volume", unit="L"), rule(Kind.COUNTER, "volume", "0.001", unit="L")):
        assert isinstance(converter(kind)(raw, {}), Problem)


def test_sentinels_are_no_reading_and_never_zero() -> None:
    read = converter(rule(none=frozenset({"65535", "No Sensor"})))
    assert read(65535, {}) is NOTHING
    assert read(65535.0, {}) is NOTHING
    assert read("No Sensor", {}) is NOTHING
    assert read(0, {}) == 0.0


def test_codes_are_mapped_and_unknown_ones_told() -> None:
    door = converter(rule(Kind.STATE, mapping={"CLOSED": 0.0, "OPEN": 1.0}))
    assert door("OPEN", {}) == 1.0
    assert door("AJAR", {}) == Problem("unknown_code", "AJAR")
    assert converter(rule(Kind.STATE, mapping={"a": 1.0}, otherwise=9.0))("b", {}) == 9.0
    assert isinstance(door([1], {}), Problem)


@pytest.mark.parametrize(("raw", "code"), [(True, 1.0), ("off", 0.0), ("ON", 1.0), ("2", 2.0), (3, 3.0)])
def test_states_read_booleans_in_every_form(raw: object, code: float) -> None:
    assert converter(rule(Kind.STATE))(raw, {}) == code


def test_a_fraction_is_no_state() -> None:
    assert isinstance(converter(rule(Kind.STATE))(0.5, {}), Problem)


def test_texts_are_kept_short() -> None:
    read = converter(rule(Kind.TEXT))
    assert read("LEAK DRY", {}) == "LEAK DRY"
    assert len(str(read("x" * 5000, {}))) == 1000
    assert isinstance(read({"a": 1}, {}), Problem)
