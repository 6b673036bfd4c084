"""Readings of the past in their order of arrival: rows of a file in, columns and batches out.

Columns of telemetry: device_id, point, unit, time_utc_iso, value, perhaps received_at; further ones are not read.
"""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from dutyroom.errors import Invalid, Mistake
from dutyroom.flows.past_files import SITE, Factors, Listed
from dutyroom.flows.past_troubles import Troubles
from dutyroom.model.telemetry import Batch, Bools, Bytes8, Floats, Ints, Lane, Longs, PointTable, Readings
from dutyroom.timebase import DAY, Ms

NEVER = np.iinfo(np.int64).min  # a time that cannot be read
_BLOCK = 64  # rows whose median tells when they came, where the file does not say
_FAR: Ms = DAY  # a device's clock that is off by more is wrong: what it says came when its neighbours did


@dataclass(slots=True)
class Columns:
    """Readings in their order of arrival. quality: None = all good."""

    point: Ints
    at: Longs
    value: Floats
    received: Longs
    quality: Bytes8 | None = None

    def __len__(self) -> int:
        return len(self.at)

    def rows(self, which: slice | Bools | Longs) -> Columns:
        quality = None if self.quality is None else self.quality[which]
        return Columns(self.point[which], self.at[which], self.value[which], self.received[which], quality)


def columns_of(
    device: Sequence[str],
    name: Sequence[str],
    unit: Sequence[str],
    at: Sequence[str],
    value: Sequence[str],
    received: Sequence[str] | None,
    known: Listed,
    file: str,
    first: int | Sequence[int],
    troubles: Troubles | None = None,
) -> Columns:
    """A stretch of rows. first: the file line of the first one, or of each. troubles: takes the rows that cannot be
    read, which are left out; without it they raise Invalid, naming the first one by its line."""
    line = range(first, first + len(device)) if isinstance(first, int) else first
    point, factor, offset = _meaning(device, name, unit, known.factors, file, line, troubles)
    number = _numbers(value, file, line, troubles) * factor + offset
    counts = steps_of(known.table)[point]
    number[counts] = np.rint(number[counts])
    when = _instants(at, "time_utc_iso", file, line, troubles)
    came = when if received is None else _instants(received, "received_at", file, line, troubles)
    found = Columns(point.astype(np.int32), when, number, came)
    good = (point > 0) & (when != NEVER) & (came != NEVER)
    return found if good.all() else found.rows(good)


def _meaning(
    device: Sequence[str],
    name: Sequence[str],
    unit: Sequence[str],
    factors: Factors,
    file: str,
    line: Sequence[int],
    troubles: Troubles | None,
) -> tuple[Ints, Floats, Floats]:
    """(point, factor, offset) by row; point 0 = none."""
    rules = list(map(factors.get, zip(device, name, unit, strict=True)))
    if None in rules:
        lost = [n for n, rule in enumerate(rules) if rule is None]
        keys = Counter(f"{device[n]}, {name[n]}, {unit[n]}" for n in lost)
        if troubles is None:
            what = f"{next(iter(keys))}: device_id, point and unit are in no row of the devices"
            raise Invalid([Mistake(file, line[lost[0]], "device_id", what)])
        for key, count in keys.items():
            troubles.add("unknown", key, count, f"{file}:{line[lost[0]]}")
    found = np.array([rule or (0, 1.0, 0.0) for rule in rules], np.float64).reshape(-1, 3)
    return found[:, 0].astype(np.int32), found[:, 1], found[:, 2]


def steps_of(table: PointTable) -> Bools:
    """By point: whether it counts whole steps."""
    found = np.zeros(table.top + 1, bool)
    for point in table:
        found[point.id] = point.spec.step is not None
    return found


def _numbers(texts: Sequence[str], file: str, line: Sequence[int], troubles: Troubles | None) -> Floats:
    """An empty number is NaN; so is an unreadable one where troubles are taken."""
    try:
        return np.array([text or "nan" for text in texts], dtype=np.float64)
    except ValueError:
        found = np.full(len(texts), np.nan)
        for n, text in enumerate(texts):
            try:
                found[n] = float(text or "nan")
            except ValueError:
                said = f"{text[:40]!r} is no number"
                if troubles is None:
                    raise Invalid([Mistake(file, line[n], "value", said)]) from None
                troubles.add("row", "value", 1, f"{file}:{line[n]}: value: {said}")
        return found


def _instants(
    texts: Sequence[str], column: str, file: str, line: Sequence[int], troubles: Troubles | None
) -> Longs:
    """ISO 8601 in UTC, with Z, +00:00 or nothing; NEVER where it cannot be read and troubles are taken."""
    try:
        return _parsed(texts)
    except (ValueError, UserWarning):
        found = np.full(len(texts), NEVER, np.int64)
        for n, text in enumerate(texts):
            try:
                found[n] = _parsed([text])[0]
            except (ValueError, UserWarning):
                said = f"{text[:40]!r} is no instant in UTC"
                if troubles is None:
                    raise Invalid([Mistake(file, line[n], column, said)]) from None
                troubles.add("row", column, 1, f"{file}:{line[n]}: {column}: {said}")
        return found


def _parsed(texts: Sequence[str]) -> Longs:
    bare = [text.removesuffix("Z").removesuffix("+00:00") for text in texts]
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # numpy only warns of another offset
        found = np.array(bare, dtype="datetime64[ms]")
    if np.isnat(found).any():
        raise ValueError("empty")
    return found.astype(np.int64)


# ---------------------------------------------------------------- order


def arrived(columns: Columns, told: bool, troubles: Troubles, table: PointTable) -> Columns:
    """A whole file in its order of arrival. told: the file says when each row came.

    Where it does not, a row came at its own time. Where the rows stand in the order of time but for a few, a row
    whose time is more than a day off those around it comes from a wrong clock, and came when they did.
    """
    if len(columns) and not told:
        columns.received = _came(columns, troubles, table)
    order = np.argsort(columns.received, kind="stable")
    return columns if (np.diff(order) == 1).all() else columns.rows(order)


def _came(columns: Columns, troubles: Troubles, table: PointTable) -> Longs:
    at = columns.at
    if len(at) < 4 or (np.diff(at) < 0).mean() > 0.05:  # rows stand by device, say
        return at
    middle, spread = _middles(at)
    before, after = np.append(middle[:1], middle[:-1]), np.append(middle[1:], middle[-1:])
    room = np.maximum(_FAR, 2 * spread)
    block = np.arange(len(at)) // _BLOCK
    around = np.stack([before, middle, after])  # by device, time goes back where the next one begins
    low, high = around.min(axis=0) - room, around.max(axis=0) + room
    wrong = (at < low[block]) | (at > high[block])
    for point, count in Counter(columns.point[wrong].tolist()).items():
        troubles.add("clock", table[point].device, count)
    return np.where(wrong, middle[block], at)


def _middles(at: Longs) -> tuple[Longs, Longs]:
    """Of each block of rows: its median, and how far half of them lie from it (sparse data is no wrong clock)."""
    whole = len(at) // _BLOCK * _BLOCK
    middle, spread = [], []
    rest = at[-_BLOCK:] if whole < len(at) else at[:0]  # a few rows alone know nothing of those around them
    for part in (at[:whole].reshape(-1, _BLOCK), rest.reshape(1, -1)):
        if part.size:
            ordered = np.sort(part, axis=1)
            found = ordered[:, part.shape[1] // 2]
            middle.append(found)
            spread.append(np.sort(np.abs(part - found[:, None]), axis=1)[:, part.shape[1] // 2])
    return np.concatenate(middle), np.concatenate(spread)


def batches_of(columns: Iterable[Columns], slot: Ms | Longs) -> Iterator[Batch]:
    """Readings as they would have come, those of one slot together; in order of arrival. slot: ms, or ms by
    point: then on each day (UTC) the shortest of the points that come on it."""
    rest: Columns | None = None
    for more in columns:
        whole = more if rest is None or not len(rest) else joined([rest, more])
        slots = _slots_of(whole, slot)
        cut = int(np.searchsorted(slots, slots[-1])) if len(slots) else 0
        yield from _slots(whole, slots, cut)
        rest = whole.rows(slice(cut, None))
    if rest is not None and len(rest):
        yield from _slots(rest, _slots_of(rest, slot), len(rest))


def _slots_of(columns: Columns, slot: Ms | Longs) -> Longs:
    """The begin of the slot of each row."""
    if isinstance(slot, int) or not len(columns):
        return columns.received // (slot if isinstance(slot, int) else 1)
    day = columns.received // DAY
    first = np.flatnonzero(np.diff(day, prepend=day[0] - 1))
    shortest = np.minimum.reduceat(slot[columns.point], first)
    long = np.repeat(shortest, np.diff([*first.tolist(), len(day)]))
    begins: Longs = columns.received // long * long
    return begins


def _slots(columns: Columns, slots: Longs, end: int) -> Iterator[Batch]:
    if not end:
        return
    starts = np.flatnonzero(np.diff(slots[:end], prepend=slots[0] - 1)).tolist()
    message = np.zeros(end, np.int32)
    quality = np.zeros(end, np.uint8) if columns.quality is None else columns.quality
    for a, b in zip(starts, [*starts[1:], end], strict=True):
        yield Batch(
            SITE,
            Lane.NORMAL,
            int(columns.received[a:b].max()),
            (),
            Readings(columns.point[a:b], columns.at[a:b], columns.value[a:b], quality[a:b], message[a:b]),
        )


def joined(parts: Sequence[Columns]) -> Columns:
    """One after the other; at least one."""
    plain = all(p.quality is None for p in parts)
    quality = (
        None
        if plain
        else np.concatenate(
            [p.quality if p.quality is not None else np.zeros(len(p), np.uint8) for p in parts]
        )
    )
    return Columns(
        np.concatenate([p.point for p in parts]),
        np.concatenate([p.at for p in parts]),
        np.concatenate([p.value for p in parts]),
        np.concatenate([p.received for p in parts]),
        quality,
    )
