"""The rules of a site over its readings: batches in, conditions out.

Event time per point: what is not newer than the newest reading already judged is not judged again,
only counted. The engine knows nothing of alarms: it says what holds, and saying it twice is harmless.
"""

from __future__ import annotations

import zlib
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import orjson

from dutyroom.errors import Rejected
from dutyroom.model.duty import Condition, Device, DeviceStatus
from dutyroom.model.telemetry import COUNTER_RESET, Batch, Lane, Longs, Point, PointTable, Quality
from dutyroom.rules.kind import Instance, Place
from dutyroom.rules.kinds import kind
from dutyroom.rules.spec import Rule, matches
from dutyroom.timebase import HOUR, MINUTE, Ms

AHEAD: Ms = HOUR  # a reading further in the future than this comes from a wrong clock
PAUSE: Ms = MINUTE  # a start this long after the last message of any device: we were away

_FORMAT = 1


class Engine:
    """One per site; not thread-safe. `devices` may grow while it runs."""

    def __init__(self, rules: Iterable[Rule], table: PointTable, devices: Mapping[str, Device]) -> None:
        self._table, self.devices = table, devices
        self.rules: dict[str, Rule] = {}
        self.problems: dict[tuple[str, str], str] = {}  # (rule, device) -> why it does not run
        self.late: Counter[str] = Counter()  # readings not judged because older, by device
        self._instances: dict[tuple[str, str], Instance] = {}
        self._newest: dict[int, Ms] = {}
        self._heard: dict[str, Ms] = {}
        self._lane: dict[str, Lane] = {}  # a device stays in one
        self._waiting: set[Instance] = set()
        self._points: dict[str, tuple[Point, ...]] = {}  # by device
        self.reload(rules, devices)

    # ------------------------------------------------------------ rules and devices

    def reload(
        self, rules: Iterable[Rule], devices: Mapping[str, Device], changed: Collection[str] = ()
    ) -> set[tuple[str, str]]:
        """Takes other rules and devices; returns the (rule, device) pairs that are gone.

        changed: devices whose row is another one now: their limits and places are read anew. What
        stays keeps its state.
        """
        self.devices = devices
        fresh = {rule.id: rule for rule in rules}
        before = self._instances
        kept = {
            key: instance
            for key, instance in before.items()
            if fresh.get(key[0]) == instance.rule and self._applies(instance.rule, key[1])
        }
        self.rules, self._instances = fresh, kept
        self._prints = {rule.id: _fingerprint(rule) for rule in fresh.values()}
        self._waiting &= set(kept.values())
        self.problems.clear()
        self._match()
        self._renew(changed)
        return {key for key in before if key not in self._instances and not self._wanted(key)}

    def _renew(self, changed: Collection[str]) -> None:
        """Builds the instances on changed devices again, and on those that name one of them."""
        if not changed:
            return
        touched = {
            device.id
            for device in list(self.devices.values())
            if device.id in changed or any(str(value) in changed for value in device.parameters.values())
        }
        for key, instance in list(self._instances.items()):
            if key[1] in touched and self._build(instance.rule, key[1]):
                self._waiting.discard(instance)
                self._load(self._instances[key], instance.dump())
        self._index()

    def _wanted(self, key: tuple[str, str]) -> bool:
        rule = self.rules.get(key[0])
        return rule is not None and self._applies(rule, key[1])

    def _applies(self, rule: Rule, device: str) -> bool:
        found = self.devices.get(device)
        return (
            found is not None and found.status is not DeviceStatus.WITHDRAWN and matches(rule.select, found)
        )

    def _match(self) -> None:
        """Every rule on every device that it selects; those whose points are missing wait for them."""
        self._known = len(self.devices)
        self._lacking = [
            (rule, device.id)
            for device in list(self.devices.values())
            for rule in self.rules.values()
            if (rule.id, device.id) not in self._instances and self._applies(rule, device.id)
        ]
        self._complete()

    def _complete(self) -> None:
        """Builds the instances whose points have appeared, and the indexes anew."""
        self._version = self._table.version
        self._rebuild()
        self._lacking = [(rule, device) for rule, device in self._lacking if not self._build(rule, device)]
        self._index()

    def _rebuild(self) -> None:
        """The instances of a device see its new points and other specs, and keep their state."""
        points: dict[str, tuple[Point, ...]] = {}
        for point in list(self._table):
            points[point.device] = (*points.get(point.device, ()), point)
        changed = {device for device, seen in points.items() if seen != self._points.get(device, seen)}
        self._points = points
        for key, instance in list(self._instances.items()):
            if key[1] in changed and self._build(instance.rule, key[1]):
                self._waiting.discard(instance)
                self._load(self._instances[key], instance.dump())

    def _build(self, rule: Rule, device: str) -> bool:
        """True when there is nothing more to wait for."""
        try:
            place = Place(self.devices[device], self.devices, self._table)
            instance = kind(rule.kind).build(rule, place)
        except Rejected as err:
            self.problems[rule.id, device] = err.reason
            return True
        if instance is None:
            return False
        self._instances[rule.id, device] = instance
        return True

    def _index(self) -> None:
        points = list(self._table)
        size = max((p.id for p in points), default=-1) + 1
        self._watched = np.zeros(size, dtype=bool)
        self._liveness = np.zeros(size, dtype=bool)
        self._device = {p.id: p.device for p in points}
        self._scale = {p.id: float(1 / p.spec.step) for p in points if p.spec.step}
        self._by_point: dict[int, list[Instance]] = {}
        self._by_device: dict[str, list[Instance]] = {}
        self._followers: dict[str, list[Instance]] = {}
        for point in points:
            self._liveness[point.id] = point.spec.name == "online"
        for instance in self._instances.values():
            for point_id in instance.points:
                self._by_point.setdefault(point_id, []).append(instance)
                self._watched[point_id] = True
            if instance.hears:
                self._by_device.setdefault(instance.device, []).append(instance)
            if instance.follows:
                self._followers.setdefault(instance.follows, []).append(instance)

    def _refresh(self) -> None:
        if len(self.devices) != self._known:
            self._match()
        elif self._table.version != self._version:
            self._complete()

    # ------------------------------------------------------------ readings and time

    def feed(self, batch: Batch) -> list[Condition]:
        """What the readings of a batch change, in their devices' time order."""
        self._refresh()
        out: list[Condition] = []
        self._reset(batch, out)
        if len(batch.readings):
            self._read(batch, out)
        # After the readings: one of them may say that what was waited for has ended long ago. Only
        # of its lane: the readings of the other one may not have been judged as far as this. What is
        # read again from quarantine came long ago and tells no time.
        if not batch.again:
            self._timers(batch.received_at, out, batch.lane)
        return out

    def _reset(self, batch: Batch, out: list[Condition]) -> None:
        """Before the readings: the first one after it comes with the same message."""
        for event in batch.events:
            if event.code == COUNTER_RESET and not _retained(batch, event.message):
                for instance in self._by_point.get(event.point, ()):
                    self._note(instance, instance.reset(event.point, event.at), batch.received_at, out)

    def _read(self, batch: Batch, out: list[Condition]) -> None:
        readings = batch.readings
        if not batch.again:
            self._hear(batch, out)
        known = readings.point < len(self._watched)
        watched = np.zeros(len(readings), dtype=bool)
        watched[known] = self._watched[readings.point[known]]
        rows = np.flatnonzero(
            watched
            & (readings.quality != Quality.SUSPECT)
            & np.isfinite(readings.value)
            & (readings.at <= batch.received_at + AHEAD)
        )
        if len(rows):
            self._take(batch, rows[np.argsort(readings.at[rows], kind="stable")], out)

    def _take(self, batch: Batch, rows: Longs, out: list[Condition]) -> None:
        columns = batch.readings
        received = [record.message.received_at for record in batch.messages]
        for point, at, value, quality, message in zip(
            columns.point[rows].tolist(),
            columns.at[rows].tolist(),
            columns.value[rows].tolist(),
            columns.quality[rows].tolist(),
            columns.message[rows].tolist(),
            strict=True,
        ):
            newest = self._newest.get(point)
            if newest is not None and at <= newest:
                if at < newest and quality != Quality.RETAINED:
                    self.late[self._device[point]] += 1
                continue
            self._newest[point] = at
            scale = self._scale.get(point)
            physical = value if scale is None else value / scale
            then = received[message] if message < len(received) else batch.received_at
            for instance in self._by_point[point]:
                if quality != Quality.RETAINED and instance in self._waiting:
                    self._note(instance, instance.reach(point, at, then), then, out)
                condition = instance.take(point, at, physical, quality == Quality.RETAINED, then)
                self._note(instance, condition, then, out)

    def _hear(self, batch: Batch, out: list[Condition]) -> None:
        """Signs of life: any reading but a retained one, or a broker's word that a device has gone."""
        columns = batch.readings
        known = columns.point < len(self._liveness)
        gone = np.zeros(len(columns), dtype=bool)
        gone[known] = self._liveness[columns.point[known]]
        alive = known & (columns.quality != Quality.RETAINED) & ~(gone & (columns.value == 0))
        devices = {self._device[p] for p in np.unique(columns.point[alive]).tolist() if p in self._device}
        devices |= {
            self._device[e.point]
            for e in batch.events
            if e.point in self._device and not _retained(batch, e.message)
        }
        for device in sorted(devices):
            self._heard[device] = max(batch.received_at, self._heard.get(device, 0))
            self._lane[device] = batch.lane
            for instance in self._by_device.get(device, ()):
                self._note(instance, instance.hear(batch.received_at), batch.received_at, out)

    def _note(
        self, instance: Instance, condition: Condition | None, received: Ms, out: list[Condition]
    ) -> None:
        """Keeps who waits, and lets followers see a condition."""
        if instance.waiting and not instance.hears:
            self._waiting.add(instance)
        else:
            self._waiting.discard(instance)
        if condition is None:
            return
        out.append(condition)
        for follower in self._followers.get(condition.rule, ()):
            self._note(follower, follower.follow(condition, received), received, out)

    def _timers(self, now: Ms, out: list[Condition], lane: Lane | None = None) -> None:
        """Delays and deadlines by rule and device, so that the order is always the same; of the
        devices of one lane, or of all."""
        due = [i for i in self._waiting if lane is None or self._lane.get(i.device) is lane]
        for instance in sorted(due, key=lambda i: (i.rule.id, i.device)):
            self._note(instance, instance.tick(now), now, out)

    def tick(self, now: Ms) -> list[Condition]:
        """What time alone changes: delays, deadlines, silence. Call it with a drained journal."""
        self._refresh()
        out: list[Condition] = []
        self._timers(now, out)
        for instances in list(self._by_device.values()):
            for instance in instances:
                if instance.waiting:
                    self._note(instance, instance.tick(now), now, out)
        return out

    def started(self, now: Ms) -> None:
        """The service, or its sight of the devices, begins again: nothing is silent yet. Where no
        device at all was heard for a while, nothing is known of that while."""
        paused = now - max(self._heard.values(), default=now) > PAUSE
        for instance in self._instances.values():
            instance.started(now)
            if paused:
                instance.paused(now)

    def heard(self, device: str) -> Ms | None:
        """Receive time of a device's last sign of life; None = none since the state began."""
        return self._heard.get(device)

    # ------------------------------------------------------------ state

    def adopt(self, standing: Sequence[Condition], now: Ms) -> None:
        """After a start: what the alarm table says of conditions that stand. It knows what time
        alone decided before, which no reading can tell again."""
        held = {(c.rule, c.object) for c in standing}
        for key, instance in self._instances.items():
            instance.adopt(key in held)
        ignored: list[Condition] = []
        for condition in standing:
            for follower in self._followers.get(condition.rule, ()):
                if not follower.active:
                    self._note(follower, follower.follow(condition, condition.at), now, ignored)

    def snapshot(self) -> bytes:
        """The whole state, for `restore`."""
        data = {
            "format": _FORMAT,
            "newest": list(self._newest.items()),
            "heard": self._heard,
            "instances": [
                [rule, device, self._prints[rule], i.dump()] for (rule, device), i in self._instances.items()
            ],
        }
        return zlib.compress(orjson.dumps(data), 1)

    def restore(self, data: bytes) -> set[tuple[str, str]]:
        """Takes a snapshot; returns the (rule, device) pairs in it that do not exist any more.

        An instance whose rule has changed starts afresh. Raises Rejected for what is no snapshot.
        """
        try:
            state = orjson.loads(zlib.decompress(data))
            newest = {int(p): int(at) for p, at in state["newest"]}
            rows = [(str(r), str(d), str(f), list(s)) for r, d, f, s in state["instances"]]
            heard = {str(d): int(at) for d, at in state["heard"].items()}
        except (zlib.error, ValueError, KeyError, TypeError) as err:
            raise Rejected(f"not a snapshot of the rules: {err}") from err
        self._newest, self._heard = newest, heard
        gone = set()
        for rule, device, print_, dumped in rows:
            instance = self._instances.get((rule, device))
            if instance is not None and print_ == self._prints[rule]:
                self._load(instance, dumped)
            elif instance is None and not self._wanted((rule, device)):
                gone.add((rule, device))
        return gone

    def _load(self, instance: Instance, dumped: list[Any]) -> None:
        fresh = instance.dump()
        try:
            instance.load(dumped)
        except (ValueError, TypeError, IndexError):  # an older shape of this kind's state
            instance.load(fresh)
        if instance.waiting and not instance.hears:
            self._waiting.add(instance)


def _retained(batch: Batch, message: int) -> bool:
    return message < len(batch.messages) and batch.messages[message].message.retained


def _fingerprint(rule: Rule) -> str:
    """Changes when the rule's state can no longer be trusted to mean the same."""
    text = repr(
        (rule.kind, rule.point, sorted(rule.parameters.items(), key=str), rule.on_delay, rule.off_delay)
    )
    return f"{zlib.crc32(text.encode()):08x}"
