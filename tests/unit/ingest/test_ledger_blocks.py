"""Counts of many devices lie in blocks: they add up to what rows would say, also after a crash and beside an
older file's rows."""

from __future__ import annotations

import sqlite3
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dutyroom.backends import journal as journals
from dutyroom.backends import ledger_blocks as blocks
from dutyroom.backends.journal import SqliteJournal
from dutyroom.backends.ledger_blocks import Names, Sums, add_up, pack, together, unpack
from dutyroom.errors import Unavailable
from dutyroom.flows.keep import READER
from dutyroom.interfaces import LedgerQuestion, Tally
from dutyroom.model.telemetry import Batch, Lane, Message, MessageRecord, Outcome, Readings
from dutyroom.timebase import DAY, HOUR, Ms, from_iso

T = from_iso("2026-11-25T03:30:00Z")
H = T // HOUR * HOUR
MANY = [f"meter-{n}" for n in range(700)]

LINES = st.dictionaries(st.integers(0, 11), st.integers(-(2**40), 2**40), max_size=4)


def batch(at: Ms, devices: list[str], readings: int = 2) -> Batch:
    records = tuple(MessageRecord(Message("t", b"{}", at), Outcome.DECODED, d, "p") for d in devices)
    rows = [(1 + n, at, 1.0, 0, m) for m in range(len(devices)) for n in range(readings)]
    return Batch("s", Lane.NORMAL, at, records, Readings.of(rows), ordinary=len(records))


def stored(at: Ms, devices: list[str], each: int) -> Tally:
    return Tally(np.full(len(devices), at // HOUR * HOUR), devices, np.full(len(devices), each))


def sums_of(rows: dict[int, dict[int, int]]) -> Sums:
    columns = sorted({c for row in rows.values() for c in row})
    lines = {c: np.array([row.get(c, 0) for row in rows.values()], np.int64) for c in columns}
    return add_up(np.array(list(rows), np.int64), lines)


def said(sums: Sums) -> dict[int, tuple[int, ...]]:
    return dict(zip(sums.device.tolist(), map(tuple, sums.matrix(12).tolist()), strict=True))


@given(st.lists(st.dictionaries(st.integers(0, 100_000), LINES, max_size=20), min_size=1, max_size=5))
def test_blocks_come_back_and_add_up(some: list[dict[int, dict[int, int]]]) -> None:
    expected: dict[int, Counter[int]] = {}
    for rows in some:
        back = unpack(pack(sums_of(rows)))
        assert said(back) == said(sums_of(rows))
        for device, row in rows.items():
            expected.setdefault(device, Counter()).update(row)
    found = said(together([unpack(pack(sums_of(rows))) for rows in some]))
    assert found == {d: tuple(row[c] for c in range(12)) for d, row in expected.items()}


@pytest.mark.parametrize(
    "damage", [b"", b"\x02" + pack(sums_of({1: {0: 1}}))[1:], pack(sums_of({1: {0: 1}}))[:-3]]
)
def test_a_damaged_block_is_told(damage: bytes) -> None:
    with pytest.raises(Unavailable, match="damaged"):
        unpack(damage)


def fill(journal: SqliteJournal, hours: int = 3, times: int = 12) -> None:
    """Each hour: every device sends so often, the first one more often; all is stored."""
    for number in range(hours * times):
        at = T + number // times * HOUR + number % times
        seq = journal.append(batch(at, [*MANY, MANY[0]]))
        kept = Tally.of(dict.fromkeys(((at // HOUR * HOUR, d) for d in MANY), 1))
        journal.note([], {}, (READER, Lane.NORMAL, seq), kept, stored(at, [*MANY, MANY[0]], 2))


def check(journal: SqliteJournal, hours: int = 3, times: int = 12) -> None:
    rows = journal.ledger(0)
    assert len(rows) == hours * len(MANY)
    assert {(r.received, r.decoded, r.readings, r.stored) for r in rows if r.device != MANY[0]} == {
        (times, times, 2 * times, 2 * times)
    }
    page = journal.balance(LedgerQuestion(0, by="row", wrong=True))
    assert (page.count, page.totals.received, page.totals.balances) == (0, hours * times * 701, True)
    one = journal.balance(LedgerQuestion(T, H + HOUR, by="device", device=MANY[0]))
    assert [(r.device, r.received, r.stored) for r in one.rows] == [(MANY[0], 2 * times, 4 * times)]
    by_hour = journal.balance(LedgerQuestion(0, by="hour")).rows
    assert [(r.at, r.received) for r in by_hour] == [
        (H + n * HOUR, times * 701) for n in reversed(range(hours))
    ]
    pages = journal.balance(LedgerQuestion(0, by="device", limit=2, offset=1))
    assert ([r.device for r in pages.rows], pages.count) == (sorted(MANY)[1:3], len(MANY))
    assert journal.kept([H, H + HOUR], MANY[5]) == {(H, MANY[5]): times, (H + HOUR, MANY[5]): 2 * times}
    assert len(journal.kept([H])) == len(MANY)
    assert journal.kept_since() == H + HOUR


def count_blocks(path: Path) -> int:
    db = sqlite3.connect(path)
    (count,) = db.execute("SELECT count(*) FROM ledger_block").fetchone()
    assert db.execute("SELECT count(*) FROM ledger").fetchone() == (0,)
    db.close()
    return int(count)


def test_many_devices_become_few_blocks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dutyroom.backends.ledger.EVERY_S", -1.0)  # written with every commit
    path = tmp_path / "j.sqlite"
    journal = SqliteJournal(path)
    fill(journal)
    check(journal)
    assert count_blocks(path) <= 6 * (1 + 7 + 7)
    other = SqliteJournal(path, read_only=True)
    check(other)
    journal.trim(T + 3 * HOUR, 30, {})
    for each in (journal, other):
        check(each)
    journal.trim(T + 3 * HOUR, 30, {})
    assert count_blocks(path) == 6
    other.close()
    journal.close()


def test_what_was_counted_in_memory_is_counted_again_after_a_crash(tmp_path: Path) -> None:
    fill(SqliteJournal(tmp_path / "j.sqlite"))  # never closed, nothing of its own counts is written
    journal = SqliteJournal(tmp_path / "j.sqlite")
    check(journal)
    fill_more = batch(T, ["new-one", *MANY])
    journal.append(fill_more)
    assert [r.received for r in journal.ledger(0) if r.device == "new-one"] == [1]
    journal.trim(T, 30, {})
    journal.close()
    again = SqliteJournal(tmp_path / "j.sqlite")
    assert [r.received for r in again.ledger(0) if r.device == "new-one"] == [1]
    again.close()


def test_a_commit_that_fails_leaves_no_names_behind(tmp_path: Path) -> None:
    journal = SqliteJournal(tmp_path / "j.sqlite")
    bad = Tally(np.full(len(MANY), H), MANY, np.full(len(MANY), 1))

    def fail() -> None:
        with journal._commit() as db:
            journal._names.of(["x", *MANY])
            journal._names.save(db)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    journal.note([], {}, None, bad, stored(T, MANY, 3))
    other = SqliteJournal(tmp_path / "j.sqlite")
    assert {(r.device, r.stored) for r in other.ledger(0)} == {(d, 3) for d in MANY}
    other.close()
    journal.close()


def test_rows_of_an_older_file_are_added_to_blocks(tmp_path: Path) -> None:
    path = tmp_path / "j.sqlite"
    db = sqlite3.connect(path)
    for step in journals._STEPS[:7]:
        db.executescript(step)
    db.execute("PRAGMA user_version=7")
    for device in (*MANY, "gone"):
        db.execute(
            "INSERT INTO ledger (hour, device, received, decoded, readings, stored) VALUES (?,?,5,5,10,10)",
            (H, device),
        )
        db.execute("INSERT INTO kept (hour, device, count) VALUES (?,?,5)", (H, device))
    db.commit()
    db.close()
    journal = SqliteJournal(path)
    fill(journal, hours=1, times=1)
    found = {r.device: (r.received, r.stored) for r in journal.ledger(0)}
    assert (found["gone"], found[MANY[1]], len(found)) == ((5, 10), (6, 12), 701)
    totals = journal.balance(LedgerQuestion(0, by="device")).totals
    assert (totals.received, totals.balances) == (701 * 6, True)
    assert journal.kept([H])[H, MANY[1]] == 6
    journal.trim(T + 401 * DAY, 30, {})
    assert (journal.ledger(0), journal.kept([H])) == ([], {})
    journal.close()


def test_names_keep_their_numbers(tmp_path: Path) -> None:
    db = sqlite3.connect(tmp_path / "n.sqlite")
    db.executescript(blocks.SCHEMA)
    names = Names()
    assert names.of(["a", "b", "a"]).tolist() == [0, 1, 0]
    names.save(db)
    assert names.of(["c", "b"]).tolist() == [2, 1]
    names.save(db)
    other = Names()
    other.learn(db)
    assert other == names == {"a": 0, "b": 1, "c": 2}
    db.close()
