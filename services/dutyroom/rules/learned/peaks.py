"""The largest finished values of a few measures: what is ordinary for this device.

Values wait two days before they count (quarantine) and are dropped when an alarm opens, so that an
event does not become the normal that hides the next one. Two seasons of 60 days are kept: what was
not seen again for 60 to 120 days is forgotten.
"""

from __future__ import annotations

import struct
from typing import Any

from dutyroom.errors import Rejected
from dutyroom.rules.learned.packed import LARGEST, halves, halves_at, parts

QUARANTINE = 2  # days
SEASON = 60  # days
_ROWS = 3 + QUARANTINE
_CELL = struct.Struct("<e")
_WIDE = _CELL.size
_DAYS = struct.Struct("<qi")


class Peaks:
    """Of `count` measures from 0 to 65504, by local day; rounded to 0.05 %.

    They lie as halves, one after the other: of this season, of the one before, of today, of the days that wait. A
    few are looked at with a reading, so none but these are unpacked."""

    __slots__ = ("_cells", "_count", "_first", "day", "season", "touched")

    def __init__(self, count: int) -> None:
        self._count = count
        self._cells: bytes | bytearray = bytes(_WIDE * _ROWS * count)
        self._first = 0  # where they begin among `_cells`
        self.season = 0  # day on which it began
        self.day = 0
        self.touched = False  # other than what was looked at

    def note(self, measure: int, value: float) -> None:
        """A finished value of today."""
        self._raise(2 * self._count + measure, value)

    def learn(self, measure: int, value: float) -> None:
        """A value that needs no quarantine."""
        self._raise(measure, value)

    def _raise(self, cell: int, value: float) -> None:
        place = self._first + _WIDE * cell
        if value > _CELL.unpack_from(self._cells, place)[0]:
            cells = self._cells
            if not isinstance(cells, bytearray):
                place -= self._first
                cells = self._own(self._packed())
            _CELL.pack_into(cells, place, min(value, LARGEST))

    def _own(self, packed: bytes) -> bytearray:
        """Cells that may be written."""
        self._cells = cells = bytearray(packed)
        self._first, self.touched = 0, True
        return cells

    def _packed(self) -> bytes:
        return bytes(self._cells[self._first : self._first + _WIDE * _ROWS * self._count])

    def drop(self) -> None:
        """Forgets what waits: an alarm has opened."""
        kept = _WIDE * 2 * self._count
        self._own(self._packed()[:kept] + bytes(_WIDE * (_ROWS - 2) * self._count))

    def settle(self) -> None:
        """What waits counts at once: what an alarm held for strange was life."""
        count, rows = self._count, halves_at(self._cells, self._first, _ROWS * self._count)
        now = [max(rows[i], *rows[2 * count + i :: count]) for i in range(count)]
        self._own(halves([*now, *rows[count : 2 * count], *([0.0] * ((_ROWS - 2) * count))]))

    def roll(self, day: int) -> bool:
        """It is this local day (a number); True when that is a new one, and values may have changed."""
        if day == self.day:
            return False
        if not self.day:
            self.season = day
        count, rows = self._count, halves_at(self._cells, self._first, _ROWS * self._count)
        nothing = [0.0] * count
        for _ in range(min(day - self.day, QUARANTINE + 1) if self.day else 0):
            now = [*map(max, rows[:count], rows[-count:])]
            rows = [*now, *rows[count : 2 * count], *nothing, *rows[2 * count : -count]]
        self.day = day
        if day - self.season >= SEASON:
            self.season = day
            rows = [*nothing, *rows[:count], *rows[2 * count :]]
        self._own(halves(rows))
        return True

    def largest(self, measure: int) -> float:
        cells, place = self._cells, self._first + _WIDE * measure
        (now,), (before,) = (
            _CELL.unpack_from(cells, place),
            _CELL.unpack_from(cells, place + _WIDE * self._count),
        )
        return now if now > before else before  # type: ignore[no-any-return]

    @property
    def size(self) -> int:
        """Bytes that `pack` gives."""
        return _DAYS.size + _WIDE * _ROWS * self._count

    def pack(self) -> bytes:
        return _DAYS.pack(self.day, self.day - self.season) + self._packed()

    def look(self, state: bytes, place: int) -> None:
        """What `pack` gave, from a place on."""
        self.day, age = _DAYS.unpack_from(state, place)
        self.season = self.day - age
        self._cells, self._first, self.touched = state, place + _DAYS.size, False

    def dump(self) -> list[Any]:
        return [self.day, self.season, self._packed()]

    def load(self, data: list[Any]) -> None:
        """Raises Rejected for what `dump` did not give."""
        self.day, self.season, kept = parts(data, 3)
        if not isinstance(kept, bytes) or len(kept) != _WIDE * _ROWS * self._count:
            raise Rejected(f"stored peaks: {_ROWS * self._count} halves expected, {kept!r:.40} found")
        self._own(kept)
