"""The canary: a message of our own each minute, published to each of the site's brokers and looked for in the store.

It takes the whole way of a device's message, so what it finds is what the devices would: a broker that keeps a
connection open and hands nothing over, a commit that hangs, a store that answers and does not keep. It is no
device of the site: its point has the number 0, which no point of the records ever has. The canaries of several
brokers share it, and know their beats apart: those are moments at which they sing, one after the other.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from dutyroom.errors import Unavailable
from dutyroom.flows.registry import Registry
from dutyroom.model.duty import Device
from dutyroom.model.telemetry import DeviceClass, Point, PointSpec, PointTable
from dutyroom.timebase import Ms

EVERY_S = 60.0
AGAIN_S = 10.0  # where the broker did not take it: its outage ends soon after it is back
FIRST_S = 30.0  # after the start
SILENT_S = 180.0  # without one that came back: an outage of our own
DEAF_S = 15.0  # a beat that the broker took and that nobody here has read: devices may be silent for our sake
DEVICE, PROFILE = "dutyroom-canary", "dutyroom/canary"
POINT = 0
_KEPT = 8  # beats that are still looked for
_LOOKS = (0.05, 0.1, 0.2, 0.4, 0.8, 1.0)  # seconds between two looks for a beat


_TOPICS = "dutyroom/canary/"


def topic_of(site: str) -> str:
    return f"{_TOPICS}{site}"


def of_others(topic: str, site: str) -> bool:
    """Whether it is the canary of another site, which a filter as wide as # hears at a broker that both use."""
    return topic.startswith(_TOPICS) and topic != topic_of(site)


def admit(site: str, registry: Registry, table: PointTable) -> Point:
    """Lets its messages be read. Nothing of it is in the records, so it is on no list and no bill."""
    registry.admit(Device(site, DEVICE, "", DeviceClass.OTHER.value, PROFILE, site, ""))
    point = Point(POINT, site, DEVICE, DeviceClass.OTHER, "", PointSpec("beat"))
    table.add(point)
    return point


@dataclass(frozen=True, slots=True)
class CanaryState:
    """delay_s: from publishing to the store, of the last one that came back; back_at: when that was. proven: one
    has come back since the start. trouble: why the last one was not published, "" = it was. where: of several
    brokers those where one is silent, or never came back."""

    proven: bool = False
    delay_s: float | None = None
    back_at: Ms | None = None
    silent: bool = False
    trouble: str = ""
    where: str = ""


class Canary:
    """One for each broker of a site, for a thread of its own; `state` and `deaf` are read from any.

    publish: raises Unavailable. stored, heard: the newest beat in the store (raises Unavailable) and the newest
    that was read here, its own or another's, None = none. stamp: a number that only grows, also over restarts, and
    is never the same for two. seconds: real ones. later: seconds after the first one's that it begins.
    """

    def __init__(
        self,
        publish: Callable[[bytes], None],
        stored: Callable[[], float | None],
        heard: Callable[[], float | None],
        stamp: Callable[[], Ms],
        seconds: Callable[[], float],
        now: Callable[[], Ms],
        later: float = 0.0,
    ) -> None:
        self._publish, self._stored, self._heard = publish, stored, heard
        self._stamp, self._seconds, self._now = stamp, seconds, now
        self._sent: dict[Ms, float] = {}  # beats that have not come back -> when they were published
        began = seconds()
        self._next, self._back, self._looks = began + FIRST_S + later, began, 0
        self._read: Ms = 0  # the newest of its own that was read here
        self.state = CanaryState()

    @property
    def deaf(self) -> bool:
        """Whether something that the broker took has not been read here for a while."""
        late = self._seconds() - DEAF_S
        return self.state.proven and any(b > self._read and at <= late for b, at in list(self._sent.items()))

    def step(self) -> float:
        """Looks, publishes when it is time; returns the seconds until the next step."""
        if (heard := self._heard()) is not None and int(heard) in self._sent:
            self._read = int(heard)
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
            self._next = now + AGAIN_S
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


class Canaries:
    """All of a site. names: of their brokers."""

    def __init__(self, each: Sequence[Canary], names: Sequence[str]) -> None:
        self._each, self._names = tuple(each), tuple(names)

    @property
    def deaf(self) -> bool:
        return any(canary.deaf for canary in self._each)

    @property
    def deaf_at(self) -> frozenset[str]:
        """The names of their brokers."""
        return frozenset(n for n, canary in zip(self._names, self._each, strict=True) if canary.deaf)

    @property
    def state(self) -> CanaryState:
        """Of several the worst: what one of them says concerns the devices of its broker."""
        states = [canary.state for canary in self._each]
        if len(states) == 1:
            return states[0]
        silent = any(state.silent for state in states)
        bad = [
            name
            for name, state in zip(self._names, states, strict=True)
            if (state.silent if silent else not state.proven)
        ]
        delays = [state.delay_s for state in states if state.delay_s is not None]
        back = [state.back_at for state in states if state.back_at is not None]
        return CanaryState(
            all(state.proven for state in states),
            max(delays, default=None),
            min(back, default=None),
            silent,
            "; ".join(state.trouble for state in states if state.trouble),
            ", ".join(bad),
        )
