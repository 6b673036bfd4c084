"""Registers that leap: nothing of a leap is flow."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dutyroom.errors import Rejected
from dutyroom.rules.learned.meter import Meter
from dutyroom.rules.learned.register import UNKNOWN, Register
from dutyroom.rules.learned.register_fault import RegisterFault
from dutyroom.timebase import DAY, HOUR

from .series import BEGIN, FLAT, HOME, LOCAL, alarms


def moved(*values: float, floor: float = 3.2) -> list[float]:
    register = Register(floor, resolution=0.001)
    return [round(register.read(BEGIN + i * HOUR, v), 3) for i, v in enumerate(values)]


def test_a_plain_register_tells_what_moved() -> None:
    assert moved(10.0, 10.5, 10.5, 11.0) == [UNKNOWN, 0.5, 0.0, 0.5]


def test_a_trembling_digit_is_no_movement_and_no_fault() -> None:
    assert moved(10.0, 9.999, 10.0, 10.001) == [UNKNOWN, 0.0, 0.0, 0.001]


def test_a_corrupted_reading_gives_its_hours_to_the_next_one() -> None:
    register = Register(3.2, resolution=0.001)
    for i, value in enumerate((10.0, 9.0)):
        register.read(BEGIN + i * HOUR, value)
    assert register.fault == "meter_rollback"
    assert round(register.read(BEGIN + 2 * HOUR, 10.4), 3) == 0.4
    assert (register.fault, register.since) == ("", BEGIN)


def test_many_corrupted_readings_in_a_row_are_no_exchange() -> None:
    low = [9.0 + i / 100 for i in range(6)]
    assert moved(10.0, *low, 10.1)[-1] == 0.1  # not the 1.05 of the step


def test_an_exchanged_meter_goes_on_after_three_steps() -> None:
    assert moved(150.0, 0.0, 0.1, 0.2, 0.3, 0.4) == [UNKNOWN, UNKNOWN, UNKNOWN, UNKNOWN, 0.1, 0.1]


def test_a_flipped_digit_is_no_flow_either_way() -> None:
    assert moved(10.0, 10.1, 20.2, 20.3, 20.4, 20.5, 10.6, 10.7) == [
        UNKNOWN, 0.1, UNKNOWN, UNKNOWN, UNKNOWN, 0.1, 0.5, 0.1,
    ]  # fmt: skip


def test_a_long_silence_makes_room_for_what_flowed_in_it() -> None:
    register = Register(3.2, resolution=0.001)
    register.read(BEGIN, 10.0)
    assert register.read(BEGIN + 100 * HOUR, 50.0) == 40.0


def test_a_flipped_digit_hides_in_no_short_silence() -> None:
    readings = [(BEGIN, 10.0), (BEGIN + 5 * HOUR, 20.1)]
    assert [f[1] for f in alarms(RegisterFault(HOME), readings)] == ["meter_jump"]


def test_its_own_largest_rate_raises_the_limit() -> None:
    register = Register(20.0, 15.0)
    for i, value in enumerate((0.0, 10.0, 160.0)):
        register.read(BEGIN + i * HOUR, value)
    assert (register.fault, register.largest) == ("", 150.0)


@pytest.mark.parametrize(
    ("values", "cause"),
    [((10.0, 10.1, 9.0, 10.2), "meter_rollback"), ((10.0, 10.1, 20.1, 20.2, 20.3), "meter_jump")],
)
def test_a_leap_is_one_alarm_until_a_day_without_another(values: tuple[float, ...], cause: str) -> None:
    readings = [(BEGIN + i * HOUR, v) for i, v in enumerate(values)]
    readings += [(BEGIN + i * HOUR, values[-1]) for i in range(len(values), 40)]
    found = alarms(RegisterFault(HOME), readings)
    assert [f[:2] for f in found] == [("raised", cause), ("cleared", cause)]
    assert found[1][2] - found[0][2] >= 1.0


def test_water_that_runs_back_stays_one_alarm() -> None:
    readings = [(BEGIN + i * HOUR, 10.0 - max(0, i - 3) * 0.02) for i in range(12)]
    assert alarms(RegisterFault(HOME), readings) == [("raised", "meter_rollback", 0.17)]


def test_a_home_that_heats_is_no_jump() -> None:
    readings = [(BEGIN + i * 900_000, i * 0.05 + max(0, i - 50) * 4.0) for i in range(100)]
    assert alarms(RegisterFault(FLAT), readings) == []


def test_stored_parts_that_are_none_of_it_are_named() -> None:
    with pytest.raises(Rejected, match="bytes expected"):
        Register(3.2).load([1, 2])
    assert Register(3.2).at == 0 < DAY


GAS = Meter("gas_meter", "unit", LOCAL, 3600, 0.001)
HEAT = Meter("heat_meter", "unit", LOCAL, 3600, 1.0)


def leaps(meter: Meter, *steps: float, every: float = 1.0) -> bool:
    """Whether a register that moves so, from one reading to the next (`every` hours), leaps in a rule's eyes."""
    level, readings = 100.0, [(BEGIN, 100.0)]
    for n, step in enumerate(steps, 1):
        level += step
        readings.append((BEGIN + round(n * every * HOUR), level))
    return bool(alarms(RegisterFault(meter, jumps_only=True), readings))


@pytest.mark.parametrize(
    ("meter", "steps", "every", "found"),
    [
        pytest.param(GAS, (0.3, 7.1), 1.0, False, id="a G4 at its overload, for an hour"),
        pytest.param(GAS, (0.3, 10.3), 1.0, True, id="a flipped digit of ten m3"),
        pytest.param(GAS, (1.0, 144.0), 24.0, False, id="a day at Q_max"),
        pytest.param(GAS, (1.0, 150.0), 24.0, True, id="more than a day can pass"),
        pytest.param(GAS, (5.0, 10.0, 16.0), 1.0, False, id="a kitchen's larger meter, of which nothing is said"),
        pytest.param(replace(GAS, role="boiler"), (0.0, 900.0), 1.0, False, id="a boiler house"),
        pytest.param(replace(GAS, role="master"), (10.0, 10_000.0), 1.0, True, id="a digit of a master"),
        pytest.param(replace(GAS, rated=25.0), (1.0, 29.0), 1.0, False, id="a G16 at its overload"),
        pytest.param(replace(GAS, rated=25.0), (20.0, 35.0), 1.0, True, id="a G16 passes no more, whatever it passed"),
        pytest.param(HEAT, (5.0, 70.0), 1.0, False, id="a cold flat that fills its bath"),
        pytest.param(HEAT, (5.0, 100.0), 1.0, True, id="a digit of heat"),
        pytest.param(replace(HEAT, role="master"), (900.0, 9_000.0), 1.0, False, id="a substation"),
        pytest.param(replace(HEAT, rated=300.0), (250.0, 1_000.0), 1.0, True, id="more than twice what is nominal"),
    ],
)  # fmt: skip
def test_gas_and_heat_by_what_their_meters_pass(
    meter: Meter, steps: tuple[float, ...], every: float, found: bool
) -> None:
    assert leaps(meter, *steps, every=every) is found


@given(
    st.lists(st.floats(0.0, 1.0), min_size=2, max_size=40),
    st.sampled_from((0.05, 0.25, 1.0, 6.0, 24.0)),
    st.sampled_from((GAS, HEAT, replace(GAS, rated=25.0), replace(HEAT, role="master"))),
)
def test_what_flows_within_the_rating_never_leaps(shares: list[float], every: float, meter: Meter) -> None:
    nominal = meter.rated or {"gas_meter": 6.0}.get(meter.klass, 35.0)
    assert not leaps(meter, *(share * nominal * every for share in shares), every=every)
