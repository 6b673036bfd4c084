"""A stretch judged again: instances in an earlier state and their readings in time order give what
holds, from when to when, and the state that live operation goes on with.

Pure: the readings and the time are arguments. A reading counts as received when it was read, so that
the outcome follows from the readings alone, in whatever order they came.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from dutyroom.model.duty import Condition
from dutyroom.rules.columns import FOREVER, NEVER
from dutyroom.rules.kind import Instance
from dutyroom.timebase import Ms


@dataclass(frozen=True, slots=True)
class Row:
    """A reading, value in the point's unit; value None: the device says that the counter began again."""

    at: Ms
    point: int
    value: float | None
    retained: bool = False


@dataclass(frozen=True, slots=True)
class Stretch:
    """From the condition that raised it to its end; raised None = it held already at the begin."""

    raised: Condition | None
    cleared_at: Ms | None


Replayed: TypeAlias = Sequence[Stretch]


@dataclass(frozen=True, slots=True)
class Mark:
    """A state on the way: of an instance that knows all readings up to `at`, the newest being of `since`."""

    at: Ms
    since: Ms
    dumped: list[Any]


def replay(
    instance: Instance, rows: Iterable[Row], now: Ms, since: Ms = NEVER, marks: Sequence[Ms] = ()
) -> tuple[Replayed, list[Mark]]:
    """What the instance says of these readings, in time order, each newer than those it knows; and of
    the time until `now`. It is left in the state that follows.

    since: the newest reading that it knows; marks: instants in time order at which its state is wanted.
    """
    held = instance.active
    wanted, passed = list(reversed(marks)), []
    said: list[Condition] = []

    def note(condition: Condition | None) -> None:
        if condition is not None:
            said.append(condition)

    def mark(until: Ms) -> None:
        while wanted and wanted[-1] < until:
            passed.append(Mark(wanted.pop(), since, instance.dump()))

    for row in sorted(rows, key=_order):
        if wanted:
            mark(row.at)
        since = row.at
        if row.value is None:
            note(instance.reset(row.point, row.at))
            continue
        if not row.retained:
            note(instance.reach(row.point, row.at, row.at))
        note(instance.take(row.point, row.at, row.value, row.retained, row.at))
    mark(FOREVER)  # before time alone says something: a reading may still come that says otherwise
    if instance.waiting and instance.due[0] <= now <= instance.due[1]:
        note(instance.tick(now))
    return _stretches(held, said), passed


def _order(row: Row) -> tuple[Ms, bool, int]:
    """A reset comes before the first reading after it."""
    return row.at, row.value is not None, row.point


def _stretches(held: bool, said: Iterable[Condition]) -> list[Stretch]:
    """Saying twice what holds changes nothing."""
    found: list[Stretch] = []
    raised: Condition | None = None
    for condition in said:
        if condition.active == held:
            continue
        held = condition.active
        if held:
            raised = condition
        else:
            found.append(Stretch(raised, condition.at))
            raised = None
    return [*found, Stretch(raised, None)] if held else found
