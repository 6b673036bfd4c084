"""What a device says: points, readings, events, and the batch that carries them.

The batch is the unit from the socket to the acknowledgement. Readings are columns (numpy arrays of
equal length), so the journal, the store and the rules work on the same memory.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from enum import IntEnum, StrEnum
from fractions import Fraction
from itertools import repeat
from operator import attrgetter
from typing import TypeAlias, overload

import msgspec
import numpy as np
import numpy.typing as npt

from dutyroom.model.changes import Changes
from dutyroom.timebase import Ms

Ints: TypeAlias = npt.NDArray[np.int32]
Longs: TypeAlias = npt.NDArray[np.int64]
Floats: TypeAlias = npt.NDArray[np.float64]
Bytes8: TypeAlias = npt.NDArray[np.uint8]
Bools: TypeAlias = npt.NDArray[np.bool_]
Scalar: TypeAlias = str | int | float | bool

_RECEIVED = attrgetter("message.received_at")

COUNTER_RESET = "counter_reset"  # code of an event of a counter: its device says that it began again at 0


class Quality(IntEnum):
    """How far a reading may be trusted; a smaller code is better (design decision 4: the winner)."""

    GOOD = 0
    ESTIMATED = 1  # made by a person or a program, not by the device
    CLOCK = 2  # the device's clock was absurd: stored at its receive time
    SUSPECT = 3  # outside the range that the profile calls physical; rules do not see it
    RETAINED = 4  # a retained message replayed on connect: may raise, never clears or counts time


class Kind(StrEnum):
    """What a point's numbers mean."""

    GAUGE = "gauge"
    COUNTER = "counter"  # whole steps of the register, below 2**53; physical value = value * step
    STATE = "state"  # a code; labels in the spec
    TEXT = "text"  # kept in the side column `text`; the value is 0.0


class Lane(IntEnum):
    """Which queue of the journal a device's messages go through; a device stays in one."""

    PRIORITY = 0  # fire, entrapment, gas
    NORMAL = 1


class DeviceClass(StrEnum):
    """The device classes of the mission; `other` for what a profile reads beyond them."""

    WATER_METER = "water_meter"
    ELECTRICITY_METER = "electricity_meter"
    GAS_METER = "gas_meter"
    HEAT_METER = "heat_meter"
    ELEVATOR = "elevator"
    FIRE_PANEL = "fire_panel"
    TANK = "tank"
    PUMP = "pump"
    GATE = "gate"
    GENERATOR = "generator"
    TRANSFER_SWITCH = "transfer_switch"
    FEEDER = "feeder"  # an electricity feeder or mains supply with its meter
    GATEWAY = "gateway"
    SENSOR = "sensor"
    OTHER = "other"


Label: TypeAlias = str | Mapping[str, str]  # a message key, or a maker's words: one text, or one per language


@dataclass(frozen=True, slots=True)
class PointSpec:
    """What a profile says of one point. Units are canonical (`quantities.py`)."""

    name: str
    quantity: str = "number"
    unit: str = ""
    kind: Kind = Kind.GAUGE
    step: Decimal | None = None  # counters: physical size of one step
    digits: int | None = None  # counters: all that turn, the register wraps at 10**digits steps
    interval_s: int | None = None  # expected seconds between readings; None = on change
    low: float | None = None  # physically possible range, in `unit`
    high: float | None = None
    labels: Mapping[int, Label] = field(default_factory=dict)  # states: code -> message key or words
    wrap: int | None = None  # counters that are no dial: the steps at which they wrap, in place of digits
    resets: bool = False  # counters that start again from 0 by themselves: no register to bill

    @property
    def modulus(self) -> int | None:
        """The steps at which a counter begins again at 0; None = not known."""
        if self.wrap is not None:
            return self.wrap
        return 10**self.digits if self.digits is not None else None

    def in_steps_of(self, step: Decimal | None) -> int | None:
        """`wrap` counted in steps of another size; None where that is no whole number."""
        if self.wrap is None or step is None or self.step is None:
            return None
        exact = Fraction(self.wrap) * Fraction(self.step) / Fraction(step)
        return int(exact) if exact.denominator == 1 else None


@dataclass(frozen=True, slots=True)
class Point:
    """One series: a spec on a device, with the id that all columns use."""

    id: int
    site: str
    device: str
    device_class: DeviceClass
    space: str
    spec: PointSpec

    def physical(self, value: float) -> float:
        """A stored value in `spec.unit` (a counter's steps times its step)."""
        step = self.spec.step
        return float(Decimal(int(value)) * step) if step is not None else value


class PointTable:
    """All points of one site, by id and by (device, name). Ids are never reused."""

    def __init__(self, points: Iterable[Point] = ()) -> None:
        self._by_id: dict[int, Point] = {}
        self._by_name: dict[tuple[str, str], Point] = {}
        self._by_device: dict[str, list[Point]] = {}
        self.version = 0
        self.changes = Changes()  # devices whose points are others than before
        self.top = 0  # the largest id
        for point in points:
            self.add(point)

    def add(self, point: Point) -> None:
        """Adds or replaces (same id: a changed spec or space)."""
        old = self._by_id.get(point.id)
        self._by_id[point.id] = point
        self._by_name[point.device, point.spec.name] = point
        siblings = self._by_device.setdefault(point.device, [])
        if old is not None:
            siblings[:] = [p for p in siblings if p.id != point.id]
        siblings.append(point)
        self.version += 1
        self.top = max(self.top, point.id)
        self.changes.tell(point.device)

    def __getitem__(self, point_id: int) -> Point:
        return self._by_id[point_id]

    def get(self, point_id: int) -> Point | None:
        return self._by_id.get(point_id)

    def find(self, device: str, name: str) -> Point | None:
        return self._by_name.get((device, name))

    def of_device(self, device: str) -> tuple[Point, ...]:
        return tuple(self._by_device.get(device, ()))

    def interval(self, device: str) -> int:
        """Seconds between two messages of a device, by the shortest of its points; 0 = not known."""
        known = [p.spec.interval_s for p in self._by_device.get(device, ()) if p.spec.interval_s]
        return min(known, default=0)

    def __iter__(self) -> Iterator[Point]:
        return iter(self._by_id.values())

    def __len__(self) -> int:
        return len(self._by_id)


class Message(msgspec.Struct, frozen=True, gc=False):
    """One MQTT publication as it came. A struct: there are tens of thousands a second, and it is made in a
    tenth of the time that a frozen dataclass takes."""

    topic: str
    payload: bytes
    received_at: Ms
    retained: bool = False
    duplicate: bool = False  # the broker's DUP flag: it may have been delivered before
    session: str = ""  # of the broker, that it came by; "" = not known
    ident: bytes = (
        b""  # its packet id in that session, two bytes and what the session adds; b"" = none, as with QoS 0
    )


class Outcome(StrEnum):
    """What became of a message; the ledger: received = the sum of these."""

    DECODED = "decoded"
    IGNORED = "ignored"  # the profile says: not telemetry
    QUARANTINED = "quarantined"


class MessageRecord(msgspec.Struct, frozen=True, gc=False):
    """A message beside what became of it, as the journal keeps it."""

    message: Message
    outcome: Outcome
    device: str = ""  # registry id of the (first) device, "" = unknown
    profile: str = ""
    reason: str = ""  # ignored or quarantined: a key such as "unknown_device"
    detail: str = ""  # for people: field, position, value
    unread: tuple[str, ...] = ()  # addresses in it that the registry does not have
    row: int = 0  # of the quarantine, that it is read again from; 0 = it came just now
    part: bool = False  # read again, and counted as a message before
    waited: str = ""  # read again: the device under which it was counted as quarantined
    # (address, registry id) of devices of which nothing was read, though it says something of them and of others something was
    silent: tuple[tuple[str, str], ...] = ()
    foreign: tuple[
        str, ...
    ] = ()  # read again: devices that its row waited for and that are not ours now; not kept


@dataclass(frozen=True, slots=True)
class Readings:
    """Columns of equal length; `message` indexes the batch's messages. `text` by row. `late`: by row, the
    receive time of a reading that came later than its point's interval; stored with it."""

    point: Ints
    at: Longs
    value: Floats
    quality: Bytes8
    message: Ints
    text: Mapping[int, str] = field(default_factory=dict)
    late: Mapping[int, Ms] = field(default_factory=dict)

    def __len__(self) -> int:
        return int(self.point.shape[0])

    @staticmethod
    def empty() -> Readings:
        return Readings.of([])

    @staticmethod
    def joined(parts: Sequence[Readings], text: Mapping[int, str]) -> Readings:
        """One after the other. text: by row of the whole."""
        if len(parts) == 1:
            part = parts[0]
            return Readings(part.point, part.at, part.value, part.quality, part.message, text)
        return Readings(
            np.concatenate([p.point for p in parts]),
            np.concatenate([p.at for p in parts]),
            np.concatenate([p.value for p in parts]),
            np.concatenate([p.quality for p in parts]),
            np.concatenate([p.message for p in parts]),
            text,
        )

    @staticmethod
    def of(rows: Iterable[tuple[int, Ms, float, int, int]]) -> Readings:
        """From (point, at, value, quality, message) tuples."""
        listed = list(rows)
        point, at, value, quality, message = zip(*listed, strict=True) if listed else ((),) * 5
        return Readings(
            np.array(point, dtype=np.int32),
            np.array(at, dtype=np.int64),
            np.array(value, dtype=np.float64),
            np.array(quality, dtype=np.uint8),
            np.array(message, dtype=np.int32),
        )


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened at a point: a passage, a panel message. Append-only, never last-wins."""

    point: int
    at: Ms
    event_id: str  # the device's own number or a hash: makes a redelivery recognisable
    code: str
    arguments: Mapping[str, Scalar]
    message: int


@dataclass(frozen=True, slots=True)
class Attribute:
    """A fact about a device that is not telemetry: model, firmware, serial number."""

    device: str
    name: str
    value: Scalar
    at: Ms


@dataclass(frozen=True, slots=True)
class Finding:
    """Something odd in the data that is not an alarm: shown on the data page, counted."""

    kind: str  # clock_wrong | late | duplicate | conflict | out_of_range | unknown_device | malformed ...
    device: str
    at: Ms  # receive time
    detail: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class Senders:
    """Of whom messages are that follow each other: names[row[n]]. There may be more names than these need;
    more are added, none is ever changed."""

    names: Sequence[str]
    row: Ints

    def __len__(self) -> int:
        return len(self.row)

    def devices(self) -> list[str]:
        """By message."""
        return list(map(self.names.__getitem__, self.row.tolist()))


@dataclass(frozen=True, slots=True, eq=False)
class Ordinary:
    """Messages that were decoded just now, by one profile, for known devices, and hold nothing else."""

    messages: Sequence[Message]
    profile: str
    senders: Senders

    def records(self) -> list[MessageRecord]:
        what = repeat(Outcome.DECODED), self.senders.devices(), repeat(self.profile)
        return list(map(MessageRecord, self.messages, *what))


class Records(Sequence[MessageRecord]):
    """What became of a batch's messages: of those that `make` gives an object is made when one is asked for,
    which hardly ever happens. head: the first ones; more: how many follow."""

    __slots__ = ("_all", "_make", "_more", "head")

    def __init__(
        self,
        head: tuple[MessageRecord, ...],
        more: int = 0,
        make: Callable[[], Iterable[MessageRecord]] = tuple,
    ) -> None:
        self.head, self._more, self._make = head, more, make
        self._all: tuple[MessageRecord, ...] | None = None if more else head

    def _made(self) -> tuple[MessageRecord, ...]:
        if self._all is None:
            self._all = (*self.head, *self._make())
        return self._all

    def __len__(self) -> int:
        return len(self.head) + self._more

    @overload
    def __getitem__(self, place: int) -> MessageRecord: ...

    @overload
    def __getitem__(self, place: slice) -> tuple[MessageRecord, ...]: ...

    def __getitem__(self, place: int | slice) -> MessageRecord | tuple[MessageRecord, ...]:
        return self._made()[place]

    def __iter__(self) -> Iterator[MessageRecord]:
        return iter(self._made())

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Records | tuple) and self._made() == tuple(other)

    __hash__ = None  # type: ignore[assignment]


@dataclass(frozen=True, slots=True)
class Batch:
    """What is committed to the journal at once and then acknowledged."""

    site: str
    lane: Lane
    received_at: Ms  # of its newest message
    messages: Sequence[MessageRecord]
    readings: Readings
    events: tuple[Event, ...] = ()
    attributes: tuple[Attribute, ...] = ()
    findings: tuple[Finding, ...] = ()
    again: bool = False  # read again from quarantine: its receive times lie in the past
    ordinary: int = 0  # its last so many messages are what `Ordinary` says
    # Stored beside the batch, not in its bytes: messages that never came, by receive hour and device (fewer where
    # one came late), and how far devices have counted.
    gaps: Mapping[tuple[Ms, str], int] = field(default_factory=dict)
    counts: Mapping[str, bytes] = field(default_factory=dict)
    # The same as the records say, where somebody had it: the ordinary messages; when each message came; whose
    # the last ones are, in their order.
    blocks: tuple[Ordinary, ...] = field(default=(), compare=False)
    received: Longs | None = field(default=None, compare=False)
    senders: tuple[Senders, ...] = field(default=(), compare=False)

    @property
    def odd(self) -> Sequence[MessageRecord]:
        """What became of the messages that are not ordinary: they are the first ones."""
        if (
            isinstance(self.messages, Records)
            and len(self.messages.head) == len(self.messages) - self.ordinary
        ):
            return self.messages.head
        return self.messages[: len(self.messages) - self.ordinary]

    def times(self) -> Longs:
        """When each message came."""
        if self.received is not None:
            return self.received
        return np.array(list(map(_RECEIVED, self.messages)), np.int64)

    def of_whom(self, found: npt.NDArray[np.intp]) -> list[str]:
        """The devices of these messages."""
        first = len(self.messages) - sum(map(len, self.senders))
        if len(found) and int(found.min()) < first:
            records = self.messages
            return [records[n].device for n in found.tolist()]
        if len(self.senders) == 1:
            (senders,) = self.senders
            return Senders(senders.names, senders.row[found - first]).devices()
        devices = [device for senders in self.senders for device in senders.devices()]
        return list(map(devices.__getitem__, (found - first).tolist()))


@dataclass(frozen=True, slots=True)
class Reading:
    """One stored reading. `value` in steps for a counter; see Point.physical."""

    point: int
    at: Ms
    value: float
    quality: int = Quality.GOOD
    received_at: Ms | None = None  # kept where it came later than its interval
    text: str = ""  # of a point of texts; its value is 0.0


@dataclass(frozen=True, slots=True)
class Series:
    """Readings of one point in time order (columns). `late` and `text`: by row, as in `Readings`."""

    point: int
    at: Longs
    value: Floats
    quality: Bytes8
    late: Mapping[int, Ms] = field(default_factory=dict)
    text: Mapping[int, str] = field(default_factory=dict)

    def __len__(self) -> int:
        return int(self.at.shape[0])
