"""Alarms, tickets, occurrences and the outbox."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from functools import cache
from typing import Any

from sqlalchemy import ColumnElement, Executable, Select, Table, and_, bindparam, func, select, update
from sqlalchemy.dialects import postgresql, sqlite

from dutyroom.backends.records_sql import schema
from dutyroom.backends.records_sql.link import Link, columns, values
from dutyroom.errors import Conflict, Rejected
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


def _change(
    link: Link, table: Table, row: Alarm | Ticket | Check | Occurrence | OutboxRow | Announcement
) -> None:
    """Overwrites the row of this id and site."""
    if not link.overwrite(table, row.id, row.site, values(row, "id", "site")):
        raise Rejected(f"{table.name}: there is no row {row.id} on site {row.site!r}")


class Alarms:
    """AlarmBook in SQL."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self._table = schema.alarms
        self._all = select(*columns(schema.alarms, Alarm))

    def open_ones(self, site: str) -> Sequence[Alarm]:
        t = self._table.c
        return self._link.fetch(Alarm, self._all.where(t.site == site, schema.OPEN).order_by(t.id))

    def get(self, site: str, alarm: int) -> Alarm | None:
        t = self._table.c
        return self._link.one(Alarm, self._all.where(t.id == alarm, t.site == site))

    def insert(self, alarm: Alarm) -> Alarm:
        number = self._link.insert_new(self._table, values(alarm, "id"))
        if number is None:
            raise Conflict(f"an episode of {alarm.rule} on {alarm.object} is open already")
        return replace(alarm, id=number)

    def update(self, alarm: Alarm) -> None:
        _change(self._link, self._table, alarm)

    def log(self, change: AlarmChange) -> None:
        self._link.insert(schema.alarm_changes, values(change))

    def history(self, alarm: int) -> Sequence[AlarmChange]:
        t = schema.alarm_changes
        found = select(*columns(t, AlarmChange)).where(t.c.alarm == alarm).order_by(t.c.id)
        return self._link.fetch(AlarmChange, found)

    def search(
        self,
        site: str,
        *,
        object: str | None = None,
        since: Ms | None = None,
        ended: bool | None = None,
        limit: int = 200,
    ) -> Sequence[Alarm]:
        t = self._table.c
        found = self._all.where(t.site == site)
        if object is not None:
            found = found.where(t.object == object)
        if since is not None:
            found = found.where(t.raised_at >= since)
        if ended is not None:
            found = found.where(t.ended_at.is_not(None) if ended else schema.OPEN)
        return self._link.fetch(Alarm, found.order_by(t.raised_at.desc(), t.id.desc()).limit(limit))


@cache
def _counting(dialect: str) -> Executable:
    """The next number of a site's tickets."""
    t = schema.counters
    made = sqlite.insert(t) if dialect == "sqlite" else postgresql.insert(t)
    step = made.on_conflict_do_update(index_elements=["site", "name"], set_={"value": t.c.value + 1})
    return step.returning(t.c.value)


@cache
def _unfinished_of() -> Select[*tuple[Any, ...]]:
    """The ticket of a cause that is neither closed nor cancelled."""
    t = schema.tickets.c
    mine = (t.site == bindparam("of_site"), t.cause == bindparam("of_cause"))
    return select(*columns(schema.tickets, Ticket)).where(*mine, schema.UNFINISHED)


class Tickets:
    """TicketBook in SQL. Numbers rise per site without a gap."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self._table = schema.tickets
        self._all = select(*columns(schema.tickets, Ticket))

    def insert(self, ticket: Ticket) -> Ticket:
        other = self.open_for(ticket.site, ticket.cause)
        if other is not None:
            raise Conflict(f"{other.number} is open for {ticket.cause} already")
        numbered = replace(ticket, number=f"WO-{self._next(ticket.site):06d}")
        found = self._link.insert_new(self._table, values(numbered, "id"))
        if found is None:
            raise Conflict(f"a ticket is open for {ticket.cause} already")
        return replace(numbered, id=found)

    def _next(self, site: str) -> int:
        first = {"site": site, "name": "ticket", "value": 1}
        return int(self._link.run(_counting(self._link.dialect), first).scalar_one())

    def open_for(self, site: str, cause: str) -> Ticket | None:
        return self._link.one(Ticket, _unfinished_of(), {"of_site": site, "of_cause": cause})

    def get(self, site: str, ticket: int) -> Ticket | None:
        t = self._table.c
        return self._link.one(Ticket, self._all.where(t.id == ticket, t.site == site))

    def update(self, ticket: Ticket) -> None:
        _change(self._link, self._table, ticket)

    def log(self, change: TicketChange) -> None:
        self._link.insert(schema.ticket_changes, values(change))

    def history(self, ticket: int) -> Sequence[TicketChange]:
        t = schema.ticket_changes
        found = select(*columns(t, TicketChange)).where(t.c.ticket == ticket).order_by(t.c.id)
        return self._link.fetch(TicketChange, found)

    def search(
        self,
        site: str,
        *,
        open_only: bool = False,
        object: str | None = None,
        since: Ms | None = None,
        limit: int = 200,
    ) -> Sequence[Ticket]:
        """Newest first."""
        t = self._table.c
        found = self._all.where(t.site == site)
        if open_only:
            found = found.where(schema.UNFINISHED)
        if object is not None:
            found = found.where(t.object == object)
        if since is not None:
            found = found.where(t.opened_at >= since)
        return self._link.fetch(Ticket, found.order_by(t.opened_at.desc(), t.id.desc()).limit(limit))


class Checks:
    """CheckBook in SQL."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self._table = schema.checks
        self._all = select(*columns(schema.checks, Check))

    def insert(self, check: Check) -> bool:
        return self._link.insert_new(self._table, values(check, "id")) is not None

    def of(self, site: str, alarms: Collection[int]) -> Sequence[Check]:
        t = self._table.c
        found = self._all.where(t.site == site, t.alarm.in_(sorted(alarms))).order_by(t.id)
        return self._link.fetch(Check, found) if alarms else []

    def update(self, check: Check) -> None:
        _change(self._link, self._table, check)


class Occurrences:
    """OccurrenceBook in SQL."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self._table = schema.occurrences
        self._all = select(*columns(schema.occurrences, Occurrence))

    def insert(self, occurrence: Occurrence) -> Occurrence | None:
        number = self._link.insert_new(self._table, values(occurrence, "id"))
        return None if number is None else replace(occurrence, id=number)

    def update(self, occurrence: Occurrence) -> None:
        _change(self._link, self._table, occurrence)

    def get(self, site: str, occurrence: int) -> Occurrence | None:
        t = self._table.c
        return self._link.one(Occurrence, self._all.where(t.id == occurrence, t.site == site))

    def _asked(
        self,
        site: str,
        plan: str | None,
        states: Collection[OccurrenceState] | None,
        since: Ms | None,
        until: Ms | None,
    ) -> ColumnElement[bool]:
        """since <= due < until."""
        t = self._table.c
        asked = [t.site == site]
        if plan is not None:
            asked.append(t.plan == plan)
        if states is not None:
            asked.append(t.state.in_(sorted(states)))
        if since is not None:
            asked.append(t.due >= since)
        if until is not None:
            asked.append(t.due < until)
        return and_(*asked)

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
        t = self._table.c
        found = self._all.where(self._asked(site, plan, states, since, until))
        found = found.order_by(t.due.desc(), t.id.desc()) if newest else found.order_by(t.due, t.id)
        if offset or limit is not None:
            found = found.limit(limit).offset(offset)
        return self._link.fetch(Occurrence, found)

    def counts(
        self,
        site: str,
        *,
        plan: str | None = None,
        states: Collection[OccurrenceState] | None = None,
        since: Ms | None = None,
        until: Ms | None = None,
    ) -> Mapping[str, int]:
        t = self._table.c
        found = select(t.plan, func.count()).where(self._asked(site, plan, states, since, until))
        return {str(row[0]): int(row[1]) for row in self._link.run(found.group_by(t.plan))}

    def groups(
        self,
        site: str,
        *,
        states: Collection[OccurrenceState] | None = None,
        since: Ms | None = None,
        until: Ms | None = None,
    ) -> Sequence[OccurrenceGroup]:
        t = self._table.c
        asked = self._asked(site, None, states, since, until)
        same = select(func.min(t.id).label("id"), func.count().label("count"))
        group = same.where(asked).group_by(t.plan, t.due, t.state).subquery()
        found = select(group.c.count, *columns(self._table, Occurrence)).join_from(
            group, self._table, group.c.id == t.id
        )
        rows = self._link.run(found.order_by(t.due, t.id))
        return [OccurrenceGroup(Occurrence(*row), count) for count, *row in rows]

    def last_of_each(
        self,
        site: str,
        states: Collection[OccurrenceState],
        *,
        since: Ms | None = None,
        until: Ms | None = None,
    ) -> Sequence[Occurrence]:
        t = self._table.c
        asked = self._asked(site, None, states, since, until)
        newest = select(t.plan, t.object, func.max(t.due).label("due")).where(asked)
        last = newest.group_by(t.plan, t.object, t.state).subquery()
        same = and_(t.plan == last.c.plan, t.object == last.c.object, t.due == last.c.due, t.site == site)
        return self._link.fetch(Occurrence, self._all.join_from(last, self._table, same))

    def last_done(
        self, site: str, *, plan: str | None = None, since: Ms | None = None, until: Ms | None = None
    ) -> Mapping[tuple[str, str], Ms]:
        t = self._table.c
        asked = self._asked(site, plan, (OccurrenceState.DONE,), since, until)
        found = select(t.plan, t.object, func.max(func.coalesce(t.done_at, t.due))).where(asked)
        return {(plan, name): int(at) for plan, name, at in self._link.run(found.group_by(t.plan, t.object))}


class SqlOutbox:
    """Outbox in SQL."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self._table = schema.outbox
        self._all = select(*columns(schema.outbox, OutboxRow))

    def insert(self, row: OutboxRow) -> bool:
        return self._link.insert_new(self._table, values(row, "id")) is not None

    def due(self, now: Ms, limit: int = 50, sites: Collection[str] | None = None) -> Sequence[OutboxRow]:
        t = self._table.c
        found = self._all.where(schema.PENDING, t.next_at <= now)
        if sites is not None:
            found = found.where(t.site.in_(sorted(sites)))
        return self._link.fetch(OutboxRow, found.order_by(t.next_at, t.id).limit(limit))

    def claim(self, row: OutboxRow, until: Ms) -> bool:
        t = self._table.c
        untouched = (t.id == row.id, schema.PENDING, t.next_at == row.next_at)
        statement = update(self._table).where(*untouched, t.attempts == row.attempts)
        return self._link.run(statement.values(next_at=until)).rowcount == 1

    def update(self, row: OutboxRow) -> None:
        _change(self._link, self._table, row)

    def search(self, site: str, limit: int = 200) -> Sequence[OutboxRow]:
        """Newest first."""
        found = self._all.where(self._table.c.site == site)
        return self._link.fetch(OutboxRow, found.order_by(self._table.c.id.desc()).limit(limit))


class Announcements:
    """AnnouncementBook in SQL."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self._table = schema.announcements
        self._all = select(*columns(schema.announcements, Announcement))

    def insert(self, announcement: Announcement) -> Announcement:
        number = self._link.insert_new(self._table, values(announcement, "id"))
        if number is None:
            raise Conflict("an announcement of this id is there already")
        return replace(announcement, id=number)

    def get(self, site: str, announcement: int) -> Announcement | None:
        t = self._table.c
        return self._link.one(Announcement, self._all.where(t.id == announcement, t.site == site))

    def update(self, announcement: Announcement) -> None:
        _change(self._link, self._table, announcement)

    def current(self, site: str, since: Ms) -> Sequence[Announcement]:
        t = self._table.c
        return self._link.fetch(Announcement, self._all.where(t.site == site, t.ends >= since).order_by(t.id))

    def search(self, site: str, limit: int = 200) -> Sequence[Announcement]:
        t = self._table.c
        found = self._all.where(t.site == site).order_by(t.begins.desc(), t.id.desc())
        return self._link.fetch(Announcement, found.limit(limit))
