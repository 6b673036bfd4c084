"""What is wrong is named and contained, and the engine goes on: rules, numbers, clocks, floods."""

from __future__ import annotations

import math

from tests.unit.duty.duty_room import T0, Room, device, gauge, state

from dutyroom.flows.idle_rules import idle
from dutyroom.rules.parse import parse_rules
from dutyroom.timebase import DAY
from dutyroom.topology import Topology, check, downstream, upstream

RULES = """rules:
- {id: own.pressure, kind: limit, name: {en: low, zh-CN: 低}, select: {classes: [pump]}, point: presure, parameters: {below: 1}}
- {id: own.height, kind: limit, name: {en: high, zh-CN: 高}, select: {classes: [pump]}, point: level,
   parameters: {above: {parameter: height, share: 0.9}}}
- {id: own.month, kind: continuous_flow, name: {en: runs, zh-CN: 流}, select: {classes: [water_meter]}, point: volume,
   parameters: {over: 400d}}
"""
DEVICES = [device("pump", "pump", 10), device("lift", "elevator", 10), device("meter", "water_meter", 300)]
SPECS = {
    "pump": [gauge("level")],
    "elevator": [state("fault_code", 10)],
    "water_meter": [gauge("volume", "m3", 300)],
}


def room(topology: Topology | None = None) -> Room:
    return Room(DEVICES, SPECS, parse_rules(RULES, "rules.yaml"), topology)


def works(made: Room, second: float) -> None:
    """The elevator's fault is still an alarm."""
    made.at(second)
    made.reads(("lift", "fault_code", 36))
    made.at(second + 40)
    assert "elevator.fault@lift" in made.alarms()


def test_rules_that_cannot_run_are_named_and_all_others_run() -> None:
    made = room()
    made.engine.tick(T0)
    said = {(f.device, f.detail) for f in idle(made.engine, T0)}
    assert ("", "own.pressure: no device that it selects has the point 'presure'") in said
    assert ("pump", "own.height: device pump needs the number parameter 'height'") in said
    works(made, 10)


def test_they_are_findings_ten_minutes_after_the_start_and_twice_a_day() -> None:
    made = room()
    made.at(11 * 60, step=30)
    assert {f.kind for f in made.journal.findings} == {"rule_idle"}
    once = len(made.journal.findings)
    made.at(3600, step=60)
    assert len(made.journal.findings) == once
    made.at(13 * 3600, step=600)
    assert len(made.journal.findings) == 2 * once


def test_a_window_longer_than_all_history_says_nothing() -> None:
    made = room()
    for step in range(50):
        made.clock.at = T0 + step * 300_000
        made.reads(("meter", "volume", step))
        made.watch.tick(made.clock.at)
    assert not any(key.startswith("own.month") for key in made.alarms())


def test_what_is_no_number_is_passed_over() -> None:
    made = room()
    made.at(1)
    made.reads(("lift", "fault_code", math.nan))
    made.reads(("lift", "fault_code", math.inf))
    assert made.alarms() == {}
    works(made, 5)


def test_a_clock_that_jumps_a_year_ahead_does_not_blind_the_engine() -> None:
    made = room()
    made.at(1)
    made.reads(("lift", "fault_code", 36), at=365 * DAY // 1000)
    assert made.alarms() == {}
    works(made, 5)


def test_a_clock_that_jumps_a_year_back_is_counted() -> None:
    made = room()
    made.at(1)
    made.reads(("lift", "fault_code", 0))
    made.reads(("lift", "fault_code", 36), at=-365 * DAY // 1000)
    assert made.alarms() == {}
    assert made.engine.late["lift"] == 1
    works(made, 5)


def test_a_device_that_floods_holds_up_nobody() -> None:
    made = room()
    made.at(1)
    rows = [("pump", "level", float(n % 7)) for n in range(2_000)]
    made.journal.append(*(made.batch(row, at=2 + n // 1000) for n, row in enumerate(rows)))
    works(made, 5)


def test_a_topology_that_feeds_itself_is_named_and_walked_once() -> None:
    ring = Topology({"power": {"pump": ("lift",), "lift": ("pump",)}})
    assert "is a loop" in check(ring)[0]
    assert downstream(ring, "power", "pump") >= {"lift"}
    assert upstream(ring, "power", "pump") >= {"lift"}
    works(room(ring), 5)
