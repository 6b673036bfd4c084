"""How the value of one record is cut out of a telegram of a known shape, and read: the same as mbus_values gives,
with all that the record's meaning decides done beforehand."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

from dutyroom.profiles.codecs.mbus_records import LVAR, RawRecord
from dutyroom.profiles.codecs.mbus_values import (
    ENDLESS,
    FLOAT,
    IDENTIFIERS,
    LAST_TEXT,
    MANY,
    Value,
    bcd,
    binary_value,
    date_text,
    decimal_text,
    decimal_value,
    float_of,
    is_bits,
    reader_of,
    scaled,
    small,
    text_of,
    value_of,
)
from dutyroom.profiles.codecs.mbus_vif import Meaning

Read: TypeAlias = Callable[[Any, int], Value]  # (field of the struct, where the records begin) -> value
_CODES = {1: "b", 2: "h", 4: "i", 8: "q"}  # of `struct`


def field_of(record: RawRecord, meaning: Meaning, offset: int) -> tuple[str, Read]:
    """What cuts such a value out of the records' bytes (a code of `struct`), and what makes of it what
    value_of does, being told where the records begin. offset: of the value from there."""
    size = len(record.data)
    own = reader_of(record.coding, meaning)
    if own is binary_value and size in _CODES and _bounded(size, meaning):
        return _CODES[size], _of_number(-(1 << (8 * size - 1)), _shower(meaning))
    if own is decimal_value and size and _bounded(size, meaning):
        return f"{size}s", _of_digits(_shower(meaning), offset)
    quick = _special(record, meaning) if own is value_of else None
    if quick is not None:
        return f"{size}s", lambda data, start: quick(data)

    def read(data: bytes, start: int) -> Value:
        return own(record._replace(data_at=start + offset, data=data), meaning)

    return f"{size}s", read


def _special(record: RawRecord, meaning: Meaning) -> Callable[[bytes], Value] | None:
    """What value_of does with such a record where that is no plain number, in the same order."""
    if meaning.failed or not record.data:
        return _nothing
    if meaning.is_date and record.coding != LVAR:
        return date_text
    if record.lvar is not None:
        return text_of if record.lvar <= LAST_TEXT else None
    if meaning.word in IDENTIFIERS:
        return lambda data: data[::-1].hex().upper()
    if is_bits(record, meaning):
        return lambda data: small(int.from_bytes(data, "little"))
    return _of_float(meaning) if record.coding == FLOAT else None


def _nothing(data: bytes) -> Value:
    return None


def _of_float(meaning: Meaning) -> Callable[[bytes], Value]:
    """A float has so few digits that without a factor nothing has to be cut."""
    plain = not meaning.count and meaning.factor == 1 and not meaning.offset

    def read(data: bytes) -> Value:
        number = float_of(data)
        if number is None:
            return None
        if plain and len(number.as_tuple().digits) < ENDLESS:
            return decimal_text(number)
        return scaled(number, meaning)

    return read


def _bounded(size: int, meaning: Meaning) -> bool:
    """True where no value of so many bytes has more digits than are kept."""
    return meaning.count or (abs(meaning.whole) << 8 * size) + abs(meaning.added) < MANY


def _of_number(invalid: int, show: Callable[[int], Value]) -> Read:
    return lambda number, start: None if number == invalid else show(number)


def _of_digits(show: Callable[[int], Value], offset: int) -> Read:
    def read(data: bytes, start: int) -> Value:
        digits = data[::-1].hex()
        number = int(digits) if digits.isdecimal() else bcd(data, start + offset)
        return None if number is None else show(number)

    return read


def _shower(meaning: Meaning) -> Callable[[int], Value]:
    """The same as _scaled of mbus_values for numbers of up to 8 bytes."""
    whole, added, places = meaning.whole, meaning.added, meaning.places
    if meaning.count:
        return _same
    if not places:
        return lambda number: str(number * whole + added)

    def show(number: int) -> str:
        value = number * whole + added
        if value < 0:
            return f"-{digits_of(-value)}"
        return digits_of(value)

    def digits_of(value: int) -> str:
        text = str(value)
        if len(text) <= places:
            text = text.zfill(places + 1)
        return f"{text[:-places]}.{text[-places:]}"

    return show


def _same(number: int) -> Value:
    return number
