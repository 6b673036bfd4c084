"""The ledger's sums: by device, hour and local day, in pages, beside what waits in the journal."""

from __future__ import annotations

import threading
from collections import Counter
from pathlib import Path

from dutyroom.backends.journal import SqliteJournal
from dutyroom.flows.keep import READER
from dutyroom.interfaces import LedgerQuestion
from dutyroom.model.telemetry import Batch, Lane, Message, MessageRecord, Outcome, Readings
from dutyroom.timebase import DAY, HOUR, Ms, day_starts, from_iso, zone

TZ = zone("Asia/Shanghai")
T = from_iso("2026-11-25T03:30:00Z")


def batch(at: Ms, *devices: str, lane: Lane = Lane.NORMAL, readings: int = 2) -> Batch:
    """A message of each device with some readings."""
    records = tuple(MessageRecord(Message("t", b"{}", at), Outcome.DECODED, d, "p") for d in devices)
    rows = [(1 + n, at, 1.0, 0, m) for m in range(len(devices)) for n in range(readings)]
    return Batch("s", lane, at, records, Readings.of(rows))


def stored(journal: SqliteJournal, at: Ms, many: int, *devices: str, passed: int = 0) -> None:
    found = {(at // HOUR * HOUR, device, "stored"): many for device in devices}
    journal.note([], found, (READER, Lane.NORMAL, passed) if passed else None)


def test_what_waits_for_the_store_is_pending_and_balances(tmp_path: Path) -> None:
    journal = SqliteJournal(tmp_path / "j.sqlite")
    first = journal.append(batch(T, "a", "b"))
    journal.append(batch(T + 1000, "a", lane=Lane.PRIORITY))
    stored(journal, T, 2, "a", "b", passed=first)
    page = journal.balance(LedgerQuestion(0, by="device"))
    assert [(r.device, r.readings, r.stored, r.pending, r.waiting, r.balances) for r in page.rows] == [
        ("a", 4, 2, 2, 2, True),
        ("b", 2, 2, 0, 0, True),
    ]
    assert (page.oldest, page.exact, page.totals.pending, page.totals.balances) == (T + 1000, True, 2, True)
    other = SqliteJournal(tmp_path / "j.sqlite", read_only=True)  # beside the one that writes
    assert other.balance(LedgerQuestion(0, by="device")) == page
    other.close()
    journal.close()


def test_a_reading_that_nobody_stored_is_found(tmp_path: Path) -> None:
    journal = SqliteJournal(tmp_path / "j.sqlite")
    seq = journal.append(batch(T, "a"), batch(T + HOUR, "a", "b"))
    stored(journal, T, 2, "a")
    stored(journal, T + HOUR, 1, "a", passed=seq)
    stored(journal, T + HOUR, 3, "b")  # and one more than there was
    page = journal.balance(LedgerQuestion(0, by="row", wrong=True))
    assert page.count == 2
    assert [(r.device, r.at, r.pending) for r in page.rows] == [
        ("a", (T + HOUR) // HOUR * HOUR, 1),
        ("b", (T + HOUR) // HOUR * HOUR, -1),
    ]
    journal.close()


def test_local_days_hours_and_one_device(tmp_path: Path) -> None:
    journal = SqliteJournal(tmp_path / "j.sqlite")
    for hours in range(48):
        journal.append(batch(T + hours * HOUR, "a", "b"))
    days = day_starts(T, T + 2 * DAY, TZ)
    page = journal.balance(LedgerQuestion(days[0], by="day", days=days))
    # 11:30 at the site: 13 hours are left of the first day, 24 of the next, 11 of the last.
    assert [(r.at, r.received) for r in page.rows] == [(days[2], 22), (days[1], 48), (days[0], 26)]
    hours_of_b = journal.balance(LedgerQuestion(T, by="hour", device="b", limit=10, offset=40))
    assert (hours_of_b.count, len(hours_of_b.rows), hours_of_b.totals.received) == (48, 8, 48)
    assert journal.balance(LedgerQuestion(T + 2 * DAY, by="hour")).count == 0
    journal.close()


def test_more_than_twenty_thousand_rows_are_summed(tmp_path: Path) -> None:
    journal = SqliteJournal(tmp_path / "j.sqlite")
    names = [f"meter-{n}" for n in range(8_500)]
    for hours in range(3):
        journal.append(batch(T + hours * HOUR, *names, readings=1))
    page = journal.balance(LedgerQuestion(0, by="row", limit=5, offset=25_000))
    assert (page.count, page.totals.received, page.totals.waiting, len(page.rows)) == (
        25_500,
        25_500,
        25_500,
        5,
    )
    assert len(journal.ledger(0)) == 25_500
    journal.close()


def test_it_balances_at_every_moment_while_batches_come_and_are_stored(tmp_path: Path) -> None:
    journal = SqliteJournal(tmp_path / "j.sqlite")
    ended = threading.Event()

    def write() -> None:
        for number in range(200):
            at = T + number * 60_000
            seq = journal.append(batch(at, "a", "b"))
            if number % 3 == 2:
                ats = (at, at - 60_000, at - 120_000)
                found = Counter(
                    (t // HOUR * HOUR, d, "stored") for t in ats for d in ("a", "b") for _ in "12"
                )
                journal.note([], found, (READER, Lane.NORMAL, seq))
        ended.set()

    writer = threading.Thread(target=write)
    writer.start()
    looks = 0
    while not ended.is_set():
        totals = journal.balance(LedgerQuestion(0, by="day", days=(0,))).totals
        assert totals.balances, totals
        looks += 1
    writer.join()
    assert looks > 3
    page = journal.balance(LedgerQuestion(0, by="row", wrong=True))
    assert (page.count, page.totals.received) == (0, 400)
    journal.close()
