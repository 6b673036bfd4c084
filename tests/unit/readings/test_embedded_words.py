"""Texts in the embedded file: numbered wordings among the values, through log, chunks and older files."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from dutyroom.backends.readings_embedded import EmbeddedReadingStore, words
from dutyroom.model.telemetry import DeviceClass, Kind, Point, PointSpec, PointTable, Reading, Readings
from dutyroom.timebase import DAY, HOUR

T = 1_790_000_000_000
STATUS = Point(1, "s", "panel", DeviceClass.FIRE_PANEL, "", PointSpec("status", kind=Kind.TEXT))
LEVEL = Point(2, "s", "panel", DeviceClass.FIRE_PANEL, "", PointSpec("level"))
TABLE = PointTable([STATUS, LEVEL])
TEXTS = [f"loop {n % 7}" if n % 3 else f"event {n}" for n in range(400)]


def said(first: int = 0) -> Readings:
    rows = [(1, T + n * HOUR, 0.0, 0, 0) for n in range(first, len(TEXTS))]
    rows += [(2, T + n * HOUR, n / 8, 0, 0) for n in range(first, len(TEXTS))]
    return replace(Readings.of(rows), text=dict(enumerate(TEXTS[first:])))


def texts(store: EmbeddedReadingStore) -> list[str]:
    series = store.range(STATUS, T, T + 400 * HOUR)
    assert set(series.value.tolist()) == {0.0}
    return [series.text[row] for row in range(len(series))]


def tidied(store: EmbeddedReadingStore) -> None:
    while store.tidy(all_of_it=True):
        pass


def test_texts_go_through_chunks_and_a_restart_and_to_those_who_only_read(tmp_path: Path) -> None:
    path = tmp_path / "r.sqlite"
    store = EmbeddedReadingStore(path)
    store.write(said(), TABLE)
    reader = EmbeddedReadingStore(path, read_only=True)
    assert texts(store) == texts(reader) == TEXTS
    tidied(store)
    store.close()
    store = EmbeddedReadingStore(path)
    assert texts(store) == texts(reader) == TEXTS
    last = Reading(1, T + 399 * HOUR, 0.0, text=TEXTS[-1])
    assert store.latest([STATUS, LEVEL])[1] == reader.latest([STATUS])[1] == last
    assert store.at([STATUS, LEVEL], T + 90_000, DAY) == {
        1: Reading(1, T, 0.0, text=TEXTS[0]),
        2: Reading(2, T, 0.0),
    }
    assert store.buckets(STATUS, T, T + 2 * HOUR, 2 * HOUR) == [(T, 0.0, 0.0, 0.0, 0.0)]
    assert store.range(LEVEL, T, T + 400 * HOUR).value.tolist() == [n / 8 for n in range(400)]
    store.write(said(390), TABLE)  # the same again
    tidied(store)
    assert texts(store) == TEXTS
    with closing(sqlite3.connect(path)) as db:
        stored = [text for (text,) in db.execute("SELECT text FROM word")]
    assert sorted(stored) == sorted(set(TEXTS))  # each wording once


def test_more_wordings_than_are_held_in_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(words, "_HELD", 5)
    store = EmbeddedReadingStore(tmp_path / "r.sqlite")
    for start in range(0, 400, 40):
        store.write(said(start), TABLE)
    assert texts(store) == TEXTS


def test_two_wordings_of_one_hash_stay_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(words, "_hash", lambda _: 1)
    store = EmbeddedReadingStore(tmp_path / "r.sqlite")
    store.write(said(), TABLE)
    assert texts(store) == TEXTS


@pytest.mark.parametrize("value", [-(2.0**52) - 1, -(2.0**52) - 77, -(2.0**53), -(2.0**52), -(2.0**60)])
def test_a_number_where_wordings_stand_stays_one(tmp_path: Path, value: float) -> None:
    store = EmbeddedReadingStore(tmp_path / "r.sqlite")
    store.write(Readings.of([(2, T, value, 0, 0)]), TABLE)
    assert store.range(LEVEL, T, T + 1).value.tolist() == [value]
    assert store.latest([LEVEL]) == {2: Reading(2, T, value)}


def test_a_file_of_before_gets_room_for_texts(tmp_path: Path) -> None:
    path = tmp_path / "r.sqlite"
    EmbeddedReadingStore(path).close()
    with closing(sqlite3.connect(path)) as db:
        db.executescript("DROP TABLE word; PRAGMA user_version=3;")
    reader = EmbeddedReadingStore(path, read_only=True)
    assert reader.latest([STATUS]) == {}
    store = EmbeddedReadingStore(path)
    store.write(said(), TABLE)
    assert texts(store) == texts(reader) == TEXTS


def test_a_few_wordings_cost_some_bytes_a_reading(tmp_path: Path) -> None:
    store = EmbeddedReadingStore(tmp_path / "r.sqlite")
    rows = [(1, T + n * 60_000, 0.0, 0, 0) for n in range(40_000)]
    status = {n: "DRY" if n % 997 else "LEAK, BURST" for n in range(len(rows))}
    store.write(replace(Readings.of(rows), text=status), TABLE)
    tidied(store)
    store.close()
    with closing(sqlite3.connect(tmp_path / "r.sqlite")) as db:
        (size,) = db.execute("SELECT sum(length(data)) FROM chunk").fetchone()
    assert size / len(rows) < 1.5
