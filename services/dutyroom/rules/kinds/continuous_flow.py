"""continuous_flow: people stop using water, leaks do not."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from dutyroom.fields import Fields
from dutyroom.model.telemetry import Point
from dutyroom.rules.kind import Place, Watched, Window, gap_of
from dutyroom.rules.spec import Rule
from dutyroom.timebase import HOUR, MINUTE, Ms

DOC = (
    "A register with no hour of less than `least` (unit per hour) in `over` of observed time. Hours "
    "inside a gap are not observed. Clears with the first such hour."
)

_HOUR = 54 * MINUTE  # nine tenths: hourly readings wander by some minutes


def parameters(fields: Fields) -> dict[str, object]:
    return {
        "over": fields.duration("over", 24 * HOUR),
        "least": fields.number("least", 0.002, low=0.0),
        "gap": fields.duration("gap", 0),
    }


class FlowInstance(Watched):
    def __init__(self, rule: Rule, point: Point, over: Ms, least: float) -> None:
        super().__init__(rule, point)
        self.over, self.least = over, least
        self.gap = gap_of(rule, point)
        self.window = Window(_HOUR, self.gap)
        self.observed: Ms = 0  # since the last hour without flow
        self.newest: Ms | None = None
        self.flow = 0.0

    def breach(self, at: Ms, value: float, retained: bool) -> bool | None:
        if retained:
            return None
        step = 0 if self.newest is None else at - self.newest
        self.newest = at
        moved = self.window.take(at, value)
        if self.gap is None or step <= self.gap:
            self.observed += step
        if moved is not None:
            self.flow = moved[1] * HOUR / moved[0]
            if self.flow < self.least:
                self.observed = 0
        if self.delay.active and moved is None:
            return True  # after a gap: nothing is known until an hour has been seen
        return self.observed >= self.over

    def arguments(self) -> dict[str, str | int | float | bool | None]:
        return {"hours": round(self.observed / HOUR), "flow": round(self.flow * 1000, 1)}

    def dump(self) -> list[Any]:
        return [*super().dump(), self.window.dump(), self.observed, self.newest, self.flow]

    def load(self, data: Sequence[Any]) -> None:
        super().load(data)
        self.window.load(data[2])
        self.observed, self.newest, self.flow = data[3:]


def build(rule: Rule, place: Place) -> FlowInstance | None:
    point = place.table.find(place.device.id, rule.point)
    over, least = rule.parameters.get("over"), rule.parameters.get("least")
    if point is None or not isinstance(over, int) or not isinstance(least, float):
        return None
    return FlowInstance(rule, point, over, least)
