"""Devices of a backtest from a CSV file: rows in, devices, points and topology out.

Columns: device_id, class, point, unit, zone, role, tz, interval_s, resolution, range_min, range_max (the last
seven may be empty). A register is called `volume_total` or, of a meter, `volume` as well.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from fractions import Fraction
from typing import TypeAlias

from dutyroom.errors import Invalid, Mistake
from dutyroom.model.duty import Device
from dutyroom.model.telemetry import DeviceClass, Kind, Point, PointSpec, PointTable
from dutyroom.profiles.meter import register_of
from dutyroom.quantities import QUANTITIES
from dutyroom.topology import Topology

Row = Mapping[str, str]
# (device, point, unit) -> id, factor, offset: column value * factor + offset = what the engine sees
Factors: TypeAlias = Mapping[tuple[str, str, str], tuple[int, float, float]]

SITE = "backtest"
_CLASSES = {
    "pressure_sensor": DeviceClass.SENSOR,
    "temperature_sensor": DeviceClass.SENSOR,
    "tank_level": DeviceClass.TANK,
}
_GROUPS = {"power": DeviceClass.FEEDER, "water": DeviceClass.OTHER, "network": DeviceClass.GATEWAY}
_NEEDED = ("device_id", "class", "point", "unit")  # a state has no unit


@dataclass(frozen=True, slots=True)
class Listed:
    """What a table of devices says. zones: group device -> the zone that it stands for."""

    devices: Mapping[str, Device]
    table: PointTable
    topology: Topology
    factors: Factors
    zones: Mapping[str, str]


def listed(rows: Sequence[Row], file: str) -> Listed:
    """Devices, points and topology of a table. Each zone is one gateway, one feeder and one water zone
    of its members. Raises Invalid naming rows and columns."""
    mistakes: list[Mistake] = []
    devices: dict[str, Device] = {}
    table = PointTable()
    factors: dict[tuple[str, str, str], tuple[int, float, float]] = {}
    for number, row in enumerate(rows, 2):
        missing = [name for name in _NEEDED if not row.get(name) and not (name == "unit" and _unitless(row))]
        if missing:
            mistakes += [Mistake(file, number, name, "missing") for name in missing]
            continue
        try:
            device = _device(row)
            point = _point(row, device, len(table) + 1)
        except (ValueError, InvalidOperation, ZeroDivisionError, KeyError, OverflowError) as err:
            mistakes.append(Mistake(file, number, "", f"cannot be read: {err}"))
            continue
        devices.setdefault(device.id, device)
        table.add(point)
        meaning = (point.id, *_conversion(row["unit"], point))
        factors[device.id, row["point"], row["unit"]] = meaning
        for name in _names(point.spec):
            factors.setdefault((device.id, name, row["unit"]), meaning)
    if mistakes:
        raise Invalid(mistakes)
    feeds, groups, zones = _zones(rows, devices)
    return Listed({**groups, **devices}, table, Topology(feeds), factors, zones)


def _unitless(row: Row) -> bool:
    """Whether it is a point of no unit: a state, a count."""
    return row.get("point", "").removesuffix("_total") not in QUANTITIES


def _device(row: Row) -> Device:
    name = row["class"]
    known = {c.value for c in DeviceClass}
    parameters: dict[str, str | int | float | bool] = {}
    if row.get("role"):
        parameters["use"] = row["role"]
    if row.get("tz"):
        parameters["time_zone"] = row["tz"]
    if row.get("range_max"):
        parameters["height"] = float(row["range_max"])
    return Device(
        SITE,
        row["device_id"],
        row["device_id"],
        _CLASSES.get(name, name if name in known else DeviceClass.OTHER),
        "",
        row["device_id"],
        row.get("zone") or "",
        parameters,
        interval_s=int(float(row["interval_s"])) if row.get("interval_s") else None,
    )


def _point(row: Row, device: Device, number: int) -> Point:
    name = row["point"].removesuffix("_total")
    quantity = name if name in QUANTITIES else "number"
    counter = row["point"].endswith("_total") or quantity == register_of(device.device_class)
    unit = QUANTITIES[quantity].unit
    step = None
    if counter:
        size = Fraction(row.get("resolution") or "0.001") * _factor(quantity, row["unit"])
        if size <= 0:
            raise ValueError(f"resolution {row['resolution']} is not above 0")
        step = Decimal(size.numerator) / Decimal(size.denominator)
    spec = PointSpec(
        name, quantity, unit, Kind.COUNTER if counter else Kind.GAUGE, step, interval_s=device.interval_s
    )
    return Point(number, SITE, device.id, DeviceClass(device.device_class), device.space, spec)


def factors_of(points: Iterable[Point]) -> Factors:
    """Of points in a registry: in any unit of their quantity; a file may leave the unit away, and may write
    `volume_total` for a register."""
    found: dict[tuple[str, str, str], tuple[int, float, float]] = {}
    for point in points:
        spec = point.spec
        names = _names(spec)
        units = {"", spec.unit, *(QUANTITIES[spec.quantity].units if spec.quantity in QUANTITIES else ())}
        for unit in units:
            factor, offset = _conversion(unit, point)
            for name in names:
                found[point.device, name, unit] = (point.id, factor, offset)
    return found


def _names(spec: PointSpec) -> tuple[str, ...]:
    """By which a file may call a point: a register `volume`, or `volume_total`."""
    return (spec.name, f"{spec.name}_total") if spec.kind is Kind.COUNTER else (spec.name,)


def _factor(quantity: str, unit: str) -> Fraction:
    units = QUANTITIES[quantity].units
    return units[unit].factor if unit in units else Fraction(1)


def _conversion(name: str, point: Point) -> tuple[float, float]:
    """To steps of a counter, or to the canonical unit."""
    quantity = QUANTITIES.get(point.spec.quantity)
    unit = quantity.units.get(name) if quantity is not None else None
    factor, offset = (unit.factor, unit.offset) if unit is not None else (Fraction(1), Fraction(0))
    if point.spec.step is not None:
        return float(factor / Fraction(point.spec.step)), 0.0
    return float(factor), float(offset)


def _zones(
    rows: Sequence[Row], devices: Mapping[str, Device]
) -> tuple[dict[str, dict[str, tuple[str, ...]]], dict[str, Device], dict[str, str]]:
    feeds: dict[str, dict[str, tuple[str, ...]]] = {utility: {} for utility in _GROUPS}
    groups: dict[str, Device] = {}
    zones: dict[str, str] = {}
    for row in rows:
        zone = row.get("zone")
        if not zone:
            continue
        device = devices[row["device_id"]]
        for utility, group_class in _GROUPS.items():
            if not _hangs(utility, device):
                continue
            group = f"{zone}/{utility}"
            if group not in groups:
                where: dict[str, str | int | float | bool] = {"use": "zone"}
                if row.get("tz"):
                    where["time_zone"] = row["tz"]
                groups[group] = Device(SITE, group, zone, group_class, "", group, zone, where)
                zones[group] = zone
            feeds[utility][device.id] = (group,)
    return feeds, groups, zones


def _hangs(utility: str, device: Device) -> bool:
    """Whether a device hangs on a group of its zone in a utility: a sensor on a battery has no power to lose."""
    water = (DeviceClass.WATER_METER, DeviceClass.TANK, DeviceClass.SENSOR)
    if utility == "power":
        return device.device_class == DeviceClass.ELECTRICITY_METER
    if utility == "water":
        return device.device_class in water or device.parameters.get("use") == "pump"
    return True
