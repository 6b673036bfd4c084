"""What a rule that learns still lacks is kept where every process can show it."""

from __future__ import annotations

from decimal import Decimal

from tests.unit.duty.duty_room import SITE, T0, Room, device

from dutyroom.flows.learning import learning_of
from dutyroom.model.telemetry import Kind, PointSpec
from dutyroom.timebase import DAY, MINUTE, Ms

READY = T0 + 14 * DAY


def told(room: Room, now: Ms, device: str = "w1") -> dict[str, Ms]:
    with room.records.read() as tx:
        return dict(learning_of(tx, SITE, device, now))


def test_two_weeks_from_the_first_reading_on_through_a_restart() -> None:
    volume = PointSpec("volume", unit="m3", kind=Kind.COUNTER, step=Decimal("0.001"), interval_s=3600)
    room = Room([device("w1", "water_meter", 3600)], {"water_meter": [volume]})
    room.reads(("w1", "volume", 10))
    assert told(room, T0) == {}
    for minute in (11, 22):
        room.at(minute * 60, step=60)
        room.reads(("w1", "volume", 10 + minute))
    assert told(room, T0 + DAY)["water.home_leak"] == READY
    room.restart()
    room.at(40 * 60, step=60)
    assert told(room, T0 + DAY)["water.home_leak"] == READY
    assert "meter.leap" not in told(room, T0 + DAY)  # knows what can flow, and learns nothing
    assert told(room, READY + MINUTE) == {}


def test_eight_days_of_a_temperature_that_repeats_itself_through_a_restart() -> None:
    oven = device("oven", "sensor", 600, use="equipment")
    room = Room([oven], {"sensor": [PointSpec("temperature", unit="Cel", kind=Kind.GAUGE, interval_s=600)]})
    room.reads(("oven", "temperature", 20))
    for minute in (11, 22):
        room.at(minute * 60, step=60)
        room.reads(("oven", "temperature", 20 + minute))
    midnight = told(room, T0, "oven")["equipment.temperature"]
    assert T0 + 7 * DAY < midnight <= T0 + 8 * DAY
    room.restart()
    room.at(40 * 60, step=60)
    assert told(room, T0, "oven") == {"equipment.temperature": midnight}
