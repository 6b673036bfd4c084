"""What a maker's own decoder hands back, and helpers to make its values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from dutyroom.profiles.codecs.mbus_document import Entry
from dutyroom.profiles.codecs.mbus_link import Device
from dutyroom.profiles.codecs.mbus_records import RecordList
from dutyroom.profiles.codecs.mbus_values import decimal_text


@dataclass(frozen=True, slots=True)
class Found:
    """words: of its status, None = it tells none. device: when the link layer has another order. records: the
    standard records that its telegram holds as well."""

    entries: Sequence[Entry] = ()
    words: Sequence[str] | None = None
    device: Device | None = None
    records: RecordList | None = None


def text(name: str, value: str | None) -> Entry:
    return Entry(name, name, "", value, text=True)


def number(name: str, value: int | Decimal | None, unit: str = "", register: bool = False) -> Entry:
    """A value in a unit of mbus_document.GROUPS; a plain count has none."""
    given = value if value is None or (isinstance(value, int) and not unit) else decimal_text(Decimal(value))
    return Entry(name, name, unit, given, register=register)


def u16(data: bytes, at: int) -> int:
    return int.from_bytes(data[at : at + 2], "little")


def hundredths(data: bytes, at: int) -> Decimal:
    """A temperature of two bytes in 0.01 degC."""
    return Decimal(int.from_bytes(data[at : at + 2], "little", signed=True)).scaleb(-2)


def packed_date(value: int) -> str | None:
    """Day in 5 bits, month in 4, year in 7: as Techem and Apator write a date. 0 = none, year 0 = every year."""
    day, month, year = value & 0x1F, value >> 5 & 0x0F, value >> 9
    if not day or not 1 <= month <= 12:
        return None
    return f"{2000 + year}-{month:02}-{day:02}" if year else f"--{month:02}-{day:02}"
