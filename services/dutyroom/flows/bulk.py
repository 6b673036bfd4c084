"""The ordinary messages of a take, in bulk: flat JSON of registered devices in, rows of a batch out.

Whatever is unusual about a message (a field out of its range, an odd clock, one that is late or came
before, a new device, anything but plain JSON) sends all messages of its device in this take the careful
way, through `Library.decode` and `Draft`: both give the same readings. A message costs a few elements of
arrays here, not a dozen objects.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from dutyroom.flows.bulk_plans import NO_PLAN, Fleet, Load, Plan, Plans
from dutyroom.flows.draft import LATE, Block, Draft, Times
from dutyroom.flows.registry import Registry
from dutyroom.model.messages import (
    DUPLICATE,
    RETAINED,
    Messages,
    marked,
    payloads_of,
    times_of,
    topics_of,
)
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
from dutyroom.profiles.express import form_of, reader_of
from dutyroom.profiles.values import stored

FEW = 4  # messages of one form are not worth the columns
MAX_TOPICS = 200_000


def _decoded(load: Load) -> list[Any]:
    """By message what its payload says; None = with care."""
    form, messages = load.fleet.form, load.messages
    if not marked(messages, DUPLICATE | RETAINED):
        rows = form.decode_all(payloads_of(messages))
        if rows is not None:
            return rows
    return [None if m.duplicate or m.retained else form.decode(m.payload) for m in messages]


class Bulk:
    """One per site; not thread-safe."""

    def __init__(self, registry: Registry, table: PointTable, times: Times) -> None:
        self._registry, self._table, self._times = registry, table, times
        self._library: Library | None = None
        self._plans = Plans()
        self._fleets: dict[object, Fleet | None] = {}
        self._by_number: list[Fleet] = []
        self._topics: dict[str, str] = {}  # device -> the topic of its plan
        self._versions = [0, 0]
        self._moved: list[tuple[Ints, Longs]] = []
        self._said: list[tuple[Plan, str, Scalar]] = []
        self._loads: list[Load] = []
        self._careful: set[str] = set()  # devices

    # ------------------------------------------------------------ taking

    def sort_out(self, messages: Sequence[Message], library: Library) -> Sequence[Message]:
        """Holds what it may read; returns the messages of all other topics."""
        self._renew(library)
        self._loads, self._careful, self._moved, self._said = [], set(), [], []
        numbers = self._numbers(topics_of(messages))
        planned = np.flatnonzero(numbers != NO_PLAN)
        if not len(planned):
            return messages
        fleets = self._plans.fleets(numbers[planned])
        first = fleets.item(0)
        if len(planned) == len(messages) and bool((fleets == first).all()):  # as nearly always
            self._loads.append(Load(self._by_number[first], messages, self._plans.rows(numbers)))
            return []
        held = Messages.of(messages)
        for fleet in dict.fromkeys(fleets.tolist()):
            mine = planned[fleets == fleet]
            rows = self._plans.rows(numbers[mine])
            self._loads.append(Load(self._by_number[fleet], held.some(mine.tolist()), rows))
        return held.some(np.flatnonzero(numbers == NO_PLAN).tolist())

    def _numbers(self, topics: Sequence[str]) -> Ints:
        """Of their plans, which are made where there are none yet."""
        found = self._plans.numbers(topics)
        if found is None:
            for topic in topics:
                if not self._plans.knows(topic):
                    self._plans.put(topic, self._made(topic))
            found = self._plans.numbers(topics)
        assert found is not None
        return found

    def draw(self, drafts: dict[Lane, Draft]) -> list[Message]:
        """Adds what it holds to the drafts, after those of other topics were handled; returns the messages
        that want care after all, those of a device in their order."""
        self._careful = {self._table[point].device for point in self._times.fresh}
        judged = [(load, *self._judged(load)) for load in self._loads]
        left: list[Message] = []
        for load, values, present, at in judged:
            if not self._careful:
                self._add(drafts.setdefault(load.fleet.lane, Draft()), load, None, values, present, at)
                continue
            names = load.fleet.names
            careful = np.array([names[row] in self._careful for row in load.places.tolist()], np.bool_)
            left += [load.messages[n] for n in np.flatnonzero(careful).tolist()]
            if not careful.all():
                draft = drafts.setdefault(load.fleet.lane, Draft())
                self._add(draft, load, np.flatnonzero(~careful), values, present, at)
        self._loads = []
        return left

    def committed(self) -> None:
        """What was drawn is durable."""
        for points, at in self._moved:
            self._times.move(points, at)
        for plan, name, value in self._said:
            plan.said[name] = value
        self._moved, self._said = [], []

    # ------------------------------------------------------------ judging

    def _judged(self, load: Load) -> tuple[Any, Bools, Longs]:
        """Values, which are present, and when, by message; marks the devices that want care."""
        count = len(load.messages)
        load.rows = _decoded(load)
        lost = [n for n, row in enumerate(load.rows) if row is None] if None in load.rows else []
        if count - len(lost) < FEW:
            self._careful |= load.devices(np.arange(count))
            return np.empty(0), np.empty((0, 0), np.bool_), np.empty(0, np.int64)
        if lost:
            self._careful |= load.devices(np.array(lost, np.intp))
            some = next(row for row in load.rows if row is not None)
            load.rows = [
                some if row is None else row for row in load.rows
            ]  # of devices that are done otherwise
        form = load.fleet.form
        received = load.received = times_of(load.messages)
        columns, rows = form.columns(load.rows, received), load.places
        newest = np.where(columns.present, self._times.newest[load.fleet.points[rows]], 0).max(axis=1)
        at = received if columns.at is None else columns.at
        silent = ~columns.present.any(axis=1)  # nothing was read of it
        careful = columns.careful | silent | ((at <= newest) if columns.at is None else (at < newest - LATE))
        if columns.at is not None:  # of a device in the order of its clock, or else with care
            # Of numbers this small numpy sorts by digits, which is ten times as fast.
            small = len(load.fleet.names) <= 1 << 16
            order = np.argsort(rows.astype(np.uint16) if small else rows, kind="stable")
            back = (np.diff(rows[order]) == 0) & (np.diff(at[order]) < 0)
            careful[order[1:][back]] = True
        if careful.any():
            self._careful |= load.devices(np.flatnonzero(careful))
        return columns.values, columns.present, at

    def _add(
        self,
        draft: Draft,
        load: Load,
        mine: npt.NDArray[np.intp] | None,
        values: Any,
        present: Bools,
        at: Longs,
    ) -> None:
        """mine: the messages, None = all of them."""
        form, messages, places = load.fleet.form, load.messages, load.places
        received = load.received
        listed: Sequence[int] = range(len(messages))
        if mine is not None:
            listed = mine.tolist()
            messages = Messages.of(messages).some(listed)
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
                        self._tell(draft, load.plan(n), name, stored(text), int(at[n]))
        for name, attribute in form.attributes:
            for n in listed:
                if (value := attribute(load.rows[n])) is not None:
                    shown = stored(value) if isinstance(value, str) else value
                    self._tell(draft, load.plan(n), name, shown, load.received.item(n))
        ordinary = Ordinary(messages, form.profile, Senders(load.fleet.names, places))
        draft.blocks.append(Block(ordinary, received, points, when, numbers, which, texts))
        self._moved.append((points, when))

    def _tell(self, draft: Draft, plan: Plan, name: str, value: Scalar, at: int) -> None:
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
            self._library, self._plans, self._topics = library, Plans(), {}
            self._fleets, self._by_number = {}, []
        elif changed:
            self._plans = self._plans.without(changed)
            for device in changed:
                self._topics.pop(device, None)
        self._times.fit(self._table.top)

    def _made(self, topic: str) -> Plan | None:
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
                else Fleet(
                    len(self._by_number), form, profile.lane, np.zeros((16, len(form.specs)), np.int32)
                )
            )
            self._fleets[key] = made
            self._by_number += [made] if made is not None else []
        fleet = self._fleets[key]
        if fleet is None or device is None:
            return None
        if self._topics.setdefault(device.id, topic) != topic and not fleet.form.timed:
            # Two of its topics may tell the same point in one millisecond.
            self._plans.put(self._topics[device.id], None)
            return None
        points = [self._table.find(device.id, spec.name) for spec in fleet.form.specs]
        for point, spec in zip(points, fleet.form.specs, strict=True):
            if point is None:
                return None
            same = point.spec.step == spec.step and point.spec.quantity == spec.quantity
            if not same and Kind.TEXT not in (point.spec.kind, spec.kind):
                return None
        return fleet.add(device.id, [p.id for p in points if p is not None])
