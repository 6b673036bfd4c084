"""The ordinary messages of a take, in bulk: flat JSON of registered devices in, rows of a batch out.

Whatever is unusual about a message (a field out of its range, an odd clock, one that is late or came
before, a new device, anything but plain JSON) sends all messages of its device in this take the careful
way, through `Library.decode` and `Draft`: both give the same readings. A message costs a few elements of
arrays here, not a dozen objects.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from operator import attrgetter
from typing import Any

import numpy as np

from dutyroom.flows.draft import LATE, Block, Draft, Times
from dutyroom.flows.registry import Registry
from dutyroom.model.telemetry import (
    Attribute,
    Bools,
    Ints,
    Kind,
    Lane,
    Longs,
    Message,
    Ordinary,
    PointTable,
    Scalar,
    Senders,
)
from dutyroom.profiles.decode import Library
from dutyroom.profiles.express import Form, form_of, reader_of
from dutyroom.profiles.values import stored

_TOPIC, _FLEET = attrgetter("topic"), attrgetter("fleet")
_ROW, _RECEIVED = attrgetter("row"), attrgetter("received_at")
_AGAIN, _RETAINED = attrgetter("duplicate"), attrgetter("retained")
FEW = 4  # messages of one form are not worth the columns
MAX_TOPICS = 200_000


@dataclass(slots=True, eq=False)
class _Fleet:
    """The devices of one form: their names and point ids, one row a device."""

    form: Form
    lane: Lane
    points: Ints
    names: list[str] = field(default_factory=list)

    def add(self, device: str, points: Sequence[int]) -> int:
        row = len(self.names)
        if row == len(self.points):
            self.points = np.concatenate([self.points, np.zeros_like(self.points)])
        self.points[row] = points
        self.names.append(device)
        return row


@dataclass(slots=True, eq=False)
class _Plan:
    """How the messages of one topic are read. said: attributes as they were committed last."""

    fleet: _Fleet
    row: int
    device: str
    said: dict[str, Scalar] = field(default_factory=dict)


@dataclass(slots=True)
class _Load:
    """The messages of one fleet in a take, as far as they can be read."""

    fleet: _Fleet
    messages: list[Message] = field(default_factory=list)
    plans: list[_Plan] = field(default_factory=list)
    rows: list[Any] = field(default_factory=list)  # what each says
    places: Ints = field(default_factory=lambda: np.empty(0, np.int32))  # of each in the fleet
    received: Longs = field(default_factory=lambda: np.empty(0, np.int64))


def _decoded(load: _Load) -> list[Any]:
    """By message what its payload says; None = with care."""
    form, messages = load.fleet.form, load.messages
    if not (any(map(_AGAIN, messages)) or any(map(_RETAINED, messages))):
        rows = form.decode_all([m.payload for m in messages])
        if rows is not None:
            return rows
    return [None if m.duplicate or m.retained else form.decode(m.payload) for m in messages]


class Bulk:
    """One per site; not thread-safe."""

    def __init__(self, registry: Registry, table: PointTable, times: Times) -> None:
        self._registry, self._table, self._times = registry, table, times
        self._library: Library | None = None
        self._plans: dict[str, _Plan | None] = {}
        self._fleets: dict[object, _Fleet | None] = {}
        self._topics: dict[str, str] = {}  # device -> the topic of its plan
        self._versions = [0, 0]
        self._moved: list[tuple[Ints, Longs]] = []
        self._said: list[tuple[_Plan, str, Scalar]] = []
        self._loads: dict[_Fleet, _Load] = {}
        self._careful: set[str] = set()  # devices

    # ------------------------------------------------------------ taking

    def sort_out(self, messages: Iterable[Message], library: Library) -> list[Message]:
        """Holds what it may read; returns the messages of all other topics."""
        self._renew(library)
        self._loads, self._careful, self._moved, self._said = {}, set(), [], []
        plans, held = self._plans, list(messages)
        topics = list(map(_TOPIC, held))
        found = list(map(plans.get, topics))
        if None in found:
            found = [plans[topic] if topic in plans else self._plan(topic) for topic in topics]
        if None not in found and len(fleets := set(map(_FLEET, found))) == 1:  # as nearly always
            fleet: _Fleet = fleets.pop()
            self._loads[fleet] = _Load(fleet, held, found)  # type: ignore[arg-type]
            return []
        loads, left = self._loads, []
        for message, plan in zip(held, found, strict=True):
            if plan is None:
                left.append(message)
                continue
            load = loads.get(plan.fleet)
            if load is None:
                load = loads[plan.fleet] = _Load(plan.fleet)
            load.messages.append(message)
            load.plans.append(plan)
        return left

    def draw(self, drafts: dict[Lane, Draft]) -> list[Message]:
        """Adds what it holds to the drafts, after those of other topics were handled; returns the messages
        that want care after all, those of a device in their order."""
        self._careful = {self._table[point].device for point in self._times.fresh}
        judged = [(load, *self._judged(load)) for load in self._loads.values()]
        left: list[Message] = []
        for load, values, present, at in judged:
            if not self._careful:
                self._add(drafts.setdefault(load.fleet.lane, Draft()), load, None, values, present, at)
                continue
            mine = [n for n, plan in enumerate(load.plans) if plan.device not in self._careful]
            if len(mine) < len(load.plans):
                left += [
                    m
                    for m, plan in zip(load.messages, load.plans, strict=True)
                    if plan.device in self._careful
                ]
            if mine:
                draft = drafts.setdefault(load.fleet.lane, Draft())
                self._add(draft, load, np.array(mine), values, present, at)
        self._loads = {}
        return left

    def committed(self) -> None:
        """What was drawn is durable."""
        for points, at in self._moved:
            self._times.move(points, at)
        for plan, name, value in self._said:
            plan.said[name] = value
        self._moved, self._said = [], []

    # ------------------------------------------------------------ judging

    def _judged(self, load: _Load) -> tuple[Any, Bools, Longs]:
        """Values, which are present, and when, by message; marks the devices that want care."""
        count = len(load.messages)
        load.rows = _decoded(load)
        lost = [n for n, row in enumerate(load.rows) if row is None]
        if count - len(lost) < FEW:
            self._careful.update(plan.device for plan in load.plans)
            return np.empty(0), np.empty((0, 0), np.bool_), np.empty(0, np.int64)
        if lost:
            self._careful.update(load.plans[n].device for n in lost)
            some = next(row for row in load.rows if row is not None)
            load.rows = [
                some if row is None else row for row in load.rows
            ]  # of devices that are done otherwise
        form = load.fleet.form
        received = load.received = np.array(list(map(_RECEIVED, load.messages)), np.int64)
        columns = form.columns(load.rows, received)
        rows = load.places = np.array(list(map(_ROW, load.plans)), np.int32)
        newest = np.where(columns.present, self._times.newest[load.fleet.points[rows]], 0).max(axis=1)
        at = received if columns.at is None else columns.at
        careful = columns.careful | ((at <= newest) if columns.at is None else (at < newest - LATE))
        if columns.at is not None:  # of a device in the order of its clock, or else with care
            # Of numbers this small numpy sorts by digits, which is ten times as fast.
            small = len(load.fleet.names) <= 1 << 16
            order = np.argsort(rows.astype(np.uint16) if small else rows, kind="stable")
            back = (np.diff(rows[order]) == 0) & (np.diff(at[order]) < 0)
            careful[order[1:][back]] = True
        self._careful.update(load.plans[n].device for n in np.flatnonzero(careful).tolist())
        return columns.values, columns.present, at

    def _add(
        self, draft: Draft, load: _Load, mine: Ints | None, values: Any, present: Bools, at: Longs
    ) -> None:
        """mine: the messages, None = all of them."""
        form, messages, places = load.fleet.form, load.messages, load.places
        received = load.received
        listed: Sequence[int] = range(len(messages))
        if mine is not None:
            listed = mine.tolist()
            messages = [messages[n] for n in listed]
            places, values, present, at_mine = places[mine], values[mine], present[mine], at[mine]
            received = received[mine]
        else:
            at_mine = at
        count, width = present.shape
        which = np.repeat(np.arange(count, dtype=np.int32), width)
        points, when = load.fleet.points[places].reshape(-1), np.repeat(at_mine, width)
        there, numbers = present.reshape(-1), values.reshape(-1)
        if not there.all():
            points, when, which, numbers = points[there], when[there], which[there], numbers[there]
        texts: dict[int, str] = {}
        if form.texts:
            ranks = np.cumsum(there).reshape(present.shape) - 1
            for column, get in form.texts:
                name = form.specs[column].name
                for number, n in enumerate(listed):
                    if (text := get(load.rows[n])) is not None:
                        texts[int(ranks[number, column])] = stored(text)
                        self._tell(draft, load.plans[n], name, stored(text), int(at[n]))
        for name, attribute in form.attributes:
            for n in listed:
                if (value := attribute(load.rows[n])) is not None:
                    shown = stored(value) if isinstance(value, str) else value
                    self._tell(draft, load.plans[n], name, shown, load.messages[n].received_at)
        ordinary = Ordinary(messages, form.profile, Senders(load.fleet.names, places))
        draft.blocks.append(Block(ordinary, received, points, when, numbers, which, texts))
        draft.heard.update(ordinary.senders.devices())
        self._moved.append((points, when))

    def _tell(self, draft: Draft, plan: _Plan, name: str, value: Scalar, at: int) -> None:
        """An attribute, where it is another one than was committed last."""
        last = plan.said.get(name)
        if last != value or type(last) is not type(value):
            draft.attributes.append(Attribute(plan.device, name, value, at))
            self._said.append((plan, name, value))

    # ------------------------------------------------------------ plans

    def _renew(self, library: Library) -> None:
        """Forgets the plans of what has changed."""
        changed: set[str] | None = set()
        for place, changes in enumerate((self._registry.changes, self._table.changes)):
            self._versions[place], names = changes.since(self._versions[place])
            changed = None if names is None or changed is None else changed | names
        if library is not self._library or changed is None or len(self._plans) > MAX_TOPICS:
            self._library, self._plans, self._fleets, self._topics = library, {}, {}, {}
        elif changed:
            # A topic that had no plan may have one now: which one is not known.
            self._plans = {
                topic: plan
                for topic, plan in self._plans.items()
                if plan is not None and plan.device not in changed
            }
            for device in changed:
                self._topics.pop(device, None)
        self._times.fit(self._table.top)

    def _plan(self, topic: str) -> _Plan | None:
        plan = self._plans[topic] = self._made(topic)
        return plan

    def _made(self, topic: str) -> _Plan | None:
        assert self._library is not None
        found = reader_of(self._library, topic, self._registry)
        if found is None:
            return None
        profile, layout, address = found
        device = self._registry.find(profile.id, address)
        parameters: Mapping[str, Scalar] = self._registry.parameters(profile.id, address) or {}
        key = (profile.id, id(layout), *sorted(parameters.items()))
        if key not in self._fleets:
            form = form_of(profile, layout, parameters, self._library.tz)
            made = (
                None
                if form is None
                else _Fleet(form, profile.lane, np.zeros((16, len(form.specs)), np.int32))
            )
            self._fleets[key] = made
        fleet = self._fleets[key]
        if fleet is None or device is None:
            return None
        if self._topics.setdefault(device.id, topic) != topic and not fleet.form.timed:
            # Two of its topics may tell the same point in one millisecond.
            self._plans[self._topics[device.id]] = None
            return None
        points = [self._table.find(device.id, spec.name) for spec in fleet.form.specs]
        for point, spec in zip(points, fleet.form.specs, strict=True):
            if point is None:
                return None
            same = point.spec.step == spec.step and point.spec.quantity == spec.quantity
            if not same and Kind.TEXT not in (point.spec.kind, spec.kind):
                return None
        row = fleet.add(device.id, [p.id for p in points if p is not None])
        return _Plan(fleet, row, device.id)
