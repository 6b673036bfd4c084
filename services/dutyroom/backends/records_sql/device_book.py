"""Devices, their points, attributes and events."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Row, bindparam, select, update

from dutyroom.backends.records_sql import schema
from dutyroom.backends.records_sql.link import Link, columns, values
from dutyroom.errors import Conflict, Rejected
from dutyroom.model.duty import Device
from dutyroom.model.telemetry import Attribute, DeviceClass, Event, Point, PointSpec
from dutyroom.timebase import Ms

_SPEC = columns(schema.points, PointSpec)
_LIST = 500  # names in one query
_ALL = 5_000  # devices that are a good part of any site


class Devices:
    """DeviceBook in SQL."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self._all = select(*columns(schema.devices, Device))

    def all(self, site: str) -> Sequence[Device]:
        t = schema.devices.c
        return self._link.fetch(Device, self._all.where(t.site == site).order_by(*self._link.by_text(t.id)))

    def upsert(self, devices: Sequence[Device]) -> int:
        wanted = {(d.site, d.id): d for d in devices}
        known = {(d.site, d.id): d for site in {d.site for d in devices} for d in self.all(site)}
        fresh = [values(d) for key, d in wanted.items() if key not in known]
        changed = [d for key, d in wanted.items() if key in known and known[key] != d]
        try:
            if changed:
                self._overwrite(changed)
            if fresh:
                self._link.careful(schema.devices.insert(), fresh)
        except Conflict as err:
            raise Conflict(f"two devices of one profile have the same address: {err}") from err
        return len(fresh) + len(changed)

    def _overwrite(self, devices: Sequence[Device]) -> None:
        t = schema.devices
        data: dict[str, Any] = {f: bindparam(f"new_{f}") for f in values(devices[0], "site", "id")}
        statement = update(t).where(t.c.site == bindparam("of_site"), t.c.id == bindparam("of_id"))
        rows = [
            {"of_site": d.site, "of_id": d.id}
            | {f"new_{name}": value for name, value in values(d, "site", "id").items()}
            for d in devices
        ]
        self._link.careful(statement.values(data), rows)

    def points(self, site: str, after: int = 0) -> Sequence[Point]:
        p, d = schema.points, schema.devices
        both = p.join(d, (d.c.site == p.c.site) & (d.c.id == p.c.device))
        chosen = select(p.c.id, p.c.site, p.c.device, d.c.device_class, d.c.space, *_SPEC)
        mine = (p.c.site == site) & (p.c.id > after)
        found = self._link.run(chosen.select_from(both).where(mine).order_by(p.c.id))
        return [_point(row) for row in found]

    def add_points(self, site: str, wanted: Sequence[tuple[Device, PointSpec]]) -> Sequence[Point]:
        """The points asked for, each once, in that order. A device must be registered first."""
        asked = {(device.id, spec.name): spec for device, spec in wanted}
        known = {(p.device, p.spec.name): p for p in self._some_points(site, wanted)}
        fresh = [
            {"site": site, "device": device} | values(spec)
            for (device, name), spec in asked.items()
            if (device, name) not in known
        ]
        changed = [
            (known[key].id, spec) for key, spec in asked.items() if key in known and known[key].spec != spec
        ]
        if fresh:
            self._insert_points(fresh)
        if changed:
            self._change_specs(changed)
        if fresh or changed:
            known = {(p.device, p.spec.name): p for p in self._some_points(site, wanted)}
        return [known[key] for key in asked]

    def _some_points(self, site: str, wanted: Sequence[tuple[Device, PointSpec]]) -> Sequence[Point]:
        names = sorted({device.id for device, _ in wanted})
        if len(names) > _ALL:  # then one pass over the site costs less than long lists
            return self.points(site)
        return [p for i in range(0, len(names), _LIST) for p in self._points_of(site, names[i : i + _LIST])]

    def _points_of(self, site: str, names: Sequence[str]) -> list[Point]:
        p, d = schema.points, schema.devices
        both = p.join(d, (d.c.site == p.c.site) & (d.c.id == p.c.device))
        chosen = select(p.c.id, p.c.site, p.c.device, d.c.device_class, d.c.space, *_SPEC)
        found = chosen.select_from(both).where(p.c.site == site, p.c.device.in_(names))
        return [_point(row) for row in self._link.run(found)]

    def _insert_points(self, rows: Sequence[dict[str, Any]]) -> None:
        try:
            self._link.careful(schema.points.insert(), rows)
        except Conflict as err:
            names = ", ".join(sorted({row["device"] for row in rows})[:5])
            raise Rejected(f"a point needs a registered device: {names}: {err}") from err

    def _change_specs(self, changed: Sequence[tuple[int, PointSpec]]) -> None:
        t = schema.points
        data: dict[str, Any] = {column.name: bindparam(f"new_{column.name}") for column in _SPEC}
        rows = [
            {"of_id": point} | {f"new_{name}": value for name, value in values(spec).items()}
            for point, spec in changed
        ]
        self._link.careful(update(t).where(t.c.id == bindparam("of_id")).values(data), rows)

    def attributes(self, site: str, device: str) -> Sequence[Attribute]:
        t = schema.attributes
        found = select(*columns(t, Attribute)).where(t.c.site == site, t.c.device == device)
        return self._link.fetch(Attribute, found.order_by(*self._link.by_text(t.c.name)))

    def keep_attributes(self, site: str, attributes: Sequence[Attribute]) -> None:
        """An attribute older than the one that is known changes nothing."""
        if not attributes:
            return
        t = schema.attributes
        newest: dict[tuple[str, str], Attribute] = {}
        for attribute in sorted(attributes, key=lambda a: a.at):
            newest[attribute.device, attribute.name] = attribute
        statement = self._link.upsert(t)
        given = statement.excluded
        statement = statement.on_conflict_do_update(
            index_elements=["site", "device", "name"],
            set_={"value": given.value, "at": given.at},
            where=(t.c.value != given.value) & (t.c.at <= given.at),
        )
        self._link.run(statement, [{"site": site} | values(a) for a in newest.values()])

    def keep_events(self, site: str, events: Sequence[Event]) -> int:
        return self._link.insert_many(schema.events, [{"site": site} | values(e) for e in events])

    def events(
        self,
        site: str,
        point: int | None = None,
        since: Ms | None = None,
        limit: int = 200,
        code: str | None = None,
    ) -> Sequence[Event]:
        t = schema.events
        found = select(*columns(t, Event)).where(t.c.site == site)
        if point is not None:
            found = found.where(t.c.point == point)
        if since is not None:
            found = found.where(t.c.at >= since)
        if code is not None:
            found = found.where(t.c.code == code)
        return self._link.fetch(Event, found.order_by(t.c.at.desc(), t.c.id.desc()).limit(limit))


def _point(row: Row[*tuple[Any, ...]]) -> Point:
    number, site, device, device_class, space, *spec = row
    return Point(number, site, device, DeviceClass(device_class), space, PointSpec(*spec))
