"""The data identifiers of DL/T 645-2007: which registers a reply holds, and how they are written.

Annex A of the standard gives four bytes DI3 DI2 DI1 DI0, here one number 0xDI3DI2DI1DI0. DI3 is the
family (00 energy, 01 maximum demand, 02 momentary values, 04 parameters, 05 frozen values). FF in a
lower byte asks for a block: all rates, all phases, or all settlement days one after the other.

Names: `energy_forward`, `energy_forward_rate_2`, `settlement_1_energy_forward` (the last closing day is 1),
`daily_freeze_1_energy_forward`, `voltage_a`. Units: kWh, kvarh, kVAh, kW, kvar, kVA, V, A, Hz, min.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import TypeAlias

from dutyroom.profiles.codecs.frames import Piece, decimal, digits, local_time

Read: TypeAlias = Callable[[Piece, str], str | int | None]  # (bytes without the 33 offset, what) -> value


@dataclass(frozen=True, slots=True)
class Item:
    """One register. flags: names of single bits of a status word -> bit number. quick: reads what most registers
    hold as `read` does, None for everything else."""

    name: str
    size: int
    read: Read
    flags: Mapping[str, int] = field(default_factory=dict)
    quick: Callable[[bytes], str | None] | None = None


@dataclass(frozen=True, slots=True)
class Group:
    """Registers that come together, such as a demand and its time. size: bytes of all."""

    items: tuple[Item, ...]
    size: int


def group(*items: Item) -> Group:
    return Group(items, sum(item.size for item in items))


def number(name: str, size: int, decimals: int, signed: bool = False) -> Item:
    def quick(data: bytes) -> str | None:
        text = data[::-1].hex()
        if not text.isdecimal() or (signed and data[-1] & 0x80):
            return None
        return f"{int(text[:-decimals])}.{text[-decimals:]}" if decimals else str(int(text))

    assert 2 * size > decimals
    return Item(name, size, lambda piece, what: decimal(piece, decimals, signed, what), quick=quick)


def moment(name: str) -> Item:
    """YYMMDDhhmm as ISO local time."""
    return Item(name, 5, lambda piece, what: local_time(digits(piece, what)))


def text(name: str, size: int) -> Item:
    return Item(name, size, _text)


def _text(piece: Piece, what: str) -> str | None:
    return piece.data[::-1].decode("ascii", "replace").strip(" \0\ufffd") or None


def _word(piece: Piece, what: str) -> int | None:
    value = int.from_bytes(piece.data, "little")
    return None if value == 0xFFFF else value


def _date(piece: Piece, what: str) -> str | None:
    """YYMMDDWW; the weekday is not told apart."""
    found = digits(piece, what)
    return f"20{found[:2]}-{found[2:4]}-{found[4:6]}" if found and found.strip("0") else None


def _clock(piece: Piece, what: str) -> str | None:
    """YYMMDDWWhhmmss."""
    found = digits(piece, what)
    return local_time(f"20{found[:6]}{found[8:]}" if found and found.strip("0") else None)


def _time_of_day(piece: Piece, what: str) -> str | None:
    found = digits(piece, what)
    return f"{found[:2]}:{found[2:4]}:{found[4:]}" if found else None


# DI2 of energies and demands -> name, whether the top bit is a sign (combined registers only: forward
# and reverse ones count to 999999.99).
QUANTITIES: Mapping[int, tuple[str, bool]] = {
    0x00: ("_combined", True), 0x01: ("_forward", False), 0x02: ("_reverse", False),
    0x03: ("_combined_1", True), 0x04: ("_combined_2", True),
    0x05: ("_q1", False), 0x06: ("_q2", False), 0x07: ("_q3", False), 0x08: ("_q4", False),
    0x09: ("_forward", False), 0x0A: ("_reverse", False),
}  # fmt: skip
PHASES = "abc"
PHASE_BASE = (0x14, 0x28, 0x3C)  # DI2 of phase registers: base + the number above
RATES = 63
SETTLEMENTS = 12

FREEZES = (
    "timed",
    "instant",
    "zone_switch",
    "period_switch",
    "hourly",
    "price_switch",
    "daily",
    "step_switch",
)

# DI2 of momentary values -> name, size, decimals, signed, with a total
MOMENTARY: Mapping[int, tuple[str, int, int, bool, bool]] = {
    0x01: ("voltage", 2, 1, False, False), 0x02: ("current", 3, 3, True, False),
    0x03: ("active_power", 3, 4, True, True), 0x04: ("reactive_power", 3, 4, True, True),
    0x05: ("apparent_power", 3, 4, True, True), 0x06: ("power_factor", 2, 3, True, True),
    0x07: ("phase_angle", 2, 1, False, False), 0x08: ("voltage_distortion", 2, 2, False, False),
    0x09: ("current_distortion", 2, 2, False, False),
}  # fmt: skip

_LINE = {
    "voltage_loss": 0, "voltage_low": 1, "voltage_high": 2, "current_loss": 3, "current_high": 4, "overload": 5,
    "power_reversed": 6, "phase_broken": 7, "current_broken": 8,
}  # fmt: skip
STATUS_FLAGS: tuple[Mapping[str, int], ...] = (
    {"clock_battery_low": 2, "backup_battery_low": 3, "active_reverse": 4, "reactive_reverse": 5},
    {"active_reverse_a": 0, "active_reverse_b": 1, "active_reverse_c": 2, "reactive_reverse_a": 4,
     "reactive_reverse_b": 5, "reactive_reverse_c": 6},
    {"auxiliary_supply": 1, "battery_supply": 2, "programming": 3, "relay_open": 4, "relay_open_command": 6,
     "trip_warning": 7},
    *({f"{name}_{phase}": bit for name, bit in _LINE.items()} for phase in PHASES),
    {"voltage_sequence": 0, "current_sequence": 1, "voltage_unbalance": 2, "current_unbalance": 3,
     "auxiliary_supply_lost": 4, "power_down": 5, "demand_high": 6, "power_factor_low": 7,
     "current_unbalance_serious": 8},
)  # fmt: skip
STATUS: tuple[Item, ...] = tuple(
    Item(f"status_word_{i}", 2, _word, flags) for i, flags in enumerate(STATUS_FLAGS, 1)
)

SINGLES: Mapping[int, Item] = {
    0x00900100: number("remaining_energy", 4, 2), 0x00900101: number("overdraft_energy", 4, 2),
    0x00900200: number("remaining_amount", 4, 2), 0x00900201: number("overdraft_amount", 4, 2),
    0x02800001: number("neutral_current", 3, 3, signed=True), 0x02800002: number("frequency", 2, 2),
    0x02800003: number("average_power", 3, 4, signed=True), 0x02800004: number("active_demand", 3, 4, signed=True),
    0x02800005: number("reactive_demand", 3, 4, signed=True), 0x02800006: number("apparent_demand", 3, 4, signed=True),
    0x02800007: number("meter_temperature", 2, 1, signed=True),
    0x02800008: number("clock_battery_voltage", 2, 2), 0x02800009: number("backup_battery_voltage", 2, 2),
    0x0280000A: number("battery_working_time", 4, 0), 0x0280000B: number("step_price", 4, 4),
    0x03110000: number("power_down_count", 3, 0), 0x03300000: number("programming_count", 3, 0),
    0x03300100: number("meter_reset_count", 3, 0), 0x03300200: number("demand_reset_count", 3, 0),
    0x03300400: number("clock_set_count", 3, 0), 0x03300D00: number("cover_opened_count", 3, 0),
    0x03300E00: number("terminal_cover_opened_count", 3, 0),
    0x04000101: Item("clock_date", 4, _date), 0x04000102: Item("clock_time", 3, _time_of_day),
    0x0400010C: Item("clock", 7, _clock), 0x04000103: number("demand_period", 1, 0),
    0x04000104: number("demand_step", 1, 0), 0x04000204: number("rate_count", 1, 0),
    0x04000401: Item("communication_address", 6, digits), 0x04000402: Item("meter_number", 6, digits),
    0x04000403: text("asset_number", 32), 0x04000404: text("rated_voltage", 6), 0x04000405: text("rated_current", 6),
    0x04000406: text("maximum_current", 6), 0x04000407: text("active_class", 4), 0x04000408: text("reactive_class", 4),
    0x04000409: number("active_constant", 3, 0), 0x0400040A: number("reactive_constant", 3, 0),
    0x0400040B: text("model", 10), 0x0400040C: text("made_on", 10), 0x0400040D: text("protocol_version", 16),
    **{0x04000500 + i: item for i, item in enumerate(STATUS, 1)},
}  # fmt: skip


@lru_cache(maxsize=2048)
def groups_of(identifier: int) -> tuple[Group, ...]:
    """The registers that a reply to identifier may hold, in order; () when it is not known.

    A block may end early: a meter sends as many rates or phases as it has.
    """
    if identifier in SINGLES:
        return (group(SINGLES[identifier]),)
    if identifier == 0x040005FF:
        return tuple(group(item) for item in STATUS)
    family, kind, part, back = identifier.to_bytes(4, "big")
    if family in (0, 1):
        return tuple(_billing(family, kind, part, back))
    if family == 2 and back == 0 and kind in MOMENTARY:
        return tuple(group(item) for item in _momentary(kind, part))
    if family == 5 and kind < len(FREEZES) and 0 < back < 0xFF:
        return tuple(_frozen(FREEZES[kind], part, back))
    return ()


def _billing(family: int, kind: int, part: int, back: int) -> Iterator[Group]:
    """Energies and demands: kind DI2, part 0 = total, 1..63 = rate, FF = total and rates; back = settlement."""
    phase = next((i for i, base in enumerate(PHASE_BASE) if 0 < kind - base <= 0x0A), None)
    quantity = kind if phase is None else kind - PHASE_BASE[phase]
    known = (
        quantity in QUANTITIES and not (family == 1 and quantity == 0) and not (phase is not None and part)
    )
    if not known or (part == 0xFF and back == 0xFF):
        return
    for days in range(SETTLEMENTS + 1) if back == 0xFF else (back,):
        if days > SETTLEMENTS or (part > RATES and part != 0xFF):
            return
        before = f"settlement_{days}_" if days else ""
        for rate in range(RATES + 1) if part == 0xFF else (part,):
            after = (f"_{PHASES[phase]}" if phase is not None else "") + (f"_rate_{rate}" if rate else "")
            yield _register(family, quantity, before, after)


def _register(family: int, quantity: int, before: str, after: str) -> Group:
    ending, signed = QUANTITIES[quantity]
    what = ("" if quantity < 3 else "apparent_" if quantity > 8 else "reactive_") + (
        "demand" if family else "energy"
    )
    name = f"{before}{what}{ending}{after}"
    if family == 0:
        return group(number(name, 4, 2, signed))
    return group(number(name, 3, 4, signed), moment(f"{name}_time"))


def _momentary(kind: int, part: int) -> Iterator[Item]:
    name, size, decimals, signed, with_total = MOMENTARY[kind]
    first = 0 if with_total else 1
    for phase in range(first, 4) if part == 0xFF else (part,):
        if first <= phase <= 3:
            yield number(f"{name}_{PHASES[phase - 1]}" if phase else name, size, decimals, signed)


def _frozen(freeze: str, part: int, back: int) -> Iterator[Group]:
    """Frozen values: part 00 the time, 01..08 energies, 09 and 0A demands, 10 powers; back = how many ago."""
    before = f"{freeze}_freeze_{back}_"
    if part == 0:
        yield group(moment(f"{before}time"))
    elif part <= 0x0A:
        demand = part > 8
        for rate in range(RATES + 1):
            after = f"_rate_{rate}" if rate else ""
            yield _register(1, part - 8, before, after) if demand else _register(0, part, before, after)
    elif part == 0x10:
        for kind in (3, 4):
            for item in _momentary(kind, 0xFF):
                yield group(replace(item, name=f"{before}{item.name}"))
