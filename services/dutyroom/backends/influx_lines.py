"""How readings are named in InfluxDB, and their columns as line protocol.

measurement = device class, tags = site and device, one field per point, milliseconds. Readings of a
device at one instant share a line. Where a device stands is a fact of the registry, not of its
readings: a device that moves keeps its series.

Types: gauges are floats; counters (whole steps) and states are integers; texts are strings.
`<point>_q` holds the quality, where it is not GOOD or may replace one that was not; `<point>_step` is
the size of a counter's step in its unit, so that a reader without our registry can multiply.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from dutyroom.model.telemetry import Kind, Point, PointTable, Readings
from dutyroom.timebase import Ms

_TAG = str.maketrans({",": r"\,", "=": r"\=", " ": r"\ "})
_INTEGERS = (Kind.COUNTER, Kind.STATE)


@dataclass(frozen=True, slots=True)
class Field:
    """One value of one line. row: where it stands in the columns."""

    row: int
    series: str  # measurement and tags, escaped
    at: Ms
    name: str
    text: str  # `name=value`, quality included
    measurement: str


def tag(value: str) -> str:
    """A tag value in line protocol."""
    return value.translate(_TAG)


def quoted(name: str) -> str:
    """An identifier in InfluxQL."""
    return '"' + name.replace("\\", "\\\\").replace('"', '\\"') + '"'


def literal(text: str) -> str:
    """A string in InfluxQL."""
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def unnameable(point: Point) -> str:
    """Why a point cannot be named in line protocol, "" = it can."""
    for text in (point.site, point.device, point.spec.name):
        if not text or text.endswith("\\") or any(ord(c) < 32 for c in text):
            return f"{text!r} cannot be a name in InfluxDB"
    return ""


def _number(point: Point, value: float, as_float: bool) -> str:
    if point.spec.kind in _INTEGERS and not as_float:
        return f"{int(value)}i"
    return repr(value)


def _string(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _refused(point: Point | None, value: float, as_float: bool) -> str:
    if point is None:
        return "its point is not in the registry"
    if not math.isfinite(value):
        return f"{value} is not a finite number"
    if point.spec.kind in _INTEGERS and not as_float and not value.is_integer():
        return f"{value} is not whole, as a {point.spec.kind.value} must be"
    return unnameable(point)


@dataclass(slots=True)
class Lines:
    """Columns turned into fields, in the order of series and time. refused: {row: reason}."""

    fields: list[Field]
    refused: dict[int | str, str]


def lines_of(
    readings: Readings, table: PointTable, newest: Mapping[int, Ms], floats: set[tuple[str, str]]
) -> Lines:
    """Fields of all rows that can be written; of equal (point, at) the last.

    newest: by point id, the latest instant written before; rows not newer carry their quality even
    when GOOD, so that they replace a worse one whole. floats: (measurement, field) names that the
    server has as floats whatever the point says.
    """
    order = np.lexsort((readings.at, readings.point))
    point_column, at_column = readings.point[order], readings.at[order]
    last = np.ones(len(order), dtype=bool)
    last[:-1] = (point_column[1:] != point_column[:-1]) | (at_column[1:] != at_column[:-1])
    rows = order[last]
    columns = (rows, readings.point[rows], readings.at[rows], readings.value[rows], readings.quality[rows])
    made = Lines([], {})
    for row, point_id, at, value, quality in zip(*(c.tolist() for c in columns), strict=True):
        point = table.get(point_id)
        as_float = point is not None and (point.device_class.value, point.spec.name) in floats
        reason = _refused(point, value, as_float)
        if point is None or reason:
            made.refused[row] = reason
            continue
        text = readings.text.get(row)
        written = _string(text) if text is not None else _number(point, value, as_float)
        name = tag(point.spec.name)
        shown = f"{name}={written}"
        if point.spec.step is not None:
            shown += f",{name}_step={float(point.spec.step)!r}"
        if quality or at <= newest.get(point_id, -(2**63)):
            shown += f",{name}_q={quality}i"
        measurement = point.device_class.value
        series = f"{measurement},device={tag(point.device)},site={tag(point.site)}"
        made.fields.append(Field(row, series, at, point.spec.name, shown, measurement))
    made.fields.sort(key=lambda f: (f.series, f.at))
    return made


def blocks(fields: Iterable[Field], limit: int) -> Iterator[tuple[list[Field], bytes]]:
    """Blocks of at most `limit` lines with the fields they carry; fields of one line stay together."""
    taken: list[Field] = []
    lines: list[str] = []
    key: tuple[str, Ms] | None = None
    for field in fields:
        if (field.series, field.at) == key:
            lines[-1] = f"{lines[-1]},{field.text}"
        else:
            if len(lines) == limit:
                yield taken, _joined(lines, taken)
                taken, lines = [], []
            key = (field.series, field.at)
            lines.append(f"{field.series} {field.text}")
        taken.append(field)
    if lines:
        yield taken, _joined(lines, taken)


def _joined(lines: list[str], fields: list[Field]) -> bytes:
    """The lines with their times: one time for each change of (series, at) in `fields`."""
    times: list[Ms] = []
    key: tuple[str, Ms] | None = None
    for field in fields:
        if (field.series, field.at) != key:
            key = (field.series, field.at)
            times.append(field.at)
    return "\n".join(f"{line} {at}" for line, at in zip(lines, times, strict=True)).encode()
