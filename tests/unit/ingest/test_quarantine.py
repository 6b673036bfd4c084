"""The quarantine of a journal: bounded by sender and in all, settled with what was read again."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from msgspec.structs import replace

from dutyroom.backends import journal as journals
from dutyroom.backends import quarantine
from dutyroom.backends.journal import SqliteJournal
from dutyroom.backends.quarantine import Quarantine
from dutyroom.errors import Conflict
from dutyroom.model.telemetry import Batch, Finding, Lane, Message, MessageRecord, Outcome, Readings
from dutyroom.timebase import DAY, HOUR

T = 1_795_000_000_000


def strange(number: int, topic: str = "acme/7", *addresses: str, retained: bool = False) -> MessageRecord:
    message = Message(topic, f"{number}".encode(), T + number, retained)
    reason = "unknown_device" if addresses else "unknown_topic"
    return MessageRecord(message, Outcome.QUARANTINED, reason=reason, unread=addresses)


def batch(*records: MessageRecord, again: bool = False) -> Batch:
    rows = [(1, T + n, 1.0, 0, n) for n, r in enumerate(records) if r.outcome is Outcome.DECODED]
    return Batch(
        "site", Lane.NORMAL, records[-1].message.received_at, records, Readings.of(rows), again=again
    )


@pytest.fixture
def journal(tmp_path: Path) -> SqliteJournal:
    made = SqliteJournal(tmp_path / "j.sqlite")
    made._quarantine = Quarantine(most=40, most_bytes=10_000, kept=10)
    return made


def payloads(journal: SqliteJournal) -> list[bytes]:
    return [row.payload for row in journal.quarantine_after(0, 1000)]


def test_the_newest_of_a_sender_stay_and_the_rest_is_counted(
    journal: SqliteJournal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(quarantine, "_LEAST", 3)
    for number in range(25):
        journal.append(batch(strange(number), strange(number, "acme/8", "0008")))
    assert len(payloads(journal)) == 20
    first, second = journal.strangers(10)
    assert (first.newest.topic, first.newest.addresses) == ("acme/8", ("0008",))
    assert (second.kept, second.count, second.newest.payload) == (10, 25, b"24")
    assert (second.first_at, second.last_at) == (T, T + 24)
    (row,) = journal.ledger(0)
    assert row.received == row.quarantined == 50


def test_large_messages_of_a_sender_are_fewer(
    journal: SqliteJournal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(quarantine, "KEPT_BYTES", 300)
    monkeypatch.setattr(quarantine, "_LEAST", 2)
    for number in range(6):
        record = strange(number)
        journal.append(batch(replace(record, message=replace(record.message, payload=b"x" * 100))))
    assert journal.quarantine_size() == 3


def test_a_thousand_topics_do_not_fill_it_either(journal: SqliteJournal) -> None:
    for number in range(200):
        journal.append(batch(strange(number, f"acme/{number}")))
    assert journal.quarantine_size() <= 40
    assert payloads(journal)[-1] == b"199"
    rows = journal._rows("SELECT topic, count FROM crowded")
    assert rows == [("", 200 - journal.quarantine_size())]


def test_devices_that_say_what_nobody_reads_push_no_stranger_out(journal: SqliteJournal) -> None:
    for number in range(15):
        journal.append(batch(strange(number, f"acme/{number}", "0007")))
    for number in range(15, 300):
        beat = MessageRecord(
            strange(number, f"m/{number}").message, Outcome.QUARANTINED, "meter", "", "nothing_read"
        )
        journal.append(batch(beat))
    kept = [row.reason for row in journal.quarantine_after(0, 1000)]
    assert kept.count("unknown_device") == 15
    assert 15 <= kept.count("nothing_read") <= 25
    (finding,) = journal.findings(0)
    assert finding.kind == "quarantine_full"


def test_what_is_read_of_a_silent_device_moves_within_its_own_row_of_the_ledger(
    journal: SqliteJournal,
) -> None:
    silent = MessageRecord(strange(1).message, Outcome.QUARANTINED, "meter", "acme/x", "nothing_read", "cbm")
    journal.append(batch(silent))
    (row,) = journal.quarantine()
    assert (row.reason, row.detail, row.device, row.part) == ("nothing_read", "cbm", "meter", False)
    assert [(r.device, r.received, r.quarantined) for r in journal.ledger(0)] == [("meter", 1, 1)]
    read = MessageRecord(
        strange(1).message, Outcome.DECODED, "meter", "acme/x", row=row.id, waited=row.device
    )
    journal.append(batch(read, again=True))
    (found,) = [r for r in journal.ledger(0) if r.received or r.decoded or r.quarantined]
    assert (found.device, found.received, found.decoded, found.quarantined) == ("meter", 1, 1, 0)


def silent(number: int, device: str) -> MessageRecord:
    message = Message("gw/1/up", f"{device} {number}".encode(), T + number)
    return MessageRecord(message, Outcome.QUARANTINED, device, "acme/x", "nothing_read", "cbm")


def test_of_devices_behind_one_gateway_none_pushes_out_what_waits_of_another(journal: SqliteJournal) -> None:
    journal.append(batch(silent(0, "slow"), strange(0, "gw/1/up")))
    for number in range(1, 16):
        journal.append(batch(silent(number, "quick")))
    kept = payloads(journal)
    assert kept[:2] == [b"slow 0", b"0"]
    assert kept[2:] == [f"quick {number}".encode() for number in range(6, 16)]


def test_that_what_waited_of_a_known_device_has_gone_is_said_under_its_name(journal: SqliteJournal) -> None:
    for number in range(10):
        journal.append(batch(silent(number, "quick")))
    assert journal.findings(0) == []
    for number in range(10, 16):
        journal.append(batch(silent(number, "quick"), strange(number)))
    (finding,) = journal.findings(0)
    assert (finding.kind, finding.device, finding.detail) == ("quarantine_full", "quick", "6")


def test_what_is_still_not_read_stays_its_devices(journal: SqliteJournal) -> None:
    journal.append(batch(silent(0, "slow")))
    (row,) = journal.quarantine()
    journal.restate([replace(silent(0, "slow"), detail="kbm", row=row.id)])
    for number in range(1, 16):
        journal.append(batch(silent(number, "quick")))
    assert payloads(journal)[0] == b"slow 0"


def test_pages_read_a_file_that_its_writer_has_not_brought_up_to_date_yet(tmp_path: Path) -> None:
    file = tmp_path / "j.sqlite"
    with closing(SqliteJournal(file)) as older:
        older.append(batch(strange(0), strange(1, "acme/8", "0008")))
        older._writer.executescript(
            "ALTER TABLE quarantine DROP COLUMN device; ALTER TABLE quarantine DROP COLUMN place; DROP TABLE pushed; "
            "DROP TABLE pushed_sender; PRAGMA user_version=8"
        )
    with closing(SqliteJournal(file, read_only=True)) as pages:
        assert [(row.payload, row.device) for row in pages.quarantine()] == [(b"1", ""), (b"0", "")]
        assert len(pages.quarantine_after(0, 9)) == len(pages.strangers(9)) == 2
        assert (pages.pushed_out(), pages.pushed_out_after(0, 9)) == ([], ([], None))
        with closing(SqliteJournal(file)) as writer:
            writer.append(batch(silent(2, "slow")))
        assert [row.device for row in pages.quarantine()] == ["slow", "", ""]


def test_the_bytes_of_all_are_bounded(journal: SqliteJournal) -> None:
    for number in range(30):
        record = strange(number, f"acme/{number}")
        journal.append(batch(replace(record, message=replace(record.message, payload=b"x" * 1000))))
    assert journal.quarantine_size() <= 10


def test_what_was_settled_goes_first_and_that_unread_messages_went_is_said(journal: SqliteJournal) -> None:
    def large(number: int) -> MessageRecord:
        record = strange(number, f"acme/{number}")
        return replace(record, message=replace(record.message, payload=b"x" * 1000))

    for number in range(6):
        journal.append(batch(large(number)))
    settled = [row.id for row in journal.quarantine_after(0, 4)]
    journal.settle(settled, "discarded")
    for number in range(6, 10):
        journal.append(batch(large(number)))
    assert journal.quarantine_size() == 6
    assert journal.quarantine("discarded") == []  # all unread ones are there, the discarded ones made room
    assert journal.findings(0) == []
    for number in range(10, 14):
        journal.append(batch(large(number)))
    went = 10 - journal.quarantine_size()
    assert went > 0
    (finding,) = journal.findings(0)
    assert (finding.kind, finding.device, finding.detail) == ("quarantine_full", "", str(went))


def test_a_flood_of_one_kind_of_finding_hides_no_other(journal: SqliteJournal) -> None:
    journal.note([Finding("clock_skew", "meter", T), Finding("late", "meter", T + 1)], {})
    strangers = [Finding("unknown_device", f"{number:06d}", T + 2 + number) for number in range(3_000)]
    journal.note([*strangers, *(replace_kind(f) for f in strangers)], {})
    found = journal.findings(0, 100)
    assert len(found) == 100
    assert {row.kind for row in found} == {"clock_skew", "late", "unknown_device", "malformed"}
    assert [row.last_at for row in found] == sorted((row.last_at for row in found), reverse=True)
    for kind in ("unknown_device", "malformed"):
        assert [r.device for r in found if r.kind == kind] == [f"{n:06d}" for n in range(2_999, 2_950, -1)]
    assert len(journal.findings(0, 10_000)) <= 2 * journals.STRANGERS * 1.1 + 2


def replace_kind(finding: Finding) -> Finding:
    return Finding("malformed", finding.device, finding.at, finding.detail)


def test_a_retained_message_is_kept_once_however_often_we_connect(journal: SqliteJournal) -> None:
    for at in (0, 1000, 2000):
        record = strange(1, retained=True)
        journal.append(batch(replace(record, message=replace(record.message, received_at=T + at))))
    assert journal.quarantine_size() == 1
    assert journal.quarantine()[0].retained
    (number,) = [row.id for row in journal.quarantine()]
    journal.settle([number], "discarded")
    journal.append(batch(strange(1, retained=True)))
    assert journal.quarantine_size() == 0
    (row,) = journal.ledger(0)
    assert (row.received, row.quarantined, row.ignored) == (4, 1, 3)  # of the repetitions nothing waits


def test_what_is_read_again_moves_in_the_ledger_and_is_settled_in_one_commit(journal: SqliteJournal) -> None:
    journal.append(batch(strange(1), strange(2)))
    first, second = journal.quarantine_after(0, 10)
    read = MessageRecord(strange(1).message, Outcome.DECODED, "meter", "acme/x", row=first.id)
    journal.append(batch(read, again=True))
    assert [r.id for r in journal.quarantine("reprocessed")] == [first.id]
    assert [r.id for r in journal.quarantine()] == [second.id]
    rows = {r.device: r for r in journal.ledger(0)}
    assert (rows[""].received, rows[""].quarantined) == (1, 1)
    assert (rows["meter"].received, rows["meter"].decoded, rows["meter"].readings) == (1, 1, 1)
    assert rows["meter"].hour == T // HOUR * HOUR
    (_, again) = journal.read(Lane.NORMAL, 1, 10)[0]
    assert again.again


def test_what_was_discarded_meanwhile_is_not_read_again(journal: SqliteJournal) -> None:
    journal.append(batch(strange(1)))
    (row,) = journal.quarantine()
    journal.settle([row.id], "discarded")
    read = MessageRecord(strange(1).message, Outcome.DECODED, "meter", row=row.id)
    with pytest.raises(Conflict, match="settled meanwhile"):
        journal.append(batch(read, again=True))
    assert journal.last(Lane.NORMAL) == 1
    assert [r.device for r in journal.ledger(0)] == [""]


def test_a_message_waits_on_for_the_rest_of_its_devices(journal: SqliteJournal) -> None:
    record = MessageRecord(strange(1).message, Outcome.DECODED, "meter", unread=("b", "c"))
    journal.append(batch(record))
    (row,) = journal.quarantine()
    assert (row.part, row.addresses, row.reason, row.detail) == (True, ("b", "c"), "unknown_device", "b, c")
    again = replace(record, device="meter-b", unread=("c",), row=row.id, part=True)
    journal.append(batch(again, again=True))
    (row,) = journal.quarantine()
    assert row.addresses == ("c",)
    rows = {r.device: r for r in journal.ledger(0)}
    assert (rows["meter"].received, rows["meter"].decoded, rows["meter"].readings) == (1, 1, 1)
    assert (rows["meter-b"].received, rows["meter-b"].decoded, rows["meter-b"].readings) == (0, 0, 1)


def test_another_reason_is_written_down(journal: SqliteJournal) -> None:
    journal.append(batch(strange(1)))
    (row,) = journal.quarantine()
    journal.restate([replace(strange(1, "acme/7", "0007"), row=row.id, detail="0007")])
    (row,) = journal.quarantine()
    assert (row.reason, row.detail, row.addresses) == ("unknown_device", "0007", ("0007",))
    assert journal.quarantine_after(0, 10, ("unknown_topic",)) == []
    assert journal.quarantine_after(row.id, 10) == []


def test_settled_messages_are_forgotten_with_the_raw_ones(journal: SqliteJournal) -> None:
    journal.append(batch(strange(1), strange(2)))
    journal.settle([1], "discarded")
    journal.trim(T + 8 * DAY, 7.0, {})
    assert journal.quarantine("discarded") == []
    assert journal.quarantine_size() == 1


def test_a_journal_of_the_first_version_is_taken_over(tmp_path: Path) -> None:
    file = tmp_path / "j.sqlite"
    with sqlite3.connect(file) as old:
        old.executescript(f"{journals._STEPS[0]}PRAGMA user_version=1;")
        old.execute("INSERT INTO quarantine VALUES (4, 1, ?, 'a', x'00ff', 'malformed', 'no', 'open')", (T,))
    old.close()
    taken = SqliteJournal(file)
    (row,) = taken.quarantine()
    assert (row.id, row.payload, row.addresses, row.retained, row.part) == (4, b"\x00\xff", (), False, False)
    assert row.device == ""
    taken.close()
    SqliteJournal(file).close()


def test_what_is_taken_back_is_found_beside_what_waits_for_others_of_its_message(
    journal: SqliteJournal,
) -> None:
    message = strange(1).message
    silences = (("0002", "meter-2"),)
    journal.append(batch(MessageRecord(message, Outcome.DECODED, reason="not_ours", silent=silences)))
    back = MessageRecord(message, Outcome.DECODED, unread=("0001",))
    assert [journal.recall([(1, 0, back)]) for _ in range(2)] == [
        1,
        0,
    ]  # a pass that was broken off begins anew
    rows = journal.quarantine_after(0, 9)
    assert [row.addresses for row in rows] == [("0002",), ("0001",)]
    assert all(row.part for row in rows)
