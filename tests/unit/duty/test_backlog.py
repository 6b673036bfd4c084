"""A gateway was away and hands out what it kept, in order: a loss of power that was over before anybody heard of it calls nobody."""

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
def test_a_loss_that_was_over_by_then_is_on_record_without_a_ticket(pause: int) -> None:
    """pause: seconds in the middle of what it hands out."""
    room = house()
    alone(room)
    told, tickets = set(room.records.rows.outbox), set(room.tickets())
    kept(room, 300, 600, ("b0", "voltage", 0))
    room.at(1190 + pause)
    kept(room, 600, 1200, ("b0", "voltage", 230))
    for second in range(1220, 1400, 10):
        room.at(second)
        room.reads(("feeder", "voltage", 230), ("b0", "voltage", 230), ("lift", "trapped", 0))
    (found,) = (a for a in room.records.rows.alarms.values() if a.rule == "power.mains_lost")
    assert found.cleared_at is not None
    assert found.ticket is None
    assert set(room.records.rows.outbox) == told
    assert set(room.tickets()) <= tickets


def test_the_next_loss_has_its_ticket() -> None:
    room = house()
    alone(room)
    kept(room, 300, 600, ("b0", "voltage", 0))
    kept(room, 600, 1200, ("b0", "voltage", 230))
    for second in range(1200, 1300, 10):
        room.at(second)
        room.reads(("feeder", "voltage", 230), ("b0", "voltage", 0 if second >= 1230 else 230))
    assert "power.mains_lost|b0" in room.tickets()


def test_records_that_are_played_faster_than_they_happened_have_their_tickets() -> None:
    room = house()
    room.at(100_000, step=600)
    for second in range(100_000, 100_300):
        room.at(second)
        played = 300 + (second - 100_000) * 10
        room.reads(("b0", "voltage", 0 if 600 <= played < 1200 else 230), at=played)
    assert "power.mains_lost|b0" in room.tickets()


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
