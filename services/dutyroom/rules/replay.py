"""A stretch judged again: instances in an earlier state and their readings in time order give what
holds, from when to when, and the state that live operation goes on with.

Pure: the readings and the time are arguments. A reading counts as received when it was read (in a time in which nobody
listened, at its end), so that the outcome follows from the readings alone, in whatever order they came.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias

from dutyroom.model.duty import Condition
from dutyroom.rules.behind import renewed
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
class Pause:
    """A time in which we heard no device, from the last message on: live operation has begun to wait anew at its end."""

    at: Ms
    until: Ms


@dataclass(frozen=True, slots=True)
class Stretch:
    """From the condition that raised it to its end; raised None = it held already at the begin."""

    raised: Condition | None
    cleared_at: Ms | None

    @property
    def said(self) -> Ms:
        """Of what was said of it, the first."""
        if self.raised is not None:
            return self.raised.at
        return FOREVER if self.cleared_at is None else self.cleared_at


Replayed: TypeAlias = Sequence[Stretch]


@dataclass(frozen=True, slots=True)
class Mark:
    """A state on the way: of an instance that knows the readings up to `at` that had come, the newest being of
    `since`, of each point that of `newest`."""

    at: Ms
    since: Ms
    dumped: list[Any]
    newest: Mapping[int, Ms] = field(default_factory=dict)


def replay(
    instance: Instance,
    rows: Iterable[Row],
    now: Ms,
    since: Ms = NEVER,
    marks: Sequence[Ms] = (),
    followed: Iterable[Condition] = (),
    known: Mapping[int, Ms] | None = None,
    pauses: Sequence[Pause] = (),
    explained: Callable[[Ms], bool] = lambda at: False,
) -> tuple[Replayed, list[Mark]]:
    """What the instance says of these readings, in time order, each newer than those it knows; and of
    the time until `now`. It is left in the state that follows.

    since: the newest reading that it knows; marks: instants in time order at which its state is wanted;
    followed: conditions of the rule that it follows; known: of each point, the newest that it knows; pauses: in
    which time alone decides nothing, as in live operation; explained: whether what begins at an instant is explained by what
    no reading tells: it holds for no time.
    """
    instance.accept(explained)
    held, newest = instance.active, dict(known or {})
    wanted, passed = list(reversed(marks)), []
    said: list[Condition] = []

    def mark(until: Ms) -> None:
        while wanted and wanted[-1] < until:
            passed.append(Mark(wanted.pop(), since, instance.dump(), dict(newest)))

    def awake(at: Ms) -> Ms:
        return min([at, *(pause.at for pause in pauses if pause.at < at < pause.until)])

    def received(at: Ms) -> Ms:
        return max([at, *(pause.until for pause in pauses if pause.at < at < pause.until)])

    steps: list[Row | Condition | Pause] = [*rows, *followed, *pauses]
    for step in sorted(steps, key=_order):
        mark(step.at)  # before time alone says something: a reading may still come that says otherwise
        said += _passed(instance, awake(step.at - 1))
        if isinstance(step, Pause):
            instance.paused(step.until)
            continue
        since = max(since, step.at)
        if isinstance(step, Row):
            newest[step.point] = step.at
        for condition in _taken(instance, step, received(step.at)):
            if condition is not None:
                said.append(condition)
                if condition.active and explained(condition.at) and (over := instance.accept(explained)):
                    said.append(over)
    mark(FOREVER)
    said += _passed(instance, now)
    instance.spoke = said[-1].at if said else instance.spoke
    return _stretches(held, said, explained), passed


def _taken(instance: Instance, step: Row | Condition, received: Ms) -> list[Condition | None]:
    if isinstance(step, Condition):
        return [instance.follow(step, received)]
    if step.value is None:
        return [instance.reset(step.point, step.at)]
    found = [] if step.retained else [instance.reach(step.point, step.at, received)]
    condition = instance.take(step.point, step.at, step.value, step.retained, received)
    if condition is not None:
        instance.timed = step.at
    return [*found, condition]


def _order(step: Row | Condition | Pause) -> tuple[Ms, int, int]:
    """What another rule says comes first at its instant, and a reset before the first reading after it. At one
    instant points come in their order."""
    if isinstance(step, Pause):
        return step.at, 3, 0
    if isinstance(step, Condition):
        return step.at, 0, 0
    return step.at, 1 if step.value is None else 2, step.point


def _passed(instance: Instance, until: Ms) -> list[Condition]:
    """What time alone brings, at the moments when it does."""
    said: list[Condition] = []
    before: Ms | None = None
    while instance.waiting:
        first, last = instance.due
        if first > min(last, until) or first == before:
            break
        condition, before = instance.tick(until if first == NEVER else first), first
        if condition is not None:
            instance.timed = condition.at
            said.append(condition)
    return said


def _stretches(held: bool, said: Iterable[Condition], explained: Callable[[Ms], bool]) -> list[Stretch]:
    """Saying twice what holds changes nothing but who is said to be late; what holds for no time (two points of one instant, one after the
    other) is none, unless that is because it is explained."""
    found: list[Stretch] = []
    raised: Condition | None = None
    for condition in said:
        if condition.active == held:
            if held and raised is not None:
                raised = replace(raised, arguments=renewed(raised.arguments, condition.arguments))
            continue
        held = condition.active
        if held:
            raised = condition
        else:
            if raised is None or raised.at < condition.at or explained(raised.at):
                found.append(Stretch(raised, condition.at))
            raised = None
    return [*found, Stretch(raised, None)] if held else found
