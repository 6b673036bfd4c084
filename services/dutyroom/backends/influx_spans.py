"""Which stretches of time of many points are asked for in one statement.

A statement costs InfluxDB about a millisecond, a row of its answer some microseconds.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence

from dutyroom.model.telemetry import Point
from dutyroom.timebase import MINUTE, Ms

TOGETHER = 50  # devices of a statement
_ABOUT = 10 * MINUTE  # that what is asked together is longer than the first stretch alone

Span = tuple[Point, Ms, Ms]  # start <= at < end


def grouped(
    spans: Sequence[Span], numbers: Iterable[int], columns: Callable[[Point], list[str]]
) -> list[list[list[int]]]:
    """A group a statement: of each of its devices the numbers of the spans. All of a device begin and end
    together, all devices of a group have the same columns and about the same time, none is in it twice.
    """
    devices: dict[tuple[str, str, Ms, Ms], list[int]] = defaultdict(list)
    for number in numbers:
        point, start, end = spans[number]
        devices[point.device_class.value, point.device, start, end].append(number)
    alike: dict[tuple[str, ...], list[list[int]]] = defaultdict(list)
    for (measurement, *_), mine in sorted(devices.items(), key=lambda item: item[0][2]):
        alike[measurement, *(field for n in mine for field in columns(spans[n][0]))].append(mine)
    groups: list[list[list[int]]] = []
    for several in alike.values():
        group: list[list[int]] = []
        for mine in several:
            if group and not _fits(spans, group, mine):
                groups.append(group)
                group = []
            group.append(mine)
        groups.append(group)
    return groups


def _fits(spans: Sequence[Span], group: Sequence[Sequence[int]], mine: Sequence[int]) -> bool:
    """Whether a device may be asked for with those of a group, which begin before it."""
    _, _, end = spans[group[0][0]]
    point, _, last = spans[mine[0]]
    return (
        len(group) < TOGETHER
        and last - end <= _ABOUT
        and all(spans[numbers[0]][0].device != point.device for numbers in group)
    )
