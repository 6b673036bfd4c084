"""The points that a device has before it ever spoke: its profile's, as its own row has them."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TypeAlias

from dutyroom.model.duty import Device, DeviceStatus
from dutyroom.model.telemetry import Kind, Point, PointSpec, PointTable, Reading
from dutyroom.profiles.decode import Library
from dutyroom.profiles.meter import meter_of

MOST_POINTS = 10_000  # of one device
Latest: TypeAlias = Callable[[Sequence[Point]], Mapping[int, Reading]]  # the newest stored readings


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
        for spec in profile.points_of(device.parameters)
    ]


def names_made(device: Device, library: Library) -> Container[str]:
    """The names of the points that a device's profile may have: everything where messages name them, nothing where
    there is no such profile."""
    profile = library.profiles.get(device.profile)
    if profile is None:
        return ()
    told = [rule.spec.name for layout in profile.layouts for rule in layout.points]
    told += [rule.spec.name for layout in profile.layouts for rule in layout.events]
    if any("{" in name for name in told) or any(layout.rest is not None for layout in profile.layouts):
        return _Any()
    return frozenset(told)


class _Any:
    def __contains__(self, name: object) -> bool:
        return True


def with_steps_kept(
    wanted: Iterable[tuple[Device, PointSpec]], table: PointTable, latest: Latest
) -> tuple[list[tuple[Device, PointSpec]], list[tuple[Device, PointSpec]]]:
    """(what to store, what of it keeps the steps that it had).

    A point that has readings stays in its kind, quantity and steps, whatever its profile says by now:
    what was read would change its meaning. What comes in other steps is converted, what comes in another
    quantity is told. Raises Unavailable.
    """
    listed = list(wanted)
    others = [point for device, spec in listed if (point := _in_other_steps(table, device, spec))]
    read = set(latest(others)) if others else set()
    store, kept = [], []
    for device, spec in listed:
        point = _in_other_steps(table, device, spec)
        if point is None or point.id not in read:
            store.append((device, spec))
            continue
        old = point.spec
        kept.append((device, old))
        if spec.quantity != old.quantity:  # nothing of it holds for what was read
            continue
        wrap = spec.in_steps_of(old.step)
        digits = old.digits if wrap is None else None
        wrap = old.wrap if wrap is None and digits is None else wrap
        same = replace(spec, kind=old.kind, step=old.step, digits=digits, wrap=wrap)
        if same != old:
            store.append((device, same))
    return store, kept


def _in_other_steps(table: PointTable, device: Device, spec: PointSpec) -> Point | None:
    point = table.find(device.id, spec.name)
    if point is None:
        return None
    old = point.spec
    return None if (old.kind, old.step, old.quantity) == (spec.kind, spec.step, spec.quantity) else point


def with_room(
    table: PointTable, wanted: Iterable[tuple[Device, PointSpec]], most: int = MOST_POINTS
) -> tuple[list[tuple[Device, PointSpec]], dict[str, str]]:
    """The new points that a device still may have, and why others may not: names that hold a time or a
    number that grows would make points without end. -> (points, device id -> words)"""
    room: dict[str, int] = {}
    made: list[tuple[Device, PointSpec]] = []
    crowded: dict[str, str] = {}
    for device, spec in wanted:
        left = room.setdefault(device.id, most - len(table.of_device(device.id)))
        if left > 0:
            made.append((device, spec))
            room[device.id] = left - 1
        else:
            crowded.setdefault(device.id, f"{most} points are the most of a device: {spec.name[:80]} is none")
    return made, crowded
