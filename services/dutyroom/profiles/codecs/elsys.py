"""Elsys LoRaWAN sensors: one type byte, then a value of that type's length, repeated.

Source: "Elsys LoRa payload" v1.x of the maker (elsys.se). Numbers are big-endian but for the position.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import TypeAlias

from dutyroom.errors import Rejected
from dutyroom.profiles.codecs.exact import scaled, signed, unsigned
from dutyroom.profiles.codecs.seam import Ask, CodecKind, plain

Values: TypeAlias = dict[str, object]


@dataclass(frozen=True, slots=True)
class Field:
    """size: bytes after the type byte. read: those bytes -> the document's fields."""

    size: int
    read: Callable[[bytes], Values]


def _number(name: str, size: int, scale: str = "1", minus: bool = False) -> Field:
    factor = Decimal(scale)
    convert = signed if minus else unsigned
    return Field(size, lambda data: {name: scaled(convert(data), factor)})


def _acceleration(data: bytes) -> Values:
    """63 is 1 g."""
    return {f"acceleration_{axis}": signed(data[n : n + 1]) for n, axis in enumerate("xyz")}


def _position(data: bytes) -> Values:
    """Degrees / 10000, least significant byte first."""
    latitude, longitude = (int.from_bytes(part, "little", signed=True) for part in (data[:3], data[3:]))
    step = Decimal("0.0001")
    return {"latitude": scaled(latitude, step), "longitude": scaled(longitude, step)}


def _infrared(data: bytes) -> Values:
    step = Decimal("0.1")
    return {
        "infrared_internal_temperature": scaled(signed(data[:2]), step),
        "infrared_external_temperature": scaled(signed(data[2:]), step),
    }


def _grid(data: bytes) -> Values:
    """8 x 8 temperatures: a base in degC, then tenths above it."""
    step, base = Decimal("0.1"), Decimal(data[0])
    return {"grid_eye": [scaled(tenths, step, base) for tenths in data[1:]]}


def _sound(data: bytes) -> Values:
    return {"sound_peak": data[0], "sound_average": data[1]}


def _external_2(data: bytes) -> Values:
    """A probe string sends this type once a probe: the document gets external_temperature_2, _3, ..."""
    return {"external_temperature_2": scaled(signed(data), Decimal("0.1"))}


TYPES: Mapping[int, Field] = {
    0x01: _number("temperature", 2, "0.1", minus=True),  # degC
    0x02: _number("humidity", 1),  # %
    0x03: Field(3, _acceleration),
    0x04: _number("light", 2),  # lx
    0x05: _number("motion", 1),  # movements seen
    0x06: _number("co2", 2),  # ppm
    0x07: _number("vdd", 2),  # mV of the battery
    0x08: _number("analog_1", 2),  # mV
    0x09: Field(6, _position),
    0x0A: _number("pulse_1", 2),  # since the last message
    0x0B: _number("pulse_1_total", 4),
    0x0C: _number("external_temperature", 2, "0.1", minus=True),
    0x0D: _number("digital", 1),
    0x0E: _number("distance", 2),  # mm
    0x0F: _number("acceleration_motion", 1),
    0x10: Field(4, _infrared),
    0x11: _number("occupancy", 1),  # 0 nobody, 1 pending, 2 somebody
    0x12: _number("water_leak", 1),
    0x13: Field(65, _grid),
    0x14: _number("pressure", 4, "0.001"),  # hPa
    0x15: Field(2, _sound),  # dB
    0x16: _number("pulse_2", 2),
    0x17: _number("pulse_2_total", 4),
    0x18: _number("analog_2", 2),  # mV
    0x19: Field(2, _external_2),
    0x1A: _number("digital_2", 1),
    0x1B: _number("analog", 4, minus=True),  # µV
    0x1C: _number("tvoc", 2),  # ppb
    0x3D: Field(4, lambda data: {"debug": data.hex()}),
}
SETTINGS_TYPE = 0x3E  # the device's settings follow to the end
MAX_PAYLOAD = 1024  # bytes; an uplink has 242 at most


def decode(payload: bytes, ask: Ask) -> object:
    """{temperature: "22.6", humidity: 41, ...}; rest: hex from the first unknown type on.

    Raises Rejected for an empty or too long payload, a cut value, and where not even the first type is known.
    """
    if len(payload) > MAX_PAYLOAD:
        raise Rejected(f"{len(payload)} bytes are more than {MAX_PAYLOAD}")
    document: Values = {}
    at = 0
    while at < len(payload):
        kind = payload[at]
        field = TYPES.get(kind)
        if field is None:
            if not at and kind != SETTINGS_TYPE:
                raise Rejected(f"unknown Elsys type 0x{kind:02x} at byte 0")
            if kind == SETTINGS_TYPE:
                document["settings"] = payload[at:].hex()
            else:
                document["rest"] = payload[at:].hex()
                ask.report.findings.append(("unknown_code", f"type {kind:02x} at byte {at}"))
                ask.report.unread += len(payload) - at
            break
        end = at + 1 + field.size
        if end > len(payload):
            name = next(iter(field.read(bytes(field.size))))
            raise Rejected(f"{name} (type 0x{kind:02x}) cut at byte {at}: {field.size} bytes expected")
        _take(document, field.read(payload[at + 1 : end]), at + 1, end, ask)
        at = end
    if not document:
        raise Rejected("empty payload")
    return document


def _take(document: Values, found: Values, start: int, end: int, ask: Ask) -> None:
    for name, value in found.items():
        if name == "external_temperature_2":
            probe = 2
            while (name := f"external_temperature_{probe}") in document:
                probe += 1
        document[name] = value
        if ask.note is not None:
            ask.note(name, start * 8, end * 8, value)


KIND: CodecKind = plain(decode)
