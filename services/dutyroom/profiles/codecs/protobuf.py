"""The wire format of Protocol Buffers, as far as a message without its program needs: fields by number.

Source: "Encoding", Protocol Buffers documentation. Unknown fields are the caller's to skip.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from dutyroom.errors import Rejected

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5
_SIZES = {FIXED64: 8, FIXED32: 4}


class Field(NamedTuple):
    """number: of the field. value: of a varint, else 0. data: the bytes of any other. at, end: its place
    in the outermost message, value without its head."""

    number: int
    wire: int
    value: int
    data: bytes
    at: int
    end: int


def fields(data: bytes, offset: int = 0) -> Iterator[Field]:
    """The fields in order; offset: place of `data` in the outermost message. Raises Rejected."""
    at = 0
    while at < len(data):
        key, start = _varint(data, at, offset)
        number, wire = key >> 3, key & 7
        if not 0 < number < 1 << 29:
            raise Rejected(f"field number {number} at byte {offset + at}")
        if wire == VARINT:
            value, end = _varint(data, start, offset)
            yield Field(number, wire, value, b"", offset + start, offset + end)
        else:
            size = _SIZES.get(wire)
            if wire == BYTES:
                size, start = _varint(data, start, offset)
            elif size is None:
                raise Rejected(f"wire type {wire} of field {number} at byte {offset + at}")
            end = start + size
            if end > len(data):
                left = len(data) - start
                raise Rejected(
                    f"field {number} cut at byte {offset + start}: {size} bytes expected, {left} left"
                )
            yield Field(number, wire, 0, data[start:end], offset + start, offset + end)
        at = end


def _varint(data: bytes, at: int, offset: int) -> tuple[int, int]:
    """(value below 2**64, place after it)."""
    if at < len(data) and data[at] < 0x80:  # most
        return data[at], at + 1
    value = 0
    for count in range(10):
        if at + count >= len(data):
            break
        byte = data[at + count]
        value |= (byte & 0x7F) << 7 * count
        if byte < 0x80:
            return value & (1 << 64) - 1, at + count + 1
    raise Rejected(f"number cut or too long at byte {offset + at}")


# ---------------------------------------------------------------- writing


def varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def put_number(number: int, value: int) -> bytes:
    return varint(number << 3 | VARINT) + varint(value)


def put_bytes(number: int, data: bytes) -> bytes:
    return varint(number << 3 | BYTES) + varint(len(data)) + data


def put_fixed(number: int, data: bytes) -> bytes:
    """Four or eight bytes, least significant first."""
    return varint(number << 3 | (FIXED64 if len(data) == 8 else FIXED32)) + data
