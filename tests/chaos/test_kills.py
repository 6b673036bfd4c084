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
from tests.chaos.nursery import Nursery
from tests.chaos.plant import SITE, messages, since
from tests.chaos.room import Room, load

from dutyroom.backends.clock import SystemClock
from dutyroom.backends.records_sql import open_records
from dutyroom.flows.desk import Desk
from dutyroom.model.duty import Alarm, AlarmState

METERS, RATE = 80, 2_000
KILLS = int(os.environ.get("DUTYROOM_KILLS", "2"))
SEED = int(os.environ.get("DUTYROOM_CHAOS_SEED", "1"))
EVERY_S = 2.0  # between two kills, on average
INSIDE_RATE = RATE * 0.4 if KILLS >= 20 else RATE  # a start takes longer than the pause before such an end
ROUNDS = round(RATE / METERS * EVERY_S * (KILLS + 1))
SENT = messages(METERS, ROUNDS, since(ROUNDS))

# Of one meter it stands from the fifth second on, whatever comes: a person shelves it while processes end.
STANDING = """\
  - {id: plant.standing, kind: limit, name: Standing, select: {devices: [m0001]}, point: voltage,
     parameters: {above: 200}, on_delay: 5s, priority: 3, ticket: now}
"""

Outcome = tuple[Counter[object], Counter[object]]


@pytest.fixture(scope="module")
def nursery() -> Iterator[Nursery]:
    made = Nursery()
    yield made
    made.close()


@pytest.fixture
def room(tmp_path: Path, nursery: Nursery) -> Iterator[Room]:
    made = with_standing(Room(tmp_path, METERS))
    made.service.nursery = nursery
    yield made
    made.close()


def with_standing(room: Room) -> Room:
    with (room.folder / "site" / "rules.yaml").open("a") as rules:
        rules.write(STANDING)
    return room


@pytest.fixture
def saving_room(tmp_path: Path, nursery: Nursery) -> Iterator[Room]:
    """Its broker writes down every second what it has."""
    made = with_standing(Room(tmp_path, METERS, autosave_s=1))
    made.service.nursery = nursery
    yield made
    made.close()


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    """Alarms and tickets of the same messages, when nothing goes wrong."""
    room = with_standing(Room(tmp_path_factory.mktemp("undisturbed"), METERS))
    try:
        room.open()
        load(room, SENT, RATE * 3).done.wait(120 + KILLS * 10)
        room.settled(SENT, 120 + KILLS * 3)
        found = room.alarms()
        assert found[0]
        assert found[1]
        return found
    finally:
        room.close()


def moments(least: float = 0.3) -> Iterator[float]:
    dice = random.Random(SEED)
    return (dice.uniform(least, 2 * EVERY_S - least) for _ in range(KILLS))


def test_the_service_is_killed(room: Room, undisturbed: Outcome) -> None:
    """Most times while it works, sometimes while it starts; on-delays run at each, and a shelf."""
    room.open()
    sender = load(room, SENT, RATE)
    shelved = shelve(room, EVERY_S * KILLS)
    dice, starts, killed = random.Random(SEED + 1), 1, 0
    for pause in moments(0.1):
        if dice.random() < 0.8:
            room.connected(starts)
        time.sleep(pause / 2)
        room.service.kill()
        killed += not sender.done.is_set()
        starts = room.log().count("broker.connected") + 1
        room.service.start()
    sender.done.wait(120 + KILLS * 10)
    print(f"{killed} of {KILLS} kills while messages came; connected {starts} times")
    room.settled(SENT, 120 + KILLS * 3)
    assert room.alarms() == undisturbed
    room.until(lambda: standing(room).state is AlarmState.UNACKNOWLEDGED, 30, "the shelf ends")
    assert standing(room).id == shelved


def standing(room: Room) -> Alarm:
    records = open_records(f"sqlite:///{room.service.data}/records.sqlite")
    try:
        with records.read() as tx:
            (found,) = [a for a in tx.alarms.open_ones(SITE) if a.rule == "plant.standing"]
            return found
    finally:
        records.close()


def shelve(room: Room, seconds: float) -> int:
    """A person shelves the standing alarm for so long, while the service runs. Returns which."""
    room.until(lambda: any(rule == "plant.standing" for rule, *_ in room.service.alarms()), 60, "it stands")
    records = open_records(f"sqlite:///{room.service.data}/records.sqlite")
    try:
        clock = SystemClock()
        until = clock.now() + round(seconds * 1000)
        return Desk(records, clock).shelve(SITE, standing(room).id, "li", until, "is being mended").id
    finally:
        records.close()


def test_the_service_ends_inside_commits(room: Room, undisturbed: Outcome) -> None:
    """Of the loops that keep readings and that watch over them: into the store, the journal and the records, at a
    random moment of the commit."""
    notes = room.folder / "notes"
    room.open()
    sender = load(room, SENT, INSIDE_RATE)
    room.service.kill()
    for number, pause in enumerate(moments(0.0)):
        loop = ("keep", "watch")[number % 2]
        room.service.start((loop, pause / 2, SEED * 1000 + number, str(notes)))
        while not room.service.ended(0.2) and not sender.done.is_set():
            pass
        room.service.kill()
    room.service.start()
    sender.done.wait(120 + KILLS * 10)
    ends = Counter(notes.read_text().splitlines())
    print(f"{ends.total()} ends in commits of {KILLS}: {dict(ends)}")
    room.settled(SENT, 120 + KILLS * 3)
    assert room.alarms() == undisturbed
    assert ends
    assert KILLS < 20 or sum(many for end, many in ends.items() if " inside " in end) > KILLS / 4


def test_the_broker_is_killed(saving_room: Room, undisturbed: Outcome) -> None:
    """It forgets what it took since it wrote its sessions down last; devices send that again."""
    saving_room.open()
    saving_room.remembered()
    sender, killed = load(saving_room, SENT, RATE), 0
    for pause in moments():
        time.sleep(pause / 2)
        if sender.left < RATE:  # a device that has nothing more to send would send nothing again
            break
        sender.repeat_from = saving_room.kill_broker()
        killed += 1
        saving_room.broker.start()
    sender.done.wait(120 + KILLS * 10)
    connected = saving_room.log().count("broker.connected")
    print(f"{killed} of {KILLS} kills; connected {connected} times; {sender.repeated} messages sent again")
    saving_room.settled(SENT, 120 + KILLS * 3)
    assert sender.repeated
    assert killed > KILLS / 2
    assert saving_room.alarms() == undisturbed


@pytest.mark.skipif(not LONG, reason=WHY)
def test_without_the_devices_memory_what_a_killed_broker_forgot_shows_as_a_gap(saving_room: Room) -> None:
    sent = SENT[: 12 * RATE]
    saving_room.open()
    saving_room.remembered()
    sender = load(saving_room, sent, RATE)
    time.sleep(3)
    forgotten = time.monotonic() - saving_room.kill_broker()
    saving_room.broker.start()
    sender.done.wait(120)
    time.sleep(5)
    stored = {key for key in saving_room.service.stored() if key[1] == "energy"}
    lost = [message for message in sent if (message.device, "energy", message.at) not in stored]
    # All of it was taken within the time that the broker does not remember.
    assert len(lost) <= RATE * (forgotten + 0.5)
    positions = {id(message): n for n, message in enumerate(sent)}
    if lost:
        first, last = positions[id(lost[0])], positions[id(lost[-1])]
        assert last - first <= RATE * (forgotten + 0.5)
