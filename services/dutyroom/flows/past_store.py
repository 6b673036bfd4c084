"""Readings of the past out of a readings store, in their order of arrival."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from dutyroom.flows.past_readings import Columns, joined
from dutyroom.interfaces import ManyAtOnce, ReadingStore
from dutyroom.model.telemetry import Kind, Point, Series
from dutyroom.timebase import DAY, Ms

_SPAN: Ms = 7 * DAY  # read at once
_MOST = 10_000_000  # readings of a point in a span: one every 60 ms
_TOGETHER = 500  # points asked for in one question


def stored(store: ReadingStore, points: Sequence[Point], since: Ms, until: Ms) -> Iterator[Columns]:
    """What lies in [since, until) by its own time and had come by `until`, some days at once. Texts have no
    numbers and are left out. Raises Unavailable, Rejected."""
    mine = [p for p in points if p.spec.kind is not Kind.TEXT]
    held: list[Columns] = []
    for start in range(since, until, _SPAN):
        end = min(start + _SPAN, until)
        for first in range(0, len(mine), _TOGETHER):
            held += map(_columns, _ranges(store, mine[first : first + _TOGETHER], start, end))
        if not held:
            continue
        whole = joined(held)
        whole = whole.rows(np.argsort(whole.received, kind="stable"))
        cut = int(np.searchsorted(whole.received, end))
        held = [whole.rows(slice(cut, None))] if cut < len(whole) else []
        yield whole.rows(slice(0, cut))


def _ranges(store: ReadingStore, points: Sequence[Point], start: Ms, end: Ms) -> Sequence[Series]:
    if isinstance(store, ManyAtOnce):
        return store.ranges([(point, start, end) for point in points], _MOST)
    return [store.range(point, start, end, _MOST) for point in points]


def _columns(series: Series) -> Columns:
    received = np.array(series.at, np.int64)
    for row, at in series.late.items():
        received[row] = max(at, int(received[row]))
    return Columns(
        np.full(len(series), series.point, np.int32),
        series.at,
        series.value,
        received,
        np.array(series.quality, np.uint8),
    )
