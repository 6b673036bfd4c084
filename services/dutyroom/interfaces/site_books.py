"""The records of what a site has: devices, people, meters and bills. See `dutyroom.interfaces`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from dutyroom.model.duty import Device, Person
from dutyroom.model.metering import Exchange, PeriodRead, Statement
from dutyroom.model.telemetry import Attribute, Event, Point, PointSpec
from dutyroom.timebase import Ms


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
