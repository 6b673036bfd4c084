"""What every rule kind is made of: its instance on one device, and limits.

A kind is a module in `rules/kinds` with `DOC`, `parameters(fields)` (reads and checks the
`parameters:` of a rule) and `build(rule, place)` (the instance on one device, None while the point
does not exist yet, `Rejected` when it never can). State is plain data, so that it can be stored.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from math import inf
from typing import Any, Protocol, TypeAlias

from dutyroom.errors import Rejected
from dutyroom.fields import Fields
from dutyroom.model.duty import Condition, Device
from dutyroom.model.telemetry import Kind, Point, PointTable
from dutyroom.model.workdays import WEEK, Workdays
from dutyroom.rules.columns import FOREVER, NEVER, Columns, Shelf
from dutyroom.rules.spec import Rule
from dutyroom.timebase import SECOND, Ms

GAPS = 3  # a silence longer than this many expected intervals is a gap


@dataclass(frozen=True, slots=True)
class Ground:
    """Where and when the devices of a site stand."""

    time_zone: str = "UTC"
    below: Callable[[str, str], Sequence[str]] = lambda utility, device: ()  # the devices it feeds directly
    above: Callable[[str], Sequence[str]] = lambda device: ()  # what feeds it, in any utility
    calendar: Workdays = WEEK
    serviced: Callable[[str], Mapping[str, Ms]] = (
        lambda device: {}
    )  # by plan: when its work on it was last done
    rounds: Collection[
        str
    ] = ()  # plans that come round too often to be a service: what is looked at each day, or week
    planned: Callable[[str, Ms], bool | None] = lambda device, at: (
        None
    )  # a run is wanted; None = no plan of it


NOWHERE = Ground()


@dataclass(frozen=True, slots=True)
class Place:
    """Where an instance is built: its device, among the others and all points."""

    device: Device
    devices: Mapping[str, Device]
    table: PointTable
    shelf: Shelf = field(default_factory=Shelf)  # the columns of the engine
    ground: Ground = NOWHERE
    heard: Callable[[str], Ms | None] = lambda device: None  # receive time of its last sign of life

    def members(self, utility: str) -> list[Device]:
        """The devices that ours feeds directly."""
        listed = self.ground.below(utility, self.device.id)
        return [self.devices[device] for device in listed if device in self.devices]

    def fed(self, utility: str) -> int:
        """How many devices lie at the ends of what ours feeds, through whatever is between."""
        seen, queue, ends = {self.device.id}, [self.device.id], 0
        while queue:
            below = self.ground.below(utility, queue.pop())
            new = [device for device in below if device not in seen and device in self.devices]
            ends += sum(not self.ground.below(utility, device) for device in new)
            seen.update(new)
            queue += new
        return ends


class KindModule(Protocol):
    """The contract of a module in `rules/kinds`."""

    DOC: str

    def parameters(self, fields: Fields) -> dict[str, object]: ...

    def build(self, rule: Rule, place: Place) -> Instance | None: ...


Bounds: TypeAlias = tuple[float, float]
ANY: Bounds = (-inf, inf)


class Instance:
    """One rule on one device: what it knows between readings. Subclasses say what they listen to."""

    __slots__ = ("_active", "_points", "device", "number", "rule", "slots", "spoke", "timed", "wait")

    follows: str = ""  # a rule id whose conditions it wants to see
    asks: bool = False  # of a point that is calm it is given the readings from `wants` on, and only those
    wants: Ms = NEVER  # an earlier one is nothing to it; to be set in `take` and `load` only
    hears: bool = False  # its state is a row of `Silences`: it is told when its device has been silent
    again: bool = True  # what it says follows from the readings alone: late ones may be put in their place
    minds: Sequence[str] = ()  # devices: while it waits it is told of the next word of any of them
    listens: Sequence[
        str
    ] = ()  # devices whose words it waits for, where those are not its own and those of its points
    columns: Columns | None = None  # where its rows are: one for each of `points` where they are `Stepped`

    def __init__(
        self, rule: Rule, device: str, points: tuple[int, ...] = (), slots: tuple[int, ...] = ()
    ) -> None:
        self.rule, self.device, self.slots = rule, device, slots
        self._points = (
            points[0] if len(points) == 1 else points
        )  # most have one: a tuple of it takes 48 bytes
        self.number = 0  # its place among all instances: never changes
        self.wait = -1  # its row among those that wait, of the engine
        self.spoke: Ms = NEVER  # event time of the last condition
        self.timed: Ms = (
            NEVER  # instant that brought it, of a reading or the clock: another of then may go before
        )
        self._active = False

    @property
    def points(self) -> tuple[int, ...]:
        """The ids of those that it looks at."""
        points = self._points
        return (points,) if isinstance(points, int) else points

    @property
    def active(self) -> bool:
        """Whether its condition holds."""
        return self._active

    @property
    def ready(self) -> Ms:
        """From when on it judges by what it learns; 0 = it does already, or learns nothing."""
        return 0

    def adopt(self, active: bool) -> None:
        """The alarm table knows better, after a start."""
        self._active = active

    def decided(self, at: Ms) -> None:
        """The alarm table knows of a condition that began or ended at `at`, perhaps by time alone."""
        self.spoke = max(self.spoke, at)

    def take(self, point: int, at: Ms, value: float, retained: bool, received: Ms) -> Condition | None:
        """A reading newer than all before it of this point; value in the point's unit."""
        return None

    def calm(self, point: int, value: float) -> Bounds | None:
        """Where a next reading of this point may lie so that nothing comes of it but what `wake` is
        told and what its columns see for themselves; None = it wants every reading. value: the last
        one taken. A retained reading is always taken."""
        return None

    @property
    def foresees(self) -> bool:
        """Whether `calm` may be asked of a reading that it has not taken, perhaps its first: what lies within the
        bounds changes no more of it than its columns see for themselves."""
        return False

    def wake(self, point: int, at: Ms, value: float) -> None:
        """The newest reading that `calm` kept away, before anything else comes."""

    def reach(self, point: int, at: Ms, received: Ms) -> Condition | None:
        """What had come to pass before a reading of this point, by what was known until then."""
        return None

    def reset(self, point: int, at: Ms) -> Condition | None:
        """The device says that a counter began again at 0."""
        return None

    def happened(self, point: int, at: Ms, code: str, received: Ms) -> Condition | None:
        """An event at this point, by the code that its profile gives it: a passage, a panel's message."""
        return None

    def tick(self, now: Ms) -> Condition | None:
        """Time has passed. Called within `due`; where it `hears`, when its device has been silent."""
        return None

    def hear(self, received: Ms) -> Condition | None:
        """The device has spoken again after its silence, or one that it `minds`."""
        return None

    def follow(self, condition: Condition, received: Ms) -> Condition | None:
        """A condition of the rule that it follows."""
        return None

    def accept(self, explained: Callable[[Ms], bool]) -> Condition | None:
        """What began at such an instant is explained by what no reading tells: it is forgotten, and what comes is judged
        against how things are now. Returns what it says then: that it is over, or what holds besides."""
        return None

    def started(self, now: Ms) -> None:
        """The service (or its view of the world) begins again at `now`."""

    def paused(self, now: Ms) -> None:
        """Until `now` nobody listened for a while: what waits may have ended meanwhile."""
        self.deferred(now)

    def deferred(self, now: Ms) -> None:
        """Until `now` a line was away by which its device may have spoken: the broker has kept it. What that says counts
        as ever; time alone says nothing before it can have come."""

    @property
    def turned(self) -> Ms:
        """Event time of the last thing that it said or began to wait for: a reading that is older, though
        the newest of its point, would have changed that."""
        return self.spoke

    def passed(self, point: int, at: Ms) -> bool:
        """Whether a reading, though the newest of its point, comes after what it should have come before."""
        return at < self.turned or at == self.timed

    @property
    def waiting(self) -> bool:
        """Whether time alone may change it."""
        return False

    @property
    def due(self) -> tuple[Ms, Ms]:
        """The first and the last moment at which `tick` may change something while it is `waiting`."""
        return NEVER, FOREVER

    @property
    def rest(self) -> bool:
        """Whether it keeps nothing but its columns: a fresh one with these is the same."""
        return False

    def dump(self) -> list[Any]:
        return []

    def packed(self) -> Any:
        """What `dump` gives, or the MessagePack of it (`msgspec.Raw`)."""
        return self.dump()

    def load(self, data: Sequence[Any]) -> None:
        """Takes what `dump` gave."""

    def close(self) -> None:
        """Gives its rows back: it is used no more."""
        if self.columns is not None:
            for slot in self.slots:
                self.columns.drop(slot)


# ---------------------------------------------------------------- limits


@dataclass(frozen=True, slots=True)
class Limit:
    """A number, or a share of a parameter of the device. Where the device has none, `default`, by another parameter perhaps
    (`default_by`), and `each` more for every meter that it feeds in the utility `fed`."""

    number: float | None = None
    parameter: str = ""
    share: float = 1.0
    default: float | None = None
    default_by: tuple[tuple[str, tuple[tuple[str, float], ...]], ...] = ()
    each: float = 0.0
    fed: str = ""

    def of(self, device: Device, fed: int = 0) -> float:
        """The limit on this device, which feeds so many meters. Raises Rejected when its parameter is missing."""
        if self.number is not None:
            return self.number
        value = device.parameters.get(self.parameter)
        if value is None and self.default is not None:
            return self._usual(device) + self.each * fed
        try:
            if value is not None and not isinstance(value, bool):
                return float(value) * self.share
        except ValueError:
            pass
        raise Rejected(f"device {device.id} needs the number parameter {self.parameter!r}")

    def unknown(self, device: Device) -> bool:
        """Whether nobody has said what it is on this device."""
        given = device.parameters.get(self.parameter) not in (None, "")
        return self.number is None and self.default is None and not given

    def _usual(self, device: Device) -> float:
        for name, by in self.default_by:
            for value, number in by:
                if device.parameters.get(name) == value:
                    return number
        return self.default or 0.0


def read_limit(fields: Fields, name: str) -> Limit | None:
    """A limit as people write it: `3.0`, or `{parameter: height, share: 0.95, default: 2}`."""
    value = fields.raw(name)
    if value is None:
        return None
    if not isinstance(value, dict):
        return Limit(number=fields.number(name))
    inner = fields.child(name)
    if inner is None:
        return None
    limit = Limit(
        parameter=inner.text("parameter"),
        share=inner.number("share", 1.0),
        default=inner.number("default") if inner.has("default") else None,
        default_by=tuple(_defaults(inner)),
        each=inner.number("each", 0.0),
        fed=inner.choice("fed", ("water", "gas", "power"), ""),
    )
    inner.raw("default")
    inner.finish()
    return limit


def _defaults(fields: Fields) -> Iterator[tuple[str, tuple[tuple[str, float], ...]]]:
    by = fields.child("default_by")
    if by is None:
        return
    for name in map(str, by.data):
        values = by.child(name)
        if values is not None:
            yield name, tuple((value, values.number(value)) for value in map(str, values.data))
            values.finish()
    by.finish()


def read_deadband(fields: Fields) -> Limit:
    """How far back inside a value must be; below 0 the alarm would clear while the value is beyond its limit."""
    band = read_limit(fields, "deadband") or Limit(0.0)
    if min(band.number or 0.0, band.share, band.default or 0.0) < 0:
        fields.wrong("deadband", "must not be negative")
    return band


def read_codes(fields: Fields, name: str) -> tuple[float, ...]:
    """One code or a list of them; () = not given."""
    value = fields.raw(name)
    if value is None:
        return ()
    listed = value if isinstance(value, list) else [value]
    codes = tuple(float(v) for v in listed if isinstance(v, int | float) and not isinstance(v, bool))
    if len(codes) != len(listed):
        fields.wrong(name, "must be a number or a list of numbers")
    return codes


def gap_of(rule: Rule, point: Point) -> Ms | None:
    """How long a value holds without a reading; None = until the next one (it comes on change)."""
    own = rule.parameters.get("gap")
    if isinstance(own, int) and own:
        return own
    interval = point.spec.interval_s
    return None if interval is None else GAPS * interval * SECOND


def counters(place: Place, name: str) -> list[Point]:
    """The counter points of the device that a rule means ("" = all of them)."""
    found = place.table.of_device(place.device.id)
    return [p for p in found if p.spec.kind is Kind.COUNTER and name in ("", p.spec.name)]
