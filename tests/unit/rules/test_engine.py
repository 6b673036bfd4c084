"""The engine: what it looks at, what it keeps, and that it goes on."""

from __future__ import annotations

import random
import time
from dataclasses import replace

import numpy as np
import pytest
from tests.unit.rules.kind_bench import T0, Bench, counter, gauge, rule, shipped, state

from dutyroom.errors import Rejected
from dutyroom.model.duty import Condition, Device, DeviceStatus
from dutyroom.model.telemetry import Batch, Lane, Readings
from dutyroom.rules.engine import Engine
from dutyroom.rules.parse import default_rules

LIMIT = rule("kind: limit\npoint: p\nparameters: {above: 3}\non_delay: 60s")


def test_points_and_devices_that_appear_later_are_picked_up() -> None:
    bench = Bench(LIMIT)
    bench.add("d", gauge("p"))
    bench.run("p", [4] * 8)
    assert bench.says == [(60, True)]
    bench.devices["e"] = Device("s", "e", "E", "sensor", "v/m", "e", "A")
    bench.add("e", gauge("p"))
    bench.run("p", [4] * 8, start=100, device="e")
    assert bench.says[-1] == (160, True)


def test_a_point_that_a_device_gets_later_joins_what_looks_at_all_of_it() -> None:
    bench = Bench([shipped("meter.decrease"), LIMIT], counter("volume"), gauge("p"), kind="water_meter")
    bench.run("volume", [1000, 1010], every=900)
    bench.run("p", [4] * 4, start=1800)
    bench.add("d", counter("reverse"))
    bench.run("reverse", [500, 20], start=1840, every=1)
    bench.run("p", [4] * 3, start=1840)
    bench.feed(2700, "volume", 5)
    assert bench.says == [(1841, True), (1860, True), (2700, True)]


def test_a_reading_of_an_unknown_point_disturbs_nothing() -> None:
    bench = Bench(LIMIT, gauge("p"))
    stray = Batch("s", Lane.NORMAL, T0, (), Readings.of([(77, T0, 5.0, 0, 0), (1, T0, 4.0, 0, 0)]))
    assert bench.engine.feed(stray) == []


def test_a_restored_state_goes_on_where_it_was() -> None:
    whole = Bench(LIMIT, gauge("p"))
    whole.run("p", [4] * 8)
    for split in range(8):
        first = Bench(LIMIT, gauge("p")).run("p", [4] * split)
        second = Bench(LIMIT, gauge("p"))
        assert second.engine.restore(first.engine.snapshot()) == set()
        second.run("p", [4] * (8 - split), start=split * 10)
        assert first.says + second.says == whole.says


def test_every_kind_keeps_its_state() -> None:
    rules = default_rules()
    for kind, specs in {
        "water_meter": (counter("volume", 60), gauge("flow")),
        "electricity_meter": (counter("energy", 60),),
        "elevator": (state("trapped"), state("fault_code")),
        "generator": (state("running"), state("fault_code"), gauge("fuel")),
        "tank": (gauge("level", 60),),
    }.items():
        chance = random.Random(4)
        bench = Bench(rules, *specs, kind=kind, height=3.0)
        bench.started(0)
        for n in range(300):
            bench.feed(n * 60, chance.choice(specs).name, chance.choice([0, 1, 100, 5000]))
        other = Bench(rules, *specs, kind=kind, height=3.0)
        other.engine.restore(bench.engine.snapshot())
        assert other.engine.snapshot() == bench.engine.snapshot()
        rows = [(18_100 + 60 * n, chance.choice(specs).name, chance.choice([0, 1, 9000])) for n in range(200)]
        for second, name, value in rows:
            assert bench.feed(second, name, value) == other.feed(second, name, value)


def test_a_changed_rule_starts_afresh_and_a_withdrawn_one_is_named() -> None:
    bench = Bench([LIMIT, shipped("fire.alarm")], gauge("p"), state("alarm"), kind="fire_panel").run(
        "p", [4] * 6
    )
    changed = replace(LIMIT, on_delay=30_000)
    other = Bench(changed, gauge("p"), state("alarm"), kind="fire_panel")
    assert other.engine.restore(bench.engine.snapshot()) == {("fire.alarm", "d")}
    other.run("p", [4] * 4, start=60)
    assert other.says == [(90, True)]


def test_reload_keeps_what_did_not_change_and_names_what_is_gone() -> None:
    bench = Bench([LIMIT, shipped("fire.alarm")], gauge("p"), state("alarm"), kind="fire_panel").run(
        "p", [4] * 6
    )
    assert bench.engine.reload([LIMIT], bench.devices) == {("fire.alarm", "d")}
    bench.run("p", [4] * 2, start=60)
    assert bench.says == [(60, True)]
    withdrawn = {"d": replace(bench.devices["d"], status=DeviceStatus.WITHDRAWN)}
    assert bench.engine.reload([LIMIT], withdrawn) == {("r", "d")}


@pytest.mark.parametrize("data", [b"", b"\x00\x01", b"x\x9c\x03\x00\x00\x00\x00\x01"])
def test_what_is_no_snapshot_is_refused(data: bytes) -> None:
    with pytest.raises(Rejected, match="not a snapshot"):
        Bench(LIMIT, gauge("p")).engine.restore(data)


def test_the_alarm_table_knows_what_time_alone_decided() -> None:
    bench = Bench(shipped("gate.held_open"), state("door_open"), kind="gate")
    bench.engine.adopt([Condition("gate.held_open", "d", True, T0)], T0)
    assert bench.feed(10, "door_open", 1) == []
    assert [c.active for c in bench.feed(20, "door_open", 0)] == [False]


def test_a_backlog_meets_its_deadlines_in_between() -> None:
    """Batches judged long after they came give what they would have given then."""
    bench = Bench(shipped("gate.held_open"), state("door_open"), gauge("p"), kind="gate")
    for second, name, value in ((0, "door_open", 1), (60, "p", 1), (130, "p", 1), (140, "door_open", 0)):
        bench.feed(second, name, value)
    assert bench.says == [(120, True), (140, False)]


def test_a_backlog_in_one_batch_gives_what_it_would_have_given_then() -> None:
    """What came late all at once: a door that closed in time was never held open, one that did not was."""
    bench = Bench(shipped("gate.held_open"), state("door_open"), kind="gate")
    bench.feed(0, "door_open", 1)
    rows = [(8, "door_open", 0), (60, "door_open", 1), (300, "door_open", 0)]
    bench.conditions += bench.engine.feed(bench.batch(rows, received=900))
    assert bench.says == [(180, True), (300, False)]


def test_a_lane_that_is_ahead_does_not_hurry_the_other() -> None:
    bench = Bench(shipped("gate.held_open"), state("door_open"), kind="gate")
    bench.feed(0, "door_open", 1)
    urgent = replace(bench.batch([(900, "door_open", 1)]), lane=Lane.PRIORITY, readings=Readings.empty())
    assert bench.engine.feed(urgent) == []
    bench.feed(8, "door_open", 0)
    assert bench.says == []


def test_what_waited_while_nobody_listened_waits_anew() -> None:
    bench = Bench(shipped("gate.held_open"), state("door_open"), kind="gate")
    bench.feed(0, "door_open", 1)
    bench.started(600)
    bench.tick(719)
    assert bench.says == []
    bench.tick(721)
    assert bench.says == [(120, True)]


@pytest.mark.parametrize("then", [0, 1])
def test_a_door_seen_before_and_after_a_pause_was_not_seen_in_between(then: int) -> None:
    bench = Bench(shipped("gate.held_open"), state("door_open"), kind="gate")
    bench.feed(0, "door_open", 1)
    bench.started(300_000)
    bench.feed(300_010, "door_open", then)
    bench.tick(300_120)
    assert bench.says == []


def test_what_was_said_during_a_pause_counts_in_its_own_time() -> None:
    bench = Bench(shipped("gate.held_open"), state("door_open"), kind="gate")
    bench.feed(0, "door_open", 1)
    bench.started(600)
    bench.feed(500, "door_open", 0, received=600)
    assert bench.says == [(120, True), (500, False)]


def test_readings_without_rules_cost_next_to_nothing() -> None:
    devices = {f"d{n}": Device("s", f"d{n}", "", "sensor", "v/m", str(n), "A") for n in range(1000)}
    bench = Bench(LIMIT)
    bench.engine = Engine([LIMIT], bench.table, devices)
    bench.devices = devices
    for name in devices:
        bench.add(name, gauge("other"))
    count = 100_000
    columns = Readings(
        (np.arange(count) % 1000 + 1).astype(np.int32),
        np.arange(count, dtype=np.int64) + T0,
        np.ones(count),
        np.zeros(count, dtype=np.uint8),
        np.zeros(count, dtype=np.int32),
    )
    bench.engine.feed(Batch("s", Lane.NORMAL, T0, (), Readings.empty()))
    began = time.process_time()
    assert bench.engine.feed(Batch("s", Lane.NORMAL, T0 + count, (), columns)) == []
    assert (time.process_time() - began) / count < 2e-6
