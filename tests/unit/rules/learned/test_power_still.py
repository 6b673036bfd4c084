"""Electricity that stands still: of a unit, of a building."""

from __future__ import annotations

import random

import msgspec
import pytest

from dutyroom.rules.learned.power_still import BuildingStill, UnitStill
from dutyroom.timebase import DAY, HOUR, MINUTE, Ms

from .series import BEGIN, FLAT, Reading, alarms, register

QUARTER = 15 * MINUTE


def flat(
    seed: int, cut: tuple[float, float] = (0.0, 0.0), days: float = 25, digit: float = 0.01
) -> list[Reading]:
    """A home that takes 30 W to 2 kW; cut: days from and to."""
    rng = random.Random(seed)

    def use(at: Ms) -> float:
        kwh = rng.choice((0.0075, 0.02, 0.02, 0.1, 0.5))
        return 0.0 if cut[0] < (at - BEGIN) / DAY <= cut[1] else kwh

    return list(register(use, days, QUARTER, digit))


def test_a_unit_without_supply_is_told_after_an_hour_or_two() -> None:
    found = alarms(UnitStill(FLAT), flat(1, (20.0, 20.5)))
    assert [f[:2] for f in found] == [("raised", "power_cut"), ("cleared", "power_cut")]
    assert 20.02 <= found[0][2] <= 20.0 + 2.5 / 24


def test_before_two_weeks_it_takes_six_hours() -> None:
    assert alarms(UnitStill(FLAT), flat(1, (5.0, 5.2))) == []
    assert alarms(UnitStill(FLAT), flat(1, (5.0, 5.5)))[0][2] == pytest.approx(5.25, abs=0.02)


def test_a_register_of_whole_kwh_stands_still_for_hours_and_that_is_ordinary() -> None:
    assert alarms(UnitStill(FLAT), flat(1, days=40, digit=1.0)) == []


def test_stillness_does_not_accrue_across_a_silence() -> None:
    readings = [r for r in flat(1, (20.0, 20.5)) if not 20.0 < (r[0] - BEGIN) / DAY < 20.47]
    assert alarms(UnitStill(FLAT), readings) == []


def building(cut: tuple[float, float], flats: int = 10, digit: float = 0.01) -> list[tuple[Ms, int, float]]:
    rows = [
        (at + 20_000 * n, n, value)
        for n in range(flats)
        for at, value in flat(n, cut, digit=digit)
    ]  # fmt: skip
    return sorted(rows)


def told(detector: BuildingStill, rows: list[tuple[Ms, int, float]]) -> list[tuple[bool, float]]:
    found, active = [], detector.active
    for at, member, value in rows:
        detector.tick(at)
        detector.read(member, at, value)
        if detector.active != active:
            active = detector.active
            found.append((active, (at - BEGIN) / DAY))
    return found


@pytest.mark.parametrize("digit", [0.01, 0.1])
def test_a_building_is_told_by_the_first_whole_intervals(digit: float) -> None:
    found = told(BuildingStill([FLAT] * 10), building((20.0, 20.2), digit=digit))
    assert [f[0] for f in found] == [True, False]
    assert found[0][1] <= 20.0 + (35 if digit < 0.1 else 150) / 24 / 60


def test_nights_of_coarse_registers_are_no_power_cut() -> None:
    assert told(BuildingStill([FLAT] * 4), building((0.0, 0.0), 4, 1.0)) == []


def test_part_of_a_building_is_none_and_two_flats_are_none() -> None:
    whole, cut = building((0.0, 0.0)), building((20.0, 20.2))
    rows = sorted([r for r in whole if r[1] >= 6] + [r for r in cut if r[1] < 6])
    assert told(BuildingStill([FLAT] * 10), rows) == []
    assert told(BuildingStill([FLAT] * 2), building((20.0, 20.2), 2)) == []


def test_a_restart_in_a_cut_changes_nothing() -> None:
    rows = building((20.0, 20.2))
    whole = told(BuildingStill([FLAT] * 10), rows)
    for cut in (5_000, 19_230, 19_300):
        first, second = BuildingStill([FLAT] * 10), BuildingStill([FLAT] * 10)
        found = told(first, rows[:cut])
        second.load(msgspec.msgpack.decode(msgspec.msgpack.encode(first.dump())))
        assert second.arguments() == first.arguments()
        assert found + told(second, rows[cut:]) == whole
    assert HOUR
    assert len(msgspec.msgpack.encode(second.dump())) <= 1024


def test_a_unit_goes_on_after_a_restart() -> None:
    readings = flat(1, (20.0, 20.5))
    whole = alarms(UnitStill(FLAT), readings)
    first, second = UnitStill(FLAT), UnitStill(FLAT)
    cut = 20 * 96 + 3
    found = alarms(first, readings[:cut])
    second.load(msgspec.msgpack.decode(msgspec.msgpack.encode(first.dump())))
    assert found + alarms(second, readings[cut:]) == whole
    assert len(msgspec.msgpack.encode(second.dump())) <= 256
