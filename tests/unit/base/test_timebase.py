"""Instants and local time: gaps, overlaps, days of 23 to 25 hours."""

from __future__ import annotations

from datetime import date, datetime

import pytest

from dutyroom.errors import Rejected
from dutyroom.timebase import (
    DAY,
    HOUR,
    MINUTE,
    day_start,
    duration,
    from_datetime,
    from_iso,
    from_local,
    local_date,
    to_datetime,
    to_iso,
    zone,
)

SHANGHAI, BERLIN = zone("Asia/Shanghai"), zone("Europe/Berlin")


def test_a_local_midnight_in_shanghai_is_the_evening_before_in_utc() -> None:
    assert to_iso(from_iso("2026-11-01T00:00", SHANGHAI)) == "2026-10-31T16:00:00Z"


def test_a_time_that_does_not_exist_moves_to_the_next_valid_minute() -> None:
    at = from_local(datetime(2026, 3, 29, 2, 30), BERLIN)  # noqa: DTZ001
    assert to_iso(at, BERLIN) == "2026-03-29T03:00:00+02:00"


def test_an_ambiguous_time_is_the_first() -> None:
    at = from_local(datetime(2026, 10, 25, 2, 30), BERLIN)  # noqa: DTZ001
    assert to_iso(at, BERLIN) == "2026-10-25T02:30:00+02:00"


@pytest.mark.parametrize(
    ("day", "hours"), [(date(2026, 3, 29), 23), (date(2026, 10, 25), 25), (date(2026, 6, 1), 24)]
)
def test_a_local_day_has_23_to_25_hours(day: date, hours: int) -> None:
    start = day_start(day, BERLIN)
    end = day_start(date.fromordinal(day.toordinal() + 1), BERLIN)
    assert end - start == hours * HOUR
    assert local_date(end - 1, BERLIN) == day


def test_a_naive_datetime_is_refused_at_the_door() -> None:
    with pytest.raises(Rejected, match="without a zone"):
        from_datetime(datetime(2026, 1, 1))  # noqa: DTZ001


def test_iso_without_a_zone_needs_one() -> None:
    with pytest.raises(Rejected, match="no time zone"):
        from_iso("2026-11-01T00:00")


def test_milliseconds_survive_both_ways() -> None:
    at = 1_795_000_000_123
    assert from_datetime(to_datetime(at)) == at
    assert from_iso(to_iso(at)) == at


@pytest.mark.parametrize(
    ("text", "ms"),
    [("90s", 90_000), ("10 min", 10 * MINUTE), ("4h", 4 * HOUR), ("15d", 15 * DAY), (30, 30_000)],
)
def test_durations_as_people_write_them(text: str | int, ms: int) -> None:
    assert duration(text) == ms


@pytest.mark.parametrize("text", ["", "soon", "10 parsecs", True])
def test_a_wrong_duration_says_what_would_be_right(text: str | bool) -> None:
    with pytest.raises(Rejected, match="for example"):
        duration(text)


def test_an_unknown_zone_is_named() -> None:
    with pytest.raises(Rejected, match="Asia/Lakeside"):
        zone("Asia/Lakeside")
