"""The registry of a site, changed by a table or a form: all of it or nothing, on the record.

What is written counts at once: the decoder, the rules and the topology see it without a restart.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TypeAlias

from dutyroom.errors import Invalid, Rejected
from dutyroom.flows.points import declared, missing_points
from dutyroom.interfaces import Records, Tx
from dutyroom.model.duty import Device, DeviceStatus
from dutyroom.model.telemetry import DeviceClass, Kind, Point, PointSpec, PointTable, Reading
from dutyroom.profiles.decode import Library
from dutyroom.profiles.meter import meter_of
from dutyroom.site import Site
from dutyroom.site.drafts import read_drafts
from dutyroom.site.feeding import together
from dutyroom.site.flaws import Flaw, flaw
from dutyroom.site.listing import texts
from dutyroom.site.roll import Estate, Plan, asked_of_devices, numbers_of, plan
from dutyroom.site.table import Sheet, sheet_of
from dutyroom.timebase import Clock
from dutyroom.topology import Topology

Latest: TypeAlias = Callable[[Sequence[Point]], Mapping[int, Reading]]
_DETAIL = 500  # characters of an audit row


def estate_of(site: Site, library: Library) -> Estate:
    """What a row of this site may name."""
    drawn = site.drawn if site.drawn is not None else site.topology
    asked = asked_of_devices(site.rules)
    numbers = numbers_of(site.rules)
    return Estate(site.id, library.profiles, frozenset(site.spaces), asked, drawn, numbers)


def differences(before: Device, after: Device) -> list[tuple[str, str, str]]:
    """(field, what it was, what it is) of every field that differs, by the columns' names."""
    old, new = texts(before), texts(after)
    return [(name, old[name], new[name]) for name in old if old[name] != new[name]]


def _nobody(devices: Sequence[Device]) -> None:
    return None


class DeviceDesk:
    """One per site; used from any thread. Raises Unavailable when records or store do not answer.

    library: the profiles in use now. latest: the newest stored readings of points. registered: told
    of devices that the records have now. feeds: by utility, kept in step with the registry.
    """

    def __init__(
        self,
        site: Site,
        library: Callable[[], Library],
        records: Records,
        table: PointTable,
        latest: Latest,
        clock: Clock,
        registered: Callable[[Sequence[Device]], None] = _nobody,
        feeds: dict[str, Mapping[str, tuple[str, ...]]] | None = None,
    ) -> None:
        self.site, self._library, self._records, self._table = site, library, records, table
        self._latest, self._clock, self._registered, self._feeds = latest, clock, registered, feeds
        self._lock = threading.Lock()
        self._renewed: set[str] = set()

    @property
    def estate(self) -> Estate:
        return estate_of(self.site, self._library())

    # ------------------------------------------------------------ tables

    def check(self, sheet: Sheet, withdraw_missing: bool = False) -> Plan:
        """What a table would do, with every flaw; nothing is changed."""
        with self._records.read() as tx:
            return self._plan(tx, sheet, withdraw_missing)

    def take(self, sheet: Sheet, actor: str, withdraw_missing: bool = False) -> Plan:
        """Does what a table says. Raises Invalid with every flaw, and has then done nothing."""
        with self._records.write() as tx:
            made = self._plan(tx, sheet, withdraw_missing)
            if made.flaws:
                raise Invalid(made.flaws)
            points = self._write(tx, made, actor, sheet.file)
        self.follow(made.devices, points)
        return made

    def _plan(self, tx: Tx, sheet: Sheet, withdraw_missing: bool) -> Plan:
        drafts, flaws = read_drafts(sheet)
        known = {device.id: device for device in tx.devices.all(self.site.id)}
        made = plan(sheet.file, drafts, flaws, known, self.estate, withdraw_missing)
        more, notes = self._with_readings(made, sheet.file)
        return replace(made, flaws=(*made.flaws, *more), notes=(*made.notes, *notes))

    # ------------------------------------------------------------ what has readings already

    def _with_readings(self, made: Plan, file: str) -> tuple[list[Flaw], list[Flaw]]:
        """Steps of registers that must not change, and whose source changes."""
        asked: dict[int, tuple[Device, Point, PointSpec | None]] = {}
        for before, after in made.changed:
            moved = (before.profile, before.address) != (after.profile, after.address)
            wanted = {spec.name: spec for _, spec in self._specs(after)}
            for point in self._table.of_device(after.id):
                spec = wanted.get(point.spec.name)
                other = spec is not None and _other_step(point.spec, spec)
                if moved or other:
                    asked[point.id] = (after, point, spec if other else None)
        if not asked:
            return [], []
        found = self._latest([point for _, point, _ in asked.values()])
        with_readings = [asked[number] for number in asked if number in found]
        flaws = [self._step(made, file, d, p, s) for d, p, s in with_readings if s is not None]
        return flaws, self._moved(made, file, [device for device, _, _ in with_readings])

    def _step(self, made: Plan, file: str, device: Device, point: Point, spec: PointSpec) -> Flaw:
        row = made.rows[device.id]
        column = "resolution" if device.resolution is not None else "profile"
        said = {
            "point": point.spec.name,
            "kept": format(point.spec.step or 1, "f"),
            "wanted": format(spec.step or 1, "f"),
            "unit": point.spec.unit,
        }
        return flaw(file, row.row, row.titles.get(column, column), "step_kept", **said)

    def _moved(self, made: Plan, file: str, devices: Iterable[Device]) -> list[Flaw]:
        before = {after.id: old for old, after in made.changed}
        notes = []
        for device in {d.id: d for d in devices}.values():
            changed = [n for n, _, _ in differences(before[device.id], device) if n in ("profile", "address")]
            for name in changed:
                row = made.rows[device.id]
                value = texts(device)[name]
                notes.append(flaw(file, row.row, row.titles.get(name, name), "history", value=value))
        return notes

    def _specs(self, device: Device) -> list[tuple[Device, PointSpec]]:
        """The points that a device is to have: its profile's, and registers that only its messages named."""
        named = {spec.name: spec for spec in declared(device, self._library())}
        meter = meter_of(device.device_class, device.digits, device.resolution)
        if meter is not None:
            for point in self._table.of_device(device.id):
                if point.spec.name not in named:
                    named[point.spec.name] = meter.spec(point.spec)
        return [(device, spec) for spec in named.values()]

    # ------------------------------------------------------------ single devices

    def withdraw(self, device: str, actor: str) -> None:
        """Takes a device out of the registry; its row, readings and bills stay. Raises Rejected when
        there is none, Invalid when others are fed by it."""
        self._status(device, DeviceStatus.WITHDRAWN, actor)

    def take_back(self, device: str, actor: str) -> None:
        """A withdrawn device is in use again. Raises Invalid when its address is another's by now."""
        self._status(device, DeviceStatus.ACTIVE, actor)

    def _status(self, device: str, status: DeviceStatus, actor: str) -> None:
        with self._records.read() as tx:
            found = next((d for d in tx.devices.all(self.site.id) if d.id == device), None)
        if found is None:
            raise Rejected("error.no_device")
        self.take(sheet_of("", [["id", "status"], [device, status.value]]), actor)

    # ------------------------------------------------------------ writing

    def _write(self, tx: Tx, made: Plan, actor: str, file: str) -> Sequence[Point]:
        """One transaction: devices, points, audit trail, change log. Returns points new or changed."""
        site, now = self.site.id, self._clock.now()
        devices = made.devices
        if not devices:
            return ()
        owners = {
            (d.profile, d.address): d for d in tx.devices.all(site) if d.status is not DeviceStatus.WITHDRAWN
        }
        in_the_way = [
            replace(owner, status=DeviceStatus.WITHDRAWN)
            for d in devices
            if (owner := owners.get((d.profile, d.address))) is not None and owner.id != d.id
        ]
        if in_the_way:  # two that change places: an address has one owner at every moment
            tx.devices.upsert(in_the_way)
        tx.devices.upsert(devices)
        for device in made.added:
            tx.audit(site, now, actor, "device.added", device.id, f"{device.profile} · {device.address}")
        for before, after in (*made.changed, *made.withdrawn):
            gone = after.status is DeviceStatus.WITHDRAWN and before.status is not after.status
            action = "device.withdrawn" if gone else "device.changed"
            said = "; ".join(f"{n}: {old} → {new}" for n, old, new in differences(before, after))
            tx.audit(site, now, actor, action, after.id, said[:_DETAIL])
        if file:
            figures = f"+{len(made.added)} ~{len(made.changed)} -{len(made.withdrawn)}"
            tx.audit(site, now, actor, "devices.import", file[:100], figures)
        tx.change(site, now, "device", devices[0].id if len(devices) == 1 else "")
        wanted = missing_points(devices, self._table, self._library())
        wanted += [w for d in devices for w in self._specs(d) if self._differs(*w) and w not in wanted]
        return tx.devices.add_points(site, wanted) if wanted else ()

    def _differs(self, device: Device, spec: PointSpec) -> bool:
        point = self._table.find(device.id, spec.name)
        return point is not None and point.spec != spec and device.status is not DeviceStatus.WITHDRAWN

    def follow(self, devices: Sequence[Device], points: Sequence[Point]) -> None:
        """What is in memory follows the records, whoever changed them. points: new or changed."""
        if not devices:
            return
        with self._lock:
            for point in points:
                self._table.add(point)
            for device in devices:
                self._moved_points(device)
            self._registered(devices)
            self._feed()
            self._renewed |= {device.id for device in devices}

    def _moved_points(self, device: Device) -> None:
        place = (DeviceClass(device.device_class), device.space)
        for point in self._table.of_device(device.id):
            if (point.device_class, point.space) != place:
                self._table.add(replace(point, device_class=place[0], space=place[1]))

    def _feed(self) -> None:
        if self._feeds is None:
            return
        with self._records.read() as tx:
            devices = tx.devices.all(self.site.id)
        merged, _ = together(self.estate.drawn, devices)
        for utility, feeds in merged.feeds.items():  # one step each: who reads meanwhile sees old or new
            self._feeds[utility] = feeds

    def tell(self, rules: Callable[[frozenset[str]], None]) -> None:
        """Calls `rules` with the devices that changed since they were told last, if there are any."""
        with self._lock:
            found, self._renewed = frozenset(self._renewed), set()
        if not found:
            return
        try:
            rules(found)
        except BaseException:
            with self._lock:
                self._renewed |= found
            raise


def fed(site: Site, devices: Iterable[Device]) -> tuple[Topology, dict[str, Mapping[str, tuple[str, ...]]]]:
    """The topology of a site with what the rows of its registry say, and the mapping inside it.

    Raises Rejected when topology.yaml and a row contradict each other.
    """
    drawn = site.drawn if site.drawn is not None else site.topology
    merged, wrong = together(drawn, devices)
    said = [w for w in wrong if w.key in ("contradiction", "feeds_itself")]
    if said:
        told = flaw("", 0, "", said[0].key, **said[0].arguments).message
        raise Rejected(f"device {said[0].device}: {told}; change topology.yaml or the device's row")
    feeds = dict(merged.feeds)
    return Topology(feeds), feeds


def _other_step(kept: PointSpec, wanted: PointSpec) -> bool:
    return kept.kind is Kind.COUNTER and kept.step != wanted.step
