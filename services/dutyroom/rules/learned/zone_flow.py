"""The flow of a zone in equal bins, out of the registers of its meters.

Each movement is spread over the time in which it happened, so that meters read at different moments
add up. A bin is complete when every meter has been read past its end; a bin in which a meter was
silent for long, or its register leapt, has no flow.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from dutyroom.rules.learned.meter import Meter
from dutyroom.rules.learned.packed import parts
from dutyroom.rules.learned.register import UNKNOWN
from dutyroom.rules.learned.register_fault import trusted
from dutyroom.timebase import HOUR, MINUTE, SECOND, Ms

_SHORTEST: Ms = 15 * MINUTE
_GAP = 3.5  # intervals: over a longer silence of a meter its flow is not known
_BEHIND = 24  # bins that one meter may hold up the others: then it is counted as silent


class ZoneFlow:
    """Of some meters; `read` gives the bins that became complete: start and flow, unit/h or UNKNOWN."""

    __slots__ = ("bin", "bins", "gap", "registers")

    def __init__(self, meters: Sequence[Meter]) -> None:
        longest = max(m.interval_s for m in meters) * SECOND
        self.bin: Ms = next(b for b in (_SHORTEST, 2 * _SHORTEST, HOUR) if b >= longest or b == HOUR)
        self.gap: Ms = int(max(_GAP * longest, self.bin))
        self.registers = [trusted(m) for m in meters]
        self.bins: dict[int, float] = {}  # by number: what moved in it so far; -inf = not known

    def read(self, member: int, at: Ms, value: float) -> list[tuple[Ms, float]]:
        register = self.registers[member]
        before = register.at
        moved = register.read(at, value)
        if not before:
            self.bins[at // self.bin] = float("-inf")
            return self._complete(at)
        since = register.since if moved != UNKNOWN else before
        self._spread(since, at, moved if moved != UNKNOWN and at - since <= self.gap else float("-inf"))
        return self._complete(at)

    def _spread(self, since: Ms, at: Ms, moved: float) -> None:
        """Adds what moved between two readings to the bins that they span."""
        size, first = self.bin, since // self.bin
        if at // size - first > _BEHIND:  # after a long silence only the end of it is still asked for
            first = at // size - _BEHIND
        span = max(at - since, 1)
        for number in range(first, at // size + 1):
            share = (min(at, (number + 1) * size) - max(since, number * size)) / span
            if share > 0.0:
                self.bins[number] = self.bins.get(number, 0.0) + moved * share

    def _complete(self, at: Ms) -> list[tuple[Ms, float]]:
        size = self.bin
        done = min(*(r.at for r in self.registers), at) // size
        late = at // size - _BEHIND
        ready = sorted(n for n in self.bins if n < max(done, late))
        found = []
        for n in ready:
            moved = self.bins.pop(n)
            known = moved >= 0.0 and n < done
            found.append((n * size, moved * HOUR / size if known else UNKNOWN))
        return found

    def dump(self) -> list[Any]:
        return [[r.dump() for r in self.registers], [[n, v] for n, v in self.bins.items()]]

    def load(self, data: list[Any]) -> None:
        registers, bins = parts(data, 2)
        for register, kept in zip(self.registers, parts(registers, len(self.registers)), strict=True):
            register.load(kept)
        self.bins = {int(n): float(v) for n, v in bins}
