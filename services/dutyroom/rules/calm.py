"""Between which bounds a reading of a point changes nothing, asked of all who look at the point."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from operator import attrgetter

from dutyroom.rules.kind import ANY, Bounds, Instance

_FORESEES = attrgetter("foresees")


def bounds_of(instances: Iterable[Instance], point: int, value: float) -> Bounds | None:
    """Where nothing comes of a reading for any of them; None = one of them wants every reading."""
    low, high = ANY
    for instance in instances:
        bounds = instance.calm(point, value)
        if bounds is None:
            return None
        if bounds is not ANY:
            low, high = max(low, bounds[0]), min(high, bounds[1])
    return low, high


def foreseen(
    at: Callable[[int], Sequence[Instance]], points: Iterable[int], values: Iterable[float]
) -> tuple[list[int], list[float], list[float]]:
    """Those points whose instances can all say so before they take a reading, with their bounds: ids, lows, highs.

    at: who looks at a point; values: of a reading of each of the points, in the point's unit.
    """
    calm, lows, highs = [], [], []
    for point, value in zip(points, values, strict=True):
        mine = at(point)
        if all(map(_FORESEES, mine)) and (bounds := bounds_of(mine, point, value)) is not None:
            calm.append(point)
            lows.append(bounds[0])
            highs.append(bounds[1])
    return calm, lows, highs
