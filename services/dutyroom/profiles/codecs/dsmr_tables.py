"""OBIS codes of DSMR P1 (versions 2.2 to 5.0.2) and of its Belgian and Luxembourg kin, by name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

TIME: Final = "0-0:1.0.0"
VERSIONS: Final = ("1-3:0.2.8", "0-0:96.1.4")  # DSMR; Belgium
EQUIPMENT: Final = ("0-0:96.1.1", "0-0:42.0.0")  # the second is Luxembourg's
FAILURES: Final = "1-0:99.97.0"
MONTH_PEAK: Final = "1-0:1.6.0"
DEMAND_HISTORY: Final = "0-0:98.1.0"
LOGS: Final = frozenset({FAILURES, DEMAND_HISTORY})
TEXTS: Final[Mapping[str, str]] = {"0-0:96.13.1": "message_code", "0-0:96.13.0": "message"}

REGISTERS: Final[Mapping[str, str]] = {
    "1-0:1.8.0": "energy_import", "1-0:1.8.1": "energy_import_t1", "1-0:1.8.2": "energy_import_t2",
    "1-0:2.8.0": "energy_export", "1-0:2.8.1": "energy_export_t1", "1-0:2.8.2": "energy_export_t2",
    "1-0:3.8.0": "reactive_import", "1-0:3.8.1": "reactive_import_t1", "1-0:3.8.2": "reactive_import_t2",
    "1-0:4.8.0": "reactive_export", "1-0:4.8.1": "reactive_export_t1", "1-0:4.8.2": "reactive_export_t2",
    "0-0:96.14.0": "tariff",
    "1-0:1.7.0": "power_import", "1-0:2.7.0": "power_export",
    "1-0:21.7.0": "power_import_l1", "1-0:41.7.0": "power_import_l2", "1-0:61.7.0": "power_import_l3",
    "1-0:22.7.0": "power_export_l1", "1-0:42.7.0": "power_export_l2", "1-0:62.7.0": "power_export_l3",
    "1-0:3.7.0": "reactive_power_import", "1-0:4.7.0": "reactive_power_export",
    "1-0:32.7.0": "voltage_l1", "1-0:52.7.0": "voltage_l2", "1-0:72.7.0": "voltage_l3",
    "1-0:31.7.0": "current_l1", "1-0:51.7.0": "current_l2", "1-0:71.7.0": "current_l3",
    "1-0:14.7.0": "frequency",
    "0-0:96.7.21": "failures_short", "0-0:96.7.9": "failures_long",
    "1-0:32.32.0": "sags_l1", "1-0:52.32.0": "sags_l2", "1-0:72.32.0": "sags_l3",
    "1-0:32.36.0": "swells_l1", "1-0:52.36.0": "swells_l2", "1-0:72.36.0": "swells_l3",
    "1-0:1.4.0": "demand", "1-0:1.6.0": "demand_max",
    "0-0:96.3.10": "breaker", "0-0:17.0.0": "limit", "1-0:31.4.0": "fuse",
}  # fmt: skip

# A total that the meter does not show is the exact sum of its two tariffs.
TOTALS: Final[Mapping[str, tuple[str, str]]] = {
    name: (f"{name}_t1", f"{name}_t2") for name in ("energy_import", "energy_export")
}

# Device types of M-Bus (EN 13757-3).
KINDS: Final[Mapping[int, str]] = {
    2: "electricity", 3: "gas", 4: "heat", 6: "hot_water", 7: "water", 10: "cooling", 12: "heat", 21: "hot_water",
    22: "water",
}  # fmt: skip
ENERGY_UNITS: Final = frozenset({"GJ", "MJ", "kWh", "MWh"})
