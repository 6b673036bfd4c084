"""Ingest: messages in, one committed batch out, and only then the acknowledgement.

Each message is decoded by its own; what cannot be read is quarantined with its reason in the same
commit. Nothing here waits for the store or the rules: they read the journal.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from itertools import chain

from dutyroom.flows.live import Live
from dutyroom.flows.registry import Registry
from dutyroom.interfaces import Journal, Records
from dutyroom.model.duty import Device
from dutyroom.model.telemetry import (
    Attribute,
    Batch,
    Event,
    Finding,
    Kind,
    Lane,
    Message,
    MessageRecord,
    Outcome,
    PointSpec,
    PointTable,
    Quality,
    Readings,
)
from dutyroom.profiles.decode import Library
from dutyroom.profiles.result import Decoded, DecodedEvent, Ignored, Refused
from dutyroom.timebase import HOUR, Ms

_WINDOW = 2_000  # committed messages that a broker may deliver again; Mosquitto holds 20 in flight
_TOPICS = 50_000  # topics whose last receipt is remembered, to keep two in one millisecond apart
_LATE = 2 * HOUR  # a reading this much older than its point's newest is named late

_Receipt = tuple[bytes, Ms]  # what a message was, and when it was first received


@dataclass(slots=True)
class _Draft:
    """A batch of one lane while it is built."""

    messages: list[MessageRecord] = field(default_factory=list)
    rows: list[tuple[int, Ms, float, int, int]] = field(default_factory=list)
    text: dict[int, str] = field(default_factory=dict)
    events: list[Event] = field(default_factory=list)
    attributes: list[Attribute] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    heard: set[str] = field(default_factory=set)

    def batch(self, site: str, lane: Lane) -> Batch:
        columns = Readings.of(self.rows)
        return Batch(
            site,
            lane,
            max(m.message.received_at for m in self.messages),
            tuple(self.messages),
            replace(columns, text=self.text),
            tuple(self.events),
            tuple(self.attributes),
            tuple(self.findings),
        )


class Ingest:
    """Decodes and commits. One per site; not thread-safe. Raises Unavailable when it cannot commit:
    the caller then acknowledges nothing and tries the same messages again."""

    def __init__(
        self,
        site: str,
        library: Library,
        registry: Registry,
        table: PointTable,
        journal: Journal,
        records: Records,
        live: Live,
        adopt: bool = False,
    ) -> None:
        self._site, self._library, self._registry, self._table = site, library, registry, table
        self._journal, self._records, self._live, self._adopt = journal, records, live, adopt
        self._newest: dict[int, Ms] = {v.point: v.at for v in live.snapshot()[1]}
        self._recent: deque[tuple[bytes, Ms]] = deque(
            ((_digest(m), m.received_at) for m in journal.recent(_WINDOW)), maxlen=_WINDOW
        )
        self._last_receipt: dict[str, Ms] = {}

    def handle(self, messages: Sequence[Message]) -> int:
        """Commits the messages as one batch a lane; returns how many were decoded."""
        drafts: dict[Lane, _Draft] = {}
        newest = dict[int, Ms]()
        receipts: list[_Receipt] = []
        matched: list[_Receipt] = []
        for message in messages:
            digest = _digest(message)
            received = self._receipt(message, digest, receipts, matched)
            receipts.append((digest, received.received_at))
            self._one(received, drafts, newest)
        decoded = self._commit(drafts, newest)
        # Only now: what could not be committed is handled once more.
        for receipt in matched:
            with contextlib.suppress(ValueError):
                self._recent.remove(receipt)
        self._recent.extend(receipts)
        return decoded

    def quarantine(self, message: Message, error: str) -> None:
        """Sets aside a message on which our own code failed, so that it never blocks the others."""
        draft = _Draft()
        draft.messages.append(
            MessageRecord(message, Outcome.QUARANTINED, reason="internal_error", detail=error)
        )
        draft.findings.append(
            Finding("malformed", "", message.received_at, f"{message.topic[:200]}: {error}"[:500])
        )
        self._commit({Lane.NORMAL: draft}, {})

    def _commit(self, drafts: dict[Lane, _Draft], newest: dict[int, Ms]) -> int:
        batches = [drafts[lane].batch(self._site, lane) for lane in sorted(drafts)]
        self._journal.append(*batches)
        decoded = 0
        for lane, batch in zip(sorted(drafts), batches, strict=True):
            heard = drafts[lane].heard
            self._live.update(batch.readings, batch.received_at, len(batch.messages), heard)
            decoded += sum(m.outcome is Outcome.DECODED for m in batch.messages)
        for point, at in newest.items():
            self._newest[point] = max(at, self._newest.get(point, at))
        return decoded

    def _receipt(
        self, message: Message, digest: bytes, receipts: Sequence[_Receipt], matched: list[_Receipt]
    ) -> Message:
        """A message delivered again keeps the time it was first received at; two of a topic in one
        millisecond are still two.

        Only what the broker marks as delivered again, or as retained, is taken for that: a device
        may say the same thing twice.
        """
        if message.duplicate or message.retained:
            for receipt in chain(self._recent, receipts):
                if receipt[0] == digest and not any(receipt is one for one in matched):
                    matched.append(receipt)
                    return replace(message, received_at=receipt[1], duplicate=True)
        if len(self._last_receipt) > _TOPICS:
            self._last_receipt.clear()
        at = max(message.received_at, self._last_receipt.get(message.topic, 0) + 1)
        self._last_receipt[message.topic] = at
        return message if at == message.received_at else replace(message, received_at=at)

    def _one(self, message: Message, drafts: dict[Lane, _Draft], newest: dict[int, Ms]) -> None:
        outcome = self._decode(message)
        lane = Lane.NORMAL
        if isinstance(outcome, Decoded | Ignored):
            lane = self._library.profiles[outcome.profile].lane
        draft = drafts.setdefault(lane, _Draft())
        index = len(draft.messages)
        if isinstance(outcome, Decoded):
            draft.messages.append(self._take(message, outcome, draft, index, newest))
        elif isinstance(outcome, Ignored):
            draft.messages.append(
                MessageRecord(message, Outcome.IGNORED, profile=outcome.profile, reason=outcome.reason)
            )
        else:
            draft.messages.append(self._refuse(message, outcome, draft))

    def _decode(self, message: Message) -> Decoded | Ignored | Refused:
        outcome = self._library.decode(message, self._registry.parameters, self._adopt)
        if self._adopt and isinstance(outcome, Decoded):
            self._adopt_all(outcome.profile, outcome.addresses)
        return outcome

    def _adopt_all(self, profile: str, addresses: Sequence[str]) -> None:
        """Registers the devices of a message that the registry does not have yet."""
        kind = self._library.profiles[profile].device_class.value
        fresh = [
            Device(self._site, f"{profile.split('/')[0]}:{address}", address, kind, profile, address, "")
            for address in addresses
            if self._registry.find(profile, address) is None
        ]
        if fresh:
            with self._records.write() as tx:
                tx.devices.upsert(fresh)
            for device in fresh:
                self._registry.add(device)

    def _refuse(self, message: Message, refused: Refused, draft: _Draft) -> MessageRecord:
        kind = refused.reason if refused.reason == "unknown_device" else "malformed"
        address = refused.candidates[0][1] if refused.candidates else ""
        draft.findings.append(
            Finding(kind, address, message.received_at, f"{message.topic[:200]}: {refused.detail}"[:500])
        )
        return MessageRecord(message, Outcome.QUARANTINED, reason=refused.reason, detail=refused.detail)

    def _take(
        self, message: Message, decoded: Decoded, draft: _Draft, index: int, newest: dict[int, Ms]
    ) -> MessageRecord:
        """Adds a decoded message's readings, events and attributes; makes points not met before."""
        devices = {a: self._registry.find(decoded.profile, a) for a in decoded.addresses}
        self._make_points(decoded, devices)
        for reading in decoded.readings:
            device = devices.get(reading.address)
            point = self._table.find(device.id, reading.spec.name) if device else None
            if point is None or device is None:
                continue
            at = reading.at
            before = max(newest.get(point.id, 0), self._newest.get(point.id, 0))
            quality = Quality.RETAINED if message.retained and reading.quality == 0 else reading.quality
            if at is None:  # no clock of its own; two in one millisecond are still two
                at = max(message.received_at, before + 1) if not message.duplicate else message.received_at
            elif at < before - _LATE and not message.retained:
                draft.findings.append(Finding("late", device.id, message.received_at, point.spec.name))
            newest[point.id] = max(at, newest.get(point.id, 0))
            if reading.spec.kind is Kind.TEXT and reading.text is not None:
                draft.text[len(draft.rows)] = reading.text
                # Stores hold numbers; a wording is kept in SQL whenever it changes.
                draft.attributes.append(Attribute(device.id, reading.spec.name, reading.text, at))
            stored = reading.value
            if reading.spec.step != point.spec.step:  # the table says in which steps a register is kept
                stored = _in_steps(stored, reading.spec, point.spec)
            draft.rows.append((point.id, at, stored, int(quality), index))
        for event in decoded.events:
            self._event(event, devices, draft, message, index)
        for address, name, value in decoded.attributes:
            if device := devices.get(address):
                draft.attributes.append(Attribute(device.id, name, value, message.received_at))
        for kind, address, detail in decoded.findings:
            device = devices.get(address)
            draft.findings.append(
                Finding(kind, device.id if device else address, message.received_at, detail)
            )
        for profile, address in decoded.unknown:
            draft.findings.append(Finding("unknown_device", address, message.received_at, profile))
        known = [d.id for d in devices.values() if d]
        draft.heard.update(known)
        return MessageRecord(message, Outcome.DECODED, known[0] if known else "", decoded.profile)

    def _make_points(self, decoded: Decoded, devices: Mapping[str, Device | None]) -> None:
        """Points are created in SQL before the first append and never reused."""
        wanted: dict[tuple[str, str], tuple[Device, PointSpec]] = {}
        specs = [(r.address, r.spec) for r in decoded.readings] + [
            (e.address, e.spec) for e in decoded.events
        ]
        for address, spec in specs:
            device = devices.get(address)
            if device is not None and self._table.find(device.id, spec.name) is None:
                wanted[device.id, spec.name] = (device, spec)
        if wanted:
            with self._records.write() as tx:
                points = tx.devices.add_points(self._site, list(wanted.values()))
            for point in points:
                self._table.add(point)

    def _event(
        self,
        event: DecodedEvent,
        devices: Mapping[str, Device | None],
        draft: _Draft,
        message: Message,
        index: int,
    ) -> None:
        device = devices.get(event.address)
        point = self._table.find(device.id, event.spec.name) if device else None
        if point is not None:
            at = message.received_at if event.at is None else event.at
            draft.events.append(Event(point.id, at, event.event_id, event.code, event.arguments, index))


def _in_steps(value: float, read: PointSpec, kept: PointSpec) -> float:
    """A register that was read in steps of one size, in those of another."""
    if read.kind is not Kind.COUNTER or read.step is None or kept.step is None:
        return value
    return float(round(Fraction(value) * Fraction(read.step) / Fraction(kept.step)))


def _digest(message: Message) -> bytes:
    """What makes a redelivery recognisable: topic and payload."""
    return hashlib.blake2b(message.topic.encode() + b"\0" + message.payload, digest_size=12).digest()
