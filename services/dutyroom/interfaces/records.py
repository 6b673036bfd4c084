"""The records as a whole: a transaction, leases. See `dutyroom.interfaces`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol

from dutyroom.interfaces.duty_books import (
    AlarmBook,
    AnnouncementBook,
    CheckBook,
    OccurrenceBook,
    Outbox,
    TicketBook,
)
from dutyroom.interfaces.site_books import DeviceBook, MeteringBook, PeopleBook
from dutyroom.model.duty import AuditRow, Change
from dutyroom.model.lease import Lease, Owners
from dutyroom.model.telemetry import Lane
from dutyroom.timebase import Ms


class Tx(Protocol):
    """One records transaction: all or nothing."""

    @property
    def alarms(self) -> AlarmBook: ...
    @property
    def tickets(self) -> TicketBook: ...
    @property
    def checks(self) -> CheckBook: ...
    @property
    def occurrences(self) -> OccurrenceBook: ...
    @property
    def announcements(self) -> AnnouncementBook: ...
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

    def devices_added(self, site: str, since: Ms) -> Mapping[str, Ms]:
        """Devices that the trail says were added from then on, and when: not those of a site's files."""
        ...

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
