"""rate: how fast a point moves, over a time long enough to be sure."""

from __future__ import annotations

from collections.abc import Sequence
from math import inf
from typing import Any, ClassVar

import numpy as np

from dutyroom.fields import Fields
from dutyroom.model.telemetry import Floats, Kind, Longs, Point
from dutyroom.rules.columns import Bools, Field, Keep, Slots
from dutyroom.rules.delay import Watched
from dutyroom.rules.kind import ANY, Bounds, Limit, Place, gap_of, read_limit
from dutyroom.rules.spec import Rule
from dutyroom.rules.window import WINDOW, Step, Windows
from dutyroom.timebase import HOUR, MINUTE, SECOND, Ms

DOC = (
    "A point that rises faster than `above` (its unit per hour), or falls faster than `below` (as a number below zero), over `over` or longer. `leap` (its unit per hour) and more "
    "between two readings that lie `over` or farther apart is the register of a unit that leapt, and no breach; so is, between two "
    "that lie closer, as much as that would be in all of `over`."
)


def parameters(fields: Fields) -> dict[str, object]:
    above, below = read_limit(fields, "above"), read_limit(fields, "below")
    if (above is None) == (below is None):
        fields.wrong("", "needs one of above and below")
    if below is not None and below.number is not None and below.number >= 0:
        fields.wrong("below", f"how fast it falls is a number below 0, such as {-below.number or -1:g}")
    return {
        **({"above": above} if below is None else {"below": below}),
        "over": fields.duration("over", 10 * MINUTE, SECOND),
        "gap": fields.duration("gap", 0),
        "leap": fields.number("leap", 0.0, low=0.0),
    }


class Rates(Windows):
    """Of each instance its window, and the rate when it was last known."""

    FIELDS: ClassVar = {
        **WINDOW,
        "limit": Field(np.float64, 0.0, kept=False),
        "leap": Field(np.float64, np.inf, kept=False),
        "sign": Field(np.float64, 1.0, kept=False),
        "rate": Field(np.float64, 0.0),
    }
    limit: Floats
    leap: Floats  # the rate from which on one reading shows no flow: the register leapt
    sign: Floats  # -1 = it looks at what falls
    rate: Floats

    def look(self, slots: Slots, at: Longs, value: Floats) -> tuple[Bools, Keep]:
        step = Step(self, slots, at, value * self.sign[slots])
        seen = np.flatnonzero(step.seen)
        rate = self.rate[slots]
        rate[seen] = step.moved[seen] * HOUR / step.elapsed[seen]
        # Readings that come more often and all say so are a flow, however large: a leap is one step.
        leapt = (rate >= self.leap[slots]) & (at - self.last[slots] >= self.span[slots])
        calm = ~(step.seen & (rate > self.limit[slots]) & ~leapt)

        def keep(which: Bools) -> None:
            step.keep(which)
            self.rate[slots[which]] = rate[which]

        return calm, keep


class RateInstance(Watched):
    """`value` is the rate in the point's unit per hour."""

    __slots__ = ("columns", "leap", "slot")
    columns: Rates

    def __init__(
        self,
        rule: Rule,
        point: Point,
        limit: float,
        over: Ms,
        rates: Rates,
        leap: float = inf,
        sign: int = 1,
    ) -> None:
        self.columns, self.slot = rates, rates.open(over, gap_of(rule, point))
        super().__init__(rule, point, (self.slot,))
        self.limit, rates.limit[self.slot] = limit * sign, limit
        rates.sign[self.slot], rates.gauge[self.slot] = sign, point.spec.kind is not Kind.COUNTER
        self.leap = rates.leap[self.slot] = leap
        rates.jump[self.slot] = leap * over / HOUR

    def breach(self, at: Ms, value: float, retained: bool) -> bool | None:
        if retained:
            return None
        alone = at - self.columns.last.item(self.slot) >= self.columns.span.item(self.slot)
        moved = self.columns.take(self.slot, at, value * self.columns.sign.item(self.slot))
        if moved is None:
            return None
        rate = self.columns.rate[self.slot] = moved[1] * HOUR / moved[0]
        return rate > self.columns.limit.item(self.slot) and not (alone and rate >= self.leap)

    def calm(self, point: int, value: float) -> Bounds | None:
        return ANY if self.still else None

    def arguments(self) -> dict[str, str | int | float | bool | None]:
        columns, slot = self.columns, self.slot
        return {"rate": round(columns.rate.item(slot) * columns.sign.item(slot), 3)}

    def dump(self) -> list[Any]:
        columns, slot = self.columns, self.slot
        return [*super().dump(), columns.dump_window(slot), columns.rate.item(slot)]

    def load(self, data: Sequence[Any]) -> None:
        super().load(data)
        self.columns.load_window(self.slot, data[2])
        self.columns.rate[self.slot] = float(data[3])


def build(rule: Rule, place: Place) -> RateInstance | None:
    point = place.table.find(place.device.id, rule.point)
    sign, over = (-1 if "below" in rule.parameters else 1), rule.parameters.get("over")
    given = rule.parameters.get("below" if sign < 0 else "above")
    if point is None or not isinstance(given, Limit) or not isinstance(over, int):
        return None
    limit = given.of(place.device) * sign
    return RateInstance(rule, point, limit, over, place.shelf.of(Rates), _leap(rule, place, limit), sign)


def _leap(rule: Rule, place: Place, limit: float) -> float:
    """Only of a unit: mains, hydrants and shops let through what no home can, and no other rule calls that a leap.
    Where a site allows as much as that, it is a flow."""
    leap = rule.parameters.get("leap")
    home = place.device.parameters.get("use", "unit") == "unit"
    return leap if home and isinstance(leap, float) and leap > limit else inf
