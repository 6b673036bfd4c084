"""The CRC of M-Bus by radio (EN 13757-4): polynomial 3D65, start 0, complement."""

from __future__ import annotations

from functools import lru_cache
from struct import Struct


def _table() -> tuple[int, ...]:
    """What two bytes add to a CRC of the polynomial 3D65, highest bit first."""
    one = []
    for byte in range(256):
        crc = byte << 8
        for _ in range(8):
            crc = (crc << 1 ^ 0x3D65 if crc & 0x8000 else crc << 1) & 0xFFFF
        one.append(crc)
    return tuple((one[n >> 8] << 8 & 0xFFFF) ^ one[one[n >> 8] >> 8 ^ n & 0xFF] for n in range(0x10000))


_CRC = _table()
_TURN = 151  # the polynomial divides x^151 + 1: what lies 151 bits apart counts the same, and may be added up first
_FOLD = (1 << _TURN) - 1


def crc16(data: bytes) -> int:
    """CRC-16 of EN 13757."""
    if len(data) > _TURN // 8 + 1:
        folded = int.from_bytes(data, "big")
        while folded > _FOLD:
            folded = folded & _FOLD ^ folded >> _TURN
        data = folded.to_bytes(_TURN // 8 + 1, "big")
    crc, count, table = 0, len(data), _CRC
    # Zeros in front of the data change nothing, as the CRC starts with 0.
    for word in _words((count + 1) // 2).unpack(b"\0" + data if count & 1 else data):
        crc = table[crc ^ word]
    return crc ^ 0xFFFF


@lru_cache(maxsize=256)
def _words(count: int) -> Struct:
    return Struct(f">{count}H")


# What a bit of a block adds to the remainder does not depend on what stands before it: of each bit of the remainder,
# all places that change it. A block with its CRC behind it leaves sixteen ones, so each such sum is odd.
_LONGEST = 8 * 260
_LOOKED_AT = 5


def _places(bit: int) -> int:
    found, power = 0, 1
    for place in range(_LONGEST):
        found |= (power >> bit & 1) << place
        power <<= 1
        power ^= 0x13D65 if power >> 16 else 0
    return found


_PLACES = tuple(_places(bit) for bit in range(_LOOKED_AT))
_WHOLE = crc16(b"\xff\xff")


def ends_in_crc(block: bytes) -> bool:
    """True where the last two bytes are the CRC of those before them. Of other bytes half are told apart by every
    look: first that the number of ones is even, as x + 1 divides the polynomial."""
    number = int.from_bytes(block, "big")
    if number.bit_count() & 1:
        return False
    if number.bit_length() <= _LONGEST:
        for places in _PLACES:
            if not (number & places).bit_count() & 1:
                return False
    return crc16(block) == _WHOLE
