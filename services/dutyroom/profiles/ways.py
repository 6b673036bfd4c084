"""Points of a layout that are read by themselves, in less time than `PointProgram.run` takes: it looks at all that a
point may have, these have only some of it.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, TypeAlias

from dutyroom.errors import Rejected
from dutyroom.model.telemetry import PointSpec
from dutyroom.profiles.computed import Computed, computed
from dutyroom.profiles.conditions import all_of
from dutyroom.profiles.expressions import Expression
from dutyroom.profiles.job import Here, Job
from dutyroom.profiles.paths import MAX_ITEMS, MISSING, Key, Path, getter
from dutyroom.profiles.points import PointProgram, Quick
from dutyroom.profiles.profile import PointRule
from dutyroom.profiles.rest import MAX_NAME, MAX_NAMES
from dutyroom.profiles.result import DecodedReading
from dutyroom.profiles.values import Convert


class NamedPoints:
    """Points that are all fields of one object, and have their names."""

    __slots__ = ("_keys", "_quick", "_spec", "_specs")

    def __init__(self, rule: PointRule, quick: Quick) -> None:
        self._keys = leading(rule.paths[0])
        self._quick, self._spec = quick, rule.spec
        self._specs: dict[str, PointSpec] = {}

    def run(self, here: Here, job: Job) -> None:
        table = inside(here.item, self._keys)
        if type(table) is not dict:
            return
        if len(table) > MAX_ITEMS:
            raise Rejected(f"more than {MAX_ITEMS} elements in one list")
        for name, raw in table.items():
            if raw is None or not name or len(name) > MAX_NAME:
                continue
            spec = self._specs.get(name)
            if spec is None:
                spec = replace(self._spec, name=name)
                if len(self._specs) < MAX_NAMES:
                    self._specs[name] = spec
            types, factor, divisor, added, steps, low, high, _, point = self._quick
            if type(raw) in types and not steps and low <= (value := raw * factor / divisor + added) <= high:
                job.readings.append(DecodedReading(here.address, spec, here.at, value, here.quality, None))
            else:
                take_long(raw, self._quick, point.convert, spec, here, job)


class TestedPoint:
    """A point that is computed, or has a condition, and is no more than that."""

    __slots__ = ("_absent", "_computed", "_get", "_known", "_needed", "_quick", "_test")

    def __init__(self, rule: PointRule, quick: Quick) -> None:
        self._quick, self._absent = quick, rule.absent
        self._needed = _needed(rule)  # most conditions are no more than that, which needs no call
        self._get, self._test = getter(rule.paths), None if self._needed else all_of(rule.when)
        self._computed: Computed | None = None
        if rule.value is not None:
            names = {name: getter([path]) for name, path in rule.names.items()}
            at_once = None if self._test is not None else quick
            self._computed = computed(rule.value, _fields(rule, rule.value), names, at_once)
        low, high, _, point = quick[5:]
        mapping = {} if rule.none or point.guarded else rule.mapping
        self._known = {t: v for t, v in mapping.items() if type(v) is float and low <= v <= high}

    def run(self, here: Here, job: Job) -> None:
        item: Any = here.item  # a dict
        if self._needed and self._needed not in item:
            return
        document = job.document
        raw: Any
        if self._computed is None:
            raw = self._get(item, document)
            raw = self._absent if raw is MISSING else raw
        else:
            raw = self._computed(item, here, job)
        if raw is None or (self._test is not None and not self._test(here.captures, item, document)):
            return
        if type(raw) is str and raw in self._known:
            value, spec = self._known[raw], self._quick[7]
            job.readings.append(DecodedReading(here.address, spec, here.at, value, here.quality, None))
        else:
            take(raw, self._quick, self._quick[7], here, job)


def _needed(rule: PointRule) -> str:
    """The one field of the item that must be there, where that is the condition; else ""."""
    condition = rule.when[0] if len(rule.when) == 1 else None
    if (
        condition is None
        or condition.test != "exists"
        or condition.values[0] != "true"
        or condition.path is None
    ):
        return ""
    keys = leading(condition.path)
    return keys[0] if len(keys) == 1 and len(condition.path.steps) == 1 else ""


def _fields(rule: PointRule, value: Expression) -> dict[str, str]:
    """The names of an expression that are fields of the item."""
    found = {name: name for name in value.names if name not in rule.names}
    for name, path in rule.names.items():
        keys = leading(path)
        if len(keys) == 1 and len(path.steps) == 1:
            found[name] = keys[0]
    return found


def inside(value: object, keys: tuple[str, ...]) -> object:
    for key in keys:
        value = value.get(key) if type(value) is dict else None
    return value


def take(raw: Any, quick: Quick, spec: PointSpec, here: Here, job: Job) -> None:
    """The same of one value."""
    types, factor, divisor, added, steps, low, high, _, point = quick
    if type(raw) in types and not steps:
        value = raw * factor / divisor + added
        if low <= value <= high:
            job.readings.append(DecodedReading(here.address, spec, here.at, value, here.quality, None))
            return
    take_long(raw, quick, point.convert, spec, here, job)


def take_long(raw: object, quick: Quick, convert: Convert, spec: PointSpec, here: Here, job: Job) -> None:
    low, high, _, point = quick[5:]
    found = convert(raw, here.parameters)
    if type(found) is float and low <= found <= high:
        job.readings.append(DecodedReading(here.address, spec, here.at, found, here.quality, None))
    else:
        point.emit(found, raw, spec, here, job)


def leading(path: Path) -> tuple[str, ...]:
    """The keys that a path begins with."""
    found: list[str] = []
    for step in () if path.whole else path.steps:
        if not isinstance(step, Key):
            break
        found.append(step.name)
    return tuple(found)


One: TypeAlias = PointProgram | NamedPoints | TestedPoint
