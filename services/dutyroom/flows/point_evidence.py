"""Whether a point is lost, by what the store has of it and of its siblings on the same device."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from dutyroom.flows.point_habit import Habit, Times, habit_of, spoke, times_of
from dutyroom.interfaces import ReadingStore
from dutyroom.model.telemetry import Longs, Point, Quality
from dutyroom.timebase import DAY, HOUR, MINUTE, SECOND, Ms

BACK: Ms = 30 * DAY  # of its readings, before the last one, show its habit
_AHEAD: Ms = 2 * DAY  # that a clock may be
_LONG: Ms = 7 * DAY  # of readings: then one pause is an exception
_PAUSES = 3  # of its own, the newest, that are looked at
_PROBES = 24  # instants at which siblings are asked for


@dataclass(frozen=True, slots=True)
class Suspect:
    """at, received: when it was read last, by the device's time and by ours. siblings: others of its device that are
    read; newest: of them, by the device's time. back: in service again since."""

    point: Point
    at: Ms
    received: Ms
    siblings: Sequence[Point]
    newest: Ms
    back: Ms = 0


@dataclass(frozen=True, slots=True)
class Verdict:
    """last: when a lost point was read last, None = it is not lost. rest: how long nothing can change, ms."""

    last: Ms | None
    rest: Ms


def judged(store: ReadingStore, suspect: Suspect, now: Ms) -> Verdict:
    """Raises Unavailable."""
    point = suspect.point
    interval = (point.spec.interval_s or 0) * SECOND
    times = times_of(store.range(point, suspect.at - BACK, now + _AHEAD), interval)
    habit = habit_of(times.came, interval)
    if habit is None or _pauses(store, suspect, times, habit):
        return Verdict(None, max(DAY, (now - suspect.received) // 2))
    last = max(int(times.came[-1]), suspect.received)
    after = max(int(times.at[-1]), suspect.back)
    said = _speech(store, suspect.siblings, after, suspect.newest, habit.step)
    if spoke(said, max(last, suspect.back), habit.step):
        return Verdict(last, HOUR)
    return Verdict(None, min(max(habit.step // 2, 5 * MINUTE), DAY))


def _pauses(store: ReadingStore, suspect: Suspect, times: Times, habit: Habit) -> bool:
    """Whether it was as long silent before while others were read: more than once in some days, it does so."""
    allowed = 1 if times.came[-1] - times.came[0] >= _LONG else 0
    own = 0
    for gap in habit.pauses[-_PAUSES:]:
        after, until = int(times.at[gap]), int(times.at[gap + 1])
        said = _speech(store, suspect.siblings, after, until, habit.step)
        own += spoke(said[said < times.came[gap + 1]], int(times.came[gap]), habit.step)
    return own > allowed


def _speech(store: ReadingStore, siblings: Sequence[Point], after: Ms, until: Ms, step: Ms) -> Longs:
    """Some of their receive times, rising, spread over what lies between two instants of the device's clock."""
    width = max(step, -(-(until - after) // _PROBES))
    came: set[Ms] = set()
    for moment in range(until, after, -width):
        for reading in store.at(siblings, moment, width - 1).values():
            if reading.quality != Quality.RETAINED and reading.at > after:
                came.add(reading.at if reading.received_at is None else reading.received_at)
    return np.array(sorted(came), np.int64)
