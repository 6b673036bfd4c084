"""Detectors that know a device by its own past: pure, causal, one code for live, late data and history.

A detector hears the readings of one point (or of the members of a zone) in the order of their own
clock and says whether its condition holds. It knows no engine, no store and no wall clock; what it
learned is plain data (`dump`, `load`). Values come in canonical units: m3, kWh, m3/h, m; pressure
in whatever unit the point has.
"""

from __future__ import annotations

from typing import Any, Protocol

from dutyroom.timebase import DAY, Ms

LEARNING: Ms = 14 * DAY  # before it nothing is judged by a profile: two of each weekday


def ready(detector: object) -> Ms:
    """From when on it judges by what it has learned; 0 = it has heard nothing yet, or does already, or learns nothing."""
    own: Ms | None = getattr(detector, "ready", None)  # of one that counts days of its own
    if own is not None:
        return own
    begun: Ms = getattr(detector, "begun", 0)  # of its first reading, where it waits
    return begun + LEARNING if begun else 0


class Finding(Protocol):
    """What every detector shows and keeps."""

    @property
    def active(self) -> bool:
        """Whether the condition holds now."""
        ...

    @property
    def cause(self) -> str:
        """What it is while active (the last one after that): a kind of alarm, e.g. "leak", "burst".

        Another one while active is another alarm: a leak that becomes a burst."""
        ...

    def arguments(self) -> dict[str, float]:
        """Numbers for the text of the alarm, in canonical units and hours."""
        ...

    def tick(self, now: Ms) -> None:
        """The stream clock: before each reading with that reading's time, at least every 5 min else."""
        ...

    def dump(self) -> list[Any]:
        """All it knows beyond what it was built with: numbers, text, lists."""
        ...

    def load(self, data: list[Any]) -> None:
        """Takes what `dump` gave. Raises Rejected when the data is none of its own."""
        ...


class Detector(Finding, Protocol):
    """Of one point of a device."""

    def read(self, at: Ms, value: float) -> None:
        """The next reading, finite, in device time and never older than the one before."""
        ...

    def pack(self) -> bytes:
        """All it knows beyond what it was built with: a few hundred bytes."""
        ...

    def unpack(self, state: bytes) -> None:
        """Takes what `pack` gave, of itself or of another one built alike: one goes through the readings of
        thousands of points. What a reading seldom asks for is left packed until it does."""
        ...


class ZoneDetector(Finding, Protocol):
    """Of a zone: what its members show together."""

    def read(self, member: int, at: Ms, value: float) -> None:
        """The next reading of the member with this index; readings come by time over all members."""
        ...
