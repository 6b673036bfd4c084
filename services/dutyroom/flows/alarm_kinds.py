"""What an alarm is called where it is compared with what is known to have happened: specific kinds, in families.

A kind is what a detector says it found, else what its rule stands for. Kinds of one family look alike from
outside: a flat without supply and a stuck electricity meter, for example.
"""

from __future__ import annotations

from collections.abc import Mapping

from dutyroom.model.duty import Arguments

# By rule, where it is not what `_plain` makes of its id.
_KINDS: Mapping[str, str] = {
    "water.burst": "burst",
    "water.unit_burst": "burst",
    "water.leak": "continuous_flow",
    "water.home_leak": "leak",
    "network.leak": "leak",
    "meter.leak_flag": "leak",
    "meter.burst_flag": "burst",
    "sensor.leak": "water_leak",
    "sensor.second_leak": "water_leak",
    "meter.stopped": "meter_stuck",
    "meter.leap": "meter_jump",
    "meter.decrease": "meter_rollback",
    "meter.backflow": "backflow",
    "electricity.stuck": "power_cut",
    "power.cut": "power_cut",
    "power.mains_lost": "power_cut",
    "electricity.phase_a_lost": "phase_loss",
    "electricity.phase_b_lost": "phase_loss",
    "electricity.phase_c_lost": "phase_loss",
    "electricity.phase_reported": "phase_loss",
    "electricity.overload": "overload",
    "electricity.overload_heavy": "overload",
    "electricity.permitted_load": "overload",
    "feeder.overload": "overload",
    "feeder.overload_heavy": "overload",
    "generator.overload": "overload",
    "tank.overflow": "tank_overflow",
    "tank.dry": "tank_dry",
    "fire_tank.low": "tank_low",
    "pump.dry_run": "dry_run",
    "gateway.offline": "gateway_offline",
}
# What a detector says it is, by the word that tables of known events have for it.
_CAUSES: Mapping[str, str] = {
    "level_frozen": "flatline",
    "level_leak": "leak",
    "pump_no_rise": "pump_failure",
    "balance_loss": "leak",
    "balance_surplus": "meter_fault",
}
_SILENT = ("silent", "offline", "stale")

FAMILIES: Mapping[str, frozenset[str]] = {
    "water_leak": frozenset(
        [
            "leak",
            "burst",
            "water_leak",
            "continuous_flow",
            "night_flow",
            "high_flow",
            "pressure_low",
            "pressure_drop",
        ]
    ),
    "meter_fault": frozenset(
        ["meter_fault", "meter_stuck", "meter_rollback", "meter_jump", "backflow", "reverse_flow", "flatline"]
    ),
    "power": frozenset(["power_cut", "power_outage", "no_power", "phase_loss", "pump_failure", "pump_off"]),
    "offline": frozenset(["offline", "gateway_offline", "no_data", "silent", "stale"]),
    "elec": frozenset(["elec_abnormal", "overconsumption", "high_consumption", "overload", "baseload_high"]),
    "tank": frozenset(
        ["tank_overflow", "tank_dry", "tank_high", "tank_low", "tank_level", "dry_run", "overflow"]
    ),
    "sensor": frozenset(["sensor_anomaly", "temperature_abnormal", "temperature"]),
}
_FAMILY = {kind: family for family, kinds in FAMILIES.items() for kind in kinds}
ANY = "any"


def kind_of(rule: str, arguments: Arguments) -> str:
    """What a detector says it is (its `cause`), or what its rule stands for."""
    cause = arguments.get("cause")
    if isinstance(cause, str) and cause:
        return _CAUSES.get(cause, cause)
    return _KINDS.get(rule) or _plain(rule)


def _plain(rule: str) -> str:
    """`gate.forced` is gate_forced; whoever is silent is offline; a site's own rule may name a kind."""
    last = rule.rpartition(".")[2]
    if last in _SILENT:
        return "offline"
    return last if last in _FAMILY else rule.replace(".", "_")


def family_of(kind: str) -> str:
    """ "" = of no family."""
    return _FAMILY.get(kind, "")


def accepted(kind: str, families: str, known: str) -> bool:
    """Whether an alarm of a kind tells of a known event. families: "power|tank" or "any"; "" = the family of
    the event's own kind, or that kind itself."""
    if families:
        allowed = families.split("|")
        return ANY in allowed or family_of(kind) in allowed
    return kind == known or (family_of(kind) != "" and family_of(kind) == family_of(known))
