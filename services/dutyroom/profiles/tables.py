"""Plain fields of an object as Python that is written and compiled once: what the loop over them would look up again in
every message stands there as a constant. Half the time of the loop, where most of the fields are there.

The text is made of numbers alone: names of fields are objects beside it, nothing of a profile is in it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final, TypeAlias

from dutyroom.model.telemetry import Quality
from dutyroom.profiles.job import Here, Job
from dutyroom.profiles.linear import scaled
from dutyroom.profiles.points import Quick
from dutyroom.profiles.result import DecodedReading
from dutyroom.profiles.ways import take, take_long
from dutyroom.timebase import Ms

# get of the object, append of the readings, address, time, quality, and what they are of
Straight: TypeAlias = Callable[
    [Callable[[str], Any], Callable[[DecodedReading], None], str, Ms | None, Quality, Here, Job], None
]

OFTEN: Final = 20  # objects are read before it is worth while
FEW: Final = 3  # fields of an object: a loop over pairs is not made for less than that
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


def read_fields(own: Table, table: dict[str, Any], here: Here, job: Job) -> None:
    """The readings of plain fields: whichever is shorter, the object or what is known of it, is gone through."""
    address, at, quality, parameters = here.address, here.at, here.quality, here.parameters
    add = job.readings.append
    known: Iterable[tuple[Quick | None, Any]]
    if len(table) <= FEW and len(table) < len(own):
        for key, raw in table.items():
            quick = own.get(key)
            if quick is not None and raw is not None:
                take(raw, quick, quick[7], here, job)
        return
    if len(table) < len(own):
        known = zip(map(own.get, table), table.values(), strict=False)
    elif own.straight is not None:
        own.straight(table.get, add, address, at, quality, here, job)
        return
    else:
        own.asked()
        known = zip(own.values(), map(table.get, own), strict=False)
    for quick, raw in known:
        if raw is None or quick is None:
            continue
        types, factor, divisor, added, steps, low, high, spec, point = quick
        if type(raw) in types:
            value = raw * factor / divisor + added
            if low <= value <= high:
                if not steps:
                    add(DecodedReading(address, spec, at, value, quality, None))
                    continue
                whole = (value + 0.5) // 1.0  # in less time than `round`; a tie is not within a quarter
                if -0.25 < value - whole < 0.25 and low <= whole <= high:
                    add(DecodedReading(address, spec, at, whole, quality, None))
                    continue
        found = point.convert(raw, parameters)
        if type(found) is float and low <= found <= high:
            add(DecodedReading(address, spec, at, found, quality, None))
        else:
            point.emit(found, raw, spec, here, job)


def read_shared(known: tuple[Table, ...], table: dict[str, Any], here: Here, job: Job) -> None:
    """Fields of the whole message: the same for each of its items, but for whose they are and when."""
    said = job.kept.get(id(known))
    if said is not None and said[0] == here.parameters:
        address, at, quality = here.address, here.at, here.quality
        job.readings += [DecodedReading(address, r.spec, at, r.value, quality, r.text) for r in said[1]]
        return
    count, odd = len(job.readings), len(job.findings)
    for fields_of in known:
        read_fields(fields_of, table, here, job)
    if len(job.findings) == odd:  # what is out of range is told of each
        job.kept[id(known)] = here.parameters, job.readings[count:]


def straight(table: Mapping[str, Quick]) -> Straight:
    """The readings of these fields of an object; see `read_fields`."""
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
        if steps:  # see read_fields
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
