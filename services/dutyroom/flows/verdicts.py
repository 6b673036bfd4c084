"""What becomes of a message: what was decoded of it in, the record for the journal, or why it waits on, out.

Pure: nothing here knows the journal or the registry.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from msgspec.structs import replace

from dutyroom.flows.naming import named_in
from dutyroom.flows.notours import REASON
from dutyroom.interfaces import QuarantineRow
from dutyroom.model.duty import Device
from dutyroom.model.telemetry import Finding, Message, MessageRecord, Outcome
from dutyroom.profiles.result import Decoded, Ignored, Refused

TOO_LARGE = "too_large"
NOTHING = "nothing_read"
DEVICES = 200  # unknown devices of one message that are remembered
_SHOWN = 4_000  # bytes that are kept of a message which is too large to be read ever
_Outcome = Decoded | Ignored | Refused


def news_of(record: MessageRecord, row: QuarantineRow) -> bool:
    """Whether it is not read for another reason than before. Of what was pushed out less is kept."""
    if row.id < 0:
        return (record.reason, record.unread[:1]) != (row.reason, row.addresses[:1])
    waits = (*record.unread, *record.foreign)
    return (record.reason, record.detail, waits) != (row.reason, row.detail, row.addresses)


def foreign_of(row: QuarantineRow, outcome: Decoded | Ignored | Refused) -> bool:
    """The devices of a message, or those that it waited for, are not ours."""
    if isinstance(outcome, Ignored):
        return outcome.reason == REASON
    return row.part and isinstance(outcome, Decoded) and nothing_left(row, outcome)


def nothing_left(row: QuarantineRow, outcome: Decoded) -> bool:
    """The devices that a message waited for are not ours."""
    return row.reason != NOTHING and not set(row.addresses) & {
        *outcome.addresses,
        *(address for _, address in outcome.unknown),
    }


def silences(message: Message, decoded: Decoded, devices: Mapping[str, Device | None]) -> list[Finding]:
    """Of a device from whose message nothing was read, with what there is in it: new firmware may have other names
    for its fields, and then the ledger balances and the device is heard, but its readings have ended."""
    told = decoded.readings or decoded.events or decoded.attributes or decoded.findings or decoded.unknown
    quiet: Collection[str] = devices
    if not decoded.unnamed and (told or decoded.foreign or decoded.sequences):
        if not decoded.quiet:
            return []
        quiet = _quiet(decoded)  # of the others behind its gateway something was read
    return [
        Finding(NOTHING, device.id, message.received_at, named_in(message.payload))
        for address, device in devices.items()
        if device is not None and address in quiet
    ]


def _quiet(decoded: Decoded) -> set[str]:
    """Of which nothing is said, or in words that the profile does not know."""
    said = {address for address, *_ in decoded.sequences} | {address for _, address, _ in decoded.findings}
    return (set(decoded.quiet) - said).union(decoded.renamed)


def silent_of(decoded: Decoded, devices: Mapping[str, Device | None]) -> tuple[tuple[str, str], ...]:
    """As a record has them."""
    silent = decoded.addresses if decoded.unnamed else decoded.renamed
    return tuple((address, device.id) for address in silent if (device := devices.get(address)) is not None)


def waits_on(row: QuarantineRow, decoded: Decoded) -> bool:
    """Whether the part of a message that waits tells nothing more than before."""
    there, strangers = set(row.addresses) & set(decoded.addresses), {a for _, a in decoded.unknown}
    if row.reason == NOTHING or strangers.intersection(row.addresses[:1]):
        there -= set(decoded.addresses if decoded.unnamed else decoded.renamed)
    return not there


def uncounted(row: QuarantineRow) -> bool:
    """Whether nobody has seen the numbers that devices gave this message: it was not read in any part."""
    return not row.part and row.reason != NOTHING and not row.retained


def still_of(
    message: Message, outcome: Decoded | Ignored | Refused, row: QuarantineRow
) -> MessageRecord | None:
    """Why a message as a whole is still not read; None = it is, or was in part."""
    if row.part or isinstance(outcome, Ignored):
        return None
    if isinstance(outcome, Refused):
        return refused_of(message, outcome, row.device)
    return unread_of(message, outcome, row.device) if outcome.unnamed else None


def unread_of(message: Message, decoded: Decoded, device: str = "") -> MessageRecord:
    """It waits for a profile that reads it."""
    what = Outcome.QUARANTINED, device, decoded.profile, NOTHING, named_in(message.payload)
    return MessageRecord(message, *what)


def ignored_of(message: Message, ignored: Ignored, device: str = "") -> MessageRecord:
    """device: whose it is, where that is known. Of what is not ours nobody's: it may come back, see `Journal.recall`."""
    whose = "" if ignored.reason == REASON else device
    return MessageRecord(message, Outcome.IGNORED, whose, ignored.profile, ignored.reason)


def sign_of_life(record: MessageRecord) -> bool:
    """Whether a message tells that its device is there: also one of which nothing could be read, as its fields have other
    names; not nonsense, nor what a profile passes over."""
    return record.outcome is Outcome.DECODED or record.reason == NOTHING


def refused_of(message: Message, refused: Refused, device: str = "") -> MessageRecord:
    """device: whose it is, where that is known."""
    if refused.reason == TOO_LARGE:  # no profile will ever read it
        message = replace(message, payload=message.payload[:_SHOWN])
    unread = tuple(dict.fromkeys(address for _, address in refused.candidates))[:DEVICES]
    what = Outcome.QUARANTINED, device, "", refused.reason, refused.detail
    return MessageRecord(message, *what, unread=unread)
