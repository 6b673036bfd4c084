"""The quarantine as lines of a file: what could not be read, with topic, payload and reason."""

from __future__ import annotations

import base64
from collections.abc import Iterator

import msgspec

from dutyroom.interfaces import Journal, QuarantineRow
from dutyroom.profiles.decode import Library

_CHUNK = 500
_MOST = 50_000  # rows of what is settled


def quarantine_lines(journal: Journal, state: str, library: Library | None) -> Iterator[bytes]:
    """A JSON object each, open ones oldest first. library: hides what profiles call personal; None = payloads are
    left out."""
    for row in _rows(journal, state):
        yield msgspec.json.encode(_line(row, library))


def _rows(journal: Journal, state: str) -> Iterator[QuarantineRow]:
    if state != "open":
        yield from journal.quarantine(state, _MOST)
        return
    after = 0
    while rows := journal.quarantine_after(after, _CHUNK):
        yield from rows
        after = rows[-1].id


def _line(row: QuarantineRow, library: Library | None) -> dict[str, object]:
    payload = library.shown(row.topic, row.payload) if library is not None else b""
    return {
        "id": row.id,
        "received_at": row.received_at,
        "topic": row.topic,
        "payload": base64.b64encode(payload).decode(),
        "size": len(row.payload),
        "retained": row.retained,
        "reason": row.reason,
        "detail": row.detail,
        "state": row.state,
        "device": row.device,
    }
