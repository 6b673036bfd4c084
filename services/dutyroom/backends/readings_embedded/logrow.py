"""A write as one blob of columns, as it came: nothing is sorted, nothing is compressed.

blob    <BBHIq  version, flags, 0, rows, first instant; then the columns point int32, at int32 (from the
        first instant; int64 where flag WIDE), value float64, and quality uint8 and received int64 where
        their flags are set. Little-endian.
"""

from __future__ import annotations

import struct

import numpy as np

from dutyroom.backends.readings_embedded.columns import Columns

_HEAD = struct.Struct("<BBHIq")
_VERSION = 1
_WIDE, _QUALITY, _RECEIVED = 1, 2, 4


def pack(c: Columns) -> bytes:
    first = int(c.at[0])
    offsets = c.at - first
    flags = 0
    parts = [c.point.tobytes()]
    if int(offsets.min()) < -(2**31) or int(offsets.max()) >= 2**31:
        flags |= _WIDE
        parts.append(offsets.tobytes())
    else:
        parts.append(offsets.astype(np.int32).tobytes())
    parts.append(c.value.tobytes())
    if c.quality.any():
        flags |= _QUALITY
        parts.append(c.quality.tobytes())
    if c.received is not None:
        flags |= _RECEIVED
        parts.append(c.received.tobytes())
    return b"".join([_HEAD.pack(_VERSION, flags, 0, len(c), first), *parts])


def unpack(blob: bytes) -> Columns:
    """Raises ValueError, struct.error: not a blob of ours."""
    version, flags, _, rows, first = _HEAD.unpack_from(blob)
    if version != _VERSION:
        raise ValueError(f"a log entry of version {version}")
    place = _HEAD.size

    def column(kind: str) -> np.typing.NDArray[np.generic]:
        nonlocal place
        found = np.frombuffer(blob, kind, rows, place)
        place += found.nbytes
        return found

    point = column("<i4")
    at = column("<i8" if flags & _WIDE else "<i4").astype(np.int64) + first
    value = column("<f8")
    quality = column("u1") if flags & _QUALITY else np.zeros(rows, np.uint8)
    received = column("<i8") if flags & _RECEIVED else None
    return Columns(point, at, value, quality, received)  # type: ignore[arg-type]
