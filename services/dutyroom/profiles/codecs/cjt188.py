"""CJ/T 188-2004 and -2018, the Chinese standard of household water, heat and gas meters.

Frame: `[FE..] 68 T A0..A6 C L DI SER DATA CS 16`. T is the kind of meter, the address 14 decimal digits, low
byte first, its upper four the maker's. The identifier is sent as `90 1F` by meters of 2004 and as
`1F 90` by those of 2018. C: 81 reply, C1 refused, 83 the meter's address, 84 written; without the top bit it
is a request, which some DTUs echo: it is put under "requests".

The document: {"frames": [{"kind": "reply" | "error", "address": "78330011223344", "maker": "7833",
"type": "10", "medium": "water" | "heat" | "gas" | "other", "control": "81", "identifier": "901F",
"order": "1F90", "serial": 0, "values": {...}, "time": "2015-05-11T22:01:31", "status": "2184", "data": "..",
"extra": "", "error": None, "error_text": None}], "requests": []}.

`values` of 901F: volume, settlement_volume; for heat also energy, settlement_energy, power, flow,
supply_temperature, return_temperature (degC), working_time (h); each with a unit as exact decimal text
beside `<name>_unit`. D120..D12B: settlement_<n>_volume or _energy, 1 the last month. valve: open, closed, fault;
battery_low: 0 or 1. An all-zero clock and values of all FF are absent (None).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from dutyroom.errors import Rejected
from dutyroom.model.telemetry import Scalar
from dutyroom.profiles.codecs import frames
from dutyroom.profiles.codecs.frames import Piece, Shape, decimal, digits, find_frames, local_time
from dutyroom.profiles.codecs.seam import Ask, Codec, CodecKind
from dutyroom.profiles.yamlnode import Plain

READ, READ_ADDRESS, WRITE, READ_KEY, WRITE_ADDRESS, SET_MOTOR = 0x01, 0x03, 0x04, 0x09, 0x15, 0x16
FUNCTIONS = (READ, READ_ADDRESS, WRITE, READ_KEY, WRITE_ADDRESS, SET_MOTOR)
REPLY, REFUSED = 0x80, 0x40

CURRENT, VALVE = 0x901F, 0xA017
HISTORY = 0xD120  # .. 0xD12B, the volumes of the last twelve settlement days
IDENTIFIERS = frozenset(
    {CURRENT, *range(HISTORY, HISTORY + 12), *range(0x8102, 0x8107), 0x810A, *range(0xA010, 0xA019)}
)
MEDIA = {1: "water", 2: "heat", 3: "gas", 4: "other"}  # upper digit of T

# Code -> unit, and by how many powers of ten the number counts.
VOLUMES = {0x29: ("L", 0), 0x2C: ("m3", 0)}
ENERGIES = {
    0x01: ("J", 0), 0x02: ("Wh", 0), 0x05: ("kWh", 0), 0x08: ("MWh", 0), 0x0A: ("MWh", 2), 0x0B: ("kJ", 0),
    0x0E: ("MJ", 0), 0x11: ("GJ", 0), 0x13: ("GJ", 2),
}  # fmt: skip
POWERS = {0x14: ("W", 0), 0x17: ("kW", 0), 0x1A: ("MW", 0)}
FLOWS = {0x32: ("L/h", 0), 0x35: ("m3/h", 0)}
Units: TypeAlias = Mapping[int, tuple[str, int]]

# Names, decimals, units of the values with a unit (five bytes each) in a reply to 901F.
Layout: TypeAlias = tuple[tuple[str, int, Units], ...]
Tail: TypeAlias = tuple[tuple[str, int], ...]
WATER: Layout = (("volume", 2, VOLUMES), ("settlement_volume", 2, VOLUMES))
HEAT: Layout = (
    ("settlement_energy", 2, ENERGIES), ("energy", 2, ENERGIES), ("power", 2, POWERS), ("flow", 4, FLOWS),
    ("volume", 2, VOLUMES),
)  # fmt: skip
HEAT_TAIL = (("supply_temperature", 2), ("return_temperature", 2), ("working_time", 0))  # three bytes each

VALVES = {0: "open", 1: "closed", 3: "fault"}
# Where status bits stand: (mask and shift of the valve, mask of the battery) in the first byte.
STATUS_BITS: Mapping[str, tuple[int, int, int] | None] = {
    "standard": (0x03, 0, 0x04),
    "mirrored": (0xC0, 6, 0x20),
    "none": None,
}
Values: TypeAlias = dict[str, Scalar | None]
Told: TypeAlias = (
    Callable[[str, Piece, Scalar | None], None] | None
)  # (field, bytes, value); None: nobody looks


@dataclass(frozen=True, slots=True)
class Settings:
    extra: int
    status: tuple[int, int, int] | None
    any_address: bool
    unit_first: bool


@dataclass(frozen=True, slots=True)
class Frame:
    """A whole frame, its identifier in the order of the tables."""

    place: int
    kind: int  # T
    address: str
    control: int
    body: Piece  # all after L
    identifier: int | None
    order: str | None

    @property
    def function(self) -> int:
        return self.control & 0x3F


def make(options: Mapping[str, Plain]) -> Codec:
    """extra: bytes of a maker's own that may follow (0). status: where the bits of the status stand: `standard`
    (valve in bits 0-1, battery in bit 2), `mirrored` (bits 7-6 and 5) or `none`. address: `decimal` or
    `hex`, for makers whose codes have letters. unit: `after` the number, or `before` it as some heat
    meters send it.
    """
    settings = Settings(
        frames.whole_option(options, "extra", frames.MAX_EXTRA),
        STATUS_BITS[frames.choice_option(options, "status", tuple(STATUS_BITS))],
        frames.choice_option(options, "address", ("decimal", "hex")) == "hex",
        frames.choice_option(options, "unit", ("after", "before")) == "before",
    )

    def decode(payload: bytes, ask: Ask) -> object:
        found = [_frame(payload, place, settings) for place in find_frames(payload, SHAPE)]
        where = frames.places([not frame.control & REPLY for frame in found])
        return frames.apart(
            [_document(frame, name, settings, ask) for frame, name in zip(found, where, strict=True)]
        )

    return decode


def brief(payload: bytes, ask: Ask) -> object:
    """The addresses of all replies, and the kinds of their meters."""
    found = []
    for place in find_frames(payload, SHAPE):
        first, medium = place.start, MEDIA.get(payload[place.start + 1] >> 4)
        if medium is not None and payload[first + 9] & REPLY:
            found.append({"address": payload[first + 8 : first + 1 : -1].hex().upper(), "medium": medium})
    return {"frames": found}


def _begins(payload: bytes, place: int, expected: bool) -> bool:
    """There is no second 68: elsewhere than where one is expected, kind and control must be right."""
    kind, control = payload[place + 1], payload[place + 9]
    return expected or (kind >> 4 in MEDIA and kind & 15 < 10 and control & 0x3F in FUNCTIONS)


SHAPE = Shape(10, _begins)
KIND = CodecKind(
    make,
    ("extra", "status", "address", "unit"),
    brief=brief,
    foreign=lambda payload: not 0 <= payload.find(frames.START) < len(payload) - SHAPE.length_at,
)


def _frame(payload: bytes, place: range, settings: Settings) -> Frame:
    first = place.start
    kind, control = payload[first + 1], payload[first + 9]
    if kind >> 4 not in MEDIA or kind & 15 > 9:
        raise Rejected(f"kind of meter at byte {first + 1}: {kind:02X} is none of 10..49")
    raw = Piece(payload[first + 2 : first + 9], range(first + 2, first + 9))
    free = settings.any_address or not control & REPLY  # a request may call every meter: AA
    address = raw.data[::-1].hex().upper() if free else digits(raw, "address")
    if address is None:
        raise Rejected(f"address at byte {first + 2}: FF.. is no address")
    at = range(first + 11, place.stop - 2)
    body = Piece(payload[at.start : at.stop], at)
    identifier, order = (None, None) if control & REFUSED else _identifier(body.data)
    return Frame(first, kind, address, control, body, identifier, order)


def _identifier(body: bytes) -> tuple[int | None, str | None]:
    """The identifier as the tables write it, and the order of its bytes on the line."""
    if len(body) < 2:
        return None, None
    big, little = int.from_bytes(body[:2], "big"), int.from_bytes(body[:2], "little")
    return (little if little in IDENTIFIERS and big not in IDENTIFIERS else big), body[:2].hex().upper()


def _document(frame: Frame, where: str, settings: Settings, ask: Ask) -> dict[str, object]:
    told = _teller(where, ask)
    kind = "request" if not frame.control & REPLY else "error" if frame.control & REFUSED else "reply"
    named = 0 if frame.identifier is None else 2
    if told:
        told("address", Piece(b"", range(frame.place + 2, frame.place + 9)), frame.address)
    document: dict[str, object] = {
        "kind": kind,
        "address": frame.address,
        "maker": frame.address[:4],
        "type": f"{frame.kind:02X}",
        "medium": MEDIA[frame.kind >> 4],
        "control": f"{frame.control:02X}",
        "identifier": None if frame.identifier is None else f"{frame.identifier:04X}",
        "order": frame.order,
        "serial": frame.body.data[named] if len(frame.body.data) > named else None,
        "values": {},
        "time": None,
        "status": None,
        "data": frame.body.data[named + 1 :].hex().upper(),
        "extra": "",
        "error": None,
        "error_text": None,
    }
    if kind == "error":
        document.update(_error(frame, settings, told))
    elif kind == "reply":
        document.update(_reply(frame, settings, told))
        if frame.function == READ and not document["values"]:
            ask.report.unread += len(frame.body.data) - 3
    return document


def _teller(where: str, ask: Ask) -> Told:
    note = ask.note
    if note is None:
        return None
    return lambda name, piece, value: note(f"{where}.{name}", *piece.bits(), value)


def _error(frame: Frame, settings: Settings, told: Told) -> dict[str, object]:
    """A refusal: serial and status."""
    found = _status(frame.body.part(1, 2), settings, told) if len(frame.body.data) >= 3 else {}
    return {**found, "error": frame.control, "error_text": f"refused, control {frame.control:02X}"}


def _reply(frame: Frame, settings: Settings, told: Told) -> dict[str, object]:
    data = frame.body.part(3, len(frame.body.data))
    if frame.identifier is None:
        raise Rejected(f"frame at byte {frame.place}: {len(frame.body.data)} bytes hold no identifier")
    if told:
        told("identifier", frame.body.part(0, 2), f"{frame.identifier:04X}")
    medium = MEDIA[frame.kind >> 4]
    if frame.function == READ and frame.identifier == CURRENT and medium != "other":
        return _current(frame, data, settings, told)
    if frame.function == READ and 0 <= frame.identifier - HISTORY < 12:
        _fits(frame, data, 5, settings)
        back, heat = frame.identifier - HISTORY + 1, data.data[0 if settings.unit_first else 4] in ENERGIES
        name, units = ("energy", ENERGIES) if heat and medium == "heat" else ("volume", VOLUMES)
        return {"values": _measured(data.part(0, 5), f"settlement_{back}_{name}", 2, units, settings, told)}
    if frame.function == WRITE and frame.identifier == VALVE and len(data.data) >= 2:
        return _status(data.part(0, 2), settings, told)
    return {}


def _current(frame: Frame, data: Piece, settings: Settings, told: Told) -> dict[str, object]:
    """The registers of 901F, the clock, the status."""
    heat = MEDIA[frame.kind >> 4] == "heat"
    layout, tail = (HEAT, HEAT_TAIL) if heat else (WATER, ())
    extra = _fits(frame, data, 5 * len(layout) + 3 * len(tail) + 9, settings)
    place = 5 * len(layout) + 3 * len(tail)
    usual = _usual(data.data, layout, tail, settings.unit_first) if told is None else None
    values = _registers(data, layout, tail, settings, told) if usual is None else usual
    clock = data.part(place, 7)
    time = local_time(digits(clock, "clock"))
    if told:
        told("time", clock, time)
    state = _status(data.part(place + 7, 2), settings, told)
    status_values = state["values"]
    assert isinstance(status_values, dict)
    return {**state, "values": {**values, **status_values}, "time": time, "extra": extra}


def _registers(data: Piece, layout: Layout, tail: Tail, settings: Settings, told: Told) -> Values:
    values: Values = {}
    for number, (name, decimals, units) in enumerate(layout):
        values.update(_measured(data.part(5 * number, 5), name, decimals, units, settings, told))
    place = 5 * len(layout)
    for name, decimals in tail:
        values[name] = decimal(data.part(place, 3), decimals, False, name)
        if told:
            told(f"values.{name}", data.part(place, 3), values[name])
        place += 3
    return values


def _usual(data: bytes, layout: Layout, tail: Tail, unit_first: bool) -> Values | None:
    """The same, in a third of the time; None where one of the registers is absent, wrong or in hundreds of a unit."""
    values: Values = {}
    place = 0
    for name, decimals, units in layout:
        first = place + 1 if unit_first else place
        digits_of = data[first : first + 4][::-1].hex()
        unit, tens = units.get(data[place if unit_first else place + 4], ("", 0))
        if not unit or tens or not digits_of.isdecimal():
            return None
        values[name] = f"{int(digits_of[:-decimals])}.{digits_of[-decimals:]}"
        values[f"{name}_unit"] = unit
        place += 5
    for name, decimals in tail:
        digits_of = data[place : place + 3][::-1].hex()
        if not digits_of.isdecimal():
            return None
        values[name] = frames.fixed(int(digits_of), decimals)
        place += 3
    return values


def _fits(frame: Frame, data: Piece, size: int, settings: Settings) -> str:
    """The bytes after the known ones, as hex. Raises Rejected when there are too few, or more than allowed."""
    if not 0 <= len(data.data) - size <= settings.extra:
        raise Rejected(
            f"{frame.identifier:04X} of meter kind {frame.kind:02X} in the frame at byte {frame.place}: "
            f"{len(data.data)} bytes, its registers have {size}"
        )
    return data.data[size:].hex().upper()


def _measured(piece: Piece, name: str, decimals: int, units: Units, settings: Settings, told: Told) -> Values:
    """Four bytes of digits and one of unit. Raises Rejected for a unit that is not of this quantity."""
    number, unit_at = (piece.part(1, 4), 0) if settings.unit_first else (piece.part(0, 4), 4)
    code = piece.data[unit_at]
    value = decimal(number, decimals, False, name)
    if value is None and code == 0xFF:
        return {name: None, f"{name}_unit": None}
    if code not in units:
        raise Rejected(f"unit of {name} at byte {piece.at[unit_at]}: {code:02X} is not one of it")
    unit, tens = units[code]
    if value is not None and tens:
        value = frames.fixed(int(value.replace(".", "")), decimals - tens)
    if told:
        told(f"values.{name}", number, value)
        told(f"values.{name}_unit", piece.part(unit_at, 1), unit)
    return {name: value, f"{name}_unit": unit}


def _status(piece: Piece, settings: Settings, told: Told) -> dict[str, object]:
    """The status word as sent, valve and battery where the maker's bits are known."""
    text = piece.data.hex().upper()
    if told:
        told("status", piece, text)
    if settings.status is None or text == "FFFF":
        return {"status": text, "values": {}}
    mask, shift, battery = settings.status
    first = piece.data[0]
    valve = VALVES.get((first & mask) >> shift)
    if told:
        told("values.valve", piece.part(0, 1), valve)
    return {"status": text, "values": {"valve": valve, "battery_low": int(bool(first & battery))}}
