"""Which detectors a device point and a zone get where they are tried without the engine, as `defaults.yaml` has them."""

from __future__ import annotations

from collections.abc import Sequence

from dutyroom.rules.learned import Detector, ZoneDetector
from dutyroom.rules.learned.home_stuck import HomeStuck
from dutyroom.rules.learned.home_water import HomeWater
from dutyroom.rules.learned.meter import Meter
from dutyroom.rules.learned.network_water import NetworkWater
from dutyroom.rules.learned.register_fault import RegisterFault
from dutyroom.rules.learned.silence import FEWEST, ZoneSilence

REGISTERS = ("water_meter", "electricity_meter")


def detectors(meter: Meter) -> dict[str, Detector]:
    """Of one point, by rule name."""
    found: dict[str, Detector] = {}
    if meter.klass in REGISTERS:
        found["register_fault"] = RegisterFault(meter)
    if meter.klass == "water_meter" and meter.role == "unit":
        found["home_water"] = HomeWater(meter)
        found["home_stuck"] = HomeStuck(meter)
    return found


def zone_detectors(meters: Sequence[Meter]) -> dict[str, ZoneDetector]:
    """Of a zone with these points, by rule name; `read` gets the index of the point in `meters`."""
    found: dict[str, ZoneDetector] = {}
    if len(meters) >= FEWEST:
        found["zone_silence"] = ZoneSilence(meters)
    if any(m.klass == "water_meter" and m.role == "zone_outlet" for m in meters):
        found["network_water"] = NetworkWater(meters)
    return found
