"""The value of one data record: BCD, integers, floats, dates, texts. Exact, and null where there is none."""

from __future__ import annotations

import struct
from collections.abc import Callable
from decimal import Decimal, localcontext
from functools import lru_cache
from typing import TypeAlias

from dutyroom.errors import Rejected
from dutyroom.profiles.codecs.mbus_records import LVAR, RawRecord
from dutyroom.profiles.codecs.mbus_vif import Meaning

Value: TypeAlias = int | str | None

# Numbers that are names: shown digit by digit, leading zeros kept.
IDENTIFIERS = frozenset(
    {
        "fabrication_number", "enhanced_id", "address", "model_version", "hardware_version", "firmware_version",
        "software_version", "parameter_set", "customer", "customer_location", "manufacturer", "device_type",
        "security_key", "password", "access_code_user", "access_code_operator", "access_code_system_operator",
        "access_code_developer", "data_container", "data_container_for_manufacturer_specific_protocol",
    }
)  # fmt: skip
UNSIGNED = frozenset(
    {"transmission_counter", "error_flags", "error_mask", "digital_input", "digital_output", "control_signal"}
)
_PLACES = Decimal("1e-12")
MANY = 10**28  # above, decimals may have to be cut
ENDLESS = 30  # digits, from which on decimals are cut
FLOAT = 0x05  # data field of a DIF
LAST_TEXT = 0xBF  # up to here the LVAR byte is the length of a text


def is_text(record: RawRecord, meaning: Meaning) -> bool:
    """True where value_of gives words, a date or a name, not a number."""
    if meaning.is_date or (meaning.word in IDENTIFIERS and record.coding != LVAR):
        return True
    return record.lvar is not None and record.lvar <= LAST_TEXT


def value_of(record: RawRecord, meaning: Meaning) -> Value:
    """int for a plain count, decimal text in the meaning's unit, text for names, ISO text for dates.

    None: the record carries no value, or the code that the standard keeps for "invalid".
    Raises Rejected, naming the byte, for a BCD number with other digits than 0 to 9.
    """
    if meaning.failed or not record.data:
        return None
    if meaning.is_date and record.coding != LVAR:
        return date_text(record.data)
    if record.coding == LVAR and record.lvar is not None and record.lvar <= LAST_TEXT:
        return text_of(record.data)
    if meaning.word in IDENTIFIERS:
        return record.data[::-1].hex().upper()
    if is_bits(record, meaning):
        return small(int.from_bytes(record.data, "little"))
    if record.coding in _WHOLE:
        whole = _whole(record)
        return None if whole is None else _scaled(whole, meaning)
    number = number_of(record)
    return None if number is None else scaled(number, meaning)


def reader_of(coding: int, meaning: Meaning) -> Callable[[RawRecord, Meaning], Value]:
    """What reads the values of records with this data field and meaning as `value_of` does."""
    special = meaning.failed or meaning.is_date or meaning.word in IDENTIFIERS
    flags = meaning.word in UNSIGNED or meaning.word.endswith("flags")
    if special or coding not in _WHOLE or (flags and coding in _BINARY):
        return value_of
    return decimal_value if coding in _DIGITS else binary_value


def decimal_value(record: RawRecord, meaning: Meaning) -> Value:
    number = bcd(record.data, record.data_at) if record.data else None
    return None if number is None else _scaled(number, meaning)


def binary_value(record: RawRecord, meaning: Meaning) -> Value:
    number = _integer(record.data)
    return None if number is None else _scaled(number, meaning)


_BINARY = frozenset({0x01, 0x02, 0x03, 0x04, 0x06, 0x07})
_DIGITS = frozenset({0x09, 0x0A, 0x0B, 0x0C, 0x0E})
_WHOLE = _BINARY | _DIGITS


def _whole(record: RawRecord) -> int | None:
    if record.coding in _DIGITS:
        return bcd(record.data, record.data_at)
    return _integer(record.data)


def _scaled(number: int, meaning: Meaning) -> Value:
    """The same as `scaled`."""
    if meaning.count:
        return small(number)
    value = number * meaning.whole + meaning.added
    if not -MANY < value < MANY:
        return scaled(Decimal(number), meaning)
    places = meaning.places
    if not places:
        return str(value)
    text = str(value) if value >= 0 else str(-value)
    text = text.zfill(places + 1)
    return f"{'-' if value < 0 else ''}{text[:-places]}.{text[-places:]}"


def is_bits(record: RawRecord, meaning: Meaning) -> bool:
    """A number without a sign, as bit fields and counts of telegrams are."""
    return _is_binary(record) and (meaning.word in UNSIGNED or meaning.word.endswith("flags"))


def _is_binary(record: RawRecord) -> bool:
    """A whole number in bits: neither decimal digits nor a float."""
    if record.lvar is not None:
        return record.lvar > 0xD9
    return record.coding in _BINARY


def number_of(record: RawRecord) -> Decimal | None:
    """The number as it stands, before the factor of its VIF."""
    coding, lvar = record.coding, record.lvar
    if coding in _WHOLE:
        whole = _whole(record)
        return None if whole is None else Decimal(whole)
    if coding == FLOAT:
        return float_of(record.data)
    if lvar is not None and lvar <= 0xD9:
        digits = bcd(record.data, record.data_at, signed=False)
        return None if digits is None else Decimal(-digits if lvar >= 0xD0 else digits)
    return integer(record.data)


def scaled(number: Decimal, meaning: Meaning) -> Value:
    """In the meaning's unit: int for a whole count without a unit, else decimal text."""
    if meaning.count and number == number.to_integral_value():
        return small(int(number))
    with localcontext() as context:
        context.prec = 120  # 32 bytes of a number of variable length have 78 digits
        value = number * meaning.factor + meaning.offset
        # Only J/h and calories do not end: twelve places are far below any meter's.
        long = len(value.as_tuple().digits) >= ENDLESS and value != value.quantize(_PLACES)
        exact = value.quantize(_PLACES) if long else value
        return decimal_text(exact)


def small(number: int) -> int | str:
    """As text where JSON has no such number."""
    return number if abs(number) < 1 << 63 else str(number)


def decimal_text(value: Decimal) -> str:
    """Without an exponent; no minus before a zero."""
    text = format(value, "f")
    return text.lstrip("-") if value == 0 else text


def integer(data: bytes) -> Decimal | None:
    """Signed; the lowest number stands for "invalid" (EN 13757-3, type B)."""
    number = _integer(data)
    return None if number is None else Decimal(number)


def _integer(data: bytes) -> int | None:
    if not data:
        return None
    number = int.from_bytes(data, "little", signed=True)
    return None if number == -(1 << (8 * len(data) - 1)) else number


def float_of(data: bytes) -> Decimal | None:
    """IEEE 754 single; the shortest decimal that gives the same bits (a meter writes no register so)."""
    (number,) = struct.unpack("<f", data)
    if number != number or number in (float("inf"), float("-inf")):
        return None
    for digits in range(6, 10):
        text = f"{number:.{digits}g}"
        try:
            if struct.pack("<f", float(text)) == data:
                return Decimal(text)
        except OverflowError:  # rounded up beyond the largest
            continue
    return Decimal(number)


def bcd(data: bytes, at: int, signed: bool = True) -> int | None:
    """Lowest digits first. F in front is a minus; other letters in front, or F everywhere, are "no value".

    signed: False where another byte has the sign already.
    """
    digits = data[::-1].hex()
    if not digits.strip("f"):
        return None
    sign, body = (-1, digits[1:]) if signed and digits[0] == "f" else (1, digits)
    if body.isdecimal():
        return sign * int(body)
    if digits[0] in "abcde" and digits[1:].isdecimal():
        return None  # the standard shows such a letter for overflow and errors
    bad = next(number for number, digit in enumerate(body[::-1]) if not digit.isdecimal())
    raise Rejected(f"BCD number at byte {at + bad // 2}: {digits} has the digit {body[::-1][bad].upper()}")


def text_of(data: bytes) -> str:
    """ISO 8859-1, sent last letter first; hex where bytes are no letters."""
    text = data[::-1].decode("latin-1")
    return text if text.isprintable() else data[::-1].hex().upper()


# ---------------------------------------------------------------- dates


def date_text(data: bytes) -> str | None:
    """Type G (2 bytes), J (3), F (4) or I (6): `2021-12-31`, `14:31:28`, `2021-12-31 23:59[:ss]`.

    "" for the code "no date" (all ones), so that an earlier one is forgotten; None for what no clock shows (month 15). A date that never was set
    is told as it stands: `2000-00-00 03:43`; so is one whose "invalid" bit is set: that it can be true is
    checked where a reading gets its time.
    """
    if not data.strip(b"\xff"):
        return ""
    match len(data):
        case 2:
            return _day(data[0], data[1])
        case 3:
            return _clock(data[2] & 0x1F, data[1] & 0x3F, data[0] & 0x3F)
        case 4:
            return _joined(_day(data[2], data[3]), _clock(data[1] & 0x1F, data[0] & 0x3F))
        case 6:
            clock = _clock(data[2] & 0x1F, data[1] & 0x3F, data[0] & 0x3F)
            return _joined(_day(data[3], data[4]), clock)
    return None


def _joined(day: str | None, clock: str | None) -> str | None:
    return None if day is None or clock is None else f"{day} {clock}"


def _clock(hour: int, minute: int, second: int | None = None) -> str | None:
    if hour > 24 or minute > 59 or (second or 0) > 59:
        return None
    return f"{hour:02}:{minute:02}" if second is None else f"{hour:02}:{minute:02}:{second:02}"


@lru_cache(maxsize=4096)
def _day(low: int, high: int) -> str | None:
    """Day in 5 bits, month in 4, year in 3 + 4 (100 or more = every year)."""
    day, month, year = low & 0x1F, high & 0x0F, low >> 5 | (high & 0xF0) >> 1
    if month > 12:
        return None
    if year > 99:
        return f"--{month:02}-{day:02}"  # ISO 8601 for a day of every year
    return f"{2000 + year}-{month:02}-{day:02}"
