"""What is known of each point by a small number: columns that a batch is looked up in at once."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

AS_FLOAT, AS_INTEGER, AS_STRING, NOT = range(4)  # how a value is written; NOT: it has no name
_NEVER = -(2**63)
_DENSE = 1_000_000  # point ids up to this are looked up in a table whatever their number


class Texts:
    """Texts by number, equal ones once: a million points have few field names."""

    def __init__(self) -> None:
        self._numbers: dict[bytes, int] = {}
        self._texts = np.empty(64, dtype=object)

    def number(self, text: bytes) -> int:
        known = self._numbers.get(text)
        if known is not None:
            return known
        new = len(self._numbers)
        if new == len(self._texts):
            self._texts = np.concatenate([self._texts, np.empty(new, dtype=object)])
        self._texts[new] = text
        self._numbers[text] = new
        return new

    def take(self, numbers: npt.NDArray[np.int32]) -> npt.NDArray[np.object_]:
        return self._texts[numbers]


class Slots:
    """A small number for each point id met, in columns."""

    def __init__(self) -> None:
        self.size = 0
        self.ids = np.zeros(64, np.int64)
        self.series = np.zeros(64, np.int32)
        self.head = np.zeros(64, np.int32)
        self.tail = np.zeros(64, np.int32)
        self.name = np.zeros(64, np.int32)  # of its companions
        self.form = np.full(64, NOT, np.uint8)
        self.fresh = np.zeros(64, bool)  # its names are those of the present table
        self.newest = np.full(64, _NEVER, np.int64)
        self._of = np.full(64, -1, np.int32)
        self._far: dict[int, int] = {}

    def find(self, points: npt.NDArray[Any]) -> npt.NDArray[np.int32]:
        """Slots of point ids; ids not met before get one."""
        if not len(points):
            return np.zeros(0, np.int32)
        highest, lowest = int(points.max()), int(points.min())
        if lowest < 0 or highest >= max(_DENSE, 8 * (self.size + len(points))):
            return self._find_far(points)
        if highest >= len(self._of):
            more = np.full(max(highest + 1, 2 * len(self._of)), -1, np.int32)
            more[: len(self._of)] = self._of
            self._of = more
        found: npt.NDArray[np.int32] = self._of[points]
        if (found < 0).any():
            for point in np.unique(points[found < 0]).tolist():
                self._of[point] = self._far[point] = self._far.get(point, self.size)
                if self._of[point] == self.size:
                    self._add(point)
            found = self._of[points]
        return found

    def _find_far(self, points: npt.NDArray[Any]) -> npt.NDArray[np.int32]:
        distinct, place = np.unique(points, return_inverse=True)
        slots = []
        for point in distinct.tolist():
            if point not in self._far:
                self._far[point] = self.size
                self._add(point)
            slots.append(self._far[point])
        found: npt.NDArray[np.int32] = np.array(slots, np.int32)[place]
        return found

    def _add(self, point: int) -> None:
        if self.size == len(self.ids):
            self._grow()
        self.ids[self.size] = point
        self.size += 1

    def _grow(self) -> None:
        for name in ("ids", "series", "head", "tail", "name", "form", "fresh", "newest"):
            old = getattr(self, name)
            setattr(self, name, np.concatenate([old, np.zeros_like(old)]))
        self.form[self.size :] = NOT
        self.newest[self.size :] = _NEVER
