"""What detectors keep, as plain data: packed numbers, so that a state is a few hundred bytes.

In memory they are rounded in the same way: what was dumped and loaded is the same to the last bit, and a
detector that goes on after a restart finds what one without it would have found.
"""

from __future__ import annotations

import struct
from array import array
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Any, Protocol, TypeAlias

import numpy as np

from dutyroom.errors import Rejected

Floats: TypeAlias = "array[float]"
Shorts: TypeAlias = "array[int]"
_SIZE = 4
_HALF = struct.Struct("<e")
LARGEST = 65504.0  # the largest of 16 bits


class PointDetector(Protocol):
    """What is packed as a whole."""

    def pack(self) -> bytes: ...

    def unpack(self, state: bytes) -> None: ...

    def arguments(self) -> dict[str, float]: ...


def floats(values: Iterable[float] = ()) -> Floats:
    return array("f", values)


def zeros(count: int) -> Floats:
    return _zeros(count)[:]  # a copy is made in a third of the time


@lru_cache(maxsize=64)
def _zeros(count: int) -> Floats:
    return array("f", bytes(_SIZE * count))


def half(value: float) -> float:
    """As 16 bits hold it (IEEE 754): 0.05 % off at most from 6e-5 to 65504, which is the largest."""
    rounded: float = _HALF.unpack(_HALF.pack(min(max(value, -LARGEST), LARGEST)))[0]
    return rounded


def single(value: float) -> float:
    """As 32 bits hold it; infinite where they cannot."""
    return array("f", (value,))[0]


@lru_cache(maxsize=512)
def _cells(count: int) -> struct.Struct:
    return struct.Struct(f"<{count}e")


def halves(values: Sequence[float]) -> bytes:
    """Two bytes a number; the same again where they are rounded by `half`."""
    return _cells(len(values)).pack(*values)


def halves_at(state: bytes | bytearray, place: int, count: int) -> list[float]:
    """So many packed halves from a place on."""
    return list(_cells(count).unpack_from(state, place))


def unpack_halves(data: object, count: int | None = None) -> Floats:
    """Raises Rejected for anything but so many packed halves (any number where count is None)."""
    if not isinstance(data, bytes) or len(data) % 2 or (count is not None and len(data) != 2 * count):
        raise Rejected(f"a stored detector: {count} packed halves expected, {data!r:.40} found")
    return array("f", np.frombuffer(data, "<f2").astype(np.float32).tobytes())


def unpack(data: object, count: int | None = None) -> Floats:
    """Raises Rejected for anything but so many packed numbers (any number where count is None)."""
    if not isinstance(data, bytes) or len(data) % _SIZE or (count is not None and len(data) != _SIZE * count):
        raise Rejected(f"a stored detector: {count} packed numbers expected, {data!r:.40} found")
    return array("f", data)


def unpack_shorts(data: object, together: int = 1) -> Shorts:
    """Raises Rejected for anything but packed 16-bit numbers, so many of which belong together."""
    if not isinstance(data, bytes) or len(data) % (2 * together):
        raise Rejected(f"a stored detector: packed numbers expected, {data!r:.40} found")
    return array("h", data)


def whole(data: Sequence[Any], detector: PointDetector, parts: int = 1) -> bool:
    """Takes what `pack` gave where it stands first among so many parts; False where it is laid out as it was before
    states were packed as a whole. Raises Rejected for bytes that are none."""
    if not isinstance(data, list | tuple) or len(data) != parts or not isinstance(data[0], bytes):
        return False
    try:
        detector.unpack(data[0])
        if detector.pack() != data[0]:
            raise ValueError("other bytes")
        detector.arguments()
    except (struct.error, ValueError, IndexError) as err:
        raise Rejected(f"a stored detector: {err}, {data[0]!r:.40} found") from err
    return True


def parts(data: Sequence[Any], count: int) -> Sequence[Any]:
    """Raises Rejected when a stored detector has another number of parts."""
    if not isinstance(data, list | tuple) or len(data) != count:
        raise Rejected(f"a stored detector: {count} parts expected, {data!r:.40} found")
    return data
