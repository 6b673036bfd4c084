"""expect: after another rule's condition, something must happen within a time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from dutyroom.fields import Fields
from dutyroom.model.duty import Condition
from dutyroom.model.telemetry import Point
from dutyroom.rules.columns import FOREVER
from dutyroom.rules.kind import Instance, Place, read_codes
from dutyroom.rules.spec import Rule
from dutyroom.timebase import SECOND, Ms

DOC = (
    "After the condition of rule `after`, on any device or on those that the device's parameter "
    "`backs` names (ids, comma between), the point must be one of `equals` within `within`. Clears "
    "when it is, or when the other condition has gone."
)


def parameters(fields: Fields) -> dict[str, object]:
    equals = read_codes(fields, "equals")
    if not equals:
        fields.wrong("", "equals is missing")
    return {
        "after": fields.text("after"),
        "equals": equals,
        "within": fields.duration("within", 30 * SECOND),
    }


class ExpectInstance(Instance):
    again = False  # what it waits for is said by another rule

    def __init__(
        self, rule: Rule, point: Point, after: str, codes: frozenset[float], within: Ms, backs: frozenset[str]
    ) -> None:
        super().__init__(rule, point.device, (point.id,))
        self.point, self.follows = point, after
        self.codes, self.within, self.backs = codes, within, backs
        self.causes: set[str] = set()  # objects whose condition stands
        self.deadline: Ms | None = None  # receive time
        self.met = False  # what is expected holds now

    def follow(self, condition: Condition, received: Ms) -> Condition | None:
        if self.backs and condition.object not in self.backs:
            return None
        if condition.active:
            if not self.causes and not self.met:
                self.deadline = received + self.within
            self.causes.add(condition.object)
            return None
        self.causes.discard(condition.object)
        return None if self.causes else self._settle(condition.at)

    def take(self, point: int, at: Ms, value: float, retained: bool, received: Ms) -> Condition | None:
        if retained:
            return None
        self.met = value in self.codes
        return self._settle(at) if self.met else None

    def reach(self, point: int, at: Ms, received: Ms) -> Condition | None:
        return self.tick(received)

    def tick(self, now: Ms) -> Condition | None:
        if self.deadline is None or now < self.deadline:
            return None
        at, self.deadline = self.deadline, None
        if self.active:
            return None
        return self._change(True, at)

    def _settle(self, at: Ms) -> Condition | None:
        self.deadline = None
        return self._change(False, at) if self.active else None

    def _change(self, active: bool, at: Ms) -> Condition:
        self._active = active
        cause = min(self.causes) if self.causes else ""
        return Condition(
            self.rule.id,
            self.device,
            active,
            at,
            self.point.spec.name,
            arguments={"device": cause, "seconds": self.within // SECOND},
        )

    @property
    def waiting(self) -> bool:
        return self.deadline is not None

    @property
    def due(self) -> tuple[Ms, Ms]:
        return (FOREVER if self.deadline is None else self.deadline), FOREVER

    def dump(self) -> list[Any]:
        return [self.active, sorted(self.causes), self.deadline, self.met]

    def load(self, data: Sequence[Any]) -> None:
        self._active, causes, self.deadline, self.met = data
        self.causes = set(causes)


def build(rule: Rule, place: Place) -> ExpectInstance | None:
    point = place.table.find(place.device.id, rule.point)
    after, equals, within = (rule.parameters.get(n) for n in ("after", "equals", "within"))
    if point is None or not isinstance(equals, tuple) or not isinstance(within, int):
        return None
    named = str(place.device.parameters.get("backs", ""))
    backs = frozenset(part.strip() for part in named.split(",") if part.strip())
    return ExpectInstance(rule, point, str(after), frozenset(equals), within, backs)
