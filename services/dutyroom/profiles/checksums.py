"""Checksums that frames carry, by name: bytes -> number.

CRC parameters (width, polynomial, start, reflected, final xor) are those of the catalogue of
parametrised CRC algorithms; each is held by its published check value for b"123456789" in the tests.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import reduce
from operator import xor
from typing import TypeAlias

Checksum: TypeAlias = Callable[[bytes], int]


def _table(polynomial: int, width: int, reflected: bool) -> tuple[int, ...]:
    return tuple(_entry(n, polynomial, width, reflected) for n in range(256))


def _entry(index: int, polynomial: int, width: int, reflected: bool) -> int:
    value = index if reflected else index << (width - 8)
    for _ in range(8):
        if reflected:
            value = value >> 1 ^ (polynomial if value & 1 else 0)
        else:
            value = value << 1 ^ (polynomial if value >> (width - 1) & 1 else 0)
    return value & (1 << width) - 1


def _mirrored(value: int, width: int) -> int:
    return int(f"{value:0{width}b}"[::-1], 2)


def crc(width: int, polynomial: int, start: int, reflected: bool, final: int = 0) -> Checksum:
    """A CRC of 8 to 32 bits by table."""
    table = _table(_mirrored(polynomial, width) if reflected else polynomial, width, reflected)
    mask, high = (1 << width) - 1, width - 8

    def forward(data: bytes) -> int:
        value = start
        for byte in data:
            value = (value << 8 ^ table[value >> high & 0xFF ^ byte]) & mask
        return value ^ final

    def mirrored(data: bytes) -> int:
        value = start
        for byte in data:
            value = value >> 8 ^ table[(value ^ byte) & 0xFF]
        return value ^ final

    return mirrored if reflected else forward


CHECKSUMS: Mapping[str, Checksum] = {
    "sum8": lambda data: sum(data) & 0xFF,
    "sum16": lambda data: sum(data) & 0xFFFF,
    "negated_sum8": lambda data: -sum(data) & 0xFF,
    "xor8": lambda data: reduce(xor, data, 0),
    "crc8": crc(8, 0x07, 0, False),
    "crc8_maxim": crc(8, 0x31, 0, True),
    "crc16_arc": crc(16, 0x8005, 0, True),
    "crc16_modbus": crc(16, 0x8005, 0xFFFF, True),
    "crc16_ccitt": crc(16, 0x1021, 0xFFFF, False),
    "crc16_xmodem": crc(16, 0x1021, 0, False),
    "crc16_kermit": crc(16, 0x1021, 0, True),
    "crc16_x25": crc(16, 0x1021, 0xFFFF, True, 0xFFFF),
    "crc16_en13757": crc(16, 0x3D65, 0, False, 0xFFFF),
    "crc32": crc(32, 0x04C11DB7, 0xFFFFFFFF, True, 0xFFFFFFFF),
}
