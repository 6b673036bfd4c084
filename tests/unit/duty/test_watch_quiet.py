"""What nothing follows from costs next to nothing: neither the alarms that stand, nor the batch, are
looked through for it."""

from __future__ import annotations

import pytest
from tests.unit.duty.duty_room import FakeAlarms, Room, device, gauge, person, state

from dutyroom.flows.mentions import Kept, Said, with_mentions
from dutyroom.model.duty import Condition
from dutyroom.model.telemetry import Batch, Lane, Readings


def test_a_cursor_moves_without_reading_what_stands(monkeypatch: pytest.MonkeyPatch) -> None:
    room = Room([device("riser", "water_meter", 10, use="riser")], {"water_meter": [gauge("flow", "m3/h")]})
    room.records.rows.people = [person("li")]
    for _ in range(6):
        room.clock.at += 10_000
        room.journal.append(room.batch(("riser", "flow", 4.8)))
        room.watch.drain()
        room.watch.tick(room.clock.at)
    assert len(room.records.rows.alarms) == 1
    looks = []
    real = FakeAlarms.open_ones
    monkeypatch.setattr(FakeAlarms, "open_ones", lambda self, site: looks.append(1) or real(self, site))
    for _ in range(10):
        room.clock.at += 10_000
        room.journal.append(room.batch(("riser", "flow", 4.8)))
        room.watch.drain()
        room.watch.tick(room.clock.at)
    assert room.records.rows.cursors[Lane.NORMAL] == len(room.journal.batches)
    assert len(looks) <= 1
    for _ in range(7):
        room.clock.at += 10_000
        room.journal.append(room.batch(("riser", "flow", 0.1)))
        room.watch.drain()
    (alarm,) = room.records.rows.alarms.values()
    assert alarm.cleared_at is not None


def test_of_what_a_device_said_beside_the_newest_until_then_counts() -> None:
    room = Room([device("panel", "fire_panel")], {"fire_panel": [state("alarm"), state("alarm_loop")]})
    loop = room.point("panel", "alarm_loop").id
    rows = [(loop, 50, 3.0, 0, 0), (9, 50, 8.0, 0, 0), (loop, 70, 4.0, 0, 0), (loop, 70, 5.0, 0, 0)]
    said = Said(Batch("s", Lane.PRIORITY, 100, (), Readings.of([*rows, (loop, 90, 6.0, 0, 0)])))
    assert [said.newest(loop, until) for until in (40, 60, 80, 99)] == [None, 3.0, 4.0, 6.0]
    assert said.newest(loop + 100, 99) is None
    fire = Condition("fire.alarm", "panel", True, 80)
    told = with_mentions(fire, room.engine.rules, room.table, said, Kept(room.table))
    assert told.arguments == {"also.0.alarm_loop": 4.0}
    assert (
        with_mentions(
            Condition("fire.alarm", "panel", False, 80), room.engine.rules, room.table, said, Kept(room.table)
        ).arguments
        == {}
    )
