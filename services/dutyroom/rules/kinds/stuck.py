"""stuck: a register that stands still while its readings keep coming."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from dutyroom.fields import Fields
from dutyroom.model.telemetry import Point
from dutyroom.rules.kind import Place, Watched, gap_of
from dutyroom.rules.spec import Rule
from dutyroom.timebase import HOUR, Ms

DOC = "A value that has not moved for `over`, seen by at least three readings without a gap."

_LEAST = 3


def parameters(fields: Fields) -> dict[str, object]:
    return {"over": fields.duration("over", 6 * HOUR), "gap": fields.duration("gap", 0)}


class StuckInstance(Watched):
    def __init__(self, rule: Rule, point: Point, over: Ms) -> None:
        super().__init__(rule, point)
        self.over = over
        self.gap = gap_of(rule, point)
        self.still: Ms | None = None  # first reading of the value that stands
        self.held: float | None = None
        self.seen = 0
        self.newest: Ms = 0

    def breach(self, at: Ms, value: float, retained: bool) -> bool | None:
        if retained:
            return None
        moved = value != self.held
        if moved or (self.gap is not None and at - self.newest > self.gap):
            self.still, self.held, self.seen = at, value, 0
        self.seen += 1
        self.newest = at
        if self.delay.active and not moved:
            return True
        return at - (self.still or at) >= self.over and self.seen >= _LEAST

    def arguments(self) -> dict[str, str | int | float | bool | None]:
        return {"hours": round((self.newest - (self.still or self.newest)) / HOUR, 1)}

    def dump(self) -> list[Any]:
        return [*super().dump(), self.still, self.held, self.seen, self.newest]

    def load(self, data: Sequence[Any]) -> None:
        super().load(data)
        self.still, self.held, self.seen, self.newest = data[2:]


def build(rule: Rule, place: Place) -> StuckInstance | None:
    point = place.table.find(place.device.id, rule.point)
    over = rule.parameters.get("over")
    if point is None or not isinstance(over, int):
        return None
    return StuckInstance(rule, point, over)
