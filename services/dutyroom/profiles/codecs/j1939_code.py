"""The parameters of a CAN id as Python that is written and compiled once: a frame of eight bytes then costs a call, and
of each parameter a look at its bytes, an addition and a division.

The text is made of numbers alone: names of parameters are objects beside it, nothing of a profile is in it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from typing import Final, NamedTuple, TypeAlias

from dutyroom.profiles.codecs.j1939_faults import read_faults
from dutyroom.profiles.codecs.j1939_fields import Collected, Field, Values
from dutyroom.profiles.codecs.seam import READY, Finish


class Gathered(Collected):
    """ready: finished readings by the place of their point. _apart: of parameters that are finished in most frames, those
    that were not in one, and their place."""

    __slots__ = ("_apart", "ready")

    def __init__(self) -> None:
        self.values: Values = {}
        self.reasons: dict[str, str] = {}
        self.unknown: dict[str, str] = {}
        self.ready: dict[int, float] = {}
        self._apart: dict[str, int] = {}

    def put_by(self, place: int, name: str, value: object) -> None:
        """A value that is to go the long way; it counts more than a finished one before it."""
        self.values[name] = value
        self._apart[name] = place
        self.ready.pop(place, None)

    def faults(self, data: bytes, prefix: str) -> None:
        self._faults(read_faults(data, prefix))

    def missing(self, name: str, why: str) -> None:
        self.values[name] = None
        self.reasons.pop(name, None)
        self.reasons[name] = why

    def item(self) -> Values:
        """The document of all frames together."""
        values = self.values
        for name, place in self._apart.items():
            if place in self.ready:  # came later
                del values[name]
        values["reasons"] = self.reasons
        values[READY] = self.ready
        return {"engine": values}


# eight bytes, `ready` and `values` of what is gathered, and that itself
Read: TypeAlias = Callable[[bytes, dict[int, float], Values, Gathered], None]

_ONES: Final = 255  # a byte of a parameter that is not there


Scaling: TypeAlias = tuple[int, int, int, int]  # raw values from here on are none; whole, added, divisor


class Number(NamedTuple):
    """A parameter that becomes a number. (raw * whole + added) / divisor is the value. finish: what its point makes of
    it. kept: it is no reading yet; then why there is none counts too."""

    field: Field
    whole: int
    added: int
    divisor: int
    finish: Finish | None = None
    kept: bool = False

    @property
    def scaling(self) -> Scaling:
        return self.field.odd, self.whole, self.added, self.divisor

    def read(self, bits: int, into: Gathered) -> None:
        """In a frame of any length, in the long way."""
        f, finish = self.field, self.finish
        raw = bits >> f.start & f.mask
        value = _scaled(self.scaling, raw)
        if value is not None:
            found = None if finish is None else finished(finish, value)
            if finish is None:
                into.values[f.name] = value
                into.reasons.pop(f.name, None)
            elif found is None:
                into.put_by(finish.place, f.name, value)
            else:
                into.ready[finish.place] = found
        elif self.kept and into.values.get(f.name) is None:
            into.missing(f.name, f.why[(raw - f.odd) >> f.low_bits])


def _scaled(scaling: Scaling, raw: int) -> int | float | None:
    """The value of a raw one; None where it is none."""
    odd, whole, added, divisor = scaling
    if raw >= odd:
        return None
    number = raw * whole + added
    return number / divisor if number % divisor else number // divisor


def number_of(f: Field, finish: Finish | None, kept: bool) -> Number | None:
    """How the parameter becomes a number whose shortest decimal text is its exact value; None where that cannot
    be: a float has 15 digits, and below 0.0001 is written with an exponent."""
    shared = math.gcd(f.whole, f.added, f.ten)
    largest = f.mask * abs(f.whole) + abs(f.added)
    fine = math.gcd(f.whole, f.added) * 10_000 < f.ten
    if f.negative <= f.mask or largest >= 10**15 or fine or f.end > 64:
        return None
    return Number(f, f.whole // shared, f.added // shared, f.ten // shared, finish, kept)


def finished(finish: Finish, value: float) -> float | None:
    """What the point makes of a value; None where that must go the long way: another type, or out of its range."""
    found = value * finish.factor / finish.divisor + finish.added
    return found if type(value) in finish.types and finish.low <= found <= finish.high else None


def compiled(numbers: Sequence[Number], others: Sequence[Field]) -> Read:
    """others: read in the long way, since somebody reads their exact texts."""
    lines = ["def read(c, y, v, m):", " pass"]
    names: dict[str, object] = {"__builtins__": {}}
    at_byte: dict[int, list[Number]] = {}
    for number in numbers:
        start, end = number.field.start, number.field.end
        if start // 8 == (end - 1) // 8 and not number.kept:
            at_byte.setdefault(start // 8, []).append(number)
        else:
            lines += _wide(number, _named(names, number.field.name), _named(names, number.field.why))
    for at, listed in at_byte.items():
        lines += _byte(at, listed, names)
    if others:
        lines.append(f" m.read(c, {_named(names, tuple(others))}, None)")
    exec("\n".join(lines), names)  # noqa: S102 - made of numbers and of names that are made here
    return names["read"]  # type: ignore[return-value]


def active_faults(c: bytes, y: dict[int, float], v: Values, m: Gathered) -> None:
    m.faults(c, "")


def past_faults(c: bytes, y: dict[int, float], v: Values, m: Gathered) -> None:
    m.faults(c, "past_")


def silent(numbers: Sequence[Number]) -> bool:
    """True where nothing comes of a frame of ones."""
    return all(number.field.odd <= number.field.mask and not number.kept for number in numbers)


def _named(names: dict[str, object], value: object) -> str:
    """The name by which the text knows an object."""
    name = f"_{len(names)}"
    names[name] = value
    return name


# ---------------------------------------------------------------- inside a byte: a table of its 256 values


def _byte(at: int, listed: Sequence[Number], names: dict[str, object]) -> Iterator[str]:
    yield f" k = c[{at}]"
    tables = [_tables_of(number) for number in listed]
    indent = " "
    if all(table[_ONES] is None and odd[_ONES] is None for table, odd in tables):
        yield f" if k != {_ONES}:"
        indent = "  "
    for number, (table, odd) in zip(listed, tables, strict=True):
        place = "y" if number.finish is not None else "v"
        key = number.finish.place if number.finish is not None else _named(names, number.field.name)
        yield f"{indent}x = {_named(names, table)}[k]"
        yield f"{indent}if x is not None: {place}[{key}] = x"
        if odd is not _NEVER:
            name, values = _named(names, number.field.name), _named(names, odd)
            yield f"{indent}elif {values}[k] is not None: m.put_by({key}, {name}, {values}[k])"


_Table: TypeAlias = tuple[int | float | None, ...]


def _tables_of(number: Number) -> tuple[_Table, _Table]:
    alike = None if number.finish is None else number.finish._replace(place=0, name="")
    return _tables(number.field.start % 8, number.field.mask, number.scaling, alike)


_NEVER: Final[_Table] = (None,) * 256


@lru_cache(maxsize=1024)
def _tables(shift: int, mask: int, scaling: Scaling, finish: Finish | None) -> tuple[_Table, _Table]:
    """What each value of the byte gives; and where that is no reading yet, the value of the parameter. Few parameters
    differ in all this."""
    values = tuple(_scaled(scaling, byte >> shift & mask) for byte in range(256))
    if finish is None:
        return values, _NEVER
    ready = tuple(None if value is None else finished(finish, value) for value in values)
    apart = tuple(v if r is None else None for v, r in zip(values, ready, strict=True))
    return ready, apart if any(v is not None for v in apart) else _NEVER


# ---------------------------------------------------------------- in several bytes


def _wide(number: Number, name: str, why: str) -> Iterator[str]:
    """A product costs half of a shift."""
    f = number.field
    first, last = f.start // 8, (f.end - 1) // 8
    raw = " + ".join(
        f"c[{n}] * {256 ** (n - first)}" if n > first else f"c[{n}]" for n in range(first, last + 1)
    )
    whole_bytes = f.start % 8 == 0 and f.end % 8 == 0
    if not whole_bytes:
        raw = f"({raw}) >> {f.start % 8} & {f.mask}"
    top = f.odd >> 8 * (last - first)
    if f.odd > f.mask:
        yield f" n = {raw}"
        yield " if True:"
    elif whole_bytes and top << 8 * (last - first) == f.odd and not number.kept:
        yield f" if c[{last}] < {top}:"
        yield f"  n = {raw}"
    else:
        yield f" n = {raw}"
        yield f" if n < {f.odd}:"
    if number.whole != 1 or number.added:
        yield f"  n = n * {number.whole} + {number.added}"
    exact = (
        f"n / {number.divisor} if n % {number.divisor} else n // {number.divisor}"
        if number.divisor > 1
        else "n"
    )
    if number.finish is not None:
        yield from _finish(number, number.finish, name, exact)
        return
    yield f"  v[{name}] = {exact}"
    if number.kept:
        yield f"  if {name} in m.reasons: del m.reasons[{name}]"
        if f.odd <= f.mask:
            yield f" elif v.get({name}) is None: m.missing({name}, {why}[(n - {f.odd}) >> {f.low_bits}])"


def _finish(number: Number, finish: Finish, name: str, exact: str) -> Iterator[str]:
    """The reading, where it is in range for certain or by a test. A value that is divided without a rest is the same
    number as a float."""
    value = f"n / {number.divisor}" if number.divisor > 1 else "n"
    changes = f" * {finish.factor!r}" if finish.factor != 1.0 else ""
    changes += f" / {finish.divisor!r}" if finish.divisor != 1.0 else ""
    changes += f" + {finish.added!r}" if finish.added or math.copysign(1.0, finish.added) > 0 else ""
    value += changes or ("" if number.divisor > 1 else " * 1.0")
    ends = [_scaled(number.scaling, raw) for raw in (0, min(number.field.odd - 1, number.field.mask))]
    types = finish.types >= {int, float} or (number.divisor == 1 and int in finish.types)
    if types and all(end is not None and _inside(finish, end) for end in ends):
        yield f"  y[{finish.place}] = {value}"
        return
    test = f"{finish.low!r} <= x <= {finish.high!r}" if types else "False"
    yield f"  x = {value}"
    yield f"  if {test}: y[{finish.place}] = x"
    yield f"  else: m.put_by({finish.place}, {name}, {exact})"


def _inside(finish: Finish, value: float) -> bool:
    found = value * finish.factor / finish.divisor + finish.added
    return finish.low <= found <= finish.high
