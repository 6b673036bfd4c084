"""What came in, committed and in order, with what was said of it. See `dutyroom.interfaces`."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from dutyroom.interfaces.ledger import LedgerPage, LedgerQuestion, LedgerRow, Tally
from dutyroom.model.telemetry import Batch, Finding, Lane, Message, MessageRecord
from dutyroom.timebase import Ms


@dataclass(frozen=True, slots=True)
class QuarantineRow:
    """A message that could not be read, kept until reprocessed or discarded."""

    id: int  # below 0: it was pushed out, see `Journal.pushed_out_after`
    received_at: Ms
    topic: str
    payload: bytes
    reason: str  # key: unknown_topic, unknown_device, malformed, out_of_range ...
    detail: str
    state: str  # open | reprocessed | discarded
    retained: bool = False  # as the broker marked it
    part: bool = False  # the message was read; what waits is what it says of `addresses`
    addresses: tuple[str, ...] = ()  # of devices that the registry does not have
    device: str = ""  # that the ledger counts it under, "" = unknown


@dataclass(frozen=True, slots=True)
class PushedOut:
    """What newer messages of a device pushed out of the quarantine. device: "" = all that are not known."""

    device: str
    kept: int  # messages that the journal has still: they are read again with what waits
    gone: int  # that it has no longer
    first_at: Ms  # when the first of them came, and the last
    last_at: Ms


@dataclass(frozen=True, slots=True)
class StrangerRow:
    """Who sends what nobody reads: one topic and address, with the newest message and some before it."""

    newest: QuarantineRow
    before: tuple[QuarantineRow, ...]
    kept: int  # messages that are still there, as raw messages too: they are read again
    count: int  # with those that have gone
    first_at: Ms
    last_at: Ms


@dataclass(frozen=True, slots=True)
class Spool:
    """How full a journal is, in bytes. limit: 0 = none. waiting: what some reader has not passed. share: of the
    limit that this takes, 1 = nothing more is taken until there is room."""

    limit: int
    used: int
    waiting: int
    share: float


@dataclass(frozen=True, slots=True)
class FindingRow:
    """A finding with how often and when."""

    kind: str
    device: str
    first_at: Ms
    last_at: Ms
    count: int
    detail: str


class Journal(Protocol):
    """The durable heart of a site. One writer; any number of readers by cursor."""

    def append(self, *batches: Batch) -> int:
        """Commits the batches with their raw and quarantined messages, all or none; returns the
        last one's sequence. Settles the rows that their messages were read again from.

        Raises Conflict when one of those rows was settled meanwhile: then nothing is committed.
        """
        ...

    def read(self, lane: Lane, after: int, limit: int) -> Sequence[tuple[int, Batch]]:
        """Batches of a lane with sequence > after, oldest first."""
        ...

    def cursor(self, reader: str, lane: Lane) -> int: ...

    def advance(self, reader: str, lane: Lane, seq: int) -> None: ...

    def last(self, lane: Lane) -> int:
        """Highest sequence of a lane, 0 = none yet."""
        ...

    def note(
        self,
        findings: Sequence[Finding],
        outcomes: Mapping[tuple[Ms, str, str], int],
        passed: tuple[str, Lane, int] | None = None,
        kept: Tally | None = None,
        stored: Tally | None = None,
        over: Collection[tuple[str, str]] = (),
    ) -> None:
        """Adds findings, and ledger counts by (receive hour, device, stored|duplicate|conflict|refused).

        stored: more of those that are stored. kept: new readings of what tells how complete a device is, by hour of their own time and device.
        over: kind and device of findings that hold no more; they are taken away before.
        passed: moves this reader's cursor in the same commit, so that a crash never counts twice.
        """
        ...

    def quarantine(self, state: str = "open", limit: int = 200) -> Sequence[QuarantineRow]: ...

    def quarantine_size(self) -> int:
        """How many rows are open, without reading their payloads."""
        ...

    def quarantine_after(
        self, row: int, limit: int, reasons: Collection[str] = ()
    ) -> Sequence[QuarantineRow]:
        """Open rows with a larger number, oldest first. reasons: only these, () = all."""
        ...

    def pushed_out(self, limit: int = 200) -> Sequence[PushedOut]:
        """What newer messages pushed out of the quarantine, by device, the most first."""
        ...

    def pushed_out_after(
        self, position: int, limit: int, reasons: Collection[str] = ()
    ) -> tuple[Sequence[QuarantineRow], int | None]:
        """Of these, from the raw messages, some after a position, oldest first; and up to where was looked, None =
        there are no more. Their numbers are their positions below 0: `append` settles and `restate` changes them by
        these as it does rows. reasons: only these, () = all."""
        ...

    def strangers(self, limit: int) -> Sequence[StrangerRow]:
        """Who sends what nobody reads, newest first."""
        ...

    def restate(self, records: Sequence[MessageRecord]) -> None:
        """Rows (`record.row`) that are still not read, but for another reason than before."""
        ...

    def reopen(self, addresses: Collection[str], foreign: Collection[str] = ()) -> int:
        """What had waited for one of these devices and was settled unread waits again; returns how many. foreign:
        devices that are not ours still: a message that had waited for them as well may yet be wanted for them."""
        ...

    def recall(self, found: Sequence[tuple[int, int, MessageRecord]]) -> int:
        """Messages that were passed over wait now for `record.unread`; returns how many. For what one waits or
        has waited it is left as it is. found: with the sequence of a batch in which it stands, and its place there. What
        was ignored when it was read again (IGNORED) is taken only where it is in quarantine."""
        ...

    def settle(self, ids: Sequence[int], state: str) -> int:
        """Marks quarantined rows reprocessed or discarded; returns how many were open."""
        ...

    def ledger(self, since: Ms) -> Sequence[LedgerRow]:
        """Every row of a device and receive hour, newest first: for tests and small sites."""
        ...

    def balance(self, question: LedgerQuestion) -> LedgerPage:
        """Sums of the ledger, in pages."""
        ...

    def kept(self, days: Sequence[Ms], device: str | None = None) -> Mapping[tuple[Ms, str], int]:
        """What `note` was told, by start of the local day and device. days: rising; the last one has no end."""
        ...

    def kept_since(self) -> Ms | None:
        """When its first whole hour began."""
        ...

    def heard_since(self) -> Ms | None:
        """Begin of the first hour in which a message was received, as far back as the ledger goes. None: of none."""
        ...

    def spool(self) -> Spool:
        """How full it is; looks at all that waits."""
        ...

    def findings(self, since: Ms, limit: int = 200, device: str | None = None) -> Sequence[FindingRow]:
        """Newest first; of each kind the newest, as many of one as of another where there are too many. device: of this
        one alone."""
        ...

    def counts(self) -> Mapping[str, bytes]:
        """By device how far it has counted its messages, as the batches said."""
        ...

    def recent(self, count: int) -> Sequence[Message]:
        """The last `count` messages committed, oldest first: what a broker may deliver again."""
        ...

    def close(self) -> None: ...
