"""limit: a value above or below a limit, with deadband and delays."""

from __future__ import annotations

from math import inf, nextafter

from dutyroom.fields import Fields
from dutyroom.model.telemetry import Point
from dutyroom.rules.delay import Watched
from dutyroom.rules.kind import Bounds, Limit, Place, read_deadband, read_limit
from dutyroom.rules.spec import Rule
from dutyroom.timebase import Ms

DOC = "A point above `above` or below `below`; clears once it is `deadband` back inside."


def parameters(fields: Fields) -> dict[str, object]:
    above, below = read_limit(fields, "above"), read_limit(fields, "below")
    if (above is None) == (below is None):
        fields.wrong("", "needs one of above and below")
    return {
        "above": above,
        "below": below,
        "deadband": read_deadband(fields),
        "gap": fields.duration("gap", 0),
    }


class LimitInstance(Watched):
    __slots__ = ("_clear", "_raise", "sign")

    def __init__(self, rule: Rule, point: Point, limit: float, deadband: float, sign: int) -> None:
        super().__init__(rule, point)
        self.limit, self.sign = limit, sign
        self._raise, self._clear = limit * sign, limit * sign - deadband

    def breach(self, at: Ms, value: float, retained: bool) -> bool | None:
        return value * self.sign > (self._clear if self.delay.active else self._raise)

    def calm(self, point: int, value: float) -> Bounds | None:
        if self.delay.since is not None:
            return None
        low, high = (nextafter(self._clear, inf), inf) if self.delay.active else (-inf, self._raise)
        return (low, high) if self.sign > 0 else (-high, -low)


def build(rule: Rule, place: Place) -> LimitInstance | None:
    point = place.table.find(place.device.id, rule.point)
    if point is None:
        return None
    above, below, band = (rule.parameters.get(n) for n in ("above", "below", "deadband"))
    limit = above if isinstance(above, Limit) else below
    deadband = band.of(place.device) if isinstance(band, Limit) else 0.0
    if not isinstance(limit, Limit):
        return None
    at = limit.of(place.device, place.fed(limit.fed) if limit.each else 0)
    return LimitInstance(rule, point, at, deadband, 1 if limit is above else -1)
