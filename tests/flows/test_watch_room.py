"""A spool that holds less than a minute: what the watch has judged makes room at once, not at its next snapshot."""

from __future__ import annotations

import contextlib
import random
from dataclasses import replace
from pathlib import Path

import pytest
from tests.unit.duty.duty_room import Room, device, gauge

from dutyroom.backends.journal import SqliteJournal
from dutyroom.errors import Unavailable
from dutyroom.flows.spool import READERS, held_by_watch
from dutyroom.model.telemetry import Lane, Message, MessageRecord, Outcome

MB = 1 << 20


@pytest.fixture
def room(tmp_path: Path) -> Room:
    journal = SqliteJournal(tmp_path / "journal.sqlite", most=8 * MB, readers=READERS)
    room = Room(
        [device("riser", "water_meter", 10)], {"water_meter": [gauge("flow", "m3/h")]}, journal=journal
    )
    room.crowded = lambda: held_by_watch(journal)
    room.restart()
    return room


def comes(room: Room, number: int) -> None:
    """A message of 20 kB that does not shrink."""
    batch = room.batch(("riser", "flow", 1.0))
    message = Message("riser", random.Random(number).randbytes(20_000), room.clock.at)
    room.journal.append(replace(batch, messages=(MessageRecord(message, Outcome.DECODED, "riser"),)))


def fill(room: Room) -> int:
    number = 0
    while True:
        try:
            comes(room, number)
        except Unavailable:
            return number
        number += 1


def stored(room: Room) -> None:
    room.journal.advance("keep", Lane.NORMAL, room.journal.last(Lane.NORMAL))


def test_a_full_journal_takes_again_a_second_after_both_have_read_it(room: Room) -> None:
    room.at(1)
    assert fill(room) > 300
    stored(room)
    room.at(3)
    comes(room, -1)


def test_a_clock_that_was_set_back_an_hour_holds_no_room(room: Room) -> None:
    room.at(3_700, step=60)
    room.clock.at -= 3_600_000
    fill(room)
    stored(room)
    room.at(103)
    comes(room, -1)


def test_no_snapshot_is_taken_for_it_while_the_store_is_away(room: Room) -> None:
    room.at(1)
    fill(room)  # and `keep` has passed nothing of it
    room.at(30)
    assert room.journal.cursor("watch", Lane.NORMAL) == 0
    with pytest.raises(Unavailable, match="readers have not passed"):
        comes(room, -1)


def test_a_journal_that_did_not_take_the_cursor_hears_it_again_though_nothing_more_comes(
    room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The disk is full when the snapshot's place is to be written down, and then the journal is: nothing new can come
    that would ask for another snapshot."""
    room.at(1)
    fill(room)
    stored(room)
    advance, refused = room.journal.advance, []

    def full(reader: str, lane: Lane, seq: int) -> None:
        if reader == "watch" and len(refused) < 2:
            refused.append(seq)
            raise Unavailable("disk full")
        advance(reader, lane, seq)

    monkeypatch.setattr(room.journal, "advance", full)
    for second in range(2, 6):
        with contextlib.suppress(Unavailable):
            room.at(second)
    assert len(refused) == 2
    room.at(8)
    assert room.journal.cursor("watch", Lane.NORMAL) == room.journal.last(Lane.NORMAL)
    comes(room, -1)
