"""What homes on one feeder said of their newest blocks, for each to take off what is common to them.

Each member says its own; after a restart it says it again out of its own state.
"""

from __future__ import annotations

from statistics import median

FEWEST = 3


class Neighbours:
    """What the homes on one feeder said of their newest blocks."""

    __slots__ = ("said",)

    def __init__(self) -> None:
        self.said: dict[str, tuple[int, float, int, float]] = {}  # block and z, and those before

    def say(self, member: str, block: int, z: float) -> None:
        last, last_z, *_ = self.spoken(member)
        if block > last:
            self.said[member] = (block, z, last, last_z)

    def spoken(self, member: str) -> tuple[int, float, int, float]:
        """What it said: a block (0 = none yet) and z, and those before."""
        return self.said.get(member, (0, 0.0, 0, 0.0))

    def median(self, member: str, block: int) -> float | None:
        """Of the others; None where they are too few."""
        found = [
            z if block == newest else before_z
            for name, (newest, z, before, before_z) in self.said.items()
            if name != member and block in (newest, before)
        ]
        return median(found) if len(found) >= FEWEST else None


class Nobody(Neighbours):
    """Of a home that hangs on no feeder with others."""

    def say(self, member: str, block: int, z: float) -> None:
        return
