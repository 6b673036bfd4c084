"""Cayenne LPP: channel byte, type byte, value of that type's length, repeated; big-endian.

Sources: "Cayenne Docs, LPP 1.0" and the IPSO object numbers (type = object - 3200) that others added.
Makers use the layout with types of their own: a profile names those in `types`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from dutyroom.errors import Rejected
from dutyroom.profiles.codecs.exact import (
    ONE,
    decimal_setting,
    flag_setting,
    known_settings,
    map_setting,
    scaled,
    whole_setting,
)
from dutyroom.profiles.codecs.seam import Ask, Codec, CodecKind
from dutyroom.profiles.yamlnode import Plain


@dataclass(frozen=True, slots=True)
class Part:
    """One number of a value. key "" = it is the whole value."""

    key: str
    size: int
    scale: Decimal = ONE
    minus: bool = False


@dataclass(frozen=True, slots=True)
class Kind:
    name: str
    parts: tuple[Part, ...]

    @property
    def size(self) -> int:
        return sum(part.size for part in self.parts)


def _one(name: str, size: int, scale: str = "1", minus: bool = False) -> Kind:
    return Kind(name, (Part("", size, Decimal(scale), minus),))


def _axes(name: str, scale: str) -> Kind:
    return Kind(name, tuple(Part(axis, 2, Decimal(scale), True) for axis in "xyz"))


_POSITION = (
    Part("latitude", 3, Decimal("0.0001"), True),
    Part("longitude", 3, Decimal("0.0001"), True),
    Part("altitude", 3, Decimal("0.01"), True),
)

TYPES: Mapping[int, Kind] = {
    0: _one("digital_in", 1),
    1: _one("digital_out", 1),
    2: _one("analog_in", 2, "0.01", minus=True),
    3: _one("analog_out", 2, "0.01", minus=True),
    100: _one("generic", 4),
    101: _one("luminosity", 2),  # lx
    102: _one("presence", 1),
    103: _one("temperature", 2, "0.1", minus=True),  # degC
    104: _one("relative_humidity", 1, "0.5"),  # %
    113: _axes("accelerometer", "0.001"),  # g
    115: _one("barometric_pressure", 2, "0.1"),  # hPa
    116: _one("voltage", 2, "0.01"),  # V
    117: _one("current", 2, "0.001"),  # A
    118: _one("frequency", 4),  # Hz
    120: _one("percentage", 1),
    121: _one("altitude", 2, minus=True),  # m
    122: _one("load", 3, "0.001", minus=True),  # kg
    125: _one("concentration", 2),  # ppm
    128: _one("power", 2),  # W
    130: _one("distance", 4, "0.001"),  # m
    131: _one("energy", 4, "0.001"),  # kWh
    132: _one("direction", 2),  # degrees
    133: _one("time", 4),  # s since 1970
    134: _axes("gyrometer", "0.01"),  # degrees/s
    135: Kind("colour", tuple(Part(colour, 1) for colour in ("red", "green", "blue"))),
    136: Kind("position", _POSITION),
    142: _one("switch", 1),
}

OPTIONS = ("types",)
TYPE_OPTIONS = ("name", "bytes", "scale", "signed")


def make(settings: Mapping[str, Plain]) -> Codec:
    """types: {type number: {name, bytes, scale, signed}} adds to or replaces the table."""
    known_settings(settings, OPTIONS, "")
    types = dict(TYPES)
    for number, own in map_setting(settings.get("types"), "types").items():
        where = f"types.{number}."
        kind = whole_setting({"type": number}, "type", None, 0, 255, where)
        types[kind] = _own(map_setting(own, where[:-1]), where)
    return lambda payload, ask: decode(payload, ask, types)


def _own(own: Mapping[str, Plain], where: str) -> Kind:
    known_settings(own, TYPE_OPTIONS, where)
    name = own.get("name")
    if not isinstance(name, str) or name in ("", "rest"):
        raise Rejected(f"{where}name: a text is needed, and not `rest`")
    size = whole_setting(own, "bytes", None, 1, 16, where)
    scale = decimal_setting(own, "scale", ONE, where)
    return Kind(name, (Part("", size, scale, flag_setting(own, "signed", False, where)),))


def decode(payload: bytes, ask: Ask, types: Mapping[int, Kind] = TYPES) -> object:
    """{temperature: {"3": 21}, relative_humidity: {"4": "20.5"}, accelerometer: {"1": {x, y, z}}, ...}: what
    it is, then the channel.

    rest: hex from the first unknown type on. A channel that comes twice counts as it came last.
    Raises Rejected for an empty payload, a cut value, and where not even the first type is known.
    """
    document: dict[str, dict[str, object] | str] = {}
    at = 0
    while at < len(payload):
        if at + 2 > len(payload):
            raise Rejected(f"cut at byte {at}: a type and its value expected after channel {payload[at]}")
        channel, number = payload[at], payload[at + 1]
        kind = types.get(number)
        if kind is None:
            if not at:
                raise Rejected(f"unknown LPP type {number} at byte 1")
            document["rest"] = payload[at:].hex()
            ask.report.findings.append(("unknown_code", f"type {number} at byte {at + 1}"))
            ask.report.unread += len(payload) - at
            break
        name, start = f"{kind.name}_{channel}", at + 2
        at = start + kind.size
        if at > len(payload):
            raise Rejected(f"{name} (type {number}) cut at byte {start}: {kind.size} bytes expected")
        channels = document.setdefault(kind.name, {})
        assert isinstance(channels, dict)  # "rest" ends the loop
        channels[str(channel)] = _value(payload, start, kind, name, ask)
    if not document:
        raise Rejected("empty payload")
    return document


def _value(payload: bytes, start: int, kind: Kind, name: str, ask: Ask) -> object:
    found: dict[str, object] = {}
    for part in kind.parts:
        end = start + part.size
        raw = int.from_bytes(payload[start:end], "big", signed=part.minus)
        value = found[part.key] = scaled(raw, part.scale)
        if ask.note is not None:
            ask.note(f"{name}.{part.key}" if part.key else name, start * 8, end * 8, value)
        start = end
    return found.get("", found)


KIND = CodecKind(make, OPTIONS)
