"""The payload of Sparkplug B: metrics with names or aliases, their values, units and times.

Source: "Sparkplug Specification 3.0.0" of the Eclipse Foundation, chapter 6 (payloads).
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from dutyroom.errors import Rejected
from dutyroom.model.telemetry import Scalar
from dutyroom.profiles.codecs.exact import float32, float64
from dutyroom.profiles.codecs.protobuf import BYTES, VARINT, Field, fields, put_bytes, put_fixed, put_number

MAX_METRICS = 20_000  # of a payload
MAX_UNPACKED = 512 * 1024  # bytes of a compressed payload: a few thousand could become many megabytes
MAX_NAME = 200  # characters

# data type -> bits of the whole number; negative: two's complement
INTEGERS: Mapping[int, int] = {1: -8, 2: -16, 3: -32, 4: -64, 5: 8, 6: 16, 7: 32, 8: 64, 13: 64}
FLOAT, DOUBLE, BOOLEAN, STRING, DATE_TIME, TEXT, UUID = 9, 10, 11, 12, 13, 14, 15
_TEXTS = (STRING, TEXT, UUID)
SKIPPED: Mapping[int, str] = {
    16: "data_set", 17: "bytes", 18: "file", 19: "template", 20: "property_set", 21: "property_sets",
    **dict.fromkeys(range(22, 35), "array"),
}  # fmt: skip

_UNIT_NAMES = ("engunit", "engineeringunit", "engineeringunits", "unit", "units")
_COMPRESSED = "SPBV1.0_COMPRESSED"
_WINDOWS: Mapping[str, int] = {"DEFLATE": zlib.MAX_WBITS, "GZIP": zlib.MAX_WBITS | 16}


@dataclass(frozen=True, slots=True)
class Metric:
    """name: "" where only the alias came. type: 0 = not said. raw: the value's field, None = null.
    quality: 192 good, 0 bad, 500 stale, as the property `Quality` says. at, end: bytes in the payload."""

    name: str = ""
    alias: int | None = None
    time: int | None = None  # ms since 1970
    type: int = 0
    historical: bool = False
    raw: Field | None = None
    unit: str = ""
    quality: int = 192
    at: int = 0
    end: int = 0


@dataclass(frozen=True, slots=True)
class Payload:
    time: int | None = None
    seq: int | None = None
    metrics: tuple[Metric, ...] = ()


Properties: TypeAlias = dict[str, Scalar]


def read_payload(data: bytes, unpacked: bool = False) -> Payload:
    """Raises Rejected for what is no Sparkplug payload."""
    numbers: dict[int, int] = {}
    metrics: list[Metric] = []
    uuid, body = "", b""
    for f in fields(data):
        if f.number == 2 and f.wire == BYTES:
            metrics.append(_metric(f))
            if len(metrics) > MAX_METRICS:
                raise Rejected(f"more than {MAX_METRICS} metrics at byte {f.at}")
        elif f.number in (1, 3) and f.wire == VARINT:
            numbers[f.number] = f.value
        elif f.number == 4 and f.wire == BYTES:
            uuid = f.data[:64].decode("latin-1")
        elif f.number == 5 and f.wire == BYTES:
            body = f.data
    if not numbers and not metrics and not body:
        raise Rejected(f"no Sparkplug payload: neither time nor sequence nor metrics in {len(data)} bytes")
    if uuid == _COMPRESSED and not unpacked:
        return read_payload(_unpacked(body, metrics), unpacked=True)
    return Payload(numbers.get(1), numbers.get(3), tuple(metrics))


def _unpacked(body: bytes, metrics: list[Metric]) -> bytes:
    named = [m for m in metrics if m.name.lower() == "algorithm"]
    algorithm = str(value_of(named[0], STRING)) if named else "DEFLATE"
    window = _WINDOWS.get(algorithm.upper())
    if window is None:
        raise Rejected(f"compressed by {algorithm[:40]!r}; known: {', '.join(_WINDOWS)}")
    unpacker = zlib.decompressobj(window)
    try:
        data = unpacker.decompress(body, MAX_UNPACKED)
    except zlib.error as err:
        raise Rejected(f"compressed body cannot be unpacked: {err}") from err
    if unpacker.unconsumed_tail:
        raise Rejected(f"compressed body of more than {MAX_UNPACKED} bytes")
    return data


def _metric(outer: Field) -> Metric:
    numbers: dict[int, int] = {}
    name, raw, properties = "", None, Properties()
    for f in fields(outer.data, outer.at):
        if f.number == 1 and f.wire == BYTES:
            name = _text(f, "metric name")
        elif f.number == 9 and f.wire == BYTES:
            properties = _properties(f)
        elif 10 <= f.number <= 19:
            raw = f
        elif f.wire == VARINT:
            numbers[f.number] = f.value
    if len(name) > MAX_NAME:
        raise Rejected(f"metric name of {len(name)} characters at byte {outer.at}; at most {MAX_NAME}")
    units = [str(v) for k, v in properties.items() if k.lower().replace(" ", "") in _UNIT_NAMES]
    quality = properties.get("Quality", 192)
    return Metric(
        name=name,
        alias=numbers.get(2),
        time=numbers.get(3),
        type=numbers.get(4, 0),
        historical=bool(numbers.get(5)),
        raw=None if numbers.get(7) else raw,
        unit=units[0][:40] if units else "",
        quality=quality if isinstance(quality, int) else 192,
        at=outer.at,
        end=outer.end,
    )


def _properties(outer: Field) -> Properties:
    """Those that are one value; sets inside are not looked into."""
    keys: list[str] = []
    values: list[Scalar | None] = []
    for f in fields(outer.data, outer.at):
        if f.number == 1 and f.wire == BYTES:
            keys.append(_text(f, "property name"))
        elif f.number == 2 and f.wire == BYTES:
            values.append(_property(f))
    return {k: v for k, v in zip(keys, values, strict=False) if v is not None}


def _property(outer: Field) -> Scalar | None:
    """type 1, null 2, then the value in 3 int, 4 long, 5 float, 6 double, 7 boolean, 8 text."""
    kind, found = 0, None
    for f in fields(outer.data, outer.at):
        if f.number == 1 and f.wire == VARINT:
            kind = f.value
        elif f.number == 2 and f.value:
            return None
        elif 3 <= f.number <= 8:
            found = f
    if found is None:
        return None
    return _scalar(found, kind, found.number + 7)


# ---------------------------------------------------------------- values


def value_of(metric: Metric, kind: int) -> Scalar | None:
    """kind: the metric's data type, its own or that of its birth. Raises Rejected for a number without a
    type (its sign is not known then)."""
    if metric.raw is None:
        return None
    return _scalar(metric.raw, kind, metric.raw.number)


def _scalar(f: Field, kind: int, place: int) -> Scalar | None:
    """place: the value's field as in a metric: 10 int, 11 long, 12 float, 13 double, 14 boolean, 15 text."""
    if place in (10, 11) and f.wire == VARINT:
        return _whole(f, kind)
    if place == 12 and len(f.data) == 4:
        return float32(f.data[::-1])
    if place == 13 and len(f.data) == 8:
        return float64(f.data[::-1])
    if place == 14 and f.wire == VARINT:
        return bool(f.value)
    if place == 15 and f.wire == BYTES:
        return _text(f, "text")
    if place > 15:
        return None
    raise Rejected(f"value at byte {f.at}: wire type {f.wire} does not fit field {f.number}")


def _whole(f: Field, kind: int) -> Scalar:
    """Some encoders send a small negative number in 32 or 64 bits: only the type's bits count."""
    if kind == BOOLEAN:
        return bool(f.value)
    bits = INTEGERS.get(kind)
    if bits is None:
        raise Rejected(f"value at byte {f.at}: a whole number of data type {kind}")
    size = abs(bits)
    value = f.value & (1 << size) - 1
    return value - (1 << size) if bits < 0 and value >> (size - 1) else value


def _text(f: Field, what: str) -> str:
    try:
        return f.data.decode("utf-8")
    except UnicodeDecodeError as err:
        raise Rejected(f"{what} at byte {f.at + err.start} is not UTF-8") from err


# ---------------------------------------------------------------- writing


@dataclass(frozen=True, slots=True)
class Written:
    """A metric to write. value None = null."""

    name: str = ""
    alias: int | None = None
    time: int | None = None
    type: int = 0
    value: Scalar | None = None
    properties: Mapping[str, str | int] = field(default_factory=dict)


def write_payload(metrics: tuple[Written, ...], time: int, seq: int | None = None) -> bytes:
    body = b"".join(put_bytes(2, _write_metric(m)) for m in metrics)
    return put_number(1, time) + body + (put_number(3, seq) if seq is not None else b"")


def _write_metric(m: Written) -> bytes:
    parts = [put_bytes(1, m.name.encode())] if m.name else []
    for number, value in ((2, m.alias), (3, m.time), (4, m.type or None)):
        if value is not None:
            parts.append(put_number(number, value))
    if m.properties:
        parts.append(put_bytes(9, _write_properties(m.properties)))
    parts.append(put_number(7, 1) if m.value is None else _write_value(m.type, m.value))
    return b"".join(parts)


def _write_value(kind: int, value: Scalar) -> bytes:
    if isinstance(value, str):
        return put_bytes(15, value.encode())
    if kind == BOOLEAN:
        return put_number(14, int(value))
    if kind == FLOAT:
        return put_fixed(12, struct.pack("<f", value))
    if kind == DOUBLE:
        return put_fixed(13, struct.pack("<d", value))
    bits = INTEGERS[kind]
    return put_number(11 if abs(bits) == 64 else 10, int(value) & (1 << max(32, abs(bits))) - 1)


def _write_properties(properties: Mapping[str, str | int]) -> bytes:
    keys = b"".join(put_bytes(1, key.encode()) for key in properties)
    return keys + b"".join(put_bytes(2, _write_property(value)) for value in properties.values())


def _write_property(value: str | int) -> bytes:
    if isinstance(value, str):
        return put_number(1, STRING) + put_bytes(8, value.encode())
    return put_number(1, 3) + put_number(3, value & 0xFFFFFFFF)
