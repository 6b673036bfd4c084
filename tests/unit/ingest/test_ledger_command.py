"""`dutyroom ledger` and the files of the quarantine, on a data folder without a running service."""

from __future__ import annotations

import base64
import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from dutyroom.backends.clock import SystemClock
from dutyroom.backends.datafolder import DataFolder
from dutyroom.backends.journal import SqliteJournal
from dutyroom.backends.quarantine import Quarantine
from dutyroom.backends.records_sql import open_records
from dutyroom.cli import app
from dutyroom.flows.keep import READER
from dutyroom.flows.silent_words import detail_of
from dutyroom.model.telemetry import Batch, Finding, Lane, Message, MessageRecord, Outcome, Readings
from dutyroom.site import Site
from dutyroom.timebase import HOUR, MINUTE, Ms
from dutyroom.wiring.memory import remember

NOW = SystemClock().now()


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[SqliteJournal]:
    folder = tmp_path / "sites" / "yard"
    folder.mkdir(parents=True)
    (tmp_path / "version.json").write_text('{"version": 1}')
    remember(Site("yard", {"en": "Yard"}, "Asia/Shanghai"), folder)
    open_records(f"sqlite:///{tmp_path}/records.sqlite").close()
    opened = SqliteJournal(folder / "journal.sqlite")
    yield opened
    opened.close()


def sent(at: Ms, device: str = "meter-1", outcome: Outcome = Outcome.DECODED) -> Batch:
    reason = {"reason": "malformed", "detail": "byte 3"} if outcome is Outcome.QUARANTINED else {}
    name = device if outcome is Outcome.DECODED else ""
    record = MessageRecord(Message("up/meter-1", b"\x00\xff{", at), outcome, name, "p", **reason)
    rows = [(1, at, 1.0, 0, 0)] if outcome is Outcome.DECODED else []
    return Batch("yard", Lane.NORMAL, at, (record,), Readings.of(rows))


def kept(journal: SqliteJournal, at: Ms, seq: int) -> None:
    journal.note([], {(at // HOUR * HOUR, "meter-1", "stored"): 1}, (READER, Lane.NORMAL, seq))


def run(tmp_path: Path, *arguments: str) -> tuple[int, str]:
    done = CliRunner().invoke(app, [*arguments, "--data", str(tmp_path)])
    return done.exit_code, done.output


def test_what_only_reads_works_beside_processes_without_pages(tmp_path: Path, journal: SqliteJournal) -> None:
    """`ingest` alone, as on a machine beside the one with `api`: nobody can be asked, and nobody needs to be."""
    now = SystemClock().now()  # of this test: the module was read minutes ago
    journal.append(sent(now), sent(now, outcome=Outcome.QUARANTINED))
    with DataFolder(tmp_path, shared=True):
        code, out = run(tmp_path, "ledger")
        assert (code, "The ledger balances." in out) == (0, True), out
        code, out = run(tmp_path, "quarantine")
        assert (code, "malformed: byte 3" in out) == (0, True), out
        assert run(tmp_path, "quarantine", "--export", str(tmp_path / "q.jsonl"))[0] == 0
        code, out = run(tmp_path, "quarantine", "--discard", "1")
        assert (code, "no `dutyroom api` that can be asked" in out) == (1, True), out


def test_a_service_that_is_starting_is_said_to_be(tmp_path: Path, journal: SqliteJournal) -> None:
    """It has the folder for itself before it answers; what a killed one left there names nobody."""
    journal.append(sent(NOW, outcome=Outcome.QUARANTINED))
    (tmp_path / "instance.json").write_text('{"url": "http://127.0.0.1:9", "token": "old"}')
    with DataFolder(tmp_path):
        code, out = run(tmp_path, "quarantine", "--discard", "1")
        assert (code, "is starting" in out, "try again" in out) == (1, True, True), out
    code, out = run(tmp_path, "quarantine", "--discard", "1")
    assert "is starting" not in out


def test_of_many_points_that_are_not_read_any_more_it_says_how_many(
    tmp_path: Path, journal: SqliteJournal
) -> None:
    now = SystemClock().now()
    journal.append(sent(now))
    lost = detail_of([(f"p{number:02}", 1_795_000_000_000) for number in range(11)], ["battery"])
    journal.note([Finding("point_silent", "meter-1", now, lost)], {})
    _, out = run(tmp_path, "ledger")
    assert "p07 since 2026-11-18T19:06 and 3 more; still read: battery" in " ".join(out.split())


def test_it_names_what_is_not_read_any_more(tmp_path: Path, journal: SqliteJournal) -> None:
    now = SystemClock().now()
    journal.append(sent(now))
    lost = detail_of([("volume", 1_795_000_000_000)], ["battery"])
    journal.note([Finding("point_silent", "meter-1", now, lost)], {})
    said = "Not read any more: meter-1: volume since 2026-11-18T19:06; still read: battery"
    assert said in run(tmp_path, "ledger")[1]
    assert said in run(tmp_path, "ledger", "--device", "meter-1")[1]
    assert said not in run(tmp_path, "ledger", "--device", "meter-2")[1]


def test_it_balances_while_what_came_just_now_waits(tmp_path: Path, journal: SqliteJournal) -> None:
    now = SystemClock().now()  # of this test: the module was read minutes ago
    kept(journal, now - HOUR, journal.append(sent(now - HOUR)))
    journal.append(sent(now - MINUTE), sent(now, outcome=Outcome.QUARANTINED))
    for by in ("hour", "day", "device"):
        code, said = run(tmp_path, "ledger", "--by", by)
        assert code == 0, said
        assert "The ledger balances." in said
        *_, total = [line.split() for line in said.splitlines() if line.startswith("all")]
        #              received decoded ignored quarantined readings stored duplicate conflict refused pending gaps
        assert total == ["all", "3", "2", "0", "1", "2", "1", "0", "0", "0", "1", "0", "yes"]


def test_what_waits_too_long_or_was_lost_ends_with_one(tmp_path: Path, journal: SqliteJournal) -> None:
    journal.append(sent(NOW - 10 * MINUTE))
    code, said = run(tmp_path, "ledger")
    assert code == 1
    assert "1 readings wait for their store, the oldest since" in said
    journal.note([], {}, (READER, Lane.NORMAL, journal.last(Lane.NORMAL)))  # passed, and nobody has it
    code, said = run(tmp_path, "ledger", "--device", "meter-1")
    assert code == 1, said
    assert "meter-1 at" in said
    assert "0 messages and 1 readings are without an outcome" in said
    code, said = run(tmp_path, "ledger", "--device", "another")
    assert code == 0
    assert "has nothing of 'another'" in said
    assert "balances." not in said  # of a name that is spelled wrongly nothing was looked at
    assert run(tmp_path, "ledger", "--since", "1min")[0] in (0, 1)  # the hour may be a new one


def test_what_is_asked_wrongly_is_said(tmp_path: Path, journal: SqliteJournal) -> None:
    assert "--by 'week'" in run(tmp_path, "ledger", "--by", "week")[1]
    assert run(tmp_path, "ledger", "--since", "yesterday")[0] == 1
    assert journal.last(Lane.NORMAL) == 0


def test_the_quarantine_is_written_to_a_file(tmp_path: Path, journal: SqliteJournal) -> None:
    for n in range(700):
        journal.append(sent(NOW - HOUR + n, outcome=Outcome.QUARANTINED))
    file = tmp_path / "out.ndjson"
    code, said = run(tmp_path, "quarantine", "--export", str(file))
    assert (code, said) == (0, f"Wrote 700 messages to {file}.\n")
    rows = [json.loads(line) for line in file.read_bytes().splitlines()]
    assert [r["received_at"] for r in rows] == [NOW - HOUR + n for n in range(700)]
    assert base64.b64decode(rows[0]["payload"]) == b"\x00\xff{"
    assert (rows[0]["topic"], rows[0]["reason"], rows[0]["detail"]) == ("up/meter-1", "malformed", "byte 3")
    code, said = run(tmp_path, "quarantine", "--export", str(tmp_path / "none" / "out"))
    assert code == 1
    code, said = run(tmp_path, "quarantine", "--reprocess")
    assert code == 1
    assert "no service is running" in said


def test_the_quarantine_says_what_newer_messages_pushed_out(tmp_path: Path, journal: SqliteJournal) -> None:
    journal._quarantine = Quarantine(kept=2)
    for n in range(5):
        message = Message("up/meter-1", b"%d" % n, NOW - HOUR + n)
        record = MessageRecord(message, Outcome.QUARANTINED, "meter-1", "p", "nothing_read", "cbm")
        journal.append(Batch("yard", Lane.NORMAL, message.received_at, (record,), Readings.of([])))
    *rows, said = run(tmp_path, "quarantine")[1].splitlines()
    assert len(rows) == 2
    assert said.startswith("meter-1: newer messages pushed out 3 of ")
    assert said.endswith("; 3 are read again with these, 0 are no longer among the raw messages.")
    file = tmp_path / "out.ndjson"
    run(tmp_path, "quarantine", "--export", str(file))
    assert [json.loads(line)["device"] for line in file.read_bytes().splitlines()] == ["meter-1"] * 2


def test_a_journal_of_an_older_version_is_brought_up_to_date(tmp_path: Path) -> None:
    from dutyroom.backends import journal as module

    file = tmp_path / "old.sqlite"
    old = sqlite3.connect(file)
    for step in module._STEPS[:4]:
        old.executescript(step)
    old.execute(
        "INSERT INTO ledger (hour, device, received, decoded, readings, stored) VALUES (?,?,2,2,4,4)",
        (NOW // HOUR * HOUR, "meter-1"),
    )
    old.execute("PRAGMA user_version=4")
    old.commit()
    old.close()
    new = SqliteJournal(file)
    (row,) = new.ledger(0)
    assert (row.received, row.stored, row.refused, row.gaps) == (2, 4, 0, 0)
    assert (new.counts(), new.kept([0]), new.kept_since()) == ({}, {}, None)
    new.close()
