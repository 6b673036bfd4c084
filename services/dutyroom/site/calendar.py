"""site.yaml's calendar: public holidays, and the week-ends that are worked for them."""

from __future__ import annotations

from datetime import date, timedelta

from dutyroom.errors import Rejected
from dutyroom.fields import Fields
from dutyroom.model.workdays import Workdays

_LONGEST = 62  # days of one holiday: a school's; more is a slip of the year
_SATURDAY = 5


def read_calendar(fields: Fields | None) -> Workdays:
    """None = there is none. Every mistake is noted with its place; what is right counts."""
    if fields is None:
        return Workdays()
    holidays, worked = _days(fields, "holidays"), _days(fields, "workdays")
    for day, index in worked.items():
        if day in holidays:
            _wrong(fields, index, f"{day} stands among the holidays, too")
        elif day.weekday() < _SATURDAY:
            _wrong(
                fields, index, f"{day} is a {day:%A}: only a Saturday or Sunday that is worked stands here"
            )
    fields.finish()
    return Workdays(frozenset(holidays), frozenset(d for d in worked if d not in holidays))


def _wrong(fields: Fields, index: int, message: str) -> None:
    fields.mistakes.append(fields.document.mistake(fields.at("workdays", index), message))


def _days(fields: Fields, name: str) -> dict[date, int]:
    """Day -> its place in the list."""
    found: dict[date, int] = {}
    for index, text in enumerate(fields.texts(name)):
        try:
            days = span(text)
        except Rejected as err:
            fields.mistakes.append(fields.document.mistake(fields.at(name, index), err.reason))
            continue
        if again := next((day for day in days if day in found), None):
            message = f"{again} stands here a second time"
            fields.mistakes.append(fields.document.mistake(fields.at(name, index), message))
        for day in days:
            found.setdefault(day, index)
    return found


def span(text: str) -> list[date]:
    """The days of "2026-10-01" or "2026-10-01..2026-10-07". Raises Rejected with a sentence."""
    first, dots, last = (part.strip() for part in text.partition(".."))
    begin = _date(first, text)
    end = _date(last, text) if dots else begin
    if not 0 <= (length := (end - begin).days) < _LONGEST:
        raise Rejected(
            f"{text!r} ends before it begins" if length < 0 else f"{text!r} is longer than {_LONGEST} days"
        )
    return [begin + timedelta(days=n) for n in range(length + 1)]


def _date(text: str, whole: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError as err:
        raise Rejected(
            f"{whole!r} is no day; write 2026-10-01, or 2026-10-01..2026-10-07 for the days from one to another"
        ) from err
