"""A gateway was away and hands out what it kept, in order: what was over before anybody heard of it calls nobody."""

from __future__ import annotations

import pytest
from tests.unit.duty.duty_room import Room, device, gauge, person, state

from dutyroom.topology import Topology


def house() -> Room:
    room = Room(
        [device("feeder", "feeder", 10), device("b0", "feeder", 10), device("lift", "elevator", 10)],
        {"feeder": [gauge("voltage")], "elevator": [state("trapped", 10), state("fault_code")]},
        topology=Topology({"power": {"b0": ("feeder",), "lift": ("b0",)}}),
    )
    room.records.rows.people = [person("li")]
    for second in range(0, 300, 10):
        room.at(second)
        room.reads(("feeder", "voltage", 230), ("b0", "voltage", 230), ("lift", "trapped", 0))
    return room


def kept(room: Room, since: int, until: int, *rows: tuple[str, str, float]) -> None:
    for second in range(since, until, 10):
        room.reads(*rows, at=second)


def alone(room: Room) -> None:
    """The feeder goes on speaking, and nothing else is heard, for a quarter of an hour."""
    for second in range(300, 1200, 10):
        room.at(second)
        room.reads(("feeder", "voltage", 230))


@pytest.mark.parametrize("pause", [0, 10])
def test_what_was_over_by_then_is_on_record_without_a_ticket(pause: int) -> None:
    """pause: seconds in the middle of what it hands out."""
    room = house()
    alone(room)
    told = set(room.records.rows.outbox)
    tickets = room.tickets()
    kept(room, 300, 600, ("b0", "voltage", 0), ("lift", "fault_code", 7))
    room.at(1190 + pause)
    kept(room, 600, 1200, ("b0", "voltage", 230), ("lift", "fault_code", 0))
    for second in range(1220, 1400, 10):
        room.at(second)
        room.reads(("feeder", "voltage", 230), ("b0", "voltage", 230), ("lift", "trapped", 0))
    found = {
        a.rule: a
        for a in room.records.rows.alarms.values()
        if a.rule in ("power.mains_lost", "elevator.fault")
    }
    assert sorted(found) == ["elevator.fault", "power.mains_lost"]
    assert all(a.cleared_at is not None and a.ticket is None for a in found.values())
    assert set(room.records.rows.outbox) == told
    assert set(room.tickets()) <= set(tickets)


def test_what_stands_still_has_its_ticket() -> None:
    room = house()
    alone(room)
    kept(room, 300, 1200, ("b0", "voltage", 0), ("lift", "fault_code", 7))
    for second in range(1200, 1240, 10):
        room.at(second)
        room.reads(("feeder", "voltage", 230), ("b0", "voltage", 0), ("lift", "fault_code", 7))
    assert "power.mains_lost|b0" in room.tickets()
    assert "elevator.fault|lift" in [
        *room.tickets(),
        *(f"{a.rule}|{a.object}" for a in room.records.rows.alarms.values() if a.root),
    ]


def test_an_entrapment_is_told_whenever_it_was() -> None:
    room = house()
    alone(room)
    kept(room, 300, 600, ("lift", "trapped", 1))
    kept(room, 600, 1200, ("lift", "trapped", 0))
    room.at(1201)
    assert "elevator.entrapment|lift" in room.tickets()


def test_a_short_fault_of_a_lift_whose_clock_is_slow_is_told() -> None:
    """Its clock is four minutes behind: what it says is old by its own account only."""
    room = house()
    for second in range(300, 500, 10):
        room.at(second)
        fault = 7 if 400 <= second < 420 else 0
        room.reads(("feeder", "voltage", 230), ("b0", "voltage", 230))
        room.reads(("lift", "fault_code", fault), at=second - 240)
    assert room.tickets() == ["elevator.fault|lift"]
