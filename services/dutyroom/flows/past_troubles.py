"""What of the past could not be used, or was odd: named, counted, bounded; the rest goes on."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from dutyroom.model.telemetry import Longs, PointTable
from dutyroom.timebase import DAY, HOUR, SECOND, Ms

NAMED = 50  # of a sort; the rest is counted
FLOOD = 10  # times as many readings as the interval allows

# Sorts, in the order in which a summary shows them.
SORTS = (
    "history",
    "records",
    "service",
    "unheard",
    "thin",
    "rule",
    "no_device",
    "no_point",
    "upkeep",
    "unjudged",
    "short",
    "row",
    "unknown",
    "number",
    "clock",
    "late",
    "flood",
)


@dataclass(frozen=True, slots=True)
class Trouble:
    """count: readings or rows. place: of the first one, for people."""

    sort: str
    what: str
    count: int
    place: str = ""


class Troubles:
    """Grows while the past is read."""

    def __init__(self) -> None:
        self._count: dict[tuple[str, str], int] = {}
        self._place: dict[tuple[str, str], str] = {}
        self._more: dict[str, int] = {}

    def add(self, sort: str, what: str, count: int = 1, place: str = "") -> None:
        key = (sort, what)
        if key in self._count:
            self._count[key] += count
        elif sum(s == sort for s, _ in self._count) < NAMED:
            self._count[key], self._place[key] = count, place
        else:
            self._more[sort] = self._more.get(sort, 0) + 1

    def rows(self) -> list[Trouble]:
        """By sort, the most first."""
        found = [Trouble(s, what, n, self._place[s, what]) for (s, what), n in self._count.items()]
        return sorted(found, key=lambda t: (SORTS.index(t.sort), -t.count, t.what))

    @property
    def more(self) -> Mapping[str, int]:
        """By sort: how many further ones are not named."""
        return dict(self._more)


@dataclass(slots=True)
class Census:
    """How many readings of each point, and from when to when."""

    count: Longs
    first: Longs
    last: Longs

    @classmethod
    def of(cls, table: PointTable) -> Census:
        size = table.top + 1
        return cls(
            np.zeros(size, np.int64), np.full(size, 2**62, np.int64), np.full(size, -(2**62), np.int64)
        )

    def take(self, point: np.ndarray[tuple[int], np.dtype[np.int32]], at: Longs, received: Longs) -> None:
        """Readings in their order of arrival. One whose clock is a day off and more was there when it came."""
        size = len(self.count)
        at = np.where(np.abs(at - received) > DAY, received, at)
        self.count += np.bincount(point, minlength=size)[:size]
        np.minimum.at(self.first, point, at)
        np.maximum.at(self.last, point, at)

    @property
    def readings(self) -> int:
        return int(self.count.sum())

    def span(self) -> tuple[Ms, Ms] | None:
        seen = self.count > 0
        return (int(self.first[seen].min()), int(self.last[seen].max())) if seen.any() else None

    def floods(self, table: PointTable) -> Iterable[tuple[str, int, float]]:
        """(device and point, readings, how many times its interval): more than `FLOOD` times as many."""
        for number in np.flatnonzero(self.count > 1000).tolist():
            point = table.get(number)
            if point is None or not point.spec.interval_s:
                continue
            span = max(HOUR, int(self.last[number] - self.first[number]))
            times = int(self.count[number]) * point.spec.interval_s * SECOND / span
            if times > FLOOD:
                yield f"{point.device} {point.spec.name}", int(self.count[number]), times


def history_troubles(
    troubles: Troubles, span: tuple[Ms, Ms] | None, since: Ms, until: Ms, iso: Sequence[str]
) -> None:
    """A window that is longer than what there is. iso: the first and the last instant, for people."""
    if span is None:
        troubles.add("history", "none")
    elif span[0] >= since + DAY:
        troubles.add("history", "begins", place=iso[0])
    if span is not None and span[1] < until - DAY:
        troubles.add("history", "ends", place=iso[1])
