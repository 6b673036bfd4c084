"""The shipped rules on the meters of a building: one power cut, one ticket; a load, and not a cold week."""

from __future__ import annotations

import random
from collections.abc import Callable

from dutyroom.flows.backtest import Past, Raised, backtest
from dutyroom.flows.ground import ground_of
from dutyroom.flows.past_files import Listed, listed
from dutyroom.flows.past_readings import batches_of, columns_of
from dutyroom.model.telemetry import Batch
from dutyroom.rules.engine import Engine
from dutyroom.rules.parse import default_rules
from dutyroom.timebase import DAY, HOUR, MINUTE, to_datetime

START = 1_709_510_400_000  # 2024-03-04, a Monday
STEP = 15 * MINUTE
Change = Callable[[int, float, float], float]  # unit, day, kW -> kW


def building(units: int) -> Listed:
    rows = [
        {
            "device_id": f"e{i}", "class": "electricity_meter", "point": "energy_total", "unit": "kWh", "zone": "b1",
            "role": "unit", "tz": "UTC", "interval_s": "900", "resolution": "0.01",
        }
        for i in range(units)
    ]  # fmt: skip
    return listed(rows, "devices.csv")


def batches(known: Listed, units: int, days: int, change: Change) -> list[Batch]:
    """Homes of 0.2 kW at night and 1 kW by day, their meters read half a minute apart."""
    rng = random.Random(1)
    level, rows = [1000.0 + i for i in range(units)], []
    for n in range(days * 96):
        day = n / 96
        for i in range(units):
            kw = rng.uniform(0.15, 0.3) + (rng.expovariate(1.2) if 7 <= day % 1 * 24 < 23 else 0.0)
            level[i] += change(i, day, kw) / 4
            rows.append((f"e{i}", START + (n + 1) * STEP + i * 30_000, f"{level[i] - 0.005:.2f}"))
    device, at, value = zip(*rows, strict=True)
    times = [to_datetime(t).strftime("%Y-%m-%dT%H:%M:%SZ") for t in at]
    columns = columns_of(
        device, ["energy_total"] * len(at), ["kWh"] * len(at), times, value, None, known, "t.csv", 2
    )
    return list(batches_of([columns], 5 * MINUTE))


def played(days: int, change: Change) -> list[Raised]:
    known = building(5)
    past = Past("b", default_rules(), known.devices, known.table, known.topology)
    return backtest(batches(known, 5, days, change), past)


def test_a_power_cut_of_the_building_is_one_alarm_within_half_an_hour() -> None:
    told = played(22, lambda unit, day, kw: 0.0 if 20.4 <= day < 20.7 else kw)
    assert [(one.rule, one.object) for one in told] == [("power.cut", "b1/power")]
    assert START + 20.4 * DAY < told[0].raised_at <= START + 20.4 * DAY + 45 * MINUTE
    assert told[0].cleared_at is not None
    assert told[0].ticket


def test_a_unit_without_supply_is_its_own_alarm() -> None:
    told = played(22, lambda unit, day, kw: 0.0 if unit == 1 and 20.4 <= day < 20.7 else kw)
    assert [(one.rule, one.object) for one in told] == [("electricity.stuck", "e1")]
    assert told[0].raised_at <= START + 20.4 * DAY + 2 * HOUR


def test_a_load_left_on_is_told_and_a_cold_week_of_all_is_not() -> None:
    told = played(36, lambda unit, day, kw: kw + (1.5 if unit == 0 and day >= 30 else 0.0))
    assert [(one.rule, one.object) for one in told] == [("electricity.abnormal", "e0")]
    assert told[0].arguments["cause"] == "elec_abnormal"
    assert played(36, lambda unit, day, kw: kw * (1.5 if day >= 30 else 1.0)) == []


def test_what_neighbours_said_survives_a_restart() -> None:
    known = building(5)
    ground = ground_of(known.topology, "UTC")
    engine, other = (Engine(default_rules(), known.table, known.devices, ground=ground) for _ in range(2))
    *heard, more = batches(known, 5, 16, lambda unit, day, kw: kw)
    for batch in heard:
        engine.feed(batch)
    other.restore(engine.snapshot())
    assert other.snapshot() == engine.snapshot()
    engine.reload(default_rules(), known.devices, list(known.devices))  # all instances are built again
    assert engine.snapshot() == other.snapshot()
    engine.feed(more)
    other.feed(more)
    assert engine.snapshot() == other.snapshot()
