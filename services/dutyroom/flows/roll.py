"""When each device of a list was last heard, as a column: where messages come by thousands."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from dutyroom.model.telemetry import Ints, Longs
from dutyroom.timebase import Ms


class Roll:
    """Devices of a list that grows, and when each was last heard (0 = never)."""

    def __init__(self, names: Sequence[str]) -> None:
        self.names = names
        self._at: Longs = np.zeros(len(names), np.int64)
        self._place: dict[str, list[int]] = {}  # made when somebody asks
        self._known = 0  # so many of them are in it

    def hear(self, rows: Ints, at: Ms) -> None:
        if len(self._at) < len(self.names):
            more = max(len(self.names) - len(self._at), len(self._at) // 2)
            self._at = np.concatenate([self._at, np.zeros(more, np.int64)])
        self._at[rows] = at

    def heard(self, device: str) -> Ms:
        for place in range(self._known, min(len(self.names), len(self._at))):
            self._place.setdefault(self.names[place], []).append(place)
        self._known = min(len(self.names), len(self._at))
        return max((self._at.item(place) for place in self._place.get(device, ())), default=0)

    def told(self) -> Iterator[tuple[str, Ms]]:
        """All that were heard."""
        return ((name, at) for name, at in zip(self.names, self._at.tolist(), strict=False) if at)
