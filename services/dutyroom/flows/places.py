"""Where a fire is reported while its alarm stands already: each message of a panel that names a loop and a detector.

The panel's state says only that there is a fire, and stays so with the second detector. That one is news all the
same: it means that the fire spreads, or that the first was no false alarm.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from itertools import zip_longest
from typing import Final, TypeAlias

import numpy as np

from dutyroom.model.duty import Arguments, Condition
from dutyroom.model.telemetry import Batch, Bytes8, Ints, Point, PointTable, Quality
from dutyroom.rules.spec import Rule
from dutyroom.timebase import HOUR, Ms

Place: TypeAlias = tuple[float | None, ...]  # values of the points that the rule mentions, in its order
Key: TypeAlias = tuple[str, str]

AHEAD: Ms = HOUR  # what lies further in the future was said by a clock that is wrong
_UNKNOWN, _OTHER, _MINE = 0, 1, 2


class Named:
    """Which readings are of points that have one of some names."""

    def __init__(self, table: PointTable, names: Collection[str] = ()) -> None:
        self._table, self._names = table, frozenset(names)
        self._kind: Bytes8 = np.zeros(0, np.uint8)  # by point

    def rows(self, points: Ints) -> list[int]:
        """Their places in the column. points: [n] ids."""
        top = int(points.max(initial=-1)) + 1
        if top > len(self._kind):
            self._kind = np.concatenate([self._kind, np.zeros(top + 64 - len(self._kind), np.uint8)])
        kinds = self._kind[points]
        if (kinds == _UNKNOWN).any():
            for point in np.unique(points[kinds == _UNKNOWN]).tolist():
                known = self._table.get(point)
                if known is not None:
                    self._kind[point] = _MINE if known.spec.name in self._names else _OTHER
            kinds = self._kind[points]
        return list(np.flatnonzero(kinds == _MINE).tolist())


class Places:
    """One per site; not thread-safe. What it remembers spares a look into the records: losing it costs nothing else."""

    def __init__(self, table: PointTable) -> None:
        self._table = table
        self._points = Named(table)
        self._rules: dict[str, list[Rule]] = {}  # by the name of their point
        self._of: object = None  # the rules that these are of
        self._said: dict[Key, set[Place]] = {}

    def look(
        self, batch: Batch, rules: Mapping[str, Rule], running: Collection[Key], found: Sequence[Condition]
    ) -> list[Condition]:
        """One condition (marked with MERELY: it raises nothing) for each place that was not said since the rule last spoke of the device.

        found: what the rules made of the batch. Each condition has the place as `with_mentions` writes it.
        """
        self._take(rules)
        if not self._rules:
            return []
        for condition in found:
            self._said.pop((condition.rule, condition.object), None)
        readings = batch.readings
        out: list[Condition] = []
        for row in self._points.rows(readings.point):
            if readings.quality[row] == Quality.SUSPECT or readings.at[row] > batch.received_at + AHEAD:
                continue
            point = self._table[readings.point.item(row)]
            for rule in self._rules[point.spec.name]:
                if (rule.id, point.device) in running and readings.value.item(row) in _codes(rule):
                    out += self._news(rule, point, batch, row)
        return out

    def _take(self, rules: Mapping[str, Rule]) -> None:
        if self._of is rules:
            return
        self._of, self._rules = rules, {}
        for rule in rules.values():
            if rule.each_place:
                self._rules.setdefault(rule.point, []).append(rule)
        self._points = Named(self._table, self._rules)

    def _news(self, rule: Rule, point: Point, batch: Batch, row: int) -> list[Condition]:
        said = self._said.setdefault((rule.id, point.device), set())
        at = batch.readings.at.item(row)
        news = []
        for place in self._places(rule, point.device, batch, row):
            if place not in said:
                said.add(place)
                named: dict[str, str | int | float | bool | None] = {
                    f"also.{n}.{name}": value
                    for n, (name, value) in enumerate(zip(rule.mentions, place, strict=True))
                    if value is not None
                }
                named[MERELY] = True
                news.append(Condition(rule.id, point.device, True, at, point.spec.name, arguments=named))
        return news

    def _places(self, rule: Rule, device: str, batch: Batch, row: int) -> list[Place]:
        """Of the message that this reading came with; several where it tells of several parts at one instant."""
        readings = batch.readings
        beside = (readings.message == readings.message[row]) & (readings.at == readings.at[row])
        columns: list[list[float]] = []
        for name in rule.mentions:
            known = self._table.find(device, name)
            rows = beside & (readings.point == known.id) if known is not None else np.zeros(0, np.bool_)
            columns.append(readings.value[rows].tolist() if known is not None else [])
        if len({len(column) for column in columns if column}) > 1:  # which belongs to which nobody can say
            columns = [column[-1:] for column in columns]
        return list(dict.fromkeys(zip_longest(*columns)))


def _codes(rule: Rule) -> Collection[float]:
    equals = rule.parameters.get("equals")
    return equals if isinstance(equals, tuple) else ()


MERELY: Final = "place"  # argument of a condition that tells of a place, and raises nothing
PREFIX: Final = "more."  # of a further place among an alarm's arguments: "more.002.0.alarm_loop"


def place_of(arguments: Arguments) -> dict[str, float]:
    """The place of a condition, by what it is called: {"0.alarm_loop": 3.0, "1.alarm_detector": 5.0}."""
    said = [
        (name.removeprefix("also."), value) for name, value in arguments.items() if name.startswith("also.")
    ]
    return _numbers(sorted(said, key=lambda pair: pair[0]))


def places_of(arguments: Arguments) -> list[dict[str, float]]:
    """All that an alarm knows, the first one first."""
    further: dict[str, list[tuple[str, object]]] = {}
    for name in sorted(arguments):
        if name.startswith(PREFIX):
            number, _, what = name.removeprefix(PREFIX).partition(".")
            further.setdefault(number, []).append((what, arguments[name]))
    return [place_of(arguments), *map(_numbers, further.values())]


def _numbers(named: Iterable[tuple[str, object]]) -> dict[str, float]:
    return {name: float(value) for name, value in named if isinstance(value, int | float)}
