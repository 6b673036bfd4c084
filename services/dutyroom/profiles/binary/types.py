"""Types of the cursor language: how a run of bits becomes a value.

u8 s16 u24 u12 ...   whole numbers of 1 to 64 bits, s = two's complement, sm = sign and magnitude
f16 f32 f64          IEEE 754
bcd8 bcd6 ...        decimal digits, as a whole number; a nibble above 9 refuses the message
text(10) hex(4) gb18030(31) latin1(8)   so many bytes; `rest` = to the end; a field's name = its value
flag                 one bit, true or false

Byte order by a suffix or the layout's `order`: be, le, cdab and badc (32 bits and more, swapped words or bytes).
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from dutyroom.errors import Rejected

ORDERS = ("big", "little", "cdab", "badc")
_SUFFIX = {"be": "big", "le": "little", "cdab": "cdab", "badc": "badc"}
_NUMBER = re.compile(r"(u|s|sm|f|bcd)([0-9]{1,2})(be|le|cdab|badc)?\Z")
_BYTES = re.compile(r"(text|hex|gb18030|latin1)\(([A-Za-z_][A-Za-z0-9_]*|[0-9]{1,5})\)\Z")
_CODECS = {"text": "utf-8", "gb18030": "gb18030", "latin1": "latin-1"}
MAX_BYTES = 4096  # of one text


@dataclass(frozen=True, slots=True)
class ValueType:
    """kind: u | s | sm | f | bcd | flag | text | hex. bits: 0 = by `length`.

    length: bytes, or the name of the field that says how many, or "rest".
    """

    kind: str
    bits: int = 0
    order: str = "big"
    length: int | str = 0
    encoding: str = ""


def parse_type(text: str, order: str = "big") -> ValueType:
    """Raises Rejected with the known types."""
    body = text.strip()
    if body == "flag":
        return ValueType("flag", 1)
    number = _NUMBER.match(body)
    if number:
        return _number_type(body, number[1], int(number[2]), _SUFFIX[number[3]] if number[3] else order)
    several = _BYTES.match(body)
    if several:
        return _bytes_type(body, several[1], several[2])
    raise Rejected(
        f"unknown type {text!r}; known: u8, s16le, u12, f32be, bcd8, flag, text(10), hex(4), gb18030(31), hex(rest) ..."
    )


def signed_of(kind: ValueType, text: str) -> str:
    """A whole number that is the bits of a negative one, as that: "65535" of an s16 is "-1". Anything else as it is, and the
    negative zero of sm too: it must not stand for 0."""
    half = 1 << (kind.bits - 1)
    low = half if kind.kind == "s" else half + 1
    if not text.isascii() or not text.isdecimal() or not low <= int(text) < 2 * half:
        return text
    return str(int(text) - 2 * half if kind.kind == "s" else half - int(text))


def never(kind: ValueType, text: str) -> bool:
    """Whether a type of whole numbers can never have a value: 0xFFFF is none of a u8, 1.5 of no such type."""
    if kind.kind not in ("u", "s", "sm"):
        return False
    try:
        number = int(text)
    except ValueError:
        return True
    low = {"u": 0, "s": -(1 << (kind.bits - 1)), "sm": 1 - (1 << (kind.bits - 1))}[kind.kind]
    return not low <= number < 1 << kind.bits


def _number_type(text: str, kind: str, size: int, order: str) -> ValueType:
    bits = size * 4 if kind == "bcd" else size
    if not 1 <= bits <= 64 or (kind == "f" and bits not in (16, 32, 64)):
        raise Rejected(f"{text!r}: that many bits cannot be read")
    if order in ("cdab", "badc") and bits not in (32, 64):
        raise Rejected(f"{text!r}: {order} is an order of 32 or 64 bits")
    if bits % 8:
        if order != "big" and re.search(r"(be|le)\Z", text):
            raise Rejected(f"{text!r}: a byte order needs whole bytes")
        order = "big"
    return ValueType(kind, bits, order)


def _bytes_type(text: str, kind: str, length: str) -> ValueType:
    size: int | str = int(length) if length.isdigit() else length
    if isinstance(size, int) and not 1 <= size <= MAX_BYTES:
        raise Rejected(f"{text!r}: 1 to {MAX_BYTES} bytes")
    return ValueType("hex" if kind == "hex" else "text", 0, "big", size, _CODECS.get(kind, ""))


Whole: TypeAlias = Callable[[bytes], object]  # the field's own bytes -> value; Rejected


def of_bytes(kind: ValueType) -> Whole:
    """Reads a value that fills whole bytes."""
    if kind.kind == "hex":
        return bytes.hex
    if kind.kind == "text":
        encoding = kind.encoding
        return lambda data: _text(data, encoding)
    arrange = _arranged(kind.order)
    if kind.kind == "f":
        unpack = struct.Struct({16: ">e", 32: ">f", 64: ">d"}[kind.bits]).unpack
        return lambda data: _finite(unpack(arrange(data))[0])
    if kind.kind == "bcd":
        return lambda data: _bcd(arrange(data))
    signed = kind.kind == "s"
    if kind.kind == "sm":
        bits = kind.bits
        return lambda data: _magnitude(int.from_bytes(arrange(data), "big"), bits)
    if kind.order == "little":
        return lambda data: int.from_bytes(data, "little", signed=signed)
    if kind.order == "big":
        return lambda data: int.from_bytes(data, "big", signed=signed)
    return lambda data: int.from_bytes(arrange(data), "big", signed=signed)


def of_bits(kind: ValueType) -> Callable[[int], object]:
    """Reads a value from its bits as a whole number (most significant first)."""
    bits = kind.bits
    match kind.kind:
        case "flag":
            return bool
        case "s":
            return lambda value: value - (1 << bits) if value >> (bits - 1) else value
        case "sm":
            return lambda value: _magnitude(value, bits)
        case "bcd":
            return lambda value: _digits(f"{value:0{bits // 4}x}")
        case "f":
            whole = of_bytes(ValueType("f", bits))
            return lambda value: whole(value.to_bytes(bits // 8, "big"))
    return lambda value: value


def _arranged(order: str) -> Callable[[bytes], bytes]:
    """Brings bytes into the order most significant first."""
    if order == "little":
        return lambda data: data[::-1]
    if order == "cdab":  # words swapped
        return lambda data: b"".join(data[i : i + 2] for i in range(len(data) - 2, -2, -2))
    if order == "badc":  # bytes swapped within words
        return lambda data: b"".join(data[i : i + 2][::-1] for i in range(0, len(data), 2))
    return lambda data: data


def _magnitude(value: int, bits: int) -> int:
    size = value & (1 << bits - 1) - 1
    return -size if value >> (bits - 1) else size


def _bcd(data: bytes) -> int:
    return _digits(data.hex())


def _digits(text: str) -> int:
    if not text.isdigit():
        raise Rejected(f"{text!r} is not BCD")
    return int(text)


def _finite(value: float) -> float | None:
    return value if value == value and abs(value) != float("inf") else None


def _text(data: bytes, encoding: str) -> str:
    """Without the padding that fixed fields have."""
    try:
        return data.rstrip(b"\0").decode(encoding).strip(" \0")
    except UnicodeDecodeError as err:
        raise Rejected(f"not {encoding.upper()} at byte {err.start} of the text") from err
