"""Telemetry and devices of a backtest from CSV files: rows in, points and columns out.

Columns of devices: device_id, class, point, unit, zone, role, tz, interval_s, resolution, range_min,
range_max (the last seven may be empty). Columns of telemetry: device_id, point, unit, time_utc_iso,
value, perhaps received_at; further ones are not read.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from fractions import Fraction

import numpy as np

from dutyroom.errors import Invalid, Mistake
from dutyroom.model.duty import Device
from dutyroom.model.telemetry import (
    Batch,
    DeviceClass,
    Floats,
    Ints,
    Kind,
    Lane,
    Longs,
    Point,
    PointSpec,
    PointTable,
    Readings,
)
from dutyroom.quantities import QUANTITIES
from dutyroom.timebase import Ms
from dutyroom.topology import Topology

Row = Mapping[str, str]

SITE = "backtest"
_CLASSES = {
    "pressure_sensor": DeviceClass.SENSOR,
    "temperature_sensor": DeviceClass.SENSOR,
    "tank_level": DeviceClass.TANK,
}
_QUANTITY = {"volume": "volume", "energy": "energy"}
_GROUPS = {"power": DeviceClass.FEEDER, "water": DeviceClass.OTHER, "network": DeviceClass.GATEWAY}
_NEEDED = ("device_id", "class", "point", "unit")


@dataclass(frozen=True, slots=True)
class Listed:
    """What a table of devices says. zones: group device -> the zone that it stands for."""

    devices: Mapping[str, Device]
    table: PointTable
    topology: Topology
    factors: Mapping[
        tuple[str, str, str], tuple[int, float, float]
    ]  # (device, point, unit) -> id, factor, offset
    zones: Mapping[str, str]


def listed(rows: Sequence[Row], file: str) -> Listed:
    """Devices, points and topology of a table. Each zone is one gateway, one feeder and one water zone
    of its members. Raises Invalid naming rows and columns."""
    mistakes: list[Mistake] = []
    devices: dict[str, Device] = {}
    table = PointTable()
    factors: dict[tuple[str, str, str], tuple[int, float, float]] = {}
    for number, row in enumerate(rows, 2):
        missing = [name for name in _NEEDED if not row.get(name)]
        if missing:
            mistakes += [Mistake(file, number, name, "missing") for name in missing]
            continue
        try:
            device = _device(row)
            point = _point(row, device, len(table) + 1)
        except (ValueError, InvalidOperation, KeyError) as err:
            mistakes.append(Mistake(file, number, "", f"cannot be read: {err}"))
            continue
        devices.setdefault(device.id, device)
        table.add(point)
        factors[device.id, row["point"], row["unit"]] = (point.id, *_conversion(row, point))
    if mistakes:
        raise Invalid(mistakes)
    feeds, groups, zones = _zones(rows, devices)
    return Listed({**groups, **devices}, table, Topology(feeds), factors, zones)


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
    counter = row["point"].endswith("_total")
    quantity = name if name in QUANTITIES else "number"
    unit = QUANTITIES[quantity].unit
    step = None
    if counter:
        size = Fraction(row.get("resolution") or "0.001") * _factor(quantity, row["unit"])
        step = Decimal(size.numerator) / Decimal(size.denominator)
    spec = PointSpec(
        name, quantity, unit, Kind.COUNTER if counter else Kind.GAUGE, step, interval_s=device.interval_s
    )
    return Point(number, SITE, device.id, DeviceClass(device.device_class), device.space, spec)


def _factor(quantity: str, unit: str) -> Fraction:
    units = QUANTITIES[quantity].units
    return units[unit].factor if unit in units else Fraction(1)


def _conversion(row: Row, point: Point) -> tuple[float, float]:
    """column value * factor + offset = what the engine sees: steps of a counter, or the canonical unit."""
    units = QUANTITIES[point.spec.quantity].units
    unit = units.get(row["unit"])
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


# ---------------------------------------------------------------- telemetry


@dataclass(slots=True)
class Columns:
    """Readings in their order of arrival."""

    point: Ints
    at: Longs
    value: Floats
    received: Longs


def columns_of(
    device: Sequence[str],
    name: Sequence[str],
    unit: Sequence[str],
    at: Sequence[str],
    value: Sequence[str],
    received: Sequence[str] | None,
    known: Listed,
    file: str,
    first: int,
) -> Columns:
    """A stretch of rows. Raises Invalid naming the first row that cannot be read, by file line."""
    factors = known.factors
    try:
        rules = [factors[key] for key in zip(device, name, unit, strict=True)]
    except KeyError as err:
        key = err.args[0]
        line = next(i for i, k in enumerate(zip(device, name, unit, strict=True)) if k == key)
        what = "device_id, point and unit are in no row of the devices"
        raise Invalid([Mistake(file, first + line, "device_id", f"{', '.join(key)}: {what}")]) from None
    point, factor, offset = (np.array(column) for column in zip(*rules, strict=True))
    number = _numbers(value, file, first) * factor + offset
    counts = np.fromiter((known.table[p].spec.step is not None for p in point.tolist()), bool, len(point))
    number[counts] = np.rint(number[counts])
    when = _instants(at, "time_utc_iso", file, first)
    came = when if received is None else _instants(received, "received_at", file, first)
    return Columns(point.astype(np.int32), when, number, came)


def _numbers(texts: Sequence[str], file: str, first: int) -> Floats:
    """An empty or unreadable number is NaN where it is empty or says so; else a mistake."""
    try:
        return np.array([text or "nan" for text in texts], dtype=np.float64)
    except ValueError:
        for line, text in enumerate(texts, first):
            try:
                float(text or "nan")
            except ValueError:
                raise Invalid([Mistake(file, line, "value", f"{text!r} is no number")]) from None
        raise


def _instants(texts: Sequence[str], column: str, file: str, first: int) -> Longs:
    """ISO 8601 in UTC, with Z, +00:00 or nothing."""
    try:
        return _parsed(texts)
    except (ValueError, UserWarning):
        for line, text in enumerate(texts, first):
            try:
                _parsed([text])
            except (ValueError, UserWarning):
                raise Invalid([Mistake(file, line, column, f"{text!r} is no instant in UTC")]) from None
        raise


def _parsed(texts: Sequence[str]) -> Longs:
    bare = [text.removesuffix("Z").removesuffix("+00:00") for text in texts]
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # numpy only warns of another offset
        found = np.array(bare, dtype="datetime64[ms]")
    if np.isnat(found).any():
        raise ValueError("empty")
    return found.astype(np.int64)


def batches_of(columns: Iterable[Columns], slot: Ms) -> Iterator[Batch]:
    """Readings as they would have come, those of one slot (ms) together; in order of arrival."""
    rest: Columns | None = None
    for more in columns:
        whole = more if rest is None else _joined(rest, more)
        slots = whole.received // slot
        cut = int(np.searchsorted(slots, slots[-1])) if len(slots) else 0
        yield from _slots(whole, slots, cut)
        rest = Columns(whole.point[cut:], whole.at[cut:], whole.value[cut:], whole.received[cut:])
    if rest is not None and len(rest.at):
        yield from _slots(rest, rest.received // slot, len(rest.at))


def _slots(columns: Columns, slots: Longs, end: int) -> Iterator[Batch]:
    if not end:
        return
    starts = np.flatnonzero(np.diff(slots[:end], prepend=slots[0] - 1)).tolist()
    quality, message = np.zeros(end, np.uint8), np.zeros(end, np.int32)
    for a, b in zip(starts, [*starts[1:], end], strict=True):
        yield Batch(
            SITE,
            Lane.NORMAL,
            int(columns.received[a:b].max()),
            (),
            Readings(columns.point[a:b], columns.at[a:b], columns.value[a:b], quality[a:b], message[a:b]),
        )


def _joined(a: Columns, b: Columns) -> Columns:
    return Columns(
        np.concatenate([a.point, b.point]),
        np.concatenate([a.at, b.at]),
        np.concatenate([a.value, b.value]),
        np.concatenate([a.received, b.received]),
    )
