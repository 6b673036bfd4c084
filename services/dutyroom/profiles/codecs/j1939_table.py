"""Which bits of which J1939 parameter group are which parameter, for engines, generator sets and their fuel.

Numbers are those of SAE J1939-71 (engines) and J1939-75 (generator sets), as makers publish them in their
own interface manuals. A line of a group: SPN, name, first byte (from 1; `7.3` = from its third bit), length
in bits, resolution, offset, unit. Without a resolution the number is a code.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal

from dutyroom.profiles.codecs.exact import ONE, ZERO


@dataclass(frozen=True, slots=True)
class Parameter:
    """start: first bit, counted from the least significant bit of the first byte. bits: length.
    special: the highest raw values mean "error" and "not available"."""

    name: str
    spn: int
    start: int
    bits: int
    scale: Decimal = ONE
    offset: Decimal = ZERO
    unit: str = ""
    minus: bool = False  # two's complement: only where a maker says so
    special: bool = True


@dataclass(frozen=True, slots=True)
class Group:
    pgn: int
    label: str
    parameters: tuple[Parameter, ...]


_ENGINE = """
61444 EEC1
899 engine_torque_mode 1 4
4154 actual_engine_torque_fraction 1.5 4 0.125 0 %
512 driver_demand_torque 2 8 1 -125 %
513 actual_engine_torque 3 8 1 -125 %
190 engine_speed 4 16 0.125 0 rpm
1483 controlling_address 6 8
1675 engine_starter_mode 7 4
2432 engine_demand_torque 8 8 1 -125 %

61443 EEC2
558 pedal_1_low_idle 1 2
559 pedal_kickdown 1.3 2
1437 road_speed_limit 1.5 2
2970 pedal_2_low_idle 1.7 2
91 pedal_position_1 2 8 0.4 0 %
92 engine_load 3 8 1 0 %
974 remote_pedal_position 4 8 0.4 0 %
29 pedal_position_2 5 8 0.4 0 %
2979 acceleration_limit 6 2
5021 momentary_maximum_power 6.3 2
5399 dpf_thermal_management 6.5 2
5400 scr_thermal_management 6.7 2
3357 maximum_available_torque 7 8 0.4 0 %

65247 EEC3
514 nominal_friction_torque 1 8 1 -125 %
515 desired_engine_speed 2 16 0.125 0 rpm
2978 parasitic_losses 5 8 1 -125 %
3236 exhaust_gas_mass_flow 6 16 0.2 0 kg/h

65214 EEC4
166 rated_engine_power 1 16 0.5 0 kW
189 rated_engine_speed 3 16 0.125 0 rpm

64914 EOI
3543 engine_operating_state 1 4

65252 SHUTDN
593 idle_shutdown_done 1 2
594 idle_shutdown_alert 1.3 2
1081 wait_to_start_lamp 4 2
1110 protection_shutdown_done 5 2
1109 protection_shutdown_near 5.3 2
1108 protection_timer_override 5.5 2
1107 protection_timer 5.7 2

65262 ET1
110 coolant_temperature 1 8 1 -40 degC
174 fuel_temperature 2 8 1 -40 degC
175 oil_temperature 3 16 0.03125 -273 degC
176 turbo_oil_temperature 5 16 0.03125 -273 degC
52 intercooler_temperature 7 8 1 -40 degC
1134 intercooler_thermostat 8 8 0.4 0 %

65188 ET2
1135 oil_temperature_2 1 16 0.03125 -273 degC
1136 ecu_temperature 3 16 0.03125 -273 degC
411 egr_differential_pressure 5 16 0.0078125 -250 kPa
412 egr_temperature 7 16 0.03125 -273 degC

65263 EFL/P1
94 fuel_delivery_pressure 1 8 4 0 kPa
22 crankcase_blowby_pressure 2 8 0.05 0 kPa
98 oil_level 3 8 0.4 0 %
100 oil_pressure 4 8 4 0 kPa
101 crankcase_pressure 5 16 0.0078125 -250 kPa
109 coolant_pressure 7 8 2 0 kPa
111 coolant_level 8 8 0.4 0 %

65243 EFL/P2
164 injection_control_pressure 1 16 0.00390625 0 MPa
157 injector_rail_1_pressure 3 16 0.00390625 0 MPa
156 injector_timing_rail_1_pressure 5 16 0.00390625 0 MPa
1349 injector_rail_2_pressure 7 16 0.00390625 0 MPa

65266 LFE1
183 fuel_rate 1 16 0.05 0 L/h
184 instantaneous_fuel_economy 3 16 0.001953125 0 km/L
185 average_fuel_economy 5 16 0.001953125 0 km/L
51 throttle_position 7 8 0.4 0 %
3673 throttle_position_2 8 8 0.4 0 %

65257 LFC1
182 trip_fuel 1 32 0.5 0 L
250 total_fuel 5 32 0.5 0 L

64777 HRLFC
5053 trip_fuel_fine 1 32 0.001 0 L
5054 total_fuel_fine 5 32 0.001 0 L

65269 AMB
108 barometric_pressure 1 8 0.5 0 kPa
170 cab_temperature 2 16 0.03125 -273 degC
171 ambient_temperature 4 16 0.03125 -273 degC
172 air_inlet_temperature 6 8 1 -40 degC
79 road_temperature 7 16 0.03125 -273 degC

65270 IC1
81 dpf_inlet_pressure 1 8 0.5 0 kPa
102 boost_pressure 2 8 2 0 kPa
105 intake_temperature 3 8 1 -40 degC
106 air_inlet_pressure 4 8 2 0 kPa
107 air_filter_differential_pressure 5 8 0.05 0 kPa
173 exhaust_temperature 6 16 0.03125 -273 degC
112 coolant_filter_differential_pressure 8 8 0.5 0 kPa

64976 IC2
3562 intake_2_pressure 4 8 2 0 kPa
3563 intake_absolute_pressure 5 8 2 0 kPa

65271 VEP1
114 net_battery_current 1 8 1 -125 A
115 alternator_current 2 8 1 0 A
167 charging_voltage 3 16 0.05 0 V
168 battery_voltage 5 16 0.05 0 V
158 keyswitch_voltage 7 16 0.05 0 V

65104 BT1
1800 battery_1_temperature 1 8 1 -40 degC
1801 battery_2_temperature 2 8 1 -40 degC

65253 HOURS
247 engine_hours 1 32 0.05 0 h
249 engine_revolutions 5 32 1000 0 1

65255 VH
246 vehicle_hours 1 32 0.05 0 h
248 pto_hours 5 32 0.05 0 h

65244 IO
236 idle_fuel 1 32 0.5 0 L
235 idle_hours 5 32 0.05 0 h

65276 DD1
80 washer_level 1 8 0.4 0 %
96 fuel_level 2 8 0.4 0 %
95 fuel_filter_differential_pressure 3 8 2 0 kPa
99 oil_filter_differential_pressure 4 8 0.5 0 kPa
38 fuel_level_2 7 8 0.4 0 %

65272 TRF1
123 clutch_pressure 1 8 16 0 kPa
124 gearbox_oil_level 2 8 0.4 0 %
126 gearbox_filter_differential_pressure 3 8 2 0 kPa
127 gearbox_oil_pressure 4 8 16 0 kPa
177 gearbox_oil_temperature 5 16 0.03125 -273 degC

65279 OI
97 water_in_fuel 1 2

65245 TC
104 turbo_oil_pressure 1 8 4 0 kPa
103 turbo_speed 2 16 4 0 rpm

65213 FD1
975 fan_speed_percent 1 8 0.4 0 %
977 fan_drive_state 2 4
1639 fan_speed 3 16 0.125 0 rpm

65110 AT1T1I
1761 def_level 1 8 0.4 0 %
3031 def_temperature 2 8 1 -40 degC

64892 DPFC1
3697 dpf_lamp 1 3
3699 dpf_passive_regeneration 2 2
3700 dpf_active_regeneration 2.3 2
3701 dpf_status 2.5 3
3702 dpf_regeneration_inhibited 3 2
3703 dpf_regeneration_inhibited_by_switch 3.3 2
3698 exhaust_temperature_lamp 7.3 3

64891 AT1S
3719 dpf_soot_load 1 8 1 0 %
3720 dpf_ash_load 2 8 1 0 %
3721 dpf_time_since_regeneration 3 32 1 0 s

64948 AT1IG2
3241 exhaust_gas_temperature_1 1 16 0.03125 -273 degC
3242 dpf_inlet_temperature 3 16 0.03125 -273 degC

64947 AT1OG2
3245 exhaust_gas_temperature_3 1 16 0.03125 -273 degC
3246 dpf_outlet_temperature 3 16 0.03125 -273 degC

64946 AT1IMG
3251 dpf_differential_pressure 5 16 0.1 0 kPa
"""

# Generator, then utility (mains): groups and parameters are numbered alike, three groups for the average or
# total and three for each phase, then energy: (prefix, label, first group, first SPNs, energy group and SPNs).
_AC = (
    ("generator", "G", 65030, (2440, 2444, 2436, 2448, 2452, 2460, 2456, 2464, 2518), 65018, (2468, 2469)),
    ("utility", "U", 65017, (2474, 2478, 2470, 2482, 2486, 2494, 2490, 2498, 2522), 65005, (2502, 2503)),
)
_PHASES = ("", "_l1", "_l2", "_l3")


def _ac_lines() -> Iterator[str]:
    for prefix, letter, first, spns, energy, (out, into) in _AC:
        for phase, suffix in enumerate(_PHASES):
            line, neutral, hertz, ampere, watt, volt_ampere, var, factor, lagging = (s + phase for s in spns)
            group, name = first - 3 * phase, f"{prefix}{{}}{suffix}"
            average, total = (letter + f"P{'ABC'[phase - 1]}" if phase else letter + own for own in "AT")
            yield f"{group} {average}AC"
            yield f"{line} {name.format('_line_voltage')} 1 16 1 0 V"
            yield f"{neutral} {name.format('_voltage')} 3 16 1 0 V"
            yield f"{hertz} {name.format('_frequency')} 5 16 0.0078125 0 Hz"
            yield f"{ampere} {name.format('_current')} 7 16 1 0 A"
            yield f"{group - 1} {total}ACP"
            yield f"{watt} {name.format('_power')} 1 32 1 -2000000000 W"
            yield f"{volt_ampere} {name.format('_apparent_power')} 5 32 1 -2000000000 VA"
            yield f"{group - 2} {total}ACR"
            yield f"{var} {name.format('_reactive_power')} 1 32 1 -2000000000 var"
            yield f"{factor} {name.format('_power_factor')} 5 16 0.00006103515625 -1 1"
            yield f"{lagging} {name.format('_power_factor_lagging')} 7 2"
        yield f"{energy} {letter}TACE"
        yield f"{out} {prefix}_energy_export 1 32 1 0 kWh"
        yield f"{into} {prefix}_energy_import 5 32 1 0 kWh"


def parameter(spn: int, words: list[str]) -> Parameter:
    """words: name, byte or byte.bit, bits, [resolution, offset, unit]."""
    name, place, bits, *rest = words
    byte, _, bit = place.partition(".")
    start = (int(byte) - 1) * 8 + int(bit or 1) - 1
    if not rest:
        return Parameter(name, spn, start, int(bits), special=spn != 1483)  # any address is one
    scale, offset, unit = rest
    return Parameter(name, spn, start, int(bits), Decimal(scale), Decimal(offset), unit)


def _groups() -> Iterator[Group]:
    pgn, label, found = 0, "", list[Parameter]()
    for line in (*_ENGINE.splitlines(), *_ac_lines(), ""):
        first, *words = line.split() or [""]
        if len(words) > 1:
            found.append(parameter(int(first), words))
            continue
        if found:
            yield Group(pgn, label, tuple(found))
        found = []
        if words:
            pgn, label = int(first), words[0]


GROUPS: Mapping[int, Group] = {group.pgn: group for group in _groups()}
NAMES: Mapping[int, str] = {p.spn: p.name for group in GROUPS.values() for p in group.parameters}

# J1939-73: failure mode identifiers of a diagnostic trouble code.
FAILURES = (
    "above_normal_most_severe", "below_normal_most_severe", "erratic", "voltage_high", "voltage_low",
    "current_low_or_open", "current_high_or_grounded", "mechanical", "abnormal_frequency", "abnormal_update_rate",
    "abnormal_rate_of_change", "root_cause_not_known", "bad_device", "out_of_calibration", "special_instructions",
    "above_normal_least_severe", "above_normal_moderate", "below_normal_least_severe", "below_normal_moderate",
    "received_data_in_error", "drifted_high", "drifted_low",
)  # fmt: skip
