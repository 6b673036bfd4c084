"""The registers of CJ/T 188 replies: which ones a kind of meter has, their units, and how they are read.

A value is four bytes of packed decimal digits and one of unit, a temperature or a time three bytes of digits, all
low byte first. Most replies have no absent value and no odd unit: `usual` reads those at once, every other one is
read value by value, which also says which byte is wrong.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import NamedTuple, TypeAlias

from dutyroom.errors import Rejected
from dutyroom.model.telemetry import Scalar
from dutyroom.profiles.codecs.frames import Piece, decimal, fixed

# Code -> unit, and by how many powers of ten the number counts.
VOLUMES = {0x29: ("L", 0), 0x2C: ("m3", 0)}
ENERGIES = {
    0x01: ("J", 0), 0x02: ("Wh", 0), 0x05: ("kWh", 0), 0x08: ("MWh", 0), 0x0A: ("MWh", 2), 0x0B: ("kJ", 0),
    0x0E: ("MJ", 0), 0x11: ("GJ", 0), 0x13: ("GJ", 2),
}  # fmt: skip
POWERS = {0x14: ("W", 0), 0x17: ("kW", 0), 0x1A: ("MW", 0)}
FLOWS = {0x32: ("L/h", 0), 0x35: ("m3/h", 0)}
Units: TypeAlias = Mapping[int, tuple[str, int]]

# Names, decimals, units of the values with a unit (five bytes each) in a reply to 901F.
Layout: TypeAlias = tuple[tuple[str, int, Units], ...]
Tail: TypeAlias = tuple[tuple[str, int], ...]
WATER: Layout = (("volume", 2, VOLUMES), ("settlement_volume", 2, VOLUMES))
HEAT: Layout = (
    ("settlement_energy", 2, ENERGIES), ("energy", 2, ENERGIES), ("power", 2, POWERS), ("flow", 4, FLOWS),
    ("volume", 2, VOLUMES),
)  # fmt: skip
HEAT_TAIL: Tail = (
    ("supply_temperature", 2),
    ("return_temperature", 2),
    ("working_time", 0),
)  # three bytes each
VALUE, SHORT = 5, 3  # bytes of a value with its unit, of one without

Values: TypeAlias = dict[str, Scalar | None]
Told: TypeAlias = (
    Callable[[str, Piece, Scalar | None], None] | None
)  # (field, bytes, value); None: nobody looks


class Field(NamedTuple):
    """A value in the text of all registers' digits, last byte first: its digits are text[first:end], those behind
    the decimal point text[point:end] (point = end: none). unit_at: the byte of its unit, which is one of units."""

    name: str
    first: int
    point: int
    end: int
    unit_name: str
    unit_at: int
    units: Mapping[int, str]


class Registers(NamedTuple):
    """The registers of one kind of meter. size: their bytes; fields: the same for `usual`."""

    layout: Layout
    tail: Tail
    unit_first: bool
    size: int
    fields: tuple[Field, ...]


@lru_cache
def registers_of(heat: bool, unit_first: bool) -> Registers:
    layout, tail = (HEAT, HEAT_TAIL) if heat else (WATER, ())
    size, fields = VALUE * len(layout) + SHORT * len(tail), []
    for number, (name, decimals, units) in enumerate(layout):
        at = VALUE * number
        end = 2 * (size - at - unit_first)
        plain = {code: unit for code, (unit, tens) in units.items() if not tens}
        unit_at = at if unit_first else at + 4
        fields.append(Field(name, end - 8, end - decimals, end, f"{name}_unit", unit_at, plain))
    for number, (name, decimals) in enumerate(tail):
        end = 2 * SHORT * (len(tail) - number)
        fields.append(Field(name, end - 2 * SHORT, end - decimals, end, "", 0, {}))
    return Registers(layout, tail, unit_first, size, tuple(fields))


def usual(data: bytes, registers: Registers) -> Values | None:
    """What `read` gives, in a third of the time; None where one of the registers is absent, wrong or in hundreds of
    a unit."""
    text = data[registers.size - 1 :: -1].hex()
    values: Values = {}
    for name, first, point, end, unit_name, unit_at, units in registers.fields:
        if not text[first:end].isdecimal():
            return None
        whole = int(text[first:point])
        values[name] = f"{whole}.{text[point:end]}" if point < end else str(whole)
        if unit_name:
            unit = units.get(data[unit_at])
            if unit is None:
                return None
            values[unit_name] = unit
    return values


def read(data: Piece, registers: Registers, told: Told) -> Values:
    """Raises Rejected for a digit above 9 and for a unit that is not of the quantity, naming the byte."""
    values: Values = {}
    for number, (name, decimals, units) in enumerate(registers.layout):
        piece = data.part(VALUE * number, VALUE)
        values.update(measured(piece, name, decimals, units, registers.unit_first, told))
    place = VALUE * len(registers.layout)
    for name, decimals in registers.tail:
        values[name] = decimal(data.part(place, SHORT), decimals, False, name)
        if told:
            told(f"values.{name}", data.part(place, SHORT), values[name])
        place += SHORT
    return values


def measured(piece: Piece, name: str, decimals: int, units: Units, unit_first: bool, told: Told) -> Values:
    """Four bytes of digits and one of unit. Raises Rejected for a unit that is not of this quantity."""
    number, unit_at = (piece.part(1, 4), 0) if unit_first else (piece.part(0, 4), 4)
    code = piece.data[unit_at]
    value = decimal(number, decimals, False, name)
    if value is None and code == 0xFF:
        return {name: None, f"{name}_unit": None}
    if code not in units:
        raise Rejected(f"unit of {name} at byte {piece.at[unit_at]}: {code:02X} is not one of it")
    unit, tens = units[code]
    if value is not None and tens:
        value = fixed(int(value.replace(".", "")), decimals - tens)
    if told:
        told(f"values.{name}", number, value)
        told(f"values.{name}_unit", piece.part(unit_at, 1), unit)
    return {name: value, f"{name}_unit": unit}


# ---------------------------------------------------------------- status

VALVES = {0: "open", 1: "closed", 3: "fault"}
Bits: TypeAlias = tuple[int, int, int] | None
# Where status bits stand: (mask and shift of the valve, mask of the battery) in the first byte.
STATUS_BITS: Mapping[str, Bits] = {"standard": (0x03, 0, 0x04), "mirrored": (0xC0, 6, 0x20), "none": None}


@lru_cache(maxsize=1024)
def status_of(word: bytes, bits: Bits) -> tuple[str, Mapping[str, Scalar | None]]:
    """The status word as sent; valve and battery where the maker's bits are known."""
    text = word.hex().upper()
    if bits is None or text == "FFFF":
        return text, {}
    mask, shift, battery = bits
    valve = VALVES.get((word[0] & mask) >> shift)
    return text, {"valve": valve, "battery_low": int(bool(word[0] & battery))}
