"""How a run of compaction is cut into slices of about as many rows: settled once, at its beginning."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from dutyroom.backends.readings_embedded.columns import Columns
from dutyroom.backends.readings_embedded.tail import Segment
from dutyroom.model.telemetry import Longs

END = 1 << 26  # more groups than there are
BEGIN = -END
_DENSE = 1 << 22  # groups from the first to the last one that are counted in an array


@dataclass(frozen=True, slots=True)
class Slices:
    """edges: groups before which slices begin, rising, and END. places: where these begin in each segment.
    writes: the first and the last one of each segment."""

    writes: Sequence[tuple[int, int]]
    edges: Sequence[int]
    places: Sequence[Sequence[int]]

    def fit(self, segments: Sequence[Segment], low: int) -> bool:
        """Whether they are those of these segments, and one begins at the group `low`."""
        return low in self.edges[:-1] and self.writes == _writes(segments)

    def rows(self, segments: Sequence[Segment], low: int) -> tuple[int, list[Columns]]:
        """The group before which the slice from `low` on ends, and its rows, oldest segment first."""
        n = self.edges.index(low)
        some = [
            segment.columns.take(slice(place[n], place[n + 1]))
            for segment, place in zip(segments, self.places, strict=True)
            if place[n + 1] > place[n]
        ]
        return self.edges[n + 1], some


def slices_of(segments: Sequence[Segment], low: int, size: int) -> Slices:
    """Of all groups from `low` on; a slice has at most `size` rows, or one group."""
    edges = (low, *cuts(segments, low, size), END)
    return Slices(_writes(segments), edges, [s.places(edges).tolist() for s in segments])


def _writes(segments: Sequence[Segment]) -> list[tuple[int, int]]:
    return [(segment.first, segment.last) for segment in segments]


def cuts(segments: Sequence[Segment], low: int, size: int) -> tuple[int, ...]:
    """The groups before which slices end, rising, without the last one's. low: where the first begins."""
    group, rows = _rows_by_group([segment.rows_of_groups(low) for segment in segments])
    ends = np.cumsum(rows)
    found: list[int] = []
    begin, before = 0, 0
    while len(group) and ends[-1] - before > size:
        end = max(begin + 1, int(np.searchsorted(ends, before + size, side="right")))
        if end >= len(group):
            break
        found.append(int(group[end]))
        begin, before = end, int(ends[end - 1])
    return tuple(found)


def _rows_by_group(counted: Sequence[tuple[Longs, Longs]]) -> tuple[Longs, Longs]:
    """All groups, rising, and their rows. counted: the same of each segment."""
    counted = [(groups, many) for groups, many in counted if len(groups)]
    low = min((int(groups[0]) for groups, _ in counted), default=0)
    span = max((int(groups[-1]) for groups, _ in counted), default=-1) + 1 - low
    if span > _DENSE:  # points with numbers far apart
        found, place = np.unique(np.concatenate([groups for groups, _ in counted]), return_inverse=True)
        return found, np.bincount(place, np.concatenate([many for _, many in counted])).astype(np.int64)
    total = np.zeros(span, np.int64)
    for groups, many in counted:
        total[groups - low] += many
    there = np.flatnonzero(total)
    return there + low, total[there]
