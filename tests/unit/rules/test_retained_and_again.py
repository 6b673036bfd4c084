"""Readings that are no sign of life: what a broker had retained, and what is read again from quarantine."""

from __future__ import annotations

from dataclasses import replace

import pytest
from msgspec import structs
from tests.unit.rules.kind_bench import T0, Bench, gauge, rule, shipped, state

from dutyroom.model.telemetry import Event, Quality, Readings

STALE = "kind: stale\nparameters: {after: 10min}"
LIMIT = "kind: limit\npoint: p\nparameters: {above: 3}\non_delay: 60s\noff_delay: 60s"


def test_what_is_read_again_neither_ends_a_silence_nor_puts_it_off() -> None:
    bench = Bench(rule(STALE), gauge("p"))
    bench.started(0)
    bench.feed(10, "p", 1)
    bench.tick(700)
    assert bench.says == [(610, True)]
    late = replace(bench.batch([(300, "p", 1)], received=400), again=True)
    assert bench.engine.feed(late) == []
    assert bench.engine.heard("d") == T0 + 10_000
    bench.feed(800, "p", 1)
    assert bench.says[-1] == (800, False)


def test_what_is_read_again_is_judged_in_its_own_time() -> None:
    bench = Bench(rule("kind: limit\npoint: p\nparameters: {above: 3}"), gauge("p"))
    late = replace(bench.batch([(100, "p", 9)], received=100), again=True)
    (raised,) = bench.engine.feed(late)
    assert (raised.active, raised.at) == (True, T0 + 100_000)
    bench.feed(500, "p", 1)
    assert bench.says == [(500, False)]
    older = replace(bench.batch([(200, "p", 9)], received=200), again=True)
    assert bench.engine.feed(older) == []
    assert bench.engine.late["d"] == 1


def test_what_is_read_again_tells_no_time() -> None:
    """Else a wait that began just now would be measured by a clock of yesterday, or the other way."""
    bench = Bench(shipped("gate.held_open"), state("door_open"), state("other"), kind="gate")
    bench.feed(0, "door_open", 1)
    bench.engine.feed(replace(bench.batch([(500, "other", 1)], received=500), again=True))
    assert bench.says == []
    bench.tick(121)
    assert bench.says == [(120, True)]


def test_a_retained_event_is_no_sign_of_life() -> None:
    bench = Bench(rule(STALE), gauge("p"), state("passage"))
    bench.started(0)
    bench.feed(10, "p", 1)
    whole = bench.batch([(10, "p", 1)], received=500, quality=Quality.RETAINED)
    record = structs.replace(
        whole.messages[0], message=structs.replace(whole.messages[0].message, retained=True)
    )
    event = Event(2, T0, "1", "granted", {}, 0)
    bench.engine.feed(replace(whole, messages=(record,), events=(event,)))
    bench.tick(611)
    assert bench.says == [(610, True)]
    fresh = bench.batch([(10, "p", 1)], received=700, quality=Quality.RETAINED)
    assert len(fresh.readings) == 1
    out = bench.engine.feed(replace(fresh, readings=fresh.readings, events=(event,)))
    assert [c.active for c in out] == [False]


def test_time_alone_does_not_clear_what_a_broker_says_still_holds() -> None:
    bench = Bench(rule(LIMIT.replace("gap", "")), state("p"))
    bench.feed(0, "p", 9)
    bench.tick(61)
    bench.feed(100, "p", 1)  # the end must be seen for a minute
    bench.feed(120, "p", 9, quality=Quality.RETAINED)
    bench.tick(400)
    assert bench.says == [(60, True)]
    bench.feed(500, "p", 1)
    bench.tick(561)
    assert bench.says == [(60, True), (560, False)]


def test_a_retained_state_takes_no_wait_away() -> None:
    bench = Bench(rule(LIMIT), state("p"))
    bench.feed(0, "p", 9)
    bench.feed(30, "p", 1, quality=Quality.RETAINED)
    bench.tick(61)
    assert bench.says == [(60, True)]


def test_of_two_sides_a_retained_one_ends_nothing() -> None:
    text = (
        "kind: meanwhile\npoint: running\nparameters: {equals: 1, other: tank, other_point: level, above: 3}"
    )
    bench = Bench(rule(text), state("running"), tank="t")
    bench.devices["t"] = replace(bench.devices["d"], id="t", address="t", parameters={})
    bench.add("t", gauge("level"))
    bench.feed(0, "running", 1)
    bench.feed(10, "level", 4, device="t")
    assert bench.says == [(10, True)]
    bench.feed(20, "running", 0, quality=Quality.RETAINED)
    bench.feed(30, "level", 5, device="t")
    assert bench.says == [(10, True)]
    bench.feed(40, "running", 0)
    assert bench.says == [(10, True), (40, False)]


def test_an_empty_batch_says_nothing() -> None:
    bench = Bench(rule(STALE), gauge("p"))
    empty = replace(bench.batch([(0, "p", 1)]), readings=Readings.empty(), again=True)
    assert bench.engine.feed(empty) == []


def test_another_interval_of_a_point_counts_at_once_and_what_waits_goes_on() -> None:
    bench = Bench(rule(LIMIT), gauge("p", 10))
    bench.feed(0, "p", 9)
    point = bench.table.find("d", "p")
    assert point is not None
    bench.table.add(replace(point, spec=replace(point.spec, interval_s=600)))
    bench.feed(100, "p", 9)  # ten of the old intervals, within the new one
    assert bench.says == [(60, True)]


PHASES = [gauge(f"voltage_{phase}", None) for phase in "abc"]


def kept(*volts: float, interval: int | None = None) -> Bench:
    """A feeder of which the broker had kept what its phases last said."""
    bench = Bench(shipped("power.mains_lost"), *(gauge(p.name, interval) for p in PHASES), kind="feeder")
    for spec, value in zip(PHASES, volts, strict=False):
        bench.feed(0, spec.name, value, quality=Quality.RETAINED)
    return bench


def test_a_feeder_that_was_dead_before_we_listened_is_told_where_values_come_on_change() -> None:
    dead = kept(0, 1, 0)
    dead.tick(10)
    assert dead.says == [(3, True)]
    dead.feed(60, "voltage_a", 230)
    dead.tick(70)
    assert dead.says[-1] == (65, False)
    asked = kept(0, 1, 0, interval=60)
    asked.tick(10)
    assert asked.says == []


@pytest.mark.parametrize("volts", [(0, 230), (230, 0), (0, 1, 230)])
def test_of_kept_phases_one_that_lives_is_enough(volts: tuple[float, ...]) -> None:
    bench = kept(*volts)
    bench.tick(100)
    assert bench.says == []


def test_what_a_broker_kept_takes_no_wait_away_that_a_reading_began() -> None:
    bench = kept(230, 0, 0)
    bench.feed(10, "voltage_a", 0)
    bench.feed(11, "voltage_b", 229, quality=Quality.RETAINED)
    bench.tick(20)
    assert bench.says == [(13, True)]
