"""repeated: a state that comes again and again in a short time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from dutyroom.fields import Fields
from dutyroom.model.duty import Condition
from dutyroom.model.telemetry import Point
from dutyroom.rules.columns import FOREVER
from dutyroom.rules.kind import Instance, Place, read_codes
from dutyroom.rules.side import Side, Test, read_tests, sides_of
from dutyroom.rules.spec import Rule
from dutyroom.timebase import MINUTE, Ms

DOC = (
    "The point has become one of `equals` `times` times within `over`, and none of the points that `forget` names was "
    "as it says there meanwhile: then counting begins anew, and what stands clears. Clears also once `over` has passed "
    "without another time."
)


def parameters(fields: Fields) -> dict[str, object]:
    equals = read_codes(fields, "equals")
    if not equals:
        fields.wrong("", "equals is missing")
    return {
        "equals": equals,
        "times": fields.integer("times", 5, 2, 100),
        "over": fields.duration("over", 10 * MINUTE),
        "forget": read_tests(fields, "forget"),
    }


class RepeatedInstance(Instance):
    """`value` of what it says is how often."""

    again = False  # how often it came in a short time is news, not history
    __slots__ = ("codes", "forget", "heard", "inside", "over", "point", "seen", "times")

    def __init__(
        self, rule: Rule, point: Point, codes: frozenset[float], times: int, over: Ms, forget: Sequence[Side]
    ) -> None:
        super().__init__(rule, point.device, (point.id, *(s.point.id for s in forget)))
        self.point, self.codes, self.times, self.over = point, codes, times, over
        self.forget = {side.point.id: side for side in forget}
        self.inside: bool | None = None  # whether it is one of the codes; None = not known
        self.seen: list[Ms] = []  # when it became one, oldest first
        self.heard: Ms = 0  # receive time of the newest of them

    def take(self, point: int, at: Ms, value: float, retained: bool, received: Ms) -> Condition | None:
        if retained:
            return None
        ended = self._pass(at)
        if point != self.point.id:
            if not self.forget[point].holds(value):
                return ended
            self.seen = []
            return self._change(at, False) if self._active else ended
        before, self.inside = self.inside, value in self.codes
        if before is not False or not self.inside:
            return ended
        self.seen, self.heard = [*self.seen, at][-self.times :], received
        if self._active or len(self.seen) < self.times:
            return ended
        return self._change(at, True)

    def _pass(self, now: Ms) -> Condition | None:
        """Forgets what is older than `over`."""
        last = self.seen[-1] if self.seen else now
        self.seen = [at for at in self.seen if now - at < self.over]
        if self._active and not self.seen:
            return self._change(min(last + self.over, now), False)
        return None

    def tick(self, now: Ms) -> Condition | None:
        """By its receive time: the device's clock says nothing while it is silent."""
        if not self._active or now - self.heard < self.over:
            return None
        at = (self.seen[-1] if self.seen else now - self.over) + self.over
        self.seen = []
        return self._change(at, False)

    def reach(self, point: int, at: Ms, received: Ms) -> Condition | None:
        return self._pass(at)

    @property
    def waiting(self) -> bool:
        return self._active

    @property
    def due(self) -> tuple[Ms, Ms]:
        return self.heard + self.over, FOREVER

    @property
    def rest(self) -> bool:
        return self.inside is None and not self.seen and not self._active

    def _change(self, at: Ms, active: bool) -> Condition:
        self._active = active
        spec = self.point.spec
        told = {"count": self.times, "minutes": self.over // MINUTE}
        return Condition(
            self.rule.id, self.device, active, at, spec.name, float(self.times), None, "", {**told}
        )

    def dump(self) -> list[Any]:
        return [self._active, self.inside, list(self.seen), self.heard]

    def load(self, data: Sequence[Any]) -> None:
        self._active, self.inside, seen, heard = data
        self.seen, self.heard = [int(at) for at in seen], int(heard)


def build(rule: Rule, place: Place) -> RepeatedInstance | None:
    point = place.table.find(place.device.id, rule.point)
    equals, times, over, forget = (rule.parameters.get(n) for n in ("equals", "times", "over", "forget"))
    if point is None or not isinstance(equals, tuple) or not isinstance(forget, tuple):
        return None
    tests = tuple(t for t in forget if isinstance(t, Test))
    sides = sides_of(tests, rule, place.device, place.table)
    if sides is None or not isinstance(times, int) or not isinstance(over, int):
        return None
    return RepeatedInstance(rule, point, frozenset(equals), times, over, sides)
