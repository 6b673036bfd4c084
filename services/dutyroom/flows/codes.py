"""Another code of the same rule while its alarm stands: a lift's fault that becomes another one without a pause.

A batch and the alarms that run go in; a condition comes out for each whose device shows another code that its rule means.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from math import isfinite
from typing import Final, TypeAlias

from dutyroom.flows.places import AHEAD, Named
from dutyroom.model.duty import Arguments, Condition
from dutyroom.model.telemetry import Batch, PointTable, Quality
from dutyroom.rules.side import Test
from dutyroom.rules.spec import Rule
from dutyroom.timebase import Ms

ANOTHER: Final = "another"  # argument of a condition that tells of another code, and raises nothing

_NO_NEWS = (Quality.SUSPECT, Quality.RETAINED)
_Key: TypeAlias = tuple[str, str]
_Meant: TypeAlias = tuple[frozenset[float], bool]  # the codes, and whether it means these or all others


class Codes:
    """One per site; not thread-safe. What it remembers spares a look into the records: losing it costs nothing else."""

    def __init__(self, table: PointTable) -> None:
        self._table = table
        self._points = Named(table)
        self._of: object = None  # the rules that these are of
        self._rules: dict[str, list[tuple[str, _Meant]]] = {}  # by the name of their point
        self._shown: dict[_Key, tuple[Ms, float]] = {}

    def look(
        self, batch: Batch, rules: Mapping[str, Rule], running: Collection[_Key], found: Sequence[Condition]
    ) -> list[Condition]:
        """One condition (marked with ANOTHER) for each alarm whose device shows another code than before, by its own clock.

        found: what the rules made of the batch.
        """
        self._take(rules)
        for condition in found:
            self._shown.pop((condition.rule, condition.object), None)
        rows = self._points.rows(batch.readings.point) if self._rules else ()
        return [condition for row in rows for condition in self._news(batch, row, running)]

    def _take(self, rules: Mapping[str, Rule]) -> None:
        if self._of is rules:
            return
        self._of, self._rules = rules, {}
        for rule in rules.values():
            if not rule.each_place and (meant := _meant(rule)) is not None:
                self._rules.setdefault(rule.point, []).append((rule.id, meant))
        self._points = Named(self._table, self._rules)

    def _news(self, batch: Batch, row: int, running: Collection[_Key]) -> Iterator[Condition]:
        readings = batch.readings
        at, value = readings.at.item(row), readings.value.item(row)
        if not isfinite(value) or readings.quality[row] in _NO_NEWS or at > batch.received_at + AHEAD:
            return
        point = self._table[readings.point.item(row)]
        name, device = point.spec.name, point.device
        for rule, (codes, wanted) in self._rules[name]:
            key = (rule, device)
            if key not in running or (value in codes) != wanted:
                continue
            before, shown = self._shown.get(key, (at, None))
            if at < before:
                continue
            self._shown[key] = (at, value)
            if value != shown:
                said: Arguments = {"code": int(value), ANOTHER: True}
                yield Condition(rule, device, True, at, name, value, arguments=said)


def _meant(rule: Rule) -> _Meant | None:
    """The codes of a rule that shows more than one; None = it has no others to show."""
    own = rule.parameters if rule.kind == "state" else _during(rule)
    equals, others = own.get("equals"), own.get("not")
    if isinstance(others, tuple) and others:
        return frozenset(others), False
    return (frozenset(equals), True) if isinstance(equals, tuple) and len(equals) > 1 else None


def _during(rule: Rule) -> Mapping[str, object]:
    test = rule.parameters.get("test") if rule.kind == "during" else None
    return {"equals": test.equals, "not": test.others} if isinstance(test, Test) else {}
