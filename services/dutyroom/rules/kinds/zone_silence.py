"""zone_silence: most of what hangs on a gateway says nothing any more."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from dutyroom.fields import Fields
from dutyroom.model.duty import Condition
from dutyroom.rules.columns import FOREVER
from dutyroom.rules.kind import Instance, Place
from dutyroom.rules.learned.silence import FEWEST, ZoneSilence
from dutyroom.rules.learner import meter_of, said
from dutyroom.rules.spec import Rule
from dutyroom.timebase import MINUTE, Ms

DOC = (
    "Four fifths of the devices that ours feeds (`network`), at least three, are silent at once for two of their "
    "intervals (hourly radio meters: four), by receive time: one gateway, or one supply."
)


def parameters(fields: Fields) -> dict[str, object]:
    return {}


class ZoneInstance(Instance):
    """Asks when each device was heard: once a minute, where enough of them may be silent by then. Readings
    themselves are nothing to it."""

    __slots__ = ("began", "detector", "listens", "members", "minds", "place", "quiet_until", "ticked")

    def __init__(self, rule: Rule, place: Place, members: Sequence[str], detector: ZoneSilence) -> None:
        super().__init__(rule, place.device.id)
        self.place, self.members, self.detector = place, tuple(members), detector
        self.minds: Sequence[str] = ()
        self.listens = self.members
        self.began: Ms = 0  # since when we listen
        self.ticked: Ms = 0
        self.quiet_until: Ms = 0  # nothing can begin before

    def tick(self, now: Ms) -> Condition | None:
        self.ticked = now
        if now < self.quiet_until:
            return None
        heard, detector, began = self.place.heard, self.detector, self.began
        detector.last = [max(at, began) if (at := heard(member)) else 0 for member in self.members]
        detector.tick(now)
        self._look_at(detector.calm())
        return said(self, detector, now) if detector.active != self._active else None

    def hear(self, received: Ms) -> Condition | None:
        self._look_at(0)
        return None

    def _look_at(self, when: Ms) -> None:
        self.quiet_until = when
        self.minds = self.members if when == FOREVER else ()

    def started(self, now: Ms) -> None:
        """Nobody is silent yet."""
        self.began = now

    @property
    def waiting(self) -> bool:
        return True

    @property
    def due(self) -> tuple[Ms, Ms]:
        return max(self.ticked + MINUTE, self.quiet_until), FOREVER

    def adopt(self, active: bool) -> None:
        self._active = self.detector.active = active
        self._look_at(0)

    def dump(self) -> list[Any]:
        return [self._active, self.began, self.detector.gone]

    def load(self, data: Sequence[Any]) -> None:
        self._active, self.began, self.detector.gone = bool(data[0]), int(data[1]), int(data[2])
        self.detector.active = self._active
        self._look_at(0)


def build(rule: Rule, place: Place) -> ZoneInstance | None:
    found = [(device, place.table.of_device(device.id)) for device in place.members("network")]
    heard = [(d, points[0]) for d, points in found if points and (d.interval_s or points[0].spec.interval_s)]
    if len(heard) < FEWEST:
        return None
    meters = [meter_of(place, device, point) for device, point in heard]
    return ZoneInstance(rule, place, [device.id for device, _ in heard], ZoneSilence(meters))
