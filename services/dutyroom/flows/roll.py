"""When each device of a list was last heard, as columns: where messages come by thousands."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TypeAlias

import numpy as np

from dutyroom.model.telemetry import Ints, Longs
from dutyroom.timebase import Ms

Heard: TypeAlias = tuple[int, Ms]  # the number of an update, and its receive time
NEVER: Heard = (0, 0)


class Roll:
    """Devices of a list that grows, and by which of all updates (0 = none) and when each was last heard."""

    def __init__(self, names: Sequence[str]) -> None:
        self.names = names
        self._at: Longs = np.zeros(len(names), np.int64)
        self._by: Longs = np.zeros(len(names), np.int64)
        self._place: dict[str, list[int]] = {}  # made when somebody asks
        self._known = 0  # so many of them are in it

    def hear(self, rows: Ints, by: int, at: Ms) -> None:
        if len(self._at) < len(self.names):
            more = max(len(self.names) - len(self._at), len(self._at) // 2)
            self._at = np.concatenate([self._at, np.zeros(more, np.int64)])
            self._by = np.concatenate([self._by, np.zeros(more, np.int64)])
        self._at[rows], self._by[rows] = at, by

    def heard(self, device: str) -> Heard:
        for place in range(self._known, min(len(self.names), len(self._at))):
            self._place.setdefault(self.names[place], []).append(place)
        self._known = min(len(self.names), len(self._at))
        places = self._place.get(device, ())
        return max(((self._by.item(place), self._at.item(place)) for place in places), default=NEVER)

    def told(self) -> Iterator[tuple[str, Heard]]:
        """All that were heard."""
        columns = zip(self.names, self._by.tolist(), self._at.tolist(), strict=False)
        return ((name, (by, at)) for name, by, at in columns if by)
