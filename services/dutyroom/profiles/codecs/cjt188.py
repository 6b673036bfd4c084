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

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

from dutyroom.errors import Rejected
from dutyroom.model.telemetry import Scalar
from dutyroom.profiles.codecs import frames
from dutyroom.profiles.codecs.cjt188_registers import (
    ENERGIES,
    STATUS_BITS,
    VALUE,
    VOLUMES,
    Bits,
    Told,
    measured,
    read,
    registers_of,
    status_of,
    usual,
)
from dutyroom.profiles.codecs.frames import Piece, Shape, digits, local_time
from dutyroom.profiles.codecs.seam import Ask, Codec, CodecKind, Note
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
KINDS = frozenset(16 * upper + lower for upper in MEDIA for lower in range(10))


NONE: Mapping[str, Scalar | None] = {}


@dataclass(frozen=True, slots=True)
class Settings:
    extra: int
    status: Bits
    any_address: bool
    unit_first: bool


class Frame(NamedTuple):
    """A whole frame, its identifier in the order of the tables. data: all after L, from payload[at] on."""

    place: int
    kind: int  # T
    address: str
    control: int
    data: bytes
    at: int
    identifier: int | None
    order: str | None

    @property
    def function(self) -> int:
        return self.control & 0x3F

    def piece(self, first: int, size: int) -> Piece:
        """Bytes of data with their places in the payload."""
        part = self.data[first : first + size]
        return Piece(part, range(self.at + first, self.at + first + len(part)))


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
        found = [_frame(payload, place, settings) for place in frames.found_in(payload, SHAPE, ask)]
        if ask.note is None:
            return frames.apart([_document(frame, settings, None, ask) for frame in found])
        where = frames.places([not frame.control & REPLY for frame in found])
        tellers = [_teller(name, ask.note) for name in where]
        return frames.apart(
            [_document(frame, settings, told, ask) for frame, told in zip(found, tellers, strict=True)]
        )

    return decode


def brief(payload: bytes, ask: Ask) -> object:
    """The addresses of all replies, and the kinds of their meters."""
    found = []
    for place in frames.found_in(payload, SHAPE, ask):
        first, medium = place.start, MEDIA.get(payload[place.start + 1] >> 4)
        if medium is not None and payload[first + 9] & REPLY:
            found.append({"address": payload[first + 8 : first + 1 : -1].hex().upper(), "medium": medium})
    return {"frames": found}


def _begins(payload: bytes, place: int, expected: bool) -> bool:
    """There is no second 68: elsewhere than where one is expected, kind and control must be right."""
    kind, control = payload[place + 1], payload[place + 9]
    return expected or (kind in KINDS and control & 0x3F in FUNCTIONS)


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
    if kind not in KINDS:
        raise Rejected(f"kind of meter at byte {first + 1}: {kind:02X} is none of 10..49")
    address = payload[first + 8 : first + 1 : -1].hex()
    if not address.isdecimal():
        free = settings.any_address or not control & REPLY  # a request may call every meter: AA
        raw = Piece(payload[first + 2 : first + 9], range(first + 2, first + 9))
        if not free and digits(raw, "address") is None:
            raise Rejected(f"address at byte {first + 2}: FF.. is no address")
        address = address.upper()
    data = payload[first + 11 : place.stop - 2]
    identifier, order = (None, None) if control & REFUSED else _identifier(data[:2])
    return Frame(first, kind, address, control, data, first + 11, identifier, order)


@lru_cache(maxsize=1024)
def _identifier(begin: bytes) -> tuple[int | None, str | None]:
    """The identifier as the tables write it, and the order of its bytes on the line."""
    if len(begin) < 2:
        return None, None
    big, little = int.from_bytes(begin, "big"), int.from_bytes(begin, "little")
    return (little if little in IDENTIFIERS and big not in IDENTIFIERS else big), begin.hex().upper()


def _document(frame: Frame, settings: Settings, told: Told, ask: Ask) -> dict[str, object]:
    _, kind, address, control, data, _, identifier, order = frame
    if told:
        told("address", Piece(b"", range(frame.place + 2, frame.place + 9)), address)
    named = 0 if identifier is None else 2
    document: dict[str, object] = {
        "kind": "request" if not control & REPLY else "error" if control & REFUSED else "reply",
        "address": address,
        "maker": address[:4],
        "type": f"{kind:02X}",
        "medium": MEDIA[kind >> 4],
        "control": f"{control:02X}",
        "identifier": None if identifier is None else f"{identifier:04X}",
        "order": order,
        "serial": data[named] if len(data) > named else None,
        "values": {},
        "time": None,
        "status": None,
        "data": data[named + 1 :].hex().upper(),
        "extra": "",
        "error": None,
        "error_text": None,
    }
    if not control & REPLY:
        return document
    document.update(_error(frame, settings, told) if control & REFUSED else _reply(frame, settings, told))
    if not control & REFUSED and frame.function == READ and not document["values"]:
        ask.report.unread += len(data) - 3
    return document


def _teller(where: str, note: Note) -> Told:
    return lambda name, piece, value: note(f"{where}.{name}", *piece.bits(), value)


def _error(frame: Frame, settings: Settings, told: Told) -> dict[str, object]:
    """A refusal: serial and status."""
    found = _status(frame, 1, settings, told) if len(frame.data) >= 3 else {}
    return {**found, "error": frame.control, "error_text": f"refused, control {frame.control:02X}"}


def _reply(frame: Frame, settings: Settings, told: Told) -> dict[str, object]:
    """What the registers of a reply say; all after the serial."""
    identifier, size = frame.identifier, len(frame.data) - 3
    if identifier is None:
        raise Rejected(f"frame at byte {frame.place}: {len(frame.data)} bytes hold no identifier")
    if told:
        told("identifier", frame.piece(0, 2), f"{identifier:04X}")
    medium = MEDIA[frame.kind >> 4]
    if frame.function == READ and identifier == CURRENT and medium != "other":
        return _current(frame, settings, told)
    if frame.function == READ and 0 <= identifier - HISTORY < 12:
        _fits(frame, VALUE, settings)
        heat = frame.data[3 if settings.unit_first else 7] in ENERGIES and medium == "heat"
        name, units = ("energy", ENERGIES) if heat else ("volume", VOLUMES)
        name = f"settlement_{identifier - HISTORY + 1}_{name}"
        return {"values": measured(frame.piece(3, VALUE), name, 2, units, settings.unit_first, told)}
    if frame.function == WRITE and identifier == VALVE and size >= 2:
        return _status(frame, 3, settings, told)
    return {}


def _current(frame: Frame, settings: Settings, told: Told) -> dict[str, object]:
    """The registers of 901F, the clock, the status."""
    registers = registers_of(MEDIA[frame.kind >> 4] == "heat", settings.unit_first)
    extra = _fits(frame, registers.size + 9, settings)
    values = usual(frame.data[3:], registers) if told is None else None
    if values is None:
        values = read(frame.piece(3, registers.size), registers, told)
    at = 3 + registers.size
    clock = frame.data[at + 6 : at - 1 : -1].hex()
    time = local_time(clock if clock.isdecimal() else digits(frame.piece(at, 7), "clock"))
    if told:
        told("time", frame.piece(at, 7), time)
    return {**_status(frame, at + 7, settings, told, values), "time": time, "extra": extra}


def _fits(frame: Frame, size: int, settings: Settings) -> str:
    """The bytes after the known ones, as hex. Raises Rejected when there are too few, or more than allowed."""
    have = max(0, len(frame.data) - 3)
    if not 0 <= have - size <= settings.extra:
        raise Rejected(
            f"{frame.identifier:04X} of meter kind {frame.kind:02X} in the frame at byte {frame.place}: "
            f"{have} bytes, its registers have {size}"
        )
    return frame.data[3 + size :].hex().upper()


def _status(
    frame: Frame, at: int, settings: Settings, told: Told, before: Mapping[str, Scalar | None] = NONE
) -> dict[str, object]:
    """The status word at a byte of the frame's data, as sent; valve and battery where the maker's bits are known, behind
    the values before."""
    text, values = status_of(frame.data[at : at + 2], settings.status)
    if told:
        told("status", frame.piece(at, 2), text)
        if values:
            told("values.valve", frame.piece(at, 1), values["valve"])
    return {"status": text, "values": {**before, **values}}
