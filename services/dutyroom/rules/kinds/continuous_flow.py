"""continuous_flow: people stop using water, leaks do not."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

from dutyroom.fields import Fields
from dutyroom.model.telemetry import Floats, Longs, Point
from dutyroom.rules.columns import NEVER, Bools, Field, Keep, Slots
from dutyroom.rules.delay import Watched
from dutyroom.rules.kind import ANY, Bounds, Place, gap_of
from dutyroom.rules.spec import Rule
from dutyroom.rules.window import WINDOW, Step, Windows
from dutyroom.timebase import HOUR, MINUTE, SECOND, Ms

DOC = (
    "A register with no hour of less than `least` (unit per hour) in `over` of observed time. Hours "
    "inside a gap are not observed. Clears with the first such hour."
)

_HOUR = 54 * MINUTE  # nine tenths: hourly readings wander by some minutes


def parameters(fields: Fields) -> dict[str, object]:
    return {
        "over": fields.duration("over", 24 * HOUR, SECOND),
        "least": fields.number("least", 0.002, low=0.0),
        "gap": fields.duration("gap", 0),
    }


class Flows(Windows):
    """Of each instance its hour, and how much time without such an hour was observed."""

    FIELDS: ClassVar = {
        **WINDOW,
        "over": Field(np.int64, 0, kept=False),
        "least": Field(np.float64, 0.0, kept=False),
        "observed": Field(np.int64, 0),  # since the last hour without flow
        "flow": Field(np.float64, 0.0),
    }
    over: Longs
    least: Floats
    observed: Longs
    flow: Floats

    def look(self, slots: Slots, at: Longs, value: Floats) -> tuple[Bools, Keep]:
        last = self.last[slots]
        passed = np.where(last == NEVER, 0, at - last)
        passed[passed > self.gap[slots]] = 0
        observed = self.observed[slots] + passed
        step = Step(self, slots, at, value)
        seen = np.flatnonzero(step.seen)
        flow = self.flow[slots]
        flow[seen] = step.moved[seen] * HOUR / step.elapsed[seen]
        observed[step.seen & (flow < self.least[slots])] = 0

        def keep(which: Bools) -> None:
            step.keep(which)
            rows = slots[which]
            self.observed[rows], self.flow[rows] = observed[which], flow[which]

        return observed < self.over[slots], keep

    def take_hour(self, slot: int, at: Ms, value: float) -> bool:
        """The same for one reading; returns whether an hour has been seen now."""
        last = self.last.item(slot)
        passed = 0 if last == NEVER else at - last
        moved = self.take(slot, at, value)
        if passed <= self.gap.item(slot):
            self.observed[slot] += passed
        if moved is None:
            return False
        flow = self.flow[slot] = moved[1] * HOUR / moved[0]
        if flow < self.least.item(slot):
            self.observed[slot] = 0
        return True


class FlowInstance(Watched):
    __slots__ = ("columns", "slot")
    columns: Flows

    def __init__(self, rule: Rule, point: Point, over: Ms, least: float, flows: Flows) -> None:
        self.columns, self.slot = flows, flows.open(_HOUR, gap_of(rule, point))
        super().__init__(rule, point, (self.slot,))
        flows.over[self.slot], flows.least[self.slot] = over, least

    def breach(self, at: Ms, value: float, retained: bool) -> bool | None:
        if retained:
            return None
        columns, slot = self.columns, self.slot
        if not columns.take_hour(slot, at, value) and self.delay.active:
            return True  # after a gap: nothing is known until an hour has been seen
        return columns.observed.item(slot) >= columns.over.item(slot)

    def calm(self, point: int, value: float) -> Bounds | None:
        return ANY if self.still else None

    def arguments(self) -> dict[str, str | int | float | bool | None]:
        observed, flow = self.columns.observed.item(self.slot), self.columns.flow.item(self.slot)
        return {"hours": round(observed / HOUR), "flow": round(flow * 1000, 1)}

    def dump(self) -> list[Any]:
        columns, slot = self.columns, self.slot
        window = columns.dump_window(slot)
        return [*super().dump(), window, columns.observed.item(slot), window[1], columns.flow.item(slot)]

    def load(self, data: Sequence[Any]) -> None:
        super().load(data)
        self.columns.load_window(self.slot, data[2])
        self.columns.observed[self.slot], self.columns.flow[self.slot] = int(data[3]), float(data[5])


def build(rule: Rule, place: Place) -> FlowInstance | None:
    point = place.table.find(place.device.id, rule.point)
    over, least = rule.parameters.get("over"), rule.parameters.get("least")
    if point is None or not isinstance(over, int) or not isinstance(least, float):
        return None
    return FlowInstance(rule, point, over, least, place.shelf.of(Flows))
