"""Messages that never came, where the device counts them: by its numbers, redelivery and restart recognised."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

import msgspec

from dutyroom.errors import Rejected
from dutyroom.timebase import HOUR, Ms

KEPT = 64  # runs of numbers of a device that are still waited for
FEW = 64  # numbers that may be left out before 0 or 1; more are another count
MOST = 100_000  # numbers left out are no gap but another count
_SAID = re.compile(r"([0-9]{1,6}) missing$")


Run: TypeAlias = tuple[Ms, int]  # the hour in which it was missed, and how many numbers


class Count(msgspec.Struct, array_like=True):
    """Where a device's count stands. back: the last number that came again. missing: the first number of a run ->
    that; of one number by itself only its hour. at: when the last one came, 0 = not known."""

    last: int
    back: int = -2
    missing: dict[int, Ms | Run] = msgspec.field(default_factory=dict)
    at: Ms = 0


def step(
    count: Count | None, number: int, modulus: int | None, hour: Ms, at: Ms = 0
) -> tuple[Count, Mapping[Ms, int]]:
    """The count after a message that came at `at`, and the gaps to add by hour; fewer where one came late.

    A smaller number than the last is one that was missed, or a message that came twice; the device began to count
    anew where it is 0 or 1, or follows another such number.
    """
    if count is None:
        return Count(number, at=at), {}
    ahead = number - count.last
    if modulus is not None:
        ahead %= modulus
        ahead -= modulus if ahead > modulus // 2 else 0
    if ahead == 0:
        return count, {}
    if ahead == 1:
        return Count(number, -2, count.missing, at), {}
    if (found := _found(count.missing, number, modulus)) is not None:
        hour, left = found
        return Count(count.last, -2, left, count.at), {hour: -1}
    if ahead > MOST or (ahead > FEW and number <= 1):
        return Count(number, at=at), {}
    if ahead > 0:
        first = count.last + 1
        run: Ms | Run = hour if ahead == 2 else (hour, ahead - 1)
        missing = count.missing | {first % modulus if modulus else first: run}
        return Count(number, -2, dict(list(missing.items())[-KEPT:]), at), {hour: ahead - 1}
    if number <= 1 or number == count.back + 1:
        return Count(number, at=at), {}
    return Count(count.last, number, count.missing, count.at), {}


def _found(
    missing: Mapping[int, Ms | Run], number: int, modulus: int | None
) -> tuple[Ms, dict[int, Ms | Run]] | None:
    """The hour in which a number was missed, and what is still missing without it; None = it is not among them."""
    for first, run in missing.items():
        hour, many = run if isinstance(run, tuple) else (run, 1)
        place = number - first
        if modulus is not None:
            place %= modulus
        if 0 <= place < many:
            break
    else:
        return None
    left: dict[int, Ms | Run] = {}
    for other, run in missing.items():
        if other != first:
            left[other] = run
            continue
        if place:
            left[first] = hour, place
        if after := many - place - 1:
            left[(number + 1) % modulus if modulus else number + 1] = hour, after
    return hour, left


def missing_in(detail: str) -> int:
    """How many a codec says that it missed, in a finding of its own."""
    found = _SAID.search(detail)
    return int(found[1]) if found else 0


@dataclass(slots=True)
class Sequences:
    """The counts of a site's devices; those of a batch at hand are forgotten by `begin`."""

    known: dict[str, Count]
    fresh: dict[str, Count] = field(default_factory=dict)
    gaps: Counter[tuple[Ms, str]] = field(default_factory=Counter)

    @staticmethod
    def of(stored: Mapping[str, bytes]) -> Sequences:
        """stored: what `taken` gave, by device. Raises Rejected for what is damaged."""
        try:
            return Sequences({d: msgspec.msgpack.decode(b, type=Count) for d, b in stored.items()})
        except msgspec.DecodeError as err:
            raise Rejected(f"the journal's sequence numbers are damaged: {err}") from err

    def begin(self) -> None:
        self.fresh, self.gaps = {}, Counter()

    def commit(self) -> None:
        self.known.update(self.fresh)
        self.begin()

    def see(self, device: str, number: int, modulus: int | None, at: Ms) -> str:
        """A message that came for the first time; says what is missing, "" = nothing."""
        before = self.fresh.get(device) or self.known.get(device)
        count, gaps = step(before, number, modulus, at // HOUR * HOUR, at)
        if count is not before:
            self.fresh[device] = count
        for hour, many in gaps.items():
            self.gaps[hour, device] += many
        many = sum(gaps.values())
        return f"{number} after {before.last}, {many} missing" if before is not None and many > 0 else ""

    def read_again(self, device: str, number: int, modulus: int | None, at: Ms) -> None:
        """A message that waited until it could be read: it is not missing, and the next one misses nothing. Whatever
        else an old number may be begins no count."""
        before = self.fresh.get(device) or self.known.get(device)
        if before is None:
            return
        found, after = _found(before.missing, number, modulus), before.last + 1
        if found is not None and at < found[0] + HOUR:  # it came before it was missed
            self.fresh[device] = Count(before.last, before.back, found[1], before.at)
            self.gaps[found[0], device] -= 1
        elif found is None and 0 < before.at <= at:  # as if it were read when it came
            self.see(device, number, modulus, at)
        elif number == (after % modulus if modulus else after):
            self.fresh[device] = Count(number, before.back, before.missing, before.at)

    def missed(self, device: str, many: int, at: Ms) -> None:
        """What a codec has found missing."""
        self.gaps[at // HOUR * HOUR, device] += many

    def taken(self) -> Mapping[str, bytes]:
        """The counts of the batch at hand, to be stored with it."""
        return {device: msgspec.msgpack.encode(count) for device, count in self.fresh.items()}
