"""Fire, gas and water detectors that are no panel, by the names that their makers give to what they tell."""

from __future__ import annotations

import pytest
from tests.unit.duty.duty_room import Room, device, gauge, person, state

from dutyroom.model.duty import Priority


def told(room: Room) -> int:
    return len(room.records.rows.outbox)


@pytest.mark.parametrize(
    ("device_class", "point", "rule"),
    [
        ("fire_panel", "fire", "fire.detector"),
        ("sensor", "smoke", "fire.detector"),
        ("tank", "fire", "fire.detector"),
        ("fire_panel", "hot", "fire.heat"),
        ("fire_panel", "remote_fire", "fire.interconnected"),
        ("fire_panel", "co", "gas.monoxide"),
        ("sensor", "carbon_monoxide", "gas.monoxide"),
        ("sensor", "flood", "sensor.leak"),
        ("sensor", "water_leak", "sensor.leak"),
        ("sensor", "leak_2", "sensor.second_leak"),
        ("water_meter", "burst", "meter.burst_flag"),
    ],
)
def test_what_it_tells_is_an_alarm_with_a_ticket(device_class: str, point: str, rule: str) -> None:
    room = Room([device("D-1", device_class)], {device_class: [state(point)]})
    room.records.rows.people = [person("li")]
    room.at(5)
    room.reads(("D-1", point, 1))
    room.at(40)
    assert room.alarms() == {f"{rule}@D-1": "unacknowledged"}
    assert room.tickets() == [f"{rule}|D-1"]
    assert told(room) == 1


def test_smoke_and_heat_of_one_detector_are_both_told() -> None:
    room = Room([device("D-1", "fire_panel")], {"fire_panel": [state("fire"), state("hot")]})
    room.records.rows.people = [person("li")]
    room.at(5)
    room.reads(("D-1", "fire", 1))
    room.at(65)
    room.reads(("D-1", "hot", 1))
    assert room.alarms() == {"fire.detector@D-1": "unacknowledged", "fire.heat@D-1": "unacknowledged"}
    assert told(room) == 2
    assert room.alarm("fire.heat", "D-1").priority is Priority.EMERGENCY


def test_smoke_in_per_cent_is_no_code() -> None:
    percent = gauge("smoke", "%", None)
    room = Room([device("D-1", "fire_panel")], {"fire_panel": [state("alarm"), percent]})
    room.at(5)
    room.reads(("D-1", "alarm", 0), ("D-1", "smoke", 1))
    assert room.alarms() == {}
