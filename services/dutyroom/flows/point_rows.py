"""What is asked of all points of a site at once, as arrays by point id."""

from __future__ import annotations

import numpy as np

from dutyroom.metering.registers import is_register
from dutyroom.model.telemetry import Bools, Longs, PointTable
from dutyroom.timebase import SECOND

ONLINE = "online"  # says how a device is reached, mostly by others; not what it sends


class PointRows:
    """Not thread-safe. device: a number of its own, -1 = no such point. interval: expected, ms, 0 = none. register:
    a meter's. tells: its readings are a sign of the device."""

    def __init__(self, table: PointTable) -> None:
        self._table, self._version = table, 0
        self._numbers: dict[str, int] = {}
        self.device: Longs = np.zeros(0, np.int64)
        self.interval: Longs = np.zeros(0, np.int64)
        self.register: Bools = np.zeros(0, np.bool_)
        self.tells: Bools = np.zeros(0, np.bool_)

    def learn(self) -> None:
        """Takes over what has changed."""
        self._reach(self._table.top + 1)
        self._version, names = self._table.changes.since(self._version)
        for device in {p.device for p in list(self._table)} if names is None else names:
            number = self._numbers.setdefault(device, len(self._numbers))
            for point in self._table.of_device(device):
                self.device[point.id] = number
                self.interval[point.id] = (point.spec.interval_s or 0) * SECOND
                self.register[point.id] = is_register(point)
                self.tells[point.id] = point.spec.name != ONLINE

    def _reach(self, size: int) -> None:
        more = size - len(self.device)
        if more <= 0:
            return
        more += 1024
        self.device = np.concatenate([self.device, np.full(more, -1, np.int64)])
        self.interval = np.concatenate([self.interval, np.zeros(more, np.int64)])
        self.register = np.concatenate([self.register, np.zeros(more, np.bool_)])
        self.tells = np.concatenate([self.tells, np.zeros(more, np.bool_)])


def silences(device: Longs, received: Longs, tells: Bools) -> Longs:
    """How long before the newest of its device each was read, ms, 0 = it is the newest. Columns of equal length;
    device: its number, -1 = none."""
    newest = np.zeros(int(device.max(initial=-1)) + 1, np.int64)
    mine = tells & (device >= 0)
    np.maximum.at(newest, device[mine], received[mine])
    found = np.zeros(len(device), np.int64)
    some = device >= 0
    found[some] = np.maximum(newest[device[some]] - received[some], 0)
    return found
