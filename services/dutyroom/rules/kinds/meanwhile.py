"""meanwhile: a state of this device while another device is beyond a limit."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from dutyroom.errors import Rejected
from dutyroom.fields import Fields
from dutyroom.model.duty import Condition
from dutyroom.model.telemetry import Point
from dutyroom.rules.delay import Watched
from dutyroom.rules.kind import Limit, Place, read_codes, read_limit
from dutyroom.rules.spec import Rule
from dutyroom.timebase import Ms

DOC = (
    "The point is one of `equals` while the point `other_point` of the device that our device's "
    "parameter `other` names is above `above` or below `below`."
)


def parameters(fields: Fields) -> dict[str, object]:
    equals = read_codes(fields, "equals")
    if not equals:
        fields.wrong("", "equals is missing")
    above, below = read_limit(fields, "above"), read_limit(fields, "below")
    if (above is None) == (below is None):
        fields.wrong("", "needs one of above and below")
    return {
        "equals": equals,
        "other": fields.text("other"),
        "other_point": fields.text("other_point"),
        "above": above,
        "below": below,
        "gap": fields.duration("gap", 0),
    }


class MeanwhileInstance(Watched):
    """Both sides keep their newest value; time counts while both hold."""

    __slots__ = ("beyond", "changed", "codes", "other", "own", "sign")

    def __init__(
        self, rule: Rule, point: Point, other: Point, codes: frozenset[float], limit: float, sign: int
    ) -> None:
        super().__init__(rule, point, more=(other.id,))
        self.other = other
        self.codes, self.limit, self.sign = codes, limit, sign
        self.own = self.beyond = False
        self.changed: Ms = 0  # event time at which a side was last another one

    def take(self, point: int, at: Ms, value: float, retained: bool, received: Ms) -> Condition | None:
        before = (self.own, self.beyond)
        # A retained side may begin to hold; that it no longer does, only the device says.
        if point == self.other.id:
            limit = self.limit or 0.0
            self.beyond = value * self.sign > limit * self.sign or (retained and self.beyond)
            self.value = value
        else:
            self.own = value in self.codes or (retained and self.own)
        # Two clocks: what one side says may be older than the last change of the other.
        at = max(at, self.changed)
        if (self.own, self.beyond) != before:
            self.changed = at
        changed = self.delay.take(self.own and self.beyond, at, received, retained)
        return None if changed is None else self.condition(changed)

    @property
    def turned(self) -> Ms:
        return max(super().turned, self.changed)

    @property
    def rest(self) -> bool:
        return False

    def dump(self) -> list[Any]:
        return [*super().dump(), self.own, self.beyond, self.changed]

    def load(self, data: Sequence[Any]) -> None:
        super().load(data)
        self.own, self.beyond, self.changed = data[2:]


def build(rule: Rule, place: Place) -> MeanwhileInstance | None:
    named = place.device.parameters.get(str(rule.parameters.get("other")))
    if named is None:
        return None
    device = place.devices.get(str(named))
    if device is None:
        raise Rejected(f"device {place.device.id}: {rule.parameters.get('other')} {named!r} does not exist")
    own = place.table.find(place.device.id, rule.point)
    other = place.table.find(device.id, str(rule.parameters.get("other_point")))
    if own is None or other is None:
        return None
    above, below, equals = (rule.parameters.get(n) for n in ("above", "below", "equals"))
    limit = above if isinstance(above, Limit) else below
    if not isinstance(limit, Limit) or not isinstance(equals, tuple):
        return None
    sign = 1 if limit is above else -1
    return MeanwhileInstance(rule, own, other, frozenset(equals), limit.of(device), sign)
