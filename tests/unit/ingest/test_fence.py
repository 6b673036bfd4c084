"""Whoever owns a site writes its journal; who owned it before commits nothing more."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from dutyroom.backends.journal import SqliteJournal
from dutyroom.errors import Fenced, Unavailable
from dutyroom.model.telemetry import Batch, Lane, Message, MessageRecord, Outcome, Readings

AT = 1_790_000_000_000


def a_batch(text: bytes = b"1") -> Batch:
    record = MessageRecord(Message("meters/1", text, AT), Outcome.QUARANTINED, reason="malformed")
    return Batch("site", Lane.NORMAL, AT, (record,), Readings.empty())


WRITES: list[Callable[[SqliteJournal], object]] = [
    lambda journal: journal.append(a_batch()),
    lambda journal: journal.advance("keep", Lane.NORMAL, 1),
    lambda journal: journal.note([], {}, ("keep", Lane.NORMAL, 1)),
    lambda journal: journal.settle([1], "discarded"),
    lambda journal: journal.restate([]),
    lambda journal: journal.trim(AT, 7.0, {}),
]


@pytest.mark.parametrize("write", WRITES)
def test_a_process_that_slept_commits_nothing(
    tmp_path: Path, write: Callable[[SqliteJournal], object]
) -> None:
    slept = SqliteJournal(tmp_path / "j.sqlite", token=3)
    slept.append(a_batch())
    owner = SqliteJournal(tmp_path / "j.sqlite", token=4)
    with pytest.raises(Fenced):
        write(slept)
    assert owner.last(Lane.NORMAL) == 1
    assert owner.quarantine_size() == 1
    assert owner.cursor("keep", Lane.NORMAL) == 0
    write(owner)
    slept.close()
    owner.close()


def test_an_older_token_does_not_even_open_it(tmp_path: Path) -> None:
    SqliteJournal(tmp_path / "j.sqlite", token=4).close()
    with pytest.raises(Fenced):
        SqliteJournal(tmp_path / "j.sqlite", token=3)
    again = SqliteJournal(tmp_path / "j.sqlite", token=4)  # the same owner may open it once more
    assert again.token() == 4
    again.close()


def test_without_a_lease_nothing_is_checked(tmp_path: Path) -> None:
    journal = SqliteJournal(tmp_path / "j.sqlite")
    assert journal.token() == 0
    assert journal.append(a_batch()) == 1
    journal.close()


def test_a_reader_follows_what_another_writes(tmp_path: Path) -> None:
    with pytest.raises(Unavailable):
        SqliteJournal(tmp_path / "j.sqlite", read_only=True)
    writer = SqliteJournal(tmp_path / "j.sqlite", token=1)
    reader = SqliteJournal(tmp_path / "j.sqlite", read_only=True)
    assert reader.last(Lane.NORMAL) == 0
    writer.append(a_batch(b"1"))
    writer.append(a_batch(b"2"))
    assert reader.last(Lane.NORMAL) == 2
    found = reader.read(Lane.NORMAL, 0, 10)
    assert [(seq, batch.messages[0].message.payload) for seq, batch in found] == [(1, b"1"), (2, b"2")]
    assert reader.read(Lane.NORMAL, 2, 10) == []
    assert reader.token() == 1
    writer.close()
    reader.close()
