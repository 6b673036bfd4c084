"""Local hours of day at the cost of a look-up: offsets are asked for once an hour of stream time."""

from __future__ import annotations

from datetime import date
from zoneinfo import ZoneInfo

from dutyroom.model.workdays import WEEK, DayClass, Workdays
from dutyroom.timebase import DAY, HOUR, Ms, to_datetime

_EPOCH = date(1970, 1, 1).toordinal()
_LONGEST = 400  # days that are looked through
_KEPT = 4  # hours that are remembered: readings come from a few hours at a time


class LocalTime:
    """Of one zone."""

    __slots__ = ("_calendar", "_offsets", "tz")

    def __init__(self, tz: ZoneInfo, calendar: Workdays = WEEK) -> None:
        self.tz, self._calendar = tz, calendar
        self._offsets: dict[int, Ms] = {}

    def local(self, at: Ms) -> Ms:
        """Milliseconds of the wall clock: day = local // DAY, time of day = local % DAY."""
        offset = self._offsets.get(at // HOUR)
        return at + (self._ask(at // HOUR) if offset is None else offset)

    def _ask(self, hour: int) -> Ms:
        shift = to_datetime(hour * HOUR, self.tz).utcoffset()
        offset = 0 if shift is None else (shift.days * DAY + shift.seconds * 1000)
        if len(self._offsets) >= _KEPT:
            self._offsets.clear()
        self._offsets[hour] = offset
        return offset

    def on_holiday(self, since: Ms, until: Ms) -> float:
        """Hours between two moments that lie in public holidays which the site's calendar lists."""
        holidays = self._calendar.holidays
        if not holidays:
            return 0.0
        begin, end = self.local(since), self.local(until)
        days = range(max(begin // DAY, end // DAY - _LONGEST), end // DAY + 1)
        listed = [day for day in days if date.fromordinal(day + _EPOCH) in holidays]
        return sum(max(0, min(end, (day + 1) * DAY) - max(begin, day * DAY)) for day in listed) / HOUR

    def rests(self, day: int) -> bool:
        """Whether that local day (days since 1970-01-01) is one of rest in the site's calendar."""
        return self._calendar.day_class(date.fromordinal(day + _EPOCH)) is DayClass.REST


def weekday_of(day: int) -> int:
    """Monday = 1 of a local day (days since 1970-01-01, a Thursday)."""
    return (day + 3) % 7 + 1
