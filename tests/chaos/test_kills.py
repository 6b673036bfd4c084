"""Processes end at random moments under load: nothing is lost, no alarm or ticket is there twice.

DUTYROOM_KILLS says how many kills a test makes (200 by `python -m tests.chaos.long`), DUTYROOM_CHAOS_SEED where.
"""

from __future__ import annotations

import os
import random
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.chaos.long import LONG, WHY
from tests.chaos.plant import messages
from tests.chaos.room import AUTOSAVE_S, Room, load

METERS, RATE = 80, 2_000
KILLS = int(os.environ.get("DUTYROOM_KILLS", "2"))
SEED = int(os.environ.get("DUTYROOM_CHAOS_SEED", "1"))
EVERY_S = 2.0  # between two kills, on average


def start() -> int:
    return (int(time.time()) - 3 * 3600) * 1000


SENT = messages(METERS, round(RATE / METERS * EVERY_S * (KILLS + 1)), start())


@pytest.fixture
def room(tmp_path: Path) -> Iterator[Room]:
    made = Room(tmp_path, METERS)
    yield made
    made.close()


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Counter[object], Counter[object]]:
    """Alarms and tickets of the same messages, when nothing goes wrong."""
    room = Room(tmp_path_factory.mktemp("undisturbed"), METERS)
    try:
        room.open()
        load(room, SENT, RATE * 3).done.wait(120 + KILLS * 10)
        room.settled(SENT, 90 + KILLS * 3)
        found = room.alarms()
        assert found[0]
        assert found[1]
        return found
    finally:
        room.close()


def moments() -> Iterator[float]:
    dice = random.Random(SEED)
    return (dice.uniform(0.3, 2 * EVERY_S - 0.3) for _ in range(KILLS))


def test_the_service_is_killed(room: Room, undisturbed: tuple[Counter[object], Counter[object]]) -> None:
    room.open()
    sender = load(room, SENT, RATE)
    for pause in moments():
        time.sleep(pause)
        room.service.kill()
        room.service.start()
    sender.done.wait(120 + KILLS * 10)
    room.settled(SENT, 90 + KILLS * 3)
    assert room.alarms() == undisturbed


def test_the_broker_is_killed(room: Room, undisturbed: tuple[Counter[object], Counter[object]]) -> None:
    """It forgets what it took since it wrote its sessions down last; devices send that again."""
    room.open()
    sender = load(room, SENT, RATE, repeat_s=AUTOSAVE_S + 1.0)
    for pause in moments():
        time.sleep(pause)
        room.broker.kill()
        room.broker.start()
    sender.done.wait(120 + KILLS * 10)
    room.settled(SENT, 90 + KILLS * 3)
    assert sender.repeated
    assert room.alarms() == undisturbed


@pytest.mark.skipif(not LONG, reason=WHY)
def test_without_the_devices_memory_what_a_killed_broker_forgot_shows_as_a_gap(room: Room) -> None:
    room.open()
    sender = load(room, SENT, RATE)
    time.sleep(3)
    room.broker.kill()
    room.broker.start()
    sender.done.wait(120 + KILLS * 10)
    time.sleep(5)
    stored = {key for key in room.service.stored() if key[1] == "energy"}
    lost = [message for message in SENT if (message.device, "energy", message.at) not in stored]
    # All of it was taken within the time that the broker does not remember.
    assert len(lost) <= RATE * (AUTOSAVE_S + 1.5)
    positions = {id(message): n for n, message in enumerate(SENT)}
    if lost:
        first, last = positions[id(lost[0])], positions[id(lost[-1])]
        assert last - first <= RATE * (AUTOSAVE_S + 1.5)
