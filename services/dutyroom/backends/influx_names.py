"""How points are named in InfluxDB, and how names are written in its two languages.

measurement = device class, tags = site and device, one field per point, milliseconds. Where a device
stands is a fact of the registry, not of its readings: a device that moves keeps its series.

The kind fixes the field's type, never the value: a counter is an integer of whole steps, a gauge and a
state are floats; a text is a string, in `<point>_text`. InfluxDB has one type for a field of a measurement,
and two makes of meter may disagree on what `volume` is (a counter here, a gauge without a step there). Then
the plain name is the counter's, and the others stand in `<point>_float`; a counter whose plain name the
server has as something else stands in `<point>_int`.

Companions of a field: `<point>_step`, the size of a counter's step in its unit, so that a reader without
our registry can multiply; `<point>_q`, the quality; `<point>_received_at`, the receive time of a late one.

The coarser buckets hold, of each window, the last value of every field under its own instant, and of numbers
the least, the largest and the sum under the window's start, with the tag `agg`; how many there were is a
field of the measurement `count`.
"""

from __future__ import annotations

from dutyroom.model.telemetry import Kind, Point

INTEGER, FLOAT, STRING = "integer", "float", "string"
TYPES = {Kind.COUNTER: INTEGER, Kind.GAUGE: FLOAT, Kind.STATE: FLOAT, Kind.TEXT: STRING}
OTHER_NAME = {INTEGER: "_int", FLOAT: "_float", STRING: "_text"}
STEP, QUALITY, RECEIVED = "_step", "_q", "_received_at"
AGG = "agg"  # tag in coarser buckets: min, max, sum; none = a reading
COUNT = "count"  # measurement there
NO_NUMBERS = f"({OTHER_NAME[STRING]}|{STEP}|{QUALITY}|{RECEIVED})$"  # fields that no window is made of

_TAG = str.maketrans({",": r"\,", "=": r"\=", " ": r"\ "})


def tag(value: str) -> str:
    """A tag value or a field's name in line protocol."""
    return value.translate(_TAG)


def string(text: str) -> str:
    """A string value in line protocol."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def quoted(name: str) -> str:
    """An identifier in InfluxQL."""
    return '"' + name.replace("\\", "\\\\").replace('"', '\\"') + '"'


def literal(text: str) -> str:
    """A string in InfluxQL."""
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def unnameable(point: Point) -> str:
    """Why a point cannot be named in line protocol, "" = it can."""
    for text in (point.site, point.device, point.spec.name):
        if not text or text.endswith("\\") or not (text.isprintable() or all(ord(c) >= 32 for c in text)):
            return f"{text!r} cannot be a name in InfluxDB"
    return ""


def series(point: Point) -> str:
    """Measurement and tags of a point's lines."""
    return f"{point.device_class.value},device={tag(point.device)},site={tag(point.site)}"
