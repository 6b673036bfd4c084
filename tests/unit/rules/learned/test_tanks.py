"""A tank between its switching levels, and what happens when the pump does not obey."""

from __future__ import annotations

import random
from collections.abc import Callable
from itertools import pairwise

import msgspec
import pytest

from dutyroom.errors import Rejected
from dutyroom.rules.learned.meter import Meter
from dutyroom.rules.learned.pumps import PumpStation
from dutyroom.rules.learned.tank import TankLevel
from dutyroom.timebase import DAY, HOUR, MINUTE, Ms

from .series import BEGIN, LOCAL

TANK = Meter("tank", "tank", LOCAL, 900, 0.01, 0.0, 4.0)
PUMP = Meter("electricity_meter", "pump", LOCAL, 900, 0.1)
Row = tuple[Ms, float, float]  # at, energy, level
Told = list[tuple[bool, str, float]]
STEP = 15 * MINUTE


def station(seed: int, days: float, forced: Callable[[float], bool | None] = lambda day: None) -> list[Row]:
    """A tank of 4 m, filled from about 1.2 to 3.2 m; forced: whether the pump runs in spite of the level."""
    rng = random.Random(seed)
    level, energy, runs, rows = 2.0, 5000.0, False, []
    for step in range(int(days * DAY / STEP)):
        at = BEGIN + step * STEP
        hour = at % DAY / HOUR
        use = (0.3 + 0.5 * (6 < hour < 9) + 0.4 * (17 < hour < 22)) * rng.uniform(0.8, 1.2) / 4  # m a quarter
        runs = (runs or level < 1.2) and level < 3.2
        now = runs if (force := forced(step * STEP / DAY)) is None else force
        level = min(max(level + (0.35 if now else 0.0) - use, 0.0), 4.0)
        energy += 5.5 * rng.uniform(0.97, 1.03) / 4 if now else 0.0
        rows.append((at, round(energy, 1), round(level + rng.gauss(0, 0.01), 2)))
    return rows


def tank(rows: list[Row], detector: TankLevel) -> Told:
    found, active = [], detector.active
    for at, _, level in rows:
        detector.tick(at)
        detector.read(at, level)
        if detector.active != active:
            active = detector.active
            found.append((active, detector.cause, (at - BEGIN) / DAY))
    return found


def pumps(rows: list[Row], detector: PumpStation) -> Told:
    found, active = [], detector.active
    for at, energy, level in rows:
        detector.tick(at)
        detector.read(0, at, energy)
        detector.read(1, at + 1000, level)
        if detector.active != active:
            active = detector.active
            found.append((active, detector.cause, (at - BEGIN) / DAY))
    return found


def off(first: float, last: float) -> Callable[[float], bool | None]:
    return lambda day: False if first < day < last else None


def on(first: float, last: float) -> Callable[[float], bool | None]:
    return lambda day: True if first < day < last else None


def critical(rows: list[Row], first: float, level: float) -> float:
    return next(
        (at - BEGIN) / DAY for at, _, v in rows if (at - BEGIN) / DAY > first and abs(v - level) < 0.05
    )


@pytest.mark.parametrize("seed", range(6))
def test_two_months_of_switching_are_ordinary(seed: int) -> None:
    rows = station(seed, 60)
    assert tank(rows, TankLevel(TANK)) == []
    assert pumps(rows, PumpStation([PUMP], [TANK])) == []


@pytest.mark.parametrize("seed", range(3))
def test_an_overflow_is_told_before_the_tank_is_full(seed: int) -> None:
    rows = station(seed, 32, on(30.0, 30.9))
    found = tank(rows, TankLevel(TANK))
    assert [f[:2] for f in found] == [(True, "tank_overflow"), (False, "tank_overflow")]
    assert 30 < found[0][2] < critical(rows, 30, 4.0)


@pytest.mark.parametrize("seed", range(3))
def test_a_pump_that_does_not_start_is_told_before_the_tank_is_dry(seed: int) -> None:
    rows = station(seed, 32, off(30.0, 30.9))
    dry = critical(rows, 30, 0.0)
    found = pumps(rows, PumpStation([PUMP], [TANK]))
    assert [f[0] for f in found] == [True, False]
    assert found[0][1] in ("tank_low", "pump_off")
    assert 30 < found[0][2] < dry - 0.5 / 24
    low = tank(rows, TankLevel(TANK))
    assert low[0][:2] == (True, "tank_dry")
    assert low[0][2] < dry


def test_a_pump_that_stops_where_it_never_stopped_is_told_at_once() -> None:
    rows = station(1, 32)
    starts = [(at - BEGIN) / DAY for (_, a, _), (at, b, _) in pairwise(rows) if b > a]
    first = next(day for day in starts if day > 30)
    found = pumps(station(1, 32, off(first + 0.02, first + 0.3)), PumpStation([PUMP], [TANK]))
    assert found[0][:2] == (True, "pump_off")
    assert found[0][2] < first + 0.02 + 1 / 24


def test_a_pump_that_is_not_missed_for_a_day_is_on_standby() -> None:
    quiet = Meter("tank", "tank", LOCAL, 900, 0.01)  # no height: its level switches nothing
    rows = station(2, 40, off(30.0, 99.0))
    found = pumps(rows, PumpStation([PUMP], [quiet]))
    assert [f[0] for f in found] == [True, False]
    assert found[1][2] == pytest.approx(found[0][2] + 1, abs=0.02)


def test_a_tank_whose_height_nobody_knows_is_judged_by_its_band() -> None:
    found = tank(station(1, 32, on(30.0, 30.9)), TankLevel(Meter("tank", "tank", LOCAL, 900)))
    assert found[0][:2] == (True, "tank_overflow")


def test_a_tank_that_is_always_full_has_no_alarm() -> None:
    rows = [(BEGIN + i * STEP, 0.0, 3.95 + 0.01 * (i % 4)) for i in range(40 * 96)]
    assert tank(rows, TankLevel(TANK)) == []


@pytest.mark.parametrize("cut", [500, 2880, 2895, 2930])
def test_a_restart_changes_nothing(cut: int) -> None:
    rows = station(3, 32, off(30.0, 30.9))
    whole = tank(rows, TankLevel(TANK))
    first, second = TankLevel(TANK), TankLevel(TANK)
    found = tank(rows[:cut], first)
    kept = msgspec.msgpack.encode(first.dump())
    second.load(msgspec.msgpack.decode(kept))
    assert found + tank(rows[cut:], second) == whole
    assert len(kept) <= 1024
    whole = pumps(rows, PumpStation([PUMP], [TANK]))
    one, two = PumpStation([PUMP], [TANK]), PumpStation([PUMP], [TANK])
    found = pumps(rows[:cut], one)
    kept = msgspec.msgpack.encode(one.dump())
    two.load(msgspec.msgpack.decode(kept))
    assert found + pumps(rows[cut:], two) == whole
    assert len(kept) <= 1024


def test_a_foreign_state_is_refused() -> None:
    for detector in (TankLevel(TANK), PumpStation([PUMP], [TANK])):
        with pytest.raises(Rejected):
            detector.load([1])
