"""Doors that stand open, whatever the maker of their contact calls it."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.shipped_profiles import shipped_profiles
from tests.unit.rules.kind_bench import Bench, shipped, state

from dutyroom.model.telemetry import Kind, PointSpec
from dutyroom.rules.spec import matches

# Doors 2 to 4 have a rule of their own; a raised bar and a valve are no door; of two contacts nobody knows which is the door.
OTHERS = {"door_open_2", "door_open_3", "door_open_4", "barrier_open", "valve", "contact_1", "contact_2"}
DOORS = [
    (profile.id, spec)
    for profile in shipped_profiles()
    for spec in profile.points
    if profile.device_class == "gate" and spec.kind is Kind.STATE and spec.name not in OTHERS
    if "value.gate.open" in spec.labels.values()
]


def told(spec: PointSpec) -> list[tuple[float, bool]]:
    bench = Bench(shipped("gate.held_open"), spec, kind="gate")
    bench.feed(0, spec.name, 0)
    bench.feed(10, spec.name, 1)
    bench.tick(131)
    bench.feed(200, spec.name, 0)
    return bench.says


@pytest.mark.parametrize("spec", [spec for _, spec in DOORS], ids=[f"{p}: {spec.name}" for p, spec in DOORS])
def test_a_door_that_stands_open_is_told(spec: PointSpec) -> None:
    assert told(spec) == [(130, True), (200, False)]


def test_there_are_such_doors() -> None:
    assert len(DOORS) > 5


def test_a_contact_of_which_nobody_says_what_it_means_is_no_open_door() -> None:
    assert told(state("contact")) == []
    assert told(replace(state("contact"), labels={0: "value.gate.open", 1: "value.gate.closed"})) == []


def test_a_window_may_stand_open() -> None:
    rule = shipped("gate.held_open")
    bench = Bench(rule, state("open"), kind="gate")
    device = bench.devices["d"]
    assert matches(rule.select, device)
    assert not matches(rule.select, replace(device, parameters={"use": "window"}))
