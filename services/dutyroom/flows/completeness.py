"""How much of what was expected has come: by device and local day, from the readings of one point of each.

The witness of a meter is its register: what it says besides must not hide that the register is not read any more.
Of every other device it is the point with the shortest interval. A reading counts on the day of its own time, once,
however late it came; duplicates do not count. Where a device has an interval of its own, that is what is expected.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from dutyroom.interfaces import Tally
from dutyroom.metering.registers import is_register
from dutyroom.metering.tariff import METER_CLASSES
from dutyroom.model.duty import Device, DeviceStatus
from dutyroom.model.telemetry import Bools, Point, PointTable, Quality, Readings
from dutyroom.timebase import HOUR, SECOND, Ms


def witness_of(points: Sequence[Point]) -> Point | None:
    """By which of its points a device is judged; None = it has none. Of two registers, the first with the shorter
    interval."""
    registers = [
        p for p in points if p.spec.interval_s and p.device_class in METER_CLASSES and is_register(p)
    ]
    return min(registers or points, key=lambda p: (p.spec.interval_s or 1 << 40, p.id), default=None)


class Witnesses:
    """Counts readings as they are stored. Not thread-safe."""

    def __init__(self, table: PointTable) -> None:
        self._table, self._version = table, 0
        self._chosen: Bools = np.zeros(0, np.bool_)  # by point id
        self._of: dict[str, int] = {}
        self._devices: npt.NDArray[np.object_] = np.zeros(0, np.object_)  # by point id, of those chosen

    def count(self, stored: Readings) -> Tally | None:
        """New readings of witnesses, by hour of their own time and device."""
        if not len(stored):
            return None
        self._learn()
        mine = self._chosen[stored.point] & (stored.quality != Quality.RETAINED)
        keys = (stored.at[mine] // HOUR << 32) | stored.point[mine].astype(np.int64)
        once, counts = np.unique(keys, return_counts=True)
        devices: list[str] = self._devices[once & 0xFFFFFFFF].tolist()
        return Tally((once >> 32) * HOUR, devices, counts)

    def _learn(self) -> None:
        """Chooses anew for devices whose points have changed."""
        if self._table.top >= len(self._chosen):
            more = self._table.top + 1024 - len(self._chosen)
            self._chosen = np.concatenate([self._chosen, np.zeros(more, np.bool_)])
            self._devices = np.concatenate([self._devices, np.zeros(more, np.object_)])
        self._version, names = self._table.changes.since(self._version)
        for device in {p.device for p in list(self._table)} if names is None else names:
            points = self._table.of_device(device)
            if device in self._of:
                self._chosen[self._of.pop(device)] = False
            if (found := witness_of(points)) is not None:
                best = found.id
                self._of[device], self._chosen[best], self._devices[best] = best, True, device


@dataclass(frozen=True, slots=True)
class Share:
    """Of a device and a day. received: at most what was expected."""

    device: str
    day: Ms
    expected: int
    received: int

    @property
    def share(self) -> float:
        return self.received / self.expected


def intervals(devices: Iterable[Device], table: PointTable) -> dict[str, int]:
    """By device the seconds between two readings of its witness, where that is known."""
    found: dict[str, int] = {}
    for device in devices:
        if device.status is not DeviceStatus.ACTIVE:
            continue
        witness = witness_of(table.of_device(device.id))
        if seconds := device.interval_s or (witness.spec.interval_s if witness is not None else None):
            found[device.id] = seconds
    return found


def shares(
    expected: Mapping[str, int],
    counts: Mapping[tuple[Ms, str], int],
    days: Sequence[tuple[Ms, Ms]],
    since: Ms,
    now: Ms,
    added: Mapping[str, Ms],
) -> list[Share]:
    """The worst first. expected: seconds by device. counts: by day and device. since: when the site began. added: when
    devices were added that were not there before: of what was before that nothing is expected."""
    found = []
    for start, end in days:
        for device, seconds in expected.items():
            # What is due just now may still come.
            span = min(end, now - seconds * SECOND) - max(start, since, added.get(device, 0))
            wanted = span // (seconds * SECOND)
            if wanted > 0:
                came = min(wanted, counts.get((start, device), 0))
                found.append(Share(device, start, wanted, came))
    return sorted(found, key=lambda s: (s.share, s.day, s.device))


def overall(found: Sequence[Share]) -> float | None:
    """The share of all together; None = nothing was expected."""
    wanted = sum(s.expected for s in found)
    return sum(s.received for s in found) / wanted if wanted else None
