"""What every rule kind is made of: its instance on one device, limits, the delay, the window.

A kind is a module in `rules/kinds` with `DOC`, `parameters(fields)` (reads and checks the
`parameters:` of a rule) and `build(rule, place)` (the instance on one device, None while the point
does not exist yet, `Rejected` when it never can). State is plain data, so that it can be stored.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from dutyroom.errors import Rejected
from dutyroom.fields import Fields
from dutyroom.model.duty import Condition, Device
from dutyroom.model.telemetry import Kind, Point, PointTable
from dutyroom.rules.spec import Rule
from dutyroom.timebase import SECOND, Ms

GAPS = 3  # a silence longer than this many expected intervals is a gap


@dataclass(frozen=True, slots=True)
class Place:
    """Where an instance is built: its device, among the others and all points."""

    device: Device
    devices: Mapping[str, Device]
    table: PointTable


class KindModule(Protocol):
    """The contract of a module in `rules/kinds`."""

    DOC: str

    def parameters(self, fields: Fields) -> dict[str, object]: ...

    def build(self, rule: Rule, place: Place) -> Instance | None: ...


class Instance:
    """One rule on one device: what it knows between readings. Subclasses say what they listen to."""

    points: tuple[int, ...] = ()
    follows: str = ""  # a rule id whose conditions it wants to see
    hears: bool = False  # wants to know of every message of its device

    def __init__(self, rule: Rule, device: str) -> None:
        self.rule, self.device = rule, device
        self._active = False

    @property
    def active(self) -> bool:
        """Whether its condition holds."""
        return self._active

    def adopt(self, active: bool) -> None:
        """The alarm table knows better, after a start."""
        self._active = active

    def take(self, point: int, at: Ms, value: float, retained: bool, received: Ms) -> Condition | None:
        """A reading newer than all before it of this point; value in the point's unit."""
        return None

    def reach(self, point: int, at: Ms, received: Ms) -> Condition | None:
        """What had come to pass before a reading of this point, by what was known until then."""
        return None

    def reset(self, point: int, at: Ms) -> Condition | None:
        """The device says that a counter began again at 0."""
        return None

    def tick(self, now: Ms) -> Condition | None:
        """Time has passed. Called when `waiting`."""
        return None

    def hear(self, received: Ms) -> Condition | None:
        """The device has sent something."""
        return None

    def follow(self, condition: Condition, received: Ms) -> Condition | None:
        """A condition of the rule that it follows."""
        return None

    def started(self, now: Ms) -> None:
        """The service (or its view of the world) begins again at `now`."""

    def paused(self, now: Ms) -> None:
        """Until `now` nobody listened for a while: what waits may have ended meanwhile."""

    @property
    def waiting(self) -> bool:
        """Whether time alone may change it."""
        return False

    def dump(self) -> list[Any]:
        return []

    def load(self, data: Sequence[Any]) -> None:
        """Takes what `dump` gave."""


# ---------------------------------------------------------------- limits


@dataclass(frozen=True, slots=True)
class Limit:
    """A number, or a share of a parameter of the device (`default` where the device has none)."""

    number: float | None = None
    parameter: str = ""
    share: float = 1.0
    default: float | None = None

    def of(self, device: Device) -> float:
        """The limit on this device. Raises Rejected when its parameter is missing."""
        if self.number is not None:
            return self.number
        value = device.parameters.get(self.parameter)
        if value is None and self.default is not None:
            return self.default
        try:
            if value is not None and not isinstance(value, bool):
                return float(value) * self.share
        except ValueError:
            pass
        raise Rejected(f"device {device.id} needs the number parameter {self.parameter!r}")


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
    )
    inner.raw("default")
    inner.finish()
    return limit


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


# ---------------------------------------------------------------- on-delay and off-delay


@dataclass(slots=True)
class Delay:
    """Turns "is it beyond the limit now" into raise and clear, in event time.

    A breach must be seen for `on` before it counts, its end for `off`. Time is counted between
    readings that follow each other within `gap`, or by the receive time of a value that still holds.
    A retained reading begins a wait only where values come on change, from when it was received.
    """

    on: Ms
    off: Ms
    gap: Ms | None
    active: bool = False
    since: Ms | None = None  # event time of the first reading of the change that waits
    heard: Ms = 0  # receive time of it
    last: Ms | None = None  # event time of the newest reading
    resumed: Ms = 0  # when we began to listen again

    def pause(self, now: Ms) -> None:
        """Nobody listened until now: the end of what waits may have been said meanwhile."""
        self.resumed = now
        if self.since is not None:
            self.heard = max(self.heard, now)

    def _unknown(self, since: Ms, at: Ms) -> bool:
        """Whether nothing is known of some time between the reading that waits and the one at `at`."""
        silent = self.gap is not None and at - (self.last or since) > self.gap
        return silent or since < self.resumed <= at

    def take(self, breach: bool, at: Ms, received: Ms, retained: bool) -> Ms | None:
        """The event time of the change that this reading completes; None = none."""
        delay = self.off if self.active else self.on
        if breach == self.active:
            if not retained:
                self.since, self.last = None, at
            elif self.active:  # it still holds, as far as the broker knows: time alone clears nothing
                self.since = None
            return None
        if retained:
            return self._retained(at, received)
        if self.since is None or self._unknown(self.since, at):
            self.since, self.heard = at, received
        self.last = at
        return self._flip(self.since + delay) if at - self.since >= delay else None

    def reach(self, at: Ms) -> Ms | None:
        """The event time of the change that the held value had completed before a reading at `at`.

        So a wait that is over ends the same whether its end was noticed by a tick or only when
        the next reading, perhaps of a backlog, came.
        """
        if self.since is None or self._unknown(self.since, at):
            return None
        delay = self.off if self.active else self.on
        return self._flip(self.since + delay) if at - self.since > delay else None

    def _retained(self, at: Ms, received: Ms) -> Ms | None:
        if self.active:
            return None
        if self.on == 0:
            return self._flip(at)
        if self.gap is None and self.since is None:
            self.since = self.last = self.heard = max(at, received)
        return None

    def tick(self, now: Ms) -> Ms | None:
        """The event time of the change that the held value completes by `now`; None = none."""
        if self.since is None or (self.gap is not None and now - (self.last or 0) > self.gap):
            return None
        delay = self.off if self.active else self.on
        return self._flip(self.since + delay) if now - self.heard >= delay else None

    def _flip(self, at: Ms) -> Ms:
        self.active, self.since = not self.active, None
        return at

    def dump(self) -> list[Any]:
        return [self.active, self.since, self.heard, self.last]

    def load(self, data: Sequence[Any]) -> None:
        self.active, self.since, self.heard, self.last = data


class Watched(Instance):
    """An instance on one point with a delay: `breach` decides, this does the rest."""

    def __init__(self, rule: Rule, point: Point) -> None:
        super().__init__(rule, point.device)
        self.point = point
        self.points = (point.id,)
        self.delay = Delay(rule.on_delay, rule.off_delay, gap_of(rule, point))
        self.value: float | None = None
        self.limit: float | None = None

    def breach(self, at: Ms, value: float, retained: bool) -> bool | None:
        """Whether the condition holds with this reading; None = it says nothing."""
        raise NotImplementedError

    def take(self, point: int, at: Ms, value: float, retained: bool, received: Ms) -> Condition | None:
        breach = self.breach(at, value, retained)
        if breach is None:
            return None
        if breach and not retained:
            self.value = value
        changed = self.delay.take(breach, at, received, retained)
        if changed is not None and retained:
            self.value = value
        return None if changed is None else self.condition(changed)

    def reach(self, point: int, at: Ms, received: Ms) -> Condition | None:
        changed = self.delay.reach(at)
        return None if changed is None else self.condition(changed)

    def paused(self, now: Ms) -> None:
        self.delay.pause(now)

    def tick(self, now: Ms) -> Condition | None:
        changed = self.delay.tick(now)
        return None if changed is None else self.condition(changed)

    @property
    def waiting(self) -> bool:
        return self.delay.since is not None

    @property
    def active(self) -> bool:
        return self.delay.active

    def adopt(self, active: bool) -> None:
        if self.delay.active != active:
            self.delay.active, self.delay.since = active, None

    def condition(self, at: Ms) -> Condition:
        return Condition(
            self.rule.id,
            self.device,
            self.delay.active,
            at,
            self.point.spec.name,
            self.value,
            self.limit,
            self.point.spec.unit,
            self.arguments(),
        )

    def arguments(self) -> dict[str, str | int | float | bool | None]:
        """What the message needs beyond value and limit."""
        return {}

    def dump(self) -> list[Any]:
        return [self.delay.dump(), self.value]

    def load(self, data: Sequence[Any]) -> None:
        self.delay.load(data[0])
        self.value = data[1]


# ---------------------------------------------------------------- a window over a register


@dataclass(slots=True)
class Window:
    """How far a register moved over the last `span` or a little more; forgets across a gap."""

    span: Ms
    gap: Ms | None
    samples: deque[tuple[Ms, float]] = field(default_factory=deque)
    last: Ms | None = None

    def take(self, at: Ms, value: float) -> tuple[Ms, float] | None:
        """(elapsed ms, moved) to the newest sample that is at least `span` old; None = not yet."""
        if self.last is not None and self.gap is not None and at - self.last > self.gap:
            self.samples.clear()
        if self.samples and value < self.samples[-1][1]:
            self.samples.clear()
        self.last = at
        samples = self.samples
        while len(samples) > 1 and at - samples[1][0] >= self.span:
            samples.popleft()
        moved = None
        if samples and at - samples[0][0] >= self.span:
            moved = (at - samples[0][0], value - samples[0][1])
        if not samples or at - samples[-1][0] >= self.span // 12:
            samples.append((at, value))
        return moved

    def dump(self) -> list[Any]:
        return [list(self.samples), self.last]

    def load(self, data: Sequence[Any]) -> None:
        self.samples = deque((int(at), float(value)) for at, value in data[0])
        self.last = data[1]
