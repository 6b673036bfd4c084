"""unplanned_run: a machine runs though nothing is there that it should run for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from dutyroom.fields import Fields
from dutyroom.model.duty import Condition
from dutyroom.model.telemetry import DeviceClass, Point
from dutyroom.rules.backing import backed_in
from dutyroom.rules.delay import Watched
from dutyroom.rules.kind import GAPS, Place, read_codes
from dutyroom.rules.spec import Rule
from dutyroom.timebase import MINUTE, SECOND, Ms

DOC = (
    "The point has been one of `equals` for the on-delay while no condition of rule `unless` stood, on the feeders that "
    "the device's parameter `backs` names, else on those whose supply meets its own at a switch below it, else on any, each of these was heard within `fresh` or three of its intervals, and no plan "
    "with a proof wanted a run of this device (from `ahead` before it is due until its grace is over). A device "
    "without feeders, or that no such plan concerns, is not judged. The time counts anew from when the other "
    "condition has gone: a set runs on until the load is back and it has cooled down."
)


def parameters(fields: Fields) -> dict[str, object]:
    equals = read_codes(fields, "equals")
    if not equals:
        fields.wrong("", "equals is missing")
    return {
        "equals": equals,
        "unless": fields.text("unless"),
        "fresh": fields.duration("fresh", 10 * MINUTE),
        "gap": fields.duration("gap", 0),
    }


class UnplannedInstance(Watched):
    again = False  # what it runs for is said by another rule
    __slots__ = ("causes", "codes", "feeders", "follows", "fresh", "now", "place", "runs")

    def __init__(
        self, rule: Rule, point: Point, codes: frozenset[float], feeders: Sequence[str], place: Place
    ) -> None:
        super().__init__(rule, point)
        fresh = rule.parameters.get("fresh")
        self.follows = str(rule.parameters.get("unless"))
        self.codes, self.feeders, self.place = codes, tuple(feeders), place
        self.fresh: Ms = fresh if isinstance(fresh, int) else 0
        self.causes: set[str] = set()  # feeders whose condition stands
        self.runs = False
        self.now: Ms = 0  # receive time

    def take(self, point: int, at: Ms, value: float, retained: bool, received: Ms) -> Condition | None:
        self.now = received
        return super().take(point, at, value, retained, received)

    def breach(self, at: Ms, value: float, retained: bool) -> bool | None:
        self.runs = value in self.codes
        return self._for_nothing(at)

    def _for_nothing(self, at: Ms) -> bool:
        if not self.runs or self.causes or not self._mains():
            return False
        return self.place.ground.planned(self.device, at) is False

    def _mains(self) -> bool:
        """Whether each feeder was heard: of one that is silent nobody knows whether it is live."""
        return all(self._heard(feeder) for feeder in self.feeders)

    def _heard(self, feeder: str) -> bool:
        at, known = self.place.heard(feeder), self.place.devices.get(feeder)
        allowance = max(self.fresh, GAPS * ((known.interval_s or 0) if known else 0) * SECOND)
        return at is not None and self.now - at <= allowance

    def follow(self, condition: Condition, received: Ms) -> Condition | None:
        if condition.object not in self.feeders:
            return None
        (self.causes.add if condition.active else self.causes.discard)(condition.object)
        self.now = received
        changed = self.delay.take(self._for_nothing(condition.at), condition.at, received, False)
        return None if changed is None else self.condition(changed)

    def tick(self, now: Ms) -> Condition | None:
        self.now = now
        if not self.delay.active and not self._for_nothing(now):
            return None
        return super().tick(now)

    def reach(self, point: int, at: Ms, received: Ms) -> Condition | None:
        return None  # what it ran for is looked at with the reading

    def arguments(self) -> dict[str, str | int | float | bool | None]:
        return {"minutes": self.rule.on_delay // MINUTE}

    @property
    def rest(self) -> bool:
        return super().rest and not self.causes and not self.runs

    def dump(self) -> list[Any]:
        return [*super().dump(), sorted(self.causes), self.runs]

    def load(self, data: Sequence[Any]) -> None:
        super().load(data)
        self.causes, self.runs = set(data[2]) & set(self.feeders), bool(data[3])


def build(rule: Rule, place: Place) -> UnplannedInstance | None:
    point = place.table.find(place.device.id, rule.point)
    equals = rule.parameters.get("equals")
    every = [d.id for d in place.devices.values() if d.device_class == DeviceClass.FEEDER]
    backs = backed_in(place)
    # A transformer above them may never say anything; a name in the row is meant.
    meant = backs if place.device.parameters.get("backs") else backs & set(every)
    feeders = sorted(meant) or every
    if point is None or not feeders or not isinstance(equals, tuple):
        return None
    return UnplannedInstance(rule, point, frozenset(equals), feeders, place)
