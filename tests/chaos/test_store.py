"""InfluxDB is killed or away under load: the journal holds what comes, and drains when it is back."""

from __future__ import annotations

import os
import random
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.chaos.plant import messages
from tests.chaos.room import Room, load
from tests.servers.influx import Bucket, Influx

METERS, RATE = 60, 2_000
KILLS = int(os.environ.get("DUTYROOM_KILLS", "1"))
AWAY_S = float(os.environ.get("DUTYROOM_AWAY_S", "6"))
EVERY_S = 3.0


@pytest.fixture
def room(tmp_path: Path, influx: Bucket) -> Iterator[Room]:
    made = Room(tmp_path, METERS, (influx.url, influx.token, influx.org, influx.name))
    made.open()
    yield made
    made.close()


def test_influxdb_is_killed(room: Room, influx_server: Influx) -> None:
    assert influx_server.child is not None
    sent = messages(
        METERS, round(RATE / METERS * EVERY_S * (KILLS + 0.5)), (int(time.time()) - 3 * 3600) * 1000
    )
    sender = load(room, sent, RATE)
    dice = random.Random(3)
    for _ in range(KILLS):
        time.sleep(dice.uniform(0.3, 2 * EVERY_S - 0.3) / 2)
        influx_server.child.kill()
        time.sleep(1)
        influx_server.child.start()
    sender.done.wait(120)
    room.settled(sent, 120)


def test_influxdb_is_away_for_a_while(room: Room, influx_server: Influx) -> None:
    assert influx_server.child is not None
    sent = messages(METERS, round(RATE / METERS * (AWAY_S + 2)), (int(time.time()) - 3 * 3600) * 1000)
    sender = load(room, sent, RATE)
    time.sleep(1)
    influx_server.child.kill()
    time.sleep(AWAY_S)
    assert room.service.running
    influx_server.child.start()
    sender.done.wait(60 + AWAY_S)
    room.settled(sent, 120 + AWAY_S)
    assert len(room.service.outages()) <= 1  # ours is one alarm, whatever waits for it
