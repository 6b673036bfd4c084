"""Logarithms of a time of day in thousandths, newest first, as few bytes: two in three where they lie within 4,096 of
each other, which those of a home do (a factor of sixty).

Unpacked when they are asked for, and packed again when they are other ones.
"""

from __future__ import annotations

import struct
from array import array
from collections.abc import Sequence

from dutyroom.rules.learned.packed import Shorts

_WIDEST = 4095
_BASE = struct.Struct("<?h")


class Blocks:
    """An even number of them: of each block two."""

    __slots__ = ("_packed", "_values")

    def __init__(self, packed: bytes = b"") -> None:
        self._packed: bytes | None = packed
        self._values: Shorts | None = None

    @property
    def values(self) -> Shorts:
        """To be read only."""
        if self._values is None:
            self._values = _unpacked(self._packed or b"")
        return self._values

    def put(self, values: Sequence[int]) -> None:
        """Others in their place."""
        self._values, self._packed = array("h", values), None

    def pack(self) -> bytes:
        """No more than 3 bytes and 2 a number."""
        if self._packed is None:
            self._packed = _packed(self.values)
        return self._packed


def _packed(values: Shorts) -> bytes:
    if not values:
        return b""
    base = min(values)
    if max(values) - base > _WIDEST:
        return _BASE.pack(True, 0) + values.tobytes()
    rest = [value - base for value in values]
    high = [a >> 8 | b >> 8 << 4 for a, b in zip(rest[::2], rest[1::2], strict=True)]
    return _BASE.pack(False, base) + bytes([value & 255 for value in rest]) + bytes(high)


def _unpacked(packed: bytes) -> Shorts:
    if not packed:
        return array("h")
    wide, base = _BASE.unpack_from(packed)
    if wide:
        return array("h", packed[_BASE.size :])
    count = (len(packed) - _BASE.size) * 2 // 3
    low, high = packed[_BASE.size : _BASE.size + count], packed[_BASE.size + count :]
    upper = [bits for both in high for bits in ((both & 15) << 8, both >> 4 << 8)]
    return array("h", [base + a + b for a, b in zip(low, upper, strict=True)])
