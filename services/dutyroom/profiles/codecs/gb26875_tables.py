"""Codes of GB/T 26875.3-2011 with English keys: what its tables 2 to 7 and figures 6 to 14 define.

Numbers are the standard's. A code that no table has is reserved below 128 and the maker's own from
128 on; `named` gives a key for every byte.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from functools import cache
from typing import Final

# Table 2, command byte of a frame.
COMMANDS: Final[Mapping[int, str]] = {
    1: "control", 2: "send_data", 3: "confirm", 4: "request", 5: "answer", 6: "deny",
}  # fmt: skip

# Table 3, type of an application data unit. 1 to 28 go up; 61 to 91 are questions and commands that go down.
UNITS: Final[Mapping[int, str]] = {
    1: "system_state", 2: "part_state", 3: "part_analog", 4: "system_operation", 5: "system_version",
    6: "system_configuration", 7: "part_configuration", 8: "system_clock",
    21: "device_state", 24: "device_operation", 25: "device_version", 26: "device_configuration",
    28: "device_clock",
    61: "read_system_state", 62: "read_part_state", 63: "read_part_analog", 64: "read_system_operations",
    65: "read_system_version", 66: "read_system_configuration", 67: "read_part_configuration",
    68: "read_system_clock", 81: "read_device_state", 84: "read_device_operations",
    85: "read_device_version", 86: "read_device_configuration", 88: "read_device_clock",
    89: "initialise_device", 90: "set_device_clock", 91: "check_duty",
}  # fmt: skip

# Table 4, type of a fire-protection system.
SYSTEMS: Final[Mapping[int, str]] = {
    0: "general", 1: "fire_alarm_system", 10: "fire_linkage_controller", 11: "fire_hydrant_system",
    12: "automatic_sprinkler_system", 13: "gas_fire_extinguishing_system", 14: "water_spray_pump_system",
    15: "water_spray_pressure_vessel_system", 16: "foam_fire_extinguishing_system",
    17: "dry_powder_fire_extinguishing_system", 18: "smoke_control_and_exhaust_system",
    19: "fire_door_and_shutter_system", 20: "fire_elevator", 21: "fire_emergency_broadcast",
    22: "fire_emergency_lighting_and_evacuation_system", 23: "fire_power_supply", 24: "fire_telephone",
}  # fmt: skip

# Table 5, type of a part.
PARTS: Final[Mapping[int, str]] = {
    0: "general", 1: "fire_alarm_controller", 10: "combustible_gas_detector",
    11: "point_combustible_gas_detector", 12: "standalone_combustible_gas_detector",
    13: "line_combustible_gas_detector", 16: "electrical_fire_monitor",
    17: "residual_current_electrical_fire_detector", 18: "temperature_electrical_fire_detector",
    21: "detection_loop", 22: "fire_display_panel", 23: "manual_fire_alarm_button", 24: "fire_hydrant_button",
    25: "fire_detector", 30: "heat_fire_detector", 31: "point_heat_fire_detector",
    32: "point_heat_fire_detector_s", 33: "point_heat_fire_detector_r", 34: "line_heat_fire_detector",
    35: "line_heat_fire_detector_s", 36: "line_heat_fire_detector_r", 37: "fiber_heat_fire_detector",
    40: "smoke_fire_detector", 41: "point_ion_smoke_fire_detector", 42: "point_photoelectric_smoke_fire_detector",
    43: "line_beam_smoke_fire_detector", 44: "aspirating_smoke_fire_detector", 50: "combined_fire_detector",
    51: "combined_smoke_heat_fire_detector", 52: "combined_light_heat_fire_detector",
    53: "combined_light_smoke_fire_detector", 61: "ultraviolet_flame_detector", 62: "infrared_flame_detector",
    69: "light_fire_detector", 74: "gas_detector", 78: "image_fire_detector", 79: "sound_fire_detector",
    81: "gas_fire_extinguishing_controller", 82: "fire_electrical_control_device",
    83: "fire_control_room_display", 84: "module", 85: "input_module", 86: "output_module",
    87: "input_output_module", 88: "relay_module", 91: "fire_pump", 92: "fire_water_tank", 95: "sprinkler_pump",
    96: "water_flow_indicator", 97: "signal_valve", 98: "alarm_valve", 99: "pressure_switch",
    101: "valve_drive_device", 102: "fire_door", 103: "fire_damper", 104: "ventilation", 105: "foam_liquid_pump",
    106: "pipe_network_solenoid_valve", 111: "smoke_fan", 113: "smoke_exhaust_fire_damper",
    114: "normally_closed_air_inlet", 115: "smoke_outlet", 116: "electric_smoke_curtain",
    117: "fire_shutter_controller", 118: "fire_door_monitor", 121: "alarm_device",
}  # fmt: skip

LOOP: Final = 21  # of table 5: a detection loop as a whole

# Table 6, analog values: key, canonical or known unit, size of one step in that unit. Air volume counts
# 0.1 m3/min in the standard and is given in m3/h.
ANALOGS: Final[Mapping[int, tuple[str, str, Decimal]]] = {
    1: ("count", "count", Decimal(1)),
    2: ("height", "m", Decimal("0.01")),
    3: ("temperature", "degC", Decimal("0.1")),
    4: ("pressure", "MPa", Decimal("0.1")),
    5: ("pressure", "kPa", Decimal("0.1")),
    6: ("concentration", "%", Decimal("0.1")),  # of the lower explosive limit
    7: ("time", "s", Decimal(1)),
    8: ("voltage", "V", Decimal("0.1")),
    9: ("current", "A", Decimal("0.1")),
    10: ("flow", "L/s", Decimal("0.1")),
    11: ("air_flow", "m3/h", Decimal(6)),
    12: ("wind_speed", "m/s", Decimal(1)),
}

# Figures 6, 7, 9, 13, 14: names of bits from bit 0 on. `normal` = 0 means: under test.
SYSTEM_BITS: Final = (
    "normal", "fire_alarm", "fault", "shielded", "supervised", "started", "feedback", "delayed",
    "main_power_fault", "spare_power_fault", "bus_fault", "manual", "configuration_changed", "reset",
)  # fmt: skip
PART_BITS: Final = (
    "normal", "fire_alarm", "fault", "shielded", "supervised", "started", "feedback", "delayed", "power_fault",
)  # fmt: skip
DEVICE_BITS: Final = (
    "normal", "fire_alarm", "fault", "main_power_fault", "spare_power_fault", "channel_fault", "line_fault",
)  # fmt: skip
_OPERATIONS = ("reset", "silence", "manual_alarm", "alarm_cleared", "self_test")
SYSTEM_OPERATION_BITS: Final = (*_OPERATIONS, "confirm", "test")
DEVICE_OPERATION_BITS: Final = (*_OPERATIONS, "duty_answer", "test")

# Which bit names an event, when several are set: what is worst first.
URGENT: Final = (
    "manual_alarm", "fire_alarm", "fault", "main_power_fault", "spare_power_fault", "bus_fault", "power_fault",
    "channel_fault", "line_fault", "supervised", "started", "feedback", "delayed", "shielded", "reset",
    "alarm_cleared", "silence", "confirm", "duty_answer", "self_test", "test", "configuration_changed",
    "manual", "normal",
)  # fmt: skip


def named(table: Mapping[int, str], code: int) -> str:
    """The key of a code: of the table, else reserved_N, or own_N of a maker."""
    return table.get(code) or (f"own_{code}" if code >= 128 else f"reserved_{code}")


@cache
def class_name(key: str, suffix: str) -> str:
    """A key as open decoders of this standard write their types: fire_alarm_system -> FireAlarmSystem..."""
    return "".join(word.capitalize() for word in key.split("_")) + suffix
