"""A site with a few profiles of its own, and a registry over real records."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from dutyroom.backends.records_sql import open_records
from dutyroom.flows.devices import DeviceDesk, fed
from dutyroom.flows.points import missing_points
from dutyroom.flows.registry import Registry
from dutyroom.interfaces import Records
from dutyroom.model.duty import AuditRow, Device
from dutyroom.model.telemetry import Point, PointTable, Reading
from dutyroom.profiles.decode import Library, load_library
from dutyroom.rules.spec import Rule, parse_rules
from dutyroom.site import Site, Space
from dutyroom.site.roll import Estate, asked_of_devices, numbers_of
from dutyroom.site.table import Sheet, read_csv
from dutyroom.timebase import Ms, zone
from dutyroom.topology import Topology

SITE = "s"
NOW: Ms = 1_793_491_200_000
WATER = """
name: Acme water meter
class: water_meter
interval: 15min
parameters: {pulse_weight: 1}
match: {topics: ["acme/{id}/up"]}
identity: "{id}"
points:
  volume: {from: vol, quantity: volume, kind: counter, step: 0.001, digits: 8}
  battery: {from: bat, quantity: ratio}
examples:
  - topic: acme/00012345/up
    payload: {vol: 1.5, bat: 97}
    expect: {"00012345": {volume: 1.5, battery: 97}}
"""
POWER = """
class: feeder
parameters: {ct: 1, pt: 1}
match: {topics: ["power/{id}"]}
identity: "{id}"
points:
  energy: {from: e, quantity: energy, scale: ct, kind: counter, step: 0.01, digits: 8}
examples:
  - topic: power/F-1
    payload: {e: 1}
    expect: {F-1: {energy: 1}}
"""
GATEWAY = """
class: gateway
match: {topics: ["gw/{id}"]}
identity: "{id}"
points:
  online: {from: on, kind: state}
examples:
  - topic: gw/G-1
    payload: {on: 1}
    expect: {G-1: {online: 1}}
"""


@cache
def library() -> Library:
    with TemporaryDirectory() as folder:
        for name, text in {"acme/water": WATER, "acme/power": POWER, "acme/gateway": GATEWAY}.items():
            file = Path(folder) / f"{name}.yaml"
            file.parent.mkdir(exist_ok=True)
            file.write_text(text, encoding="utf-8")
        return load_library(Path(folder), zone("Asia/Shanghai"))


@cache
def rules() -> tuple[Rule, ...]:
    return parse_rules("", "rules.yaml")


SPACES = {path: Space(path, "unit", {}) for path in ("A", "A/1", "A/2", "plant")}


def estate(drawn: Topology | None = None) -> Estate:
    asked = asked_of_devices(rules())
    return Estate(
        SITE, library().profiles, frozenset(SPACES), asked, drawn or Topology(), numbers_of(rules())
    )


def csv(text: str, file: str = "devices.csv") -> Sheet:
    return read_csv(text.encode(), file)


class Clock:
    def now(self) -> Ms:
        return NOW


@dataclass
class House:
    """A registry that runs: what decoder, rules and pages would see."""

    records: Records
    site: Site
    table: PointTable
    registry: Registry
    desk: DeviceDesk
    stored: dict[int, Reading] = field(default_factory=dict)

    def take(self, text: str, *, withdraw_missing: bool = False) -> object:
        return self.desk.take(csv(text), "tester", withdraw_missing)

    def devices(self) -> dict[str, Device]:
        with self.records.read() as tx:
            return {d.id: d for d in tx.devices.all(SITE)}

    def trail(self) -> list[AuditRow]:
        with self.records.read() as tx:
            return list(tx.audit_rows(SITE))


def house(folder: Path, devices: Sequence[Device] = (), drawn: Topology | None = None) -> House:
    records = open_records(f"sqlite:///{folder}/records.sqlite")
    site = Site(SITE, {"en": "S"}, "Asia/Shanghai", spaces=SPACES, rules=rules(), drawn=drawn or Topology())
    with records.write() as tx:
        tx.devices.upsert(list(devices))
        table = PointTable(tx.devices.add_points(SITE, missing_points(devices, PointTable(), library())))
    topology, feeds = fed(site, devices)
    registry, stored = Registry(list(devices)), dict[int, Reading]()

    def latest(points: Sequence[Point]) -> Mapping[int, Reading]:
        return {p.id: stored[p.id] for p in points if p.id in stored}

    def registered(changed: Sequence[Device]) -> None:
        for device in changed:
            registry.add(device)

    site = replace(site, topology=topology)
    desk = DeviceDesk(site, library, records, table, latest, Clock(), registered, feeds)  # type: ignore[arg-type]
    return House(records, site, table, registry, desk, stored)


def water(number: int, **more: object) -> Device:
    made = Device(SITE, f"W-{number}", f"meter {number}", "water_meter", "acme/water", f"{number:08d}", "A/1")
    return replace(made, **more)  # type: ignore[arg-type]


def feeder(id: str, **more: object) -> Device:
    return replace(Device(SITE, id, id, "feeder", "acme/power", id, "plant"), **more)  # type: ignore[arg-type]
