"""Readings as compressed blobs: one for the points of a group on a day, or for some of them.

A *chunk* is what a blob holds of one point. Instants are kept as differences less the smallest one;
values as whole numbers (of a power of ten, where all of a chunk's values are such decimals; else the
bits of the float, short ones where they suffice), their differences less the smallest one. Each of these
columns takes as many bytes a row as its largest number needs, all low bytes first, then the next ones.
All arithmetic is modulo 2**64, so everything comes back to the last bit. zstd goes over the whole blob.

Everything is done for all chunks of a slice at once: what a chunk costs by itself is a line in the head.

blob    1 byte: 0 = as it is, 2 = zstd, 1 = zlib (before version 3 of the file); then
body    1 byte: number of chunks; their heads, byte by byte of all (43 * chunks); their rows, chunk after
        chunk: instants, values, qualities, receive times
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from dutyroom.model.telemetry import Longs

ROWS = 1536  # a blob holds about as many, so that a month of one point is read in about a millisecond

Words = npt.NDArray[np.uint64]
Heads = npt.NDArray[np.void]

HEAD = np.dtype(
    [
        ("point", "u1"),  # within its group
        ("form", "u1"),  # of the values: a power of ten, or bits; + 16: instants are whole seconds
        ("quality", "u1"),  # the smallest
        ("w_at", "u1"), ("w_value", "u1"), ("w_quality", "u1"), ("w_received", "u1"),  # bytes a row
        ("rows", "<u4"),
        ("at", "<i8"), ("at_step", "<i8"),  # the first one; the smallest difference
        ("value", "<i8"), ("value_step", "<i8"),
    ]
)  # fmt: skip
WIDTHS = ("w_at", "w_value", "w_quality", "w_received")
SECONDS = 16
SHORT, LONG = 14, 15  # forms: bits of a float of 4, of 8 bytes


@dataclass(frozen=True, slots=True)
class Blob:
    """What is stored in one row of the table of chunks. mask: bit n = point n of the group is in it."""

    group: int
    day: int
    mask: int
    rows: int
    data: bytes


@dataclass(frozen=True, slots=True)
class Chunks:
    """Unpacked chunks of one group: heads, and their rows' bytes."""

    group: int
    heads: Heads
    body: bytes


def planes(
    width: npt.NDArray[np.uint8], place: Longs, rows: Longs, row: Longs
) -> list[tuple[int, npt.NDArray[np.bool_] | slice, Longs]]:
    """For each byte of a column: (which, the rows that have it, where it stands in the body)."""
    found: list[tuple[int, npt.NDArray[np.bool_] | slice, Longs]] = []
    for byte in range(int(width.max(initial=0))):
        has = width > byte
        if has.all():
            found.append((byte, slice(None), np.repeat(place + byte * rows, rows) + row))
        else:
            chosen = np.repeat(has, rows)
            found.append((byte, chosen, np.repeat((place + byte * rows)[has], rows[has]) + row[chosen]))
    return found
