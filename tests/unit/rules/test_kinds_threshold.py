"""limit, state, rate, meanwhile: values against limits, in event time."""

from __future__ import annotations

import random

import pytest
from tests.unit.rules.kind_bench import T0, Bench, counter, gauge, rule, shipped, state

from dutyroom.errors import Invalid
from dutyroom.model.duty import Device
from dutyroom.model.telemetry import Quality

ABOVE = "kind: limit\npoint: p\nparameters: {above: 3, deadband: 0.5}\non_delay: 60s\noff_delay: 30s"


def test_a_limit_holds_for_its_delay_before_it_counts() -> None:
    bench = Bench(rule(ABOVE), gauge("p")).run("p", [1, 4, 4, 4, 4, 4, 4, 4, 4])
    assert bench.says == [(70, True)]
    condition = bench.conditions[0]
    assert (condition.value, condition.limit, condition.point) == (4, 3, "p")


def test_one_sample_back_inside_starts_the_delay_again() -> None:
    assert Bench(rule(ABOVE), gauge("p")).run("p", [4, 4, 4, 1, 4, 4, 4, 4, 4, 4]).says == []


def test_it_clears_only_beyond_the_deadband_and_after_the_off_delay() -> None:
    bench = Bench(rule(ABOVE), gauge("p")).run("p", [4] * 7 + [2.8, 2.6, 2.8] + [2.4] * 4)
    assert bench.says == [(60, True), (130, False)]


def test_a_duration_never_accrues_across_a_gap() -> None:
    bench = Bench(rule(ABOVE), gauge("p"))
    bench.feed(0, "p", 4)
    bench.feed(300, "p", 4)  # more than three intervals
    assert bench.says == []
    bench.run("p", [4] * 6, start=310)
    assert bench.says == [(360, True)]


def test_a_late_sample_never_satisfies_a_duration() -> None:
    bench = Bench(rule(ABOVE), gauge("p"))
    bench.feed(100, "p", 4)
    bench.feed(30, "p", 4, received=101)
    bench.feed(110, "p", 4)
    assert bench.says == []
    assert bench.engine.late == {"d": 1}


def test_a_duplicate_changes_nothing_and_is_not_late() -> None:
    bench = Bench(rule(ABOVE), gauge("p"))
    for second in range(0, 80, 10):
        bench.feed(second, "p", 4)
        bench.feed(second, "p", 4)
    assert bench.says == [(60, True)]
    assert not bench.engine.late


def test_time_completes_a_delay_while_the_value_holds_but_not_when_readings_stay_away() -> None:
    bench = Bench(rule("kind: limit\npoint: p\nparameters: {below: 50}\non_delay: 3s"), gauge("p"))
    bench.feed(0, "p", 0)
    bench.tick(2)
    assert bench.says == []
    bench.tick(4)
    assert bench.says == [(3, True)]
    slow = Bench(rule(ABOVE), gauge("p"))
    slow.feed(0, "p", 4)
    slow.tick(61)  # the last reading is six intervals old
    assert slow.says == []


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_what_is_no_number_is_not_seen(value: float) -> None:
    bench = Bench(rule("kind: limit\npoint: p\nparameters: {above: 3}"), gauge("p"))
    bench.feed(0, "p", value)
    assert bench.says == []
    bench.feed(10, "p", 4)
    bench.feed(20, "p", value)
    assert bench.says == [(10, True)]


def test_suspect_readings_are_never_seen_and_retained_ones_only_raise() -> None:
    bench = Bench(rule("kind: limit\npoint: p\nparameters: {above: 3}"), gauge("p"))
    bench.feed(0, "p", 9, quality=Quality.SUSPECT)
    assert bench.says == []
    bench.feed(10, "p", 9, quality=Quality.RETAINED)
    bench.feed(20, "p", 1, quality=Quality.RETAINED)
    bench.feed(30, "p", 1, quality=Quality.SUSPECT)
    assert bench.says == [(10, True)]
    bench.feed(40, "p", 1)
    assert bench.says == [(10, True), (40, False)]


def test_a_reading_from_the_future_does_not_silence_the_point() -> None:
    bench = Bench(rule("kind: limit\npoint: p\nparameters: {above: 3}"), gauge("p"))
    bench.feed(366 * 86_400, "p", 1, received=0)
    bench.feed(10, "p", 4)
    assert bench.says == [(10, True)]


def test_a_limit_as_a_share_of_a_parameter() -> None:
    bench = Bench(shipped("tank.overflow"), gauge("level", 600), kind="tank", height=3.0)
    bench.run("level", [2.8, 2.86, 2.84, 2.78], every=600)
    assert bench.says == [(600, True), (1800, False)]


def test_a_missing_parameter_is_named() -> None:
    bench = Bench(shipped("tank.overflow"), gauge("level", 600), kind="tank")
    assert bench.engine.problems == {("tank.overflow", "d"): "device d needs the number parameter 'height'"}


def test_noise_around_the_limit_does_not_chatter() -> None:
    chance = random.Random(1)
    text = "kind: limit\npoint: p\nparameters: {above: 3, deadband: 0.5}\non_delay: 30s\noff_delay: 30s"
    bench = Bench(rule(text), gauge("p"))
    bench.run("p", [3 + chance.uniform(-0.3, 0.3) for _ in range(10_000)])
    assert len(bench.says) <= 1


def test_a_state_that_comes_on_change_waits_by_receive_time() -> None:
    bench = Bench(shipped("gate.held_open"), state("door_open"), kind="gate")
    bench.feed(0, "door_open", 1)
    bench.tick(119)
    assert bench.says == []
    bench.tick(121)
    assert bench.says == [(120, True)]
    bench.feed(130, "door_open", 0)
    assert bench.says[-1] == (130, False)


def test_a_retained_state_begins_to_wait_when_it_is_received() -> None:
    bench = Bench(shipped("gateway.offline"), state("online"), kind="gateway")
    bench.feed(-5000, "online", 0, received=0, quality=Quality.RETAINED)
    bench.tick(59)
    assert bench.says == []
    bench.tick(61)
    assert bench.says == [(60, True)]


def test_a_fault_code_is_named_in_the_condition() -> None:
    bench = Bench(shipped("elevator.fault"), state("fault_code", 60), kind="elevator")
    bench.feed(0, "fault_code", 0)
    bench.feed(60, "fault_code", 36)
    bench.tick(62)
    bench.feed(120, "fault_code", 0)
    bench.tick(122)
    assert bench.says == [(61, True), (121, False)]
    assert bench.conditions[0].arguments == {"code": 36}


def test_rate_over_ten_minutes_or_one_long_interval() -> None:
    fast = Bench(shipped("water.unit_burst"), counter("volume", 60), kind="water_meter")
    fast.run("volume", [1000 + 50 * n for n in range(20)], every=60)  # 3 m3/h
    assert fast.says == [(600, True)]
    hourly = Bench(shipped("water.unit_burst"), counter("volume", 3600), kind="water_meter")
    hourly.run("volume", [0, 400, 3400, 3800], every=3600)
    assert hourly.says == [(7200, True), (10800, False)]
    assert hourly.conditions[0].arguments == {"rate": 3.0}


def test_rate_of_what_falls_fast() -> None:
    """A level that goes up and down by its noise, and then falls by a metre an hour."""
    bench = Bench(
        rule("kind: rate\npoint: level\nparameters: {below: -0.5, over: 10min}"), gauge("level", 60)
    )
    noise = [2.0, 2.01, 1.99, 2.0, 2.01] * 6
    bench.run("level", [*noise, *(2.0 - n / 60 for n in range(20))], every=60)
    (said,) = bench.conditions
    assert (said.active, said.limit) == (True, -0.5)
    assert -1.05 < float(str(said.arguments["rate"])) < -0.5
    with pytest.raises(Invalid, match="one of above and below"):
        rule("kind: rate\npoint: level\nparameters: {below: -0.5, above: 1}")
    with pytest.raises(Invalid, match=r"below.*a number below 0, such as -0\.5"):  # it would ring at rest
        rule("kind: rate\npoint: level\nparameters: {below: 0.5}")


def test_rate_of_a_gauge_that_rises_with_some_noise() -> None:
    bench = Bench(rule("kind: rate\npoint: temp\nparameters: {above: 5, over: 10min}"), gauge("temp", 60))
    bench.run("temp", [20 + n / 6 + (n % 2) / 4 for n in range(30)], every=60)
    assert [active for _, active in bench.says] == [True]


def test_rate_does_not_see_a_leap_over_a_gap_or_an_exchange() -> None:
    bench = Bench(shipped("water.unit_burst"), counter("volume", 60), kind="water_meter")
    bench.run("volume", [1000, 1001], every=60)
    bench.run("volume", [9000, 9001, 100, 101], start=90_000, every=60)
    assert bench.says == []


@pytest.mark.parametrize(
    ("every", "leap", "burst"), [(900, 10_000, False), (3600, 10_001, False), (900, 1_200, True)]
)
def test_a_register_that_leaps_farther_than_a_pipe_lets_through_is_no_burst(
    every: int, leap: int, burst: bool
) -> None:
    bench = Bench(shipped("water.unit_burst"), counter("volume", every), kind="water_meter")
    bench.run("volume", [1000, 1003, 1004 + leap, 1008 + leap, 1010 + leap], every=every)
    assert bench.says == ([(2 * every, True), (3 * every, False)] if burst else [])


@pytest.mark.parametrize(
    ("every", "leap", "burst"),
    [(5, 270_000, False), (5, 9_000, False), (60, 1_700, False), (300, 1_700, False), (60, 800, True)],
)
def test_nor_is_one_that_leaps_between_two_readings_of_a_minute(every: int, leap: int, burst: bool) -> None:
    """An exchange that is on record, to a higher register, was a burst of thousands of m3/h."""
    bench = Bench(shipped("water.unit_burst"), counter("volume", every), kind="water_meter")
    count = 1800 // every
    bench.run("volume", [1000 + n // 10 + (leap if n > count // 2 else 0) for n in range(count)], every=every)
    assert bool(bench.says) == burst


@pytest.mark.parametrize("every", [10, 30, 60, 300, 900, 3600])
@pytest.mark.parametrize("flow", [4, 12, 20, 40])  # m3/h
@pytest.mark.parametrize("use", ["unit", "fire", "shop", "pump"])
def test_however_much_flows_somebody_is_told_until_it_ends(every: int, flow: int, use: str) -> None:
    """Either as a burst or, of a home that speaks seldom, as a register that leapt."""
    both = [shipped("water.unit_burst"), shipped("meter.leap")]
    bench = Bench(both, counter("volume", every), kind="water_meter", use=use)
    readings = max(8, 3600 // every)
    bench.run(
        "volume", [1000, 1000, *(1000 + round(flow * n * every / 3.6) for n in range(readings))], every=every
    )
    told = {condition.rule: condition.active for condition in bench.conditions}
    assert any(told.values())
    assert use == "unit" or told.get("water.unit_burst")


def test_a_site_that_is_told_of_smaller_bursts_is_told_of_all_between() -> None:
    """A leap stays what no home can let through, whatever the limit; where a site allows as much, it is a flow."""
    for above, flow in ((1, 5), (12, 15)):
        quick = rule(f"kind: rate\npoint: volume\nparameters: {{above: {above}, leap: 10}}")
        bench = Bench(quick, counter("volume", 900), kind="water_meter")
        assert bench.run("volume", [1000, 1000, 1000 + flow * 250], every=900).says == [(1800, True)]


def test_a_pump_that_runs_while_its_tank_is_dry() -> None:
    bench = Bench(shipped("pump.dry_run"), state("running"), kind="pump", tank="t")
    bench.devices["t"] = Device("s", "t", "T", "tank", "v/m", "t", "A", {"height": 3.0})
    bench.add("t", gauge("level", 60))
    bench.feed(0, "level", 1.0, device="t")
    bench.feed(1, "running", 1)
    bench.feed(60, "level", 0.2, device="t")
    bench.tick(71)
    assert bench.says == [(70, True)]
    bench.feed(80, "running", 0)
    assert bench.says[-1] == (80, False)


def test_a_pump_whose_tank_does_not_exist_is_named() -> None:
    bench = Bench(shipped("pump.dry_run"), state("running"), kind="pump", tank="nowhere")
    assert bench.engine.problems == {("pump.dry_run", "d"): "device d: tank 'nowhere' does not exist"}


def test_event_times_within_a_batch_are_put_in_order() -> None:
    bench = Bench(rule(ABOVE), gauge("p"))
    rows = [(float(s), "p", 4.0) for s in range(0, 100, 10)]
    random.Random(3).shuffle(rows)
    out = bench.engine.feed(bench.batch(rows, received=100))
    assert [((c.at - T0) / 1000, c.active) for c in out] == [(60, True)]
    assert not bench.engine.late
