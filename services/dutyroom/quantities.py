"""Quantities, their canonical unit and how other units convert to it.

One table. A unit converts by `canonical = value * factor + offset` with exact Decimals, so that a
register's steps stay whole.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal, getcontext
from fractions import Fraction
from typing import TypeAlias

from dutyroom.errors import Rejected


@dataclass(frozen=True, slots=True)
class Unit:
    """canonical = value * factor + offset, exact."""

    name: str
    factor: Fraction = Fraction(1)
    offset: Fraction = Fraction(0)


@dataclass(frozen=True, slots=True)
class Quantity:
    """units: every name a unit may have, its canonical one included."""

    name: str
    unit: str
    units: Mapping[str, Unit]


_FT, _IN = Fraction("0.3048"), Fraction("0.0254")
_FT3, _IN3, _GAL = _FT**3, _IN**3, 231 * _IN**3  # US gallons; an imperial one is another unit
_LB, _GRAVITY = Fraction("0.45359237"), Fraction("9.80665")
_LBF = _LB * _GRAVITY
_PSI = _LBF / _IN**2 / 100_000
_BTU = Fraction("1055.05585262") / 3_600_000  # in kWh; that many in an hour in kW
_CAL = Fraction("4.1868") / 3_600_000
_MMHG = Fraction("13.5951") * _GRAVITY / 100_000  # in bar
_MMH2O = _GRAVITY / 100_000

_Rule: TypeAlias = str | Fraction | tuple[str, str]
# quantity: (canonical unit, {other unit: factor or (factor, offset)}). Fractions are exact.
#
# Sources: the SI (BIPM brochure, 9th edition) and NIST SP 811, appendix B. By definition: inch 0.0254 m,
# pound 0.45359237 kg, gallon (US) 231 cubic inches, standard gravity 9.80665 m/s2, atmosphere 101325 Pa,
# calorie (International Table) 4.1868 J, Btu (International Table) 1055.05585262 J, horsepower 550 ft lbf/s,
# mmHg 13.5951 g/cm3 times gravity, mmH2O 1 g/cm3 times gravity, ton of refrigeration 12000 Btu/h. A therm is
# 100000 Btu in Europe (therm_ec) and 105480400 J in the US (therm_us): without its country it is no unit.
_TABLE: dict[str, tuple[str, dict[str, _Rule]]] = {
    "number": ("", {"1": "1", "count": "1", "counts": "1", "counter": "1", "pulse": "1", "pulses": "1", "imp": "1"}),
    "volume": (
        "m3",
        {
            "m³": "1", "m^3": "1", "㎥": "1", "cbm": "1", "L": "1/1000", "l": "1/1000", "dm3": "1/1000",
            "mL": "1/1000000", "ml": "1/1000000", "cm3": "1/1000000", "hL": "1/10", "kL": "1",
            "ft3": _FT3, "ft³": _FT3, "CF": _FT3, "CCF": 100 * _FT3, "in3": _IN3, "gal": _GAL, "gallon": _GAL,
        },
    ),
    "energy": (
        "kWh",
        {
            "kwh": "1", "Wh": "1/1000", "MWh": "1000", "GWh": "1000000",
            "mWh": "1/1000000", "MJ": "10/36", "GJ": "10000/36", "TJ": "10000000/36", "kJ": "1/3600", "J": "1/3600000",
            "cal": _CAL, "kcal": 1000 * _CAL, "Mcal": 10**6 * _CAL, "Gcal": 10**9 * _CAL,
            "BTU": _BTU, "Btu": _BTU, "kBTU": 1000 * _BTU, "MMBTU": 10**6 * _BTU,
            "therm_ec": 10**5 * _BTU, "therm_us": "105480400/3600000",
        },
    ),
    "reactive_energy": ("kvarh", {"kVArh": "1", "varh": "1/1000", "Mvarh": "1000"}),
    "apparent_energy": ("kVAh", {"kvah": "1", "VAh": "1/1000", "MVAh": "1000"}),
    "power": (
        "kW",
        {
            "kw": "1", "W": "1/1000", "mW": "1/1000000", "MW": "1000", "kJ/h": "1/3600", "MJ/h": "10/36", "GJ/h": "10000/36",
            "BTU/h": _BTU, "Btu/h": _BTU, "kcal/h": 1000 * _CAL, "RT": 12000 * _BTU,
            "hp": 550 * _LBF * _FT / 1000,
        },
    ),
    "reactive_power": ("kvar", {"kVAr": "1", "var": "1/1000", "VAR": "1/1000"}),
    "apparent_power": ("kVA", {"kva": "1", "VA": "1/1000"}),
    "power_factor": ("", {"%": "1/100"}),
    "voltage": ("V", {"v": "1", "uV": "1/1000000", "µV": "1/1000000", "mV": "1/1000", "kV": "1000"}),
    "current": ("A", {"a": "1", "uA": "1/1000000", "µA": "1/1000000", "mA": "1/1000", "kA": "1000"}),
    "charge": ("Ah", {"mAh": "1/1000", "As": "1/3600"}),
    "resistance": ("ohm", {"Ω": "1", "mohm": "1/1000", "kohm": "1000", "kΩ": "1000", "Mohm": "1000000", "MΩ": "1000000"}),
    "frequency": ("Hz", {"hz": "1", "kHz": "1000", "MHz": "1000000"}),
    "temperature": (
        "degC",
        {
            "°C": "1", "C": "1", "℃": "1",
            "degF": ("5/9", "-160/9"), "°F": ("5/9", "-160/9"), "F": ("5/9", "-160/9"),
            "K": ("1", "-27315/100"),
        },
    ),
    "temperature_difference": ("K", {"degC": "1", "°C": "1", "degF": "5/9", "°F": "5/9"}),
    "pressure": (
        "bar",
        {
            "mbar": "1/1000", "ubar": "1/1000000", "Pa": "1/100000", "hPa": "1/1000", "kPa": "1/100", "MPa": "10",
            "psi": _PSI, "PSI": _PSI, "atm": "101325/100000", "at": "0.980665", "kgf/cm2": "0.980665", "kg/cm2": "0.980665",
            "mmHg": _MMHG, "Torr": "101325/76000000", "inHg": Fraction("25.4") * _MMHG,
            "mmH2O": _MMH2O, "mH2O": 1000 * _MMH2O, "inH2O": Fraction("25.4") * _MMH2O,
        },
    ),
    "level": (
        "m",
        {
            "cm": "1/100", "mm": "1/1000", "um": "1/1000000", "µm": "1/1000000", "km": "1000", "ft": "3048/10000", "feet": "3048/10000",
            "in": "254/10000", "inch": "254/10000", "yd": "9144/10000", "mi": "1609344/1000",
        },
    ),
    "flow": (
        "m3/h",
        {
            "m³/h": "1", "m3h": "1", "m3/d": "1/24", "m3/min": "60", "m3/s": "3600", "L/h": "1/1000", "l/h": "1/1000", "L/d": "1/24000",
            "L/min": "6/100", "l/min": "6/100", "lpm": "6/100", "LPM": "6/100", "L/s": "36/10", "l/s": "36/10", "mL/min": "6/100000",
            "gal/min": 60 * _GAL, "gpm": 60 * _GAL, "GPM": 60 * _GAL, "gal/h": _GAL,
            "ft3/h": _FT3, "ft³/h": _FT3, "cfh": _FT3, "ft3/min": 60 * _FT3, "cfm": 60 * _FT3, "CFM": 60 * _FT3,
        },
    ),
    "mass": (
        "kg",
        {"g": "1/1000", "mg": "1/1000000", "t": "1000", "lb": _LB, "lbs": _LB, "oz": _LB / 16},
    ),
    "force": ("N", {"kN": "1000", "kgf": "980665/100000", "lbf": _LBF}),
    "ratio": ("%", {"percent": "1", "1": "100"}),
    "humidity": ("%", {"%RH": "1", "rh": "1"}),
    "duration": ("s", {"sec": "1", "ms": "1/1000", "min": "60", "h": "3600", "d": "86400", "y": "31557600", "year": "31557600"}),
    "running_time": ("h", {"min": "1/60", "s": "1/3600", "d": "24"}),
    "speed": ("1/min", {"rpm": "1", "1/s": "60"}),
    "velocity": ("m/s", {"km/h": "10/36", "mm/s": "1/1000", "ft/s": "3048/10000", "feetPerSec": "3048/10000", "mph": "44704/100000", "kn": "1852/3600", "knot": "1852/3600"}),
    "acceleration": ("m/s2", {"m/s²": "1", "m/s^2": "1", "mm/s2": "1/1000", "mm/s²": "1/1000", "mm/s^2": "1/1000", "cm/s2": "1/100", "cm/s²": "1/100", "ft/s²": "3048/10000", "ft/s2": "3048/10000", "feetPerSqSec": "3048/10000", "g": "980665/100000", "mg": "980665/100000000"}),
    "angle": ("deg", {"°": "1", "rad": "180000000000000/3141592653590"}),
    "signal": ("dBm", {}),
    "signal_to_noise": ("dB", {}),
    "illuminance": ("lx", {"lux": "1"}),
    "irradiance": ("W/m2", {"W/m²": "1", "kW/m2": "1000", "mW/cm2": "10"}),
    "sound_level": ("dB", {"dB(A)": "1", "dBA": "1", "dB(C)": "1", "dBC": "1"}),
    "concentration": ("ppm", {"ppb": "1/1000", "%": "10000", "%vol": "10000"}),
    "mass_concentration": (
        "mg/m3",
        {
            "mg/m³": "1", "ug/m3": "1/1000", "µg/m3": "1/1000", "μg/m3": "1/1000", "ug/m³": "1/1000", "µg/m³": "1/1000",
            "μg/m³": "1/1000", "ug/L": "1", "mg/L": "1000", "mg/l": "1000", "g/m3": "1000", "g/L": "1000000", "kg/m3": "1000000",
        },
    ),
    "explosive_limit": ("%LEL", {"% LEL": "1", "LEL": "1"}),
    "conductivity": (
        "uS/cm",
        {"µS/cm": "1", "μS/cm": "1", "mS/cm": "1000", "S/cm": "1000000", "uS/m": "1/100", "mS/m": "10", "S/m": "10000", "dS/m": "1000"},
    ),
    "turbidity": ("NTU", {}),
    "acidity": ("pH", {}),
    "radioactivity": ("Bq/m3", {"Bq/m³": "1", "pCi/L": "37"}),
    "heat_units": ("hca", {}),
    "data": ("B", {"kB": "1000", "MB": "1000000", "GB": "1000000000", "KiB": "1024", "MiB": "1048576"}),
}  # fmt: skip


def _quantity(name: str) -> Quantity:
    canonical, others = _TABLE[name]
    units = {canonical: Unit(canonical)}
    for unit, rule in others.items():
        factor, offset = rule if isinstance(rule, tuple) else (Fraction(rule), "0")
        units[unit] = Unit(unit, Fraction(factor), Fraction(offset))
    return Quantity(name, canonical, units)


QUANTITIES: Mapping[str, Quantity] = {name: _quantity(name) for name in _TABLE}


def quantity(name: str) -> Quantity:
    """Raises Rejected for an unknown quantity."""
    try:
        return QUANTITIES[name]
    except KeyError:
        raise Rejected(f"unknown quantity {name!r}; known: {', '.join(QUANTITIES)}") from None


def unit_of(quantity_name: str, unit: str) -> Unit:
    """The unit of a quantity by any of its names; "" is the canonical one. Raises Rejected."""
    found = quantity(quantity_name)
    if not unit:
        return found.units[found.unit]
    try:
        return found.units[unit]
    except KeyError:
        known = ", ".join(u for u in found.units if u)
        raise Rejected(f"{unit!r} is no unit of {quantity_name}; known: {known or 'none'}") from None


# A unit name that several quantities share means the first of these.
_PREFERRED = ("temperature", "ratio", "duration", "level", "energy", "power")


def quantities_of(unit: str) -> tuple[str, ...]:
    """The quantities that know a unit by this name, the usual one first; empty = unknown unit."""
    if not unit:
        return ()
    names = [q.name for q in QUANTITIES.values() if unit in q.units]
    return tuple(sorted(names, key=lambda n: n not in _PREFERRED))


def to_canonical(value: Decimal, quantity_name: str, unit: str) -> Decimal:
    """value in `unit` expressed in the quantity's canonical unit, to the Decimal context's precision."""
    rule = unit_of(quantity_name, unit)
    exact = Fraction(value) * rule.factor + rule.offset
    return getcontext().divide(Decimal(exact.numerator), Decimal(exact.denominator))
