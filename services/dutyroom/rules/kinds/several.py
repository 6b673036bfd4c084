"""several: the highest or lowest of several points of a device, or how unlike they are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from dutyroom.fields import Fields
from dutyroom.model.duty import Condition
from dutyroom.model.telemetry import Point
from dutyroom.rules.delay import Delay, Watched
from dutyroom.rules.kind import Limit, Place, gap_of, read_deadband, read_limit
from dutyroom.rules.spec import Rule
from dutyroom.timebase import SECOND, Ms

DOC = (
    "Of the points that `points` names, as far as the device has them (`otherwise`: those it is asked of where it has "
    "none of them): the `highest` or the `lowest` (`measure`) is "
    "above `above` or below `below`; or their `unbalance`, the farthest from their mean in per cent of it (NEMA MG 1), "
    "judged once all have been read anew and their mean is `least` or more. Both delays are a second at least."
)
MEASURES = ("highest", "lowest", "unbalance")
_FEWEST = 3  # phases


def parameters(fields: Fields) -> dict[str, object]:
    points = fields.texts("points")
    if not points:
        fields.wrong("", "points is missing")
    above, below = read_limit(fields, "above"), read_limit(fields, "below")
    if (above is None) == (below is None):
        fields.wrong("", "needs one of above and below")
    return {
        "points": points,
        "otherwise": fields.texts("otherwise"),
        "measure": fields.choice("measure", MEASURES, "highest"),
        "above": above,
        "below": below,
        "deadband": read_deadband(fields),
        "least": read_limit(fields, "least") or Limit(0.0),
        "gap": fields.duration("gap", 0),
    }


def unbalance(values: Sequence[float]) -> float:
    """Largest deviation from the mean, in per cent of the mean (NEMA MG 1-2016, 14.36). The mean must not be 0."""
    mean = sum(values) / len(values)
    return 100.0 * max(abs(v - mean) for v in values) / abs(mean)


class SeveralInstance(Watched):
    """`value` is the measure; `which` the point that is the highest, the lowest, or the most unlike."""

    __slots__ = (
        "_clear",
        "_raise",
        "before",
        "gap",
        "judged",
        "kept",
        "least",
        "measure",
        "names",
        "newest",
        "seen",
        "sign",
        "which",
    )

    def __init__(
        self,
        rule: Rule,
        points: Sequence[Point],
        measure: str,
        limit: float,
        band: float,
        sign: int,
        least: float,
    ) -> None:
        super().__init__(rule, points[0], more=tuple(p.id for p in points[1:]))
        self.names = {p.id: p.spec.name for p in points}
        self.measure, self.limit, self.sign, self.least = measure, limit, sign, least
        self._raise, self._clear = limit * sign, limit * sign - band
        self.gap = gap_of(rule, points[0])
        self.delay = Delay(max(rule.on_delay, SECOND), max(rule.off_delay, SECOND), self.gap)
        self.seen: dict[int, tuple[Ms, float]] = {}
        self.newest: Ms = 0
        self.before: list[Any] | None = None  # the delay before this instant; None = something was said at it
        self.judged: Ms = 0  # newest reading of the judgement before
        self.which = points[0].spec.name
        self.kept = False  # what waits was begun by what a broker had kept

    def take(self, point: int, at: Ms, value: float, retained: bool, received: Ms) -> Condition | None:
        if retained:
            self._retained(point, at, value, received)
            return None
        self.kept = False
        self.seen[point] = (at, value)
        if at > self.newest:
            self.newest, self.before = at, self.delay.dump()
        elif at == self.newest and self.before is not None:
            self.delay.load(
                self.before
            )  # the points of one instant count together, in whatever order they came
        known = self._known()
        if not known:
            return None
        measured, which = self._measured(known)
        breach = measured * self.sign > (self._clear if self.delay.active else self._raise)
        if breach:
            self.value, self.which = measured, which
        changed = self.delay.take(breach, self.newest, received, retained, one_of_many=True)
        if changed is None:
            return None
        self.before = None
        return self.condition(changed)

    def _retained(self, point: int, at: Ms, value: float, received: Ms) -> None:
        """Of values that come on change it begins a wait, as of a feeder that was dead before we listened; the next one
        of another point may take that away, and nothing else."""
        if self.gap is not None or self.measure == "unbalance" or self.delay.active:
            return
        self.seen[point] = (at, value)
        known, waits = self._known(), self.delay.since is not None
        measured, which = self._measured(known) if known else (0.0, "")
        if known and measured * self.sign > self._raise and not waits:
            self.delay.take(True, at, received, True)
            self.value, self.which, self.kept = measured, which, True
        elif known and measured * self.sign <= self._raise and self.kept:
            self.delay.since, self.kept = None, False

    def _known(self) -> dict[str, float]:
        """By name, what may be judged now; {} = not yet."""
        gap = self.gap
        fresh = {p: r for p, r in self.seen.items() if gap is None or self.newest - r[0] <= gap}
        if self.measure == "unbalance":
            if len(fresh) < len(self.names) or min(at for at, _ in fresh.values()) <= self.judged:
                return {}
            self.judged = self.newest
        values = {self.names[p]: value for p, (_, value) in fresh.items()}
        mean = sum(values.values()) / len(values)
        if mean < self.least or (self.measure == "unbalance" and mean <= 0.0):
            return {}
        return values

    def _measured(self, values: dict[str, float]) -> tuple[float, str]:
        if self.measure == "unbalance":
            mean = sum(values.values()) / len(values)
            return unbalance(tuple(values.values())), max(values, key=lambda n: abs(values[n] - mean))
        which = (
            max(values, key=values.__getitem__)
            if self.measure == "highest"
            else min(values, key=values.__getitem__)
        )
        return values[which], which

    def condition(self, at: Ms) -> Condition:
        said = super().condition(at)
        unit = "%" if self.measure == "unbalance" else said.unit
        return Condition(
            said.rule,
            said.object,
            said.active,
            said.at,
            self.which,
            said.value,
            said.limit,
            unit,
            said.arguments,
        )

    def arguments(self) -> dict[str, str | int | float | bool | None]:
        return {"point": self.which}

    @property
    def turned(self) -> Ms:
        return max(super().turned, self.newest)  # a reading of one point that is older than one of another

    @property
    def rest(self) -> bool:
        return not self.seen and super().rest

    def dump(self) -> list[Any]:
        seen = sorted((p, *reading) for p, reading in self.seen.items())
        return [*super().dump(), seen, self.newest, self.judged, self.which]

    def load(self, data: Sequence[Any]) -> None:
        super().load(data)
        self.seen = {int(p): (int(at), float(value)) for p, at, value in data[2] if int(p) in self.names}
        self.newest, self.judged, self.which = int(data[3]), int(data[4]), str(data[5])


def build(rule: Rule, place: Place) -> SeveralInstance | None:
    given = rule.parameters
    names, band, least, measure = (
        given.get("points"),
        given.get("deadband"),
        given.get("least"),
        given.get("measure"),
    )
    limit = given.get("above") or given.get("below")
    if not isinstance(names, tuple) or not isinstance(band, Limit) or not isinstance(least, Limit):
        return None
    others = given.get("otherwise")
    found = _there(place, names) or (_there(place, others) if isinstance(others, tuple) else [])
    if not found or not isinstance(limit, Limit) or (measure == "unbalance" and len(found) < _FEWEST):
        return None
    sign = 1 if given.get("above") is not None else -1
    device = place.device
    return SeveralInstance(
        rule, found, str(measure), limit.of(device), band.of(device), sign, least.of(device)
    )


def _there(place: Place, names: Sequence[str]) -> list[Point]:
    return [p for name in names if (p := place.table.find(place.device.id, name)) is not None]
