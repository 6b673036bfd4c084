"""What waits in quarantine again once an address is ours after all: messages that were settled because it was not, and
what the raw messages have of it. Every function runs inside a commit of the journal.

A message may be of several addresses that come back one after the other. It is counted once: as a whole it waits in
one row, what is found later of a message that was read waits in a row of its own, as a part.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Iterable, Sequence
from typing import NamedTuple

import msgspec
from msgspec.structs import replace

from dutyroom.backends import ledger
from dutyroom.backends.pushed_out import PLACES
from dutyroom.backends.waiting import UNKNOWN, names
from dutyroom.model.telemetry import Message, MessageRecord, Outcome
from dutyroom.timebase import Ms

FOREIGN = "not_ours"  # settled, or in part, because devices are not ours
Placed = tuple[int, int, MessageRecord]  # of a batch its sequence, and the place there; see `Journal.recall`


_Key = tuple[str, bytes, Ms]  # topic, payload, receipt


class _Row(NamedTuple):
    """Of one message."""

    number: int
    state: str
    reason: str
    part: int
    addresses: str

    @property
    def waits_whole(self) -> bool:
        """All of the message is looked at again, or somebody has put it away."""
        return not self.part and self.state in ("open", "discarded")

    @property
    def ignored_whole(self) -> bool:
        return not self.part and self.state == "reprocessed" and self.reason == FOREIGN


def reopen(
    db: sqlite3.Connection, addresses: Collection[str], foreign: Collection[str] = ()
) -> tuple[ledger.Counts, int]:
    """What was settled because its devices were not ours waits again for those that are now. foreign: those that are
    not yet; where a message waited for some of them too, its row does not forget them, for they may come back when the
    raw messages have gone."""
    marks = ",".join("?" * len(addresses))
    found = db.execute(
        "SELECT id, received_at, part, addresses, (SELECT json_group_array(value) FROM json_each(addresses) "  # noqa: S608
        f"WHERE value IN ({marks})) AS mine FROM quarantine "
        "WHERE state='reprocessed' AND reason=? AND mine<>'[]'",
        (*addresses, FOREIGN),
    ).fetchall()
    counts: ledger.Counts = {}
    for number, at, part, waited, mine in found:
        others = [a for a in msgspec.json.decode(waited, type=list[str]) if a in foreign]
        _open(db, number, list(dict.fromkeys([*msgspec.json.decode(mine), *others])))
        if not part:
            ledger.shift(counts, at, Outcome.IGNORED, Outcome.QUARANTINED)
    return counts, len(found)


def recall(db: sqlite3.Connection, found: Sequence[Placed]) -> tuple[list[Placed], ledger.Counts, int]:
    """Messages of which nothing waits for these addresses, or not for all of them: those that are to be taken, counts, and
    how many more wait again. Those read in part stay counted as read."""
    counts: ledger.Counts = {}
    fresh: list[Placed] = []
    told: dict[_Key, set[str]] = {}  # addresses of what is to be taken
    said: set[tuple[str, bytes]] = set()
    again, waited = 0, _waited(db, [record.message for _, _, record in found])
    for seq, place, record in found:
        message = record.message
        key = message.topic, message.payload, message.received_at
        rows, mine = [*waited.get(key, ()), *_pushed_out(db, seq, place)], told.setdefault(key, set())
        unread, content = _left(record, rows, mine), (message.topic, message.payload)
        if not unread or (message.retained and not rows and (content in said or kept_already(db, message))):
            continue  # a broker tells what it retains at every connection
        said.add(content)
        mine.update(unread)
        if whole := next((row for row in rows if row.ignored_whole), None):
            _open(db, whole.number, unread)
            again += 1
        elif rows or len(mine) > len(unread):  # the message was counted when it came back for another one
            part = replace(record, outcome=Outcome.DECODED, reason="", detail="", unread=unread)
            fresh.append((seq, place, part))
            continue
        elif record.outcome is Outcome.IGNORED:  # it came back, and was pushed out since
            continue
        else:
            fresh.append((seq, place, replace(record, unread=unread)))
            if record.outcome is not Outcome.QUARANTINED:
                continue
        ledger.shift(counts, message.received_at, Outcome.IGNORED, Outcome.QUARANTINED)
    return fresh, counts, again


def kept_already(db: sqlite3.Connection, message: Message) -> bool:
    """Whether the same was said on its topic and is here."""
    found = db.execute(
        "SELECT 1 FROM quarantine WHERE state IN ('open','reprocessed','discarded') AND topic=? AND payload=? LIMIT 1",
        (message.topic, message.payload),
    ).fetchone()
    return found is not None


def _left(record: MessageRecord, rows: Iterable[_Row], told: Collection[str]) -> tuple[str, ...]:
    """The addresses of a record for which it does not wait and has not waited."""
    known = set(told)
    for row in rows:
        waited = msgspec.json.decode(row.addresses, type=list[str])
        if row.waits_whole or not waited:
            return ()
        known.update(waited)
    return tuple(address for address in record.unread if address not in known)


def _waited(db: sqlite3.Connection, messages: Iterable[Message]) -> dict[_Key, list[_Row]]:
    """The rows of messages, as far as there are any: a topic is looked through once, not for each message."""
    spans: dict[str, tuple[Ms, Ms]] = {}
    for message in messages:
        first, last = spans.get(message.topic, (message.received_at, message.received_at))
        spans[message.topic] = min(first, message.received_at), max(last, message.received_at)
    found: dict[_Key, list[_Row]] = {}
    for topic, span in spans.items():
        for at, payload, *columns in db.execute(
            "SELECT received_at, payload, id, state, reason, part, addresses FROM quarantine "
            "WHERE state IN ('open','reprocessed','discarded') AND topic=? AND received_at BETWEEN ? AND ?",
            (topic, *span),
        ):
            found.setdefault((topic, payload, at), []).append(_Row(*columns))
    return found


def _pushed_out(db: sqlite3.Connection, seq: int, place: int) -> list[_Row]:
    """It came back before, and newer ones pushed it out: it waits where it stands."""
    found = db.execute("SELECT part, addresses FROM pushed WHERE position=?", (seq * PLACES + place,))
    return [_Row(0, "open", UNKNOWN, part, addresses) for part, addresses in found]


def _open(db: sqlite3.Connection, number: int, addresses: Collection[str]) -> None:
    first, *_ = addresses
    db.execute(
        "UPDATE quarantine SET state='open', reason=?, address=?, addresses=?, device='' WHERE id=?",
        (UNKNOWN, first, names(tuple(addresses)), number),
    )
