"""Detectors that learn (`learned`) as instances of a rule: of one point, or of a group of devices."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

import msgspec

from dutyroom.model.duty import Condition, Device
from dutyroom.model.telemetry import Point
from dutyroom.model.workdays import WEEK, Workdays
from dutyroom.rules.columns import NEVER
from dutyroom.rules.kind import ANY, Bounds, Instance, Place, counters
from dutyroom.rules.learned import Detector, Finding, ZoneDetector
from dutyroom.rules.learned.localtime import LocalTime
from dutyroom.rules.learned.meter import Meter
from dutyroom.rules.spec import Rule
from dutyroom.timebase import HOUR, MINUTE, SECOND, Ms, zone

_USUAL_S = HOUR // SECOND  # of a device that says no interval of its own
_PACE: Ms = 5 * MINUTE


@lru_cache(maxsize=64)
def local_time(name: str, calendar: Workdays = WEEK) -> LocalTime:
    """Of an IANA zone and a site's calendar; the same for all who ask. Raises Rejected for an unknown name."""
    return LocalTime(zone(name), calendar)


def meter_of(place: Place, device: Device, point: Point) -> Meter:
    """What the registry knows of a point. A device may stand in a time zone of its own."""
    spec = point.spec
    own = device.parameters.get("time_zone")
    low, high = spec.low, spec.high
    height = device.parameters.get("height")
    if isinstance(height, int | float) and not isinstance(height, bool):
        low, high = 0.0, float(height)
    return Meter(
        device.device_class,
        str(device.parameters.get("use", "unit")),
        local_time(str(own) if own else place.ground.time_zone, place.ground.calendar),
        device.interval_s or spec.interval_s or _USUAL_S,
        float(spec.step) if spec.step is not None else 0.0,
        low,
        high,
    )


class Learner(Instance):
    """A detector on one point. What one learns from is hours, not seconds: it asks for readings."""

    __slots__ = ("_packed", "detector", "pace", "point", "wants")
    asks = True

    def __init__(self, rule: Rule, point: Point, detector: Detector, interval_s: int) -> None:
        """interval_s: expected between readings; of more frequent ones some are passed over."""
        super().__init__(rule, point.device, (point.id,))
        self.point, self.detector = point, detector
        self.pace = min(_PACE, interval_s * SECOND // 2)
        self.wants: Ms = NEVER
        self._packed: msgspec.Raw | None = None  # as it is since the last reading taken

    def take(self, point: int, at: Ms, value: float, retained: bool, received: Ms) -> Condition | None:
        if retained or at < self.wants:
            return None
        self.wants, self._packed = at + self.pace, None
        detector = self.detector
        detector.tick(at)
        detector.read(at, value)
        if detector.active == self._active:
            return None
        return said(self, detector, at, self.point, value)

    def calm(self, point: int, value: float) -> Bounds | None:
        return ANY

    def adopt(self, active: bool) -> None:
        self._active, self._packed = active, None

    def packed(self) -> msgspec.Raw:
        """Most have taken no reading between two snapshots."""
        if self._packed is None:
            self._packed = msgspec.Raw(msgspec.msgpack.encode(self.dump()))
        return self._packed

    def dump(self) -> list[Any]:
        return [self._active, self.wants, self.detector.dump()]

    def load(self, data: Sequence[Any]) -> None:
        self._active, self._packed = bool(data[0]), None
        self.wants = int(data[1])
        self.detector.load(data[2])


class Compared(Learner):
    """One that looks at other devices too: what comes late is not put in its place among theirs."""

    __slots__ = ()
    again = False


def learner(
    rule: Rule, place: Place, detector: Callable[[Meter], Detector], make: type[Learner] = Learner
) -> Learner | None:
    """A detector on the rule's point of a device, or on its register where the rule names none; None while
    there is none."""
    device = place.device
    point = place.table.find(device.id, rule.point) if rule.point else next(iter(counters(place, "")), None)
    if point is None:
        return None
    meter = meter_of(place, device, point)
    return make(rule, point, detector(meter), meter.interval_s)


class GroupLearner(Instance):
    """A detector on the points of the devices that its device feeds. It asks for every reading."""

    __slots__ = ("detector", "places")
    asks = True
    detector: ZoneDetector

    def __init__(self, rule: Rule, device: str, points: Sequence[Point], detector: ZoneDetector) -> None:
        super().__init__(rule, device, tuple(p.id for p in points))
        self.detector = detector
        self.places = {p.id: i for i, p in enumerate(points)}

    def take(self, point: int, at: Ms, value: float, retained: bool, received: Ms) -> Condition | None:
        if retained:
            return None
        self.detector.tick(at)
        self.detector.read(self.places[point], at, value)
        return said(self, self.detector, at) if self.detector.active != self._active else None

    def calm(self, point: int, value: float) -> Bounds | None:
        return ANY

    def dump(self) -> list[Any]:
        return [self._active, list(self.places), self.detector.dump()]

    def load(self, data: Sequence[Any]) -> None:
        """Raises ValueError where the group is another one than it was: it learns anew."""
        if list(data[1]) != list(self.places):
            raise ValueError("another group")
        self._active = bool(data[0])
        self.detector.load(data[2])


def said(
    instance: Instance, detector: Finding, at: Ms, point: Point | None = None, value: float | None = None
) -> Condition:
    """That it is otherwise now than it was."""
    instance.adopt(detector.active)
    arguments = {name: round(number, 3) for name, number in detector.arguments().items()}
    return Condition(
        instance.rule.id,
        instance.device,
        detector.active,
        at,
        point.spec.name if point is not None else "",
        value,
        None,
        point.spec.unit if point is not None else "",
        {**arguments, "cause": detector.cause},
    )
