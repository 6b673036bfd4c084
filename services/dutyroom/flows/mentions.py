"""What else a device said with what raised an alarm: the loop and the detector of a fire alarm."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import cached_property
from math import isfinite

import numpy as np
import numpy.typing as npt

from dutyroom.flows.codes import ANOTHER
from dutyroom.flows.places import AHEAD, Named
from dutyroom.model.duty import Condition
from dutyroom.model.telemetry import Batch, PointTable, Quality
from dutyroom.rules.spec import Rule
from dutyroom.timebase import SECOND, Ms


class Said:
    """The readings of a batch by point: sorted once, however many conditions ask."""

    def __init__(self, batch: Batch) -> None:
        self._readings = batch.readings

    @cached_property
    def _order(self) -> npt.NDArray[np.intp]:
        return np.argsort(self._readings.point, kind="stable")

    @cached_property
    def _points(self) -> npt.NDArray[np.int32]:
        return self._readings.point[self._order]

    def newest(self, point: int, until: Ms) -> float | None:
        """The value of a point's newest reading of the batch that is not after `until`; None = none."""
        first, last = np.searchsorted(self._points, [point, point + 1])
        rows = self._order[first:last]
        rows = rows[self._readings.at[rows] <= until]
        return float(self._readings.value[rows[np.argmax(self._readings.at[rows])]]) if len(rows) else None


class Kept:
    """The newest value of each point that a rule with a delay mentions: it is over with a later message, or with none."""

    def __init__(self, table: PointTable) -> None:
        self._points = Named(table)
        self._table = table
        self._of: object = None  # the rules that these are of
        self._newest: dict[int, tuple[Ms, float]] = {}

    def take(self, batch: Batch, rules: Mapping[str, Rule]) -> None:
        if self._of is not rules:
            names = {name for rule in rules.values() if _delay(rule) for name in rule.mentions}
            self._of, self._points = rules, Named(self._table, names)
        readings = batch.readings
        for row in self._points.rows(readings.point):
            point, at = readings.point.item(row), readings.at.item(row)
            value, before = readings.value.item(row), self._newest.get(point, (at, 0.0))[0]
            suspect = readings.quality[row] == Quality.SUSPECT or not isfinite(value)
            if before <= at <= batch.received_at + AHEAD and not suspect:
                self._newest[point] = (at, value)

    def newest(self, point: int, since: Ms) -> float | None:
        """The value of a point, where it was said at `since` or later; None = it was not."""
        at, value = self._newest.get(point, (-1, 0.0))
        return value if at >= since else None


def _delay(rule: Rule) -> Ms:
    """How long before its condition what began it was said."""
    return max(rule.on_delay, SECOND if rule.kind == "during" else 0)


def with_mentions(
    condition: Condition, rules: Mapping[str, Rule], table: PointTable, batch: Said | None, kept: Kept
) -> Condition:
    """The condition with what its rule mentions: `also.<place>.<point>` among its arguments, in the
    rule's order. batch: what brought it; None = time alone."""
    rule = rules.get(condition.rule)
    if rule is None or not rule.mentions or not condition.active:
        return condition
    said: dict[str, str | int | float | bool | None] = {}
    for place, name in enumerate(rule.mentions):
        point = table.find(condition.object, name)
        value = batch.newest(point.id, condition.at) if point is not None and batch is not None else None
        if value is None and point is not None and (delay := _delay(rule)):
            # With another code goes what was said last, however long ago; with what begins what was said since.
            value = kept.newest(point.id, 0 if ANOTHER in condition.arguments else condition.at - delay)
        if value is not None:
            said[f"also.{place}.{name}"] = value
    return replace(condition, arguments={**condition.arguments, **said}) if said else condition
