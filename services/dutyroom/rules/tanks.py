"""Which pumps belong to a tank, for the kinds that look at both."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from dutyroom.model.duty import Device, DeviceStatus
from dutyroom.model.telemetry import DeviceClass, Point
from dutyroom.rules.kind import Place
from dutyroom.rules.learned.meter import Meter
from dutyroom.rules.learner import meter_of
from dutyroom.rules.spec import Rule

DRAWS, FILLS = "tank", "fills"  # parameters of a pump that name the tank it draws from, and the one it fills
_HOLDS_S = 30 * 86_400  # s: a state that is sent when it changes holds until then


def elsewhere(rule: Rule) -> Collection[str]:
    """Rules on a tank look at pumps."""
    return (DeviceClass.PUMP,)


def pumps_of(place: Place, point: str) -> list[tuple[Device, Point]]:
    """The pumps that name our tank, or that it feeds (`water`), with their point; in a fixed order."""
    tank = place.device.id
    named = {
        d.id: d for d in place.devices.values() if tank in (d.parameters.get(DRAWS), d.parameters.get(FILLS))
    }
    named |= {device.id: device for device in place.members("water")}
    pumps = [
        d
        for d in named.values()
        if d.device_class == DeviceClass.PUMP and d.status is not DeviceStatus.WITHDRAWN
    ]
    found = [(d, place.table.find(d.id, point)) for d in sorted(pumps, key=lambda d: d.id)]
    return [(device, running) for device, running in found if running is not None]


def state_of(place: Place, device: Device, point: Point) -> Meter:
    """Of a point that says whether something runs."""
    meter = meter_of(place, device, point)
    periodic = device.interval_s or point.spec.interval_s
    return meter if periodic else replace(meter, interval_s=_HOLDS_S)
