"""Numbers that look random and are a pure function of what they belong to."""

from __future__ import annotations

import zlib

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Longs = npt.NDArray[np.int64]
_U = np.uint64


def uniform(seed: int, *keys: int | Longs) -> Floats:
    """In [0, 1), of the broadcast shape of the keys (splitmix64 over them)."""
    with np.errstate(over="ignore"):
        state = np.asarray(seed, dtype=np.int64).astype(_U)
        for key in keys:
            state = state ^ (np.asarray(key, dtype=np.int64).astype(_U) * _U(0x9E3779B97F4A7C15))
            state = (state ^ (state >> _U(30))) * _U(0xBF58476D1CE4E5B9)
            state = (state ^ (state >> _U(27))) * _U(0x94D049BB133111EB)
            state = state ^ (state >> _U(31))
    return np.asarray((state >> _U(11)).astype(np.float64) / float(1 << 53))


def number_of(text: str) -> int:
    """A stable number for a name."""
    return zlib.crc32(text.encode())
