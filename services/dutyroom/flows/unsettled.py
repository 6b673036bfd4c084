"""Which stretches of the journal a store may still lose although it took them: pure bookkeeping.

A server that is killed inside an entry of its log may drop, when it begins the time after the next, what it took
after that entry, until it wrote its memory down (docs/decisions/influx-may-forget.md). So what was
written stays in doubt until that has happened for sure; and each time the server has begun anew, what is in doubt is
looked for there. What is found there then is safe: it came from the disk.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from dutyroom.model.telemetry import Lane, Longs
from dutyroom.timebase import HOUR, MINUTE, Ms

# InfluxDB 2.7 writes a shard's memory down at 25 MB of values, of 9 bytes (a short text) to 16 (a number) each at
# least, or after 10 minutes without a write (storage-cache-snapshot-memory-size, -write-cold-duration).
MOST = 3_000_000  # values of a shard after which what was written before them is safe
COLD: Ms = 15 * MINUTE  # without a write to a shard
_SIZE = 100_000  # values of a stretch, about
_LONG: Ms = HOUR  # of writing, at most, about
_YEAR_1: Ms = 62_135_596_800_000  # before 1970: from there it counts its shards


@dataclass(frozen=True, slots=True)
class Stretch:
    """Batches of a lane, after < sequence <= upto. life: of the server while they were written. mixed: some of it
    perhaps in a later one. shards: values written by shard, 0 = none of late, but some that stand in the batches may have been
    before; {} = not known. began, ended: when they were written, ms of a clock that only rises."""

    lane: int
    after: int
    upto: int
    life: str
    mixed: bool = False
    shards: dict[int, int] = field(default_factory=dict)
    began: Ms = 0
    ended: Ms = 0

    @property
    def values(self) -> int:
        return sum(self.shards.values())


def shards_of(at: Longs, width: Ms) -> Longs:
    """The number of the shard that each instant is written into. width: of a shard."""
    return (at + _YEAR_1) // width


def by_shard(at: Longs, width: Ms) -> dict[int, int]:
    """How many of these instants each shard gets."""
    if not len(at):
        return {}
    first, last = int(shards_of(at.min(), width)), int(shards_of(at.max(), width))
    if first == last:
        return {first: len(at)}
    numbers, counts = np.unique(shards_of(at, width), return_counts=True)
    return dict(zip(numbers.tolist(), counts.tolist(), strict=True))


def in_doubt(stretches: Sequence[Stretch], life: str, now: Ms) -> list[Stretch]:
    """Without what is safe. stretches: in the order in which they were written. Those of another life are not
    judged: they are looked for."""
    later: Counter[int] = Counter()  # values of a shard that were written after; MOST where it was cold
    next_at: dict[int, Ms] = {}
    kept: list[Stretch] = []
    for stretch in reversed(stretches):
        if stretch.life != life or stretch.mixed:
            kept.append(stretch)
            continue
        for shard in stretch.shards:
            if next_at.get(shard, now) - stretch.ended >= COLD:
                later[shard] = MOST
        left = {shard: values for shard, values in stretch.shards.items() if later[shard] < MOST}
        if left:
            kept.append(stretch if len(left) == len(stretch.shards) else replace(stretch, shards=left))
        later.update(stretch.shards)
        next_at.update({shard: stretch.began for shard, values in stretch.shards.items() if values})
    return kept[::-1]


class Unsettled:
    """The stretches in doubt, of one site. Not thread-safe."""

    def __init__(self, stretches: Iterable[Stretch] = ()) -> None:
        self.stretches = list(stretches)  # in the order in which they were written
        self.life = ""
        self.upto: dict[int, int] = {}  # by lane: up to where it is known what is in doubt
        self._fresh: dict[int, Stretch] = {}  # by lane, written since the server's life was looked at

    def wrote(self, lane: Lane, after: int, upto: int, shards: Mapping[int, int], now: Ms) -> None:
        """Batches of a lane are in the store. shards: values written now, 0 = all of it was there already."""
        fresh = self._fresh.get(lane) or Stretch(lane, after, after, self.life, began=now, ended=now)
        self._fresh[lane] = replace(fresh, upto=upto, ended=now, shards=_sum(fresh.shards, shards))

    def seen(self, life: str, now: Ms) -> bool:
        """The server lives that life; whether it is another one than before."""
        anew = life != self.life
        for lane, fresh in self._fresh.items():
            self._settle(replace(fresh, mixed=anew))
            self.upto[lane] = fresh.upto
        self._fresh.clear()
        self.life = life
        self.stretches = in_doubt(self.stretches, life, now)
        return anew

    def _settle(self, fresh: Stretch) -> None:
        """Behind the last one of its lane, or as a part of it."""
        for place in range(len(self.stretches) - 1, max(-1, len(self.stretches) - 3), -1):
            before = self.stretches[place]
            if _goes_on(before, fresh):
                together = _sum(before.shards, fresh.shards)
                self.stretches[place] = replace(before, upto=fresh.upto, ended=fresh.ended, shards=together)
                return
        self.stretches.append(fresh)

    def doubtful(self) -> Stretch | None:
        """The first one that an earlier life of the server took."""
        return next((s for s in self.stretches if s.mixed or s.life != self.life), None)

    def mix(self, stretch: Stretch) -> None:
        """Some of it is about to be written again, in the life at hand."""
        self.stretches[self.stretches.index(stretch)] = replace(stretch, mixed=True)

    def found(self, stretch: Stretch, shards: Mapping[int, int], now: Ms) -> None:
        """All of it is there, in the life at hand. shards: of one of which something was written in this life, which is in
        doubt again: how much of it, by every shard that it has. {} of another: what came from the disk is safe."""
        self.stretches.remove(stretch)
        if shards:
            self.stretches.append(
                replace(stretch, life=self.life, mixed=False, shards=dict(shards), began=now, ended=now)
            )


def _sum(one: Mapping[int, int], other: Mapping[int, int]) -> dict[int, int]:
    """With those of which none were written: as `Counter` adds, they would be gone, and be safe."""
    return {shard: one.get(shard, 0) + other.get(shard, 0) for shard in {**one, **other}}


def _goes_on(before: Stretch, fresh: Stretch) -> bool:
    alike = (before.lane, before.life, before.mixed, before.upto)
    return (
        alike == (fresh.lane, fresh.life, fresh.mixed, fresh.after)
        and before.values + fresh.values <= _SIZE
        and fresh.ended - before.began <= _LONG
    )
