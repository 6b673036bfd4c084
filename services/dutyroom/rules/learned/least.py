"""The least of each day (or night) against those of days of its kind: what people do pauses, a leak does not.

A value is too much when it is above all that is known of its kind, above three spreads of it (at least a
tenth of the usual) and by more than a margin; so many days in a row. The newest two days wait before they
count, those of an alarm are not learned, and as many days like those before end it. A day that is not
known decides nothing.

Who names the weekday is answered by it: usual is the median of its own days, once four of them are known. Four days
are too few to tell how far such a day may go: that is asked of all days of the kind, each as a multiple of what the
others of its weekday are usually (as the new one is, which is none of them). A holiday, or a Saturday that is worked, is no day of its weekday: it has its kind only.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from statistics import median
from typing import Any, NamedTuple

from dutyroom.rules.learned import LEARNING
from dutyroom.rules.learned.habits import spread
from dutyroom.rules.learned.packed import Floats, floats, parts, unpack
from dutyroom.timebase import Ms

KEPT = 30  # days
BESIDE = 16  # holidays and Saturdays that were worked among them, kept beside those of a weekday: two holiday weeks
QUARANTINE = 2  # days
ENOUGH, ENOUGH_ALIKE = (
    7,
    4,
)  # days known; of the same kind, else all are asked (a fortnight has four days of rest)
SPREADS = 3.0
ALIKE = 0.1  # of the usual: days differ by a tenth even where four weeks were calm
CLEARS = 0.5  # of the margin: above the limit by no more than that it has gone
_NUMBERS = ("active", "begun", "opened", "row")
_KEPT = struct.Struct("<?qqqddBB")
_DAY = struct.Struct("<dB")
_DAYS = _KEPT.size  # where they lie


class Kind(NamedTuple):
    """Of a day: one of rest or not, and its weekday (Monday = 1) where it is lived like one; 0 = not known, or not."""

    rest: bool
    weekday: int = 0

    def byte(self) -> int:
        """As it is kept; one without a weekday as it always was."""
        return self.rest | self.weekday << 1


def _kind(byte: int) -> Kind:
    return Kind(bool(byte & 1), byte >> 1)


class Least:
    """Of one device."""

    __slots__ = (*_NUMBERS, "evidence", "in_row", "kinds", "margin", "normal", "past", "state", "waiting")

    def __init__(self, margin: float, in_row: int = 2, normal: Ms = 0) -> None:
        """in_row: days until it is an alarm, and until it ends; normal: after so long it is the new normal
        (0 = never)."""
        self.margin, self.in_row, self.normal = margin, in_row, normal
        self.active = False
        self.begun: Ms = 0  # of the first reading
        self.opened: Ms = 0
        self.row = 0  # days in a row that are above the limit; while active, that are not
        self.state: bytes | None = None  # where the days are to be found once they are asked for
        self.past: Floats = floats()  # newest first
        self.kinds: list[Kind] = []
        self.waiting: list[tuple[float, Kind]] = []  # of an open alarm
        self.evidence = [0.0, 0.0]  # value and usual one of the newest alarm

    def note(self, at: Ms, value: float, kind: Kind) -> None:
        """The least of a day that is over at `at`."""
        self._thaw()
        limit, usual = self._limit(kind)
        if self.active:
            self._stands(at, value, kind, limit)
            return
        self.past.insert(0, value)
        self.kinds.insert(0, kind)
        kept = self._room()
        del self.past[kept:], self.kinds[kept:]
        known = limit is not None and at - self.begun >= LEARNING
        self.row = self.row + 1 if known and limit is not None and value > limit + self.margin else 0
        if self.row >= self.in_row:
            self.active, self.opened, self.evidence = True, at, [value, usual]
            self.waiting = list(zip(self.past[: self.row], self.kinds[: self.row], strict=True))
            newest, self.row = max(self.row, QUARANTINE), 0
            del self.past[:newest], self.kinds[:newest]

    def _room(self) -> int:
        """How many days are kept: a week of holidays takes no place from the Wednesdays, of which four are wanted."""
        named = any(kind.weekday for kind in self.kinds)
        beside = sum(not kind.weekday for kind in self.kinds) if named else 0
        return KEPT + QUARANTINE + min(beside, BESIDE)

    def _stands(self, at: Ms, value: float, kind: Kind, limit: float | None) -> None:
        self.waiting.insert(0, (value, kind))
        del self.waiting[KEPT:]
        self.row = self.row + 1 if limit is None or value <= limit + CLEARS * self.margin else 0
        accepted = bool(self.normal) and at - self.opened >= self.normal
        if accepted:
            self.past, self.kinds = floats(v for v, _ in self.waiting), [kind for _, kind in self.waiting]
        if accepted or self.row >= self.in_row:
            self.active, self.row, self.waiting = False, 0, []

    def _limit(self, kind: Kind) -> tuple[float | None, float]:
        """(what days like this never were above, what they are usually); None where too few are known."""
        first = 0 if self.active else max(QUARANTINE, self.row)  # those in a row wait as well
        known = list(zip(self.past[first:], self.kinds[first:], strict=True))
        if len(known) < ENOUGH:
            return None, 0.0
        same = [(value, other.weekday) for value, other in known if other.rest == kind.rest]
        weekdays = _by_weekday(same)
        if kind.weekday in weekdays:
            return self._of_weekday(weekdays[kind.weekday], weekdays.values())
        alike = [value for value, _ in (same if len(same) >= ENOUGH_ALIKE else known)]
        usual, width = spread(alike, 0.0)
        return max(*alike, usual + SPREADS * max(width, ALIKE * usual)), usual

    def _of_weekday(self, own: Sequence[float], weekdays: Iterable[Sequence[float]]) -> tuple[float, float]:
        """The same, of a weekday. Values and usual ones have the margin added: where nothing flows nothing is a multiple."""
        usual, margin = median(own), self.margin
        times = [
            (value + margin) / (median([*days[:place], *days[place + 1 :]]) + margin)
            for days in weekdays
            for place, value in enumerate(days)
        ]
        _, width = spread(times, 0.0)
        return (usual + margin) * max(*times, 1.0 + SPREADS * max(width, ALIKE)) - margin, usual

    def pack(self) -> bytes:
        """As `dump`, in one."""
        days, waiting = len(self.past), len(self.waiting)
        if self.state is not None:
            days, waiting = self.state[_DAYS - 2], self.state[_DAYS - 1]
        head = _KEPT.pack(self.active, self.begun, self.opened, self.row, *self.evidence, days, waiting)
        if self.state is not None:
            return head + self.state[_DAYS:]
        more = (_DAY.pack(value, kind.byte()) for value, kind in self.waiting)
        return b"".join((head, self.past.tobytes(), bytes(kind.byte() for kind in self.kinds), *more))

    def unpack(self, state: bytes) -> None:
        """What `pack` gave."""
        self.active, self.begun, self.opened, self.row, *self.evidence, _, _ = _KEPT.unpack_from(state)
        self.state = state

    def _thaw(self) -> None:
        """Takes the days from the state that was looked at."""
        state = self.state
        if state is None:
            return
        self.state, place, days = None, _DAYS, state[_DAYS - 2]
        self.past = unpack(state[place : place + 4 * days])
        place += 4 * days
        self.kinds = [_kind(byte) for byte in state[place : place + days]]
        place += days
        waiting = (_DAY.unpack_from(state, place + _DAY.size * n) for n in range(state[_DAYS - 1]))
        self.waiting = [(value, _kind(byte)) for value, byte in waiting]

    def dump(self) -> list[Any]:
        self._thaw()
        waiting = [[value, kind.byte()] for value, kind in self.waiting]
        numbers = [getattr(self, name) for name in _NUMBERS]
        return [
            numbers,
            self.past.tobytes(),
            [kind.byte() for kind in self.kinds],
            waiting,
            list(self.evidence),
        ]

    def load(self, data: list[Any]) -> None:
        numbers, past, kinds, waiting, self.evidence = parts(data, 5)
        self.state = None
        for name, value in zip(_NUMBERS, parts(numbers, len(_NUMBERS)), strict=True):
            setattr(self, name, value)
        self.past, self.kinds = unpack(past), [_kind(int(kind)) for kind in kinds]
        self.waiting = [(float(value), _kind(int(kind))) for value, kind in waiting]


def _by_weekday(days: Iterable[tuple[float, int]]) -> dict[int, list[float]]:
    """Those of weekdays of which enough are known."""
    found: dict[int, list[float]] = {}
    for value, weekday in days:
        if weekday:
            found.setdefault(weekday, []).append(value)
    return {weekday: values for weekday, values in found.items() if len(values) >= ENOUGH_ALIKE}
