"""expect: after another rule's condition, something must happen within a time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from dutyroom.fields import Fields
from dutyroom.model.duty import Condition
from dutyroom.model.telemetry import Point
from dutyroom.rules.backing import backed_in
from dutyroom.rules.columns import FOREVER, NEVER
from dutyroom.rules.kind import Instance, Place, read_codes
from dutyroom.rules.spec import Rule
from dutyroom.timebase import MINUTE, SECOND, Ms

DOC = (
    "After the condition of rule `after`, on those that the device's parameter `backs` names (ids, comma between), else on "
    "those whose supply meets its own at a switch below it, else on any device, the point must be one of `equals` within `within`. Clears "
    "when it is, or when the other condition has gone. A point that is read at an interval of more than half of that time is judged by "
    "the first reading after it, and without one an interval later, a minute at most: when it changed between two nobody knows."
)
MOST: Ms = MINUTE  # that a reading is waited for
SLACK: Ms = 5 * SECOND  # and its way
RESUME: Ms = MINUTE  # after a time in which nobody listened: what waits in the broker comes first


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
    def __init__(
        self, rule: Rule, point: Point, after: str, codes: frozenset[float], within: Ms, backs: frozenset[str]
    ) -> None:
        super().__init__(rule, point.device, (point.id,))
        self.point, self.follows = point, after
        self.codes, self.within, self.backs = codes, within, backs
        pace = (point.spec.interval_s or 0) * SECOND
        # Beyond `by`, for the reading that tells; of what is read twice within the time the last one does.
        self.patience: Ms = min(pace, MOST) + SLACK if pace > within // 2 else 0
        self.causes: set[str] = set()  # objects whose condition stands
        self.deadline: Ms | None = None  # by when we must have heard of it
        self.by: Ms = 0  # by when it must be, in event time
        self.over: Ms | None = None  # what was late is no longer wanted since then: not said yet
        self.changed: Ms = NEVER  # event time of the last thing that counted
        self.met = False  # what is expected holds now
        self.hold: Ms = 0  # time alone says nothing before

    def follow(self, condition: Condition, received: Ms) -> Condition | None:
        if self.backs and condition.object not in self.backs:
            return None
        self.changed = max(self.changed, condition.at)
        if condition.active:
            if not self.causes and not self.met:
                self.deadline = received + self.within + self.patience
                self.by = condition.at + self.within
            self.causes.add(condition.object)
            return None
        self.causes.discard(condition.object)
        if self.causes:
            return None
        if self.deadline is not None and condition.at > self.by + self.patience:  # it was late before that
            self.over = condition.at
            return self._late(condition.object)
        return self._settle(condition.at)

    def take(self, point: int, at: Ms, value: float, retained: bool, received: Ms) -> Condition | None:
        if retained:
            return None
        met, self.met = self.met, value in self.codes
        if met != self.met:
            self.changed = max(self.changed, at)
        if self.met:
            return self._settle(at)
        return self._late() if self.deadline is not None and at > self.by else None

    def reach(self, point: int, at: Ms, received: Ms) -> Condition | None:
        """What comes in time, however long it was on its way, is in time. What ended before is not ended by this."""
        if self.over is not None and at > self.over:
            return self._ended()
        return self._late() if self.deadline is not None and at > self.by + self.patience else None

    def tick(self, now: Ms) -> Condition | None:
        if self.over is not None:
            return self._ended()
        return self._late() if self.deadline is not None and now >= max(self.deadline, self.hold) else None

    def deferred(self, now: Ms) -> None:
        self.hold = now + RESUME

    def _late(self, cause: str = "") -> Condition | None:
        self.deadline, self.changed = None, max(self.changed, self.by)
        return None if self.active else self._change(True, self.by, cause)

    def _ended(self) -> Condition | None:
        """Says what was not said yet; the deadline of a condition that has come since then still runs."""
        at, self.over = self.over, None
        return self._change(False, at) if self.active and at is not None else None

    def _settle(self, at: Ms) -> Condition | None:
        at = at if self.over is None else min(at, self.over)
        self.deadline = self.over = None
        return self._change(False, at) if self.active else None

    def _change(self, active: bool, at: Ms, cause: str = "") -> Condition:
        self._active = active
        cause = min(self.causes, default=cause)
        return Condition(
            self.rule.id,
            self.device,
            active,
            at,
            self.point.spec.name,
            arguments={"device": cause, "seconds": self.within // SECOND},
        )

    @property
    def turned(self) -> Ms:
        return max(self.spoke, self.changed)

    @property
    def waiting(self) -> bool:
        return self.deadline is not None or self.over is not None

    @property
    def due(self) -> tuple[Ms, Ms]:
        if self.over is not None:
            return self.over, FOREVER
        return (FOREVER if self.deadline is None else max(self.deadline, self.hold)), FOREVER

    def dump(self) -> list[Any]:
        known = [self.active, sorted(self.causes), self.deadline, self.met, self.by, self.changed, self.over]
        return [*known, self.hold]

    def load(self, data: Sequence[Any]) -> None:
        self._active, causes, self.deadline, self.met = data[:4]
        self.by, self.changed, self.over = data[4:7] if len(data) > 4 else (self.deadline or 0, NEVER, None)
        self.hold = data[7] if len(data) > 7 else 0
        self.causes = set(causes)


def build(rule: Rule, place: Place) -> ExpectInstance | None:
    point = place.table.find(place.device.id, rule.point)
    after, equals, within = (rule.parameters.get(n) for n in ("after", "equals", "within"))
    if point is None or not isinstance(equals, tuple) or not isinstance(within, int):
        return None
    backs = backed_in(place)
    return ExpectInstance(rule, point, str(after), frozenset(equals), within, backs)
