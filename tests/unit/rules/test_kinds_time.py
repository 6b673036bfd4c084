"""stale, stuck, decrease, continuous_flow, expect."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest
from tests.unit.rules.kind_bench import T0, Bench, counter, gauge, rule, shipped, state

from dutyroom.model.duty import Condition, Device
from dutyroom.model.telemetry import Quality

HOUR = 3600
STALE = "kind: stale\nparameters: {after: 10min}"


def test_silence_is_measured_by_receive_time() -> None:
    bench = Bench(rule(STALE), gauge("p"))
    bench.started(0)
    bench.feed(-86_400, "p", 1, received=100)  # a day old, but the device speaks
    bench.tick(699)
    assert bench.says == []
    bench.tick(700)
    assert bench.says == [(700, True)]
    bench.tick(800)
    bench.feed(-86_300, "p", 1, received=900)
    assert bench.says == [(700, True), (900, False)]


def test_a_device_never_heard_is_silent_one_allowance_after_the_start() -> None:
    bench = Bench(rule(STALE), gauge("p"))
    bench.started(0)
    bench.tick(599)
    assert bench.says == []
    bench.tick(601)
    assert bench.says == [(600, True)]


def test_a_slow_device_has_three_of_its_intervals() -> None:
    bench = Bench(rule(STALE), gauge("p", 900))
    bench.started(0)
    bench.tick(2699)
    assert bench.says == []
    bench.tick(2700)
    assert bench.says == [(2700, True)]


def test_a_device_that_speaks_when_it_likes_is_not_judged_unless_asked_for() -> None:
    for text, said in (
        (STALE, []),
        ("kind: stale\nparameters: {after: 10min, unscheduled: true}", [(600, True)]),
    ):
        bench = Bench(rule(text), state("door"))
        bench.started(0)
        bench.tick(601)
        assert bench.says == said


def test_neither_a_retained_message_nor_a_last_will_is_a_sign_of_life() -> None:
    bench = Bench(rule(STALE), gauge("p"), state("online"))
    bench.started(0)
    bench.feed(300, "p", 1, quality=Quality.RETAINED)
    bench.feed(400, "online", 0)
    bench.tick(601)
    assert bench.says == [(600, True)]
    bench.feed(700, "online", 1)
    assert bench.says[-1] == (700, False)


def test_suspect_readings_are_signs_of_life() -> None:
    bench = Bench(rule(STALE), gauge("p"))
    bench.started(0)
    bench.feed(500, "p", 1e9, quality=Quality.SUSPECT)
    bench.tick(700)
    assert bench.says == []


def test_a_register_that_stands_still_with_readings_coming() -> None:
    bench = Bench(shipped("electricity.stuck"), counter("energy"), kind="electricity_meter")
    bench.run("energy", list(range(4)), every=900)
    bench.run("energy", [3] * 30, start=3600, every=900)
    bench.feed(40_000, "energy", 4)
    assert bench.says == [(2700 + 6 * HOUR, True), (40_000, False)]


def test_stillness_does_not_accrue_while_nothing_comes() -> None:
    bench = Bench(shipped("electricity.stuck"), counter("energy"), kind="electricity_meter")
    bench.feed(0, "energy", 3)
    bench.run("energy", [3] * 20, start=7 * HOUR, every=900)
    assert bench.says == []


def test_a_register_that_went_down() -> None:
    bench = Bench(shipped("meter.decrease"), counter("volume"), kind="water_meter")
    bench.run("volume", [412_345, 412_350, 0, 5, 10], every=900)
    assert bench.says == [(1800, True)]
    assert bench.conditions[0].arguments == {"before": 412.35, "after": 0.0}


@pytest.mark.parametrize(
    ("wrong", "before"),
    [
        ([102.0], 102.0),
        ([120.0, 120.0], 120.0),
        ([500.0, 500.05], 500.05),
        ([10_020.0, 10_040.0], 10_040.0),  # its unit was another one
        ([1000.2, 1000.4, 1000.6], 1000.6),
        ([5100.0, 5500.0], 5500.0),
        ([5500.0, 5100.0], 5500.0),
    ],
)
def test_a_wrong_high_reading_is_over_with_the_reading_after_the_right_one(
    wrong: list[float], before: float
) -> None:
    """It never ended: the level before it was awaited for ever."""
    levels = [100.0, 100.02, 100.02, *wrong, 100.05, 100.06]
    bench = Bench(shipped("meter.decrease"), counter("volume"), kind="water_meter")
    bench.run("volume", [1000 * level for level in levels], every=HOUR)
    assert [active for _, active in bench.says] == [True, False]
    assert bench.says[1] == ((4 + len(wrong)) * HOUR, False)
    assert bench.conditions[0].arguments["before"] == before


def test_so_it_is_of_a_meter_that_is_read_each_day_and_a_little_later() -> None:
    bench = Bench(shipped("meter.decrease"), counter("volume", 24 * HOUR), kind="water_meter")
    for day, level in enumerate((100_000, 100_200, 500_000, 100_600, 100_800)):
        bench.feed(day * (24 * HOUR + 300), "volume", level)
    assert [active for _, active in bench.says] == [True, False]


def test_a_register_that_goes_back_farther_than_it_had_risen_stands_until_its_level_returns() -> None:
    bench = Bench(shipped("meter.decrease"), counter("volume"), kind="water_meter")
    bench.run("volume", [100_000, 100_200, 90_000, 90_100, 90_200], every=HOUR)
    assert bench.says == [(2 * HOUR, True)]


def test_the_last_digit_passing_is_no_decrease() -> None:
    bench = Bench(shipped("meter.decrease"), counter("volume"), kind="water_meter")
    bench.run("volume", [99_999_990, 99_999_999, 4, 20], every=900)
    assert bench.says == []


def test_a_binary_counter_that_wraps_is_no_decrease() -> None:
    wide = replace(counter("volume"), digits=None, wrap=2**32)
    bench = Bench(shipped("meter.decrease"), wide, kind="water_meter")
    bench.run("volume", [2**32 - 10, 2**32 - 1, 4, 20], every=900)
    assert bench.says == []
    bench.run("volume", [412_345, 0], start=90_000, every=900)
    assert bench.says == [(90_900, True)]


def test_of_a_short_counter_not_every_decrease_is_a_wrap() -> None:
    """65.5 m3 are a turn; from 50 m3 to 40 it would have had to pass most of one."""
    short = replace(counter("volume"), digits=None, wrap=2**16)
    bench = Bench(shipped("meter.decrease"), short, kind="water_meter")
    bench.run("volume", [65_000, 300, 50_000, 40_000], every=900)
    assert bench.says == [(2700, True)]


def test_rounding_and_retained_values_are_no_decrease() -> None:
    bench = Bench(shipped("meter.decrease"), counter("volume"), kind="water_meter")
    bench.run("volume", [1000, 999, 1001], every=900)
    bench.feed(9000, "volume", 10, quality=Quality.RETAINED)
    assert bench.says == []


def test_a_corrupted_reading_clears_when_the_old_level_returns() -> None:
    bench = Bench(shipped("meter.decrease"), counter("volume"), kind="water_meter")
    bench.run("volume", [412_345, 12, 412_360], every=900)
    assert bench.says == [(900, True), (1800, False)]


def test_a_decrease_that_is_explained_is_forgotten_and_the_next_one_told() -> None:
    bench = Bench(shipped("meter.decrease"), counter("volume"), kind="water_meter")
    bench.run("volume", [50_000, 5_000, 5_010], every=900)
    key = "meter.decrease", "d"
    assert bench.engine.accept(key, lambda at: at == T0, T0) == [], "another one"
    said = bench.engine.accept(key, lambda at: at == T0 + 900_000, T0 + 1_900_000)
    assert [(c.active, c.at) for c in said] == [(False, T0 + 900_000)]
    assert bench.engine.accept(key, lambda at: True, T0) == [], "twice"
    bench.run("volume", [5_020, 2_000, 5_030], start=2700, every=900)
    assert bench.says == [(900, True), (3600, True), (4500, False)]


def test_of_two_registers_that_went_down_what_is_not_explained_holds() -> None:
    bench = Bench(shipped("meter.decrease"), counter("volume"), counter("energy"), kind="heat_meter")
    bench.run("volume", [50_000, 5_000], every=900)
    bench.run("energy", [70_000, 6_000], start=900, every=900)
    key = "meter.decrease", "d"
    said = bench.engine.accept(key, lambda at: at == T0 + 900_000, T0 + 1_900_000)
    assert [(c.active, c.at, c.point) for c in said] == [(True, T0 + 1_800_000, "energy")]


def home(day: int, hour: int, chance: random.Random) -> int:
    """Litres in an hour of a home that sleeps."""
    return chance.randint(0, 40) if 7 <= hour < 23 else 0


def test_a_leak_has_no_hour_without_flow() -> None:
    chance, total = random.Random(2), 0
    bench = Bench(shipped("water.leak"), counter("volume", 3600), kind="water_meter")
    for hour in range(24 * 6):
        total += home(hour // 24, hour % 24, chance) + (18 if 48 <= hour < 78 else 0)
        bench.feed(hour * HOUR, "volume", total)
    assert [active for _, active in bench.says] == [True, False]
    assert bench.says[0][0] == 71 * HOUR  # the hour before 47:00 was the last without flow
    assert bench.conditions[0].arguments["hours"] == 24


def test_a_dense_meter_gives_the_same_verdict() -> None:
    chance, total = random.Random(2), 0.0
    bench = Bench(shipped("water.leak"), counter("volume", 60), kind="water_meter")
    for minute in range(24 * 60 * 4):
        hour = minute // 60
        total += home(0, hour % 24, chance) / 60 + (0.3 if 24 <= hour < 54 else 0)
        bench.feed(minute * 60, "volume", int(total))
    assert [active for _, active in bench.says] == [True, False]


def test_ordinary_homes_and_hours_in_a_gap_are_no_leak() -> None:
    chance, total = random.Random(5), 0
    bench = Bench(shipped("water.leak"), counter("volume", 3600), kind="water_meter")
    for hour in range(24 * 60):
        total += home(0, hour % 24, chance)
        bench.feed(hour * HOUR, "volume", total)
    assert bench.says == []
    for day in range(60, 70):  # one reading a day: nothing is observed in between
        total += 200
        bench.feed(day * 24 * HOUR, "volume", total)
    assert bench.says == []


def power(*, backs: str = "f", interval: int = 10) -> Bench:
    rules = [shipped("power.mains_lost"), shipped("generator.start_failure")]
    parameters = {"backs": backs} if backs else {}
    bench = Bench(rules, state("running", interval), kind="generator", **parameters)
    for name in ("f", "other"):
        bench.devices[name] = Device("s", name, name, "feeder", "v/m", name, "A")
        bench.add(name, gauge("voltage"))
    bench.feed(0, "running", 0)
    return bench


def lost(bench: Bench, name: str = "f", second: float = 10) -> None:
    bench.feed(second, "voltage", 0, device=name)
    bench.tick(second + 4)


def test_the_generator_must_run_within_its_time() -> None:
    bench = power()
    lost(bench)
    bench.feed(22, "running", 1)
    bench.tick(60)
    assert [c.rule for c in bench.conditions] == ["power.mains_lost"]


def test_a_generator_that_does_not_start_and_then_does() -> None:
    bench = power()
    lost(bench)
    bench.feed(20, "running", 0)
    bench.tick(43)
    assert len(bench.says) == 1
    bench.tick(45)
    assert bench.conditions[-1] == Condition(
        "generator.start_failure", "d", True, T0 + 43_000, "running", arguments={"device": "f", "seconds": 30}
    )
    bench.feed(90, "running", 1)
    assert bench.says[-1] == (90, False)


def polled() -> Bench:
    """The generator's state is read once a minute, at 7, 67, 127 s."""
    bench = power(interval=60)
    bench.feed(7, "running", 0)
    lost(bench)
    bench.tick(50)
    assert [c.rule for c in bench.conditions] == ["power.mains_lost"]
    return bench


def test_a_set_that_is_read_once_a_minute_is_judged_by_the_reading_after_its_time() -> None:
    bench = polled()
    bench.feed(67, "running", 1)
    bench.tick(200)
    assert [c.rule for c in bench.conditions] == ["power.mains_lost"]
    failed = polled()
    failed.feed(67, "running", 0)
    assert failed.says[-1] == (43, True)


def test_a_set_that_is_not_read_any_more_is_told_a_minute_later() -> None:
    bench = polled()
    bench.tick(108)
    assert len(bench.says) == 1
    bench.tick(110)
    assert bench.says[-1] == (43, True)


def test_mains_that_come_back_end_the_wait() -> None:
    bench = power()
    lost(bench)
    for second in (20, 26):
        bench.feed(second, "voltage", 230, device="f")
    bench.tick(27)
    bench.tick(60)
    assert [c.rule for c in bench.conditions] == ["power.mains_lost", "power.mains_lost"]


def test_of_two_cuts_that_are_told_at_once_each_has_its_own_time() -> None:
    bench = power()
    rows = [(10, 0), (14, 0), (50, 230), (56, 230), (60, 0), (64, 0)]
    batch = bench.batch([(at, "voltage", value) for at, value in rows], received=70, device="f")
    bench.conditions += bench.engine.feed(batch)
    for second in range(71, 200, 5):
        bench.tick(second)
    of_it = [c for c in bench.conditions if c.rule == "generator.start_failure"]
    assert [((c.at - T0) / 1000, c.active) for c in of_it] == [(43, True), (55, False), (93, True)]


def test_a_set_that_starts_when_it_is_no_longer_wanted_was_late_until_the_mains_came_back() -> None:
    bench = power()
    rows = [(10, 0), (14, 0), (50, 230)]
    batch = bench.batch([(at, "voltage", value) for at, value in rows], received=50, device="f")
    bench.conditions += bench.engine.feed(batch)
    bench.tick(58)  # the mains are back since 55
    bench.feed(58, "running", 1)
    of_it = [c for c in bench.conditions if c.rule == "generator.start_failure"]
    assert [((c.at - T0) / 1000, c.active) for c in of_it] == [(43, True), (55, False)]


def test_a_feeder_that_it_does_not_back_is_none_of_its_business() -> None:
    bench = power()
    lost(bench, "other")
    bench.tick(60)
    assert [c.rule for c in bench.conditions] == ["power.mains_lost"]
    every = power(backs="")
    lost(every, "other")
    every.tick(60)
    assert every.conditions[-1].rule == "generator.start_failure"
