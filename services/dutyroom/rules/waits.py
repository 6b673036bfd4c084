"""Which instances wait for a moment: asked by time, not one by one."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from dutyroom.model.telemetry import Lane, Longs
from dutyroom.rules.columns import FOREVER, NEVER, Columns, Field, Slots
from dutyroom.rules.hearing import Hearing
from dutyroom.rules.kind import Instance
from dutyroom.timebase import Ms


class Waits(Columns):
    """A row an instance that waits: between which moments its `tick` may change something."""

    FIELDS: ClassVar = {
        "begin": Field(np.int64, FOREVER),
        "end": Field(np.int64, NEVER),
        "device": Field(np.int64, -1),
    }
    begin: Longs
    end: Longs
    device: Longs

    def __init__(self, hearing: Hearing) -> None:
        super().__init__()
        self._hearing = hearing
        self._instances: dict[int, Instance] = {}  # by row
        self._earliest: Ms = FOREVER  # nobody is due before

    def __len__(self) -> int:
        return len(self._instances)

    def see(self, instance: Instance) -> None:
        """Looks whether it waits now, and for when. To be called when its state may be another."""
        if not instance.waiting:
            self.forget(instance)
            return
        if instance.wait < 0:
            instance.wait = self.add()
            self._instances[instance.wait] = instance
            self.device[instance.wait] = self._hearing.place(instance.device)
        begin, end = instance.due
        self.begin[instance.wait], self.end[instance.wait] = begin, end
        self._earliest = min(self._earliest, begin)
        if instance.minds:
            self._hearing.mind(instance)

    def forget(self, instance: Instance) -> None:
        if instance.wait >= 0:
            del self._instances[instance.wait]
            self.drop(instance.wait)
            instance.wait = -1
            self._hearing.unmind(instance)

    def all(self) -> list[Instance]:
        return list(self._instances.values())

    def of(self, places: Slots) -> list[Instance]:
        """Those of some devices, by their places."""
        rows = np.flatnonzero(np.isin(self.device[: self.size], places)).tolist()
        return [found for row in rows if (found := self._instances.get(row)) is not None]

    def next(self, now: Ms) -> Ms:
        """The first moment from `now` on at which somebody is due; FOREVER = none."""
        if now >= self._earliest:
            begin, end = self.begin[: self.size], self.end[: self.size]
            self._earliest = int(begin[end >= now].min(initial=FOREVER))
        return max(now, self._earliest)

    def due(self, now: Ms, lane: Lane | None) -> list[Instance]:
        """Whom to ask at this moment, of the devices of one lane or of all, by rule and device."""
        if now < self._earliest:
            return []
        begin = self.begin[: self.size]
        found = np.flatnonzero((begin <= now) & (self.end[: self.size] >= now))
        self._earliest = int(begin.min()) if len(begin) else FOREVER
        if lane is not None:
            found = found[self._hearing.lane(self.device[found].astype(np.intp), lane)]
        return sorted((self._instances[row] for row in found.tolist()), key=lambda i: (i.rule.id, i.device))
