"""Local hours of day at the cost of a look-up: offsets are asked for once an hour of stream time."""

from __future__ import annotations

from datetime import date
from zoneinfo import ZoneInfo

from dutyroom.model.workdays import WEEK, DayClass, Workdays
from dutyroom.timebase import DAY, HOUR, Ms, to_datetime

_EPOCH = date(1970, 1, 1).toordinal()
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

    def rests(self, day: int) -> bool:
        """Whether that local day (days since 1970-01-01) is one of rest in the site's calendar."""
        return self._calendar.day_class(date.fromordinal(day + _EPOCH)) is DayClass.REST
