"""Readings into blobs: all chunks of a slice at once, in columns."""

from __future__ import annotations

import threading
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import zstandard

from dutyroom.backends.readings_embedded.chunks import (
    HEAD,
    LONG,
    ROWS,
    SECONDS,
    SHORT,
    Blob,
    Heads,
    Words,
    planes,
)
from dutyroom.backends.readings_embedded.columns import GROUP, NEVER, Columns, day_of, group_of
from dutyroom.model.telemetry import Floats, Longs

_POWERS = (1, 2, 3, 4, 5, 6)
_EXACT = float(2**53)
_LEVEL = 1  # of compression; the next ones save nothing worth their time
_local = threading.local()  # a compressor must not be used by two threads at once


def encode(c: Columns) -> list[Blob]:
    """Settled columns as blobs, in their order."""
    if not len(c):
        return []
    group, day = group_of(c.point), day_of(c.at)
    new = np.empty(len(c), np.bool_)
    new[0] = True
    np.not_equal(c.point[1:], c.point[:-1], out=new[1:])
    new[1:] |= day[1:] != day[:-1]
    starts = np.flatnonzero(new)
    heads, body, ends = _chunks(c, starts)
    return _blobs(group[starts], day[starts], heads, body, ends)


def _chunks(c: Columns, starts: Longs) -> tuple[Heads, npt.NDArray[np.uint8], Longs]:
    """Heads; the rows' bytes of all; where each chunk's end."""
    rows = np.diff(np.append(starts, len(c)))
    heads = np.zeros(len(starts), HEAD)
    heads["point"], heads["rows"] = c.point[starts] & (GROUP - 1), rows
    instants, heads["form"] = _whole_seconds(c.at, starts, rows)
    at, heads["at"], heads["at_step"] = _differences(instants, starts, rows)
    numbers, forms = _whole_numbers(c.value, starts, rows)
    heads["form"] |= forms
    value, heads["value"], heads["value_step"] = _differences(numbers, starts, rows)
    streams: list[tuple[str, Words]] = [("w_at", at), ("w_value", value)]
    if c.quality.any():
        heads["quality"] = np.minimum.reduceat(c.quality, starts)
        streams.append(("w_quality", (c.quality - np.repeat(heads["quality"], rows)).astype(np.uint64)))
    if c.received is not None:
        delay = np.where(c.received == NEVER, 0, c.received - c.at + (c.received >= c.at))
        streams.append(("w_received", delay.astype(np.int64).view(np.uint64)))
    for name, words in streams:
        heads[name] = _bytes_for(np.maximum.reduceat(words, starts))
    body, ends = _scatter(heads, streams, starts, rows)
    return heads, body, ends


def _bytes_for(largest: Words) -> npt.NDArray[np.uint8]:
    width = np.zeros(len(largest), np.uint8)
    for byte in range(8):
        width += largest >= np.uint64(1 << (8 * byte))
    return width


def _whole_seconds(at: Longs, starts: Longs, rows: Longs) -> tuple[Longs, npt.NDArray[np.uint8]]:
    """Instants in seconds where all of a chunk are, else in milliseconds; the chunks' flag."""
    seconds = at // 1000
    whole = np.logical_and.reduceat(seconds * 1000 == at, starts)
    flag = np.where(whole, np.uint8(SECONDS), np.uint8(0))
    if whole.all():
        return seconds, flag
    return np.where(np.repeat(whole, rows), seconds, at), flag


def _differences(x: Longs, starts: Longs, rows: Longs) -> tuple[Words, Longs, Longs]:
    """Of each row to the one before less the smallest of its chunk (the first row: 0); the chunks' first
    numbers; their smallest differences."""
    step = np.empty_like(x)
    step[1:] = x[1:] - x[:-1]
    step[starts] = np.iinfo(np.int64).max
    smallest = np.minimum.reduceat(step, starts)
    smallest[rows == 1] = 0
    step[starts] = smallest
    return (step - np.repeat(smallest, rows)).view(np.uint64), x[starts], smallest


def _whole_numbers(v: Floats, starts: Longs, rows: Longs) -> tuple[Longs, npt.NDArray[np.uint8]]:
    """Values as whole numbers, and each chunk's form."""
    with np.errstate(over="ignore", invalid="ignore"):
        whole = np.rint(v)
        fits = (whole == v) & (np.abs(v) <= _EXACT) & ~((v == 0) & np.signbit(v))
        form = np.where(np.logical_and.reduceat(fits, starts), np.uint8(0), np.uint8(LONG))
        if not form.any():
            return whole.astype(np.int64), form
        left = np.repeat(form != 0, rows)
        numbers = np.where(left, 0.0, whole).astype(np.int64)
        for power in _POWERS:
            left = _in_tenths(v, starts, rows, power, left, form, numbers)
            if not left.any():
                return numbers, form
        _in_bits(v, starts, rows, left, form, numbers)
    return numbers, form


def _in_tenths(
    v: Floats,
    starts: Longs,
    rows: Longs,
    power: int,
    left: npt.NDArray[np.bool_],
    form: npt.NDArray[np.uint8],
    numbers: Longs,
) -> npt.NDArray[np.bool_]:
    """Fills in the chunks that are decimals with `power` places; the rows that are still left then.

    A decimal is read as the float next to it, and so is a whole number divided by a power of ten: where
    the quotient is the same float, it is this decimal.
    """
    at = np.flatnonzero(left)
    some = v[at]
    scaled = np.rint(some * 10.0**power)
    fits = (scaled / 10.0**power == some) & (np.abs(scaled) <= _EXACT) & ~((some == 0) & np.signbit(some))
    all_fit = np.logical_and.reduceat(_spread(len(v), at, fits), starts)
    done = all_fit & (form == LONG)
    form[done] = power
    rows_done = np.repeat(done, rows)
    mine = rows_done[at]
    numbers[at[mine]] = scaled[mine].astype(np.int64)
    still: npt.NDArray[np.bool_] = left & ~rows_done
    return still


def _spread(size: int, at: npt.NDArray[np.intp], fits: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    all_rows = np.ones(size, np.bool_)
    all_rows[at] = fits
    return all_rows


def _in_bits(
    v: Floats,
    starts: Longs,
    rows: Longs,
    left: npt.NDArray[np.bool_],
    form: npt.NDArray[np.uint8],
    numbers: Longs,
) -> None:
    """Fills in the chunks that are still left: many devices send floats of 4 bytes."""
    at = np.flatnonzero(left)
    some = v[at]
    short = some.astype(np.float32)
    is_short = np.logical_and.reduceat(_spread(len(v), at, short.astype(np.float64) == some), starts)
    form[is_short & (form == LONG)] = SHORT
    take_short = np.repeat(form == SHORT, rows)[at]
    numbers[at] = np.where(take_short, short.view(np.int32).astype(np.int64), some.view(np.int64))


def _scatter(
    heads: Heads, streams: Sequence[tuple[str, Words]], starts: Longs, rows: Longs
) -> tuple[npt.NDArray[np.uint8], Longs]:
    """The rows' bytes, chunk after chunk, of each the columns, of each the bytes of equal weight together."""
    width = sum(heads[name].astype(np.int64) for name, _ in streams)
    ends = np.cumsum(width * rows)
    place = ends - width * rows - starts  # of a chunk's first byte, less the row's number
    body = np.empty(int(ends[-1]), np.uint8)
    row = np.arange(int(rows.sum()))
    for name, words in streams:
        wide = heads[name]
        for byte, chosen, where in planes(wide, place, rows, row):
            body[where] = words.view(np.uint8).reshape(-1, 8)[:, byte][chosen]
        place = place + wide.astype(np.int64) * rows
    return body, ends


def _blobs(
    group: npt.NDArray[np.int32], day: Longs, heads: Heads, body: npt.NDArray[np.uint8], ends: Longs
) -> list[Blob]:
    firsts = _cut(group, day, heads["rows"].astype(np.int64))
    lasts = np.append(firsts[1:], len(heads))
    places = np.append(0, ends)
    by_byte = heads.view(np.uint8).reshape(-1, HEAD.itemsize)
    masks = np.bitwise_or.reduceat(np.left_shift(1, heads["point"].astype(np.int64)), firsts)
    totals = np.add.reduceat(heads["rows"].astype(np.int64), firsts)
    columns = (firsts, lasts, places[firsts], places[lasts], group[firsts], day[firsts], masks, totals)
    blobs = []
    for first, last, begin, end, g, d, mask, total in zip(*(x.tolist() for x in columns), strict=True):
        head = by_byte[first:last].T.tobytes()
        blobs.append(
            Blob(
                g, d, mask, total, _pack(b"".join((bytes((last - first,)), head, body[begin:end].tobytes())))
            )
        )
    return blobs


def _cut(group: npt.NDArray[np.int32], day: Longs, rows: Longs) -> Longs:
    """The first chunk of each blob: a new one for each group and day, and after some ROWS rows."""
    new = np.append(True, (group[1:] != group[:-1]) | (day[1:] != day[:-1]))
    before = np.cumsum(rows) - rows
    begun = before[np.maximum.accumulate(np.where(new, np.arange(len(rows)), 0))]
    piece = (before - begun) // ROWS
    new[1:] |= piece[1:] != piece[:-1]
    return np.flatnonzero(new)


def _pack(body: bytes) -> bytes:
    compressor: zstandard.ZstdCompressor | None = getattr(_local, "compressor", None)
    if compressor is None:
        compressor = _local.compressor = zstandard.ZstdCompressor(level=_LEVEL, write_checksum=True)
    packed = compressor.compress(body)
    return b"\x02" + packed if len(packed) < len(body) else b"\x00" + body
