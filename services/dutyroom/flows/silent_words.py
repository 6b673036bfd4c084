"""The finding `point_silent` as text: which points of a device are not read any more, and what is."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from dutyroom.timebase import Ms, from_iso, to_iso

KIND = "point_silent"
_NAMED = 8  # points
_MORE = " (+{})"
_LOST = re.compile(r"(?P<point>.+?) since (?P<at>\d{4}-[-0-9T:.]+Z)(?:, |(?= \(\+)|(?=;)|$)")
_COUNT = re.compile(r" \(\+(?P<count>\d+)\)")
_BEFORE_READ = "; read: "


@dataclass(frozen=True, slots=True)
class Silent:
    """lost: (point, last read), more: how many others. read: some points that still are."""

    lost: tuple[tuple[str, Ms], ...]
    more: int = 0
    read: tuple[str, ...] = ()


def detail_of(lost: Sequence[tuple[str, Ms]], read: Sequence[str]) -> str:
    """volume since 2026-11-20T08:00:00Z; read: battery, rssi"""
    said = ", ".join(f"{name} since {to_iso(at)}" for name, at in lost[:_NAMED])
    more = _MORE.format(len(lost) - _NAMED) if len(lost) > _NAMED else ""
    return f"{said}{more}{_BEFORE_READ}{', '.join(read[:_NAMED])}"


def silent_in(detail: str) -> Silent | None:
    """The opposite; None = it says something else."""
    said, _, read = detail.rpartition(_BEFORE_READ)
    lost = tuple((found["point"], from_iso(found["at"])) for found in _LOST.finditer(said))
    if not lost:
        return None
    more = _COUNT.search(said)
    return Silent(lost, int(more["count"]) if more else 0, tuple(name for name in read.split(", ") if name))
