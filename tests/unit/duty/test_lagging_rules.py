"""A rule that looks at nights knows of the end of a leak some nights later: no second ticket meanwhile."""

from __future__ import annotations

import random
from decimal import Decimal

import pytest
from tests.unit.duty.duty_room import Room, device, state

from dutyroom import alarms
from dutyroom.model.duty import AlarmEvent
from dutyroom.model.telemetry import Kind, PointSpec
from dutyroom.rules.parse import default_rules, parse_rules
from dutyroom.timebase import HOUR
from dutyroom.topology import Topology

RULES = """rules:
  - id: leak
    kind: state
    name: {zh-CN: 漏, en: L}
    select: {classes: [water_meter]}
    point: leak
    parameters: {equals: 1}
  - id: nights
    kind: state
    name: {zh-CN: 夜, en: N}
    select: {classes: [water_meter]}
    point: high
    parameters: {equals: 1}
    explained_by: [{rule: leak, below: water}]
"""


def room_with(more: str) -> Room:
    devices = [device("riser", "water_meter", use="riser"), device("home", "water_meter")]
    rules = [rule for rule in parse_rules(RULES + more, "rules.yaml") if rule.id in ("leak", "nights")]
    topology = Topology({"water": {"home": ("riser",)}})
    return Room(devices, {"water_meter": [state("leak"), state("high")]}, rules, topology)


def until(room: Room, hours: float) -> Room:
    return room.at(hours * HOUR / 1000, step=600)


def mended(room: Room) -> Room:
    """The home leaks for a day, the riser's nights say so too, then the home is mended."""
    until(room, 1).reads(("home", "leak", 1), ("riser", "high", 0))
    until(room, 6).reads(("riser", "high", 1))
    assert until(room, 7).tickets() == ["leak|home"]
    assert room.alarms() == {"leak@home": "unacknowledged", "nights@riser": "suppressed"}
    until(room, 25).reads(("home", "leak", 0))
    return room


@pytest.mark.parametrize("restart", [False, True])
def test_what_lags_stays_quiet_until_it_knows(restart: bool) -> None:
    room = mended(room_with("    lags: 2d\n"))
    alarm, _ = alarms.step(room.alarm("leak", "home"), AlarmEvent.ACKNOWLEDGE, room.clock.at, "plumber", "")
    assert alarm.ended_at is not None
    room.records.rows.alarms[alarm.id] = alarm
    until(room, 40)
    if restart:
        room.restart()
    assert until(room, 60).alarms() == {"nights@riser": "suppressed"}
    until(room, 65).reads(("riser", "high", 0))
    assert room.alarms() == {}
    assert room.tickets() == ["leak|home"]


def test_what_still_stands_when_its_time_is_over_is_a_leak_of_its_own() -> None:
    room = mended(room_with("    lags: 2d\n"))
    assert until(room, 72).alarms()["nights@riser"] == "suppressed"
    assert until(room, 74).alarms()["nights@riser"] == "unacknowledged"
    assert room.tickets() == ["leak|home", "nights|riser"]


def test_without_it_the_grace_is_some_minutes() -> None:
    room = mended(room_with(""))
    assert until(room, 26).alarms()["nights@riser"] == "unacknowledged"


def test_a_leak_that_two_shipped_rules_tell_is_one_ticket_after_its_repair_too() -> None:
    """Leaks on from the eleventh day for four: 24 h without rest tells it first, what is ordinary in that home a day later; that
    knows some hours after the other that it is over."""
    chance = random.Random(3)
    rules = [rule for rule in default_rules() if "water_meter" in rule.select.classes]
    register = PointSpec("volume", unit="m3", interval_s=900, kind=Kind.COUNTER, step=Decimal("0.001"))
    room = Room([device("home", "water_meter", 900)], {"water_meter": [register]}, rules)
    litres = 100_000.0
    for quarter in range(17 * 96):
        day, hour = quarter / 96, (quarter / 4 + 16) % 24
        used = chance.random() * 15 if 6.5 <= hour < 23 and chance.random() < 0.35 else 0.0
        litres += used + (1.0 if 11.3 <= day < 15.3 else 0.0)
        room.at(quarter * 900, step=900)
        room.reads(("home", "volume", round(litres)))
    seen = {a.rule for a in room.records.rows.alarms.values()}
    assert seen == {"water.leak", "water.home_leak"}
    assert all(a.cleared_at is not None for a in room.records.rows.alarms.values())
    assert room.tickets() == ["water.leak|home"]
