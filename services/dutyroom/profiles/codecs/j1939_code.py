"""The parameters of a CAN id as Python that is written and compiled once: a frame of eight bytes then costs a call, and
of each parameter a look at its bytes, an addition and a division.

The text is made of numbers alone: names of parameters are objects beside it, nothing of a profile is in it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Final, NamedTuple, TypeAlias

from dutyroom.profiles.codecs.j1939_faults import NO_FAULT, read_faults
from dutyroom.profiles.codecs.j1939_fields import Field, Values
from dutyroom.profiles.codecs.j1939_gathered import Gathered, NoFault
from dutyroom.profiles.codecs.seam import Finish

# eight bytes, `ready` and `values` of what is gathered, and that itself
Read: TypeAlias = Callable[[bytes, dict[int, float], Values, Gathered], None]

_ONES: Final = 255  # a byte of a parameter that is not there


Scaling: TypeAlias = tuple[int, int, int, int]  # raw values from here on are none; whole, added, divisor


class Number(NamedTuple):
    """A parameter that becomes a number. (raw * whole + added) / divisor is the value. finish: what its point makes of
    it. told: something else reads it too; then why there is none counts as well."""

    field: Field
    whole: int
    added: int
    divisor: int
    finish: Finish | None = None
    told: bool = False

    @property
    def scaling(self) -> Scaling:
        return self.field.odd, self.whole, self.added, self.divisor

    @property
    def kept(self) -> bool:
        """True where the value is needed beside the reading."""
        return self.told or (self.finish is not None and self.finish.register)

    def read(self, bits: int, into: Gathered) -> None:
        """In a frame of any length, in the long way."""
        f, finish = self.field, self.finish
        raw = bits >> f.start & f.mask
        value = _scaled(self.scaling, raw)
        values = into.values if finish is None else into.kept
        if value is None:
            if self.told and values.get(f.name) is None:
                into.missing(values, f.name, f.why[(raw - f.odd) >> f.low_bits])
            return
        if finish is None or self.kept:
            values[f.name] = value
            into.reasons.pop(f.name, None)
        if finish is not None:
            found = finished(finish, value)
            if found is None:
                into.put_by(finish.place, f.name, value)
            else:
                into.ready[finish.place] = found


def _scaled(scaling: Scaling, raw: int) -> int | float | None:
    """The value of a raw one; None where it is none."""
    odd, whole, added, divisor = scaling
    if raw >= odd:
        return None
    number = raw * whole + added
    return number / divisor if number % divisor else number // divisor


def number_of(f: Field, finish: Finish | None, told: bool) -> Number | None:
    """How the parameter becomes a number whose shortest decimal text is its exact value; None where that cannot
    be: a float has 15 digits, and below 0.0001 is written with an exponent."""
    shared = math.gcd(f.whole, f.added, f.ten)
    largest = f.mask * abs(f.whole) + abs(f.added)
    fine = math.gcd(f.whole, f.added) * 10_000 < f.ten
    if f.negative <= f.mask or largest >= 10**15 or fine or f.end > 64:
        return None
    return Number(f, f.whole // shared, f.added // shared, f.ten // shared, finish, told)


def finished(finish: Finish, value: float) -> float | None:
    """What the point makes of a value; None where that must go the long way: another type, or out of its range."""
    found = value * finish.factor / finish.divisor + finish.added
    if type(value) not in finish.types or not finish.low <= found <= finish.high:
        return None
    if not finish.steps:
        return found
    whole = (found + 0.5) // 1.0  # see `tables.read_fields`
    return whole if -0.25 < found - whole < 0.25 and finish.low <= whole <= finish.high else None


def compiled(numbers: Sequence[Number], others: Sequence[Field]) -> Read:
    """others: read in the long way, since somebody reads their exact texts."""
    lines = ["def read(c, y, v, m):", " w = m.kept" if any(n.kept for n in numbers) else " pass"]
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


def faults_reader(prefix: str, finishes: Mapping[str, Finish], computed: Collection[str]) -> Read:
    """Of DM1 ("") or DM2 ("past_"): most of the time there is no fault, and the lamps are all it says."""
    faults = f"{prefix}faults"
    known: dict[int, NoFault] = {}  # by the byte of the lamps

    def read(c: bytes, y: dict[int, float], v: Values, m: Gathered) -> None:
        if c[2:6] == NO_FAULT and faults not in v:
            if c[0] not in known:
                known[c[0]] = _no_fault(read_faults(c, prefix), finishes, computed)
            m.no_fault(faults, c, known[c[0]])
        else:
            m.faults(c, prefix)

    return read


def _no_fault(said: Values, finishes: Mapping[str, Finish], computed: Collection[str]) -> NoFault:
    ready: dict[int, float] = {}
    left: Values = {}
    kept: Values = {}
    for name, value in said.items():
        if isinstance(value, list):  # made anew for each message
            continue
        finish = finishes.get(name)
        found = finished(finish, value) if finish is not None and isinstance(value, int) else None
        if finish is not None and found is not None:
            ready[finish.place] = found
        elif finish is None or value is not None or name in computed:
            left[name] = value
        if name in computed and found is not None:
            kept[name] = value
    return ready, left, kept


def silent(numbers: Sequence[Number]) -> bool:
    """True where nothing comes of a frame of ones."""
    return all(number.field.odd <= number.field.mask and not number.told for number in numbers)


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
    elif whole_bytes and top << 8 * (last - first) == f.odd and not number.told:
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
    table = "v"
    if number.finish is not None:
        table = "w"
        yield from _finish(number, number.finish, name, exact)
    if number.finish is None or number.kept:
        yield f"  {table}[{name}] = {exact}"
    if number.told:
        yield f"  if {name} in m.reasons: del m.reasons[{name}]"
        if f.odd <= f.mask:
            missing = f"m.missing({table}, {name}, {why}[(n - {f.odd}) >> {f.low_bits}])"
            yield f" elif {table}.get({name}) is None: {missing}"


def _finish(number: Number, finish: Finish, name: str, exact: str) -> Iterator[str]:
    """The reading, where it is in range for certain or by a test. A value that is divided without a rest is the same
    number as a float."""
    value = f"n / {number.divisor}" if number.divisor > 1 else "n"
    changes = f" * {finish.factor!r}" if finish.factor != 1.0 else ""
    changes += f" / {finish.divisor!r}" if finish.divisor != 1.0 else ""
    if finish.added or (math.copysign(1.0, finish.added) > 0 > finish.factor):
        changes += f" + {finish.added!r}"  # 0.0 makes a difference to -0.0 alone
    value += changes or ("" if number.divisor > 1 else " * 1.0")
    ends = [_scaled(number.scaling, raw) for raw in (0, min(number.field.odd - 1, number.field.mask))]
    types = finish.types >= {int, float} or (number.divisor == 1 and int in finish.types)
    if types and not finish.steps and all(end is not None and _inside(finish, end) for end in ends):
        yield f"  y[{finish.place}] = {value}"
        return
    yield f"  x = {value}"
    test = f"{finish.low!r} <= x <= {finish.high!r}"
    if finish.steps:  # see `tables.read_fields`
        yield "  s = (x + 0.5) // 1.0"
        test += f" and -0.25 < x - s < 0.25 and {finish.low!r} <= s <= {finish.high!r}"
    yield f"  if {test if types else 'False'}: y[{finish.place}] = {'s' if finish.steps else 'x'}"
    yield f"  else: m.put_by({finish.place}, {name}, {exact})"


def _inside(finish: Finish, value: float) -> bool:
    found = value * finish.factor / finish.divisor + finish.added
    return finish.low <= found <= finish.high
