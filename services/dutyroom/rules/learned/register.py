"""A register's readings as movement that can be trusted: no leap gets into a profile.

A reading below the last one, or farther above it than anything can flow, is a suspicion. Until it is
settled both levels stand: the old one returns (a corrupted reading), or three plausible steps follow
from the new one (the meter was exchanged, a digit flipped). Nothing moved in between as far as the
profiles are concerned. The old level is kept for two days more, for corrupted readings that come in
a row.
"""

from __future__ import annotations

import struct

from dutyroom.errors import Rejected
from dutyroom.timebase import DAY, HOUR, Ms

UNKNOWN = -1.0  # nothing can be said about what moved
STEPS = 3  # plausible steps from a new level until it is believed
_KEPT = struct.Struct("<qqdddqBb")
SIZE = _KEPT.size  # bytes
_FAULTS = ("", "meter_rollback", "meter_jump")
_NUMBER = {name: number for number, name in enumerate(_FAULTS)}
_REMEMBER: Ms = 2 * DAY  # how long the level before a leap may return


class Register:
    """The newest level of a register and, where it leapt, the level before."""

    __slots__ = (
        "at",
        "fault",
        "floor",
        "largest",
        "lasting",
        "old",
        "old_at",
        "since",
        "slack",
        "steps",
        "times",
        "value",
    )

    def __init__(
        self, floor: float, times: float = 0.0, resolution: float = 0.0, lasting: float | None = None
    ) -> None:
        """floor: unit/h that the class can always reach, for an hour; lasting: for longer; times: so
        many times its own largest rate are possible as well; resolution: unit a step of the last digit."""
        self.floor, self.times = floor, times
        self.lasting = floor if lasting is None else lasting
        self.slack = 1.5 * resolution + 1e-9  # rounding: the last digit may tremble by one
        self.at: Ms = 0  # of the newest reading; 0 = there is none
        self.since: Ms = 0  # of the reading before: the last movement lies between the two
        self.value = 0.0
        self.largest = 0.0  # its own largest rate, unit/h
        self.fault = ""  # "meter_rollback" or "meter_jump" while it is unsettled
        self.old, self.old_at = 0.0, 0  # the level before the last leap; 0 = none
        self.steps = 0  # plausible ones from the new level

    def read(self, at: Ms, value: float) -> float:
        """What moved since the reading before (`since`), 0 or more; UNKNOWN where that is not known."""
        moved = value - self.value
        hours = (at - self.at) / HOUR
        if self.old_at:
            return self._unsettled(at, value, moved, hours)
        if not self.at:
            self._go_on(at, value)
            return UNKNOWN
        if -self.slack <= moved <= self.room(hours):
            return self._plausible(at, value, moved, hours)
        self.fault = "meter_rollback" if moved < 0 else "meter_jump"
        self.old, self.old_at, self.steps = self.value, self.at, 0
        self._go_on(at, value)
        return UNKNOWN

    def room(self, hours: float) -> float:
        """What can flow in so many hours. Two readings that come close together count as half an hour:
        the time of a reading is not that of its counting."""
        most = self.floor * min(max(hours, 0.5), 1.0) + self.lasting * max(hours - 1.0, 0.0)
        return max(most, self.times * self.largest * max(hours, 0.5)) + self.slack

    def _go_on(self, at: Ms, value: float) -> None:
        self.since, self.at, self.value = self.at, at, value

    def _plausible(self, at: Ms, value: float, moved: float, hours: float) -> float:
        if moved <= 0.0:
            self._go_on(at, self.value)  # a trembling digit: the higher level stays
            return 0.0
        self._go_on(at, value)
        if self.times and hours > 0.2 and moved > self.largest * hours:
            self.largest = moved / hours
        return moved

    def _unsettled(self, at: Ms, value: float, moved: float, hours: float) -> float:
        back = value - self.old
        rose = self.value > self.old
        returns = not rose or moved < -self.slack
        if returns and -self.slack <= back <= self.room((at - self.old_at) / HOUR):
            self.fault, self.since, self.at, self.value = "", self.old_at, at, max(value, self.old)
            self.old_at = 0
            return max(back, 0.0)
        if not -self.slack <= moved <= self.room(hours):
            if not self.fault:  # a second leap before the first is forgotten
                self.old, self.old_at = self.value, self.at
            self.fault = "meter_rollback" if value < self.old else "meter_jump"
            self.steps = 0
            self._go_on(at, value)
            return UNKNOWN
        self.steps += 1
        if self.steps < STEPS:
            self._go_on(at, value)
            return UNKNOWN
        self.fault = ""
        if at - self.old_at > _REMEMBER:
            self.old_at = 0
        return self._plausible(at, value, moved, hours)

    def dump(self) -> bytes:
        return _KEPT.pack(
            self.at, self.since, self.value, self.largest, self.old, self.old_at, _NUMBER[self.fault],
            self.steps if self.steps < STEPS else STEPS,
        )  # fmt: skip

    def load(self, data: object) -> None:
        """Raises Rejected for what `dump` did not give."""
        if not isinstance(data, bytes) or len(data) != _KEPT.size:
            raise Rejected(f"a stored register: {_KEPT.size} bytes expected, {data!r:.40} found")
        self.look(data)

    def look(self, state: bytes) -> None:
        """What `dump` gave, with which a state begins."""
        (self.at, self.since, self.value, self.largest, self.old, self.old_at, fault, self.steps) = (
            _KEPT.unpack_from(state)
        )
        self.fault = _FAULTS[fault] if fault < len(_FAULTS) else _FAULTS[-1]
