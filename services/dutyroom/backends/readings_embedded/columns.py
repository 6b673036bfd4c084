"""Columns of readings as the embedded store holds them, and their one order.

A *group* is 32 points with neighbouring numbers (mostly the points of a few devices); a *day* is a UTC day.
Readings lie by (group, day, point, instant), so those of one point and month are a few pieces of the file.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from dutyroom.model.telemetry import Bytes8, Floats, Ints, Longs, Readings
from dutyroom.timebase import DAY

GROUP_BITS = 5
GROUP = 1 << GROUP_BITS
LAST_DAY = (1 << 18) - 1  # instants before 1970 and after 2687 lie in the first and the last day
NEVER = -(2**63)  # in `received`: the reading came in time

_DAY_BITS = 27  # of the milliseconds of a day


@dataclass(frozen=True, slots=True)
class Columns:
    """Equal length; of two rows of one point and instant the later one counts.

    received: ms UTC, or NEVER; None = all came in time.
    """

    point: Ints
    at: Longs
    value: Floats
    quality: Bytes8
    received: Longs | None = None

    def __len__(self) -> int:
        return int(self.point.shape[0])

    def take(self, rows: npt.NDArray[np.intp] | npt.NDArray[np.bool_] | slice) -> Columns:
        received = None if self.received is None else self.received[rows]
        return Columns(self.point[rows], self.at[rows], self.value[rows], self.quality[rows], received)

    def late(self) -> dict[int, int]:
        """Receive times by row, of those that came late."""
        if self.received is None:
            return {}
        rows = np.flatnonzero(self.received != NEVER)
        return dict(zip(rows.tolist(), self.received[rows].tolist(), strict=True))


EMPTY = Columns(np.zeros(0, np.int32), np.zeros(0, np.int64), np.zeros(0), np.zeros(0, np.uint8))


def columns_of(readings: Readings) -> Columns:
    """The rows whose value is a finite number."""
    received = None
    if readings.late:
        received = np.full(len(readings), NEVER, np.int64)
        received[list(readings.late)] = list(readings.late.values())
    all_of = Columns(
        readings.point.astype(np.int32, copy=False),
        readings.at.astype(np.int64, copy=False),
        readings.value.astype(np.float64, copy=False),
        readings.quality.astype(np.uint8, copy=False),
        received,
    )
    finite = np.isfinite(all_of.value)
    return all_of if finite.all() else all_of.take(finite)


def join(parts: Sequence[Columns]) -> Columns:
    """One after the other: what comes later counts."""
    if len(parts) < 2:
        return parts[0] if parts else EMPTY
    received = None
    if any(part.received is not None for part in parts):
        received = np.concatenate(
            [np.full(len(p), NEVER, np.int64) if p.received is None else p.received for p in parts]
        )
    return Columns(
        np.concatenate([p.point for p in parts]),
        np.concatenate([p.at for p in parts]),
        np.concatenate([p.value for p in parts]),
        np.concatenate([p.quality for p in parts]),
        received,
    )


def group_of(point: Ints) -> Ints:
    return point >> GROUP_BITS


def day_of(at: Longs) -> Longs:
    return np.clip(at // DAY, 0, LAST_DAY)


def a_day(at: int) -> int:
    """`day_of` one instant."""
    return min(max(at // DAY, 0), LAST_DAY)


def settle(c: Columns) -> Columns:
    """In order of (group, day, point, instant), each point and instant once, the last row of it."""
    if len(c) < 2:
        return c
    key = _keys(c)
    if key is None:
        return _settle_slowly(c)
    keys, bits = key
    keys.sort()
    same = (keys[1:] >> bits) == (keys[:-1] >> bits)
    order = keys & ((1 << bits) - 1)
    return c.take(order[np.append(~same, True)] if same.any() else order)


def _keys(c: Columns) -> tuple[Longs, int] | None:
    """What rows are sorted by, with the row's number in the lowest bits, and how many these are. One
    sort of plain numbers takes a tenth of the time of a sort by several columns. None = does not fit
    into 63 bits."""
    group, day = group_of(c.point), day_of(c.at)
    within = c.at - day * DAY
    first_group, first_day = int(group.min()), int(day.min())
    group_bits = (int(group.max()) - first_group).bit_length()
    day_bits = (int(day.max()) - first_day).bit_length()
    row_bits = (len(c) - 1).bit_length()
    if group_bits + day_bits + GROUP_BITS + _DAY_BITS + row_bits > 63:
        return None
    if int(within.min()) < 0 or int(within.max()) >= DAY:
        return None
    keys = (group - first_group).astype(np.int64) << day_bits
    keys |= day - first_day
    keys <<= GROUP_BITS
    keys |= c.point & (GROUP - 1)
    keys <<= _DAY_BITS
    keys |= within
    keys <<= row_bits
    keys |= np.arange(len(c))
    return keys, row_bits


def _settle_slowly(c: Columns) -> Columns:
    order = np.lexsort((c.at, c.point, day_of(c.at), group_of(c.point)))  # stable
    point, at = c.point[order], c.at[order]
    same = (point[1:] == point[:-1]) & (at[1:] == at[:-1])
    return c.take(order[np.append(~same, True)])
