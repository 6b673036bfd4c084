"""A month as weeks of days with what falls due on them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from zoneinfo import ZoneInfo

from dutyroom.api.asked import Json
from dutyroom.timebase import DAY, Ms, day_start, local_date


@dataclass(frozen=True, slots=True)
class Month:
    """A month shown in whole weeks from Monday."""

    first: date
    before: str  # "2026-10"
    after: str
    begin: date  # the Monday on or before the first
    start: Ms
    end: Ms
    month_ms: Ms  # an instant inside, for its name


def month_of(text: str, today: date, tz: ZoneInfo) -> Month:
    """The month of "2026-11"; of today where the text is no month."""
    match = re.fullmatch(r"(\d{4})-(0[1-9]|1[0-2])", text)
    first = date(int(match[1]), int(match[2]), 1) if match else today.replace(day=1)
    after = (first + timedelta(days=32)).replace(day=1)
    before = (first - timedelta(days=1)).replace(day=1)
    begin = first - timedelta(days=first.weekday())
    days = -(-((after - begin).days) // 7) * 7
    end = begin + timedelta(days=days)
    return Month(
        first,
        f"{before:%Y-%m}",
        f"{after:%Y-%m}",
        begin,
        day_start(begin, tz),
        day_start(end, tz),
        day_start(first, tz),
    )


def weeks(view: Month, rows: Sequence[Json], tz: ZoneInfo) -> list[list[Json]]:
    """Weeks of seven {date, inside, items}; rows have a count, and those of a plan in one state are one item a day."""
    by_day: dict[date, dict[tuple[str, str], Json]] = {}
    for row in rows:
        due = by_day.setdefault(local_date(row["due"], tz), {})
        item = due.setdefault((row["plan"], row["state"]), row | {"count": 0})
        item["count"] += row["count"]
    made: list[list[Json]] = []
    day = view.begin
    while day_start(day, tz) < view.end:
        week = []
        for _ in range(7):
            items = list(by_day.get(day, {}).values())
            week.append(
                {
                    "date": day,
                    "noon": day_start(day, tz) + DAY // 2,
                    "inside": day.month == view.first.month,
                    "items": items,
                }
            )
            day += timedelta(days=1)
        made.append(week)
    return made
