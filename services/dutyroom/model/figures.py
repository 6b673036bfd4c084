"""What the service says of itself and its alarms, for dashboards: a few numbers under a name at an instant."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from dutyroom.timebase import Ms


@dataclass(frozen=True, slots=True)
class Figure:
    """One line of a measurement. The same measurement, tags and instant again replace it.

    fields: int stays a whole number for ever, float a fraction; never texts, which no window can be made of. With
    a device among the tags, a field has no name that a point may have: coarser buckets count both in one place.
    """

    measurement: str
    tags: Mapping[str, str]
    fields: Mapping[str, int | float]
    at: Ms
