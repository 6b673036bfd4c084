"""What is asked of log and chunks together. Of two readings of one point and instant that of the newest
write counts; within a write the last one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby, repeat

import numpy as np
import numpy.typing as npt

from dutyroom.backends.readings_embedded import parts
from dutyroom.backends.readings_embedded.chunks import Chunks
from dutyroom.backends.readings_embedded.columns import GROUP, GROUP_BITS, NEVER, Columns, a_day, join, settle
from dutyroom.backends.readings_embedded.decoding import decode, heads_of, only, pick, unpack
from dutyroom.backends.readings_embedded.view import View
from dutyroom.model.telemetry import Longs, Reading
from dutyroom.timebase import DAY, Ms

WINDOW = 1 << 16  # rows of a point that are held at once; days are whole
_TOGETHER = 64  # parts that are decoded at once

_Found = tuple[int, Chunks | Columns]  # the newest write in it


def windows(view: View, point: int, start: Ms, end: Ms, newest_first: bool = False) -> Iterator[Columns]:
    """A point's readings with start <= at < end, in time order, each instant once, a piece at a time.
    newest_first: the pieces come in the opposite order."""
    if start >= end:
        return
    logged: list[_Found] = [(s.last, c) for s in view.segments if (c := s.of(point)) is not None]
    group, first, last = point >> GROUP_BITS, a_day(start), a_day(end - 1)
    held: list[_Found] = []
    rows, today = 0, -1
    for part, seq, blob in parts.of_points(view.db, group, first, last, _bit(point), newest_first):
        day = parts.day_in(part)
        if day != today and rows >= WINDOW:
            edge = (day + 1) * DAY if newest_first else day * DAY
            low, high = (edge, end) if newest_first else (start, edge)
            yield _between([*logged, *held], low, high)
            start, end = (start, edge) if newest_first else (edge, end)
            held, rows = [], 0
        today = day
        chunk = only(unpack(group, blob), point)
        if chunk is not None:
            held.append((seq, chunk))
            rows += int(chunk.heads["rows"][0])
    yield _between([*logged, *held], start, end)


def _bit(point: int) -> int:
    return 1 << (point & (GROUP - 1))


def _between(found: list[_Found], start: Ms, end: Ms) -> Columns:
    """One point's rows of a time, in order, each instant once."""
    c = _by_write(found)
    rows = (c.at >= start) & (c.at < end)
    if not rows.all():
        c = c.take(rows)
    if (c.at[1:] > c.at[:-1]).all():
        return c
    order = np.argsort(c.at, kind="stable")
    return c.take(order[np.append(c.at[order[1:]] != c.at[order[:-1]], True)])


def _by_write(found: list[_Found]) -> Columns:
    """Oldest write first. An entry of the log whose last write is a chunk's is in that chunk too: which
    of them comes first does not matter."""
    found.sort(key=lambda one: one[0])
    made = [
        decode([c for _, c in some if isinstance(c, Chunks)]) if packed else join([c for _, c in some])  # type: ignore[misc]
        for packed, some in groupby(found, key=lambda one: isinstance(one[1], Chunks))
    ]
    return join(made)


@dataclass(slots=True)
class _Best:
    """Candidates for the newest reading of each point, with the newest write of what they were found in."""

    moment: Ms
    since: Ms
    found: list[Columns] = field(default_factory=list)
    writes: list[Longs] = field(default_factory=list)

    def take(self, c: Columns, writes: Longs) -> None:
        self.found.append(c)
        self.writes.append(writes)

    def in_time(self, c: Columns) -> npt.NDArray[np.bool_]:
        return (c.at <= self.moment) & (c.at >= self.since)

    def readings(self) -> dict[int, Reading]:
        c, writes = join(self.found), np.concatenate([np.zeros(0, np.int64), *self.writes])
        order = np.lexsort((writes, c.at, c.point))
        c = c.take(order[_lasts(c.point[order])])
        received = repeat(None) if c.received is None else map(_moment, c.received.tolist())
        points = c.point.tolist()
        columns = (c.at.tolist(), c.value.tolist(), c.quality.tolist(), received)
        return dict(zip(points, map(Reading, points, *columns), strict=True))


def _moment(received: int) -> Ms | None:
    return None if received == NEVER else received


def _lasts(x: npt.NDArray[np.integer]) -> npt.NDArray[np.bool_]:
    """Which of equal neighbours are the last ones."""
    return np.append(x[1:] != x[:-1], np.ones(min(1, len(x)), np.bool_))


def newest(view: View, points: Sequence[int], moment: Ms, since: Ms) -> dict[int, Reading]:
    """By point: the newest reading with since <= at <= moment."""
    best = _Best(moment, since)
    wanted = np.unique(np.array(points, np.int32))
    for segment in view.segments:
        rows = np.flatnonzero(best.in_time(segment.columns))
        c = settle(segment.columns.take(rows[np.isin(segment.columns.point[rows], wanted)]))
        c = c.take(_lasts(c.point))
        best.take(c, np.full(len(c), segment.last, np.int64))
    masks: dict[int, int] = {}
    for point in wanted.tolist():
        masks[point >> GROUP_BITS] = masks.get(point >> GROUP_BITS, 0) | _bit(point)
    ends = {group: parts.span(group, a_day(since), a_day(moment))[1] for group in masks}
    while masks:
        _one_day_back(view, best, masks, ends)
    return best.readings()


def _one_day_back(view: View, best: _Best, masks: dict[int, int], ends: dict[int, int]) -> None:
    """Of each group the newest day before `ends` that has some of its points; of points found there the
    earlier days do not matter. Moves both on; a group without more days, or points, is left out."""
    first_day = a_day(best.since)
    held: list[tuple[int, Chunks]] = []
    for group, mask in list(masks.items()):
        some = parts.newest_day(view.db, group, first_day, ends[group], mask)
        if not some:
            del masks[group]
            continue
        ends[group] = parts.begin_of_day(some[0][0])
        held += [(seq, pick(unpack(group, blob), mask)) for _, seq, blob in some]
        if len(held) >= _TOGETHER:
            _decide(best, held, masks)
            held = []
    _decide(best, held, masks)


def _decide(best: _Best, held: Sequence[tuple[int, Chunks]], masks: dict[int, int]) -> None:
    """Takes in the last row in time of each chunk; those points are looked for no further."""
    pieces = [chunks for _, chunks in held]
    c, counts = decode(pieces), [len(chunks.heads) for chunks in pieces]
    chunk = np.repeat(np.arange(sum(counts)), heads_of(pieces)["rows"])
    rows = np.flatnonzero(best.in_time(c))
    rows = rows[_lasts(chunk[rows])]
    best.take(c.take(rows), np.repeat([seq for seq, _ in held], counts)[chunk[rows]])
    for point in c.point[rows].tolist():
        group = point >> GROUP_BITS
        if group in masks:
            masks[group] &= ~_bit(point)
            if not masks[group]:
                del masks[group]


Bucket = tuple[Ms, float, float, float, float]


def buckets(pieces: Iterator[Columns], start: Ms, width: Ms) -> list[Bucket]:
    """(bucket start, min, mean, max, last) of what comes in time order."""
    made: list[tuple[int, float, float, int, float, float]] = []  # number, min, sum, rows, max, last
    for c in pieces:
        if not len(c):
            continue
        number = (c.at - start) // width
        starts = np.flatnonzero(np.append(True, number[1:] != number[:-1]))
        ends = np.append(starts[1:], len(c))
        with np.errstate(over="ignore"):  # the mean of the largest floats is infinite, as Python says
            sums = np.add.reduceat(c.value, starts)
        columns = (
            number[starts],
            np.minimum.reduceat(c.value, starts),
            sums,
            ends - starts,
            np.maximum.reduceat(c.value, starts),
            c.value[ends - 1],
        )
        rows = list(zip(*(column.tolist() for column in columns), strict=True))
        if made and made[-1][0] == rows[0][0]:
            made[-1] = _together(made[-1], rows.pop(0))
        made += rows
    return [(start + n * width, low, total / count, high, last) for n, low, total, count, high, last in made]


def _together(
    a: tuple[int, float, float, int, float, float], b: tuple[int, float, float, int, float, float]
) -> tuple[int, float, float, int, float, float]:
    """Two pieces of one bucket, the earlier one first."""
    return a[0], min(a[1], b[1]), a[2] + b[2], a[3] + b[3], max(a[4], b[4]), b[5]
