"""Most of a zone that is not heard. Timers run on the stream clock.

Single readings get lost every day, on hourly radio meters several in a row. Most of a zone silent at once is
no chance: one gateway, or one supply.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from dutyroom.rules.columns import FOREVER
from dutyroom.rules.learned.meter import Meter
from dutyroom.rules.learned.packed import parts
from dutyroom.timebase import HOUR, MINUTE, SECOND, Ms

TOGETHER = 0.8  # of a zone
FEWEST = 3  # devices: two can fail by chance
ZONE_INTERVALS = 2.1  # two readings are missing
ZONE_HOURLY = 2.5  # mains-fed meters, hourly or rarer
ZONE_RADIO = 4.0  # battery radio meters, hourly or rarer: their gateway misses an hour or three together
_AGAIN = 0.5  # fewer than that are silent: the zone is back, the last ones have as long as it took


def _patience(meter: Meter) -> float:
    """How long a member may say nothing before it counts as silent together with others, ms."""
    span = meter.interval_s * SECOND
    if span < HOUR:
        return span * ZONE_INTERVALS
    return span * (ZONE_HOURLY if meter.klass == "electricity_meter" else ZONE_RADIO)


class ZoneSilence:
    """Of a zone, over all its devices; while it is active, silences of its devices are none of their own."""

    __slots__ = ("active", "cause", "gone", "last", "looked", "patience", "silent")

    def __init__(self, meters: Sequence[Meter]) -> None:
        self.patience = [_patience(m) for m in meters]
        self.active, self.cause = False, "offline"
        self.last: list[Ms] = [0] * len(meters)
        self.silent = 0
        self.gone: Ms = 0  # when most of the zone was last silent
        self.looked: Ms = 0

    def arguments(self) -> dict[str, float]:
        return {"silent": self.silent, "devices": sum(1 for last in self.last if last)}

    def tick(self, now: Ms) -> None:
        if now - self.looked >= MINUTE:
            self.looked = now
            self._look(now)

    def _look(self, now: Ms) -> None:
        known, before = len(self.last) - self.last.count(0), self.silent
        self.silent = sum(
            [last > 0 and now - last > p for last, p in zip(self.last, self.patience, strict=True)]
        )
        if self.active:
            if self.silent >= _AGAIN * known or before >= known:
                self.gone = now
            self.active = self.silent > 0 and now - self.gone < max(self.patience)
        elif known >= FEWEST and self.silent >= TOGETHER * known:
            self.active, self.gone = True, now

    def calm(self) -> Ms:
        """When to look next. Before it, too few can be silent for anything to begin, whoever is heard meanwhile;
        where all are silent nothing changes until one is heard: FOREVER. 0 = not known."""
        ends = sorted([last + p for last, p in zip(self.last, self.patience, strict=True) if last])
        if self.active:
            return FOREVER if 0 < len(ends) == self.silent else 0
        if len(ends) < FEWEST:  # somebody must be heard first, and then be silent
            return self.looked + int(min(self.patience))
        return int(ends[math.ceil(TOGETHER * len(ends)) - 1])

    def read(self, member: int, at: Ms, value: float) -> None:
        self.last[member] = at

    def dump(self) -> list[Any]:
        return [self.active, list(self.last), self.silent, self.gone]

    def load(self, data: list[Any]) -> None:
        self.active, self.last, self.silent, self.gone = parts(data, 4)
