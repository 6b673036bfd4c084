"""What the registry knows of a point, as far as a detector is built from it."""

from __future__ import annotations

from dataclasses import dataclass

from dutyroom.rules.learned.localtime import LocalTime


@dataclass(frozen=True, slots=True)
class Meter:
    """One point of a device. Detectors of one site share its `local`."""

    klass: str  # water_meter, electricity_meter, gas_meter, heat_meter, tank_level, pressure_sensor, temperature_sensor
    role: str  # unit, zone_inlet, zone_outlet, pump, network, tank, equipment
    local: LocalTime
    interval_s: int  # between its readings
    resolution: float = 0.0  # canonical unit of the last digit; 0 = not known
    low: float | None = None  # of its range, canonical unit
    high: float | None = None
    rated: float | None = None  # canonical unit an hour: the most that it measures for long; None = not said
