"""Where messages stand that newer ones pushed out of the quarantine: bounded, each once, and counted when gone."""

from __future__ import annotations

from dataclasses import replace as with_other
from pathlib import Path

import pytest
from msgspec.structs import replace
from tests.unit.ingest.test_quarantine import T, batch, silent, strange

from dutyroom.backends import pushed_out
from dutyroom.backends.journal import SqliteJournal
from dutyroom.backends.pushed_out import PLACES
from dutyroom.backends.quarantine import Quarantine
from dutyroom.errors import Conflict
from dutyroom.interfaces import PushedOut
from dutyroom.model.telemetry import Lane, MessageRecord, Outcome
from dutyroom.timebase import DAY


@pytest.fixture
def journal(tmp_path: Path) -> SqliteJournal:
    made = SqliteJournal(tmp_path / "j.sqlite")
    made._quarantine = Quarantine(kept=2)
    return made


def out(journal: SqliteJournal, *reasons: str) -> list[bytes]:
    found, after = [], 0
    while True:
        rows, then = journal.pushed_out_after(after, 3, reasons)
        found += [row.payload for row in rows]
        if then is None:
            return found
        after = then


def test_each_is_found_at_its_place_in_its_batch(journal: SqliteJournal) -> None:
    for number in range(0, 12, 3):
        decoded = MessageRecord(strange(number).message, Outcome.DECODED, "meter")
        journal.append(batch(decoded, silent(number + 1, "quick"), strange(number + 2, "acme/8", "0008")))
    assert out(journal) == [b"quick 1", b"2", b"quick 4", b"5"]
    assert out(journal, "nothing_read") == [b"quick 1", b"quick 4"]
    assert out(journal, "rejected") == []
    rows, after = journal.pushed_out_after(0, 2)
    assert [(row.id, row.received_at, row.reason, row.addresses, row.device) for row in rows] == [
        (-PLACES - 1, T + 1, "nothing_read", (), "quick"),
        (-PLACES - 2, T + 2, "unknown_device", ("0008",), ""),
    ]
    assert after == PLACES + 2
    assert journal.pushed_out() == [PushedOut("", 2, 0, T + 2, T + 5), PushedOut("quick", 2, 0, T + 1, T + 4)]


def test_large_batches_are_looked_into_a_few_at_a_time(
    journal: SqliteJournal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pushed_out, "_UNPACKED", 2)
    for number in range(6):
        journal.append(batch(silent(number, "quick")))
    rows, after = journal.pushed_out_after(0, 100)
    assert ([row.payload for row in rows], after) == ([b"quick 0", b"quick 1"], 3 * PLACES - 1)
    assert out(journal) == [f"quick {number}".encode() for number in range(4)]


def test_strangers_push_out_none_of_a_device_and_are_one_when_they_are_gone(journal: SqliteJournal) -> None:
    journal._quarantine = Quarantine(most=10, kept=2, most_bytes=60_000)
    for number in range(5):
        journal.append(batch(silent(number, "quick")))
    for number in range(100):
        journal.append(batch(strange(number, f"acme/{number}", f"{number:04d}")))
    strangers, quick = journal.pushed_out()
    assert (quick.device, quick.gone, quick.kept) == ("quick", 0, 5)  # two of them for want of room in all
    assert strangers.device == ""
    assert strangers.kept <= 10
    assert strangers.kept + strangers.gone == 100 - (journal.quarantine_size())
    assert len(journal._rows("SELECT 1 FROM pushed_sender")) <= strangers.kept + 3


def test_of_known_devices_the_oldest_are_given_up(journal: SqliteJournal) -> None:
    journal._quarantine = Quarantine(kept=2, most_bytes=5_000)
    for number in range(40):
        journal.append(batch(silent(number, "quick")))
    (quick,) = journal.pushed_out()
    assert 8 <= quick.kept <= 10
    assert quick.kept + quick.gone == 38
    assert out(journal)[-1] == b"quick 37"


def test_what_is_read_again_is_there_no_longer_and_not_twice(journal: SqliteJournal) -> None:
    for number in range(4):
        journal.append(batch(silent(number, "quick")))
    (first, _), _ = journal.pushed_out_after(0, 9)
    read = replace(silent(0, "quick"), outcome=Outcome.DECODED, reason="", row=first.id, waited=first.device)
    journal.append(batch(read, again=True))
    assert out(journal) == [b"quick 1"]
    last = journal.last(Lane.NORMAL)
    with pytest.raises(Conflict):
        journal.append(batch(read, again=True))
    assert journal.last(Lane.NORMAL) == last
    (row,) = [r for r in journal.ledger(0) if r.received]
    assert (row.device, row.received, row.decoded, row.quarantined) == ("quick", 4, 1, 3)


def test_strangers_and_a_silent_device_of_one_message_are_one(journal: SqliteJournal) -> None:
    for number in range(3):
        record = MessageRecord(strange(number).message, Outcome.DECODED, "m1", unread=("b",))
        journal.append(batch(replace(record, silent=(("a", "meter-a"),))))
    (row,), _ = journal.pushed_out_after(0, 9)
    assert (row.part, row.addresses) == (True, ("a", "b"))
    left = replace(record, unread=(), silent=(("a", "meter-a"),), row=row.id, part=True, detail="cbm")
    journal.append(batch(left, again=True))
    (row,), _ = journal.pushed_out_after(0, 9)
    assert (row.reason, row.addresses, row.device) == ("nothing_read", ("a",), "meter-a")


def test_what_waits_on_with_more_than_before_pushes_out_none_that_is_read_again_beside_it(
    journal: SqliteJournal,
) -> None:
    """Else the batch fails as often as it is tried, and nothing after it is read again ever."""
    journal._quarantine = Quarantine(kept=2, most_bytes=5_000)
    for number in range(40):
        journal.append(batch(silent(number, "quick")))
    rows, _ = journal.pushed_out_after(0, 99)
    left = ((f"{number:0100}", "quick") for number in range(len(rows)))
    again = [
        replace(silent(0, "quick"), outcome=Outcome.DECODED, silent=(one,), row=row.id, waited=row.device)
        for row, one in zip(rows, left, strict=True)
    ]
    journal.append(batch(*again, again=True))
    (quick,) = journal.pushed_out()
    assert quick.kept + quick.gone == 38
    assert 1 <= quick.kept <= 3  # of 500 bytes, with their addresses
    assert [row.part for row in journal.pushed_out_after(0, 99)[0]] == [True] * quick.kept


def test_what_a_disk_has_damaged_stops_nothing(journal: SqliteJournal) -> None:
    for number in range(4):
        journal.append(batch(silent(number, "quick")))
    journal._writer.execute("UPDATE batch SET body=x'0200' WHERE seq=1")
    assert out(journal) == [b"quick 1"]


def test_what_went_for_want_of_room_is_counted_though_the_other_lane_is_older(journal: SqliteJournal) -> None:
    urgent = batch(MessageRecord(strange(0).message, Outcome.DECODED, "panel"))
    journal.append(with_other(urgent, lane=Lane.PRIORITY))
    for number in range(4):
        journal.append(batch(silent(number, "quick")))
    journal._writer.execute("DELETE FROM batch WHERE seq=2")
    assert journal.pushed_out()[0].gone == 0
    journal.trim(T, 7.0, {})
    assert journal.pushed_out() == [PushedOut("quick", 1, 1, T, T + 1)]
    assert out(journal) == [b"quick 1"]
    journal.trim(T + 8 * DAY, 7.0, {Lane.NORMAL: 99, Lane.PRIORITY: 99})
    assert journal.pushed_out() == []
