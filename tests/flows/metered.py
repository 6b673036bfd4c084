"""A small metered site for the flows' tests: units, public meters, a readings store in memory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from decimal import Decimal

import numpy as np

from dutyroom.metering.tariff import PublicShare, Tariff, Tier
from dutyroom.model.duty import Device
from dutyroom.model.telemetry import (
    DeviceClass,
    Kind,
    Point,
    PointSpec,
    PointTable,
    Quality,
    Reading,
    Series,
)
from dutyroom.site import Site, Space
from dutyroom.timebase import Ms, from_iso, zone

D = Decimal
TZ = zone("Asia/Shanghai")
SPECS = {
    "electricity_meter": PointSpec("energy", "energy", "kWh", Kind.COUNTER, D("0.01"), 8, 900),
    "water_meter": PointSpec("volume", "volume", "m3", Kind.COUNTER, D("0.001"), 8, 3600),
    "gas_meter": PointSpec("volume", "volume", "m3", Kind.COUNTER, D("0.001"), 8, 3600),
}


def at(text: str) -> Ms:
    """A local time of the site."""
    return from_iso(text, TZ)


class Store:
    """Readings by point in memory; counts the calls of `at`."""

    def __init__(self) -> None:
        self.readings: dict[int, list[Reading]] = {}
        self.calls = 0

    def put(self, point: Point, moment: str | Ms, value: float, quality: int = Quality.GOOD) -> None:
        when = at(moment) if isinstance(moment, str) else moment
        listed = self.readings.setdefault(point.id, [])
        listed.append(Reading(point.id, when, float(value), quality))
        listed.sort(key=lambda r: r.at)

    def at(self, points: Sequence[Point], moment: Ms, back: Ms) -> Mapping[int, Reading]:
        self.calls += 1
        found = {}
        for point in points:
            inside = [r for r in self.readings.get(point.id, ()) if moment - back <= r.at <= moment]
            if inside:
                found[point.id] = inside[-1]
        return found

    def range(self, point: Point, start: Ms, end: Ms, limit: int = 100_000) -> Series:
        rows = [r for r in self.readings.get(point.id, ()) if start <= r.at < end][-limit:]
        return Series(
            point.id,
            np.array([r.at for r in rows], dtype=np.int64),
            np.array([r.value for r in rows], dtype=np.float64),
            np.array([r.quality for r in rows], dtype=np.uint8),
        )

    def latest(self, points: Sequence[Point]) -> Mapping[int, Reading]:
        return {p.id: self.readings[p.id][-1] for p in points if self.readings.get(p.id)}

    def write(self, readings: object, table: object) -> None:
        raise AssertionError("the flows under test only read")

    def buckets(
        self, point: Point, start: Ms, end: Ms, width: Ms
    ) -> list[tuple[Ms, float, float, float, float]]:
        raise AssertionError("the flows under test do not ask for buckets")

    def close(self) -> None:
        return None


def device(name: str, device_class: str, space: str, **parameters: str | int | float | bool) -> Device:
    return Device("lake", name, name, device_class, "v/m", name, space, parameters)


def points_of(devices: Sequence[Device]) -> PointTable:
    return PointTable(
        Point(number, "lake", d.id, DeviceClass(d.device_class), d.space, SPECS[d.device_class])
        for number, d in enumerate(devices, 1)
        if d.device_class in SPECS
    )


POWER = Tariff(
    "home-power",
    "electricity_meter",
    {"zh-CN": "居民电价", "en": "Home electricity"},
    (Tier(D(200), D("0.5050")), Tier(D(400), D("0.5388")), Tier(None, D("0.8050"))),
    "kWh",
    date(2026, 1, 1),
)
WATER = Tariff(
    "home-water",
    "water_meter",
    {"zh-CN": "居民水价", "en": "Home water"},
    (Tier(D(180), D("3.45")), Tier(D(260), D("4.83")), Tier(None, D("5.83"))),
    "m3",
    date(2025, 7, 1),
    "year",
)
GAS = Tariff(
    "home-gas",
    "gas_meter",
    {"zh-CN": "燃气价", "en": "Gas"},
    (Tier(None, D("2.63")),),
    "m3",
    date(2025, 7, 1),
)
SHARE = PublicShare(
    "public-power-a",
    {"zh-CN": "公摊用电", "en": "Public electricity"},
    "A",
    ("A-public-power",),
    (),
    D("0.5050"),
    "kWh",
)


def a_site(areas: Mapping[str, str], devices: Sequence[Device], **more: object) -> Site:
    """areas: unit path -> m2."""
    spaces = {"A": Space("A", "building", {"en": "A"})}
    spaces |= {path: Space(path, "unit", {"en": path}, D(area)) for path, area in areas.items()}
    parts: dict[str, object] = {
        "tariffs": (POWER, WATER, GAS),
        "shares": (SHARE,),
        "devices": tuple(devices),
        **more,
    }
    return Site("lake", {"en": "Lake garden"}, "Asia/Shanghai", spaces=spaces, **parts)  # type: ignore[arg-type]
