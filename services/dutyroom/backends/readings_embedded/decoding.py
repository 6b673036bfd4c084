"""Blobs back into readings: of all points or of some, many blobs at once."""

from __future__ import annotations

import threading
import zlib
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import zstandard

from dutyroom.backends.readings_embedded.chunks import (
    HEAD,
    LONG,
    SECONDS,
    SHORT,
    WIDTHS,
    Chunks,
    Heads,
    Words,
    planes,
)
from dutyroom.backends.readings_embedded.columns import EMPTY, GROUP, GROUP_BITS, NEVER, Columns
from dutyroom.model.telemetry import Floats, Longs

_local = threading.local()  # a decompressor must not be used by two threads at once


def _body(blob: bytes) -> bytes:
    if blob[0] == 0:
        return blob[1:]
    try:
        if blob[0] == 1:
            return zlib.decompress(memoryview(blob)[1:])
        tool: zstandard.ZstdDecompressor | None = getattr(_local, "tool", None)
        if tool is None:
            tool = _local.tool = zstandard.ZstdDecompressor()
        return tool.decompress(memoryview(blob)[1:])
    except (zlib.error, zstandard.ZstdError) as err:
        raise ValueError(f"a blob of chunks: {err}") from err


def unpack(group: int, blob: bytes) -> Chunks:
    """Raises ValueError: not a blob of ours."""
    body = _body(blob)
    count = body[0]
    size = HEAD.itemsize * count
    by_byte = np.frombuffer(body, np.uint8, size, 1).reshape(HEAD.itemsize, count)
    return Chunks(group, np.ascontiguousarray(by_byte.T).view(HEAD)[:, 0], body[1 + size :])


def only(chunks: Chunks, point: int) -> Chunks | None:
    """One point's chunk; None = is not in it."""
    heads = chunks.heads
    number = heads["point"].tobytes().find(point & (GROUP - 1))
    if number < 0:
        return None
    sizes = _row_bytes(heads[: number + 1]) * heads["rows"][: number + 1]
    end = int(sizes.sum())
    return Chunks(chunks.group, heads[number : number + 1], chunks.body[end - int(sizes[-1]) : end])


def pick(chunks: Chunks, mask: int) -> Chunks:
    """The chunks of some points; mask: bit n = point n of the group."""
    chosen = (np.left_shift(1, chunks.heads["point"].astype(np.int64)) & mask) != 0
    if chosen.all():
        return chunks
    ends = np.cumsum(_row_bytes(chunks.heads) * chunks.heads["rows"])
    sizes = np.diff(ends, prepend=0)
    spans = zip((ends - sizes)[chosen].tolist(), ends[chosen].tolist(), strict=True)
    return Chunks(chunks.group, chunks.heads[chosen], b"".join([chunks.body[a:b] for a, b in spans]))


def _row_bytes(heads: Heads) -> Longs:
    total: Longs = np.zeros(len(heads), np.int64)
    for name in WIDTHS:
        total += heads[name]
    return total


def heads_of(pieces: Sequence[Chunks]) -> Heads:
    """By their bytes: numpy compares the fields of each of the columns that it puts together."""
    return np.frombuffer(b"".join([piece.heads.tobytes() for piece in pieces]), HEAD)


def decode(pieces: Sequence[Chunks]) -> Columns:
    """The rows of all, in the order given."""
    if not pieces:
        return EMPTY
    heads = heads_of(pieces)
    body = np.frombuffer(b"".join([piece.body for piece in pieces]), np.uint8)
    groups = np.repeat([piece.group for piece in pieces], [len(piece.heads) for piece in pieces])
    rows = heads["rows"].astype(np.int64)
    starts = np.cumsum(rows) - rows
    words = _gather(heads, body, starts, rows)
    point = np.repeat((groups << GROUP_BITS | heads["point"]).astype(np.int32), rows)
    at = _sums(words["w_at"], heads["at"], heads["at_step"], starts, rows)
    seconds = heads["form"] >= SECONDS
    if seconds.all():
        at *= 1000
    elif seconds.any():
        at *= np.repeat(np.where(seconds, 1000, 1), rows)
    numbers = _sums(words["w_value"], heads["value"], heads["value_step"], starts, rows)
    value = _values(numbers, heads["form"] & (SECONDS - 1), rows)
    quality = (words["w_quality"] + np.repeat(heads["quality"], rows)).astype(np.uint8)
    received = None
    if heads["w_received"].any():
        delay = words["w_received"].view(np.int64)
        received = np.where(delay == 0, NEVER, at + delay - (delay > 0))
    return Columns(point, at, value, quality, received)


def _gather(heads: Heads, body: npt.NDArray[np.uint8], starts: Longs, rows: Longs) -> dict[str, Words]:
    """The columns of small numbers, as `_scatter` laid them down."""
    size = _row_bytes(heads) * rows
    place = np.cumsum(size) - size - starts
    total = int(rows.sum())
    row = np.arange(total)
    words: dict[str, Words] = {}
    for name in WIDTHS:
        width = heads[name]
        out = np.zeros((total, 8), np.uint8)
        for byte, chosen, where in planes(width, place, rows, row):
            out[chosen, byte] = body[where]
        words[name] = out.view(np.uint64)[:, 0]
        place = place + width.astype(np.int64) * rows
    return words


def _sums(steps: Words, first: Longs, smallest: Longs, starts: Longs, rows: Longs) -> Longs:
    """Numbers of their differences: a chunk's begin at `first`, whatever the sum was before it."""
    x = steps.view(np.int64) + np.repeat(smallest, rows)
    total = np.cumsum(x)
    return total + np.repeat(first - total[starts], rows)


def _values(numbers: Longs, form: npt.NDArray[np.integer], rows: Longs) -> Floats:
    value = numbers.astype(np.float64)
    if not form.any():
        return value
    by_row = np.repeat(form, rows)
    for kind in np.unique(form).tolist():
        chosen = by_row == kind
        if kind == LONG:
            value[chosen] = numbers[chosen].view(np.float64)
        elif kind == SHORT:
            value[chosen] = numbers[chosen].astype(np.int32).view(np.float32)
        elif kind:
            value[chosen] /= 10.0**kind
    return value
