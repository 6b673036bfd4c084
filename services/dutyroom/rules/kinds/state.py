"""state: a code that is, or is not, one of some."""

from __future__ import annotations

from dutyroom.fields import Fields
from dutyroom.model.telemetry import Point
from dutyroom.rules.kind import Place, Watched, read_codes
from dutyroom.rules.spec import Rule
from dutyroom.timebase import Ms

DOC = "A state point whose code is one of `equals`, or none of `not`."


def parameters(fields: Fields) -> dict[str, object]:
    equals, others = read_codes(fields, "equals"), read_codes(fields, "not")
    if bool(equals) == bool(others):
        fields.wrong("", "needs one of equals and not")
    return {"equals": equals, "not": others, "gap": fields.duration("gap", 0)}


class StateInstance(Watched):
    def __init__(self, rule: Rule, point: Point, codes: frozenset[float], wanted: bool) -> None:
        super().__init__(rule, point)
        self.codes, self.wanted = codes, wanted

    def breach(self, at: Ms, value: float, retained: bool) -> bool | None:
        return (value in self.codes) == self.wanted

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
