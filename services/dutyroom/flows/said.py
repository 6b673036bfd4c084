"""What a store says of points at given instants, and columns of readings put together for it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from dutyroom.interfaces import ManyAtOnce, ReadingStore
from dutyroom.model.telemetry import Ints, Longs, Point, PointTable, Readings, Series
from dutyroom.timebase import DAY, MINUTE, SECOND, Ms

MOST = 100_000  # readings of a point that are read at once
ON_CHANGE: Ms = 5 * MINUTE  # what comes when it changes is late after this

Said = tuple[float, int, str]  # value, quality, text


def better(new: Said, old: Said) -> bool:
    """Whether `new` wins over `old` at the same point and time."""
    return (-new[1], new[0], new[2]) > (-old[1], old[0], old[2])


def said_at(store: ReadingStore, table: PointTable, points: Ints, at: Longs) -> dict[tuple[int, Ms], Said]:
    """What the store has of these points at these instants; without those that it has not. Raises Unavailable."""
    order = np.lexsort((at, points))
    points, at = points[order], at[order]
    wanted = set(zip(points.tolist(), at.tolist(), strict=True))
    first = np.flatnonzero(np.r_[True, (np.diff(points) != 0) | (np.diff(at) > DAY)][: len(at)])
    last = np.r_[first[1:], len(at)][: len(first)] - 1
    spans = [
        (point, start, end + 1)
        for number, start, end in zip(
            points[first].tolist(), at[first].tolist(), at[last].tolist(), strict=True
        )
        if (point := table.get(number)) is not None
    ]
    found: dict[tuple[int, Ms], Said] = {}
    for s in _read(store, spans):
        columns = (s.at.tolist(), s.value.tolist(), s.quality.tolist())
        for row, (when, value, quality) in enumerate(zip(*columns, strict=True)):
            if (s.point, when) in wanted:
                found[s.point, when] = (value, quality, s.text.get(row, ""))
    return found


def _read(store: ReadingStore, spans: Sequence[tuple[Point, Ms, Ms]]) -> Sequence[Series]:
    """What the store has in each; one that holds more than is read at once in two halves."""
    if isinstance(store, ManyAtOnce):
        series = list(store.ranges(spans))
    else:
        series = [store.range(*span, MOST) for span in spans]
    full = [span for span, s in zip(spans, series, strict=True) if len(s.at) >= MOST]
    for point, start, end in full:
        if end - start > 1:
            middle = (start + end) // 2
            series += _read(store, [(point, start, middle), (point, middle, end)])
    return series


def usual(point: Point) -> Ms:
    """How old a reading of a point may be when it comes."""
    return ON_CHANGE if point.spec.interval_s is None else point.spec.interval_s * SECOND


def with_receipts(readings: Readings, times: Longs, usual_of: Longs) -> Readings:
    """With the receive times of what came later than is usual for its point. times: of the messages; usual_of:
    `usual`, by row."""
    received = times[readings.message]
    late = np.flatnonzero(received - readings.at > usual_of)
    if not len(late):
        return readings
    return replace(readings, late=dict(zip(late.tolist(), received[late].tolist(), strict=True)))


def rows_of(readings: Readings, rows: Longs) -> Readings:
    """The chosen rows, texts re-numbered."""
    if len(rows) == len(readings):
        return readings
    texts = {new: readings.text[old] for new, old in enumerate(rows.tolist()) if old in readings.text}
    return Readings(
        readings.point[rows],
        readings.at[rows],
        readings.value[rows],
        readings.quality[rows],
        readings.message[rows],
        texts,
    )


def join(parts: Sequence[Readings]) -> Readings:
    """One block of columns; the message column loses its meaning and is only carried along."""
    texts: dict[int, str] = {}
    late: dict[int, Ms] = {}
    offset = 0
    for part in parts:
        texts.update({offset + row: text for row, text in part.text.items()})
        late.update({offset + row: at for row, at in part.late.items()})
        offset += len(part)
    return replace(Readings.joined(parts, texts), late=late)
