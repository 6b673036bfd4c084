"""Codec `wmbus`: one M-Bus telegram, from the radio or from the wire, as a receiver forwards it.

Bytes or the hex text that receivers print are both read. The document is that of the codec `mbus`. Raises
Rejected for a damaged or an encrypted telegram.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace as with_other
from typing import TypeAlias

from msgspec.structs import replace

from dutyroom.errors import Rejected
from dutyroom.profiles.codecs.mbus import MAX_PAYLOAD, OPTIONAL, decoded, of_shape
from dutyroom.profiles.codecs.mbus_crc import crc16
from dutyroom.profiles.codecs.mbus_link import ENCRYPTED, STANDARD, Frame, frame_of
from dutyroom.profiles.codecs.mbus_options import NAMES, Options, read_options
from dutyroom.profiles.codecs.mbus_records import RawRecord, RecordList, headers, split
from dutyroom.profiles.codecs.mbus_shapes import Shape, Shapes
from dutyroom.profiles.codecs.seam import Ask, Codec, CodecKind
from dutyroom.profiles.codecs.wmbus_found import Found
from dutyroom.profiles.codecs.wmbus_izar import STANDARD_MODES, hidden, reordered
from dutyroom.profiles.codecs.wmbus_makers import block_of, has_own, telegram_of
from dutyroom.profiles.yamlnode import Plain

_HEX = re.compile(rb"[0-9A-Fa-f_|\s]+")


def telegram_codec(given: Mapping[str, Plain]) -> Codec:
    """Settings of a profile -> codec. Raises Rejected for settings that cannot be used."""
    return _codec(read_options(given))


def _codec(options: Options) -> Codec:
    shapes = Shapes(options)

    def decode(payload: bytes, ask: Ask) -> object:
        return _decode(payload, options, ask, shapes)

    return decode


def brief(payload: bytes, ask: Ask) -> object:
    """The id alone."""
    _, frame, own = _looked_at(payload, ask)
    device = frame.device if own is None or own.device is None else own.device
    return {} if device is None else {"id": device.id}


def without_records(given: Mapping[str, Plain], optional: frozenset[str]) -> Codec:
    """The same without the list of records, which takes about as long as all maps."""
    return _codec(with_other(read_options(given), listed="records" not in optional))


KIND = CodecKind(
    telegram_codec, NAMES, remembers=True, brief=brief, optional=OPTIONAL, without=without_records
)


def _bytes(payload: bytes) -> bytes:
    """Hex text as bytes; bytes stay as they are. Read are `1E44AE4C..`, `telegram=|1E44AE4C_78..|` of wmbusmeters
    and `T1;1;1;2026-11-01 02:00:00.000;97;148;00000042;0x1e44..` of rtl-wmbus."""
    if not payload.isascii() and b";0x" not in payload:  # no text
        return payload
    text = payload.rpartition(b";0x")[2].strip().removeprefix(b"telegram=")
    if _HEX.fullmatch(text) is None:
        return payload
    digits = re.sub(rb"[^0-9A-Fa-f]", b"", text)
    return bytes.fromhex(digits.decode("ascii")) if digits and len(digits) % 2 == 0 else payload


def _decode(payload: bytes, options: Options, ask: Ask, shapes: Shapes) -> dict[str, object]:
    plain, frame, own = _looked_at(payload, ask)
    if own is not None:
        frame = frame if own.device is None else frame._replace(device=own.device)
        records = own.records or RecordList(())
        return decoded(frame, records, options, ask, own.entries, own.words)
    if frame.encrypted:
        frame = _revealed(frame)
    if frame.ci not in STANDARD:
        raise Rejected(
            f"CI at byte {frame.ci_at}: {frame.ci:02X} is a layout of the maker that is not known here"
        )
    if frame.signature is not None:
        frame = _full(frame, frame.signature, ask)
    if ask.note is not None and not plain.startswith(
        frame.data
    ):  # put together anew: its places are none of the payload
        ask = replace(ask, note=None)
    shape = None if ask.note is not None else shapes.find(frame.data, frame.start, frame.end)
    if shape is not None and (quick := _of_shape(frame, shape, options, ask)) is not None:
        return quick
    records = split(frame.data, frame.start, frame.end)
    _remember(frame, records.records, ask)
    block = block_of(frame, records)
    if block is None:
        found = decoded(frame, records, options, ask)
    else:
        found = decoded(frame, records, options, ask, block.entries, block.words)
    if not has_own(records):
        shapes.learn(frame.data, frame.start, frame.end, records)
    return found


def _of_shape(frame: Frame, shape: Shape, options: Options, ask: Ask) -> dict[str, object] | None:
    """None: it has to be read record by record."""
    _remember(frame, shape.sample, ask)
    if shape.manufacturer is None:
        return of_shape(frame, shape, options, ask)
    block = frame.data[frame.start + shape.manufacturer : frame.end]
    found = block_of(frame, RecordList(shape.sample, block))
    if found is None:
        return of_shape(frame, shape, options, ask)
    return of_shape(frame, shape, options, ask, found.entries, found.words)


Looked: TypeAlias = tuple[bytes, Frame, Found | None]


def _looked_at(payload: bytes, ask: Ask) -> Looked:
    """The bytes of the payload, the telegram in them, and what a maker's own decoder makes of it; once for a message."""
    key = ("wmbus", payload)
    found: Looked | None = None if ask.kept is None else ask.kept.get(key)
    if found is None:
        if not 1 <= len(payload) <= MAX_PAYLOAD:
            raise Rejected(f"{len(payload)} bytes are no telegram")
        plain = _bytes(payload)
        frame = reordered(frame_of(plain))
        found = plain, frame, telegram_of(frame)
        if ask.kept is not None:
            ask.kept[key] = found
    return found


def _revealed(frame: Frame) -> Frame:
    """What needs no key of the meter's own. Raises Rejected for all that does."""
    maker = frame.link.manufacturer if frame.link is not None else ""
    plain = hidden(frame) if maker == "HYD" and frame.mode >= STANDARD_MODES else None
    if plain is None:
        raise Rejected(ENCRYPTED)
    return frame._replace(
        data=frame.data[: frame.start] + plain, end=frame.start + len(plain), encrypted=False
    )


# DIF and VIF of full frames that meters are known to send: heat meters, pressure sensors, MULTICAL 21, OMNIPOWER.
_FORMATS = (
    "030643060314426c022d01ff21",
    "22691269026905ff0905ff0a02fd17",
    "02ff2004134413615b6167",
    "02ff20041392013ba1015b8101e7ff0f",
    "02ff2004134413",
    "040404843c042b04ab3c",
)
_KNOWN = {crc16(bytes.fromhex(text)): bytes.fromhex(text) for text in _FORMATS}


def _full(frame: Frame, signature: int, ask: Ask) -> Frame:
    """A compact frame with the DIF and VIF of its format put back; the signature is their CRC (EN 13757-3).

    Raises Rejected for a format that neither is known nor was seen in a full frame before, and for a bad CRC.
    """
    known = _KNOWN.get(signature) or (ask.memory or {}).get(f"{signature:04x}")
    if known is None:
        raise Rejected(
            f"compact frame at byte {frame.ci_at}: format {signature:04X} is not known before a full frame came"
        )
    expected = int.from_bytes(frame.data[frame.start - 2 : frame.start], "little")
    full, at = b"", frame.start
    for header, length in headers(known):
        full += header + frame.data[at : at + length]
        at += length
    if crc16(full) != expected:
        raise Rejected(f"CRC at byte {frame.start - 2}: {expected:04X}, computed {crc16(full):04X}")
    return frame._replace(data=frame.data[: frame.start] + full, end=frame.start + len(full))


def _remember(frame: Frame, records: Sequence[RawRecord], ask: Ask) -> None:
    """The format of a full frame, for compact ones to come. Only Kamstrup sends those."""
    if frame.signature is not None or frame.device is None or frame.device.manufacturer != "KAM":
        return
    listing = b"".join(record.header for record in records)
    fixed = all(record.lvar is None and not record.label for record in records)
    if ask.memory is not None and fixed and listing and len(ask.memory) < 500:
        ask.memory[f"{crc16(listing):04x}"] = listing
