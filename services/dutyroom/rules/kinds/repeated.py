"""repeated: a state that comes again and again in a short time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from dutyroom.fields import Fields
from dutyroom.model.duty import Condition
from dutyroom.model.telemetry import Point
from dutyroom.rules.columns import FOREVER, NEVER, instant
from dutyroom.rules.kind import Instance, Place, read_codes
from dutyroom.rules.side import Side, Test, read_tests, sides_of
from dutyroom.rules.spec import Rule
from dutyroom.timebase import MINUTE, SECOND, Ms

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
        "over": fields.duration("over", 10 * MINUTE, SECOND),
        "forget": read_tests(fields, "forget"),
    }


class RepeatedInstance(Instance):
    """`value` of what it says is how often. What points say of one instant counts together, in whatever order they
    say it: so it is judged when that instant is over."""

    __slots__ = ("codes", "forget", "forgot", "full", "heard", "inside", "over", "point", "seen", "times")

    def __init__(
        self, rule: Rule, point: Point, codes: frozenset[float], times: int, over: Ms, forget: Sequence[Side]
    ) -> None:
        super().__init__(rule, point.device, (point.id, *(s.point.id for s in forget)))
        self.point, self.codes, self.times, self.over = point, codes, times, over
        self.forget = {side.point.id: side for side in forget}
        self.inside: bool | None = None  # whether it is one of the codes; None = not known
        self.seen: list[Ms] = []  # when it became one, oldest first
        self.forgot: Ms = NEVER  # when counting began anew
        self.full = False  # often enough, with the newest of them
        self.heard: Ms = 0  # receive time of the newest of them

    def take(self, point: int, at: Ms, value: float, retained: bool, received: Ms) -> Condition | None:
        if retained:
            return None
        ended = self._ended(at)
        if point != self.point.id:
            return self._forget(at) or ended if self.forget[point].holds(value) else ended
        before, self.inside = self.inside, value in self.codes
        if before is False and self.inside and at > self.forgot:
            self.seen = [*(t for t in self.seen if at - t < self.over), at][-self.times :]
            self.heard, self.full = received, not self._active and len(self.seen) == self.times
        return ended

    def _forget(self, at: Ms) -> Condition | None:
        self.forgot = max(self.forgot, at)
        self.seen = [t for t in self.seen if t > at]
        self.full = self.full and len(self.seen) == self.times
        return self._change(at, False) if self._active else None

    def _ended(self, now: Ms) -> Condition | None:
        """Of what has not come again for `over`; a fresh count begins with its next time."""
        end = (self.seen[-1] if self.seen else self.spoke) + self.over
        if not self._active or end > now:
            return None
        self.seen = []
        return self._change(end, False)

    def reach(self, point: int, at: Ms, received: Ms) -> Condition | None:
        return self._raised() if self.full and at > self.seen[-1] else self._ended(at)

    def tick(self, now: Ms) -> Condition | None:
        """By its receive time: the device's clock says nothing while it is silent."""
        if self.full:
            return self._raised()
        if not self._active or now - self.heard < self.over:
            return None
        return self._ended(now if not self.seen else FOREVER)

    def _raised(self) -> Condition:
        self.full = False
        return self._change(self.seen[-1], True)

    def deferred(self, now: Ms) -> None:
        self.heard = max(self.heard, now)

    @property
    def turned(self) -> Ms:
        """Beyond the instant at which it was raised: another point may say of it that counting began anew."""
        return max(self.spoke + self._active, self.forgot, self.seen[-1] if self.seen else NEVER)

    @property
    def waiting(self) -> bool:
        return self._active or self.full

    @property
    def due(self) -> tuple[Ms, Ms]:
        return self.heard if self.full else self.heard + self.over, FOREVER

    @property
    def rest(self) -> bool:
        return self.inside is None and not self.seen and not self._active and self.forgot == NEVER

    def _change(self, at: Ms, active: bool) -> Condition:
        self._active = active
        spec = self.point.spec
        told = {"count": self.times, "minutes": self.over // MINUTE}
        return Condition(
            self.rule.id, self.device, active, at, spec.name, float(self.times), None, "", {**told}
        )

    def dump(self) -> list[Any]:
        return [self._active, self.inside, list(self.seen), self.heard, instant(self.forgot), self.full]

    def load(self, data: Sequence[Any]) -> None:
        self._active, self.inside, seen, heard = data[:4]
        self.seen, self.heard = [int(at) for at in seen], int(heard)
        forgot, self.full = data[4:] if len(data) > 4 else (None, False)
        self.forgot = NEVER if forgot is None else int(forgot)


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
