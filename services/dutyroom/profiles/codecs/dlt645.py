"""DL/T 645-2007, the Chinese standard of electricity meters: replies as they come through a transparent DTU.

Frame: `[FE..] 68 A0..A5 68 C L DATA CS 16`. Address and values are packed decimal, low byte first;
each byte of DATA is sent with 33 added; L counts DATA. C: 91 reply, B1 reply with more to follow,
D1 refused; 92, B2, D2 the same for the rest of a long block; 93 the meter's address; without the top bit it
is a request.

The document: {"frames": [{"kind": "reply" | "error", "address": "000000000161", "control": "91",
"identifier": "00010000", "values": {"energy_forward": "0.26"}, "time": ..., "more": False,
"data": "26000000", "extra": "", "error": None, "error_text": None}], "requests": []}. Values are exact decimal
text, flags 0 or 1, absent ones None. `requests` are frames of kind "request" that a DTU echoes: they say nothing
of a meter. `time` is the moment of a frozen value where the payload holds it too. An identifier that is
not known has no values, only `data` (the bytes in wire order, without the 33).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple

from dutyroom.errors import Rejected
from dutyroom.model.telemetry import Scalar
from dutyroom.profiles.codecs import frames
from dutyroom.profiles.codecs.dlt645_registers import FREEZES, Item, groups_of
from dutyroom.profiles.codecs.frames import Piece, Shape, digits
from dutyroom.profiles.codecs.seam import Ask, Codec, CodecKind
from dutyroom.profiles.yamlnode import Plain

OFFSET = 0x33
READ, READ_ON, READ_ADDRESS = 0x11, 0x12, 0x13  # functions: the low five bits of C
REPLY, REFUSED, MORE = 0x80, 0x40, 0x20  # its other bits

ERRORS = (
    "other error", "no such data", "not authorised", "the rate cannot be changed", "too many year zones",
    "too many day periods", "too many rates",
)  # fmt: skip

_WITHOUT_OFFSET = bytes((b - OFFSET) & 0xFF for b in range(256))
_BEGINS = re.compile(rb"\x68.{6}\x68", re.DOTALL)
SHAPE = Shape(9, lambda payload, place, expected: payload[place + 7] == frames.START)


class Frame(NamedTuple):
    """A whole frame; data without the 33."""

    place: int
    address: str
    control: int
    data: Piece
    identifier: int | None  # of a read reply or request

    @property
    def function(self) -> int:
        return self.control & 0x1F

    def is_reply(self, *functions: int) -> bool:
        return self.control & (REPLY | REFUSED) == REPLY and self.function in functions


def make(options: Mapping[str, Plain]) -> Codec:
    """extra: how many bytes of a maker's own may follow the registers of a reply (0)."""
    extra = frames.whole_option(options, "extra", frames.MAX_EXTRA)

    def decode(payload: bytes, ask: Ask) -> object:
        found = [_frame(payload, place) for place in frames.found_in(payload, SHAPE, ask)]
        where = [""] * len(found)
        if ask.note is not None:
            where = frames.places([not frame.control & REPLY for frame in found])
        documents = [_document(found, i, name, extra, ask) for i, name in enumerate(where)]
        return frames.apart(_with_times(documents))

    return decode


def brief(payload: bytes, ask: Ask) -> object:
    """The addresses of all replies."""
    found = frames.found_in(payload, SHAPE, ask)
    return {"frames": [{"address": a} for place in found if (a := _replied(payload, place))]}


def _replied(payload: bytes, place: range) -> str:
    """The address of a reply as its digits stand; "" for a request."""
    first = place.start
    return payload[first + 6 : first : -1].hex().upper() if payload[first + 8] & REPLY else ""


KIND = CodecKind(make, ("extra",), brief=brief, foreign=lambda payload: _BEGINS.search(payload) is None)


def _frame(payload: bytes, place: range) -> Frame:
    first = place.start
    at = range(first + 10, place.stop - 2)
    data = payload[at.start : at.stop].translate(_WITHOUT_OFFSET)
    control = payload[first + 8]
    address = payload[first + 6 : first : -1].hex()
    if not address.isdecimal():
        raw = Piece(payload[first + 1 : first + 7], range(first + 1, first + 7))
        # A request may call every meter: AA or 99 in place of digits.
        if control & REPLY and digits(raw, "address") is None:
            raise Rejected(f"address at byte {first + 1}: FF.. is no address")
        address = address.upper()
    named = control & 0x1F in (READ, READ_ON) and not control & REFUSED and len(data) >= 4
    identifier = int.from_bytes(data[:4], "little") if named else None
    return Frame(first, address, control, Piece(data, at), identifier)


def _document(found: list[Frame], index: int, where: str, extra: int, ask: Ask) -> dict[str, object]:
    frame = found[index]
    if ask.note:
        ask.note(f"{where}.address", (frame.place + 1) * 8, (frame.place + 7) * 8, frame.address)
        ask.note(f"{where}.control", (frame.place + 8) * 8, (frame.place + 9) * 8, f"{frame.control:02X}")
    document: dict[str, object] = {
        "kind": "request" if not frame.control & REPLY else "error" if frame.control & REFUSED else "reply",
        "address": frame.address,
        "control": f"{frame.control:02X}",
        "identifier": None if frame.identifier is None else f"{frame.identifier:08X}",
        "values": {},
        "time": None,
        "more": bool(frame.control & MORE),
        "data": (frame.data.data if frame.identifier is None else frame.data.data[4:]).hex().upper(),
        "extra": "",
        "error": None,
        "error_text": None,
    }
    if document["kind"] == "error":
        document.update(_error(frame, where, ask))
    elif frame.is_reply(READ):
        document.update(_values(_joined(found, index), where, extra, ask))
    elif frame.is_reply(READ_ADDRESS):
        document["values"] = _told_address(frame, where, ask)
    return document


def _error(frame: Frame, where: str, ask: Ask) -> dict[str, object]:
    """The code of a refusal and its words; without a byte there is neither."""
    if not frame.data.data:
        return {}
    code = frame.data.data[0]
    reasons = [text for bit, text in enumerate(ERRORS) if code >> bit & 1]
    if ask.note:
        ask.note(f"{where}.error", *frame.data.part(0, 1).bits(), code)
    return {"error": code, "error_text": ", ".join(reasons) or f"error {code:02X}"}


def _told_address(frame: Frame, where: str, ask: Ask) -> dict[str, Scalar | None]:
    if len(frame.data.data) < 6:
        raise Rejected(f"frame at byte {frame.place}: an address of {len(frame.data.data)} bytes")
    piece = frame.data.part(0, 6)
    value = digits(piece, "address")
    if ask.note:
        ask.note(f"{where}.values.communication_address", *piece.bits(), value)
    return {"communication_address": value}


def _joined(found: list[Frame], index: int) -> Frame:
    """A reply with what followed it: `12` frames of the same meter and identifier, numbered from 1."""
    first = last = found[index]
    if not first.control & MORE:
        return first
    data, at, number = first.data.data, list(first.data.at), 1
    for frame in found[index + 1 :]:
        if not last.control & MORE:
            break
        if (
            frame.address != first.address
            or not frame.is_reply(READ_ON)
            or frame.identifier != first.identifier
        ):
            continue
        if len(frame.data.data) < 5 or frame.data.data[-1] != number:
            break
        data, at = data + frame.data.data[4:-1], at + list(frame.data.at[4:-1])
        last, number = frame, number + 1
    return first._replace(control=last.control, data=Piece(data, at))


def _values(frame: Frame, where: str, extra: int, ask: Ask) -> dict[str, object]:
    """The registers of a reply, and the bytes behind them. Raises Rejected when they do not fit."""
    if frame.identifier is None:
        raise Rejected(f"frame at byte {frame.place}: {len(frame.data.data)} bytes hold no identifier")
    name = f"{frame.identifier:08X}"
    if ask.note:
        ask.note(f"{where}.identifier", *frame.data.part(0, 4).bits(), name)
    groups = groups_of(frame.identifier)
    if not groups:
        ask.report.unread += len(frame.data.data) - 4
        return {}
    values: dict[str, Scalar | None] = {}
    place, size = 4, len(frame.data.data)
    for group in groups:
        if place + group.size > size:
            break
        for item in group.items:
            value = None
            if item.quick is not None and ask.note is None:
                value = values[item.name] = item.quick(frame.data.data[place : place + item.size])
            if value is None:
                values.update(_register(item, frame.data.part(place, item.size), where, ask))
            place += item.size
    if frame.control & MORE:
        return {"values": values}
    if place == 4:
        first = groups[0]
        raise Rejected(
            f"{name} at byte {frame.place}: {size - 4} bytes, {first.items[0].name} has {first.size}"
        )
    if size - place > extra:
        raise Rejected(
            f"{name} at byte {frame.data.at[place]}: {size - place} bytes more than its registers have"
        )
    return {"values": values, "extra": frame.data.data[place:].hex().upper()}


def _register(item: Item, piece: Piece, where: str, ask: Ask) -> dict[str, Scalar | None]:
    value = item.read(piece, item.name)
    if ask.note:
        ask.note(f"{where}.values.{item.name}", *piece.bits(), value)
    if not item.flags:
        return {item.name: value}
    word = value if isinstance(value, int) else None
    return {
        item.name: value,
        **{n: None if word is None else word >> bit & 1 for n, bit in item.flags.items()},
    }


def _with_times(documents: list[dict[str, object]]) -> list[dict[str, object]]:
    """Frozen values get the time of their freeze, where another frame of the same meter holds it."""
    frozen = [(document, name) for document in documents if (name := _freeze(document))]
    times: dict[tuple[object, str], object] = {}
    for document, name in frozen:
        if isinstance(document["values"], dict) and f"{name}time" in document["values"]:
            times[document["address"], name] = document["values"][f"{name}time"]
    for document, name in frozen:
        document["time"] = times.get((document["address"], name))
    return documents


def _freeze(document: dict[str, object]) -> str:
    """daily_freeze_1_ for 05060101; "" for what is not frozen."""
    name = document["identifier"]
    if document["kind"] != "reply" or not isinstance(name, str) or not name.startswith("05"):
        return ""
    kind, back = int(name[2:4], 16), int(name[6:], 16)
    return f"{FREEZES[kind]}_freeze_{back}_" if kind < len(FREEZES) else ""
