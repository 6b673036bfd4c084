"""Instants, local days and the clock.

Inside, an instant is an `int`: milliseconds since 1970-01-01T00:00Z. Local time exists only at the
edges and in plans and billing, always with an IANA zone. A local time that does not exist moves to
the next valid minute; an ambiguous one is the first (design decision 11).
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Protocol, TypeAlias
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from dutyroom.errors import Rejected

Ms: TypeAlias = int

SECOND: Ms = 1_000
MINUTE: Ms = 60 * SECOND
HOUR: Ms = 60 * MINUTE
DAY: Ms = 24 * HOUR


class Clock(Protocol):
    """The one clock of a process tree; real, scaled (demo) or set by a test."""

    def now(self) -> Ms:
        """Milliseconds UTC."""
        ...


def zone(name: str) -> ZoneInfo:
    """The IANA zone. Raises Rejected for an unknown name."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as err:
        raise Rejected(f"unknown time zone {name!r}") from err


def to_datetime(at: Ms, tz: ZoneInfo | None = None) -> datetime:
    """An aware datetime in `tz` (UTC when None)."""
    whole = datetime.fromtimestamp(at // 1000, tz=UTC) + timedelta(milliseconds=at % 1000)
    return whole.astimezone(tz) if tz else whole


def from_datetime(moment: datetime) -> Ms:
    """Milliseconds of an aware datetime. Raises Rejected for a naive one."""
    if moment.tzinfo is None:
        raise Rejected("a time without a zone is ambiguous")
    delta = moment - datetime(1970, 1, 1, tzinfo=UTC)
    return delta.days * DAY + delta.seconds * 1000 + delta.microseconds // 1000


def from_local(naive: datetime, tz: ZoneInfo) -> Ms:
    """Milliseconds of a wall-clock time in `tz`.

    In a spring gap: the first valid minute after it. In an autumn overlap: the earlier instant.
    """
    aware = naive.replace(tzinfo=tz, fold=0)
    instant = aware.astimezone(UTC)
    if instant.astimezone(tz).replace(tzinfo=None) == naive:
        return from_datetime(instant)
    # A gap: fold 0 uses the offset before it, so `instant` lies as far past the change as `naive`
    # lies past the start of the gap; the change itself is the first valid minute.
    before, after = aware.utcoffset(), naive.replace(tzinfo=tz, fold=1).utcoffset()
    if before is None or after is None:
        raise Rejected(f"no offset for {naive} in {tz.key}")
    low, high = from_datetime(instant) - 2 * DAY, from_datetime(instant) + 2 * DAY
    while high - low > MINUTE:
        middle = (low + high) // 2 // MINUTE * MINUTE
        if to_datetime(middle, tz).utcoffset() == before:
            low = middle
        else:
            high = middle
    return high // MINUTE * MINUTE


def day_start(day: date, tz: ZoneInfo) -> Ms:
    """The instant a local day begins. A local day has 23 to 25 h."""
    return from_local(datetime(day.year, day.month, day.day), tz)  # noqa: DTZ001 - a wall clock


def local_date(at: Ms, tz: ZoneInfo) -> date:
    """The local calendar day an instant falls on."""
    return to_datetime(at, tz).date()


def day_starts(since: Ms, until: Ms, tz: ZoneInfo) -> list[Ms]:
    """Of the local days that begin before `until`, from the one that holds `since`."""
    day, starts = local_date(since, tz), list[Ms]()
    while (start := day_start(day, tz)) < until:
        starts.append(start)
        day += timedelta(days=1)
    return starts


def from_iso(text: str, tz: ZoneInfo | None = None) -> Ms:
    """Milliseconds of an ISO 8601 text; a text without a zone is local in `tz`.

    Raises Rejected when it cannot be read, or has no zone and `tz` is None.
    """
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as err:
        raise Rejected(f"{text!r} is not an ISO 8601 time") from err
    if moment.tzinfo is not None:
        return from_datetime(moment)
    if tz is None:
        raise Rejected(f"{text!r} has no time zone")
    return from_local(moment, tz)


def to_iso(at: Ms, tz: ZoneInfo | None = None) -> str:
    """ISO 8601 with offset; milliseconds only when they are not zero."""
    spec = "milliseconds" if at % 1000 else "seconds"
    return to_datetime(at, tz).isoformat(timespec=spec).replace("+00:00", "Z")


_UNITS = {"ms": 1, "s": SECOND, "m": MINUTE, "min": MINUTE, "h": HOUR, "d": DAY}


def duration(text: str | int | float) -> Ms:
    """Milliseconds of "90s", "10 min", "4h", "15d" or a number of seconds. Raises Rejected."""
    if isinstance(text, bool):
        raise Rejected(f"{text!r} is not a duration; write for example 10min")
    if isinstance(text, int | float):
        if not abs(text) < 1e15:  # also not a number
            raise Rejected(f"{text!r} s is not a duration; write for example 10min")
        return round(text * SECOND)
    body = text.strip()
    head = body.rstrip("abcdefghijklmnopqrstuvwxyz ")
    unit = body[len(head) :].strip() or "s"
    try:
        return round(float(head) * _UNITS[unit])
    except (ValueError, KeyError, OverflowError) as err:
        raise Rejected(f"{text!r} is not a duration; write for example 90s, 10min, 4h or 15d") from err
