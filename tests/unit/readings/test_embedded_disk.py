"""A disk that is full, a file that is damaged, readers in another process."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from dutyroom.backends.readings_embedded import EmbeddedReadingStore, compaction
from dutyroom.errors import Unavailable
from dutyroom.model.telemetry import DeviceClass, Point, PointSpec, PointTable, Reading, Readings

T = 1_790_000_000_000
POINTS = [Point(p, "s", "d", DeviceClass.OTHER, "", PointSpec("x")) for p in range(50)]


def put(store: EmbeddedReadingStore, number: int) -> None:
    store.write(
        Readings.of([(p.id, T + number * 1000, number * 7919.37, 0, 0) for p in POINTS]), PointTable()
    )


def written(store: EmbeddedReadingStore) -> int:
    """How many writes there are; each is there whole."""
    counts = set()
    for point in POINTS:
        s = store.range(point, 0, 2**62)
        assert s.at.tolist() == [T + n * 1000 for n in range(len(s))]
        assert s.value.tolist() == [n * 7919.37 for n in range(len(s))]
        counts.add(len(s))
    (count,) = counts
    return count


def filled(store: EmbeddedReadingStore, number: int) -> int:
    """Writes until the disk is full; the number of the write that failed."""
    while True:
        try:
            put(store, number)
        except Unavailable:
            return number
        number += 1


def tidied(store: EmbeddedReadingStore) -> None:
    while store.tidy(all_of_it=True):
        pass


def test_a_full_disk_says_so_and_nothing_is_half_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compaction, "SLICE", 500)
    store = EmbeddedReadingStore(tmp_path / "readings.sqlite")
    put(store, 0)
    db = store._file.writer
    pages = db.execute("PRAGMA page_count").fetchone()[0]
    db.execute(f"PRAGMA max_page_count={pages + 3}")
    done = filled(store, 1)
    assert written(store) == done
    with pytest.raises(Unavailable, match="full"):
        put(store, done)
    with contextlib.suppress(Unavailable):  # a slice may just fit
        tidied(store)
    assert written(store) == done
    db.execute("PRAGMA max_page_count=1000000")
    put(store, done)
    tidied(store)
    assert written(store) == done + 1
    store.close()


LIMITED = """
import resource, sys
from pathlib import Path
from dutyroom.errors import Unavailable
from tests.unit.readings.test_embedded_disk import put, written
from dutyroom.backends.readings_embedded import EmbeddedReadingStore
store, done = EmbeddedReadingStore(Path(sys.argv[1])), 0
put(store, 0)
resource.setrlimit(resource.RLIMIT_FSIZE, (400_000, resource.RLIM_INFINITY))
try:
    while True:
        done += 1
        put(store, done)
except Unavailable:
    assert done > 3 and written(store) == done, done
try:
    while store.tidy(all_of_it=True):
        pass
except Unavailable:
    pass
assert written(store) == done
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
put(store, done)
while store.tidy(all_of_it=True):
    pass
assert written(store) == done + 1
print("good")
"""


@pytest.mark.skipif(sys.platform == "win32", reason="no limit on the size of files")
def test_a_file_that_cannot_grow_is_the_same(tmp_path: Path) -> None:
    """The operating system refuses, in the middle of writing the write-ahead log."""
    said = subprocess.run(
        [sys.executable, "-c", LIMITED, str(tmp_path / "r.sqlite")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert said.stdout == "good\n", said.stderr


def test_a_damaged_chunk_is_told(tmp_path: Path) -> None:
    store = EmbeddedReadingStore(tmp_path / "readings.sqlite")
    put(store, 0)
    put(store, 1)
    tidied(store)
    store._file.writer.execute("UPDATE chunk SET data = substr(data, 1, 20)")
    with pytest.raises(Unavailable, match="damaged"):
        store.range(POINTS[3], 0, 2**62)
    with pytest.raises(Unavailable, match="damaged"):
        store.at(POINTS, T + 1, 10)
    assert store.latest(POINTS[3:4]) == {3: Reading(3, T + 1000, 7919.37)}
    store.close()


FOLLOWER = """
import sys
from pathlib import Path
from dutyroom.backends.readings_embedded import EmbeddedReadingStore
from tests.unit.readings.test_embedded_disk import POINTS, T, written
store = EmbeddedReadingStore(Path(sys.argv[1]), read_only=True)
for line in sys.stdin:
    newest = store.latest(POINTS)
    assert len({r.at for r in newest.values()}) == 1
    moment = store.at(POINTS, T + 5500, 10_000)
    print(written(store), (newest[3].at - T) // 1000, (moment[3].at - T) // 1000, flush=True)
"""


def test_another_process_sees_what_is_committed(tmp_path: Path) -> None:
    path = tmp_path / "readings.sqlite"
    store = EmbeddedReadingStore(path)
    put(store, 0)
    with subprocess.Popen(
        [sys.executable, "-c", FOLLOWER, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        for number in range(1, 40):
            put(store, number)
            if number % 5 == 0:
                store.tidy(all_of_it=number % 10 == 0)
            child.stdin.write("?\n")
            child.stdin.flush()
            assert child.stdout.readline() == f"{number + 1} {number} {min(number, 5)}\n"
        child.stdin.close()
    store.close()


def test_who_reads_beside_a_writer_and_its_upkeep_always_finds_whole_writes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in (("SLICE", 300), ("_LEAST", 500), ("_A_POINT", 1)):
        monkeypatch.setattr(compaction, name, value)
    store = EmbeddedReadingStore(tmp_path / "readings.sqlite")
    put(store, 0)
    wrong: list[str] = []
    ended = threading.Event()

    def look(other: EmbeddedReadingStore) -> None:
        before = 0
        while not ended.is_set():
            now = len(other.range(POINTS[7], 0, 2**62))
            newest = other.latest(POINTS)
            if now < before or len({r.at for r in newest.values()}) != 1:
                wrong.append(f"{now} after {before}")
            before = now

    follower = EmbeddedReadingStore(tmp_path / "readings.sqlite", read_only=True)
    lookers = [threading.Thread(target=look, args=(one,)) for one in (store, store, follower)]
    for looker in lookers:
        looker.start()
    for number in range(1, 150):
        put(store, number)
        store.tidy()
    ended.set()
    for looker in lookers:
        looker.join()
    assert not wrong
    assert written(store) == 150
    follower.close()
    store.close()


def test_after_it_is_closed_it_is_away_and_blocks_nobody(tmp_path: Path) -> None:
    store = EmbeddedReadingStore(tmp_path / "readings.sqlite")
    put(store, 0)
    store.close()
    for _ in range(2):
        with pytest.raises(Unavailable):
            put(store, 1)
        with pytest.raises(Unavailable):
            store.latest(POINTS)
    again = EmbeddedReadingStore(tmp_path / "readings.sqlite")
    assert written(again) == 1
    again.close()


def test_who_only_reads_cannot_write(tmp_path: Path) -> None:
    with pytest.raises(Unavailable):
        EmbeddedReadingStore(tmp_path / "none" / "readings.sqlite", read_only=True)
    assert not (tmp_path / "none").exists()
    store = EmbeddedReadingStore(tmp_path / "readings.sqlite")
    put(store, 0)
    follower = EmbeddedReadingStore(tmp_path / "readings.sqlite", read_only=True)
    with pytest.raises(Unavailable):
        put(follower, 1)
    assert written(store) == written(follower) == 1
    follower.close()
    store.close()
