"""Flat objects whose leaves no point names, as Python that is written and compiled once for objects of the same fields:
devices send the same ones again and again. Half the time of a look at each leaf.

The text is made of numbers alone: leaves are objects beside it, nothing of a message is in it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final, TypeAlias

from dutyroom.model.telemetry import Quality
from dutyroom.profiles.job import Here, Job
from dutyroom.profiles.leaves import Leaf, emit
from dutyroom.profiles.linear import scaled
from dutyroom.profiles.points import MOST
from dutyroom.profiles.result import DecodedReading
from dutyroom.timebase import Ms

OFTEN: Final = 20  # messages with the same fields before it is worth while
MAX_FIELDS: Final = 200
_SCALARS: Final = (float, int, str)
MAX_SHAPES: Final = 100  # that are counted, or compiled

# Object, append of the readings, address, time, quality, and what they are of. False: nothing has been done.
Straight: TypeAlias = Callable[
    [dict[str, Any], Callable[[DecodedReading], None], str, Ms | None, Quality, Here, Job], bool
]


class Shapes:
    """What is known of objects by the names of their fields (before them, the one that gave the time)."""

    __slots__ = ("_counted", "_tried", "compiled")

    def __init__(self) -> None:
        self.compiled: dict[tuple[str, ...], Straight] = {}
        self._counted: dict[tuple[str, ...], int] = {}
        self._tried = 0

    @property
    def useless(self) -> bool:
        """True where many have come, and none that could be compiled."""
        return self._tried > MAX_SHAPES and not self.compiled

    def often(self, fields: tuple[str, ...]) -> bool:
        self._tried += 1
        if len(fields) > MAX_FIELDS or len(self.compiled) >= MAX_SHAPES:
            return False
        seen = self._counted.get(fields, 0) + 1
        if seen == 1 and len(self._counted) >= MAX_SHAPES:
            self._counted.clear()
        self._counted[fields] = seen
        return seen > OFTEN

    def refuse(self, fields: tuple[str, ...]) -> None:
        """They have others in them: for these the loop is there."""
        self._counted[fields] = -1_000_000


def straight(leaves: Sequence[Leaf | None], skip: Sequence[bool], values: Sequence[object]) -> Straight:
    """Of the fields of an object in their order; None = left out. skip: an object or list in that place is left out,
    too; where one stands in another place, the function does nothing. values: of one such object."""
    names: dict[str, object] = {"__builtins__": {}, "type": type, "made": DecodedReading, "emit": emit}
    names |= {kind.__name__: kind for kind in _SCALARS} | {"holders": frozenset({dict, list})}
    kinds = "".join(
        f", {kind.__name__}={kind.__name__}" for kind in _SCALARS
    )  # a local name is found at once
    lines = [
        f"def run(item, add, address, at, quality, here, job, type=type{kinds}):",
        f" {''.join(f'a{n}, ' for n in range(len(leaves)))}= item.values()",
    ]
    for number, value in enumerate(values):
        if not skip[number]:  # most have the type that they had before
            usual = f"type(a{number}) is not {type(value).__name__} and " if type(value) in _SCALARS else ""
            lines.append(f" if {usual}type(a{number}) in holders: return False")
    for number, leaf in enumerate(leaves):
        if leaf is not None:
            names |= {f"n{number}": leaf.number, f"l{number}": leaf}
            lines += _lines(number, leaf)
    exec("\n".join([*lines, " return True"]), names)  # noqa: S102 - made of numbers and of names that are made here
    return names["run"]  # type: ignore[return-value]


def _lines(number: int, leaf: Leaf) -> Iterator[str]:
    types, factor, divisor, added, _ = leaf.short
    value, kind = f"a{number}", f"t{number}"
    other = f"emit(l{number}, {value}, here, job)"
    if types:
        yield f" {kind} = type({value})"
        yield f" if {' or '.join(f'{kind} is {name}' for name in sorted(t.__name__ for t in types))}:"
        yield f"  v = {scaled(value, factor, divisor, added)}"
        yield f"  if {-MOST!r} <= v <= {MOST!r}: add(made(address, n{number}, at, v, quality, None))"
        yield f"  else: {other}"
        yield f" elif {value} is not None: {other}"
    else:
        yield f" if {value} is not None: {other}"
