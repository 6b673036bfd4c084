"""The points that a device has before it ever spoke: its profile's, as its own row has them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from dutyroom.model.duty import Device, DeviceStatus
from dutyroom.model.telemetry import Kind, PointSpec, PointTable
from dutyroom.profiles.decode import Library
from dutyroom.profiles.meter import meter_of


def missing_points(
    devices: Iterable[Device], table: PointTable, library: Library
) -> list[tuple[Device, PointSpec]]:
    """Points that a profile declares and the table lacks, or holds with another spec."""
    wanted = []
    for device in devices:
        if device.status is DeviceStatus.WITHDRAWN:
            continue
        for spec in declared(device, library):
            point = table.find(device.id, spec.name)
            if point is None or point.spec != spec:
                wanted.append((device, spec))
    return wanted


def declared(device: Device, library: Library) -> list[PointSpec]:
    """The points that a device's profile declares; the device's own interval and the register of its
    own meter count before the profile's.

    A state without an interval is told on change: silence of it means nothing.
    """
    profile = library.profiles.get(device.profile)
    if profile is None:
        return []
    meter = meter_of(device.device_class, device.digits, device.resolution)
    return [
        spec
        if spec.interval_s is None and spec.kind in (Kind.STATE, Kind.TEXT)
        else replace(
            spec if meter is None else meter.spec(spec),
            interval_s=device.interval_s or spec.interval_s or profile.interval_s,
        )
        for spec in profile.points
    ]
