"""A cursor program as data: what the reader of a profile hands to the compiler."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import TypeAlias

from dutyroom.profiles.binary.types import ValueType
from dutyroom.profiles.expressions import Expression


@dataclass(frozen=True, slots=True)
class Meaning:
    """What a raw value means: sentinels, codes, scale. `otherwise` counts for codes not in the map."""

    none: frozenset[str] = frozenset()
    mapping: Mapping[str, str | float | bool | None] = field(default_factory=dict)
    otherwise: str | float | bool | None = None
    scale: Fraction = Fraction(1)
    offset: Fraction = Fraction(0)

    @property
    def plain(self) -> bool:
        return not self.none and not self.mapping and self.scale == 1 and self.offset == 0


@dataclass(frozen=True, slots=True)
class Bits:
    """Bits `low` to `high` of a whole number (0 = least significant) as a field of their own."""

    name: str
    low: int
    high: int
    invert: bool = False
    meaning: Meaning = Meaning()


@dataclass(frozen=True, slots=True)
class Read:
    """One value. at: byte where it stands, in place of the cursor (which then does not move)."""

    name: str
    type: ValueType
    meaning: Meaning = Meaning()
    bits: tuple[Bits, ...] = ()
    when: Expression | None = None
    at: Expression | None = None


@dataclass(frozen=True, slots=True)
class Let:
    """A computed field."""

    name: str
    value: Expression
    meaning: Meaning = Meaning()
    when: Expression | None = None


@dataclass(frozen=True, slots=True)
class Moment:
    """A local time from year, month, day and, where given, hour, minute, second: ISO text or None."""

    name: str
    parts: tuple[Expression, ...]
    when: Expression | None = None


@dataclass(frozen=True, slots=True)
class Move:
    """kind: skip (bytes) | bits | seek (byte, from the end when negative) | align (to a whole byte)."""

    kind: str
    by: Expression | None = None


@dataclass(frozen=True, slots=True)
class Group:
    """Steps under a condition, as a record of their own (`name`), within so many bytes (`length`)."""

    steps: tuple[Step, ...]
    name: str = ""
    when: Expression | None = None
    length: Expression | None = None


@dataclass(frozen=True, slots=True)
class Repeat:
    """A list of records. times None = to the end of the bytes. append: one record more of a list."""

    name: str
    steps: tuple[Step, ...]
    times: Expression | None = None
    append: bool = False


@dataclass(frozen=True, slots=True)
class Outcome:
    """kind: ignore | reject."""

    kind: str
    reason: str
    when: Expression | None = None


@dataclass(frozen=True, slots=True)
class Switch:
    """cases: value as text -> steps; ranges: (low, high, steps); other: steps of everything else."""

    on: Expression
    cases: Mapping[str, tuple[Step, ...]]
    ranges: tuple[tuple[float, float, tuple[Step, ...]], ...] = ()
    other: tuple[Step, ...] | None = None


@dataclass(frozen=True, slots=True)
class Check:
    """A checksum (or "equal") over bytes start to end must be `equals`."""

    kind: str
    equals: Expression
    start: Expression | None = None
    end: Expression | None = None


@dataclass(frozen=True, slots=True)
class Tlv:
    """Records led by a key. names: of the key's bytes. types: key as hex, ?? for any byte -> steps."""

    names: tuple[str, ...]
    types: Mapping[str, tuple[Step, ...]]
    length: ValueType | None = None
    unknown: str = "stop"  # stop | skip | reject


Step: TypeAlias = Read | Let | Moment | Move | Group | Repeat | Outcome | Switch | Check | Tlv


@dataclass(frozen=True, slots=True)
class BinaryRule:
    """A whole program."""

    steps: tuple[Step, ...]


def names_of(steps: Iterable[Step]) -> Iterator[str]:
    """Every field that the steps make."""
    for step in steps:
        match step:
            case Read(name=name, bits=bits):
                yield name
                yield from (part.name for part in bits)
            case Let(name=name) | Moment(name=name):
                yield name
            case Group(name=name, steps=inner) | Repeat(name=name, steps=inner):
                yield name
                yield from names_of(inner)
            case Switch(cases=cases, ranges=ranges, other=other):
                for inner in (*cases.values(), *(r for _, _, r in ranges), other or ()):
                    yield from names_of(inner)
            case Tlv(names=names, types=types):
                yield from names
                for inner in types.values():
                    yield from names_of(inner)
