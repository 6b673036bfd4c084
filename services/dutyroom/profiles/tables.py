"""Plain fields of an object as Python that is written and compiled once: what the loop over them would look up again in
every message stands there as a constant. Half the time of the loop, where most of the fields are there.

The text is made of numbers alone: names of fields are objects beside it, nothing of a profile is in it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final, TypeAlias

from dutyroom.model.telemetry import Quality
from dutyroom.profiles.job import Here, Job
from dutyroom.profiles.linear import scaled
from dutyroom.profiles.points import Quick
from dutyroom.profiles.result import DecodedReading
from dutyroom.profiles.ways import take_long
from dutyroom.timebase import Ms

# get of the object, append of the readings, address, time, quality, and what they are of
Straight: TypeAlias = Callable[
    [Callable[[str], Any], Callable[[DecodedReading], None], str, Ms | None, Quality, Here, Job], None
]

OFTEN: Final = 20  # objects are read before it is worth while
MAX_FIELDS: Final = 64  # of longer tables a message seldom has most
_TYPES: Final = {int: "int", float: "float"}


class Table(dict[str, Quick]):
    """Field -> its point. straight: the same compiled, when it is known to be read often."""

    __slots__ = ("_asked", "straight")

    def __init__(self, key: str, quick: Quick) -> None:
        super().__init__({key: quick})
        self.straight: Straight | None = None
        self._asked = 0

    def asked(self) -> None:
        self._asked += 1
        if self._asked > OFTEN and len(self) <= MAX_FIELDS:
            self.straight = straight(self)


def straight(table: Mapping[str, Quick]) -> Straight:
    """The readings of these fields of an object; see `plan._quick`."""
    names: dict[str, object] = {"__builtins__": {}, "type": type, "int": int, "float": float}
    names |= {"made": DecodedReading, "long": _long}
    lines = ["def run(get, add, address, at, quality, here, job):", " pass"]
    for number, (key, quick) in enumerate(table.items()):
        names |= {f"k{number}": key, f"q{number}": quick, f"s{number}": quick[7]}
        lines += _lines(number, quick)
    exec("\n".join(lines), names)  # noqa: S102 - made of numbers and of names that are made here
    return names["run"]  # type: ignore[return-value]


def _long(quick: Quick, raw: object, here: Here, job: Job) -> None:
    take_long(raw, quick, quick[8].convert, quick[7], here, job)


def _lines(number: int, quick: Quick) -> Iterator[str]:
    types, factor, divisor, added, steps, low, high, _, _ = quick
    yield f" x = get(k{number})"
    yield " if x is not None:"
    if types:
        yield "  t = type(x)"
        yield f"  if {' or '.join(f't is {_TYPES[t]}' for t in sorted(types, key=_TYPES.__getitem__))}:"
        yield f"   v = {scaled('x', factor, divisor, added)}"
        yield f"   if {low!r} <= v <= {high!r}:"
        if steps:  # see plan._quick
            yield "    w = (v + 0.5) // 1.0"
            yield f"    if -0.25 < v - w < 0.25 and {low!r} <= w <= {high!r}:"
            yield f"     add(made(address, s{number}, at, w, quality, None))"
            yield f"    else: long(q{number}, x, here, job)"
        else:
            yield f"    add(made(address, s{number}, at, v, quality, None))"
        yield f"   else: long(q{number}, x, here, job)"
        yield f"  else: long(q{number}, x, here, job)"
    else:
        yield f"  long(q{number}, x, here, job)"
