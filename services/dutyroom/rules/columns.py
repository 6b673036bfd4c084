"""State in columns: an array a field, a row (its slot) an instance or a point.

What thousands of quiet instances keep is judged by one pass over arrays, and costs bytes where an
object a row costs kilobytes. The same rows are read and written one at a time (`array.item(slot)`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, TypeAlias, TypeVar, cast

import numpy as np
import numpy.typing as npt

from dutyroom.model.telemetry import Floats, Longs
from dutyroom.timebase import Ms

Bools: TypeAlias = npt.NDArray[np.bool_]
Slots: TypeAlias = npt.NDArray[np.intp]

NEVER: Ms = -(1 << 62)  # an instant or duration that is none, as a number: sums of two do not overflow
FOREVER: Ms = 1 << 62


def instant(at: Ms) -> Ms | None:
    """As it is written outside of columns."""
    return None if at == NEVER else at


@dataclass(frozen=True, slots=True)
class Field:
    """A column: type of its cells, what a fresh one holds, cells a row; kept: part of a snapshot."""

    dtype: type[np.generic]
    fresh: float
    width: int = 1
    kept: bool = True


class Columns:
    """Rows that come and go. A subclass names its fields and has an array of that name for each,
    flat: the cells of row `slot` begin at `slot * width`."""

    FIELDS: ClassVar[Mapping[str, Field]] = {}

    def __init__(self) -> None:
        self.size = 0  # rows in use, or in use before
        self._room = 0
        self._free: list[int] = []
        for name, column in self.FIELDS.items():
            setattr(self, name, np.zeros(0, column.dtype))

    def reach(self, size: int) -> None:
        """Makes room for that many rows; fresh ones come behind."""
        self.size = max(self.size, size)
        if size <= self._room:
            return
        more = max(size, self._room + self._room // 8, 64) - self._room
        for name, column in self.FIELDS.items():
            fresh = np.full(more * column.width, column.fresh, column.dtype)
            setattr(self, name, np.concatenate([getattr(self, name), fresh]))
        self._room += more

    def add(self) -> int:
        """A fresh row; returns its slot."""
        if self._free:
            return self._free.pop()
        self.reach(self.size + 1)
        return self.size - 1

    def drop(self, slot: int) -> None:
        """Gives a row back."""
        for name, column in self.FIELDS.items():
            getattr(self, name)[slot * column.width : (slot + 1) * column.width] = column.fresh
        self._free.append(slot)

    def pack(self, slots: Slots) -> dict[str, bytes]:
        """The kept fields of these rows."""
        return {
            name: cells(getattr(self, name), slots, column.width).tobytes()
            for name, column in self.FIELDS.items()
            if column.kept
        }

    def unpack(self, slots: Slots, rows: Slots, packed: Mapping[str, bytes]) -> None:
        """Takes row `rows[i]` of what `pack` gave into `slots[i]`. Raises ValueError for other bytes;
        fields that it does not have stay fresh."""
        for name, column in self.FIELDS.items():
            if not column.kept or name not in packed:
                continue
            given = np.frombuffer(packed[name], column.dtype)
            if len(rows) and (int(rows.max()) + 1) * column.width > len(given):
                raise ValueError(f"{name} is short")
            at = slots[:, None] * column.width + np.arange(column.width)
            getattr(self, name)[at.ravel()] = cells(given, rows, column.width)


def cells(column: npt.NDArray[Any], slots: Slots, width: int) -> npt.NDArray[Any]:
    """The cells of some rows, one row after the other."""
    if width == 1:
        return column[slots]
    return cast(npt.NDArray[Any], column.reshape(-1, width)[slots].ravel())


Keep: TypeAlias = Callable[[Bools], None]


class Stepped(Columns):
    """Columns of a kind that can judge many quiet instances at once."""

    def look(self, slots: Slots, at: Longs, value: Floats) -> tuple[Bools, Keep]:
        """One newer reading for each of these rows (no row twice), none of them retained, their
        instances neither active nor waiting. Returns for which of them nothing comes of it but
        state in these columns, and what writes that state for a selection of those rows."""
        raise NotImplementedError


C = TypeVar("C", bound=Columns)


@dataclass(slots=True)
class Shelf:
    """The columns of one engine: of each kind one."""

    roomy: bool = False  # what is seldom asked for need not be small
    _held: dict[type[Columns], Columns] = field(default_factory=dict)

    def of(self, kind: type[C]) -> C:
        if kind not in self._held:
            self._held[kind] = kind()
        return cast(C, self._held[kind])


@dataclass(slots=True)
class Layer:
    """Which row of some columns belongs to a number (a point's id, a device's place); -1 = none."""

    columns: Columns
    slots: npt.NDArray[np.int32] = field(default_factory=lambda: np.full(0, -1, np.int32))

    def reach(self, size: int) -> None:
        if size > len(self.slots):
            more = max(size, len(self.slots) * 9 // 8, 64) - len(self.slots)
            self.slots = np.concatenate([self.slots, np.full(more, -1, np.int32)])


class Layers:
    """Layers enough that each number has a row in as many of them as instances look at it."""

    def __init__(self) -> None:
        self.all: list[Layer] = []
        self._size = 0

    def reach(self, size: int) -> None:
        self._size = max(self._size, size)
        for layer in self.all:
            layer.reach(size)

    def put(self, columns: Columns, numbers: Sequence[int], slots: Sequence[int]) -> None:
        for number, slot in zip(numbers, slots, strict=True):
            self._free(columns, number).slots[number] = slot

    def _free(self, columns: Columns, number: int) -> Layer:
        for layer in self.all:
            if layer.columns is columns and layer.slots[number] < 0:
                return layer
        self.all.append(Layer(columns))
        self.all[-1].reach(self._size)
        return self.all[-1]

    def take(self, columns: Columns, numbers: Sequence[int], slots: Sequence[int]) -> None:
        for number, slot in zip(numbers, slots, strict=True):
            for layer in self.all:
                if layer.columns is columns and layer.slots[number] == slot:
                    layer.slots[number] = -1
