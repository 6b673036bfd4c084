"""Quantities, their canonical unit and how other units convert to it.

One table. A unit converts by `canonical = value * factor + offset` with exact Decimals, so that a
register's steps stay whole.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal, getcontext
from fractions import Fraction

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


# quantity: (canonical unit, {other unit: factor or (factor, offset)}). Fractions are exact.
_TABLE: dict[str, tuple[str, dict[str, str | tuple[str, str]]]] = {
    "number": ("", {"1": "1", "count": "1", "counter": "1"}),
    "volume": (
        "m3",
        {"m³": "1", "L": "1/1000", "l": "1/1000", "dm3": "1/1000", "ft3": "28316846592/1000000000000"},
    ),
    "energy": (
        "kWh",
        {
            "kwh": "1", "Wh": "1/1000", "MWh": "1000", "GWh": "1000000",
            "MJ": "10/36", "GJ": "10000/36", "kJ": "1/3600", "J": "1/3600000",
        },
    ),
    "reactive_energy": ("kvarh", {"kVArh": "1", "varh": "1/1000"}),
    "apparent_energy": ("kVAh", {"kvah": "1", "VAh": "1/1000"}),
    "power": ("kW", {"kw": "1", "W": "1/1000", "MW": "1000"}),
    "reactive_power": ("kvar", {"kVAr": "1", "var": "1/1000", "VAR": "1/1000"}),
    "apparent_power": ("kVA", {"kva": "1", "VA": "1/1000"}),
    "power_factor": ("", {"%": "1/100"}),
    "voltage": ("V", {"v": "1", "mV": "1/1000", "kV": "1000"}),
    "current": ("A", {"a": "1", "mA": "1/1000", "kA": "1000"}),
    "frequency": ("Hz", {"hz": "1", "kHz": "1000", "MHz": "1000000"}),
    "temperature": (
        "degC",
        {
            "°C": "1", "C": "1", "℃": "1",
            "degF": ("5/9", "-160/9"), "°F": ("5/9", "-160/9"), "F": ("5/9", "-160/9"),
            "K": ("1", "-27315/100"),
        },
    ),
    "temperature_difference": ("K", {"degC": "1", "°C": "1"}),
    "pressure": (
        "bar",
        {"mbar": "1/1000", "Pa": "1/100000", "hPa": "1/1000", "kPa": "1/100", "MPa": "10", "psi": "6894757293168/100000000000000000"},
    ),
    "level": (
        "m",
        {"cm": "1/100", "mm": "1/1000", "ft": "3048/10000", "feet": "3048/10000", "in": "254/10000", "km": "1000"},
    ),
    "flow": ("m3/h", {"m³/h": "1", "m3h": "1", "L/h": "1/1000", "l/h": "1/1000", "L/min": "6/100", "l/min": "6/100", "L/s": "36/10", "m3/s": "3600"}),
    "mass": ("kg", {"g": "1/1000", "t": "1000", "lb": "45359237/100000000", "lbs": "45359237/100000000"}),
    "ratio": ("%", {"percent": "1", "1": "100"}),
    "humidity": ("%", {"%RH": "1", "rh": "1"}),
    "duration": ("s", {"sec": "1", "ms": "1/1000", "min": "60", "h": "3600", "d": "86400", "y": "31557600", "year": "31557600"}),
    "running_time": ("h", {"min": "1/60", "s": "1/3600", "d": "24"}),
    "speed": ("1/min", {"rpm": "1", "1/s": "60"}),
    "velocity": ("m/s", {"km/h": "10/36", "ft/s": "3048/10000", "feetPerSec": "3048/10000"}),
    "acceleration": ("m/s2", {"m/s²": "1", "ft/s²": "3048/10000", "ft/s2": "3048/10000", "feetPerSqSec": "3048/10000"}),
    "angle": ("deg", {"°": "1", "rad": "180000000000000/3141592653590"}),
    "signal": ("dBm", {}),
    "signal_to_noise": ("dB", {}),
    "illuminance": ("lx", {"lux": "1"}),
    "concentration": ("ppm", {}),
    "heat_units": ("hca", {}),
    "data": ("B", {"kB": "1000", "MB": "1000000"}),
}  # fmt: skip


def _quantity(name: str) -> Quantity:
    canonical, others = _TABLE[name]
    units = {canonical: Unit(canonical)}
    for unit, rule in others.items():
        factor, offset = rule if isinstance(rule, tuple) else (rule, "0")
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
