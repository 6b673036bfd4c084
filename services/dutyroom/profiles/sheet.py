"""Numbers of decoded structs as columns, without a step of Python for each of them.

msgspec writes structs as MessagePack in one call. A float takes nine bytes there and a whole number as many
as its size needs, so rows of one kind of message are mostly written alike: field for field at the same
place, with the same type. Then what was written is a table already, and a column is a view of it.
https://github.com/msgpack/msgpack/blob/master/spec.md
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import msgspec
import numpy as np

from dutyroom.model.telemetry import Bytes8, Floats, Longs

Keys: TypeAlias = tuple[str, ...]  # of a field, from the outermost object on

_NIL, _FLOAT, _MAP = 0xC0, 0xCB, 0xDE
_WHOLE: Final = {
    **{0xCC: ">u1", 0xCD: ">u2", 0xCE: ">u4", 0xCF: ">u8"},
    **{0xD0: ">i1", 0xD1: ">i2", 0xD2: ">i4", 0xD3: ">i8"},
}
_SHORT = 0  # stands for all numbers that are their own type byte
# By type byte what must be the same in all rows: the byte itself, but for short numbers and for booleans.
_ALIKE: Final = np.arange(256, dtype=np.uint8)
_ALIKE[:0x80] = _ALIKE[0xE0:] = _SHORT
_ALIKE[0xC3] = 0xC2
_encoder = msgspec.msgpack.Encoder()


@dataclass(frozen=True, slots=True, eq=False)
class Sheet:
    """Rows that are written alike. table: [rows, bytes of one]; places: of the fields' type bytes."""

    table: Bytes8
    places: dict[Keys, int]

    def floats(self, keys: Keys) -> Floats | None:
        """A field of numbers, NaN where it is null; None = it has something else."""
        place = self.places[keys]
        if self.table[0, place] == _NIL:
            return np.full(len(self.table), np.nan)
        if self.table[0, place] == _FLOAT:
            found: Floats = self._column(place, ">f8").astype(np.float64)
            return found
        whole = self.whole(keys)
        return None if whole is None else whole.astype(np.float64)

    def whole(self, keys: Keys) -> Longs | None:
        """A field of whole numbers; None = it has something else, or one that takes more than 63 bits."""
        place = self.places[keys]
        kind = int(self.table[0, place])
        if _ALIKE[kind] == _SHORT:
            return self.table[:, place].view(np.int8).astype(np.int64)
        if kind not in _WHOLE:
            return None
        column = self._column(place, _WHOLE[kind])
        return None if kind == 0xCF and int(column.max()) >= 2**63 else column.astype(np.int64)

    def _column(self, place: int, kind: str) -> Any:
        rows, size = self.table.shape
        return np.ndarray((rows,), kind, self.table, place + 1, (size,))


def sheet_of(rows: Sequence[Any]) -> Sheet | None:
    """None where they are not written alike, or hold more than numbers and short texts."""
    first, written = _encoder.encode(rows[0]), _encoder.encode(rows)
    size, count = len(first), len(rows)
    begin = 1 if count < 16 else 3 if count < 1 << 16 else 5
    if len(written) != begin + count * size:
        return None
    places: dict[Keys, int] = {}
    if _object(first, 0, (), places) != size:
        return None
    table = np.frombuffer(written, np.uint8, count * size, begin).reshape(count, size)
    # The first row has its types at these places. A row of the same types is as long, so the next one
    # begins where it should.
    alike = all(_same(table[:, place]) for place in places.values())
    return Sheet(table, places) if alike else None


def _same(types: Bytes8) -> bool:
    if bool((types == types[0]).all()):
        return True
    return bool((_ALIKE[types] == _ALIKE[types[0]]).all())


def _object(data: bytes, at: int, keys: Keys, places: dict[Keys, int]) -> int:
    """Notes the fields of the object that begins there; returns where it ends, -1 = it is no such object."""
    if data[at] & 0xF0 == 0x80:
        count, at = data[at] & 15, at + 1
    elif data[at] == _MAP:
        count, at = data[at + 1] << 8 | data[at + 2], at + 3
    else:
        return -1
    for _ in range(count):
        if data[at] & 0xE0 != 0xA0:
            return -1
        begin, end = at + 1, at + 1 + (data[at] & 31)
        key, kind = (*keys, data[begin:end].decode()), data[end]
        if kind & 0xF0 == 0x80 or kind == _MAP:
            at = _object(data, end, key, places)
        else:
            places[key] = end
            at = _end(kind, end)
        if at < 0:
            return -1
    return at


def _end(kind: int, at: int) -> int:
    """Where the value ends whose type byte stands at `at`."""
    if kind < 0x80 or kind >= 0xE0 or kind in (_NIL, 0xC2, 0xC3):
        return at + 1
    if kind == _FLOAT:
        return at + 9
    if kind in _WHOLE:
        return at + 1 + int(_WHOLE[kind][-1])
    return at + 1 + (kind & 31) if kind & 0xE0 == 0xA0 else -1
