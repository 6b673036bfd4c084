"""The site that a backtest plays in: of a site folder and what the service knows of it, or of a table of devices."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import TracebackType

from dutyroom.errors import Rejected
from dutyroom.flows.backtest import Past
from dutyroom.flows.devices import fed
from dutyroom.flows.past_files import Listed, factors_of, listed
from dutyroom.flows.past_readings import Columns
from dutyroom.flows.past_records import Kept, kept_of
from dutyroom.flows.past_store import stored
from dutyroom.flows.points import missing_points
from dutyroom.interfaces import ReadingStore
from dutyroom.model.duty import Device, DeviceStatus
from dutyroom.model.telemetry import DeviceClass, Point, PointTable
from dutyroom.plans import Plan
from dutyroom.profiles.decode import Library
from dutyroom.profiles.loading import load_profiles
from dutyroom.rules.spec import Rule
from dutyroom.settings import Settings
from dutyroom.site import Site
from dutyroom.site.folder import load_site
from dutyroom.timebase import Ms, zone
from dutyroom.wiring import past_csv
from dutyroom.wiring.commands import data_folder
from dutyroom.wiring.shipped import shipped
from dutyroom.wiring.stores import followed_store_of, records_of


@dataclass(slots=True)
class Scene:
    """names: device -> how people name it. store: where the readings are; None = in a file. off: devices that are out of
    service today."""

    past: Past
    known: Listed
    language: str
    zone_of: Callable[[str], str]
    names: Mapping[str, str] = field(default_factory=dict)
    store: ReadingStore | None = None
    off: Sequence[str] = ()
    _stack: ExitStack = field(default_factory=ExitStack)

    def __enter__(self) -> Scene:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def under(self, rules: Sequence[Rule]) -> Scene:
        """The same under other rules."""
        return replace(self, past=replace(self.past, rules=rules))

    def stored(self, since: Ms, until: Ms) -> Iterable[Columns]:
        """Readings of the store, in the order in which they came."""
        assert self.store is not None
        return stored(self.store, list(self.past.table), since, until)

    def heard(self, since: Ms, until: Ms) -> set[int]:
        """The points of which the store has a reading in [since, until)."""
        assert self.store is not None
        return set(self.store.at(list(self.past.table), until - 1, until - 1 - since))


def of_devices(file: Path, rules: Sequence[Rule]) -> Scene:
    """Raises Invalid, Rejected."""
    rows = past_csv.rows(file, ("device_id", "class", "point", "unit"))
    known = listed(rows, file.name)
    zones = Counter(row["tz"] for row in rows if row.get("tz"))
    time_zone = zones.most_common(1)[0][0] if zones else "UTC"
    zone(time_zone)
    past = Past("backtest", rules, known.devices, known.table, known.topology, time_zone)
    return Scene(past, known, "en", lambda device: _space(known.devices, device))


def _space(devices: Mapping[str, Device], device: str) -> str:
    found = devices.get(device)
    return found.space if found is not None else ""


def of_site(settings: Settings, folder: Path, store: bool) -> Scene:
    """Rules, places and topology of a site folder. Devices and points, and what the duty room had on record, where the
    site has run on the data folder, else those of the folder. store: readings come from its store. Raises Invalid,
    Rejected, Unavailable."""
    site = load_site(folder)
    settings = data_folder(settings)
    with ExitStack() as stack:
        registered = _registered(settings, site.id, site.plans)
        kept = None
        if registered is not None and (len(registered[1]) or store):
            rows, table, kept = registered
        else:
            rows, table = _declared(site, folder)
        if store:
            stack.callback((opened := _readings(settings, site.id)).close)
        topology, _ = fed(site, rows)
        devices = {d.id: d for d in rows if d.status is not DeviceStatus.WITHDRAWN}
        past = Past(site.id, site.rules, devices, table, topology, site.time_zone, site.calendar, kept)
        known = Listed(devices, table, topology, factors_of(table), {})
        names = {d.id: d.name or d.id for d in rows}
        return Scene(
            past,
            known,
            site.language,
            lambda device: _space(devices, device),
            names,
            opened if store else None,
            [d.id for d in rows if d.status is DeviceStatus.OUT_OF_SERVICE],
            stack.pop_all(),
        )


def _registered(
    settings: Settings, site: str, plans: Sequence[Plan]
) -> tuple[list[Device], PointTable, Kept] | None:
    """What the service knows of a site; None = it has not run here."""
    if not settings.records and not (settings.data / "records.sqlite").exists():
        return None
    records = records_of(settings)
    try:
        with records.read() as tx:
            devices = list(tx.devices.all(site))
            if not devices:
                return None
            return devices, PointTable(tx.devices.points(site)), kept_of(tx, site, plans)
    finally:
        records.close()


def _readings(settings: Settings, site: str) -> ReadingStore:
    """Never written to."""
    if settings.readings == "embedded" and not (settings.data / "sites" / site / "readings.sqlite").exists():
        raise Rejected(
            f"there are no readings of {site} in {settings.data}; name a file with --telemetry, the data folder with "
            "--data, or set DUTYROOM_READINGS=influx where they live in InfluxDB"
        )
    return followed_store_of(settings, site)


def _declared(site: Site, folder: Path) -> tuple[list[Device], PointTable]:
    """The points that the profiles declare."""
    own = folder / "device_profiles"
    found, _ = load_profiles(shipped("device_profiles"), *([own] if own.is_dir() else []))
    library = Library(found, zone(site.time_zone), b"")
    table = PointTable()
    for device, spec in missing_points(site.devices, table, library):
        device_class = DeviceClass(device.device_class)
        table.add(Point(len(table) + 1, site.id, device.id, device_class, device.space, spec))
    return list(site.devices), table
