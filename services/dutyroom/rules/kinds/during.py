"""during: a limit or a state of one point while other points of the same device are in theirs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from dutyroom.fields import Fields
from dutyroom.model.duty import Condition
from dutyroom.model.telemetry import Point
from dutyroom.rules.delay import Delay, Watched
from dutyroom.rules.kind import Limit, Place, gap_of, read_codes, read_deadband, read_limit
from dutyroom.rules.side import Side, Test, read_tests, side_of, sides_of
from dutyroom.rules.spec import Rule
from dutyroom.timebase import SECOND, Ms

DOC = (
    "The point is above `above`, below `below`, one of `equals` or none of `not`, while every point that `while` "
    "names is as it says there, by readings no older than a gap. Both delays are a second at least: the points of "
    "one message come one after the other. `confirmed`: the delay is no shorter than one and a quarter of the point's interval, so that one "
    "sample alone says nothing. With `every`, a device that is expected to speak less often is not judged: two "
    "looks at a door do not say what it did between them."
)


def parameters(fields: Fields) -> dict[str, object]:
    test = Test(
        "",
        read_codes(fields, "equals"),
        read_codes(fields, "not"),
        read_limit(fields, "above"),
        read_limit(fields, "below"),
    )
    if sum((bool(test.equals), bool(test.others), test.above is not None, test.below is not None)) != 1:
        fields.wrong("", "needs one of above, below, equals and not")
    others = read_tests(fields, "while")
    if not others:
        fields.wrong("", "while is missing; without it, this is a rule of kind limit or state")
    return {
        "test": test,
        "deadband": read_deadband(fields),
        "while": others,
        "gap": fields.duration("gap", 0),
        "every": fields.duration("every", 0),
        "confirmed": fields.flag("confirmed"),
    }


class DuringInstance(Watched):
    """Of each point its newest reading; time counts while all hold."""

    __slots__ = ("before", "main", "newest", "others", "seen")

    def __init__(self, rule: Rule, main: Side, others: Sequence[Side], least: Ms) -> None:
        super().__init__(rule, main.point, more=tuple(s.point.id for s in others))
        self.main, self.others = main, tuple(others)
        self.limit = main.limit if main.codes is None else None
        self.delay = Delay(max(rule.on_delay, least), max(rule.off_delay, SECOND), gap_of(rule, main.point))
        self.seen: dict[int, tuple[Ms, float]] = {}
        self.newest: Ms = 0
        self.before: list[Any] | None = None  # the delay before this instant; None = something was said at it

    def take(self, point: int, at: Ms, value: float, retained: bool, received: Ms) -> Condition | None:
        if retained and point in self.seen and self._holds() and not self._holds((point, at, value)):
            return None  # that it no longer is, only the device says
        self.seen[point] = (at, value)
        if at > self.newest:
            self.newest, self.before = at, self.delay.dump()
        elif at == self.newest and self.before is not None:
            self.delay.load(
                self.before
            )  # the points of one instant count together, in whatever order they came
        holds = self._holds()
        if holds is None:
            return None
        if holds or self.value is None:
            self.value = self.seen.get(self.main.point.id, (0, None))[1]
        changed = self.delay.take(holds, self.newest, received, retained, one_of_many=True)
        if changed is None:
            return None
        self.before = None
        return self.condition(changed)

    def _holds(self, instead: tuple[int, Ms, float] | None = None) -> bool | None:
        """None = of one point too little is known, and none that is known speaks against it."""
        unknown = False
        for side in (self.main, *self.others):
            at, value = self.seen.get(side.point.id, (None, 0.0))
            if instead is not None and side.point.id == instead[0]:
                at, value = instead[1:]
            if at is None and side.optional:
                continue
            if at is None or (side.gap is not None and self.newest - at > side.gap):
                unknown = True
            elif not side.holds(value, self.delay.active):
                return False
        return None if unknown else True

    def arguments(self) -> dict[str, str | int | float | bool | None]:
        value = self.value
        return {"code": int(value) if value is not None and self.main.codes is not None else None}

    @property
    def turned(self) -> Ms:
        return max(super().turned, self.newest)  # a reading of one point that is older than one of another

    @property
    def rest(self) -> bool:
        return not self.seen and super().rest

    def dump(self) -> list[Any]:
        return [*super().dump(), sorted((p, *reading) for p, reading in self.seen.items()), self.newest]

    def load(self, data: Sequence[Any]) -> None:
        super().load(data)
        self.seen = {int(p): (int(at), float(value)) for p, at, value in data[2] if int(p) in self.points}
        self.newest = int(data[3])


def build(rule: Rule, place: Place) -> DuringInstance | None:
    test, others, band = (rule.parameters.get(n) for n in ("test", "while", "deadband"))
    if not isinstance(test, Test) or not isinstance(others, tuple) or not isinstance(band, Limit):
        return None
    return _built(rule, place, test, others, band.of(place.device))


def _built(
    rule: Rule, place: Place, test: Test, others: tuple[Test, ...], band: float
) -> DuringInstance | None:
    point: Point | None = place.table.find(place.device.id, rule.point)
    every, interval = rule.parameters.get("every"), place.device.interval_s
    if (
        point is not None
        and isinstance(every, int)
        and 0 < every < (interval or point.spec.interval_s or 0) * SECOND
    ):
        return None
    sides = sides_of(others, rule, place.device, place.table)
    if point is None or sides is None:
        return None
    named = Test(rule.point, test.equals, test.others, test.above, test.below)
    main = side_of(named, rule, place.device, place.table, band)
    interval = place.device.interval_s or point.spec.interval_s or 0
    least = 5 * interval * SECOND // 4 if rule.parameters.get("confirmed") else 0
    return None if main is None else DuringInstance(rule, main, sides, max(SECOND, least))
