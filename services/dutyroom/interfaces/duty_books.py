"""The records of what is wrong and who sees to it. See `dutyroom.interfaces`."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Protocol

from dutyroom.model.announced import Announcement
from dutyroom.model.duty import (
    Alarm,
    AlarmChange,
    Check,
    Occurrence,
    OccurrenceGroup,
    OccurrenceState,
    OutboxRow,
    Ticket,
    TicketChange,
)
from dutyroom.timebase import Ms


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


class CheckBook(Protocol):
    def insert(self, check: Check) -> bool:
        """False when (site, alarm, since, object, step) is there already."""
        ...

    def of(self, site: str, alarms: Collection[int]) -> Sequence[Check]:
        """All lines of these alarms, in the order in which they were made."""
        ...

    def update(self, check: Check) -> None: ...


class OccurrenceBook(Protocol):
    """A daily check of each of a hundred lifts is 43,500 rows within the 435 days that are looked at: what is
    asked for is as narrow as what is wanted, and only `search` has a limit.

    since <= due < until everywhere; states: None = all.
    """

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
        states: Collection[OccurrenceState] | None = None,
        since: Ms | None = None,
        until: Ms | None = None,
        newest: bool = False,
        limit: int | None = 1000,
        offset: int = 0,
    ) -> Sequence[Occurrence]:
        """Ordered by due; newest: the last due first, so that a limit keeps those. limit: None = all of them."""
        ...

    def counts(
        self,
        site: str,
        *,
        plan: str | None = None,
        states: Collection[OccurrenceState] | None = None,
        since: Ms | None = None,
        until: Ms | None = None,
    ) -> Mapping[str, int]:
        """By plan how many there are; a plan without any is left out."""
        ...

    def groups(
        self,
        site: str,
        *,
        states: Collection[OccurrenceState] | None = None,
        since: Ms | None = None,
        until: Ms | None = None,
    ) -> Sequence[OccurrenceGroup]:
        """All of them, those of a plan that are due at one instant in one state as one; ordered by due."""
        ...

    def last_of_each(
        self,
        site: str,
        states: Collection[OccurrenceState],
        *,
        since: Ms | None = None,
        until: Ms | None = None,
    ) -> Sequence[Occurrence]:
        """Of each plan, object and state the one that is due last."""
        ...

    def last_done(
        self, site: str, *, plan: str | None = None, since: Ms | None = None, until: Ms | None = None
    ) -> Mapping[tuple[str, str], Ms]:
        """By plan and object when work was done last; where nobody noted when, when it was due."""
        ...


class AnnouncementBook(Protocol):
    def insert(self, announcement: Announcement) -> Announcement:
        """Stores a new one (id 0 in, real id out)."""
        ...

    def get(self, site: str, announcement: int) -> Announcement | None: ...

    def update(self, announcement: Announcement) -> None: ...

    def current(self, site: str, since: Ms) -> Sequence[Announcement]:
        """Those whose end is not before `since`, cancelled ones too, oldest first."""
        ...

    def search(self, site: str, limit: int = 200) -> Sequence[Announcement]:
        """The latest begin first."""
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
