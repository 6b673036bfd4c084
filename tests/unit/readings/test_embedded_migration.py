"""A file of the older layout (a row a reading) is brought up to date when it is opened."""

from __future__ import annotations

import sqlite3
import zlib
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from dutyroom.backends.readings_embedded import EmbeddedReadingStore, encoding, migration
from dutyroom.errors import Rejected, Unavailable
from dutyroom.model.telemetry import DeviceClass, Point, PointSpec, PointTable, Reading, Readings
from dutyroom.timebase import DAY, HOUR

T = 1_790_000_000_000
Row = tuple[int, int, float, int]
ROWS: list[Row] = sorted(
    (p, T + n * HOUR + p, n + p / 10, n % 7 == 0) for p in (1, 2, 31, 32, 33, 900) for n in range(24 * 90)
)
POINTS = {p: Point(p, "s", "d", DeviceClass.OTHER, "", PointSpec("x")) for p in (1, 2, 31, 32, 33, 900, 7)}


@pytest.fixture
def older(tmp_path: Path) -> Path:
    path = tmp_path / "readings.sqlite"
    with closing(sqlite3.connect(path)) as db:
        db.executescript(
            "PRAGMA journal_mode=WAL; CREATE TABLE reading (point INTEGER NOT NULL, at INTEGER NOT NULL, value REAL "
            "NOT NULL, quality INTEGER NOT NULL, PRIMARY KEY (point, at)) WITHOUT ROWID; PRAGMA user_version=1;"
        )
        with db:
            db.executemany("INSERT INTO reading VALUES (?,?,?,?)", ROWS)
    return path


def held(store: EmbeddedReadingStore) -> Iterator[Row]:
    for point in POINTS.values():
        s = store.range(point, 0, 2**62)
        yield from zip([point.id] * len(s), s.at.tolist(), s.value.tolist(), s.quality.tolist(), strict=True)


def test_all_readings_are_there_in_less_room(older: Path) -> None:
    before = older.stat().st_size
    store = EmbeddedReadingStore(older)
    assert sorted(held(store)) == ROWS
    newest = store.latest(list(POINTS.values()))
    assert newest[33] == Reading(33, T + 2159 * HOUR + 33, 2159 + 3.3, 0)
    assert store.at([POINTS[2]], T + 5 * HOUR, DAY) == {2: Reading(2, T + 4 * HOUR + 2, 4.2, 0)}
    store.write(Readings.of([(1, T + 1, 77.0, 3, 0)]), PointTable())
    assert store.range(POINTS[1], T, T + 2).value.tolist() == [77.0]
    store.close()
    assert older.stat().st_size < before / 2
    with closing(sqlite3.connect(older)) as db:
        assert db.execute("PRAGMA user_version").fetchone() == (4,)
        assert db.execute("PRAGMA page_size").fetchone() == (16_384,)
        assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def test_broken_off_it_goes_on_at_the_next_start(older: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(migration, "_ROWS", 500)
    some, calls = migration._some, 0

    def killed(file: object) -> bool:
        nonlocal calls
        calls += 1
        if calls % 4 == 0:
            raise KeyboardInterrupt
        return some(file)  # type: ignore[arg-type]

    monkeypatch.setattr(migration, "_some", killed)
    for _ in range(50):
        try:
            store = EmbeddedReadingStore(older)
            break
        except KeyboardInterrupt:
            with pytest.raises(Unavailable):
                EmbeddedReadingStore(older, read_only=True)
    assert calls > 12
    assert sorted(held(store)) == ROWS
    store.close()


def test_nothing_is_lost_where_the_disk_is_too_small_to_shrink_it(
    older: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reader = sqlite3.connect(older)
    reader.execute("BEGIN")
    reader.execute("SELECT * FROM reading LIMIT 1").fetchone()  # holds the file: no VACUUM
    store = EmbeddedReadingStore(older)
    assert sorted(held(store)) == ROWS
    store.close()
    reader.close()


def test_one_that_is_only_read_is_left_as_it_is(older: Path) -> None:
    with pytest.raises(Unavailable):
        EmbeddedReadingStore(older, read_only=True)
    with closing(sqlite3.connect(older)) as db:
        assert db.execute("SELECT count(*) FROM reading").fetchone() == (len(ROWS),)


def test_chunks_of_the_version_before_are_read_and_joined_with_new_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "readings.sqlite"
    with monkeypatch.context() as patch:
        patch.setattr(encoding, "_pack", lambda body: b"\x01" + zlib.compress(body, 1))
        store = EmbeddedReadingStore(path)
        store.write(Readings.of([(*row, 0) for row in ROWS[::2]]), PointTable())
        while store.tidy(all_of_it=True):
            pass
        store.close()
    with closing(sqlite3.connect(path)) as db:
        db.execute("PRAGMA user_version=2")
        assert {data[0] for (data,) in db.execute("SELECT data FROM chunk")} == {1}
    reader = EmbeddedReadingStore(path, read_only=True)
    assert sorted(held(reader)) == ROWS[::2]
    reader.close()
    store = EmbeddedReadingStore(path)
    assert sorted(held(store)) == ROWS[::2]
    store.write(Readings.of([(*row, 0) for row in ROWS[1::2]]), PointTable())
    while store.tidy(all_of_it=True):
        pass
    assert sorted(held(store)) == ROWS
    store.close()
    with closing(sqlite3.connect(path)) as db:
        assert db.execute("PRAGMA user_version").fetchone() == (4,)
        assert 2 in {data[0] for (data,) in db.execute("SELECT data FROM chunk")}


def test_a_newer_file_is_refused(older: Path) -> None:
    with closing(sqlite3.connect(older)) as db:
        db.execute("PRAGMA user_version=5")
    with pytest.raises(Rejected, match="newer version"):
        EmbeddedReadingStore(older)
