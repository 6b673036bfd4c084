"""A fire panel that is in alarm already tells of a second detector."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from tests.unit.duty.duty_room import T0, Room, device, gauge, person, state

from dutyroom import alarms
from dutyroom.model.announced import Announced, Announcement
from dutyroom.model.duty import AlarmEvent
from dutyroom.model.telemetry import Readings

SPECS = {
    "fire_panel": [state("alarm"), gauge("alarm_loop", interval=None), gauge("alarm_detector", interval=None)]
}
FIRE = ("fire.alarm", "panel")


def burning() -> Room:
    """Loop 2, detector 17; the duty engineer has acknowledged."""
    room = Room([device("panel", "fire_panel")], SPECS)
    room.records.rows.people = [person("li"), person("wang")]
    at(room, 5, 2, 17)
    acknowledge(room)
    return room


def at(room: Room, second: int, loop: int, detector: int, alarm: int = 1) -> None:
    room.at(second)
    room.reads(
        ("panel", "alarm", alarm), ("panel", "alarm_loop", loop), ("panel", "alarm_detector", detector)
    )


def acknowledge(room: Room) -> None:
    with room.records.write() as tx:
        changed, change = alarms.step(room.alarm(*FIRE), AlarmEvent.ACKNOWLEDGE, room.clock.at, "li", "")
        tx.alarms.update(changed)
        tx.alarms.log(change)


def messages(room: Room) -> list[str]:
    return sorted(key.split("|")[0] + "|" + key.rpartition("|")[2] for key in room.records.rows.outbox)


def test_a_second_detector_sounds_again_on_the_same_ticket() -> None:
    room = burning()
    assert room.alarms() == {"fire.alarm@panel": "acknowledged"}
    at(room, 40, 3, 5)
    assert room.alarms() == {"fire.alarm@panel": "unacknowledged"}
    assert room.tickets() == ["fire.alarm|panel"]
    assert messages(room) == ["li|further:1", "li|raised", "wang|further:1", "wang|raised"]
    (ticket,) = room.records.rows.tickets.values()
    for arguments in (room.alarm(*FIRE).arguments, ticket.arguments):
        assert (arguments["also.0.alarm_loop"], arguments["also.1.alarm_detector"]) == (2, 17)
        assert (arguments["more.001.0.alarm_loop"], arguments["more.001.1.alarm_detector"]) == (3, 5)
    assert room.records.rows.alarm_log[-1].reason == "alarm.reason.further:3 · 5"


def test_a_panel_that_repeats_itself_says_nothing_new() -> None:
    room = burning()
    at(room, 40, 2, 17)
    room.restart()
    at(room, 50, 2, 17)
    assert room.alarms() == {"fire.alarm@panel": "acknowledged"}
    at(room, 60, 3, 5)
    acknowledge(room)
    room.restart()
    at(room, 70, 3, 5)
    at(room, 80, 2, 17)
    assert room.alarms() == {"fire.alarm@panel": "acknowledged"}
    assert len(messages(room)) == 4


def test_the_quiet_panel_with_no_detector_says_nothing() -> None:
    room = Room([device("panel", "fire_panel")], SPECS)
    at(room, 5, 0, 0, alarm=0)
    at(room, 9, 4, 4, alarm=0)
    assert room.alarms() == {}


def test_two_parts_in_one_message_at_one_instant() -> None:
    room = Room([device("panel", "fire_panel")], SPECS)
    room.records.rows.people = [person("li")]
    room.at(5)
    rows = [("panel", "alarm", 1), ("panel", "alarm_loop", 1), ("panel", "alarm_detector", 4)]
    room.reads(*rows, ("panel", "alarm", 1), ("panel", "alarm_loop", 1), ("panel", "alarm_detector", 9))
    said = room.alarm(*FIRE).arguments
    told = {said["also.1.alarm_detector"], said["more.001.1.alarm_detector"]}
    assert told == {4, 9}
    assert messages(room) == ["li|raised"]  # which names both


def test_what_is_older_than_the_reset_of_the_panel_is_of_the_fire_before() -> None:
    room = burning()
    at(room, 40, 0, 0, alarm=0)
    at(room, 60, 3, 5)
    acknowledge(room)
    batch = room.batch(
        ("panel", "alarm", 1), ("panel", "alarm_loop", 7), ("panel", "alarm_detector", 7), at=20
    )
    room.journal.append(batch)
    room.watch.drain()
    assert room.alarms() == {"fire.alarm@panel": "acknowledged"}


def test_in_a_fire_test_it_sounds_and_tells_nobody_again() -> None:
    room = Room([device("panel", "fire_panel")], SPECS)
    room.records.rows.people = [person("li")]
    with room.records.write() as tx:
        tx.announcements.insert(
            Announcement(0, "s", Announced.FIRE_TEST, T0, T0 + 3_600_000, "yearly", "li", T0, ticket=1)
        )
    at(room, 5, 2, 17)
    acknowledge(room)
    at(room, 40, 3, 5)
    assert room.alarms() == {"fire.alarm@panel": "unacknowledged"}
    assert messages(room) == ["li|raised"]


def test_a_whole_floor_is_bounded() -> None:
    room = burning()
    for detector in range(100, 180):
        at(room, detector, 2, detector)
    told = {key for key in messages(room) if key.startswith("li|")}
    assert told == {"li|raised", *(f"li|further:{n}" for n in range(1, 20))}  # 19 further ones: 20 messages
    further = {n.split(".")[1] for n in room.alarm(*FIRE).arguments if n.startswith("more.")}
    assert len(further) == 50


def test_a_suspect_reading_names_no_place() -> None:
    room = burning()
    room.at(40)
    batch = room.batch(("panel", "alarm", 1), ("panel", "alarm_loop", 3), ("panel", "alarm_detector", 5))
    r = batch.readings
    bad = Readings(r.point, r.at, r.value, np.full(3, 3, np.uint8), r.message)
    room.journal.append(replace(batch, readings=bad))
    room.watch.drain()
    assert room.alarms() == {"fire.alarm@panel": "acknowledged"}


def test_another_detector_after_a_reset_at_the_panel_is_told_at_once_whoever_has_answered() -> None:
    """The guard resets the panel, nobody the latch: it was told half an hour later, as what comes back."""
    for answered in (True, False):
        for second in (100, 1000):
            room = burning()
            if not answered:
                room = Room([device("panel", "fire_panel")], SPECS)
                room.records.rows.people = [person("li")]
                at(room, 5, 2, 17)
            at(room, 60, 0, 0, alarm=0)
            at(room, second, 3, 5)
            told = [message for message in messages(room) if message.startswith("li|")]
            assert told.count("li|further:1") + sum(m.startswith("li|again") for m in told) == 1, told
            (ticket,) = room.records.rows.tickets.values()
            assert ticket.arguments["more.001.1.alarm_detector"] == 5
            rows = [r for r in room.records.rows.outbox.values() if r.person == "li"]
            row = max(rows, key=lambda r: r.created_at)
            assert row.created_at == room.clock.at
            assert row.arguments["more.001.1.alarm_detector"] == 5


def test_a_fire_after_the_reset_of_its_latch_adds_its_place_to_the_ticket_that_is_open() -> None:
    room = burning()
    at(room, 60, 0, 0, alarm=0)
    with room.records.write() as tx:
        reset, change = alarms.step(room.alarm(*FIRE), AlarmEvent.RESET, room.clock.at, "li", "seen")
        tx.alarms.update(reset)
        tx.alarms.log(change)
    at(room, 1200, 3, 5)
    (ticket,) = room.records.rows.tickets.values()
    assert (ticket.arguments["also.1.alarm_detector"], ticket.arguments["more.001.1.alarm_detector"]) == (
        17,
        5,
    )
    assert "alarm.reason.other:3 · 5" in [c.reason for c in room.records.rows.ticket_log]
