"""One value of the cursor language compiled: the bits under the cursor become a field."""

from __future__ import annotations

import struct
from collections.abc import Callable, Collection
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import TypeAlias

from dutyroom.errors import Rejected
from dutyroom.profiles.binary.cursor import Cursor
from dutyroom.profiles.binary.meaning import meant, named
from dutyroom.profiles.binary.model import Bits, Meaning, Read
from dutyroom.profiles.binary.types import MAX_BYTES, ValueType, of_bits, of_bytes, signed_of
from dutyroom.profiles.paths import as_text

Run: TypeAlias = Callable[[Cursor], None]
Take: TypeAlias = Callable[[Cursor], object]


def reading(step: Read) -> Run:
    """Reads the value, gives it its meaning, and its bits their fields."""
    take, means, name = _placed(step), meant(_narrowed(step)), named(step.name)
    parts = tuple(_bits(b) for b in step.bits)
    fixed = step.name if "{" not in step.name else ""

    def run(cursor: Cursor) -> None:
        start = cursor.bit
        raw = take(cursor)
        key = fixed or name(cursor)
        value = means(raw) if means is not None else raw
        cursor.fields[key] = value
        for part in parts:
            part(raw, cursor)
        if cursor.ask.note is not None:
            cursor.ask.note(key, start, cursor.bit, value)

    return run


def _narrowed(step: Read) -> Meaning:
    """Of a float of 16 or 32 bits, sentinels as such a float holds them: -999.9 is -999.9000244140625. Of a number with a sign,
    sentinels and codes also as their bits stand on the wire: 0xFFFF of an s16 is -1."""
    bits, meaning = step.type.bits, step.meaning
    if step.type.kind in ("s", "sm"):
        turned = partial(signed_of, step.type)
        more = {turned(text): value for text, value in meaning.mapping.items()}
        return replace(
            meaning, none=meaning.none | set(map(turned, meaning.none)), mapping={**more, **meaning.mapping}
        )
    if step.type.kind != "f" or bits == 64:
        return meaning
    form, found = struct.Struct({16: ">e", 32: ">f"}[bits]), set(meaning.none)
    for text in meaning.none:
        with suppress(ValueError, OverflowError):  # a word, or beyond what the bits hold
            found.add(as_text(form.unpack(form.pack(float(text)))[0]) or text)
    return replace(meaning, none=frozenset(found))


def _placed(step: Read) -> Take:
    take = _taking(step.name, step.type, step.meaning.none)
    if step.at is None:
        return take
    at = step.at.compiled()

    def elsewhere(cursor: Cursor) -> object:
        place, back = at(cursor), cursor.bit
        if not isinstance(place, int) or not -cursor.end <= place <= cursor.end:
            raise Rejected(f"{step.name}: there is no byte {place}")
        cursor.bit = (place if place >= 0 else cursor.end + place) * 8
        value = take(cursor)
        cursor.bit = back
        return value

    return elsewhere


def _taking(name: str, kind: ValueType, none: Collection[str]) -> Take:
    if kind.length:
        return _by_length(name, kind)
    bits = kind.bits
    from_bits = of_bits(kind)
    if bits % 8:
        return lambda cursor: from_bits(cursor.take_bits(name, bits))
    size, whole = bits // 8, of_bytes(kind)

    def take(cursor: Cursor) -> object:
        bit = cursor.bit
        if bit & 7:
            return _checked(name, bit, whole, cursor.take_bytes(name, size))
        start = bit >> 3
        stop = start + size
        if stop > cursor.end:
            raise cursor.short(name, size)
        cursor.bit = bit + bits
        return whole(cursor.data[start:stop])

    if kind.kind != "bcd":
        return take

    def digits(cursor: Cursor) -> object:
        bit, data = cursor.bit, cursor.take_bytes(name, size)
        if none and str(int.from_bytes(data, "big")) in none and not data.hex().isdigit():
            return None  # FF.. or EE.. in place of digits: "no value" of many meters
        return _checked(name, bit, whole, data)

    return digits


def _checked(name: str, bit: int, whole: Callable[[bytes], object], data: bytes) -> object:
    try:
        return whole(data)
    except Rejected as err:
        raise Rejected(f"{name} at byte {bit >> 3}: {err.reason}") from err


def _by_length(name: str, kind: ValueType) -> Take:
    length, whole = kind.length, of_bytes(kind)

    def take(cursor: Cursor) -> object:
        if isinstance(length, int):
            size: object = length
        else:
            size = cursor.end - (cursor.bit >> 3) if length == "rest" else cursor.get(length)
        if not isinstance(size, int) or not 0 <= size <= MAX_BYTES:
            raise Rejected(f"{name}: a length of {size!r} bytes")
        cursor.spend(name, size)
        return _checked(name, cursor.bit, whole, cursor.take_bytes(name, size))

    return take


def _bits(part: Bits) -> Callable[[object, Cursor], None]:
    low, width = part.low, part.high - part.low + 1
    mask, means, name, invert = (1 << width) - 1, meant(part.meaning), part.name, part.invert

    def run(raw: object, cursor: Cursor) -> None:
        if not isinstance(raw, int):
            return
        value: object = raw >> low & mask
        if means is not None:
            value = means(value)
        elif width == 1:
            value = bool(value) is not invert
        cursor.fields[name] = value

    return run
