"""CRC-16/ARC of texts of a thousand bytes: what each byte adds to the result, looked up for all at once.

A CRC is linear: the result is the exclusive or of what every byte gives by itself, which depends on the byte
and on how many follow it.
"""

from __future__ import annotations

from functools import cache

import numpy as np
import numpy.typing as npt

from dutyroom.profiles.checksums import CHECKSUMS

_SIMPLE = CHECKSUMS["crc16_arc"]
BLOCK = 1024  # bytes looked up at once


@cache
def _shares() -> tuple[npt.NDArray[np.uint16], npt.NDArray[np.int32]]:
    """(share of byte b with k bytes behind it at 256 k + b, where the shares of each place of a block begin)."""
    first = np.array([_SIMPLE(bytes([byte])) for byte in range(256)], dtype=np.uint16)
    rows = [first]
    for _ in range(BLOCK - 1):
        last = rows[-1]
        rows.append((last >> 8) ^ first[last & 0xFF])
    return np.concatenate(rows), np.arange(BLOCK - 1, -1, -1, dtype=np.int32) * 256


def crc16_arc(data: bytes) -> int:
    """Same as CHECKSUMS["crc16_arc"]."""
    if len(data) < 16:
        return _SIMPLE(data)
    shares, places = _shares()
    value = 0
    for at in range(0, len(data), BLOCK):
        block = data[at : at + BLOCK]
        if value:  # what came before counts as if it stood in the next two bytes
            head = int.from_bytes(block[:2].ljust(2, b"\0"), "little") ^ value
            block = head.to_bytes(2, "little")[: len(block)] + block[2:]
        left = value >> 8 if len(block) == 1 else 0
        numbers = np.frombuffer(block, dtype=np.uint8)
        value = int(np.bitwise_xor.reduce(shares.take(places[BLOCK - len(block) :] + numbers))) ^ left
    return value
