"""Leases on sites in SQL: taken in turn with every other writer, renewed beside them.

A token changes only while no other writer is at work, so that one who has seen its own token inside a
transaction has it until the commit. A renewal changes no token and therefore waits for nobody.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from typing import Any, TypeAlias

from sqlalchemy import ColumnElement, literal_column, select, update

from dutyroom.backends.records_sql import schema
from dutyroom.backends.records_sql.link import Link
from dutyroom.model.lease import Lease, Owners, Process
from dutyroom.timebase import HOUR, Ms

Turn: TypeAlias = Callable[[], AbstractContextManager[Link]]

_NOW = {
    "sqlite": "CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER)",
    "postgresql": "CAST(extract(epoch FROM clock_timestamp()) * 1000 AS bigint)",
}


class SqlLeases:
    """Leases in SQL. alone: a transaction of the one writer; beside: one that waits for nobody else; look:
    one that only reads."""

    def __init__(self, dialect: str, alone: Turn, beside: Turn, look: Turn) -> None:
        self._alone, self._beside, self._look = alone, beside, look
        self._now: ColumnElement[int] = literal_column(_NOW[dialect])

    def take(self, site: str, owner: str, ttl: Ms, above: int = 0) -> Lease | None:
        t = schema.leases
        with self._alone() as link:
            found = link.run(select(t, self._now.label("now")).where(t.c.site == site)).mappings().first()
            if found is not None and found["owner"] != owner and found["expires_at"] > found["now"]:
                return None
            now = self._clock(link)
            token = max(found["token"] if found is not None else 0, above) + 1
            row: dict[str, Any] = {
                "site": site,
                "owner": owner,
                "token": token,
                "taken_at": now,
                "expires_at": now + ttl,
                "said": {},
            }
            statement = link.upsert(t).values(row)
            link.run(statement.on_conflict_do_update(index_elements=["site"], set_=row))
        return Lease(site, owner, token, now, now + ttl)

    def renew(self, owner: str, held: Mapping[str, tuple[int, Mapping[str, Any]]], ttl: Ms) -> set[str]:
        t, kept = schema.leases, set()
        with self._beside() as link:
            for site, (token, said) in sorted(held.items()):
                mine = (t.c.site == site) & (t.c.owner == owner) & (t.c.token == token)
                row = update(t).where(mine).values(expires_at=self._now + ttl, said=said)
                if link.run(row).rowcount:
                    kept.add(site)
        return kept

    def release(self, site: str, owner: str, token: int) -> None:
        t = schema.leases
        mine = (t.c.site == site) & (t.c.owner == owner) & (t.c.token == token)
        with self._beside() as link:
            link.run(update(t).where(mine).values(expires_at=0, said={}))

    def alive(self, process: str, role: str, sites: tuple[str, ...], ttl: Ms) -> None:
        t = schema.processes
        with self._beside() as link:
            now = self._clock(link)
            row = {"name": process, "role": role, "sites": list(sites), "since": now, "expires_at": now + ttl}
            statement = link.upsert(t).values(row)
            again = {"expires_at": now + ttl, "sites": list(sites)}
            link.run(statement.on_conflict_do_update(index_elements=["name"], set_=again))
            link.run(t.delete().where(t.c.expires_at < now - HOUR))

    def gone(self, process: str) -> None:
        t = schema.processes
        with self._beside() as link:
            link.run(t.delete().where(t.c.name == process))

    def owners(self) -> Owners:
        with self._look() as link:
            now = self._clock(link)
            leases = [Lease(**row) for row in link.run(select(schema.leases)).mappings()]
            t = schema.processes
            living = link.run(select(t).where(t.c.expires_at > now).order_by(t.c.name)).mappings()
            processes = tuple(Process(**{**row, "sites": tuple(row["sites"])}) for row in living)
        return Owners(now, {lease.site: lease for lease in leases}, processes)

    def _clock(self, link: Link) -> Ms:
        return int(link.run(select(self._now)).scalar() or 0)
