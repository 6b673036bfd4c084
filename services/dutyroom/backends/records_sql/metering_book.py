"""Meter exchanges, frozen period reads and locked statements: added, never changed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from sqlalchemy import func, select

from dutyroom.backends.records_sql import schema
from dutyroom.backends.records_sql.link import Link, columns, values
from dutyroom.errors import Conflict
from dutyroom.model.metering import Exchange, PeriodRead, Statement
from dutyroom.timebase import Ms


class Metering:
    """MeteringBook in SQL."""

    def __init__(self, link: Link) -> None:
        self._link = link

    def exchanges(self, site: str) -> Sequence[Exchange]:
        """In order of time."""
        t = schema.exchanges
        found = select(*columns(t, Exchange)).where(t.c.site == site)
        return self._link.fetch(Exchange, found.order_by(t.c.at, t.c.id))

    def add_exchange(self, exchange: Exchange) -> Exchange:
        number = self._link.insert_new(schema.exchanges, values(exchange, "id"))
        if number is None:
            raise Conflict(f"an exchange of {exchange.device} at this time is recorded already")
        return replace(exchange, id=number)

    def freeze(self, reads: Sequence[PeriodRead]) -> int:
        return self._link.insert_many(schema.period_reads, [values(r) for r in reads])

    def period_reads(self, site: str, cut_off: Ms) -> Sequence[PeriodRead]:
        t = schema.period_reads
        mine = (t.c.site == site, t.c.cut_off == cut_off)
        newest = (
            select(t.c.device, t.c.point, func.max(t.c.version).label("version"))
            .where(*mine)
            .group_by(t.c.device, t.c.point)
            .subquery()
        )
        same = (
            (newest.c.device == t.c.device)
            & (newest.c.point == t.c.point)
            & (newest.c.version == t.c.version)
        )
        found = select(*columns(t, PeriodRead)).join(newest, same).where(*mine)
        return self._link.fetch(PeriodRead, found.order_by(*self._link.by_text(t.c.device, t.c.point)))

    def lock(self, statements: Sequence[Statement]) -> int:
        return self._link.insert_many(schema.statements, [values(s) for s in statements])

    def statements(
        self, site: str, period: str | None = None, unit: str | None = None
    ) -> Sequence[Statement]:
        t = schema.statements
        mine = [t.c.site == site]
        if period is not None:
            mine.append(t.c.period == period)
        if unit is not None:
            mine.append(t.c.unit == unit)
        newest = (
            select(t.c.period, t.c.unit, func.max(t.c.version).label("version"))
            .where(*mine)
            .group_by(t.c.period, t.c.unit)
            .subquery()
        )
        same = (
            (newest.c.period == t.c.period) & (newest.c.unit == t.c.unit) & (newest.c.version == t.c.version)
        )
        found = select(*columns(t, Statement)).join(newest, same).where(*mine)
        return self._link.fetch(Statement, found.order_by(*self._link.by_text(t.c.unit, t.c.period)))

    def statement(self, site: str, number: str) -> Statement | None:
        t = schema.statements
        found = select(*columns(t, Statement)).where(t.c.site == site, t.c.number == number)
        return self._link.one(Statement, found)
