"""What homes on one feeder said of their newest blocks, for each to take off what is common to them.

Each member says its own; after a restart it says it again out of its own state.
"""

from __future__ import annotations

from array import array
from statistics import median
from typing import TypeAlias

FEWEST = 3
Said: TypeAlias = tuple[int, float, int, float]  # a block (0 = none yet) and z, and those before
NOTHING: Said = (0, 0.0, 0, 0.0)


class Neighbours:
    """What the homes on one feeder said of their newest blocks, by their seats: 16 bytes each."""

    __slots__ = ("_before", "_free", "_newest")

    def __init__(self) -> None:
        self._newest = array("i"), array("f")  # block and z
        self._before = array("i"), array("f")
        self._free: list[int] = []

    def seat(self) -> int:
        """For a home that comes."""
        if self._free:
            return self._free.pop()
        for column in (*self._newest, *self._before):
            column.append(0)
        return len(self._newest[0]) - 1

    def leave(self, seat: int) -> None:
        """It is no neighbour any more."""
        self.put(seat, NOTHING)
        self._free.append(seat)

    def say(self, seat: int, block: int, z: float) -> None:
        last, last_z, *_ = self.spoken(seat)
        if block > last:
            self.put(seat, (block, z, last, last_z))

    def put(self, seat: int, said: Said) -> None:
        """In place of what it said."""
        (blocks, zs), (before, before_zs) = self._newest, self._before
        blocks[seat], zs[seat], before[seat], before_zs[seat] = said

    def spoken(self, seat: int) -> Said:
        """What it said; z with the 24 bits of a 32 bit number."""
        (blocks, zs), (before, before_zs) = self._newest, self._before
        return blocks[seat], zs[seat], before[seat], before_zs[seat]

    def median(self, seat: int, block: int) -> float | None:
        """Of the others; None where they are too few."""
        said = zip(*self._newest, *self._before, strict=True)
        found = [
            z if block == newest else before_z
            for place, (newest, z, before, before_z) in enumerate(said)
            if place != seat and block in (newest, before)
        ]
        return median(found) if len(found) >= FEWEST else None


class Nobody(Neighbours):
    """Of a home that hangs on no feeder with others."""

    def seat(self) -> int:
        return 0

    def put(self, seat: int, said: Said) -> None:
        return

    def spoken(self, seat: int) -> Said:
        return NOTHING

    def median(self, seat: int, block: int) -> float | None:
        return None
