"""The canary: a message of our own each minute, published to the site's broker and looked for in the store.

It takes the whole way of a device's message, so what it finds is what the devices would: a broker that keeps a
connection open and hands nothing over, a commit that hangs, a store that answers and does not keep. It is no
device of the site: its point has the number 0, which no point of the records ever has.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, replace

from dutyroom.errors import Unavailable
from dutyroom.flows.registry import Registry
from dutyroom.model.duty import Device
from dutyroom.model.telemetry import DeviceClass, Point, PointSpec, PointTable
from dutyroom.timebase import Ms

EVERY_S = 60.0
FIRST_S = 30.0  # after the start
SILENT_S = 180.0  # without one that came back: an outage of our own
DEAF_S = 15.0  # a beat that the broker took and that nobody here has read: devices may be silent for our sake
DEVICE, PROFILE = "dutyroom-canary", "dutyroom/canary"
POINT = 0
_KEPT = 8  # beats that are still looked for
_LOOKS = (0.05, 0.1, 0.2, 0.4, 0.8, 1.0)  # seconds between two looks for a beat


def topic_of(site: str) -> str:
    return f"dutyroom/canary/{site}"


def admit(site: str, registry: Registry, table: PointTable) -> Point:
    """Lets its messages be read. Nothing of it is in the records, so it is on no list and no bill."""
    registry.admit(Device(site, DEVICE, "", DeviceClass.OTHER.value, PROFILE, site, ""))
    point = Point(POINT, site, DEVICE, DeviceClass.OTHER, "", PointSpec("beat"))
    table.add(point)
    return point


@dataclass(frozen=True, slots=True)
class CanaryState:
    """delay_s: from publishing to the store, of the last one that came back; back_at: when that was. proven: one
    has come back since the start. trouble: why the last one was not published, "" = it was."""

    proven: bool = False
    delay_s: float | None = None
    back_at: Ms | None = None
    silent: bool = False
    trouble: str = ""


class Canary:
    """One per site, for a thread of its own; `state` and `deaf` are read from any.

    publish: raises Unavailable. stored, heard: the newest beat in the store (raises Unavailable) and the newest
    that was read here, None = none. stamp: a number that only grows, also over restarts. seconds: real ones.
    """

    def __init__(
        self,
        publish: Callable[[bytes], None],
        stored: Callable[[], float | None],
        heard: Callable[[], float | None],
        stamp: Callable[[], Ms],
        seconds: Callable[[], float],
        now: Callable[[], Ms],
    ) -> None:
        self._publish, self._stored, self._heard = publish, stored, heard
        self._stamp, self._seconds, self._now = stamp, seconds, now
        self._sent: dict[Ms, float] = {}  # beats that have not come back -> when they were published
        began = seconds()
        self._next, self._back, self._looks = began + FIRST_S, began, 0
        self.state = CanaryState()

    @property
    def deaf(self) -> bool:
        """Whether something that the broker took has not been read here for a while."""
        sent = list(self._sent.items())
        if not self.state.proven or not sent:
            return False
        beat, at = sent[-1]
        if self._seconds() - at < DEAF_S:
            return False
        heard = self._heard()
        return heard is None or heard < beat

    def step(self) -> float:
        """Looks, publishes when it is time; returns the seconds until the next step."""
        wait = self._look() if self._sent else 1.0
        now = self._seconds()
        if now >= self._next:
            self._next = now + EVERY_S
            wait = self._beat(now)
        silent = self.state.proven and now - self._back > SILENT_S
        if silent != self.state.silent:
            self._say(silent=silent)
        return min(wait, max(0.05, self._next - now))

    def _beat(self, now: float) -> float:
        beat = self._stamp()
        self._sent[beat] = now
        while len(self._sent) > _KEPT:
            del self._sent[next(iter(self._sent))]
        self._looks = 0
        try:
            self._publish(json.dumps({"beat": beat}).encode())
        except Unavailable as err:
            del self._sent[beat]
            self._say(trouble=str(err))
            return 1.0
        self._say(trouble="")
        return _LOOKS[0]

    def _look(self) -> float:
        try:
            found = self._stored()
        except Unavailable:
            found = None
        if found is not None and (sent := self._sent.get(int(found))) is not None:
            now = self._seconds()
            self._back = now
            self._sent = {beat: at for beat, at in self._sent.items() if beat > found}
            self._say(proven=True, delay_s=now - sent, back_at=self._now())
            return 1.0
        self._looks += 1
        return _LOOKS[min(self._looks, len(_LOOKS) - 1)]

    def _say(self, **changes: object) -> None:
        self.state = replace(self.state, **changes)  # type: ignore[arg-type]
