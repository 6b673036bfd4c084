"""Messages that never came, where the device counts them: by its numbers, redelivery and restart recognised."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

import msgspec

from dutyroom.errors import Rejected
from dutyroom.timebase import HOUR, Ms

KEPT = 64  # numbers of a device that are still waited for
MOST = 100_000  # numbers left out are no gap but another count
_SAID = re.compile(r"([0-9]{1,6}) missing$")


class Count(msgspec.Struct, array_like=True):
    """Where a device's count stands. back: the last number that came again. missing: number -> the hour in which
    it was missed."""

    last: int
    back: int = -2
    missing: dict[int, Ms] = msgspec.field(default_factory=dict)


def step(count: Count | None, number: int, modulus: int | None, hour: Ms) -> tuple[Count, Mapping[Ms, int]]:
    """The count after a message, and the gaps to add by hour; fewer where one came late.

    A smaller number than the last is one that was missed, or a message that came twice; the device began to count
    anew where it is 0 or 1, or follows another such number.
    """
    if count is None:
        return Count(number), {}
    ahead = number - count.last
    if modulus is not None:
        ahead %= modulus
        ahead -= modulus if ahead > modulus // 2 else 0
    if ahead == 0:
        return count, {}
    if number in count.missing:
        left = dict(count.missing)
        return Count(count.last, -2, left), {left.pop(number): -1}
    if ahead > MOST or (ahead > KEPT and number <= 1):
        return Count(number), {}
    if ahead > 0:
        first = max(1, ahead - KEPT)
        fresh = [count.last + n for n in range(first, ahead)]
        missing = count.missing | {n % modulus if modulus else n: hour for n in fresh}
        kept = dict(list(missing.items())[-KEPT:])
        return Count(number, -2, kept), {hour: ahead - 1} if ahead > 1 else {}
    if number <= 1 or number == count.back + 1:
        return Count(number), {}
    return Count(count.last, number, count.missing), {}


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
        count, gaps = step(before, number, modulus, at // HOUR * HOUR)
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
        hour, after = before.missing.get(number), before.last + 1
        if hour is not None and at < hour + HOUR:  # it came before it was missed
            left = {n: missed for n, missed in before.missing.items() if n != number}
            self.fresh[device] = Count(before.last, before.back, left)
            self.gaps[hour, device] -= 1
        elif number == (after % modulus if modulus else after):
            self.fresh[device] = Count(number, before.back, before.missing)

    def missed(self, device: str, many: int, at: Ms) -> None:
        """What a codec has found missing."""
        self.gaps[at // HOUR * HOUR, device] += many

    def taken(self) -> Mapping[str, bytes]:
        """The counts of the batch at hand, to be stored with it."""
        return {device: msgspec.msgpack.encode(count) for device, count in self.fresh.items()}
