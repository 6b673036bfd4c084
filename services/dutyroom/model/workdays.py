"""Working days and days of rest of a site: week-ends, public holidays, and the days worked in their place."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from enum import StrEnum

_SATURDAY = 5


class DayClass(StrEnum):
    """How people live a day."""

    WORKING = "working"
    REST = "rest"


@dataclass(frozen=True, slots=True)
class Workdays:
    """What a site's calendar says beyond Saturdays and Sundays.

    worked: Saturdays and Sundays that are worked in exchange for days of a holiday."""

    holidays: frozenset[date] = frozenset()
    worked: frozenset[date] = frozenset()

    def day_class(self, day: date) -> DayClass:
        """Of a local day: a holiday and a week-end rest, a make-up working day works. Whatever tells days apart
        asks this, so that all do it alike."""
        if day in self.holidays:
            return DayClass.REST
        weekend = day.weekday() >= _SATURDAY
        return DayClass.REST if weekend and day not in self.worked else DayClass.WORKING


WEEK = Workdays()  # where no calendar is known
