"""quiet_hours: nobody passes in hours in which somebody always did."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Any

from dutyroom.fields import Fields
from dutyroom.model.duty import Condition
from dutyroom.model.telemetry import Kind, Point
from dutyroom.model.workdays import DayClass
from dutyroom.rules.columns import FOREVER, NEVER
from dutyroom.rules.kind import Instance, Place
from dutyroom.rules.learned.localtime import LocalTime
from dutyroom.rules.learner import local_time
from dutyroom.rules.spec import Rule
from dutyroom.timebase import DAY, HOUR, MINUTE, Ms

DOC = (
    "Of a point that counts passages (a counter, or events with the code `code`): in `hours` hours in a row nobody has "
    "passed, though in each of these hours of the day at least `least` did on every such day (working days and days of "
    "rest apart) of two weeks: a dead reader. Ends with the next passage."
)
KEPT = 10  # days of an hour: two weeks of working days
ENOUGH = (8, 4)  # days before anything is said: working days, days of rest; two weeks less a holiday
_GRACE: Ms = 2 * MINUTE  # a message may be on its way
_EPOCH = date(1970, 1, 1).toordinal()


def parameters(fields: Fields) -> dict[str, object]:
    return {
        "code": fields.text("code", "passage"),
        "hours": fields.integer("hours", 2, 1, 24),
        "least": fields.integer("least", 3, 1),
    }


class QuietInstance(Instance):
    """Hours end by the clock: nothing comes that would say so. But a counter that is read at its interval says itself
    when an hour is over, and what it says late is put in its place. Of events, and of counters that speak when somebody
    passes, only who listened knows."""

    __slots__ = (
        "again",
        "begin",
        "code",
        "count",
        "hour",
        "hours",
        "kept",
        "last",
        "least",
        "local",
        "newest",
        "place",
        "point",
        "quiet",
        "regular",
        "until",
    )

    def __init__(self, rule: Rule, point: Point, place: Place, local: LocalTime) -> None:
        super().__init__(rule, point.device, (point.id,))
        self.point, self.place, self.local = point, place, local
        self.code = str(rule.parameters.get("code"))
        hours, least = rule.parameters.get("hours"), rule.parameters.get("least")
        self.hours, self.least = (n if isinstance(n, int) else 1 for n in (hours, least))
        self.hour = -1  # local number of the one that is counted; -1 = none, or not from its beginning
        self.count = 0
        self.quiet = 0  # hours in a row without anybody, each of them one in which there always was somebody
        self.last: float | None = None  # of a counter
        self.newest: Ms = NEVER  # when it was read last
        self.begin: Ms = NEVER  # when the hour that is counted began
        self.until: Ms = NEVER  # when it ends, and a little more
        intervals = [p.spec.interval_s for p in place.table.of_device(point.device)]
        self.regular = bool(place.device.interval_s or any(intervals))  # it speaks also when nobody passes
        counts = point.spec.kind is Kind.COUNTER
        self.again = counts and bool(place.device.interval_s or point.spec.interval_s)
        self.kept: list[list[int]] = [
            [] for _ in range(48)
        ]  # by day class and hour: passages of days, newest last

    # ------------------------------------------------------------ what passes

    def take(self, point: int, at: Ms, value: float, retained: bool, received: Ms) -> Condition | None:
        if retained or self.point.spec.kind is not Kind.COUNTER:
            return None
        passed = self.last is not None and value != self.last
        ended = self._roll(at, passed) if self.again else None
        self.last, self.newest = value, at
        return self._passed(at, received) if passed else ended

    def happened(self, point: int, at: Ms, code: str, received: Ms) -> Condition | None:
        passage = code == self.code and self.point.spec.kind is not Kind.COUNTER
        return self._passed(at, received) if passage else None

    def _passed(self, at: Ms, received: Ms) -> Condition | None:
        ended = None if self.again else self._roll(received)
        if self.local.local(at) // HOUR == self.hour:
            self.count += 1
        self.quiet = 0
        return self._change(False, at) if self._active else ended

    # ------------------------------------------------------------ hours

    def tick(self, now: Ms) -> Condition | None:
        return self._roll(now - _GRACE)

    def _roll(self, now: Ms, passed: bool = False) -> Condition | None:
        """Closes the hours that are over. Of several only the first can have been watched. passed: somebody did
        since the last reading, perhaps before the hour was over."""
        local = self.local.local(now)
        closed, hour = self.hour, local // HOUR
        begin = now - local % HOUR
        self.until = begin + HOUR + _GRACE
        if hour <= closed:
            return None
        count, self.hour, self.count, self.begin = self.count, hour, 0, begin
        said = None
        if closed < 0:
            self.hour, self.begin = hour + 1, begin + HOUR  # this one is not seen from its beginning
        elif self._watched(closed, hour, now):
            said = self._close(closed, count, passed, begin - (hour - closed - 1) * HOUR)
        else:
            self.quiet = 0
        self.quiet = self.quiet if hour == closed + 1 else 0
        return said

    def _watched(self, closed: int, hour: int, now: Ms) -> bool:
        """Whether the device was there in an hour: of one that is silent nobody knows who passes."""
        if self.again:
            return self.newest != NEVER and self.local.local(self.newest) // HOUR == closed
        heard = self.place.heard(self.device)
        return hour == closed + 1 and (not self.regular or (heard is not None and now - heard < HOUR))

    def _close(self, hour: int, count: int, passed: bool, end: Ms) -> Condition | None:
        slot = self.kept[self._slot(hour)]
        always = len(slot) >= ENOUGH[self._slot(hour) >= 24] and min(slot) >= self.least
        self.quiet = self.quiet + 1 if always and count == 0 and not passed else 0
        if not self._active and not self.quiet:
            slot.append(min(count, 255))
            del slot[:-KEPT]
        if self.quiet >= self.hours and not self._active:
            return self._change(True, end)
        return None

    def _slot(self, hour: int) -> int:
        day = hour * HOUR // DAY
        rests = self.place.ground.calendar.day_class(date.fromordinal(_EPOCH + day)) is DayClass.REST
        return hour % 24 + (24 if rests else 0)

    def started(self, now: Ms) -> None:
        """Who passed meanwhile nobody has told us: this hour is not counted, nor learned."""
        if not self.again:
            self.hour, self.count, self.quiet, self.until = -1, 0, 0, NEVER

    def deferred(self, now: Ms) -> None:
        self.started(now)

    @property
    def turned(self) -> Ms:
        return max(self.spoke, self.begin)

    @property
    def waiting(self) -> bool:
        return not self.again

    @property
    def due(self) -> tuple[Ms, Ms]:
        return self.until, FOREVER

    def _change(self, active: bool, at: Ms) -> Condition:
        self._active = active
        return Condition(
            self.rule.id, self.device, active, at, self.point.spec.name, arguments={"hours": self.hours}
        )

    def dump(self) -> list[Any]:
        kept = [bytes(slot) for slot in self.kept]
        return [self._active, self.hour, self.count, self.quiet, self.last, kept, self.newest, self.begin]

    def load(self, data: Sequence[Any]) -> None:
        self._active, self.hour, self.count, self.quiet, self.last, kept = data[:6]
        self.newest, self.begin = data[6:] if len(data) > 6 else (NEVER, NEVER)
        self.kept = [list(slot) for slot in kept]
        if len(self.kept) != 48:
            raise ValueError("another shape")


def build(rule: Rule, place: Place) -> QuietInstance | None:
    point = place.table.find(place.device.id, rule.point)
    if point is None:
        return None
    own = place.device.parameters.get("time_zone")
    return QuietInstance(rule, point, place, local_time(str(own) if own else place.ground.time_zone))
