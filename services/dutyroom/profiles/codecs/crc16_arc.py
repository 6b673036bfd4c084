"""CRC-16/ARC two bytes at a time, for lines of text of a thousand bytes: half the steps of a table of bytes."""

from __future__ import annotations

import sys
from array import array
from functools import cache

from dutyroom.profiles.checksums import CHECKSUMS

_BYTES = CHECKSUMS["crc16_arc"]


@cache
def _words() -> array[int]:
    """The CRC of every two bytes. As wide as the CRC itself, so that one look-up takes both."""
    return array("H", (_BYTES(word.to_bytes(2, "little")) for word in range(1 << 16)))


def crc16_arc(data: bytes) -> int:
    """Same as CHECKSUMS["crc16_arc"]."""
    table, words, value = _words(), array("H", data[: len(data) & ~1]), 0
    if sys.byteorder == "big":
        words.byteswap()
    for word in words:
        value = table[value ^ word]
    if len(data) & 1:
        return _last(value, data[-1])
    return value


def _last(value: int, byte: int) -> int:
    """One byte more."""
    for _ in range(8):
        value, byte = value >> 1 ^ (0xA001 if (value ^ byte) & 1 else 0), byte >> 1
    return value
