"""Lines of one shape, whole blocks of them: the same fields in the same order, nothing beside their values.

Nearly all lines are: a message of a meter says today what it said yesterday. Then what stands between two values
is the same in each line, and a field's values of all lines are written by one call.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import orjson

from dutyroom.backends.influx_companions import Rows

FEW = 16  # lines of a shape from which on this costs less
_SHAPES = 64  # of a block, else it is not worth while
_A, _B, _C, _D = (
    np.uint64(n) for n in (0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9, 0x27D4EB2F165667C5)
)
_ODD = np.uint64(1)


def written(column: npt.NDArray[Any]) -> list[bytes]:
    """Finite numbers as texts, each the shortest that reads back as it is."""
    dumped = orjson.dumps(np.ascontiguousarray(column), option=orjson.OPT_SERIALIZE_NUMPY)
    return dumped[1:-1].split(b",") if len(column) else []


def shapes(names: Sequence[npt.NDArray[Any]], starts: Rows) -> list[Rows]:
    """Numbers of lines, those of one shape together; lines of shapes that are rare come last, as one.

    names: columns of numbers, by row; a shape is what a line's rows have in them, in order.
    """
    sizes = np.diff(starts)
    place = np.arange(int(starts[-1])) - np.repeat(starts[:-1], sizes)
    mixed = (place.astype(np.uint64) * _A) | _ODD
    for column, factor in zip(names, (_B, _C, _D), strict=True):
        mixed = (mixed ^ (column.astype(np.uint64) + _ODD)) * factor
        mixed ^= mixed >> np.uint64(29)
    keys = np.add.reduceat(mixed, starts[:-1])
    if (keys == keys[0]).all():
        return [np.arange(len(keys))]
    order = np.argsort(keys, kind="stable")
    cuts = np.flatnonzero(np.diff(keys[order].view(np.int64)) != 0) + 1
    if len(cuts) >= _SHAPES:
        return [np.arange(len(keys))]
    groups = np.split(order, cuts)
    rare = [group for group in groups if len(group) < FEW]
    return [*(g for g in groups if len(g) >= FEW), *([np.sort(np.concatenate(rare))] if rare else [])]


def alike(names: Sequence[npt.NDArray[Any]], width: int) -> bool:
    """Whether all lines of `width` rows have the same in each of these columns."""
    tables = [column.reshape(-1, width) for column in names]
    return all(bool((table == table[0]).all()) for table in tables)


def pieces_of(
    series: Sequence[bytes], between: Sequence[bytes], values: Sequence[list[bytes]], at: list[bytes]
) -> list[bytes]:
    """Of each line: its series, then between[0], a value, between[1], ..., the last of between, its time."""
    width = 2 * len(values) + 3
    pieces = [b""] * width
    pieces[1::2] = between
    pieces *= len(series)
    pieces[0::width] = series
    for place, column in enumerate(values):
        pieces[2 + 2 * place :: width] = column
    pieces[width - 1 :: width] = at
    return pieces
