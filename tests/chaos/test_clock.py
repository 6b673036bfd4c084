"""The machine's clock is stepped under load, forwards and back: the same readings, the same alarms."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.chaos.plant import messages
from tests.chaos.room import Room, load

METERS, RATE = 60, 1_500
SENT = messages(METERS, 240, (int(time.time()) - 6 * 3600) * 1000)
STEPS = (3_600, -2_700, 40_000, 0)  # seconds


@pytest.fixture
def room(tmp_path: Path) -> Iterator[Room]:
    made = Room(tmp_path, METERS)
    yield made
    made.close()


def test_the_clock_is_stepped(room: Room) -> None:
    offset = room.folder / "offset"
    offset.write_text("0")
    path = os.pathsep.join([str(Path(__file__).parent / "stepped"), room.service.environment["PYTHONPATH"]])
    room.service.environment |= {"CHAOS_CLOCK": str(offset), "PYTHONPATH": path}
    room.open()
    sender = load(room, SENT, RATE)
    for step in STEPS:
        time.sleep(2)
        offset.write_text(str(step))
    sender.done.wait(120)
    room.settled(SENT)
    assert len({row.hour for row in room.service.ledger()}) > 2  # it has seen other times
    stepped = room.alarms()
    steady = Room(room.folder / "steady", METERS)
    try:
        steady.open()
        load(steady, SENT, RATE * 3).done.wait(120)
        steady.settled(SENT)
        assert steady.alarms() == stepped
    finally:
        steady.close()
