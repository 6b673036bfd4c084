"""The parameters of J1939 frames that a profile reads, and no others: a frame of the usual form costs two looks
and its own parameters.

Whatever is no usual frame is left to the full way: it reads it, or says what is wrong.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any, Final, NamedTuple, TypeAlias

from dutyroom.errors import Rejected
from dutyroom.profiles.codecs.j1939_fields import OWN_WAY, Collected, Field, Groups, Values
from dutyroom.profiles.codecs.j1939_frames import (
    LONGEST,
    MAX_FRAMES,
    PIECES,
    Assembly,
    Frame,
    frame,
    read_id,
)
from dutyroom.profiles.codecs.seam import Wanted

MAX_PLANS = 4096  # CAN ids that are remembered
_ONES = "FF" * 8  # most groups of most engines have nothing to say
_hex = bytes.fromhex

# name, its byte, its value for each value of that byte; None where that is none.
_InByte: TypeAlias = tuple[str, int, tuple[int | float | None, ...]]
# name, first bit, mask, raw values from here on are none, then (raw * whole + added) / divisor is the value.
_Number: TypeAlias = tuple[str, int, int, int, int, int, int]


class _Plan(NamedTuple):
    """What is read of the frames of one CAN id. in_bytes, numbers: a value or nothing; others: with the reason why
    there is none. silent: nothing comes of a frame of ones. whole: it is read in the full way."""

    in_bytes: tuple[_InByte, ...]
    numbers: tuple[_Number, ...]
    others: tuple[Field, ...]
    silent: bool
    whole: bool = False


_NOTHING: Final = _Plan((), (), (), True)


class Narrow:
    """Reads arrays of {id, data}."""

    def __init__(self, groups: Groups, sources: frozenset[int] | None, wanted: Wanted) -> None:
        self._groups, self._sources, self._wanted = groups, sources, wanted
        self._plans: dict[int | str, _Plan] = {}

    def read(self, value: object) -> Values | None:
        """{engine: {engine_speed: 1498.75, ..., reasons: {...}}}; None = the full way must be gone."""
        elements: list[Any] = value if isinstance(value, list) else [value]
        if len(elements) > MAX_FRAMES:
            return None
        collected, assembly, plans = Collected(), Assembly(), self._plans
        values = collected.values
        for element in elements:
            try:
                own, data = element["id"], element["data"]
            except (TypeError, KeyError):
                return None
            if type(data) is not str or (type(own) is not int and type(own) is not str):
                return None
            plan = plans.get(own) or self._plan(own)
            if plan is None:
                return None
            if plan.silent and data == _ONES:
                continue
            try:
                content = _hex(data)
            except ValueError:
                return None
            if plan.whole or len(content) != 8:
                long = len(data) > LONGEST
                if long or not self._whole(frame(read_id(own, ""), content), collected, assembly):
                    return None
                continue
            for name, at, known in plan.in_bytes:
                if (found := known[content[at]]) is not None:
                    values[name] = found
            if plan.numbers:
                bits = int.from_bytes(content, "little")
                for name, start, mask, odd, whole, added, divisor in plan.numbers:
                    raw = bits >> start & mask
                    if raw < odd:
                        number = raw * whole + added
                        values[name] = number / divisor if number % divisor else number // divisor
            if plan.others:
                collected.read(content, plan.others, None)
        values["reasons"] = collected.reasons
        return {"engine": values}

    def _whole(self, found: Frame, collected: Collected, assembly: Assembly) -> bool:
        """The full way of one frame, and of the long message that it may complete. False where that cannot be read:
        something else may be wrong with the frames behind it, which the full way would say first."""
        if self._sources is not None and found.source not in self._sources:
            return True
        try:
            collected.add(found, self._groups)
            if found.pgn in PIECES and (complete := assembly.take(found)) is not None:
                collected.add(complete, self._groups)
        except Rejected:
            return False
        return True

    def _plan(self, own: int | str) -> _Plan | None:
        """None: no id."""
        try:
            found = frame(read_id(own, ""), b"")
        except Rejected:
            return None
        if self._sources is not None and found.source not in self._sources:
            plan = _NOTHING
        elif found.pgn in OWN_WAY:
            plan = _Plan((), (), (), False, True)
        else:
            plan = self._of_group(self._groups.get(found.pgn, ()))
        if len(self._plans) < MAX_PLANS:
            self._plans[own] = plan
        return plan

    def _of_group(self, fields: tuple[Field, ...]) -> _Plan:
        names = self._wanted.names
        numbers = [n for f in fields if f.name in self._wanted.numbers and (n := _number(f)) is not None]
        known = {n[0] for n in numbers}
        others = tuple(f for f in fields if f.name in names and f.name not in known)
        silent = not others and all(odd <= mask for _, _, mask, odd, *_ in numbers)
        small = [n for n in numbers if n[1] // 8 == (n[1] + n[2].bit_length() - 1) // 8]
        in_bytes = tuple((n[0], n[1] // 8, _of_byte(n[1] % 8, *n[2:])) for n in small)
        return _Plan(in_bytes, tuple(n for n in numbers if n not in small), others, silent)


@lru_cache(maxsize=1024)
def _of_byte(
    start: int, mask: int, odd: int, whole: int, added: int, divisor: int
) -> tuple[int | float | None, ...]:
    """The value of a parameter inside a byte, for all values of the byte. Few parameters differ in all this."""
    raws = [byte >> start & mask for byte in range(256)]
    return tuple(_scaled(raw * whole + added, divisor) if raw < odd else None for raw in raws)


def _scaled(number: int, divisor: int) -> int | float:
    return number / divisor if number % divisor else number // divisor


def _number(f: Field) -> _Number | None:
    """How the parameter becomes a number whose shortest decimal text is its exact value; None where that cannot
    be: a float has 15 digits, and below 0.0001 is written with an exponent."""
    shared = math.gcd(f.whole, f.added, f.ten)
    largest = f.mask * abs(f.whole) + abs(f.added)
    fine = math.gcd(f.whole, f.added) * 10_000 < f.ten
    if f.negative <= f.mask or largest >= 10**15 or fine or f.end > 64:
        return None
    return f.name, f.start, f.mask, f.odd, f.whole // shared, f.added // shared, f.ten // shared
