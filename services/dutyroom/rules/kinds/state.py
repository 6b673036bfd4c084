"""state: a code that is, or is not, one of some."""

from __future__ import annotations

from math import inf, nextafter

from dutyroom.fields import Fields
from dutyroom.model.telemetry import Point
from dutyroom.rules.delay import Watched
from dutyroom.rules.kind import Bounds, Place, read_codes
from dutyroom.rules.spec import Rule
from dutyroom.timebase import Ms

DOC = "A state point whose code is one of `equals`, or none of `not`."


def parameters(fields: Fields) -> dict[str, object]:
    equals, others = read_codes(fields, "equals"), read_codes(fields, "not")
    if bool(equals) == bool(others):
        fields.wrong("", "needs one of equals and not")
    return {"equals": equals, "not": others, "gap": fields.duration("gap", 0)}


class StateInstance(Watched):
    __slots__ = ("codes", "wanted")

    def __init__(self, rule: Rule, point: Point, codes: frozenset[float], wanted: bool) -> None:
        super().__init__(rule, point)
        self.codes, self.wanted = codes, wanted

    def breach(self, at: Ms, value: float, retained: bool) -> bool | None:
        return (value in self.codes) == self.wanted

    def calm(self, point: int, value: float) -> Bounds | None:
        """Between the codes on both sides of the value, or on one of them."""
        if self.delay.since is not None or self.breach(0, value, False) != self.delay.active:
            return None
        if value in self.codes:
            return value, value
        low = max((code for code in self.codes if code < value), default=-inf)
        high = min((code for code in self.codes if code > value), default=inf)
        return nextafter(low, inf) if low != -inf else low, nextafter(high, -inf) if high != inf else high

    def arguments(self) -> dict[str, str | int | float | bool | None]:
        code = None if self.value is None else int(self.value)
        return {"code": code}


def build(rule: Rule, place: Place) -> StateInstance | None:
    point = place.table.find(place.device.id, rule.point)
    if point is None:
        return None
    equals, others = rule.parameters.get("equals"), rule.parameters.get("not")
    codes = equals or others
    return StateInstance(rule, point, frozenset(codes if isinstance(codes, tuple) else ()), bool(equals))
