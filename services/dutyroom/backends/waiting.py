"""What of a message waits in quarantine, and under whom: the record of a message in, columns of its rows out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import msgspec

from dutyroom.model.telemetry import MessageRecord, Outcome

UNKNOWN = "unknown_device"
SILENT = "nothing_read"  # of a known device: its messages may be many, and some say what nobody wants
_SHOWN = 10  # addresses


class Waiting(NamedTuple):
    """address: with its topic, whom the row counts for, so that of many devices behind one gateway none pushes another's
    out. device: of which nothing was read, and that the ledger counts the message under unless it waits in part."""

    reason: str
    detail: str
    part: bool  # the message itself was read, what waits is what it says of these addresses
    address: str
    addresses: str  # JSON
    device: str


COLUMNS = ", ".join(Waiting._fields)


def waiting_of(record: MessageRecord) -> Iterator[Waiting]:
    """Of a message that came just now; strangers in it wait by themselves."""
    if record.outcome is Outcome.QUARANTINED:
        yield whole_of(record)
    elif record.unread:
        yield _strangers(record.unread, record.unread)
    if record.silent:
        yield _silent(record)


def whole_of(record: MessageRecord) -> Waiting:
    """Of one of which nothing was read, whatever the reason."""
    address = record.unread[0] if record.unread else record.device
    waits = names((*record.unread, *record.foreign))
    return Waiting(record.reason, record.detail, False, address, waits, record.device)


def left_of(record: MessageRecord) -> Waiting | None:
    """Of one that was read again."""
    if record.unread:
        silent = (address for address, _ in record.silent)
        return _strangers(record.unread, (*record.unread, *silent, *record.foreign))
    return _silent(record) if record.silent else None


def names(addresses: Sequence[str]) -> str:
    return msgspec.json.encode(addresses).decode()


def _strangers(unread: Sequence[str], addresses: Sequence[str]) -> Waiting:
    return Waiting(UNKNOWN, ", ".join(unread[:_SHOWN]), True, unread[0], names(addresses), "")


def _silent(record: MessageRecord) -> Waiting:
    device = record.silent[0][1]
    return Waiting(SILENT, record.detail, True, device, names([a for a, _ in record.silent]), device)
