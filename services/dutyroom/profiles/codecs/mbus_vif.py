"""What a VIF chain means: quantity, unit and factor, from the tables of the pymbusparser library.

The library is asked once for each chain, with a 16-bit probe record of the values 0 and 1; see
docs/decisions/mbus.md for why it is not handed the record itself.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from functools import lru_cache

import pymbusparser

# Names of the library -> ours, where lower case and underlines are not enough.
_WORDS: Mapping[str, str] = {
    "Time point (date)": "date", "Time point (date and time)": "datetime", "Dimensionless HCA": "hca",
    "Dimensionless": "counter", "Model or version": "model_version", "Metrology firmware version": "firmware_version",
    "Other software version": "software_version", "Parameter set identification": "parameter_set",
    "Unique message identification or access number": "transmission_counter",
    "Data container for wireless M-Bus protocol": "data_container", "Operating time battery": "battery_operating_time",
    "Remaining battery life time": "remaining_battery", "Cumulation counter": "cumulation_counter",
    "Enhanced identification": "enhanced_id", "RF power level": "rf_power",
    "Accumulation only if value is positive": "forward", "Accumulation only if value is negative": "backward",
    "Accumulation of absolute value both positive and negative contribution": "absolute",
    "Future value": "next", "Averaged": "average", "Value at base conditions": "base_conditions",
    "Inverse compact profile": "inverse_profile", "Compact profile": "profile", "Leakage values": "leakage",
    "Compact profile with register numbers": "register_profile", "VIF contains uncorrected unit or value": "uncorrected",
    "Standard conform data content": "", "Next VIFE and data of this block are manufacturer specific": "",
    "Reserved for object actions": "", "Reserved": "", "Binary": "",
}  # fmt: skip
_HOUR = Decimal(1) / 3_600_000  # J/h in kW
# UCUM units of the library -> (unit, factor).
_UNITS: Mapping[str, tuple[str, Decimal]] = {
    "W.h": ("Wh", Decimal(1)), "J": ("J", Decimal(1)), "cal": ("J", Decimal("4.1868")), "m3": ("m3", Decimal(1)),
    "[ft_i]3": ("ft3", Decimal(1)), "[gal_us]": ("m3", Decimal("0.003785411784")), "kg": ("kg", Decimal(1)),
    "t": ("kg", Decimal(1000)), "W": ("W", Decimal(1)), "J.h-1": ("kW", _HOUR), "m3.h-1": ("m3/h", Decimal(1)),
    "m3.min-1": ("m3/h", Decimal(60)), "m3.s-1": ("m3/h", Decimal(3600)), "kg.h-1": ("kg/h", Decimal(1)),
    "Cel": ("degC", Decimal(1)), "[degF]": ("degF", Decimal(1)), "K": ("K", Decimal(1)), "bar": ("bar", Decimal(1)),
    "s": ("s", Decimal(1)), "min": ("min", Decimal(1)), "m": ("min", Decimal(1)), "h": ("h", Decimal(1)),
    "d": ("d", Decimal(1)), "mo": ("month", Decimal(1)), "a": ("year", Decimal(1)), "V": ("V", Decimal(1)),
    "A": ("A", Decimal(1)), "Hz": ("Hz", Decimal(1)), "%": ("%", Decimal(1)), "°": ("deg", Decimal(1)),
    "W (reactive)": ("var", Decimal(1)), "W (reactive)h": ("varh", Decimal(1)), "W (apparent)": ("VA", Decimal(1)),
    "W (apparent)h": ("VAh", Decimal(1)), "dBmW": ("dBm", Decimal(1)), "HCAUnit": ("", Decimal(1)),
}  # fmt: skip
# Codes that the library does not name, or names without their unit: duration since the last readout, battery's life.
_OWN: Mapping[bytes, tuple[str, str]] = {b"\xfd\x74": ("remaining_battery", "d")} | {
    bytes((0xFD, 0x2C + number)): ("duration_since_readout", unit)
    for number, unit in enumerate(("s", "min", "h", "d"))
}
MAKER = "manufacturer"
_EXCEPT = re.compile(r"[^a-z0-9]+")


@dataclass(frozen=True, slots=True)
class Meaning:
    """word: the quantity, snake case. unit "" = none. extras: what its VIFE add, in order.

    factor, offset: value = number * factor + offset; of a whole number the same as
    (number * whole + added) / 10**places. failed: the record says that it has no value.
    """

    word: str
    unit: str = ""
    factor: Decimal = Decimal(1)
    offset: Decimal = Decimal(0)
    extras: tuple[str, ...] = ()
    failed: bool = False
    is_date: bool = field(init=False)
    count: bool = field(init=False)  # a plain number without a unit
    places: int = field(init=False)
    whole: int = field(init=False)
    added: int = field(init=False)

    def __post_init__(self) -> None:
        dated = any(e.startswith(("date_", "start_date")) for e in self.extras)
        places = max(0, -_exponent(self.factor), -_exponent(self.offset))
        object.__setattr__(self, "is_date", dated or self.word in ("date", "datetime"))
        object.__setattr__(self, "count", not self.unit and self.factor == 1 and self.offset == 0)
        object.__setattr__(self, "places", places)
        object.__setattr__(self, "whole", int(self.factor.scaleb(places)))
        object.__setattr__(self, "added", int(self.offset.scaleb(places)))


def _exponent(number: Decimal) -> int:
    return int(number.as_tuple().exponent)


@lru_cache(maxsize=2048)
def meaning(vif: bytes) -> Meaning:
    """Never raises: what nobody knows is called after its bytes (`manufacturer_ff21`, `vif_fb0a`)."""
    first = vif[0] & 0x7F
    if vif in (b"\xfb", b"\xfd"):  # their second byte is missing
        return Meaning(f"vif_{vif.hex()}")
    if first == 0x7C:
        return Meaning("text_unit", extras=_maker_part(vif)[1])
    if first == 0x7F:
        return Meaning(f"{MAKER}_{vif.hex()}")
    standard, extras = _maker_part(vif)
    found = _asked(standard)
    return Meaning(found.word, found.unit, found.factor, found.offset, found.extras + extras, found.failed)


def _maker_part(vif: bytes) -> tuple[bytes, tuple[str, ...]]:
    """The chain up to VIFE FF, after which the maker's own codes follow (FF itself may be the last as 7F)."""
    start = 2 if vif[0] in (0xFB, 0xFD) else 1
    for at in range(start, len(vif)):
        if vif[at] & 0x7F == 0x7F:
            before, last = bytearray(vif[:at]), vif[at + 1 :]
            before[-1] &= 0x7F
            return bytes(before), (f"x{last.hex()}",) if last else ()
    return vif, ()


def _asked(vif: bytes) -> Meaning:
    start = 2 if vif[0] in (0xFB, 0xFD) else 1
    base = bytes((*vif[: start - 1], vif[start - 1] & 0x7F))
    own = _OWN.get(base)
    if own is not None:
        return Meaning(*own, extras=_asked(b"\x93" + vif[start:]).extras if vif[start:] else ())
    names, unit, one = _probe(vif, 1)
    if not names:
        return Meaning(f"vif_{vif.hex()}")
    zero = _probe(vif, 0)[2]
    word, *extras = [_word(name) for name in names]
    unit, per = _per(vif[:start], unit)
    known, factor = _UNITS.get(unit, (unit, Decimal(1)))
    codes = any("error codes" in name for name in names[1:])
    # An error code beside a duration says which duration it is (Diehl: hours with an error), not that it failed.
    lasting = word in ("operating_time", "on_time")
    added = [] if codes and not lasting else ["error"] if codes else [e for e in extras if e] + per
    word = word or f"vif_{base.hex()}"
    return Meaning(word, known, (one - zero) * factor, zero * factor, tuple(added), codes and not lasting)


def _per(first: bytes, unit: str) -> tuple[str, list[str]]:
    """A VIFE that divides (per month, per litre): the unit without it, and its word."""
    plain = _probe(bytes((*first[:-1], first[-1] & 0x7F)), 1)[1]
    if plain and unit.startswith(f"{plain}.") and unit.endswith("-1"):
        return plain, [f"per_{_word(unit[len(plain) + 1 : -2])}"]
    return unit, []


def _word(name: str) -> str:
    found = _WORDS.get(name)
    return _EXCEPT.sub("_", name.lower()).strip("_") if found is None else found


def _probe(vif: bytes, value: int) -> tuple[list[str], str, Decimal]:
    """(names, unit, value) of a 16-bit record with this VIF; no names when the library cannot read it."""
    time_point = vif[0] & 0x7F == 0x6D
    data = bytes(4) if time_point else bytes((value, 0))
    try:
        [found] = pymbusparser.parse_records(bytes((4 if time_point else 2,)) + vif + data)
    except (ValueError, TypeError):  # the library's own error is a ValueError
        return [], "", Decimal(0)
    given = found.get("value", {}).get("value")
    try:
        number = Decimal(str(given))
    except InvalidOperation:  # a date
        number = Decimal(value)
    return [str(n) for n in found.get("quantities", ())], str(found.get("unit") or ""), number
