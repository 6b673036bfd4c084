"""What else a device said with what raised an alarm: the loop and the detector of a fire alarm."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import cached_property

import numpy as np
import numpy.typing as npt

from dutyroom.model.duty import Condition
from dutyroom.model.telemetry import Batch, PointTable
from dutyroom.rules.spec import Rule
from dutyroom.timebase import Ms


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


def with_mentions(
    condition: Condition, rules: Mapping[str, Rule], table: PointTable, batch: Said
) -> Condition:
    """The condition with what its rule mentions: `also.<place>.<point>` among its arguments, in the
    rule's order."""
    rule = rules.get(condition.rule)
    if rule is None or not rule.mentions or not condition.active:
        return condition
    said: dict[str, str | int | float | bool | None] = {}
    for place, name in enumerate(rule.mentions):
        point = table.find(condition.object, name)
        value = batch.newest(point.id, condition.at) if point is not None else None
        if value is not None:
            said[f"also.{place}.{name}"] = value
    return replace(condition, arguments={**condition.arguments, **said}) if said else condition
