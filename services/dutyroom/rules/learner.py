"""Detectors that learn (`learned`) as instances of a rule: of one point, or of a group of devices."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Any, TypeAlias, TypeVar

from dutyroom.model.duty import Condition, Device
from dutyroom.model.telemetry import Point
from dutyroom.model.workdays import WEEK, Workdays
from dutyroom.rules.columns import NEVER, Columns
from dutyroom.rules.kind import ANY, Bounds, Instance, Place, counters
from dutyroom.rules.learned import Detector, Finding, ZoneDetector, ready
from dutyroom.rules.learned.localtime import LocalTime
from dutyroom.rules.learned.meter import Meter
from dutyroom.rules.spec import Rule
from dutyroom.timebase import HOUR, MINUTE, SECOND, Ms, zone

_USUAL_S = HOUR // SECOND  # of a device that says no interval of its own
_PACE: Ms = 5 * MINUTE
_FEW = 6  # points, a tank and its pumps: of more the readings overtake each other on their way all the time
Make: TypeAlias = Callable[[Meter], Detector]


@lru_cache(maxsize=64)
def local_time(name: str, calendar: Workdays = WEEK) -> LocalTime:
    """Of an IANA zone and a site's calendar; the same for all who ask. Raises Rejected for an unknown name."""
    return LocalTime(zone(name), calendar)


_meter = lru_cache(maxsize=4096)(Meter)  # most are alike


def meter_of(place: Place, device: Device, point: Point) -> Meter:
    """What the registry knows of a point. A device may stand in a time zone of its own."""
    spec = point.spec
    own = device.parameters.get("time_zone")
    low, high = spec.low, spec.high
    height = device.parameters.get("height")
    if isinstance(height, int | float) and not isinstance(height, bool):
        low, high = 0.0, float(height)
    rated = device.parameters.get("rated")
    return _meter(
        device.device_class,
        str(device.parameters.get("use", "unit")),
        local_time(str(own) if own else place.ground.time_zone, place.ground.calendar),
        device.interval_s or spec.interval_s or _USUAL_S,
        float(spec.step) if spec.step is not None else 0.0,
        low,
        high,
        float(rated)
        if isinstance(rated, int | float) and rated > 0 and not isinstance(rated, bool)
        else None,
    )


class Worker:
    """One detector for all points that are alike: it has the state of one, takes its readings, and gives the state
    back when another one is to be worked for."""

    __slots__ = ("_holder", "detector", "fresh", "pace")

    def __init__(self, detector: Detector, meter: Meter) -> None:
        """meter: what it was made for; of readings that come more often than it says some are passed over."""
        self.detector, self.fresh = detector, detector.pack()
        self.pace = min(_PACE, meter.interval_s * SECOND // 2)
        self._holder: Learner | None = None  # whose state it has

    def of(self, learner: Learner) -> Detector:
        """The detector, with the state of this one."""
        if self._holder is not learner:
            self.settle()
            learner.state = learner.state or self.fresh
            self.detector.unpack(learner.state)
            self._holder = learner
        return self.detector

    def settle(self, learner: Learner | None = None) -> None:
        """Gives the state back to whose it is; to nobody but this learner, where one is named."""
        holder = self._holder
        if holder is not None and learner in (None, holder):
            holder.state, self._holder = self.detector.pack(), None

    def leave(self, learner: Learner) -> None:
        """It has another state from now on."""
        if self._holder is learner:
            self._holder = None


class Workers(Columns):
    """Those of an engine, by what makes them."""

    def __init__(self) -> None:
        super().__init__()
        self._held: dict[tuple[Make, Meter], Worker] = {}

    def of(self, make: Make, meter: Meter, alone: bool = False) -> Worker:
        """alone: for one learner only, whose state stays unpacked."""
        if alone:
            return Worker(make(meter), meter)
        found = self._held.get((make, meter))
        if found is None:
            found = self._held[make, meter] = Worker(make(meter), meter)
        return found


class Learner(Instance):
    """A detector on one point. What one learns from is hours, not seconds: it asks for readings.

    Of a hundred thousand points each is but the bytes that its detector packs, a third of what a detector takes."""

    __slots__ = ("_worker", "point", "state", "wants")
    asks = True

    def __init__(self, rule: Rule, point: Point, worker: Worker) -> None:
        super().__init__(rule, point.device, (point.id,))
        self.point, self._worker = point, worker
        self.wants: Ms = NEVER
        self.state = b""  # as its worker gave it back; b"" = it has heard nothing yet

    @property
    def ready(self) -> Ms:
        return ready(self._detector()) if self.state else 0

    def _detector(self) -> Detector:
        return self._worker.of(self)

    def take(self, point: int, at: Ms, value: float, retained: bool, received: Ms) -> Condition | None:
        if retained or at < self.wants:
            return None
        detector = self._detector()
        cause = detector.cause
        self.wants = at + self._worker.pace
        detector.tick(at)
        detector.read(at, value)
        if detector.active == self._active and (not detector.active or detector.cause == cause):
            return None
        return said(self, detector, at, self.point, value)

    def passed(self, point: int, at: Ms) -> bool:
        return False  # it knows one point

    @property
    def foresees(self) -> bool:
        return True

    def calm(self, point: int, value: float) -> Bounds | None:
        return ANY

    def adopt(self, active: bool) -> None:
        self._active = active

    def dump(self) -> list[Any]:
        if not self.state:  # most, when a site is new
            return [self._active, self.wants, None]
        self._worker.settle(self)
        return [self._active, self.wants, self._kept()]

    def _kept(self) -> list[Any]:
        """What `dump` of its detector gives."""
        return [self.state]

    def load(self, data: Sequence[Any]) -> None:
        self._worker.leave(self)
        self.state = b""
        if data[2] is not None:
            self._detector().load(data[2])
        self._active, self.wants = bool(data[0]), int(data[1])


L = TypeVar("L", bound=Learner)


def learner(rule: Rule, place: Place, make: Make, point: str = "") -> Learner | None:
    """A detector on a point of a device ("" = the rule's), or on its register where the rule names none; None while
    there is none. make: the same for all devices of a rule, so that they share a worker."""
    return learner_of(Learner, rule, place, make, point)


def learner_of(kind: type[L], rule: Rule, place: Place, make: Make, name: str = "") -> L | None:
    """The same, of a kind of its own."""
    device, name = place.device, name or rule.point
    point = place.table.find(device.id, name) if name else next(iter(counters(place, "")), None)
    if point is None:
        return None
    return kind(
        rule, point, place.shelf.of(Workers).of(make, meter_of(place, device, point), place.shelf.roomy)
    )


class GroupLearner(Instance):
    """A detector on the points of the devices that its device feeds. It asks for every reading, and what it says
    follows from their order over all points: a device whose messages wait in a gateway is late among the others
    though each of its readings is its newest. In a large group only what is late by more than an interval counts."""

    __slots__ = ("_slack", "detector", "newest", "places", "unit")
    asks = True
    detector: ZoneDetector

    def __init__(self, rule: Rule, device: str, points: Sequence[Point], detector: ZoneDetector) -> None:
        super().__init__(rule, device, tuple(p.id for p in points))
        self.detector = detector
        self.places = {p.id: i for i, p in enumerate(points)}
        self.newest: tuple[Ms, int] = (NEVER, 0)  # instant and point of the last reading in that order
        every = max((p.spec.interval_s or _USUAL_S for p in points), default=0) * SECOND
        self._slack = every if len(points) > _FEW else 0
        units = {p.spec.unit for p in points[:2]}
        self.unit = units.pop() if len(units) == 1 else ""

    @property
    def ready(self) -> Ms:
        return ready(self.detector)

    def take(self, point: int, at: Ms, value: float, retained: bool, received: Ms) -> Condition | None:
        if retained:
            return None
        self.newest = max(self.newest, (at, point))
        detector, cause = self.detector, self.detector.cause
        detector.tick(at)
        detector.read(self.places[point], at, value)
        if detector.active == self._active and (not detector.active or detector.cause == cause):
            return None
        return replace(said(self, detector, at), unit=self.unit)

    def passed(self, point: int, at: Ms) -> bool:
        return (at + self._slack, point) < self.newest

    def calm(self, point: int, value: float) -> Bounds | None:
        return ANY

    def adopt(self, active: bool) -> None:
        self._active = active

    def dump(self) -> list[Any]:
        return [self._active, array("i", self.places).tobytes(), self.detector.dump(), *self.newest]

    def load(self, data: Sequence[Any]) -> None:
        """Raises ValueError where the group is another one than it was: it learns anew."""
        if data[1] != array("i", self.places).tobytes():
            raise ValueError("another group")
        self._active = bool(data[0])
        self.newest = (int(data[3]), int(data[4])) if len(data) > 4 else (NEVER, 0)
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
