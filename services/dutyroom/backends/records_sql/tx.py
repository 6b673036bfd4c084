"""One records transaction: the books, and what belongs to no book."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property

from sqlalchemy import func, select

from dutyroom.backends.records_sql import schema
from dutyroom.backends.records_sql.device_book import Devices
from dutyroom.backends.records_sql.duty_books import (
    Alarms,
    Announcements,
    Checks,
    Occurrences,
    SqlOutbox,
    Tickets,
)
from dutyroom.backends.records_sql.link import Link, columns, inserting
from dutyroom.backends.records_sql.metering_book import Metering
from dutyroom.backends.records_sql.people_book import People
from dutyroom.model.duty import AuditRow, Change
from dutyroom.model.telemetry import Lane
from dutyroom.timebase import Ms


class SqlTx:
    """Tx in SQL; valid inside its `with` block, in one thread."""

    def __init__(self, link: Link) -> None:
        self._link = link

    @cached_property
    def alarms(self) -> Alarms:
        return Alarms(self._link)

    @cached_property
    def tickets(self) -> Tickets:
        return Tickets(self._link)

    @cached_property
    def checks(self) -> Checks:
        return Checks(self._link)

    @cached_property
    def occurrences(self) -> Occurrences:
        return Occurrences(self._link)

    @cached_property
    def announcements(self) -> Announcements:
        return Announcements(self._link)

    @cached_property
    def outbox(self) -> SqlOutbox:
        return SqlOutbox(self._link)

    @cached_property
    def devices(self) -> Devices:
        return Devices(self._link)

    @cached_property
    def people(self) -> People:
        return People(self._link)

    @cached_property
    def metering(self) -> Metering:
        return Metering(self._link)

    def cursor(self, site: str, reader: str, lane: Lane) -> int:
        t = schema.cursors.c
        found = select(t.seq).where(t.site == site, t.reader == reader, t.lane == int(lane))
        return int(self._link.run(found).scalar() or 0)

    def advance(self, site: str, reader: str, lane: Lane, seq: int) -> None:
        row = {"site": site, "reader": reader, "lane": int(lane), "seq": seq}
        statement = self._link.upsert(schema.cursors).values(row)
        keys = ["site", "reader", "lane"]
        self._link.run(statement.on_conflict_do_update(index_elements=keys, set_={"seq": seq}))

    def token(self, site: str) -> int:
        t = schema.leases.c
        return int(self._link.run(select(t.token).where(t.site == site)).scalar() or 0)

    def blob(self, site: str, name: str) -> bytes | None:
        t = schema.blobs.c
        data = self._link.run(select(t.data).where(t.site == site, t.name == name)).scalar()
        return None if data is None else bytes(data)

    def put_blob(self, site: str, name: str, data: bytes) -> None:
        statement = self._link.upsert(schema.blobs).values(site=site, name=name, data=data)
        keys = ["site", "name"]
        self._link.run(statement.on_conflict_do_update(index_elements=keys, set_={"data": data}))

    def audit(self, site: str, at: Ms, actor: str, action: str, target: str, detail: str = "") -> None:
        row = {"site": site, "at": at, "actor": actor, "action": action, "target": target, "detail": detail}
        self._link.run(inserting(schema.audit), row)

    def audit_rows(self, site: str, limit: int = 200) -> Sequence[AuditRow]:
        """Newest first."""
        t = schema.audit
        found = select(*columns(t, AuditRow)).where(t.c.site == site)
        return self._link.fetch(AuditRow, found.order_by(t.c.id.desc()).limit(limit))

    def devices_added(self, site: str, since: Ms) -> Mapping[str, Ms]:
        """Of one that was added more than once the last time."""
        t = schema.audit.c
        found = select(t.target, func.max(t.at)).where(
            t.site == site, t.action == "device.added", t.at >= since
        )
        return {device: int(at) for device, at in self._link.run(found.group_by(t.target))}

    def change(self, site: str, at: Ms, kind: str, key: str) -> None:
        self._link.run(inserting(schema.changes), {"site": site, "at": at, "kind": kind, "key": key})

    def changes(self, after: int, limit: int = 500, *, kind: str = "") -> Sequence[Change]:
        """Oldest first."""
        t = schema.changes
        found = select(*columns(t, Change)).where(t.c.seq > after)
        if kind:
            found = found.where(t.c.kind == kind)
        return self._link.fetch(Change, found.order_by(t.c.seq).limit(limit))

    def last_change(self) -> int:
        return int(self._link.run(select(func.max(schema.changes.c.seq))).scalar() or 0)
