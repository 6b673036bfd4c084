"""The meters of the estate: pure, rising, adding up, and used as people use water and light."""

from __future__ import annotations

import random

import numpy as np
import pytest

from dutyroom_simulators.estate import make_estate
from dutyroom_simulators.history import chunks
from dutyroom_simulators.registers import DAY, HOUR, LOCAL
from dutyroom_simulators.scenarios import Record, make_injection
from dutyroom_simulators.world import LOSS_POWER, LOSS_WATER, Meters, World

T0 = 1_795_564_800_000  # 2026-11-25T08:00+08:00, a Wednesday
MIDNIGHT = T0 - 8 * HOUR


def meters(seed: int = 7, units: int = 24, record: Record | None = None) -> Meters:
    return Meters(make_estate(seed, units), record or Record(), T0)


@pytest.mark.parametrize("device", ["A-0101-water", "B-0103-power", "C-0102-gas", "D-public", "garden-water"])
def test_a_register_is_a_function_of_seed_device_and_time(device: str) -> None:
    moments = [T0 + random.Random(1).randrange(30 * DAY) for _ in range(30)]
    straight = [meters().register(device, at) for at in sorted(moments)]
    once = meters()
    shuffled = {at: once.register(device, at) for at in moments}
    assert straight == [shuffled[at] for at in sorted(moments)]
    assert straight != [meters(seed=8).register(device, at) for at in sorted(moments)]


@pytest.mark.parametrize("kind", ["unit_water", "unit_power", "unit_gas", "public_power", "garden_water"])
def test_no_register_goes_down_over_days_hours_and_seconds(kind: str) -> None:
    m = meters()
    for step, start in ((DAY, T0), (HOUR, T0), (1_000, T0), (1_000, MIDNIGHT - 30_000)):
        rows = np.array([m.raw(kind, start + n * step) for n in range(60)])
        assert (np.diff(rows, axis=0) >= -1e-9).all()
    assert (m.raw(kind, T0 + 30 * DAY) > m.raw(kind, T0)).all()


def test_the_rate_is_what_the_register_does() -> None:
    m = meters()
    at = T0 + 11 * HOUR  # within one hour
    moved = (m.raw("unit_power", at + HOUR - 1) - m.raw("unit_power", at)) / (1 - 1 / HOUR)
    assert np.allclose(moved, m.rates("unit_power", at), rtol=1e-6)


@pytest.mark.parametrize(("kind", "most"), [("unit_water", 1.1), ("unit_power", 25.0), ("unit_gas", 1.6)])
def test_a_day_is_believable(kind: str, most: float) -> None:
    m = meters(units=480)
    used = m.raw(kind, T0 + DAY) - m.raw(kind, T0)
    assert (used > 0).all()
    assert used.max() < most
    assert used.std() > used.mean() / 10  # no two homes alike


@pytest.mark.parametrize("kind", ["unit_water", "unit_power", "unit_gas"])
def test_evenings_are_busy_and_nights_are_still(kind: str) -> None:
    m = meters(units=480)
    hours = [m.rates(kind, MIDNIGHT + hour * HOUR + 1).sum() for hour in range(24)]
    assert max(hours[18:21]) > 2 * max(hours[2:5])
    assert hours.index(max(hours)) in range(17, 22)


@pytest.mark.parametrize("seed", [7, 21])
def test_flats_use_water_as_metered_homes_do(seed: int) -> None:
    """Least hourly flow over k hours, largest of 28 days, L/h: the homes had 17-56 (4 h), 5-48 (6 h), 2-27 (8 h),
    0-25 (12 h), 0-4 (18 h)."""
    m = meters(seed, units=480)
    shown = np.floor(np.array([m.raw("unit_water", MIDNIGHT + h * HOUR) for h in range(24 * 28 + 1)]) * 1000)
    flow = np.diff(shown, axis=0)
    still = (flow == 0).mean(axis=1).reshape(-1, 24).mean(axis=0)
    assert (still[1:5] > 0.65).all()
    assert (still[1:5] < 0.9).all()
    assert ((still[8:22] > 0.2) & (still[8:22] < 0.5)).all()
    assert (flow.reshape(28, 24, -1)[:, :6] == 0).any(axis=1).all()  # all sleep for an hour
    for hours, most in ((4, 62), (6, 48), (8, 27), (12, 25), (18, 4)):
        least = np.lib.stride_tricks.sliding_window_view(flow, hours, axis=0).min(axis=2).max(axis=0)
        assert np.quantile(least, 0.95) <= most, hours


def test_weekends_use_more() -> None:
    m = meters(units=480)
    monday = MIDNIGHT + 5 * DAY

    def used(day: int) -> float:
        return float(
            (m.raw("unit_water", monday + (day + 1) * DAY) - m.raw("unit_water", monday + day * DAY)).sum()
        )

    weeks = range(0, 28, 7)
    working = sum(used(week + day) for week in weeks for day in range(5)) / 20
    free = sum(used(week + day) for week in weeks for day in (5, 6)) / 8
    assert 1.08 < free / working < 1.22


def test_risers_and_feeders_add_up_with_their_loss() -> None:
    m = meters()
    for b in "ABCD":
        units = [
            m.register(f"{b}-010{n}-water", T0 + DAY) - m.register(f"{b}-010{n}-water", T0)
            for n in range(1, 7)
        ]
        riser = m.riser(b, T0 + DAY)[0] - m.riser(b, T0)[0]
        assert riser == pytest.approx(sum(u % 100_000 for u in units) * LOSS_WATER)  # one wraps
        power = [
            m.register(f"{b}-010{n}-power", T0 + DAY) - m.register(f"{b}-010{n}-power", T0)
            for n in range(1, 7)
        ]
        public = m.register(f"{b}-public", T0 + DAY) - m.register(f"{b}-public", T0)
        feeder = m.feeder(b, T0 + DAY)[0] - m.feeder(b, T0)[0]
        assert feeder == pytest.approx((sum(power) + public) * LOSS_POWER)


def test_a_leak_in_a_flat_and_a_burst_show_on_the_riser() -> None:
    record = Record()
    plain, disturbed = meters(), meters(record=record)
    record.add(make_injection("burst_pipe", T0, {}))
    record.add(make_injection("slow_leak", T0, {}))
    at = T0 + 4 * 60_000
    assert disturbed.riser("A", at)[1] - plain.riser("A", at)[1] == pytest.approx(12.018)
    assert disturbed.riser("A", at)[0] - plain.riser("A", at)[0] == pytest.approx(12.018 * 4 / 60)
    assert disturbed.riser("B", at) == plain.riser("B", at)
    assert disturbed.register("A-0102-water", at) - plain.register("A-0102-water", at) == pytest.approx(
        0.0012
    )


@pytest.mark.parametrize("seed", [7, 8])
@pytest.mark.parametrize("units", [24, 480])
def test_only_a_burst_exceeds_the_limit_of_a_riser(seed: int, units: int) -> None:
    """At every hour of four weeks all flats together stay below it, and a burst is above it."""
    estate = make_estate(seed, units)
    m = Meters(estate, Record(), T0)
    for b in "ABCD":
        limit = float(estate.device(f"{b}-riser").parameters["burst_flow"])
        flows = [m.riser(b, MIDNIGHT + hour * HOUR + 1)[1] for hour in range(24 * 28)]
        assert max(flows) < 0.9 * limit
        assert 12.0 + min(flows) > limit
    master = float(estate.device("water-master").parameters["burst_flow"])
    assert (
        max(sum(m.riser(b, MIDNIGHT + h * HOUR + 1)[1] for b in "ABCD") for h in range(24 * 28)) < master / 2
    )


def test_a_register_passes_its_end_and_begins_again() -> None:
    record = Record()
    m = meters(record=record)
    record.add(make_injection("register_rollover", T0 + 60_000, {}))
    before, after = m.register("A-0105-water", T0), m.register("A-0105-water", T0 + 22 * 60_000)
    assert before > 99_999
    assert after < 1
    assert 100_000 - before + after == pytest.approx(0.2, abs=0.1)


def test_a_meter_that_sticks_stands_still_and_goes_on() -> None:
    record = Record()
    m, plain = meters(record=record), meters()
    stuck = make_injection("meter_stuck", T0, {})
    record.add(stuck)
    shown = [m.register("A-0103-power", T0 + n * HOUR) for n in range(10)]
    assert max(shown) - min(shown) < 1e-9
    lost = plain.register("A-0103-power", stuck.until) - shown[0]
    assert lost > 0
    later = stuck.until + DAY
    assert m.register("A-0103-power", later) == pytest.approx(plain.register("A-0103-power", later) - lost)


def test_a_new_meter_begins_at_nothing_each_time() -> None:
    record = Record()
    m, plain = meters(record=record), meters()
    for at in (T0, T0 + DAY):
        record.add(make_injection("meter_exchanged", at, {}))
        assert m.register("A-0104-water", at) == 0
    used = plain.register("A-0104-water", T0 + 2 * DAY) - plain.register("A-0104-water", T0 + DAY)
    assert m.register("A-0104-water", T0 + 2 * DAY) == pytest.approx(used)


def test_history_and_live_show_the_same_registers() -> None:
    world = World(make_estate(7, 24), Record(), T0)
    (chunk,) = chunks(world, MIDNIGHT, MIDNIGHT + 6 * HOUR)
    names = [d.id for d in world.estate.devices]
    at = MIDNIGHT + 3 * HOUR
    rows = {
        names[device]: value
        for device, point, when, value in zip(
            *(chunk[k].tolist() for k in ("device", "point", "at", "value")), strict=True
        )
        if when == at and point in (0, 2)
    }
    for device in ("A-0101-water", "B-0102-gas", "A-0102-power"):
        assert rows[device] == pytest.approx(world.meters.register(device, at), abs=0.011)
    assert (at + LOCAL) % HOUR == 0
