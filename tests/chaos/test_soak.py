"""Two days in minutes: 600 meters, a message of each every five minutes by its own clock. Memory stays flat."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.bench.measure import resident
from tests.chaos.long import LONG, WHY
from tests.chaos.plant import messages
from tests.chaos.room import Room, load

METERS, HOURS, EVERY_S, RATE = 600, 48, 300, 4_000
MB = 1 << 20


@pytest.fixture
def room(tmp_path: Path) -> Iterator[Room]:
    made = Room(tmp_path, METERS)
    made.open()
    yield made
    made.close()


@pytest.mark.skipif(not LONG, reason=WHY)
def test_two_days_need_no_more_memory_than_half_a_day(room: Room) -> None:
    rounds = HOURS * 3600 // EVERY_S
    sent = messages(METERS, rounds, (int(time.time()) - HOURS * 3600 - 600) * 1000, EVERY_S * 1000)
    quarter = len(sent) // 4
    sizes = []
    for part in range(4):
        load(room, sent[part * quarter : (part + 1) * quarter], RATE).done.wait(600)
        room.settled(sent[: (part + 1) * quarter], 300)
        sizes.append(resident(room.service.pid))
    print("resident after each half day, MB:", [round(size / MB) for size in sizes])
    assert sizes[-1] < sizes[0] * 1.1 + 10 * MB
