"""How far devices' clocks are off: receive time less the time in their messages.

Only messages in step count: between two of them as much time has passed here as there. What two of them in
exact step say is shown; it is noted when some more say the same. A late batch, or what
waited for us somewhere, is not in step with its predecessor, and a device without a clock has no skew.
"""

from __future__ import annotations

import statistics
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

import msgspec

from dutyroom.flows.live import LiveValue
from dutyroom.model.telemetry import Finding, PointTable, Quality
from dutyroom.timebase import MINUTE, SECOND, Ms

LAST = 9  # messages
LEAST = 3  # before anything is noted
TOO_MUCH: Ms = 5 * MINUTE
_BACK: Ms = 4 * MINUTE  # below it the finding is over
_STEP: Ms = 30 * SECOND  # by which a message in step may come earlier or later than the one before
KIND = "clock_skew"


@dataclass(frozen=True, slots=True)
class Skew:
    """ms: positive = the device's clock is behind; None = not measured. wrong: its clock is not plausible at all,
    the receive time counts in its place."""

    ms: Ms | None
    messages: int
    wrong: bool = False


@dataclass(slots=True)
class _Clock:
    at: Ms = 0
    received: Ms = 0
    seen: deque[Ms] = field(default_factory=lambda: deque(maxlen=LAST))
    exact: bool = True  # those seen were in step to _STEP
    ms: Ms | None = None  # the median of them, as far as it is told
    wrong: bool = False
    told: bool = False

    def off(self) -> bool:
        return self.wrong or (self.ms is not None and abs(self.ms) > TOO_MUCH)


class _Kept(msgspec.Struct, frozen=True, array_like=True):
    """What outlives a restart of a clock that is off."""

    seen: list[Ms]
    wrong: bool
    told: bool


class Skews:
    """Fed with what is new; read from any thread. timed: whether a device says when its readings are."""

    def __init__(self, table: PointTable, timed: Callable[[str], bool]) -> None:
        self._table, self._timed = table, timed
        self._clocks: dict[str, _Clock] = {}
        self._off: set[str] = set()

    def take(self, values: Iterable[LiveValue], now: Ms) -> list[Finding]:
        """The newest values of points; returns what there is to note."""
        newest: dict[str, LiveValue] = {}
        for value in values:
            point = self._table.get(value.point)
            if point is None or value.quality == Quality.RETAINED:
                continue
            before = newest.get(point.device)
            if before is None or value.at > before.at:
                newest[point.device] = value
        findings = []
        for device, value in newest.items():
            if self._timed(device):
                clock = self._clocks.setdefault(device, _Clock())
                findings += self._one(device, clock, value, now)
                (self._off.add if clock.off() else self._off.discard)(device)
        return findings

    def _one(self, device: str, clock: _Clock, value: LiveValue, now: Ms) -> list[Finding]:
        clock.wrong = value.quality == Quality.CLOCK
        if (
            clock.wrong
            or value.at == clock.at
            or (value.at < clock.at and clock.at <= value.received_at + TOO_MUCH)
        ):
            return []  # one in the future was a clock that is put right since
        here, there = value.received_at - clock.received, value.at - clock.at
        if clock.at and abs(here - there) <= max(_STEP, here // 10):
            clock.exact &= abs(here - there) <= _STEP
            clock.seen.append(value.received_at - value.at)
            _tell(clock)
        clock.at, clock.received = value.at, value.received_at
        if len(clock.seen) < LEAST or clock.ms is None:
            return []
        skew = clock.ms
        if abs(skew) < _BACK:
            clock.told = False
        if clock.told or abs(skew) <= TOO_MUCH:
            return []
        clock.told = True
        return [Finding(KIND, device, now, f"{skew / 1000:+.0f} s")]

    def of(self, device: str) -> Skew | None:
        """None = nothing is known."""
        clock = self._clocks.get(device)
        if clock is None:
            return None
        return Skew(clock.ms, len(clock.seen), clock.wrong)

    def odd(self) -> Mapping[str, Skew]:
        """Devices whose clock is off by too much, or not plausible."""
        return {device: skew for device in list(self._off) if (skew := self.of(device)) is not None}

    # ------------------------------------------------------------ over a restart

    def packed(self) -> bytes:
        """The clocks that are off, which are few."""
        kept = {
            device: _Kept(list(clock.seen)[-LEAST:], clock.wrong, clock.told)
            for device in sorted(self._off)
            if (clock := self._clocks.get(device)) is not None
        }
        return msgspec.msgpack.encode(kept)

    def restore(self, packed: bytes | None) -> None:
        """Of devices that are still there; what cannot be read is measured anew."""
        try:
            kept = msgspec.msgpack.decode(packed or b"\x80", type=dict[str, _Kept])
        except msgspec.MsgspecError:
            return
        for device, one in kept.items():
            if self._timed(device) and device not in self._clocks:
                clock = _Clock(seen=deque(one.seen, LAST), wrong=one.wrong, told=one.told)
                _tell(clock)
                self._clocks[device] = clock
                self._off.add(device)


def _tell(clock: _Clock) -> None:
    if len(clock.seen) >= LEAST or (clock.seen and clock.exact):
        clock.ms = round(statistics.median(clock.seen))
