"""How far a register moved over a time: a few samples an instance, in columns."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from dutyroom.model.telemetry import Floats, Longs
from dutyroom.rules.columns import FOREVER, NEVER, Bools, Field, Keep, Slots, Stepped, instant
from dutyroom.timebase import Ms

SAMPLES = (
    16  # a power of two. A twelfth of the span lies between two: of a span of 48 ms or more no more are kept
)
_LAST = SAMPLES - 1

WINDOW: dict[str, Field] = {
    "span": Field(np.int64, 0, kept=False),
    "gap": Field(np.int64, FOREVER, kept=False),
    "gauge": Field(np.bool_, False, kept=False),  # it may go back; a register that does begins afresh
    "jump": Field(
        np.float64, np.inf, kept=False
    ),  # moved since the newest sample, within the span: it begins afresh
    "last": Field(np.int64, NEVER),  # the newest reading
    "first": Field(np.uint8, 0),  # where in the ring the oldest sample is
    "count": Field(np.uint8, 0),
    "sample_at": Field(np.int64, 0, SAMPLES),
    "sample": Field(np.float64, 0.0, SAMPLES),
}


class Step:
    """What one more reading does to the windows of some rows (arrays by row)."""

    __slots__ = (
        "append",
        "at",
        "base",
        "columns",
        "count",
        "elapsed",
        "first",
        "moved",
        "seen",
        "slots",
        "value",
    )

    def __init__(self, columns: Windows, slots: Slots, at: Longs, value: Floats) -> None:
        self.columns, self.slots, self.at, self.value = columns, slots, at, value
        span = columns.span[slots]
        self.base = slots * SAMPLES
        first, count = columns.first[slots].astype(np.intp), columns.count[slots].astype(np.intp)
        newest = self.base + (first + count - 1 & _LAST)
        since, rise = at - columns.last[slots], value - columns.sample[newest]
        cleared = (since > columns.gap[slots]) | ((rise < 0) & ~columns.gauge[slots])
        cleared |= (rise >= columns.jump[slots]) & (since < span)
        count[cleared] = 0
        while True:
            second = columns.sample_at[self.base + (first + 1 & _LAST)]
            over = (count > 1) & (at - second >= span)
            if not over.any():
                break
            first += over
            count -= over
        oldest = self.base + (first & _LAST)
        self.elapsed = at - columns.sample_at[oldest]
        self.moved = value - columns.sample[oldest]
        self.seen: Bools = (count > 0) & (self.elapsed >= span)
        self.append = (count == 0) | (at - columns.sample_at[newest] >= span // 12)
        self.first, self.count = first, count

    def keep(self, which: Bools) -> None:
        """Writes it for these rows."""
        rows = np.flatnonzero(which)
        columns, slots, count, first = self.columns, self.slots[rows], self.count[rows], self.first[rows]
        columns.last[slots] = self.at[rows]
        more = self.append[rows]
        full = more & (count == SAMPLES)
        first += full
        count -= full
        place = (self.base[rows] + (first + count & _LAST))[more]
        columns.sample_at[place] = self.at[rows[more]]
        columns.sample[place] = self.value[rows[more]]
        columns.first[slots] = first & _LAST
        columns.count[slots] = count + more


class Windows(Stepped):
    """How far registers, or gauges, moved over their `span` or a little more; forgets across a gap."""

    FIELDS: ClassVar = WINDOW
    span: Longs
    gap: Longs
    gauge: Bools
    jump: Floats
    last: Longs
    first: npt.NDArray[np.uint8]
    count: npt.NDArray[np.uint8]
    sample_at: Longs
    sample: Floats

    def open(self, span: Ms, gap: Ms | None) -> int:
        """A fresh window; returns its slot."""
        slot = self.add()
        self.span[slot], self.gap[slot] = span, FOREVER if gap is None else gap
        return slot

    def look(self, slots: Slots, at: Longs, value: Floats) -> tuple[Bools, Keep]:
        step = Step(self, slots, at, value)
        return np.ones(len(slots), dtype=bool), step.keep

    def take(self, slot: int, at: Ms, value: float) -> tuple[Ms, float] | None:
        """(elapsed ms, moved) to the newest sample that is at least `span` old; None = not yet."""
        span, base = self.span.item(slot), slot * SAMPLES
        first, count = self.first.item(slot), self.count.item(slot)
        if at - self.last.item(slot) > self.gap.item(slot):
            count = 0
        newest = base + (first + count - 1 & _LAST)
        rise = value - self.sample.item(newest)
        if rise < 0 and not self.gauge.item(slot):
            count = 0
        if rise >= self.jump.item(slot) and at - self.last.item(slot) < span:
            count = 0
        while count > 1 and at - self.sample_at.item(base + (first + 1 & _LAST)) >= span:
            first, count = first + 1 & _LAST, count - 1
        moved = None
        if count and (elapsed := at - self.sample_at.item(base + first)) >= span:
            moved = (elapsed, value - self.sample.item(base + first))
        if not count or at - self.sample_at.item(base + (first + count - 1 & _LAST)) >= span // 12:
            if count == SAMPLES:
                first, count = first + 1 & _LAST, count - 1
            place = base + (first + count & _LAST)
            self.sample_at[place], self.sample[place] = at, value
            count += 1
        self.last[slot], self.first[slot], self.count[slot] = at, first, count
        return moved

    def dump_window(self, slot: int) -> list[Any]:
        places = [slot * SAMPLES + (self.first.item(slot) + n & _LAST) for n in range(self.count.item(slot))]
        samples = [(self.sample_at.item(place), self.sample.item(place)) for place in places]
        return [samples, instant(self.last.item(slot))]

    def load_window(self, slot: int, data: Sequence[Any]) -> None:
        samples = [(int(at), float(value)) for at, value in data[0]][-SAMPLES:]
        last = NEVER if data[1] is None else int(data[1])
        for number, (at, value) in enumerate(samples, slot * SAMPLES):
            self.sample_at[number], self.sample[number] = at, value
        self.first[slot], self.count[slot], self.last[slot] = 0, len(samples), last
