"""Readings in the order of their lines, and the blocks that lines are sent in."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from dutyroom.backends.influx_companions import Rows
from dutyroom.model.telemetry import Longs


@dataclass(slots=True)
class Lines:
    """Readings as lines. rows: of the readings, in the order of their lines; starts: where in `rows` each line
    begins, and the number of rows at the end; places: the same in `pieces`; refused: {row: reason} of what
    cannot be a line."""

    rows: Rows
    starts: Rows
    pieces: list[bytes]
    places: Rows
    refused: dict[int | str, str]

    def __len__(self) -> int:
        return len(self.starts) - 1

    def blocks(self, limit: int) -> Iterator[tuple[Rows, bytes]]:
        """Blocks of at most `limit` lines, with the rows that they carry."""
        for line in range(0, len(self), limit):
            end = min(line + limit, len(self))
            begin, stop = int(self.places[line]), int(self.places[end])
            yield self.rows[self.starts[line] : self.starts[end]], b"".join(self.pieces[begin:stop])[1:]


def ordered(
    series_of: npt.NDArray[np.int32], slots: npt.NDArray[np.int32], at: Longs, rows: Rows
) -> tuple[Rows, Rows]:
    """Rows in an order where those of one series and instant stand together, of equal (slot, at) the last one;
    and where the groups start, with the number of rows at the end.

    Usually they come so: a message is a line. Then nothing is sorted but keys, to know.
    """
    if not len(rows):
        return rows, np.zeros(1, np.int64)
    low, span = int(at.min()), int(at.max()) - int(at.min()) + 1
    if span * (int(slots.max()) + 1) < 2**62:
        keys = np.sort(slots.astype(np.int64) * span + (at - low))
        starts = _starts(series_of, at)
        heads = np.sort(series_of[starts].astype(np.int64) * span + (at[starts] - low))
        if (keys[1:] != keys[:-1]).all() and (heads[1:] != heads[:-1]).all():
            return rows, np.append(starts, len(rows))
    order = np.lexsort((np.arange(len(rows)), at, slots))  # of equal ones the last row comes last
    p, t = slots[order], at[order]
    last = np.ones(len(order), dtype=bool)
    last[:-1] = (p[1:] != p[:-1]) | (t[1:] != t[:-1])
    order = order[last]
    order = order[np.lexsort((slots[order], at[order], series_of[order]))]
    return rows[order], np.append(_starts(series_of[order], at[order]), len(order))


def _starts(series_of: npt.NDArray[np.int32], at: Longs) -> Rows:
    fresh = np.ones(len(at), dtype=bool)
    fresh[1:] = (series_of[1:] != series_of[:-1]) | (at[1:] != at[:-1])
    return np.flatnonzero(fresh)
