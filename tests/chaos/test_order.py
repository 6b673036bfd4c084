"""Batches that come twice, out of order or a day late: the same readings, the same alarms of what is in time."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.chaos.long import LONG, WHY
from tests.chaos.plant import Sent, messages
from tests.chaos.room import Room, load

METERS, RATE = 60, 2_000
_LONG = pytest.mark.skipif(not LONG, reason=WHY)
START = (int(time.time()) - 26 * 3600) * 1000
SENT = messages(METERS, 120, START)


@pytest.fixture
def room(tmp_path: Path) -> Iterator[Room]:
    made = Room(tmp_path, METERS)
    made.open()
    yield made
    made.close()


def played(room: Room, order: list[Sent], count: int) -> None:
    load(room, order, RATE).done.wait(120)
    room.until(lambda: room.service.received() >= len(order), 60, "all is received")
    room.settled(SENT[:count])


def test_every_batch_comes_twice(room: Room) -> None:
    order = [m for at in range(0, len(SENT), 600) for _ in range(2) for m in SENT[at : at + 600]]
    played(room, order, len(SENT))
    alarms, tickets = room.alarms()
    once = Room(room.folder / "once", METERS)
    try:
        once.open()
        played(once, SENT, len(SENT))
        assert once.alarms() == (alarms, tickets)
    finally:
        once.close()
    ledger = room.service.ledger()
    assert sum(row.duplicate for row in ledger) == 2 * len(SENT)
    assert sum(row.conflict for row in ledger) == 0


@_LONG
def test_batches_come_in_any_order(room: Room) -> None:
    dice = random.Random(5)
    order = SENT[:]
    for at in range(0, len(order), 1500):
        part = order[at : at + 1500]
        dice.shuffle(part)
        order[at : at + 1500] = part
    played(room, order, len(order))


def test_a_gateway_delivers_a_day_late(room: Room) -> None:
    late = [m for m in SENT if int(m.device[1:]) % 4 == 0]
    order = [m for m in SENT if int(m.device[1:]) % 4] + late
    played(room, order, len(order))
