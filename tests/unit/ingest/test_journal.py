"""The journal: what is appended is there after a reopen, in order, by lane; cursors only rise."""

from __future__ import annotations

import sqlite3
import time
import zlib
from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dutyroom.backends.batch_bytes import NUMBERED, pack, unpack
from dutyroom.backends.journal import _STEPS, SqliteJournal
from dutyroom.errors import Rejected, Unavailable
from dutyroom.model.telemetry import (
    Attribute,
    Batch,
    Event,
    Finding,
    Lane,
    Message,
    MessageRecord,
    Outcome,
    Readings,
)
from dutyroom.timebase import DAY, HOUR, MINUTE

T = 1_795_000_000_000


def batch(lane: Lane = Lane.NORMAL, at: int = T, outcome: Outcome = Outcome.DECODED) -> Batch:
    return Batch(
        "site",
        lane,
        at,
        (
            MessageRecord(
                Message("a/b", b"\x00\xff{", at), outcome, "meter-1", "v/m", "malformed", "no JSON"
            ),
            MessageRecord(Message("c", b"{}", at, True, True), Outcome.IGNORED),
        ),
        Readings.of([(7, at, 12_345.0, 0, 0), (8, at, -1.5, 3, 0)]),
        (Event(9, at, "41", "passage", {"door": 3, "granted": True}, 0),),
        (Attribute("meter-1", "firmware", "1.2", at),),
        (Finding("clock_wrong", "meter-1", at, "1970"),),
    )


def test_a_batch_survives_packing_byte_for_byte() -> None:
    original = batch()
    again = unpack(Lane.NORMAL, T, pack(original))
    assert again.messages == original.messages
    assert (again.events, again.attributes, again.findings) == (
        original.events,
        original.attributes,
        original.findings,
    )
    for name in ("point", "at", "value", "quality", "message"):
        assert np.array_equal(getattr(again.readings, name), getattr(original.readings, name))


def test_rows_of_the_first_format_are_read() -> None:
    made = batch()
    r = made.readings
    body = [
        made.site,
        [
            [
                m.message.topic, m.message.payload, m.message.received_at, m.message.retained, m.message.duplicate,
                m.outcome.value, m.device, m.profile, m.reason, m.detail,
            ]
            for m in made.messages
        ],
        r.point.tobytes(), r.at.tobytes(), r.value.tobytes(), r.quality.tobytes(), r.message.tobytes(),
        {},
        [[e.point, e.at, e.event_id, e.code, dict(e.arguments), e.message] for e in made.events],
        [[a.device, a.name, a.value, a.at] for a in made.attributes],
        [[f.kind, f.device, f.at, f.detail] for f in made.findings],
        False,
    ]  # fmt: skip
    again = unpack(Lane.NORMAL, T, zlib.compress(msgspec.msgpack.encode(body), 1))
    assert again.messages == made.messages
    assert again.readings.value.tolist() == r.value.tolist()
    assert (again.events, again.attributes, again.findings) == (made.events, made.attributes, made.findings)


def test_how_messages_came_survives_packing_up_to_a_thousand_of_them(tmp_path: Path) -> None:
    sent = [
        Message("t", b"1", T, session="a", ident=b"\x01\x02"),
        Message("t", b"2", T, session="b", ident=b"\xff\xff\x02"),  # QoS 2
        Message("t", b"3", T, session="a"),
        Message("t", b"4", T),
    ]
    records = tuple(MessageRecord(m, Outcome.DECODED) for m in sent)
    journal = SqliteJournal(tmp_path / "j.sqlite")
    journal.append(Batch("s", Lane.NORMAL, T, records, Readings.of([])))
    came = [(m.session, m.ident) for m in journal.recent(10)]
    assert came == [("a", b"\x01\x02"), ("b", b"\xff\xff"), ("a", b""), ("", b"")]
    journal.append(Batch("s", Lane.NORMAL, T, records[:1] * (NUMBERED + 1), Readings.of([])))
    assert [(m.session, m.ident) for m in journal.recent(1)] == [("", b"")]


def test_what_was_read_again_from_quarantine_did_not_come_last(tmp_path: Path) -> None:
    journal = SqliteJournal(tmp_path / "j.sqlite")
    journal.append(batch(at=T))
    journal.append(replace(batch(at=T - DAY), again=True))
    assert {m.received_at for m in journal.recent(10)} == {
        m.message.received_at for m in batch(at=T).messages
    }


@given(
    st.lists(
        st.tuples(
            st.integers(0, 2**31 - 1),
            st.integers(-(2**62), 2**62),
            st.floats(allow_nan=False),
            st.integers(0, 4),
            st.integers(0, 2),
        )
    )
)
def test_any_columns_survive_packing(rows: list[tuple[int, int, float, int, int]]) -> None:
    records = tuple(MessageRecord(Message("t", b"{}", T + n), Outcome.DECODED, f"d{n}") for n in range(3))
    again = unpack(Lane.NORMAL, T, pack(Batch("s", Lane.NORMAL, T, records, Readings.of(rows))))
    r = again.readings
    found = zip(
        r.point.tolist(), r.at.tolist(), r.value.tolist(), r.quality.tolist(), r.message.tolist(), strict=True
    )
    assert list(found) == rows
    assert again.messages == records


def test_damaged_bytes_are_refused() -> None:
    with pytest.raises(Rejected, match="damaged"):
        unpack(Lane.NORMAL, T, pack(batch())[:-9])


def test_readers_follow_by_lane_and_cursor_also_after_a_reopen(tmp_path: Path) -> None:
    journal = SqliteJournal(tmp_path / "j.sqlite")
    first = journal.append(batch(Lane.NORMAL))
    journal.append(batch(Lane.PRIORITY), batch(Lane.NORMAL, T + 1))
    assert [b.received_at for _, b in journal.read(Lane.NORMAL, 0, 10)] == [T, T + 1]
    journal.advance("keep", Lane.NORMAL, first)
    journal.advance("keep", Lane.NORMAL, first - 1)  # a late writer never moves a cursor back
    journal.close()

    again = SqliteJournal(tmp_path / "j.sqlite")
    assert again.cursor("keep", Lane.NORMAL) == first
    assert [b.received_at for _, b in again.read(Lane.NORMAL, first, 10)] == [T + 1]
    assert len(again.read(Lane.PRIORITY, 0, 10)) == 1
    assert again.read(Lane.NORMAL, again.last(Lane.NORMAL), 10) == []
    again.close()


def test_the_ledger_balances_and_quarantine_keeps_the_payload(tmp_path: Path) -> None:
    journal = SqliteJournal(tmp_path / "j.sqlite")
    journal.append(batch(outcome=Outcome.QUARANTINED))
    journal.append(batch())
    journal.note([], {(T // HOUR * HOUR, "meter-1", "stored"): 4})
    (row,) = [r for r in journal.ledger(0) if r.device == "meter-1"]
    assert row.received == row.decoded + row.ignored + row.quarantined == 2
    assert row.readings == row.stored == 4
    (kept,) = journal.quarantine()
    assert (kept.topic, kept.payload, kept.reason) == ("a/b", b"\x00\xff{", "malformed")
    assert journal.settle([kept.id, kept.id], "discarded") == 1
    assert list(journal.quarantine()) == []
    (finding,) = journal.findings(0)
    assert (finding.kind, finding.count) == ("clock_wrong", 2)
    journal.close()


def test_what_was_counted_in_memory_is_counted_again_after_a_crash(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: clock[0])
    journal = SqliteJournal(tmp_path / "j.sqlite")
    for number in range(30):
        clock[0] += 1.0  # written now and then
        journal.append(batch(at=T + number * MINUTE), batch(Lane.PRIORITY, outcome=Outcome.QUARANTINED))
        other = SqliteJournal(tmp_path / "j.sqlite", read_only=True)
        assert other.ledger(0) == journal.ledger(0)
        other.close()
    told = journal.ledger(0)
    assert {row.device: row.received for row in told} == {"meter-1": 60, "": 60}
    again = SqliteJournal(tmp_path / "j.sqlite")  # the other one never closed: as after a kill
    assert again.ledger(0) == told
    again.trim(T + 99 * DAY, 1, dict.fromkeys(Lane, 99))
    assert again.ledger(0) == told
    once_more = SqliteJournal(tmp_path / "j.sqlite")
    assert once_more.ledger(0) == told
    for opened in (journal, again, once_more):
        opened.close()


def test_what_a_reader_counts_and_how_far_it_came_are_one_commit(tmp_path: Path) -> None:
    journal = SqliteJournal(tmp_path / "j.sqlite")
    seq = journal.append(batch())
    journal.note([], {(T // HOUR * HOUR, "meter-1", "stored"): 2}, ("keep", Lane.NORMAL, seq))
    assert journal.cursor("keep", Lane.NORMAL) == seq
    journal.note([], {}, ("keep", Lane.PRIORITY, seq))  # also when there is nothing to count
    assert journal.cursor("keep", Lane.PRIORITY) == seq
    journal.close()


def test_only_what_all_readers_passed_and_is_old_is_trimmed(tmp_path: Path) -> None:
    journal = SqliteJournal(tmp_path / "j.sqlite")
    old = journal.append(batch(at=T - 10 * DAY))
    journal.append(batch(at=T))
    assert journal.trim(T, 7, {Lane.NORMAL: 0}) == 0
    assert journal.trim(T, 7, {Lane.NORMAL: old}) == 1
    assert [m.received_at for m in journal.recent(10)] == [T, T]
    journal.close()


def test_a_newer_file_is_refused_by_name(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "j.sqlite") as db:
        db.execute("PRAGMA user_version=99")
    db.close()
    with pytest.raises(Rejected, match="newer version"):
        SqliteJournal(tmp_path / "j.sqlite")


def test_who_only_reads_is_told_that_the_file_is_not_brought_up_to_date_yet(tmp_path: Path) -> None:
    """As `dutyroom ledger` in the first seconds after an upgrade."""
    file = tmp_path / "j.sqlite"
    with sqlite3.connect(file) as db:
        db.executescript(f"{''.join(_STEPS[:2])}PRAGMA user_version=2;")
    reader = SqliteJournal(file, read_only=True)
    with pytest.raises(
        Unavailable, match=r"j\.sqlite is of an older version \(2 < \d+\); the service that reads"
    ):
        reader.ledger(0)
    reader.close()
    SqliteJournal(file).close()
    reader = SqliteJournal(file, read_only=True)
    assert reader.ledger(0) == []
    reader.close()


def test_a_failed_commit_leaves_nothing_behind(tmp_path: Path) -> None:
    journal = SqliteJournal(tmp_path / "j.sqlite")
    bad = Batch("site", Lane.NORMAL, T, (), Readings.of([(1, T, 1.0, 0, 5)]))  # names a message it has not
    with pytest.raises(IndexError):
        journal.append(batch(), bad)
    assert journal.last(Lane.NORMAL) == 0
    assert journal.read(Lane.NORMAL, 0, 10) == []
    journal.append(batch())
    assert len(journal.read(Lane.NORMAL, 0, 10)) == 1
    journal.close()


@pytest.mark.parametrize("damage", ["cut", "junk", "hole"])
def test_a_damaged_journal_is_said_by_name_when_it_is_opened(tmp_path: Path, damage: str) -> None:
    file = tmp_path / "j.sqlite"
    journal = SqliteJournal(file)
    for number in range(40):
        journal.append(batch(at=T + number))
    journal.close()
    whole = file.read_bytes()
    half = len(whole) // 2
    file.write_bytes(
        {
            "cut": whole[:half],
            "junk": b"\xa5" * 300,
            "hole": whole[:100] + b"\xa5" * half + whole[100 + half :],
        }[damage]
    )
    with pytest.raises(Unavailable, match=r"journal .*j\.sqlite: (database|file is not)"):
        SqliteJournal(file)
