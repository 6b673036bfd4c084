"""since_service: how far a counter has gone since the device was serviced last."""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase
from math import isnan, nan
from typing import Any

from dutyroom.fields import Fields
from dutyroom.model.duty import Condition
from dutyroom.model.telemetry import Point
from dutyroom.rules.kind import Ground, Instance, Limit, Place, read_limit
from dutyroom.rules.spec import Rule
from dutyroom.timebase import DAY, Ms

DOC = (
    "A counter has gone farther than `above` since the newest work of a plan on this device was done; `plans`: ids or "
    "globs of the plans that count, without it all of the device but those that come round in less than ten days: a daily check is no service. A device on which none was done is not judged. What the "
    "counter said before the rule saw it is not known: then it counts from its first reading."
)


def parameters(fields: Fields) -> dict[str, object]:
    above = read_limit(fields, "above")
    if above is None:
        fields.wrong("", "above is missing")
    return {"above": above, "plans": fields.texts("plans")}


class SinceInstance(Instance):
    """`value` is how far it has gone."""

    __slots__ = ("count", "ground", "last", "limit", "plans", "point", "since")

    def __init__(
        self, rule: Rule, point: Point, limit: float, plans: tuple[str, ...], ground: Ground
    ) -> None:
        super().__init__(rule, point.device, (point.id,))
        self.point, self.limit, self.plans, self.ground = point, limit, plans, ground
        self.since: Ms = 0  # when it was serviced; 0 = nobody knows
        self.last, self.count = nan, 0.0

    def take(self, point: int, at: Ms, value: float, retained: bool, received: Ms) -> Condition | None:
        if retained:
            return None
        since = self._serviced(at)
        if since != self.since:
            self.since, self.count = since, 0.0
        elif value > self.last:  # an exchanged or reset counter goes on from where it is
            self.count += value - self.last
        self.last = value
        beyond = self.since > 0 and self.count > self.limit
        return self._change(beyond, at) if beyond != self._active else None

    def _serviced(self, at: Ms) -> Ms:
        """When it was serviced last before a reading; 0 = never. What was done after a reading that comes late
        does not count for it, and of each plan only the newest work is known: the one before is ours to know."""
        done = [done for plan, done in self.ground.serviced(self.device).items() if self._counts(plan)]
        return max([self.since, *(one for one in done if one <= at)]) if done else 0

    def _counts(self, plan: str) -> bool:
        if not self.plans:
            return plan not in self.ground.rounds
        return any(fnmatchcase(plan, glob) for glob in self.plans)

    def _change(self, active: bool, at: Ms) -> Condition:
        self._active = active
        spec = self.point.spec
        told = {"count": round(self.count), "days": max(0, (at - self.since) // DAY) if self.since else 0}
        return Condition(
            self.rule.id, self.device, active, at, spec.name, self.count, self.limit, spec.unit, {**told}
        )

    def dump(self) -> list[Any]:
        return [self._active, self.since, None if isnan(self.last) else self.last, self.count]

    def load(self, data: Sequence[Any]) -> None:
        self._active, self.since, last, self.count = data
        self.last = nan if last is None else float(last)


def build(rule: Rule, place: Place) -> SinceInstance | None:
    point = place.table.find(place.device.id, rule.point)
    above, plans = rule.parameters.get("above"), rule.parameters.get("plans")
    if point is None or not isinstance(above, Limit) or not isinstance(plans, tuple):
        return None
    return SinceInstance(rule, point, above.of(place.device), plans, place.ground)
