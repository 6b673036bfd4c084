"""Which rule stands on which device: instances as devices, points and rules come, change and go.

What comes later costs what it is itself, however many are there already.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, MutableMapping
from itertools import islice
from typing import Any

from dutyroom.errors import Rejected
from dutyroom.model.duty import Device, DeviceStatus
from dutyroom.model.telemetry import Point, PointTable
from dutyroom.rules.columns import Shelf
from dutyroom.rules.kind import NOWHERE, Ground, Instance, Place
from dutyroom.rules.kinds import elsewhere, kind
from dutyroom.rules.spec import Rule, matches, on
from dutyroom.timebase import Ms

Key = tuple[str, str]  # rule, device


class Pairs(MutableMapping[Key, Instance]):
    """Instances by rule and device: by rule, then in the order in which they came. A key of each takes 56 bytes
    where these are kept."""

    def __init__(self) -> None:
        self._rules: dict[str, dict[str, Instance]] = {}
        self._count = 0

    def __getitem__(self, key: Key) -> Instance:
        return self._rules[key[0]][key[1]]

    def __setitem__(self, key: Key, instance: Instance) -> None:
        mine = self._rules.setdefault(key[0], {})
        self._count += key[1] not in mine
        mine[key[1]] = instance

    def __delitem__(self, key: Key) -> None:
        del self._rules[key[0]][key[1]]
        self._count -= 1

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[Key]:
        return ((rule, device) for rule, mine in self._rules.items() for device in mine)

    def __contains__(self, key: object) -> bool:
        return isinstance(key, tuple) and key[1] in self._rules.get(key[0], ())

    def of(self, rule: str) -> Collection[Instance]:
        """Those of a rule."""
        return self._rules.get(rule, {}).values()


class Roster:
    """Tells `meet` of every point, `join` of every instance that stands from now on, and `leave` of
    each that does no longer, before its state is read."""

    def __init__(
        self,
        table: PointTable,
        shelf: Shelf,
        meet: Callable[[Point], None],
        join: Callable[[Instance], None],
        leave: Callable[[Instance], None],
        ground: Ground = NOWHERE,
        heard: Callable[[str], Ms | None] = lambda device: None,
    ) -> None:
        self._table, self._shelf, self._ground, self._heard = table, shelf, ground, heard
        self._meet, self._join, self._leave = meet, join, leave
        self.devices: Mapping[str, Device] = {}
        self.rules: dict[str, Rule] = {}
        self.instances = Pairs()
        self.problems: dict[Key, str] = {}  # why a rule does not run on a device
        self._number = 0
        self._known = 0  # how many devices there were
        self._order: dict[str, int] = {}  # devices that all rules have looked at
        self._open: dict[str, list[Rule]] = {}  # by device: rules whose points are missing, or refused
        self._named: dict[str, set[str]] = {}  # by device: those of `_open` that need it
        self._points: dict[str, tuple[Point, ...]] = {}  # by device, as they were seen
        self._version, self._count = -1, 0  # of the table, as it was seen

    # ------------------------------------------------------------ changes

    def reload(
        self, rules: Iterable[Rule], devices: Mapping[str, Device], changed: Collection[str]
    ) -> set[Key]:
        """Takes other rules and devices; returns the pairs that are gone."""
        self.devices, self.rules = devices, {rule.id: rule for rule in rules}
        before, self.instances = self.instances, Pairs()
        for key, instance in before.items():
            if self._same(key, instance) and self._applies(self.rules[key[0]], key[1]):
                self.instances[key] = instance
            else:
                self._leave(instance)
                instance.close()
        self.problems.clear()
        self._known, self._order, self._open, self._named, self._version = 0, {}, {}, {}, -1
        self.refresh()
        if changed:
            self._renew(changed)
        return {key for key in before if key not in self.instances and not self.wanted(key)}

    def _same(self, key: Key, instance: Instance) -> bool:
        """Whether what stands is of the rule as it is on this device now."""
        rule, device = self.rules.get(key[0]), self.devices.get(key[1])
        return rule is not None and device is not None and on(rule, device) == instance.rule

    def refresh(self) -> None:
        """Sees devices and points that have come, and points that are other ones now."""
        fresh = self._new_devices() if len(self.devices) != self._known else []
        if not fresh and self._table.version == self._version:
            return
        grown = self._see_points()
        retry = {device: self._open.pop(device) for device in self._concerned(grown, fresh)}
        for device in fresh:
            retry[device] = [
                rule
                for rule in self.rules.values()
                if (rule.id, device) not in self.instances and self._applies(rule, device)
            ]
        for device in sorted(retry, key=self._order.__getitem__):
            self._try(device, retry[device])

    def _renew(self, changed: Collection[str]) -> None:
        """Builds the instances on changed devices again, and on those that name one of them."""
        for device in list(self.devices.values()):
            if device.id in changed or any(str(value) in changed for value in device.parameters.values()):
                self._build_again(device.id)

    def wanted(self, key: Key) -> bool:
        """Whether this rule belongs on this device."""
        rule = self.rules.get(key[0])
        return rule is not None and self._applies(rule, key[1])

    def _applies(self, rule: Rule, device: str) -> bool:
        found = self.devices.get(device)
        return (
            found is not None and found.status is not DeviceStatus.WITHDRAWN and matches(rule.select, found)
        )

    # ------------------------------------------------------------ what is new

    def _new_devices(self) -> list[str]:
        whole = len(self.devices)
        fresh = list(islice(self.devices, self._known, None))
        if len(self._order) + len(fresh) != whole or not self._order.keys().isdisjoint(fresh):
            fresh = [device for device in list(self.devices) if device not in self._order]
        self._known = whole
        for device in fresh:
            self._order[device] = len(self._order)
        return fresh

    def _see_points(self) -> list[str]:
        """The devices with points that are new or other ones. Where the table has only grown, no other
        points are looked at. Instances on those that had points before are built again."""
        version, count = self._table.version, len(self._table)
        grew = self._version >= 0 and version - self._version == count - self._count
        found = list(islice(self._table, self._count if grew else 0, None))
        self._version, self._count = version, (self._count if grew else 0) + len(found)
        seen: dict[str, list[Point]] = {}
        for point in found:
            seen.setdefault(point.device, []).append(point)
        changed = []
        for device, listed in seen.items():
            before = self._points.get(device)
            points = (*(before or ()), *listed) if grew else tuple(listed)
            if points != before:
                changed.append((device, before is not None))
                self._points[device] = points
                for point in points:
                    self._meet(point)
        for device, before_too in changed:
            if before_too:
                self._build_again(device)
        above = {feed: None for device, _ in changed for feed in self._ground.above(device)}
        above |= dict.fromkeys(self._watchers([device for device, _ in changed]))
        for feed in above:  # rules on a group look at the points of its members
            if feed in self._order:
                self._build_again(feed)
        return [*(device for device, _ in changed), *above]

    def _watchers(self, changed: Collection[str]) -> list[str]:
        """Devices with a rule that looks at others of these devices' classes."""
        wide = [(rule, looks(rule)) for rule in self.rules.values() if (looks := elsewhere(rule.kind))]
        if not wide:
            return []
        classes = {self.devices[device].device_class for device in changed if device in self.devices}
        rules = [rule for rule, looked in wide if not classes.isdisjoint(looked)]
        if not rules:
            return []
        return [device for device in list(self.devices) if any(self._applies(r, device) for r in rules)]

    def _concerned(self, grown: Collection[str], fresh: Collection[str]) -> set[str]:
        """Devices with a rule that may be built now."""
        found = {device for device in grown if device in self._open}
        for device in (*grown, *fresh):
            found |= self._named.pop(device, set()) & self._open.keys()
        return found

    # ------------------------------------------------------------ instances

    def _try(self, device: str, rules: Iterable[Rule]) -> None:
        """Builds what can be; the others wait for their points, or for another row of the device."""
        for rule in rules:
            instance = self._made(rule, device)
            if instance is not None:
                self._number += 1
                instance.number = self._number
                self._take(instance)
                continue
            self._open.setdefault(device, []).append(rule)
            parameters = self.devices[device].parameters
            for name in on(rule, self.devices[device]).parameters.values():
                if isinstance(name, str) and name in parameters:
                    self._named.setdefault(str(parameters[name]), set()).add(device)

    def _build_again(self, device: str) -> None:
        """The instances of a device see its new points and other specs, and keep their state."""
        for rule in self.rules.values():
            old = self.instances.get((rule.id, device))
            new = self._made(rule, device) if old is not None else None
            if old is None or new is None:
                continue
            self._leave(old)
            new.number = old.number
            load(new, old.dump())
            old.close()
            self._take(new)

    def renew(self, key: Key) -> None:
        """Lets an instance begin afresh."""
        instance = self.instances[key]
        fresh = self._made(instance.rule, instance.device)
        if fresh is not None:
            instance.load(fresh.dump())
            fresh.close()

    def twin(self, key: Key) -> Instance | None:
        """A fresh instance like the one that stands, on columns of its own; None = none stands."""
        instance = self.instances.get(key)
        return None if instance is None else self._made(instance.rule, instance.device, Shelf())

    def _take(self, instance: Instance) -> None:
        key = (instance.rule.id, instance.device)
        self.instances[key] = instance
        self.problems.pop(key, None)
        self._join(instance)

    def _made(self, rule: Rule, device: str, shelf: Shelf | None = None) -> Instance | None:
        """None while its points are missing, or where it can never stand: `problems` says why."""
        try:
            mine = self.devices[device]
            place = Place(mine, self.devices, self._table, shelf or self._shelf, self._ground, self._heard)
            return kind(rule.kind).build(on(rule, mine), place)
        except Rejected as err:
            self.problems[rule.id, device] = err.reason
            return None


def load(instance: Instance, dumped: list[Any]) -> None:
    """Gives an instance its state; one in an older shape of its kind starts afresh."""
    fresh = instance.dump()
    try:
        instance.load(dumped)
    except (Rejected, ValueError, TypeError, IndexError):
        instance.load(fresh)
