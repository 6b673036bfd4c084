"""A device that sends far more than its intervals allow is named, once in an hour; a catch-up is no flood."""

from __future__ import annotations

from dutyroom.flows.floods import EVERY, Floods
from dutyroom.interfaces import LedgerRow
from dutyroom.model.telemetry import DeviceClass, Point, PointSpec, PointTable
from dutyroom.timebase import HOUR, MINUTE, Ms

T0 = 1_764_000_000_000 // HOUR * HOUR


def floods() -> Floods:
    table = PointTable()
    table.add(Point(1, "s", "meter", DeviceClass.OTHER, "", PointSpec("volume", interval_s=900)))
    table.add(Point(2, "s", "fast", DeviceClass.OTHER, "", PointSpec("power", interval_s=10)))
    table.add(Point(3, "s", "door", DeviceClass.OTHER, "", PointSpec("open")))
    return Floods(table)


def row(device: str, readings: int, hour: Ms = T0) -> LedgerRow:
    return LedgerRow(hour, device, readings, readings, 0, 0, readings, readings, 0, 0)


def test_who_floods_is_named_with_what_would_be_usual_and_once_an_hour() -> None:
    look, now = floods(), T0 + 10 * MINUTE
    rows = [row("meter", 20_000), row("fast", 20_000), row("door", 3_601), row("", 99_999), row("new", 5_000)]
    found = look.look(rows, now)
    assert [(f.kind, f.device, f.detail) for f in found] == [
        ("flood", "meter", "20000/h > 3600/h"),
        ("flood", "fast", "20000/h > 10800/h"),
        ("flood", "door", "3601/h > 3600/h"),
        ("flood", "new", "5000/h > 3600/h"),
    ]
    assert look.look(rows, now + EVERY) == []
    again = [row("meter", 4_000, T0 + HOUR), row("fast", 99_999)]
    assert [f.device for f in look.look(again, T0 + HOUR + MINUTE)] == ["meter"]


def test_a_day_that_waited_in_a_device_and_comes_at_once_is_no_flood() -> None:
    assert floods().look([row("meter", 100), row("fast", 24 * 360 + 360)], T0 + MINUTE) == []


def test_the_ledger_is_looked_at_now_and_then() -> None:
    look = floods()
    assert look.due(T0)
    look.look([], T0)
    assert not look.due(T0 + EVERY - 1)
    assert look.due(T0 + EVERY)
