"""stuck: a register that stands still while its readings keep coming."""

from __future__ import annotations

from collections.abc import Sequence
from math import isnan, nan
from typing import Any, ClassVar

import numpy as np

from dutyroom.fields import Fields
from dutyroom.model.telemetry import Floats, Longs, Point
from dutyroom.rules.columns import FOREVER, NEVER, Bools, Field, Keep, Slots, Stepped, instant
from dutyroom.rules.delay import Watched
from dutyroom.rules.kind import ANY, Bounds, Place, gap_of
from dutyroom.rules.spec import Rule
from dutyroom.timebase import HOUR, SECOND, Ms

DOC = "A value that has not moved for `over`, seen by at least three readings without a gap."

_LEAST = 3


def parameters(fields: Fields) -> dict[str, object]:
    return {"over": fields.duration("over", 6 * HOUR, SECOND), "gap": fields.duration("gap", 0)}


class Stills(Stepped):
    """Of each instance the value that stands, since when, and how often it was seen."""

    FIELDS: ClassVar = {
        "over": Field(np.int64, 0, kept=False),
        "gap": Field(np.int64, FOREVER, kept=False),
        "still": Field(np.int64, NEVER),  # first reading of the value that stands
        "held": Field(np.float64, nan),
        "seen": Field(np.int64, 0),
        "newest": Field(np.int64, 0),
    }
    over: Longs
    gap: Longs
    still: Longs
    held: Floats
    seen: Longs
    newest: Longs

    def look(self, slots: Slots, at: Longs, value: Floats) -> tuple[Bools, Keep]:
        fresh = (value != self.held[slots]) | (at - self.newest[slots] > self.gap[slots])
        still = np.where(fresh, at, self.still[slots])
        seen = np.where(fresh, 1, self.seen[slots] + 1)

        def keep(which: Bools) -> None:
            rows = slots[which]
            self.still[rows], self.held[rows] = still[which], value[which]
            self.seen[rows], self.newest[rows] = seen[which], at[which]

        return (at - still < self.over[slots]) | (seen < _LEAST), keep

    def take(self, slot: int, at: Ms, value: float) -> bool:
        """The same for one reading; returns whether the value has moved."""
        moved = value != self.held.item(slot)
        if moved or at - self.newest.item(slot) > self.gap.item(slot):
            self.still[slot], self.held[slot], self.seen[slot] = at, value, 0
        self.seen[slot] += 1
        self.newest[slot] = at
        return moved


class StuckInstance(Watched):
    __slots__ = ("columns", "slot")
    columns: Stills

    def __init__(self, rule: Rule, point: Point, over: Ms, stills: Stills) -> None:
        self.columns, self.slot = stills, stills.add()
        super().__init__(rule, point, (self.slot,))
        gap = gap_of(rule, point)
        stills.over[self.slot], stills.gap[self.slot] = over, FOREVER if gap is None else gap

    def breach(self, at: Ms, value: float, retained: bool) -> bool | None:
        if retained:
            return None
        columns, slot = self.columns, self.slot
        if not columns.take(slot, at, value) and self.delay.active:
            return True
        return at - columns.still.item(slot) >= columns.over.item(slot) and columns.seen.item(slot) >= _LEAST

    def calm(self, point: int, value: float) -> Bounds | None:
        return ANY if self.still else None

    def arguments(self) -> dict[str, str | int | float | bool | None]:
        newest, still = self.columns.newest.item(self.slot), instant(self.columns.still.item(self.slot))
        return {"hours": round((newest - (still or newest)) / HOUR, 1)}

    def dump(self) -> list[Any]:
        columns, slot = self.columns, self.slot
        held = columns.held.item(slot)
        return [
            *super().dump(),
            instant(columns.still.item(slot)),
            None if isnan(held) else held,
            columns.seen.item(slot),
            columns.newest.item(slot),
        ]

    def load(self, data: Sequence[Any]) -> None:
        super().load(data)
        columns, slot, (still, held, seen, newest) = self.columns, self.slot, data[2:]
        columns.still[slot] = NEVER if still is None else int(still)
        columns.held[slot] = nan if held is None else float(held)
        columns.seen[slot], columns.newest[slot] = int(seen), int(newest)


def build(rule: Rule, place: Place) -> StuckInstance | None:
    point = place.table.find(place.device.id, rule.point)
    over = rule.parameters.get("over")
    if point is None or not isinstance(over, int):
        return None
    return StuckInstance(rule, point, over, place.shelf.of(Stills))
