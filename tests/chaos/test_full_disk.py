"""A real file system is full under load: of the journal, of the readings, of the records, each in turn."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.chaos.plant import SITE, messages
from tests.chaos.room import Room, load
from tests.servers.child import Missing
from tests.servers.needed import unavailable
from tests.servers.small_disk import SmallDisk

METERS, RATE, SECONDS = 80, 2_000, 6
FULL_S = 3.5
SENT = messages(METERS, RATE * SECONDS // METERS, (int(time.time()) - 3 * 3600) * 1000)
# What is full -> its file, and the loop that waits for room.
FILES = {
    "journal": (f"sites/{SITE}/journal.sqlite", "ingest"),
    "readings": (f"sites/{SITE}/readings.sqlite", "keep"),
    "records": ("records.sqlite", "watch"),
}
pytestmark = pytest.mark.timeout(300)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[SmallDisk]:
    try:
        made = SmallDisk(tmp_path / "small", 32)
    except Missing as err:
        unavailable("a small tmpfs", err)
    yield made
    made.unmount()


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Counter[object], Counter[object]]:
    """Alarms and tickets of the same messages, when there is room."""
    room = Room(tmp_path_factory.mktemp("undisturbed"), METERS)
    try:
        room.open()
        load(room, SENT, RATE * 3).done.wait(120)
        room.settled(SENT)
        found = room.alarms()
        assert found[0]
        assert found[1]
        return found
    finally:
        room.close()


def waited(room: Room, loop: str) -> bool:
    return any(f'"loop": "{loop}"' in line and "disk is full" in line for line in room.log().splitlines())


@pytest.mark.parametrize("what", FILES)
def test_a_full_disk_loses_nothing_and_ends_by_itself(
    tmp_path: Path, disk: SmallDisk, undisturbed: tuple[Counter[object], Counter[object]], what: str
) -> None:
    room = Room(tmp_path / "room", METERS)
    try:
        file, loop = FILES[what]
        link = room.service.data / file
        link.parent.mkdir(parents=True)
        link.symlink_to(disk.folder / link.name)  # SQLite keeps what belongs to a file beside its target
        room.open()
        pid = room.service.pid
        sender = load(room, SENT, RATE)
        time.sleep(1.5)
        end = time.monotonic() + FULL_S
        while time.monotonic() < end:  # what a log that is written anew gives free is taken as well
            disk.fill()
            time.sleep(0.2)
        assert disk.free == 0
        room.until(lambda: waited(room, loop), 20, f"{loop} has waited for room")
        disk.give_room()
        assert sender.done.wait(120)
        room.settled(SENT)
        assert room.alarms() == undisturbed
        assert (room.service.running, room.service.pid) == (True, pid)
    finally:
        room.close()
