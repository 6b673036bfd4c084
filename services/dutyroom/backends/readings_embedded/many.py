"""Thousands of stretches of time of single points in one question, as for messages that came twice: what they
have in common (the transaction, days of a group, decoding, sorting) is done once for all.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from dutyroom.backends.readings_embedded import parts
from dutyroom.backends.readings_embedded.chunks import Chunks
from dutyroom.backends.readings_embedded.columns import GROUP, GROUP_BITS, Columns, a_day, join
from dutyroom.backends.readings_embedded.decoding import decode, heads_of, pick, unpack
from dutyroom.backends.readings_embedded.view import View
from dutyroom.backends.readings_embedded.words import Words
from dutyroom.model.telemetry import Longs, Series
from dutyroom.timebase import Ms

Span = tuple[int, Ms, Ms]  # point, start <= at < end

_TOGETHER = 64  # parts that are decoded at once


class _Gathered:
    """Rows of the points and about the times asked for, with the newest write of what they were found in."""

    def __init__(self, start: Ms, end: Ms) -> None:
        self._start, self._end = start, end
        self._columns: list[Columns] = []
        self._writes: list[Longs] = []
        self._held: list[tuple[int, Chunks]] = []

    def in_time(self, at: Longs) -> npt.NDArray[np.bool_]:
        return (at >= self._start) & (at < self._end)

    def take(self, c: Columns, writes: Longs) -> None:
        self._columns.append(c)
        self._writes.append(writes)

    def chunks(self, seq: int, some: Chunks) -> None:
        self._held.append((seq, some))
        if len(self._held) >= _TOGETHER:
            self.decoded()

    def decoded(self) -> None:
        if not self._held:
            return
        pieces = [chunks for _, chunks in self._held]
        by_chunk = np.repeat(np.array([seq for seq, _ in self._held]), [len(c.heads) for c in pieces])
        c, writes = decode(pieces), np.repeat(by_chunk, heads_of(pieces)["rows"])
        rows = self.in_time(c.at)
        self.take(c.take(rows), writes[rows])
        self._held = []

    def sorted(self) -> Columns:
        """By point and time, each instant once: of the newest write the last row."""
        c = join(self._columns)
        writes = np.concatenate([np.zeros(0, np.int64), *self._writes])
        order = np.lexsort((writes, c.at, c.point))  # stable
        point, at = c.point[order], c.at[order]
        last = np.append((point[1:] != point[:-1]) | (at[1:] != at[:-1]), np.ones(min(1, len(at)), np.bool_))
        return c.take(order[last])


def ranges(view: View, spans: Sequence[Span], limit: int, words: Words) -> list[Series]:
    """Of each span the newest `limit` readings, in their order."""
    gathered = _Gathered(min((s for _, s, _ in spans), default=0), max((e for _, _, e in spans), default=0))
    _from_log(view, spans, gathered)
    _from_chunks(view, spans, gathered)
    c = gathered.sorted()
    values, texts = words.apart(view.db, c)
    worded = sorted(texts)
    points = np.array([point for point, _, _ in spans], np.int32)
    firsts = np.searchsorted(c.point, points).tolist()
    lasts = np.searchsorted(c.point, points, side="right").tolist()
    found = []
    for (point, start, end), first, last in zip(spans, firsts, lasts, strict=True):
        low, high = (first + np.searchsorted(c.at[first:last], (start, end))).tolist()
        low = max(low, high - limit)
        some = slice(low, max(low, high))
        said = worded[bisect_left(worded, low) : bisect_left(worded, high)]
        late = {} if c.received is None else c.take(some).late()
        text = {row - low: texts[row] for row in said}
        found.append(Series(point, c.at[some], values[some], c.quality[some], late, text))
    return found


def _from_log(view: View, spans: Sequence[Span], gathered: _Gathered) -> None:
    points = np.unique(np.array([point for point, _, _ in spans], np.int32))
    for segment in view.segments:
        low = np.searchsorted(segment.columns.point, points)
        rows = np.searchsorted(segment.columns.point, points, side="right") - low
        many = int(rows.sum())
        if many:
            place = np.arange(many) + np.repeat(low - (np.cumsum(rows) - rows), rows)
            place = place[gathered.in_time(segment.columns.at[place])]
            gathered.take(segment.columns.take(place), np.full(len(place), segment.last, np.int64))


def _from_chunks(view: View, spans: Sequence[Span], gathered: _Gathered) -> None:
    masks: dict[tuple[int, int, int], int] = {}
    for point, start, end in spans:
        if start < end:
            days = (point >> GROUP_BITS, a_day(start), a_day(end - 1))
            masks[days] = masks.get(days, 0) | 1 << (point & (GROUP - 1))
    for (group, first, last), mask in masks.items():
        for _, seq, blob in parts.of_points(view.db, group, first, last, mask):
            gathered.chunks(seq, pick(unpack(group, blob), mask))
    gathered.decoded()
