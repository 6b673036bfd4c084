"""A master against the meters it feeds, over windows of local time, with what the times of reading leave open.

Registers are not read at the same moment, and never at the end of a window. Each is put on a straight line
between the readings on either side of that end; what it may be wrong by is what it moved between the two.
With it come half a step of each register and the accuracy of each meter. A difference counts when it is
beyond all that together, and a share of what went in, and a floor, in two windows that follow each other.
A window with a meter that leapt, or was not read around its ends, is not known: it decides nothing. But of some dead meters
among many: where water may be lost, one that is not read is taken to move what it usually did, and twice that at most.

What the times of reading leave open is added up (people's evenings end at the same hour everywhere); steps and
accuracies are independent of each other, and are added in squares: half-widths over the square root of three,
twice (GUM, JCGM 100:2008, 4.3.7 and 6.2).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import sqrt
from typing import Any

from dutyroom.rules.learned.meter import Meter
from dutyroom.rules.learned.packed import parts
from dutyroom.rules.learned.register import UNKNOWN, Register
from dutyroom.rules.learned.register_fault import trusted
from dutyroom.timebase import HOUR, SECOND, Ms

WINDOWS = 2  # that follow each other: one may be a hose on a hydrant, or a meter that was being changed
CLEARS = 0.8  # of the limits: what is just below them has not gone
_GAP = 3.5  # intervals: over a longer silence around the end of a window it is not known
_LATE = 2  # windows that a silent meter may hold up the others
_USUAL = 7  # windows of a meter from which it is known what it usually moves
_HALF_WIDTHS = 2.0  # coverage factor, about 95 %


@dataclass(frozen=True, slots=True)
class Member:
    """One meter, or a tank between them: area in m2, what it stores is level times area."""

    meter: Meter
    supplies: bool = False  # it stands on the master's side
    area: float = 0.0

    def register(self) -> Register | None:
        """None = a tank: its level goes both ways."""
        if self.area:
            return None
        unit = self.meter.role == "unit" and self.meter.klass != "feeder"
        return trusted(self.meter if unit else replace(self.meter, role="main"))


@dataclass(frozen=True, slots=True)
class Limits:
    """over: ms of a window of local time; share of what went in; floor in the unit; accuracy of each meter,
    share. loss: whether what is missed is told, or what is too much."""

    over: Ms
    share: float = 0.1
    floor: float = 0.5
    accuracy: float = 0.02
    loss: bool = True


class _Series:
    """What one member moved, at the ends of windows."""

    __slots__ = (
        "at",
        "gap",
        "known",
        "local",
        "marks",
        "member",
        "register",
        "spoilt",
        "total",
        "usual",
        "value",
    )

    def __init__(self, member: Member) -> None:
        self.member, self.register = member, member.register()
        self.gap: Ms = max(int(_GAP * member.meter.interval_s * SECOND), HOUR)
        self.at: Ms = 0  # of the newest reading; 0 = none
        self.local: Ms = 0
        self.value = self.total = 0.0
        self.marks: dict[int, tuple[float, float] | None] = {}  # end -> total, doubt; None = not known
        self.spoilt: set[int] = set()  # windows in which it leapt
        self.usual, self.known = 0.0, 0  # what it moves in a window, and of how many that is known

    def read(self, at: Ms, local: Ms, value: float, over: Ms) -> None:
        before, first = self.at, self.local // over + 1
        moved, since = self._moved(at, value)
        span = at - since
        known = bool(before) and moved is not None and 0 < span <= self.gap
        if before and moved is None:
            self.spoilt |= set(range(self.local // over, local // over + 1))
        for end in range(max(first, local // over - _LATE), local // over + 1) if before else ():
            part = (end * over - local + span) / span if known else 0.0
            doubt = max(part, 1.0 - part) * abs(moved or 0.0)
            self.marks[end] = (self.total + (moved or 0.0) * part, doubt) if known else None
        self.total += moved or 0.0
        self.at, self.local = at, local

    def _moved(self, at: Ms, value: float) -> tuple[float | None, Ms]:
        """(what moved, since when); None = not known."""
        before, last, self.value = self.at, self.value, value
        if self.register is None:
            return (value - last) * self.member.area if before else None, before
        moved = self.register.read(at, value)
        return (None, before) if moved == UNKNOWN else (moved, self.register.since)

    def window(self, number: int) -> tuple[float, float] | None:
        """(moved, doubt) of one; None = not known."""
        begin, end = self.marks.get(number), self.marks.get(number + 1)
        if begin is None or end is None or number in self.spoilt:
            return None
        return end[0] - begin[0], begin[1] + end[1]

    def learn(self, moved: float) -> None:
        self.known = min(self.known + 1, _USUAL)
        self.usual += (moved - self.usual) / self.known

    def forget(self, number: int) -> None:
        """What is before this window is asked no more."""
        self.marks = {end: mark for end, mark in self.marks.items() if end >= number}
        self.spoilt = {window for window in self.spoilt if window >= number}

    def dump(self) -> list[Any]:
        marks = [[end, *(mark or ())] for end, mark in self.marks.items()]
        register = self.register.dump() if self.register else []
        known = [self.at, self.local, self.value, self.total, marks, sorted(self.spoilt)]
        return [register, *known, self.usual, self.known]

    def load(self, data: list[Any]) -> None:
        register, self.at, self.local, self.value, self.total, marks, spoilt, self.usual, self.known = parts(
            [*data, 0.0, 0] if len(data) == 7 else data, 9
        )
        if self.register is not None:
            self.register.load(register)
        self.marks = {int(end): (mark[0], mark[1]) if mark else None for end, *mark in marks}
        self.spoilt = set(spoilt)


class Balance:
    """A detector on the registers of a master and its meters."""

    __slots__ = ("_limits", "_local", "active", "cause", "evidence", "next", "row", "series")

    def __init__(self, members: Sequence[Member], limits: Limits) -> None:
        self._limits, self._local = limits, members[0].meter.local
        self.series = [_Series(member) for member in members]
        self.active, self.cause = False, "balance_loss" if limits.loss else "balance_surplus"
        self.next = 0  # window that is judged next; 0 = none was begun
        self.row = 0  # windows beyond the limits that follow each other
        self.evidence = [0.0, 0.0, 0.0]

    def arguments(self) -> dict[str, float]:
        """own, sum: what the master and its meters counted; doubt: what cannot be known, all in the unit;
        difference: master less meters; percent of what went in."""
        own, fed, doubt = self.evidence
        percent = 100.0 * (own - fed) / max(own, fed) if max(own, fed) > 0.0 else 0.0
        return {"own": own, "sum": fed, "difference": own - fed, "doubt": doubt, "percent": round(percent)}

    def tick(self, now: Ms) -> None:
        return

    def read(self, member: int, at: Ms, value: float) -> None:
        over, local = self._limits.over, self._local.local(at)
        self.series[member].read(at, local, value, over)
        if not self.next:
            self.next = local // over + 1
        elif local // over - self.next > 400:  # a clock that leapt, or a long silence
            self.next = local // over - _LATE
        while local // over > self.next:
            ready = all(self.next + 1 in series.marks for series in self.series)
            if not ready and local // over < self.next + 1 + _LATE:
                break
            self._judge(self.next)
            self.next += 1
            for series in self.series:
                series.forget(self.next)

    def _judge(self, number: int) -> None:
        found = [self._window(series, number) for series in self.series]
        known = [one for one in found if one is not None]
        if len(known) < len(found):
            return
        own = fed = doubt = squares = 0.0
        for (moved, open_by), series in zip(known, self.series, strict=True):
            member = series.member
            own, fed = (own + moved, fed) if member.supplies else (own, fed + moved)
            doubt += open_by
            step = member.meter.resolution * (member.area or 1.0)
            error = 0.0 if member.area else self._limits.accuracy * moved
            squares += (step * step / 2.0 + error * error) / 3.0
        self._weigh(own, fed, doubt + _HALF_WIDTHS * sqrt(squares))

    def _window(self, series: _Series, number: int) -> tuple[float, float] | None:
        """(moved, doubt) of one; of a meter that was not read, where water may be lost, what it moves usually, and that it may
        have been as much more. None = nobody knows."""
        found, member = series.window(number), series.member
        if found is not None:
            series.learn(found[0])
            return found
        unread = self._limits.loss and not member.supplies and not member.area and number not in series.spoilt
        return (series.usual, series.usual) if unread and series.known >= _USUAL else None

    def _weigh(self, own: float, fed: float, doubt: float) -> None:
        limits = self._limits
        difference = own - fed if limits.loss else fed - own
        limit = max(doubt, limits.share * max(own, fed), limits.floor)
        if self.active:
            self.active = difference > CLEARS * limit
            return
        self.row = self.row + 1 if difference > limit else 0
        if self.row >= WINDOWS:
            self.active, self.row, self.evidence = True, 0, [own, fed, doubt]

    def dump(self) -> list[Any]:
        kept = [self.active, self.next, self.row, list(self.evidence)]
        return [kept, [series.dump() for series in self.series]]

    def load(self, data: list[Any]) -> None:
        kept, members = parts(data, 2)
        self.active, self.next, self.row, self.evidence = parts(kept, 4)
        for series, dumped in zip(self.series, parts(members, len(self.series)), strict=True):
            series.load(dumped)
