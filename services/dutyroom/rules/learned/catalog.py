"""Which detectors a device point and a zone get."""

from __future__ import annotations

from collections.abc import Sequence

from dutyroom.rules.learned import Detector, ZoneDetector
from dutyroom.rules.learned.home_water import HomeWater
from dutyroom.rules.learned.meter import Meter


def detectors(meter: Meter) -> dict[str, Detector]:
    """Of one point, by rule name."""
    found: dict[str, Detector] = {}
    if meter.klass == "water_meter" and meter.role == "unit":
        found["home_water"] = HomeWater(meter.local, meter.resolution)
    return found


def zone_detectors(meters: Sequence[Meter]) -> dict[str, ZoneDetector]:
    """Of a zone with these points, by rule name; `read` gets the index of the point in `meters`."""
    return {}
