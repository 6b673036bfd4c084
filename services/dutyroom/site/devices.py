"""devices.csv and devices.yaml: the devices of a site, each with the place where it is written."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal

from dutyroom.fields import Fields, nearest
from dutyroom.model.duty import Device, DeviceStatus
from dutyroom.model.telemetry import DeviceClass, Scalar
from dutyroom.site import pairs
from dutyroom.site.columns import COLUMNS
from dutyroom.site.drafts import ID, MAX_DIGITS, plain, seconds_of, unharmed
from dutyroom.site.source import Source

NEEDED = ("id", "class", "profile", "address")
TEXTS = ("id", "name", "class", "model", "profile", "address", "space", "serial")
_DAY_S = 86_400


@dataclass(frozen=True, slots=True)
class Row:
    """A device and how to note a mistake at one of its fields."""

    device: Device
    wrong: Callable[[str, str], None]  # (field, message)


def read_devices(source: Source, site: str) -> list[Row]:
    """The devices of both files; notes what is wrong with each, and ids or addresses used twice."""
    rows = [*_from_csv(source, site), *_from_yaml(source, site)]
    _unique(rows, lambda d: d.id, "id", "the id")
    _unique(rows, lambda d: f"{d.profile} {d.address}", "address", "this profile and address")
    return rows


def _unique(rows: Iterable[Row], key: Callable[[Device], str], field: str, what: str) -> None:
    first: dict[str, Device] = {}
    for row in rows:
        owner = first.setdefault(key(row.device), row.device)
        if owner is not row.device and key(row.device).strip():
            row.wrong(field, f"{what} {key(row.device)!r} is used twice (first by {owner.id!r})")


def _from_yaml(source: Source, site: str) -> list[Row]:
    return [_yaml_row(entry, site) for entry in source.entries("devices.yaml", "devices")]


def _yaml_row(entry: Fields, site: str) -> Row:
    interval = entry.integer("interval_s", 0, 0, 31 * _DAY_S)
    resolution = entry.decimal("resolution", None)
    if resolution is not None and resolution <= 0:
        entry.wrong("resolution", "must be more than 0")
        resolution = None
    device = _device(
        site,
        {name: entry.text(name, *([] if name in NEEDED else [""])) for name in TEXTS},
        _Numbers(interval or None, entry.integer("digits", 0, 0, MAX_DIGITS) or None, resolution),
        _yaml_parameters(entry),
        entry.texts("fed_by"),
        entry.member("status", DeviceStatus, DeviceStatus.ACTIVE),
    )
    entry.finish()
    _check(device, entry.wrong)
    return Row(device, entry.wrong)


def _yaml_parameters(entry: Fields) -> dict[str, Scalar]:
    inner = entry.child("parameters")
    found: dict[str, Scalar] = {}
    for name, value in inner.data.items() if inner else ():
        if isinstance(value, str | int | float | bool):
            found[str(name)] = value
        elif inner:
            inner.wrong(name, "must be a text, a number, true or false")
    return found


def _from_csv(source: Source, site: str) -> list[Row]:
    before = len(source.mistakes)
    text = source.text("devices.csv")
    if not text:
        if source.has("devices.csv") and len(source.mistakes) == before:
            source.wrong("devices.csv", f"is empty; its first line is {','.join(COLUMNS)}")
        return []
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    rows: list[Row] = []
    try:
        header = [name.strip() for name in next(reader)]
        if not _header_ok(source, header):
            return []
        for cells in reader:
            if any(cell.strip() for cell in cells):
                rows.append(_csv_row(source, site, header, cells, reader.line_num))
    except csv.Error as err:
        source.wrong("devices.csv", f"is not CSV: {err}", reader.line_num)
    return rows


def _header_ok(source: Source, header: list[str]) -> bool:
    if len(header) == 1 and re.search(r"[;\t]", header[0]):
        source.wrong("devices.csv", "columns must be separated by commas", 1)
        return False
    before = len(source.mistakes)
    for name in dict.fromkeys(header):
        if name not in COLUMNS:
            source.wrong("devices.csv", f"unknown column{nearest(name, COLUMNS)}", 1, name)
        elif header.count(name) > 1:
            source.wrong("devices.csv", "column is there twice", 1, name)
    for name in NEEDED:
        if name not in header:
            source.wrong("devices.csv", f"the column {name} is missing", 1)
    return len(source.mistakes) == before


def _csv_row(source: Source, site: str, header: list[str], cells: list[str], line: int) -> Row:
    def wrong(field: str, message: str) -> None:
        source.wrong("devices.csv", message, line, field)

    if len(cells) != len(header):
        wrong("", f"has {len(cells)} cells where the header has {len(header)}")
    fields = dict.fromkeys(COLUMNS, "") | {
        n: unharmed(c.strip()) for n, c in zip(header, cells, strict=False)
    }
    for name in NEEDED:
        if not fields[name] and len(cells) == len(header):
            wrong(name, "is empty")
    status = fields["status"]
    if status and status not in set(DeviceStatus):
        wrong("status", f"{status!r} is no status{nearest(status, [str(s) for s in DeviceStatus])}")
        status = ""
    device = _device(
        site,
        fields,
        _csv_numbers(fields, wrong),
        _csv_parameters(fields["parameters"], wrong),
        tuple(filter(None, (feed.strip() for feed in fields["fed_by"].split(";")))),
        DeviceStatus(status or "active"),
    )
    _check(device, wrong)
    return Row(device, wrong)


@dataclass(frozen=True, slots=True)
class _Numbers:
    interval_s: int | None
    digits: int | None
    resolution: Decimal | None


def _csv_numbers(fields: Mapping[str, str], wrong: Callable[[str, str], None]) -> _Numbers:
    interval, digits, resolution = (fields[name] for name in ("interval_s", "digits", "resolution"))
    every = seconds_of(interval)
    if interval and every is None:
        wrong("interval_s", f"must be seconds (900) or a duration such as 15min, not {interval!r}")
    if digits and not (digits.isdecimal() and 0 < int(digits[:9]) <= MAX_DIGITS):
        wrong("digits", f"must be a whole number from 1 to {MAX_DIGITS}, not {digits!r}")
        digits = ""
    exact = None
    if resolution:
        if re.fullmatch(r"[0-9]{1,9}(\.[0-9]{1,9})?", resolution) and Decimal(resolution) > 0:
            exact = plain(Decimal(resolution))
        else:
            wrong("resolution", f"must be a number above 0 such as 0.01, not {resolution!r}")
    return _Numbers(every, int(digits) if digits else None, exact)


def _csv_parameters(text: str, wrong: Callable[[str, str], None]) -> dict[str, Scalar]:
    """key=value;key=value"""
    found: dict[str, Scalar] = {}
    for part, name, value in pairs.parts(text):
        if value is None:
            wrong("parameters", f"{part!r} is not key=value")
        elif name in found:
            wrong("parameters", f"{name!r} is there twice")
        else:
            found[name] = value
    return found


def _device(
    site: str,
    fields: Mapping[str, str],
    numbers: _Numbers,
    parameters: Mapping[str, Scalar],
    fed_by: tuple[str, ...],
    status: DeviceStatus,
) -> Device:
    return Device(
        site=site,
        id=fields["id"],
        name=fields["name"] or fields["id"],
        device_class=fields["class"],
        profile=fields["profile"],
        address=fields["address"],
        space=fields["space"],
        parameters=parameters,
        status=status,
        interval_s=numbers.interval_s,
        model=fields["model"],
        serial=fields["serial"],
        fed_by=fed_by,
        digits=numbers.digits,
        resolution=numbers.resolution,
    )


def _check(device: Device, wrong: Callable[[str, str], None]) -> None:
    classes = [str(c) for c in DeviceClass]
    if device.id and not ID.fullmatch(device.id):
        wrong("id", f"{device.id!r} may hold letters, digits and . : _ - only")
    if device.device_class and device.device_class not in classes:
        wrong("class", f"{device.device_class!r} is no device class{nearest(device.device_class, classes)}")
