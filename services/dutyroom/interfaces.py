"""The contracts between the flows and the outside: what a backend must do, in a few methods each.

All of them may raise `Unavailable` (try again) or `Rejected` (never as it is) and nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Literal, Protocol, runtime_checkable

import numpy as np

from dutyroom.model.duty import (
    Alarm,
    AlarmChange,
    AuditRow,
    Change,
    Device,
    Occurrence,
    OutboxRow,
    Person,
    Ticket,
    TicketChange,
)
from dutyroom.model.lease import Lease, Owners
from dutyroom.model.metering import Exchange, PeriodRead, Statement
from dutyroom.model.telemetry import (
    Attribute,
    Batch,
    Event,
    Finding,
    Lane,
    Longs,
    Message,
    MessageRecord,
    Point,
    PointSpec,
    PointTable,
    Reading,
    Readings,
    Series,
)
from dutyroom.timebase import Ms

# ---------------------------------------------------------------- telemetry


class Inbound(Protocol):
    """A broker session: hands over what came, acknowledges what is durable, in order."""

    def take(self, timeout_s: float, limit: int) -> Sequence[tuple[object, Message]]:
        """(token, Message) pairs that came within the coalescing time; may be empty."""
        ...

    def acknowledge(self, tokens: Sequence[object]) -> None:
        """Called after the batch is committed; tokens in the order they were taken."""
        ...


@dataclass(frozen=True, slots=True)
class QuarantineRow:
    """A message that could not be read, kept until reprocessed or discarded."""

    id: int
    received_at: Ms
    topic: str
    payload: bytes
    reason: str  # key: unknown_topic, unknown_device, malformed, out_of_range ...
    detail: str
    state: str  # open | reprocessed | discarded
    retained: bool = False  # as the broker marked it
    part: bool = False  # the message was read; what waits is what it says of `addresses`
    addresses: tuple[str, ...] = ()  # of devices that the registry does not have


@dataclass(frozen=True, slots=True)
class StrangerRow:
    """Who sends what nobody reads: one topic and address, with the newest message and some before it."""

    newest: QuarantineRow
    before: tuple[QuarantineRow, ...]
    kept: int  # messages that are still there
    count: int  # with those that newer ones have pushed out
    first_at: Ms
    last_at: Ms


@dataclass(frozen=True, slots=True)
class LedgerRow:
    """One device ("" = unknown ones) and receive hour; messages and readings by outcome."""

    hour: Ms
    device: str
    received: int
    decoded: int
    ignored: int
    quarantined: int
    readings: int
    stored: int
    duplicate: int
    conflict: int
    refused: int = 0  # readings that the store can never take, each with a finding
    gaps: int = 0  # messages that never came, where the device counts them


@dataclass(frozen=True, slots=True)
class Tally:
    """How many of one kind, in columns of equal length: start of the hour, device, count. What stands in it
    twice is added up."""

    hours: Longs
    devices: Sequence[str]
    counts: Longs

    @staticmethod
    def of(counts: Mapping[tuple[Ms, str], int]) -> Tally:
        """counts: by hour and device."""
        hours = np.array([hour for hour, _ in counts], np.int64)
        return Tally(hours, [device for _, device in counts], np.array(list(counts.values()), np.int64))


@dataclass(frozen=True, slots=True)
class LedgerQuestion:
    """Which sums of the ledger are wanted, by receive time.

    by: row (hour and device) | device | hour | day. days: starts of local days, for `day`. device: of this
    one alone. wrong: only what does not balance.
    """

    since: Ms
    until: Ms | None = None
    by: Literal["row", "device", "hour", "day"] = "row"
    days: Sequence[Ms] = ()
    device: str | None = None
    wrong: bool = False
    limit: int = 1000
    offset: int = 0


@dataclass(frozen=True, slots=True)
class LedgerSum:
    """A line of the ledger. at: start of its hour or day, None = of all. device: None = all of them."""

    at: Ms | None
    device: str | None
    received: int
    decoded: int
    ignored: int
    quarantined: int
    readings: int
    stored: int
    duplicate: int
    conflict: int
    refused: int
    gaps: int
    waiting: int  # readings in batches that the store's reader has not passed

    @property
    def unread(self) -> int:
        """Messages without an outcome."""
        return self.received - self.decoded - self.ignored - self.quarantined

    @property
    def pending(self) -> int:
        """Readings without an outcome."""
        return self.readings - self.stored - self.duplicate - self.conflict - self.refused

    @property
    def balances(self) -> bool:
        """Every message has an outcome, and every reading has one or is in the journal for its reader."""
        return self.unread == 0 and self.pending == self.waiting


@dataclass(frozen=True, slots=True)
class LedgerPage:
    """rows: those asked for, of `count`. totals: of all. oldest: when the oldest batch came that the store's
    reader has not passed. exact: False = too many wait to be counted, then `waiting` is too small."""

    rows: Sequence[LedgerSum]
    count: int
    totals: LedgerSum
    oldest: Ms | None = None
    exact: bool = True


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
    ) -> None:
        """Adds findings, and ledger counts by (receive hour, device, stored|duplicate|conflict|refused).

        stored: more of those that are stored. kept: new readings of what tells how complete a device is, by hour of their own time and device.
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

    def strangers(self, limit: int) -> Sequence[StrangerRow]:
        """Who sends what nobody reads, newest first."""
        ...

    def restate(self, records: Sequence[MessageRecord]) -> None:
        """Rows (`record.row`) that are still not read, but for another reason than before."""
        ...

    def reopen(self, addresses: Collection[str]) -> int:
        """What had waited for one of these devices and was settled unread waits again; returns how many."""
        ...

    def recall(self, records: Sequence[MessageRecord]) -> int:
        """Messages that were passed over wait now for `record.unread`; returns how many. One that is or
        was in quarantine is left as it is."""
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

    def spool(self) -> Spool:
        """How full it is; looks at all that waits."""
        ...

    def findings(self, since: Ms, limit: int = 200) -> Sequence[FindingRow]: ...

    def counts(self) -> Mapping[str, bytes]:
        """By device how far it has counted its messages, as the batches said."""
        ...

    def recent(self, count: int) -> Sequence[Message]:
        """The last `count` messages committed, oldest first: what a broker may deliver again."""
        ...

    def close(self) -> None: ...


class ReadingStore(Protocol):
    """Where readings live: memory, one SQLite file, or InfluxDB; one contract suite for all."""

    def write(self, readings: Readings, table: PointTable) -> None:
        """Idempotent by (point, at): the same rows again change nothing; an equal instant with
        another value replaces (keep has decided the winner), its quality and `readings.late` too (a row
        that is not in `late` came in time). Never called concurrently."""
        ...

    def range(self, point: Point, start: Ms, end: Ms, limit: int = 100_000) -> Series:
        """start <= at < end, in time order, with the receive times of late ones; the newest `limit` of them."""
        ...

    def buckets(
        self, point: Point, start: Ms, end: Ms, width: Ms
    ) -> Sequence[tuple[Ms, float, float, float, float]]:
        """(bucket start, min, mean, max, last) of non-empty buckets of `width` aligned to `start`."""
        ...

    def at(self, points: Sequence[Point], moment: Ms, back: Ms) -> Mapping[int, Reading]:
        """By point id: the newest reading with moment - back <= at <= moment; missing = absent. `received_at`
        is None unless it was written as late."""
        ...

    def latest(self, points: Sequence[Point]) -> Mapping[int, Reading]:
        """By point id: the newest reading of each point."""
        ...

    def close(self) -> None: ...


@runtime_checkable
class ManyAtOnce(Protocol):
    """A store to which thousands of questions cost far more than one about as many points."""

    def ranges(self, spans: Sequence[tuple[Point, Ms, Ms]]) -> Sequence[Series]:
        """`ReadingStore.range` of each (point, start, end), in their order."""
        ...


@runtime_checkable
class Tended(Protocol):
    """A store that has upkeep of its own to do between the writes."""

    def tidy(self) -> bool:
        """A bounded piece of it (some 50 ms); whether there is more to do."""
        ...


# ---------------------------------------------------------------- records


class AlarmBook(Protocol):
    def open_ones(self, site: str) -> Sequence[Alarm]:
        """Every alarm whose episode has not ended (ended_at is None)."""
        ...

    def get(self, site: str, alarm: int) -> Alarm | None: ...

    def insert(self, alarm: Alarm) -> Alarm:
        """Stores a new episode (id 0 in, real id out). Raises Conflict if one is open already."""
        ...

    def update(self, alarm: Alarm) -> None: ...

    def log(self, change: AlarmChange) -> None: ...

    def history(self, alarm: int) -> Sequence[AlarmChange]: ...

    def search(
        self,
        site: str,
        *,
        object: str | None = None,
        since: Ms | None = None,
        ended: bool | None = None,
        limit: int = 200,
    ) -> Sequence[Alarm]:
        """Newest first."""
        ...


class TicketBook(Protocol):
    def insert(self, ticket: Ticket) -> Ticket:
        """Stores (id 0, number "" in). Raises Conflict when a ticket with its cause is not closed."""
        ...

    def open_for(self, site: str, cause: str) -> Ticket | None:
        """The ticket of this cause that is neither closed nor cancelled."""
        ...

    def get(self, site: str, ticket: int) -> Ticket | None: ...

    def update(self, ticket: Ticket) -> None: ...

    def log(self, change: TicketChange) -> None: ...

    def history(self, ticket: int) -> Sequence[TicketChange]: ...

    def search(
        self,
        site: str,
        *,
        open_only: bool = False,
        object: str | None = None,
        since: Ms | None = None,
        limit: int = 200,
    ) -> Sequence[Ticket]: ...


class OccurrenceBook(Protocol):
    def insert(self, occurrence: Occurrence) -> Occurrence | None:
        """None when (site, plan, object, due) is there already: somebody did it first."""
        ...

    def update(self, occurrence: Occurrence) -> None: ...

    def get(self, site: str, occurrence: int) -> Occurrence | None: ...

    def search(
        self,
        site: str,
        *,
        plan: str | None = None,
        since: Ms | None = None,
        until: Ms | None = None,
        limit: int = 1000,
    ) -> Sequence[Occurrence]:
        """Ordered by due."""
        ...


class Outbox(Protocol):
    def insert(self, row: OutboxRow) -> bool:
        """False when (site, dedupe) is there already."""
        ...

    def due(self, now: Ms, limit: int = 50, sites: Collection[str] | None = None) -> Sequence[OutboxRow]:
        """Pending rows whose time has come, oldest first. sites: None = all."""
        ...

    def claim(self, row: OutboxRow, until: Ms) -> bool:
        """Puts a pending row off to `until`; False when another runner touched it meanwhile."""
        ...

    def update(self, row: OutboxRow) -> None: ...

    def search(self, site: str, limit: int = 200) -> Sequence[OutboxRow]: ...


class DeviceBook(Protocol):
    def all(self, site: str) -> Sequence[Device]: ...

    def upsert(self, devices: Sequence[Device]) -> int:
        """Inserts or changes; returns how many differed."""
        ...

    def points(self, site: str, after: int = 0) -> Sequence[Point]:
        """By id. after: only those with a larger one."""
        ...

    def add_points(self, site: str, wanted: Sequence[tuple[Device, PointSpec]]) -> Sequence[Point]:
        """Gives each (device, name) an id, or changes the spec of the one it has."""
        ...

    def attributes(self, site: str, device: str) -> Sequence[Attribute]: ...

    def keep_attributes(self, site: str, attributes: Sequence[Attribute]) -> None:
        """Stores those whose value changed."""
        ...

    def keep_events(self, site: str, events: Sequence[Event]) -> int:
        """Append-only, unique (site, point, at, event_id); returns how many were new."""
        ...

    def events(
        self,
        site: str,
        point: int | None = None,
        since: Ms | None = None,
        limit: int = 200,
        code: str | None = None,
    ) -> Sequence[Event]:
        """Newest first; of one code, where it is given."""
        ...


class PeopleBook(Protocol):
    def all(self, site: str) -> Sequence[Person]: ...

    def by_login(self, login: str) -> Person | None: ...

    def upsert(self, person: Person) -> Person: ...

    def new_session(self, token_hash: str, person: int, now: Ms, until: Ms) -> None: ...

    def session(self, token_hash: str, now: Ms) -> Person | None: ...

    def end_session(self, token_hash: str) -> None: ...

    def end_sessions(self, person: int, keep: str = "") -> int:
        """Ends all sessions of a person but `keep` (a token hash): after a new password."""
        ...

    def new_token(self, token_hash: str, site: str, name: str, scope: str, now: Ms) -> None:
        """scope: "api:<role>" or "wall" (read-only wall board)."""
        ...

    def token(self, token_hash: str) -> tuple[str, str, str] | None:
        """(site, name, scope), None = unknown or revoked."""
        ...

    def tokens(self, site: str) -> Sequence[tuple[str, str, Ms]]:
        """(name, scope, created)."""
        ...

    def revoke_token(self, site: str, name: str) -> bool: ...

    def failures(self, key: str, since: Ms) -> int:
        """Failed log-ins counted under a key (login or address)."""
        ...

    def note_failure(self, key: str, now: Ms) -> None: ...


class MeteringBook(Protocol):
    def exchanges(self, site: str) -> Sequence[Exchange]: ...

    def add_exchange(self, exchange: Exchange) -> Exchange: ...

    def freeze(self, reads: Sequence[PeriodRead]) -> int:
        """Append-only by (site, device, point, cut_off, version); returns how many were new."""
        ...

    def period_reads(self, site: str, cut_off: Ms) -> Sequence[PeriodRead]:
        """The newest version of each device and point at a cut-off."""
        ...

    def lock(self, statements: Sequence[Statement]) -> int:
        """Stores locked statements; (site, period, unit, version) is unique and never changed."""
        ...

    def statements(
        self, site: str, period: str | None = None, unit: str | None = None
    ) -> Sequence[Statement]:
        """The newest version of each, ordered by unit."""
        ...

    def statement(self, site: str, number: str) -> Statement | None: ...


class Tx(Protocol):
    """One records transaction: all or nothing."""

    @property
    def alarms(self) -> AlarmBook: ...
    @property
    def tickets(self) -> TicketBook: ...
    @property
    def occurrences(self) -> OccurrenceBook: ...
    @property
    def outbox(self) -> Outbox: ...
    @property
    def devices(self) -> DeviceBook: ...
    @property
    def people(self) -> PeopleBook: ...
    @property
    def metering(self) -> MeteringBook: ...

    def cursor(self, site: str, reader: str, lane: Lane) -> int: ...

    def advance(self, site: str, reader: str, lane: Lane, seq: int) -> None: ...

    def token(self, site: str) -> int:
        """Of the newest lease on a site, 0 = there was none. It changes in no other transaction until
        this one, if it writes, has ended."""
        ...

    def blob(self, site: str, name: str) -> bytes | None:
        """A named snapshot (rule state), stored with the transaction."""
        ...

    def put_blob(self, site: str, name: str, data: bytes) -> None: ...

    def audit(self, site: str, at: Ms, actor: str, action: str, target: str, detail: str = "") -> None: ...

    def audit_rows(self, site: str, limit: int = 200) -> Sequence[AuditRow]: ...

    def change(self, site: str, at: Ms, kind: str, key: str) -> None:
        """Adds a line to the change log; the pages see it after the commit."""
        ...

    def changes(self, after: int, limit: int = 500, *, kind: str = "") -> Sequence[Change]:
        """Oldest first. kind: only these, "" = all."""
        ...

    def last_change(self) -> int: ...


class Leases(Protocol):
    """Which process owns which site. All times are the database's own. Each call is a transaction."""

    def take(self, site: str, owner: str, ttl: Ms, above: int = 0) -> Lease | None:
        """Owns a site for `ttl` with a new token, larger than `above` too; None while another process
        holds it. One that has the lease gets a new one."""
        ...

    def renew(self, owner: str, held: Mapping[str, tuple[int, Mapping[str, Any]]], ttl: Ms) -> set[str]:
        """held: by site the token and what the owner says of it. Returns the sites that are still its
        own; also one whose time had run out, if nobody took it meanwhile."""
        ...

    def release(self, site: str, owner: str, token: int) -> None:
        """Another process may take it at once."""
        ...

    def alive(self, process: str, role: str, sites: tuple[str, ...], ttl: Ms) -> None:
        """A process that may own these sites is there."""
        ...

    def gone(self, process: str) -> None: ...

    def owners(self) -> Owners: ...


class Records(Protocol):
    """The SQL side: SQLite or PostgreSQL."""

    @property
    def leases(self) -> Leases: ...

    def write(self) -> AbstractContextManager[Tx]:
        """BEGIN IMMEDIATE (SQLite); commits on a clean exit, else rolls back."""
        ...

    def read(self) -> AbstractContextManager[Tx]: ...

    def close(self) -> None: ...


class Channel(Protocol):
    """A way to tell a person something."""

    def send(self, url: str, title: str, body: str) -> None:
        """Raises Unavailable (try again) or Rejected (a wrong URL)."""
        ...


Wake = Callable[[], None]
