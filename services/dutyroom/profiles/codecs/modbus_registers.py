"""One value of a register block: which registers, how they are put together, what they mean."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import TypeAlias

from dutyroom.errors import Rejected
from dutyroom.profiles.codecs.exact import (
    ONE,
    ZERO,
    Exact,
    choice_setting,
    decimal_setting,
    float32,
    float64,
    known_settings,
    map_setting,
    scaled,
    shifted,
    whole_setting,
)
from dutyroom.profiles.codecs.seam import Note
from dutyroom.profiles.yamlnode import Plain

Bits: TypeAlias = Mapping[str, tuple[int, int]]  # name -> (lowest bit, number of bits)

COIL, TEXT, BCD, BITS = "coil", "text", "bcd", "bits"
WORDS: Mapping[str, int] = {
    "u16": 1, "s16": 1, "u32": 2, "s32": 2, "u64": 4, "s64": 4, "f32": 2, "f64": 4, BCD: 1, BITS: 1, TEXT: 8, COIL: 1,
}  # fmt: skip
ORDERS = ("abcd", "cdab", "badc", "dcba")
OPTIONS = ("at", "as", "order", "words", "scale", "offset", "exponent", "none", "bits")
MAX_EXPONENT = 10


@dataclass(frozen=True, slots=True)
class Block:
    """data: the registers, each most significant byte first (coils: the first is the lowest bit).
    start: address of the first. offset: where the data begins in the payload."""

    data: bytes
    start: int
    offset: int = 0
    bits: bool = False

    @property
    def end(self) -> int:
        return self.start + (len(self.data) * 8 if self.bits else len(self.data) // 2)


@dataclass(frozen=True, slots=True)
class Register:
    """words: registers it takes. none: raw values that mean "no value". exponent: name of the register
    that holds the power of ten it is multiplied by."""

    name: str
    at: int
    kind: str
    words: int
    order: str = "abcd"
    scale: Decimal = ONE
    offset: Decimal = ZERO
    exponent: str = ""
    none: frozenset[int] = frozenset()
    bits: Bits | None = None


def register(name: str, value: Plain) -> Register:
    """From a profile: at (address), as (u16 ... text, coil), order of the bytes a b c d as they are sent,
    words (of bcd, text, bits), scale, offset, exponent, none, bits {name: 3 or "4-7"}. Raises Rejected."""
    where = f"registers.{name}."
    own = map_setting(value, where[:-1])
    known_settings(own, OPTIONS, where)
    kind = choice_setting(own, "as", "u16", tuple(WORDS), where)
    words = whole_setting(own, "words", WORDS[kind], 1, 125, where)
    if kind not in (BCD, TEXT, BITS) and words != WORDS[kind]:
        raise Rejected(f"{where}words: {kind} has {WORDS[kind]}")
    exponent = own.get("exponent", "")
    if not isinstance(exponent, str):
        raise Rejected(f"{where}exponent: the name of a register is needed")
    if exponent and kind in (TEXT, BITS, COIL, "f32", "f64"):
        raise Rejected(f"{where}exponent: {kind} has none")
    return Register(
        name=name,
        at=whole_setting(own, "at", None, 0, 65535, where),
        kind=kind,
        words=words,
        order=choice_setting(own, "order", "abcd", ORDERS, where),
        scale=decimal_setting(own, "scale", ONE, where),
        offset=decimal_setting(own, "offset", ZERO, where),
        exponent=exponent,
        none=_none(own.get("none"), where),
        bits=_bits(map_setting(own.get("bits"), f"{where}bits"), words, where) if kind == BITS else None,
    )


def _none(value: Plain, where: str) -> frozenset[int]:
    listed = [] if value is None else value if isinstance(value, list) else [value]
    return frozenset(
        whole_setting({"none": n}, "none", None, -(1 << 63), (1 << 64) - 1, where) for n in listed
    )


def _bits(named: Mapping[str, Plain], words: int, where: str) -> Bits:
    found = {}
    for name, value in named.items():
        low, _, high = str(value).partition("-")
        place = f"{where}bits."
        first = whole_setting({name: low}, name, None, 0, words * 16 - 1, place)
        last = whole_setting({name: high or low}, name, None, first, words * 16 - 1, place)
        found[name] = (first, last - first + 1)
    if not found:
        raise Rejected(f"{where}bits: at least one bit is needed")
    return found


# ---------------------------------------------------------------- reading


def read_registers(block: Block, registers: Sequence[Register], note: Note | None) -> dict[str, object]:
    """{name: value} of the registers inside the block; a register of another block is left out.

    Raises Rejected for one that the block cuts, and where no register is inside.
    """
    found: dict[str, object] = {}
    for r in registers:
        if r.at >= block.end or r.at < block.start:
            continue
        if r.at + (1 if block.bits else r.words) > block.end:
            raise Rejected(
                f"{r.name} at register {r.at}: the block ends at {block.end - 1}, {r.words} registers expected"
            )
        found[r.name] = _coil(block, r) if block.bits else _value(block, r)
        if note is not None:
            note(r.name, *_place(block, r), found[r.name])
    if not found:
        raise Rejected(f"no register of the profile in the block {block.start} to {block.end - 1}")
    return _with_exponents(found, registers)


def _place(block: Block, r: Register) -> tuple[int, int]:
    start = block.offset * 8
    if block.bits:
        byte, bit = divmod(r.at - block.start, 8)
        return start + byte * 8 + 7 - bit, start + byte * 8 + 8 - bit
    first = start + (r.at - block.start) * 16
    return first, first + r.words * 16


def _coil(block: Block, r: Register) -> int:
    byte, bit = divmod(r.at - block.start, 8)
    return block.data[byte] >> bit & 1


def _value(block: Block, r: Register) -> object:
    first = (r.at - block.start) * 2
    data = in_order(block.data[first : first + r.words * 2], r.order)
    raw = int.from_bytes(data, "big")
    if raw in r.none or (r.none and int.from_bytes(data, "big", signed=True) in r.none):
        return None
    if r.bits is not None:
        return {name: raw >> low & (1 << count) - 1 for name, (low, count) in r.bits.items()}
    return _READ.get(r.kind, _whole)(data, r)


def in_order(data: bytes, order: str) -> bytes:
    """To the order abcd: cdab has the words turned round, badc the bytes of each word, dcba both."""
    if order in ("badc", "dcba"):
        data = bytes(data[n ^ 1] for n in range(len(data)))
    if order in ("cdab", "dcba"):
        data = b"".join(data[n : n + 2] for n in range(len(data) - 2, -1, -2))
    return data


def _whole(data: bytes, r: Register) -> Exact:
    return scaled(int.from_bytes(data, "big", signed=r.kind.startswith("s")), r.scale, r.offset)


def _float(data: bytes, r: Register) -> float | None:
    value = float32(data) if r.kind == "f32" else float64(data)
    if value is None or (r.scale == 1 and r.offset == 0):
        return value
    result = float(Decimal(repr(value)) * r.scale + r.offset)
    return result if math.isfinite(result) else None


def _bcd(data: bytes, r: Register) -> Exact:
    digits = data.hex()
    if not digits.isdecimal():
        raise Rejected(f"{r.name} at register {r.at}: {digits} has a digit above 9")
    return scaled(int(digits), r.scale, r.offset)


def _text(data: bytes, r: Register) -> str | None:
    """Up to the first zero byte."""
    text = data.partition(b"\0")[0].decode("latin-1").strip()
    return text if text.isprintable() and text else None


_READ: Mapping[str, Callable[[bytes, Register], object]] = {
    "f32": _float,
    "f64": _float,
    BCD: _bcd,
    TEXT: _text,
}


def _with_exponents(found: dict[str, object], registers: Sequence[Register]) -> dict[str, object]:
    """A value without its exponent in the same block is no value."""
    result = dict(found)
    for r in registers:
        value = found.get(r.name)
        if not r.exponent or not isinstance(value, int | str):
            continue
        power = found.get(r.exponent)
        if isinstance(power, int) and abs(power) <= MAX_EXPONENT:
            result[r.name] = shifted(value, power)
        else:
            result[r.name] = None
    return result
