"""InfluxDB is killed or away under load: the journal holds what comes, and drains when it is back."""

from __future__ import annotations

import os
import random
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.chaos.plant import messages, since
from tests.chaos.proxy import Proxy
from tests.chaos.room import Room, load
from tests.servers.influx import Bucket, Influx

METERS, RATE = 60, 2_000
KILLS = int(os.environ.get("DUTYROOM_KILLS", "1"))
SEED = int(os.environ.get("DUTYROOM_CHAOS_SEED", "1"))
AWAY_S = float(os.environ.get("DUTYROOM_AWAY_S", "6"))
EVERY_S = 3.0
TORN = 0.3  # share of the kills inside an entry of its log: a torn end is added where chance gave none


@pytest.fixture
def room(tmp_path: Path, influx: Bucket) -> Iterator[Room]:
    made = Room(tmp_path, METERS, (influx.url, influx.token, influx.org, influx.name))
    made.open()
    yield made
    made.close()


def test_influxdb_is_killed(room: Room, influx_server: Influx) -> None:
    """And loses what it had acknowledged; it has it again. Alarms and tickets are those of a run into the embedded
    store in which nothing went wrong."""
    assert influx_server.child is not None
    rounds = round(RATE / METERS * EVERY_S * (KILLS + 0.5))
    sent = messages(METERS, rounds, since(rounds))
    sender, killed = load(room, sent, RATE), 0
    dice = random.Random(SEED)
    for _ in range(KILLS):
        time.sleep(dice.uniform(0.15, EVERY_S - 0.15))
        influx_server.child.kill()
        if dice.random() < TORN:
            influx_server.tear()
        killed += not sender.done.is_set()
        time.sleep(dice.uniform(0.0, 1.0))
        influx_server.child.start()
    assert sender.done.wait(120 + 10 * KILLS)
    print(f"{killed} of {KILLS} kills while messages came")
    room.settled(sent, 120 + 3 * KILLS)
    print(f"{room.log().count('recheck.lost')} times it had lost what it had acknowledged")
    disturbed = room.alarms()
    calm = Room(room.folder / "calm", METERS)
    try:
        calm.open()
        load(calm, sent, RATE * 3).done.wait(120 + 10 * KILLS)
        calm.settled(sent, 120 + 3 * KILLS)
        assert calm.alarms() == disturbed
    finally:
        calm.close()


def test_influxdb_is_away_for_a_while(room: Room, influx_server: Influx) -> None:
    assert influx_server.child is not None
    rounds = round(RATE / METERS * (AWAY_S + 2))
    sent = messages(METERS, rounds, since(rounds))
    sender = load(room, sent, RATE)
    time.sleep(1)
    influx_server.child.kill()
    time.sleep(AWAY_S)
    assert room.service.running
    received = room.service.received()
    influx_server.child.start()
    back = time.monotonic()
    assert sender.done.wait(60 + 4 * AWAY_S)
    room.settled(sent, 120 + 4 * AWAY_S)
    print(
        f"{received} of {len(sent)} came while it was away; all stored {time.monotonic() - back:.0f} s later"
    )
    assert len(room.service.outages()) <= 1  # ours is one alarm, whatever waits for it


ANSWERS = (
    b'HTTP/1.1 400 Bad Request\r\nContent-Length: 25\r\n\r\n{"message":"Bad request"}',  # a gateway's
    b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n",
    b"HTTP/1.1 404 Not Found\r\nContent-Length: 9\r\n\r\nnot found",
    b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n",
    b"HTTP/1.1 429 Busy\r\nRetry-After: 1\r\nContent-Length: 0\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\nWelcome",
    b"HTTP/1.1 503 Away\r\nContent-Length: 0\r\n\r\n",
    b"HTTP/1.1 20",
    bytes(range(256)),
)


def test_the_way_to_influxdb_is_cut_half_open_and_answers_nonsense(tmp_path: Path, influx: Bucket) -> None:
    """Whatever a line or something on it makes of an answer: nothing is taken as stored, nothing as refused."""
    proxy = Proxy(int(influx.url.rpartition(":")[2]))
    room = Room(tmp_path, METERS, (f"http://127.0.0.1:{proxy.port}", influx.token, influx.org, influx.name))
    try:
        room.open()
        rounds = round(RATE / METERS * len(ANSWERS))
        sent, dice = messages(METERS, rounds, since(rounds)), random.Random(SEED)
        sender = load(room, sent, RATE)
        for answer in ANSWERS:
            proxy.spoil = answer
            time.sleep(dice.uniform(0.2, 0.6))
            proxy.cut()
            proxy.silent = dice.random() < 0.3
            time.sleep(dice.uniform(0.1, 0.5))
            proxy.cut()
            proxy.silent = False
        proxy.spoil = b""
        assert sender.done.wait(120)
        room.settled(sent, 120)
        assert not sum(row.refused for row in room.service.ledger())
        assert len(room.service.outages()) <= 1
    finally:
        room.close()
        proxy.close()
