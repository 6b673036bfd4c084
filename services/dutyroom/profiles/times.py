"""Device time in every form met, to milliseconds UTC, and whether it can be true."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date, datetime, timedelta, timezone
from email.utils import parsedate_to_datetime
from typing import TypeAlias
from zoneinfo import ZoneInfo

from dutyroom.errors import Rejected
from dutyroom.timebase import DAY, HOUR, Ms, from_datetime, from_iso, from_local, to_datetime, zone

ReadTime: TypeAlias = Callable[[object], Ms | None]  # None = cannot be read

OLDEST: Ms = 3653 * DAY  # a device clock may be this far behind the receive time
# ... and this far ahead: no rule takes what is said to be later (`rules.engine.AHEAD`), and a time zone that was mistaken, hours
# ahead, must not silence a panel or a lift.
NEWEST: Ms = HOUR

MAX_REMEMBERED = 4096  # texts of one rule
LONGEST = 64  # characters of such a text

UNITS = {
    "epoch_s": 1000.0,
    "epoch_ms": 1.0,
    "epoch_us": 0.001,
    "epoch_min": 60_000.0,
    "epoch_h": 3_600_000.0,
    "epoch_d": 86_400_000.0,
}
FORMATS = ("auto", "iso", *UNITS)
_TIME_UNITS = {"s": 1000, "min": 60_000, "h": HOUR, "d": DAY, "ms": 1}

# Zone letters that mean one offset (hours). Others count only when the site's own zone uses them.
_LETTERS = {
    "Z": 0.0, "UTC": 0.0, "GMT": 0.0, "WET": 0.0, "WEST": 1.0, "BST": 1.0, "CET": 1.0, "CEST": 2.0, "EET": 2.0,
    "EEST": 3.0, "MSK": 3.0, "JST": 9.0, "KST": 9.0, "HKT": 8.0, "SGT": 8.0, "AWST": 8.0, "AEST": 10.0, "AEDT": 11.0,
    "NZST": 12.0, "NZDT": 13.0, "EST": -5.0, "EDT": -4.0, "CDT": -5.0, "MST": -7.0, "MDT": -6.0, "PST": -8.0,
    "PDT": -7.0, "AKST": -9.0, "AKDT": -8.0, "HST": -10.0,
}  # fmt: skip
_LETTERED = re.compile(r"(.+?) ?\b([A-Z]{1,5})\Z")
_SLASHED = re.compile(r"\A([0-9]{4})/([0-9]{2})/([0-9]{2})(?![0-9/])")
_OFFSET_AND_NAME = re.compile(r"(\A.+[0-9]) ([-+][0-9]{4}) [A-Z]{1,5}\Z")
_MIDNIGHT = re.compile(r"\A[0-9]{4}-[0-9]{2}-[0-9]{2}[T ](24)(?=:00(:00(\.0+)?)?(Z|[-+ ]|\Z))")
_NUMBER = re.compile(r"[-+]?[0-9]{1,20}(\.[0-9]{1,12})?\Z")


def plausible(at: Ms, received_at: Ms) -> bool:
    """False for a clock that was never set, counts from boot, or runs in the future."""
    return -OLDEST <= at - received_at <= NEWEST


def unit_of_time(text: str) -> Ms:
    """s, min, h, d or ms in milliseconds. Raises Rejected."""
    if text not in _TIME_UNITS:
        raise Rejected(f"{text!r} is no unit of time; known: {', '.join(_TIME_UNITS)}")
    return _TIME_UNITS[text]


def reader(form: str, tz: ZoneInfo, since: str = "") -> ReadTime:
    """form: one of FORMATS or a strptime pattern. tz: of times without a zone.

    since: ISO time that epoch numbers count from, in place of 1970. Raises Rejected.
    """
    if form in ("auto", "iso") and not since:

        def told(value: object) -> Ms | None:
            if (
                type(value) is float or type(value) is int
            ) and 0 <= value < 1e11:  # seconds, as most send them
                return round(value * 1000)
            return _auto(value, tz)

        return told
    if form in UNITS or since:
        scale, base = UNITS.get(form, 1000.0), from_iso(since, tz) if since else 0
        return lambda value: None if (at := _epoch(value, scale)) is None else at + base
    if "%" not in form:
        raise Rejected(
            f"unknown time format {form!r}; known: {', '.join(FORMATS)} or a pattern such as %d.%m.%y"
        )
    try:
        datetime.strptime("", form)  # noqa: DTZ007 - only whether Python can read the pattern
    except re.error as err:
        raise Rejected(f"time format {form!r}: the same part stands there twice") from err
    except ValueError as err:
        if "directive" in str(err) or "stray" in str(err):
            raise Rejected(f"time format {form!r}: {err}") from err
    return lambda value: _pattern(value, form, tz)


def remembering(read: ReadTime) -> ReadTime:
    """The same for times that come again: of texts the last few thousand are known."""
    known: dict[str, Ms | None] = {}

    def look(value: object) -> Ms | None:
        if type(value) is not str or len(value) > LONGEST:
            return read(value)
        try:
            return known[value]
        except KeyError:
            if len(known) >= MAX_REMEMBERED:
                known.clear()
            found = known[value] = read(value)
            return found

    return look


def _epoch(value: object, scale: float) -> Ms | None:
    if isinstance(value, str) and _NUMBER.match(text := value.strip()):
        value = (
            float(text) if "." in text else int(text)
        )  # with a separator such as \x1f behind it `int` reads none
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < 1e18:
        return None
    return round(value * scale)


def _auto(value: object, tz: ZoneInfo) -> Ms | None:
    if type(value) is float or type(value) is int:
        return _by_size(value)
    if isinstance(value, str):
        text = value.strip() if len(value) <= LONGEST else ""
        if text.endswith("]"):  # RFC 9557: the zone's name behind the time
            return _named(text, tz)
        try:
            return _instant(datetime.fromisoformat(text), tz) if "-" in text else _other(text, tz)
        except (ValueError, OverflowError, Rejected):
            return _other(text, tz)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return _by_size(value)


def _named(text: str, tz: ZoneInfo) -> Ms | None:
    found = re.fullmatch(r"([^\[\]]+)\[!?([A-Za-z0-9_+/-]+)\]", text)
    try:
        return _auto(found[1], zone(found[2])) if found else None
    except Rejected:
        return None


def _instant(moment: datetime, tz: ZoneInfo) -> Ms:
    return from_local(moment, tz) if moment.tzinfo is None else from_datetime(moment)


def _by_size(value: float) -> Ms | None:
    """Seconds, milliseconds, microseconds or nanoseconds since 1970, by magnitude."""
    size = abs(value)
    if size < 1e11:
        return round(value * 1000)
    if size < 1e14:
        return round(value)
    if size < 1e17:
        return round(value / 1000)
    return round(value / 1_000_000) if size < 1e20 else None


def _other(text: str, tz: ZoneInfo) -> Ms | None:
    if _NUMBER.match(text):
        return _by_size(float(text) if "." in text else int(text))
    if "," in text:  # RFC 1123: Wed, 16 Dec 2020 11:22:33 GMT
        return _rfc1123(text, tz)
    usual = _usual(text)
    if usual != text:
        return _auto(usual, tz)
    midnight = _MIDNIGHT.search(text)
    if midnight:  # the end of that day
        return _auto(_next_day(text[:10]) + text[10 : midnight.start(1)] + "00" + text[midnight.end(1) :], tz)
    lettered = _LETTERED.match(text)
    if not lettered:
        return None
    try:
        naive = datetime.fromisoformat(lettered[1])
        return None if naive.tzinfo else _by_letters(naive, lettered[2], tz)
    except (ValueError, OverflowError, Rejected):
        return None


def _next_day(text: str) -> str:
    try:
        return (date.fromisoformat(text) + timedelta(days=1)).isoformat()
    except (ValueError, OverflowError):
        return text


def _usual(text: str) -> str:
    """2026/10/25 and "... +0000 UTC" (as Go prints a time) in the form of ISO 8601."""
    text = _SLASHED.sub(r"\1-\2-\3", text)
    return _OFFSET_AND_NAME.sub(r"\1\2", text)


def _rfc1123(text: str, tz: ZoneInfo) -> Ms | None:
    try:
        return _instant(parsedate_to_datetime(text), tz)
    except (ValueError, OverflowError, TypeError, IndexError, Rejected):
        return None


def _by_letters(naive: datetime, letters: str, tz: ZoneInfo) -> Ms | None:
    local = from_local(naive, tz)
    # The letters of an ambiguous autumn hour say which of the two it is.
    for at in (local, local + HOUR):
        moment = to_datetime(at, tz)
        if moment.tzname() == letters and moment.replace(tzinfo=None) == naive:
            return at
    hours = _LETTERS.get(letters)
    return None if hours is None else from_datetime(naive.replace(tzinfo=timezone(timedelta(hours=hours))))


def _pattern(value: object, form: str, tz: ZoneInfo) -> Ms | None:
    try:
        return _instant(datetime.strptime(str(value), form), tz)  # noqa: DTZ007 - made aware
    except (ValueError, OverflowError, Rejected):
        return None
