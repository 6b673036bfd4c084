"""Four days in minutes: 600 meters, a message of each every five minutes by its own clock. Memory stays flat."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.bench.measure import resident
from tests.chaos.long import LONG, WHY
from tests.chaos.plant import messages, since
from tests.chaos.room import Room, load

METERS, HOURS, EVERY_S, RATE = 600, 96, 300, 4_000
PART_H = 12
MB = 1 << 20


@pytest.fixture
def room(tmp_path: Path) -> Iterator[Room]:
    made = Room(tmp_path, METERS)
    made.open()
    yield made
    made.close()


@pytest.mark.skipif(not LONG, reason=WHY)
def test_four_days_need_no_more_memory_than_the_first(room: Room) -> None:
    """In the first one what is bounded fills: what rules remember of a day, what readers of the journal have at hand."""
    rounds = HOURS * 3600 // EVERY_S
    sent = messages(METERS, rounds, since(rounds, EVERY_S * 1000), EVERY_S * 1000)
    parts = HOURS // PART_H
    size = len(sent) // parts
    sizes = []
    for part in range(parts):
        load(room, sent[part * size : (part + 1) * size], RATE).done.wait(600)
        room.settled(sent[: (part + 1) * size], 300)
        sizes.append(resident(room.service.pid))
    print("resident after each half day, MB:", [round(size / MB) for size in sizes])
    assert sizes[-1] < sizes[1] * 1.05 + 5 * MB
