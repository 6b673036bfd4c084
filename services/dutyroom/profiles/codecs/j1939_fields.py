"""What the parameters of SAE J1939 frames say: raw values scaled, and why there is none.

J1939-71: the highest raw values of a parameter mean "error" and "not available".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple, TypeAlias

from msgspec import Struct
from msgspec import field as make_field

from dutyroom.profiles.codecs.exact import in_whole_numbers, with_places
from dutyroom.profiles.codecs.j1939_faults import component, read_faults
from dutyroom.profiles.codecs.j1939_frames import CONNECTION, TRANSFER, Frame
from dutyroom.profiles.codecs.j1939_table import Parameter
from dutyroom.profiles.codecs.seam import Note

Groups: TypeAlias = Mapping[int, tuple["Field", ...]]
Values: TypeAlias = dict[str, object]

ACTIVE_FAULTS, PAST_FAULTS, COMPONENT = 65226, 65227, 65259
OWN_WAY = frozenset({ACTIVE_FAULTS, PAST_FAULTS, COMPONENT, CONNECTION, TRANSFER})  # no fixed parameters

_TOP = ("reserved", "reserved", "reserved", "error", "not_available")  # of the highest byte, from FB on
_TWO = ("error", "not_available")


def why_not(raw: int, bits: int) -> str:
    """error | not_available | reserved, by the range of the raw value (J1939-71); empty for a value."""
    field_ = field_of(Parameter("", 0, 0, bits))
    return "" if raw < field_.odd else field_.why[(raw - field_.odd) >> field_.low_bits]


class Field(NamedTuple):
    """How a parameter is read. end: bit after its last. odd, negative: raw values from
    here on are none, or below zero. (raw * whole + added) / ten is the value; ten = 1: it has no decimal places."""

    name: str
    start: int
    end: int
    mask: int
    odd: int
    whole: int
    added: int
    ten: int
    negative: int
    why: tuple[str, ...]  # of the odd ones, in steps of 2 ** low_bits
    low_bits: int
    parameter: Parameter


def field_of(p: Parameter) -> Field:
    whole, added, places = in_whole_numbers(p.scale, p.offset)
    count = 1 << p.bits
    odd = count
    if p.special and p.bits > 1:
        odd = count - 2 if p.bits < 8 else 0xFB << (p.bits - 8)
    negative = count >> 1 if p.minus else count
    why, low_bits = (_TOP, p.bits - 8) if p.bits >= 8 else (_TWO, 0)
    scaling = (whole, added, 10**places, negative)
    return Field(p.name, p.start, p.start + p.bits, count - 1, odd, *scaling, why, low_bits, p)


def _shown_bits(p: Parameter) -> tuple[int, int]:
    """Bits are shown from the left; J1939 counts those of a byte from the right."""
    byte, bit = divmod(p.start, 8)
    if bit + p.bits <= 8:
        return byte * 8 + 8 - bit - p.bits, byte * 8 + 8 - bit
    return byte * 8, (p.start + p.bits + 7) // 8 * 8


class Collected(Struct):
    """The parameters of several frames: a value counts more than none, and the later more."""

    values: Values = make_field(default_factory=dict)
    reasons: dict[str, str] = make_field(default_factory=dict)
    unknown: dict[str, str] = make_field(default_factory=dict)

    def add(self, found: Frame, groups: Groups, note: Note | None = None) -> None:
        pgn = found.pgn
        if pgn in OWN_WAY:
            if pgn == COMPONENT:
                self.values |= component(found.data)
            elif pgn in (ACTIVE_FAULTS, PAST_FAULTS):
                self._faults(read_faults(found.data, "" if pgn == ACTIVE_FAULTS else "past_"))
        fields = groups.get(pgn)
        if fields is not None:
            self.read(found.data, fields, note)
        elif pgn not in OWN_WAY:
            self.unknown[str(pgn)] = found.data.hex()

    def read(self, data: bytes, fields: Sequence[Field], note: Note | None) -> None:
        """The parameters that the data is long enough for."""
        content, size = int.from_bytes(data, "little"), len(data) * 8
        values, reasons = self.values, self.reasons
        for name, start, end, mask, odd, whole, added, ten, negative, why, low, parameter in fields:
            if end > size:
                continue
            raw = content >> start & mask
            value: object = None
            if raw < odd:
                if raw >= negative:
                    raw -= mask + 1
                number = raw * whole + added
                value = number if ten == 1 else with_places(number, ten)
                values[name] = value
                if name in reasons:
                    del reasons[name]
            elif values.get(name) is None:
                values[name] = None
                if name in reasons:
                    del reasons[name]
                reasons[name] = why[(raw - odd) >> low]
            if note is not None:
                note(name, *_shown_bits(parameter), value)

    def _faults(self, found: Values) -> None:
        """Those of several control units together."""
        if self.values.keys().isdisjoint(found):
            self.values |= found
            return
        for name, value in found.items():
            old = self.values.get(name)
            if isinstance(value, list) and isinstance(old, list):
                value = old + value
            elif isinstance(value, int) and isinstance(old, int):
                value = old + value if name.endswith("fault_count") else max(old, value)
            self.values[name] = old if value is None else value

    def document(self) -> Values:
        """An item that paths find as `engine`, and `{bus}.engine` where there are several."""
        return {"engine": self.values | {"reasons": self.reasons, "unknown": self.unknown}}
