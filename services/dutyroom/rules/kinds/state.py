"""state: a code that is, or is not, one of some."""

from __future__ import annotations

from math import inf, nextafter

from dutyroom.fields import Fields
from dutyroom.model.telemetry import Kind, Point
from dutyroom.rules.delay import Watched
from dutyroom.rules.kind import Bounds, Place, read_codes
from dutyroom.rules.spec import Rule
from dutyroom.timebase import Ms

DOC = (
    "A state point whose code is one of `equals`, or none of `not`. Where the device has no such point, the first that it "
    "has of `otherwise`: makers name the same thing in many ways. Those must be codes: `smoke` of one detector is an alarm, of "
    "another it is a percentage. With `label` only those on which one of `equals` means that: 1 is closed on some door contacts."
)


def parameters(fields: Fields) -> dict[str, object]:
    equals, others = read_codes(fields, "equals"), read_codes(fields, "not")
    if bool(equals) == bool(others):
        fields.wrong("", "needs one of equals and not")
    return {
        "equals": equals,
        "not": others,
        "otherwise": fields.texts("otherwise"),
        "label": fields.text("label", ""),
        "gap": fields.duration("gap", 0),
    }


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
    point = _point(rule, place)
    if point is None:
        return None
    equals, others = rule.parameters.get("equals"), rule.parameters.get("not")
    codes = equals or others
    return StateInstance(rule, point, frozenset(codes if isinstance(codes, tuple) else ()), bool(equals))


def _point(rule: Rule, place: Place) -> Point | None:
    """The rule's own point, be it code or number, else the first code of `otherwise`: a text of that name is none."""
    names = rule.parameters.get("otherwise")
    own = place.table.find(place.device.id, rule.point)
    if not names or not isinstance(names, tuple) or (own is not None and own.spec.kind is not Kind.TEXT):
        return own
    found = (place.table.find(place.device.id, name) for name in names)
    return next((point for point in found if point is not None and _means(rule, point)), None)


def _means(rule: Rule, point: Point) -> bool:
    label, codes = rule.parameters.get("label"), rule.parameters.get("equals")
    said = (point.spec.labels.get(int(code)) for code in codes) if isinstance(codes, tuple) else ()
    return point.spec.kind is Kind.STATE and (not label or label in said)
