"""Ingest: messages in, one committed batch out, and only then the acknowledgement.

Each message is decoded by its own; what cannot be read is quarantined with its reason in the same
commit, and read again from there when something has changed. Nothing here waits for the store or
the rules: they read the journal.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence

import structlog
from msgspec.structs import replace

from dutyroom.flows.bulk import Bulk
from dutyroom.flows.canary import PROFILE as CANARY
from dutyroom.flows.canary import of_others
from dutyroom.flows.draft import Draft, Times
from dutyroom.flows.live import Live
from dutyroom.flows.naming import named_in
from dutyroom.flows.notours import REASON, NotOurs, without
from dutyroom.flows.patience import Patience
from dutyroom.flows.points import with_room
from dutyroom.flows.receipt_window import WINDOW
from dutyroom.flows.receipts import Receipts
from dutyroom.flows.registry import Registry
from dutyroom.flows.sequences import Sequences, missing_in
from dutyroom.flows.verdicts import (
    DEVICES,
    TOO_LARGE,
    foreign_of,
    ignored_of,
    news_of,
    nothing_left,
    refused_of,
    silences,
    silent_of,
    still_of,
    uncounted,
    unread_of,
    waits_on,
)
from dutyroom.interfaces import Journal, QuarantineRow, Records
from dutyroom.model.duty import Device
from dutyroom.model.telemetry import (
    Attribute,
    Batch,
    Finding,
    Lane,
    Message,
    MessageRecord,
    Outcome,
    PointSpec,
    PointTable,
)
from dutyroom.profiles.decode import Library
from dutyroom.profiles.memory import Memory
from dutyroom.profiles.result import Decoded, Ignored, Refused

log = structlog.get_logger(__name__)

GAP = "sequence_gap"
MEMORY = "codecs"  # name of the record of what codecs remember


class Ingest:
    """Decodes and commits. One per site; not thread-safe, but for `renew`. Raises Unavailable when it
    cannot commit: the caller then acknowledges nothing and tries the same messages again."""

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
        with records.read() as tx:
            library.memory = Memory(tx.blob(site, MEMORY))
        self.not_ours = NotOurs(site, records)
        self._coming = library
        self._patience = Patience()
        self.learned = False  # codecs know more than before
        self._times = Times(live)
        for value in live.snapshot()[1]:
            self._times.fresh[value.point] = value.at
        self._times.committed()
        self._bulk = Bulk(registry, table, self._times)
        self._receipts = Receipts(journal.recent(WINDOW))
        self._sequences = Sequences.of(journal.counts())

    def renew(self, library: Library) -> None:
        """Other profiles, from the next messages on. What codecs remember stays."""
        library.memory = self._coming.memory
        self._coming = library

    def handle(self, messages: Sequence[Message], urgent: bool = False) -> int:
        """Commits the messages as one batch a lane; returns how many were decoded. urgent: the site names
        their topics so, and they go by the priority lane, whatever their profiles say."""
        self._begin()
        drafts: dict[Lane, Draft] = {}
        for message in self._bulk.sort_out(self._receipts.of(messages, urgent), self._library):
            self._one(message, drafts)
        for message in self._bulk.draw(drafts):
            self._one(message, drafts)
        decoded = self._commit(drafts, urgent)
        self._bulk.committed()
        self._receipts.commit()  # only now: what could not be committed is handled once more
        return decoded

    def again(self, rows: Sequence[QuarantineRow]) -> int:
        """Reads messages of the quarantine again: what can be read now is committed at the devices'
        own times, or at the time it came, with its rows; returns how many messages that were.

        Raises Conflict when a row was settled meanwhile: nothing is done then, ask with fresh rows.
        """
        self._begin()
        drafts: dict[Lane, Draft] = {}
        restated: list[MessageRecord] = []
        done: list[int] = []
        for row in rows:
            if row.reason == TOO_LARGE:  # what is kept of it is not the message
                continue
            message = Message(row.topic, row.payload, row.received_at, row.retained)
            outcome = self._decode(message)
            if row.id < 0 and foreign_of(row, outcome):
                continue  # of what was pushed out no row tells that it is to come back with its devices
            if row.part and isinstance(outcome, Decoded) and nothing_left(row, outcome):
                record = MessageRecord(
                    message,
                    Outcome.IGNORED,
                    reason=REASON,
                    detail=row.detail,
                    unread=row.addresses,
                    row=row.id,
                )
                restated.append(record)
                done.append(row.id)
            elif (still := still_of(message, outcome, row)) is None:
                if not isinstance(outcome, Refused):
                    self._add_again(row, message, outcome, drafts)
            else:
                record = replace(still, row=row.id, foreign=self.foreign(row.addresses))
                if news_of(record, row):
                    restated.append(record)
        if restated:
            self._journal.restate(restated)
        if done:
            self._journal.settle(done, "reprocessed")
        self._commit(drafts)
        return sum(len(draft.messages) for draft in drafts.values())

    def _add_again(
        self, row: QuarantineRow, message: Message, outcome: Decoded | Ignored, drafts: dict[Lane, Draft]
    ) -> None:
        only = set(row.addresses) if row.part else None
        if isinstance(outcome, Decoded) and only is not None and waits_on(row, outcome):
            return  # its devices are as unknown, or say as little, as before
        draft = drafts.setdefault(self._lane(outcome), Draft(again=True))
        record = (
            self._take(message, outcome, draft, only)
            if isinstance(outcome, Decoded)
            else ignored_of(message, outcome, self._whose(message, outcome) or row.device)
        )
        if isinstance(outcome, Decoded) and uncounted(row):
            for address, number, modulus in outcome.sequences:
                if device := self._registry.find(outcome.owner(address), address):
                    self._sequences.read_again(device.id, number, modulus, message.received_at)
        foreign = self.foreign(row.addresses)
        draft.messages.append(replace(record, row=row.id, part=row.part, waited=row.device, foreign=foreign))

    def foreign(self, addresses: Iterable[str]) -> tuple[str, ...]:
        """Those that are not ours: what waited for them may yet be wanted, when the raw messages have gone."""
        marked, known = self.not_ours.addresses, self._registry.profiles
        return tuple(address for address in addresses if address in marked and not known(address))

    def named(self, message: Message) -> Collection[str]:
        """The addresses of whom a message is, registered or not."""
        outcome = self._coming.decode(message, self._registry)
        if isinstance(outcome, Decoded):
            return {*outcome.addresses, *(address for _, address in outcome.unknown)}
        return {a for _, a in outcome.candidates} if isinstance(outcome, Refused) else ()

    def quarantine(self, message: Message, error: str, urgent: bool = False) -> None:
        """Sets aside a message on which our own code failed, so that it never blocks the others."""
        self._sequences.begin()
        draft = Draft()
        draft.messages.append(
            MessageRecord(message, Outcome.QUARANTINED, reason="internal_error", detail=error)
        )
        draft.findings.append(
            Finding("malformed", "", message.received_at, f"{message.topic[:200]}: {error}"[:500])
        )
        self._commit({Lane.NORMAL: draft}, urgent)

    def _begin(self) -> None:
        if self._library is not self._coming:
            self._library = self._coming
            self._patience.forget()
        self._receipts.begin()
        self._sequences.begin()
        self._times.fresh, self._times.spent = {}, set()

    def _commit(self, drafts: dict[Lane, Draft], urgent: bool = False) -> int:
        lanes = sorted(drafts)
        if not lanes:
            return 0
        seen = self._sequences
        batches = [  # the gaps of all lanes stand in the first: they are committed together
            drafts[lane].batch(
                self._site,
                Lane.PRIORITY if urgent else lane,
                *((seen.gaps, seen.taken()) if lane == lanes[0] else ()),
            )
            for lane in lanes
        ]
        self._keep_memory()
        self._journal.append(*batches)
        seen.commit()
        decoded = 0
        for lane, batch in zip(lanes, batches, strict=True):
            self._show(batch, drafts[lane].heard)
            decoded += batch.ordinary + sum(m.outcome is Outcome.DECODED for m in batch.odd)
        self._times.committed()
        return decoded

    def _show(self, batch: Batch, heard: Collection[str]) -> None:
        """On the pages. It is committed: whatever fails here, its messages must not be handled once more."""
        received = [m.message.received_at for m in batch.messages] if batch.again else None
        count = 0 if batch.again else len(batch.messages)
        try:
            self._live.update(batch.readings, batch.received_at, count, heard, received, batch.senders)
        except Exception:
            log.exception("ingest.not_shown", site=self._site)

    def _keep_memory(self) -> None:
        """Stores what codecs must remember before what they read of it is acknowledged; a message that
        waited for it, as data of Sparkplug do for their birth, may be read now."""
        memory = self._library.memory
        if memory.changed:
            with self._records.write() as tx:
                tx.put_blob(self._site, MEMORY, memory.packed())
            memory.changed = False
            self.learned = True

    def _lane(self, outcome: Decoded | Ignored | Refused) -> Lane:
        if isinstance(outcome, Decoded | Ignored):
            found = self._library.profiles.get(outcome.profile)  # none where the registry was to say which
            return found.lane if found is not None else Lane.NORMAL
        return Lane.NORMAL

    def _one(self, message: Message, drafts: dict[Lane, Draft]) -> None:
        outcome = self._decode(message)
        draft = drafts.setdefault(self._lane(outcome), Draft())
        if isinstance(outcome, Decoded):
            record = self._take(message, outcome, draft)
        elif isinstance(outcome, Ignored):
            record = ignored_of(message, outcome, self._whose(message, outcome))
        else:
            record = self._refuse(message, outcome, draft)
        draft.messages.append(record)

    def _decode(self, message: Message) -> Decoded | Ignored | Refused:
        if of_others(message.topic, self._site):
            return Ignored(CANARY, REASON)
        outcome = self._adopting(message) if self._adopt else self._library.decode(message, self._registry)
        foreign = self.not_ours.addresses
        if self._adopt and isinstance(outcome, Decoded):
            ours = [a for a in outcome.addresses if a not in foreign or self._known(outcome, a)]
            if not ours:
                return Ignored(outcome.profile, REASON)
            self._adopt_all(outcome.profile, ours)
        return without(outcome, foreign)

    def _adopting(self, message: Message) -> Decoded | Ignored | Refused:
        """As the profile that fits best has it. Who was refused a moment ago is not tried each time."""
        outcome = self._library.decode(message, self._registry)
        if isinstance(outcome, Refused) and outcome.candidates:
            sender = message.topic, tuple(dict.fromkeys(a for _, a in outcome.candidates))[:DEVICES]
            if self._patience.rests(sender):
                return outcome
            outcome = self._library.decode(message, self._registry, True)
            if isinstance(outcome, Refused):
                self._patience.tried(sender)
        elif isinstance(outcome, Decoded) and outcome.unknown:
            outcome = self._library.decode(message, self._registry, True)
        return outcome

    def _known(self, outcome: Decoded, address: str) -> bool:
        return self._registry.find(outcome.owner(address), address) is not None

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

    def _refuse(self, message: Message, refused: Refused, draft: Draft) -> MessageRecord:
        """Under the device whose it is, where that is known: the ledger of each one balances."""
        detail = f"{message.topic[:200]}: {refused.detail}"[:500]
        if refused.candidates:
            address = refused.candidates[0][1]
            draft.findings.append(Finding(refused.reason, address, message.received_at, detail))
            return refused_of(message, refused)
        whose = self._whose(message, refused)
        draft.findings.append(Finding("malformed", whose, message.received_at, detail))
        return refused_of(message, refused, whose)

    def _whose(self, message: Message, outcome: Ignored | Refused) -> str:
        """Id of the registered device that sent what is not read; "" where that is not known."""
        if isinstance(outcome, Ignored) and outcome.address:
            sender: tuple[str, str] | None = (outcome.profile, outcome.address)
        elif isinstance(outcome, Ignored) and outcome.reason == REASON:
            return ""
        else:
            sender = self._library.sender(message, self._registry)
        device = self._registry.find(*sender) if sender is not None else None
        return device.id if device is not None else ""

    def _take(
        self, message: Message, decoded: Decoded, draft: Draft, only: Collection[str] | None = None
    ) -> MessageRecord:
        """Adds a decoded message's readings, events and attributes; makes points not met before.

        only: what it says of these addresses.
        """
        devices = {
            a: self._registry.find(decoded.owner(a), a)
            for a in decoded.addresses
            if only is None or a in only
        }
        self._make_points(decoded, devices, message, draft)
        for reading in decoded.readings:
            draft.read(reading, message, devices, self._table, self._times)
        for event in decoded.events:
            draft.happened(event, message, devices, self._table, self._times)
        for address, name, value in decoded.attributes:
            if device := devices.get(address):
                draft.attributes.append(Attribute(device.id, name, value, message.received_at))
        if not draft.again and not message.duplicate and not message.retained:
            self._count(decoded, devices, message, draft)
        for kind, address, detail in decoded.findings:
            device = devices.get(address)
            if device and kind == GAP and not draft.again:
                self._sequences.missed(device.id, missing_in(detail), message.received_at)
            if device or only is None:
                draft.findings.append(
                    Finding(kind, device.id if device else address, message.received_at, detail)
                )
        unread = tuple(a for _, a in decoded.unknown if only is None or a in only)[:DEVICES]
        if not draft.again:
            draft.findings += silences(message, decoded, devices)
            for profile, address in decoded.unknown:
                draft.findings.append(Finding("unknown_device", address, message.received_at, profile))
        known = [d.id for d in devices.values() if d]
        if not message.retained and not draft.again:
            draft.heard.update(known)
        if decoded.unnamed and known and not draft.again:
            return unread_of(message, decoded, known[0])
        why, first = REASON if decoded.foreign else "", known[0] if known else ""
        if (decoded.renamed or decoded.unnamed) and (silent := silent_of(decoded, devices)[:DEVICES]):
            said = named_in(message.payload)
            return MessageRecord(
                message, Outcome.DECODED, first, decoded.profile, why, said, unread, silent=silent
            )
        return MessageRecord(message, Outcome.DECODED, first, decoded.profile, why, unread=unread)

    def _count(
        self, decoded: Decoded, devices: Mapping[str, Device | None], message: Message, draft: Draft
    ) -> None:
        """Where a device numbers its messages, what is missing before this one."""
        for address, number, modulus in decoded.sequences:
            if device := devices.get(address):
                said = self._sequences.see(device.id, number, modulus, message.received_at)
                if said:
                    draft.findings.append(Finding(GAP, device.id, message.received_at, said))

    def _make_points(
        self, decoded: Decoded, devices: Mapping[str, Device | None], message: Message, draft: Draft
    ) -> None:
        """Points are created in SQL before the first append and never reused."""
        wanted: dict[tuple[str, str], tuple[Device, PointSpec]] = {}
        specs = [(r.address, r.spec) for r in decoded.readings] + [
            (e.address, e.spec) for e in decoded.events
        ]
        for address, spec in specs:
            device = devices.get(address)
            if device is not None and self._table.find(device.id, spec.name) is None:
                wanted[device.id, spec.name] = (device, spec)
        made, crowded = with_room(self._table, wanted.values())
        for owner, detail in crowded.items():
            draft.findings.append(Finding("malformed", owner, message.received_at, detail))
        if made:
            with self._records.write() as tx:
                points = tx.devices.add_points(self._site, made)
            for point in points:
                self._table.add(point)
