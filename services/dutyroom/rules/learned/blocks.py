"""What a home took at one time of day, day by day, as few bytes: a mean and a smallest hour each, as logarithms in
fiftieths (2 % of the power: a seventh of the spread that is allowed anyway), and whether the day was one of rest.

A byte a number where they lie within a factor of 160 of each other, which those of most homes and offices do.
Unpacked when they are asked for, and packed again when they are other ones.
"""

from __future__ import annotations

import struct
from array import array
from collections.abc import Iterable, Sequence
from math import exp, log, sqrt
from statistics import median
from typing import NamedTuple

FINE = 50.0  # steps of a logarithm
SMALL = 0.02  # kW: below it powers are alike; the standby of one device
FLOOR = 0.15  # ln: a home differs by 15 % from day to day even where three weeks happened to be calm
FEWEST = 4  # days of either kind, before they are told apart
APART = FINE * log(2.0)  # a working day takes twice as much as a day of rest
STRAYS = 1  # of either kind: somebody worked on a Saturday
_WIDEST = 255
_HEAD = struct.Struct("<3shh")  # days of rest by bit, and the least of both kinds of numbers
MOST = 23  # days
_WIDE = 1 << MOST  # beside these bits: two bytes a number


class Day(NamedTuple):
    """Of one time of day."""

    mean: int
    least: int
    rest: bool


def logarithm(kw: float) -> float:
    return log(max(kw, 0.0) + SMALL)


def steps(kw: float) -> int:
    """A power as it is kept."""
    return round(FINE * logarithm(kw))


def power(kept: float) -> float:
    """kW of what is kept."""
    return exp(kept / FINE) - SMALL


def alike(days: Sequence[Day], rest: bool) -> Sequence[Day]:
    """Days of that kind, where at this time of day people work (an office, a school): working days take twice what days
    of rest take, and hardly one is like the other kind. Else all: three weeks of a home are too few for two kinds."""
    worked, rested = sorted([m for m, _, r in days if not r]), sorted([m for m, _, r in days if r])
    if min(len(worked), len(rested)) < FEWEST or worked[STRAYS] <= rested[-1 - STRAYS]:
        return days  # most: nothing more is looked at
    high, low = median(worked), median(rested)
    between = (high + low) / 2.0
    apart = high - low >= APART and worked[STRAYS] > between > rested[-1 - STRAYS]
    return [d for d in days if d.rest == rest] if apart else days


def usual(kept: Sequence[int]) -> tuple[float, float]:
    """Median, and robust standard deviation with the floor added in squares; in logarithms."""
    middle = median(kept)
    mad = 1.4826 * median([abs(v - middle) for v in kept]) / FINE
    return middle / FINE, sqrt(mad * mad + FLOOR * FLOOR)


class Blocks:
    """Of one time of day, newest first; no more than `MOST`."""

    __slots__ = ("_days", "_packed")

    def __init__(self, packed: bytes = b"") -> None:
        self._packed: bytes | None = packed
        self._days: list[Day] | None = None

    @property
    def days(self) -> Sequence[Day]:
        """To be read only."""
        if self._days is None:
            self._days = _unpacked(self._packed or b"")
        return self._days

    def put(self, days: Iterable[Day]) -> None:
        """Others in their place."""
        self._days, self._packed = list(days)[:MOST], None

    def pack(self) -> bytes:
        """No more than 7 bytes and 4 a day."""
        if self._packed is None:
            self._packed = _packed(self.days)
        return self._packed


def _packed(days: Sequence[Day]) -> bytes:
    if not days:
        return b""
    means, leasts = [d.mean for d in days], [d.least for d in days]
    kinds = sum(d.rest << n for n, d in enumerate(days))
    a, b = min(means), min(leasts)
    if max(max(means) - a, max(leasts) - b) > _WIDEST:
        return _HEAD.pack(_bits(kinds | _WIDE), 0, 0) + array("h", means + leasts).tobytes()
    return _HEAD.pack(_bits(kinds), a, b) + bytes([m - a for m in means]) + bytes([n - b for n in leasts])


def _bits(kinds: int) -> bytes:
    return kinds.to_bytes(3, "little")


def _unpacked(packed: bytes) -> list[Day]:
    if not packed:
        return []
    bits, a, b = _HEAD.unpack_from(packed)
    kinds, rest = int.from_bytes(bits, "little"), packed[_HEAD.size :]
    numbers: Sequence[int] = array("h", rest) if kinds & _WIDE else rest
    count = len(numbers) // 2
    rests = [bool(kinds >> n & 1) for n in range(count)]
    return list(map(Day, [a + n for n in numbers[:count]], [b + n for n in numbers[count:]], rests))
