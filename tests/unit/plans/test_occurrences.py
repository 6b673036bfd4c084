"""When plans fall due: intervals, months, clocks that jump."""

from __future__ import annotations

import itertools
from datetime import date, time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dutyroom.model.duty import Device, DeviceStatus, Priority
from dutyroom.plans import Plan, Schedule, dues, objects_of, occurrences, window
from dutyroom.rules.spec import Select
from dutyroom.timebase import DAY, HOUR, from_iso, to_iso, zone

SHANGHAI, BERLIN = zone("Asia/Shanghai"), zone("Europe/Berlin")


def a_plan(schedule: Schedule, **more: object) -> Plan:
    return Plan("p", {"en": "p"}, schedule, Priority.MEDIUM, grace=DAY, **more)  # type: ignore[arg-type]


def shown(schedule: Schedule, tz, start: str, end: str) -> list[str]:
    return [to_iso(due, tz)[:16] for due in dues(schedule, tz, from_iso(start, tz), from_iso(end, tz))]


@pytest.mark.parametrize(
    ("schedule", "tz", "start", "end", "expected"),
    [
        pytest.param(
            Schedule(time(10), every_days=15, anchor=date(2026, 1, 5)),
            SHANGHAI,
            "2026-01-01",
            "2026-02-10",
            ["2026-01-05T10:00", "2026-01-20T10:00", "2026-02-04T10:00"],
            id="every 15 days, none before the anchor",
        ),
        pytest.param(
            Schedule(time(10), every_days=15, anchor=date(2026, 1, 5)),
            SHANGHAI,
            "2026-01-05T10:00",
            "2026-01-20T10:00",
            ["2026-01-05T10:00"],
            id="the start counts, the end does not",
        ),
        pytest.param(
            Schedule(time(8), month_day=31),
            SHANGHAI,
            "2026-01-01",
            "2026-05-01",
            ["2026-01-31T08:00", "2026-02-28T08:00", "2026-03-31T08:00", "2026-04-30T08:00"],
            id="the 31st is the last day of a short month",
        ),
        pytest.param(
            Schedule(time(8), month_day=29),
            SHANGHAI,
            "2028-02-01",
            "2028-03-01",
            ["2028-02-29T08:00"],
            id="a leap day",
        ),
        pytest.param(
            Schedule(time(9), month_day=1, every_months=3, anchor=date(2026, 2, 1)),
            SHANGHAI,
            "2026-01-01",
            "2026-12-31",
            ["2026-02-01T09:00", "2026-05-01T09:00", "2026-08-01T09:00", "2026-11-01T09:00"],
            id="each quarter from the anchor's month",
        ),
        pytest.param(
            Schedule(time(2, 30), every_days=1, anchor=date(2026, 3, 28)),
            BERLIN,
            "2026-03-28",
            "2026-03-31",
            ["2026-03-28T02:30", "2026-03-29T03:00", "2026-03-30T02:30"],
            id="a local time that does not exist is the next valid minute",
        ),
        pytest.param(
            Schedule(time(2, 30), every_days=1, anchor=date(2026, 10, 24)),
            BERLIN,
            "2026-10-25",
            "2026-10-26",
            ["2026-10-25T02:30"],
            id="an ambiguous local time is once",
        ),
    ],
)
def test_dues(schedule, tz, start, end, expected):
    assert shown(schedule, tz, start, end) == expected


def test_ambiguous_time_is_the_first():
    schedule = Schedule(time(2, 30), every_days=1, anchor=date(2026, 10, 25))
    start = from_iso("2026-10-25", BERLIN)
    assert to_iso(next(dues(schedule, BERLIN, start, start + DAY)), BERLIN) == "2026-10-25T02:30:00+02:00"


def test_each_object_has_its_own():
    plan = a_plan(Schedule(time(9), month_day=1))
    start = from_iso("2026-01-01", SHANGHAI)
    pairs = occurrences(plan, ("lift-1", "lift-2"), SHANGHAI, start, start + DAY)
    assert [name for name, _ in pairs] == ["lift-1", "lift-2"]


@given(
    st.integers(1, 40),
    st.integers(0, 10_000),
    st.integers(1, 400),
    st.integers(1, 400),
    st.sampled_from([SHANGHAI, BERLIN]),
)
def test_two_spans_give_what_the_whole_gives(every, offset, first, second, tz):
    """Nothing is lost or doubled where one wake ends and the next begins."""
    schedule = Schedule(time(2, 30), every_days=every, anchor=date(2020, 1, 1))
    start = from_iso("2020-01-01", tz) + offset * 7 * HOUR
    middle, end = start + first * 5 * HOUR, start + (first + second) * 5 * HOUR
    parts = [*dues(schedule, tz, start, middle), *dues(schedule, tz, middle, end)]
    assert parts == list(dues(schedule, tz, start, end))


@given(st.integers(1, 31), st.integers(1, 6), st.integers(0, 60))
def test_windows_touch_and_never_overlap(day, months, ahead_hours):
    plan = a_plan(Schedule(time(10), month_day=day, every_months=months), ahead=ahead_hours * HOUR)
    start = from_iso("2026-01-01", SHANGHAI)
    found = list(dues(plan.schedule, SHANGHAI, start, start + 500 * DAY))
    windows = [window(plan, due, SHANGHAI) for due in found]
    assert all(a[1] == b[0] for a, b in itertools.pairwise(windows))
    assert all(a <= due < b for (a, b), due in zip(windows, found, strict=True))


def device(name: str, device_class: str = "elevator", space: str = "A/1", **more: object) -> Device:
    return Device("s", name, name, device_class, "v/m", name, space, **more)  # type: ignore[arg-type]


def test_what_a_plan_concerns():
    devices = [
        device("lift-2"),
        device("lift-1", space="A/12"),
        device("tank", "tank", "A"),
        device("lift-9", status=DeviceStatus.WITHDRAWN),
        device("lift-8", status=DeviceStatus.OUT_OF_SERVICE),
    ]
    schedule = Schedule(time(9), month_day=1)
    assert objects_of(a_plan(schedule), devices) == ("",)
    lifts = Select(classes=("elevator",))
    assert objects_of(a_plan(schedule, select=lifts), devices) == ("lift-1", "lift-2", "lift-8")
    near = Select(classes=("elevator",), spaces=("A/1",))
    assert objects_of(a_plan(schedule, select=near), devices) == ("lift-2", "lift-8")
    assert objects_of(a_plan(schedule, select=Select(devices=("*-1",))), devices) == ("lift-1",)
