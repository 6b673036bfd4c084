"""Blocks of makers behind DIF 0F or in a record of theirs: BMeters, Apator, Zenner, Qundis. Found by comparing
telegrams with what their meters showed; positions count from the first byte of the block."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal

from dutyroom.profiles.codecs.mbus_document import Entry
from dutyroom.profiles.codecs.mbus_records import RawRecord
from dutyroom.profiles.codecs.mbus_values import date_text, scaled
from dutyroom.profiles.codecs.mbus_vif import meaning
from dutyroom.profiles.codecs.wmbus_found import Found, hundredths, number, text, u16

# ---------------------------------------------------------------- BMeters


_PLACES: Mapping[int, tuple[tuple[str, int], ...]] = {
    0x10: (
        ("room_temperature", 7), ("room_temperature_max", 9), ("room_temperature_last_month", 15),
        ("radiator_temperature_last_month", 17),
    ),
    0x11: (
        ("radiator_temperature", 9), ("room_temperature", 11), ("room_temperature_max", 13),
        ("radiator_temperature_last_month", 17), ("room_temperature_last_month", 19),
        ("room_temperature_at_target1", 29), ("room_temperature_at_target2", 31), ("room_temperature_at_target3", 33),
    ),
}  # fmt: skip
_TOTALS = {0x10: 21, 0x11: 44}  # three bytes


def hydroclima(block: bytes) -> Found | None:
    """HYDROCLIMA heat cost allocator: two layouts, told by the first byte. Temperatures in 0.01 degC."""
    kind = block[0]
    total = _TOTALS.get(kind, 0)
    if not total or len(block) < total + 3:
        return None
    flags = u16(block, 1)
    entries = [number(name, hundredths(block, at), "degC") for name, at in _PLACES[kind]]
    if kind == 0x11:
        entries += [number(f"units_at_target{n}", u16(block, 19 + 2 * n), "hca") for n in (1, 2, 3, 4)]
    entries.append(number("units_total", int.from_bytes(block[total : total + 3], "little"), "hca"))
    return Found(entries, [f"ERROR_FLAGS_{flags:X}"] if flags else [])


# Code of the battery's voltage in tenths of a volt and halves of it; higher codes and 0: 3.7 V and more.
_BATTERY = dict(enumerate(("1.9", "2.1", "2.2", "2.3", "2.4", "2.5", "2.65", "2.8", "2.9", "3.05", "3.2", "3.35", "3.5"), 1))  # fmt: skip
_CONTENTS = {0: "BATTERY_VOLTAGE", 1: "FRAUD_DATE", 2: "BACKFLOW", 4: "MONTHLY_DATA"}
_MONTHS = (
    "january", "february", "march", "april", "may", "june", "july", "august", "september", "october", "november", "december",
)  # fmt: skip


def hydrodigit(block: bytes) -> Found | None:
    """HYDRODIGIT water meter: the first byte says what follows: battery, fraud, backflow, months January to December."""
    contents, at = block[0], 1
    if contents & ~0x17 or not contents & 1 or len(block) < 2:
        return None
    words = [word for bit, word in _CONTENTS.items() if contents >> bit & 1]
    entries = [
        text("contents", " ".join(sorted(words))),
        number("battery_voltage", Decimal(_BATTERY.get(block[1], "3.7")), "V"),
    ]
    at += 1
    if contents & 2:
        entries.append(
            text("fraud_type", "NO_TYPE_INFO" if not any(block[at : at + 4]) else block[at : at + 4].hex())
        )
        at += 4
    if contents & 4:
        entries.append(_litres("volume_backward", block, at, 4, -3))
        at += 4
    if contents & 16:
        entries += [_litres(f"volume_{month}", block, at + 3 * n, 3, -2) for n, month in enumerate(_MONTHS)]
    return Found(entries)


def _litres(name: str, block: bytes, at: int, size: int, exponent: int) -> Entry:
    """A volume of `size` bytes; none when the block ends before it."""
    data = block[at : at + size]
    whole = Decimal(int.from_bytes(data, "little")).scaleb(exponent)
    return number(name, whole if len(data) == size else None, "m3")


# ---------------------------------------------------------------- Apator

# Register -> bytes of its value. 8x: ten bytes of events; 7x: x + 1 values of earlier months behind one byte.
_APATOR = {0x10: 4, 0x40: 6, 0x41: 2, 0x42: 4, 0x43: 2, 0x44: 3, 0xA0: 4, 0xF0: 4}
_VOLUME = 0x10


def apator162(block: bytes) -> Found | None:
    """AT-WMBUS-16-2: seven bytes of date and state, then registers; FF fills the rest. Volumes in litres."""
    found: list[Entry] = []
    at = 7
    while at < len(block) and block[at] != 0xFF:
        register = block[at]
        months = (register & 0x0F) + 1 if register >> 4 == 7 else 0
        size = 1 + 4 * months if months else 10 if register >> 4 == 8 else _APATOR.get(register, 0)
        data = block[at + 1 : at + 1 + size]
        if not size or len(data) < size:  # a register that nobody knows ends the list
            break
        if register == _VOLUME:
            found.append(number("volume", _volume(data), "m3", True))
        for month in range(1, months + 1):
            found.append(number(f"volume_month{month}", _volume(data[4 * month - 3 :]), "m3"))
        at += 1 + size
    return Found(found) if found else None


def _volume(data: bytes) -> Decimal:
    return Decimal(int.from_bytes(data[:4], "little")).scaleb(-3)


# ---------------------------------------------------------------- Zenner


def zenner(block: bytes) -> Found | None:
    """Water meter without records: status, volume at the set date and now, in 1/256 litre, four bytes each."""
    if len(block) < 12:
        return None
    status, target, total = (int.from_bytes(block[at : at + 4], "little") for at in (0, 4, 8))
    entries = [
        number("volume", Decimal(total) / 256000, "m3", True),
        number("volume_at_target", Decimal(target) / 256000, "m3"),
    ]
    return Found(entries, [f"STATUS_{status:X}"] if status else [])


# ---------------------------------------------------------------- Qundis

QUNDIS_VIF = b"\xff\x5f"


def qundis(records: Sequence[RawRecord]) -> Found | None:
    """Record FF5F: day of an error, value now, at the set date and at the end of the month, then the use of 12 months.

    The block names its quantity by a VIF of the standard (6E units, 0D energy); values are BCD of 8 digits.
    """
    record = next((r for r in records if r.vif == QUNDIS_VIF and len(r.data) >= 28), None)
    if record is None:
        return None
    block = record.data
    if block[4] or block[7] != 7 or block[9] & 0x80:  # newer meters scramble the block: byte 4 is 35 there
        return None
    what = meaning(block[9:10])
    word, unit = ("units", "hca") if what.word == "hca" else (what.word, what.unit)
    found: list[Entry] = [text("error_date", date_text(block[10:12]))]
    for name, at, when in (("", 12, None), ("_at_target", 18, 16), ("_at_month_end", 24, 22)):
        digits = block[at : at + 4][::-1].hex()
        value = scaled(Decimal(digits), what) if digits.isdecimal() else None
        found.append(number(f"{word}{name}", None, unit)._replace(value=value, register=not name))
        if when is not None:
            found.append(text(f"date{name}", date_text(block[when : when + 2])))
    return Found(found, ["ERROR"] if found[0].value else [])
