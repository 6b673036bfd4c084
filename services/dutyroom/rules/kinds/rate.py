"""rate: how fast a point moves, over a time long enough to be sure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from dutyroom.fields import Fields
from dutyroom.model.telemetry import Point
from dutyroom.rules.kind import Limit, Place, Watched, Window, gap_of, read_limit
from dutyroom.rules.spec import Rule
from dutyroom.timebase import HOUR, MINUTE, Ms

DOC = "A point that rises faster than `above` (its unit per hour) over `over` or longer."


def parameters(fields: Fields) -> dict[str, object]:
    above = read_limit(fields, "above")
    if above is None:
        fields.wrong("", "above is missing")
    return {
        "above": above,
        "over": fields.duration("over", 10 * MINUTE),
        "gap": fields.duration("gap", 0),
    }


class RateInstance(Watched):
    """`value` is the rate in the point's unit per hour."""

    def __init__(self, rule: Rule, point: Point, limit: float, over: Ms) -> None:
        super().__init__(rule, point)
        self.limit = limit
        self.window = Window(over, gap_of(rule, point))
        self.rate = 0.0

    def breach(self, at: Ms, value: float, retained: bool) -> bool | None:
        if retained:
            return None
        moved = self.window.take(at, value)
        if moved is None:
            return None
        self.rate = moved[1] * HOUR / moved[0]
        return self.limit is not None and self.rate > self.limit

    def arguments(self) -> dict[str, str | int | float | bool | None]:
        return {"rate": round(self.rate, 3)}

    def dump(self) -> list[Any]:
        return [*super().dump(), self.window.dump(), self.rate]

    def load(self, data: Sequence[Any]) -> None:
        super().load(data)
        self.window.load(data[2])
        self.rate = data[3]


def build(rule: Rule, place: Place) -> RateInstance | None:
    point = place.table.find(place.device.id, rule.point)
    above, over = rule.parameters.get("above"), rule.parameters.get("over")
    if point is None or not isinstance(above, Limit) or not isinstance(over, int):
        return None
    return RateInstance(rule, point, above.of(place.device), over)
