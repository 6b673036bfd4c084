"""Telegrams that are a maker's own layout: Techem, Apator, BFW. Each found by comparing telegrams with what
their meters showed; positions count from the byte after the CI."""

from __future__ import annotations

from decimal import Decimal

from dutyroom.errors import Rejected
from dutyroom.profiles.codecs.mbus_document import Entry
from dutyroom.profiles.codecs.mbus_link import Device
from dutyroom.profiles.codecs.wmbus_found import Found, hundredths, number, packed_date, text, u16

_MONTHS = (
    "january", "february", "march", "april", "may", "june", "july", "august", "september", "october", "november", "december",
)  # fmt: skip


def _long_enough(own: bytes, length: int, what: str) -> None:
    if len(own) < length:
        raise Rejected(f"{what}: {length} bytes after the CI, {len(own)} are there")


# ---------------------------------------------------------------- Techem

# Codes of its own.
_TECHEM_MEDIA = {
    0x80: "heat cost allocator", 0x62: "warm water", 0x72: "cold water", 0x43: "heat", 0x45: "heat", 0xC3: "heat",
    0xF0: "smoke detector",
}  # fmt: skip
_TENTH = Decimal("0.1")


def techem(device: Device, own: bytes) -> Found | None:
    """Compact telegrams: date and value at the last set date, then day and value since then."""
    kind = device._replace(media_word=_TECHEM_MEDIA.get(device.type, ""))
    if device.type == 0x80:
        return Found(_allocator(device.version, own), device=kind)
    if device.type in (0x62, 0x72) and device.version == 0x50:
        return Found(_radio3(own), device=kind)
    if device.type in (0x62, 0x72):
        _long_enough(own, 9, "Techem radio 4")
        before, since = u16(own, 3), u16(own, 7)
        target = number("volume_at_target", before * _TENTH, "m3")
        date = text("target_date", packed_date(u16(own, 1)))
        return Found([target, date, number("volume", (before + since) * _TENTH, "m3", True)], device=kind)
    if device.type in (0x43, 0x45, 0xC3):
        return Found(_heat(device.type, own), device=kind)
    if device.type == 0xF0:
        _long_enough(own, 3, "Techem smoke detector")
        words = ["SMOKE"] if own[0] & 1 else []
        return Found([text("previous_date", packed_date(u16(own, 1)))], words, kind)
    return None


def _heat(kind: int, own: bytes) -> list[Entry]:
    """Compact V counts kWh in three bytes, vario 4 (type C3) MJ in two: at the set date, and since."""
    size, unit, factor = (2, "J", 1_000_000) if kind == 0xC3 else (3, "Wh", 1000)
    _long_enough(own, 7 + size, "Techem heat meter")
    before, since = (int.from_bytes(own[at : at + size], "little") * factor for at in (3, 7))
    return [
        number("energy", before + since, unit, True),
        number("energy_at_target", before, unit),
        number("energy_since_target", since, unit),
        text("target_date", packed_date(u16(own, 1))),
    ]


def _allocator(version: int, own: bytes) -> list[Entry]:
    """Heat cost allocator: set date and units then, day and units since, room and radiator temperature.

    Version 94 (hex) has one more byte in front of the temperatures.
    """
    extra = 1 if version == 0x94 else 0
    _long_enough(own, 13 + extra, "Techem allocator")
    target = packed_date(u16(own, 1))
    day, month = own[5] >> 4 | (own[6] & 1) << 4, own[6] >> 1 & 0x0F
    return [
        number("units_at_target", u16(own, 3), "hca"),
        text("target_date", target),
        number("units", u16(own, 7), "hca"),
        text("date", _day_after(target, day, month)),
        number("room_temperature", hundredths(own, 9 + extra), "degC"),
        number("radiator_temperature", hundredths(own, 11 + extra), "degC"),
    ]


def _day_after(target: str | None, day: int, month: int) -> str | None:
    """The telegram leaves the year out: the first such day after the set date."""
    if target is None or target.startswith("--") or not day or not 1 <= month <= 12:
        return None
    year = int(target[:4])
    later = f"{month:02}-{day:02}" > target[5:]
    return f"{year if later else year + 1}-{month:02}-{day:02}"


def _radio3(own: bytes) -> list[Entry]:
    """Volume, last set date, and the use of twelve months in two halves of a byte each, newest first."""
    _long_enough(own, 44, "Techem radio 3")
    date = packed_date(u16(own, 2))
    used = [(own[at] + own[at + 1]) * _TENTH for at in range(8, 44, 3)]
    total = int.from_bytes(own[4:7], "little") * _TENTH
    found = [
        number("volume", total, "m3", True),
        number("volume_of_target_month", used[0], "m3"),
        text("target_date", date),
    ]
    if date is not None and not date.startswith("--"):
        last = int(date[5:7]) - 1
        found += [
            number(f"volume_of_{_MONTHS[(last - n) % 12]}", value, "m3") for n, value in enumerate(used)
        ]
    return found


# ---------------------------------------------------------------- Apator


def apator(device: Device, ci: int, own: bytes) -> Found | None:
    """Gas modules count thirds of a litre; E.ITN allocators have a block of 15 bytes (after one more under B6)."""
    if device.type == 0x08:
        if ci == 0xB6:
            own = own[2 + own[0] :] if own else b""
        return _eitn(own)
    if ci == 0xA0 and device.manufacturer == "APT":
        _long_enough(own, 4, "Apator gas module")
        litres = Decimal(int.from_bytes(own[:4], "little")) / 3
        return Found([number("volume", (litres / 1000).quantize(Decimal("1e-6")), "m3", True)])
    return None


def _eitn(own: bytes) -> Found:
    """Season's start, units of the last season and of this one, day of the seal's opening, today, temperatures."""
    _long_enough(own, 15, "Apator E.ITN")
    opened = packed_date(u16(own, 5))
    entries = [
        text("season_start_date", packed_date(u16(own, 0))),
        number("units_at_target", u16(own, 3), "hca"),
        text("seal_opened_date", opened),
        number("units", u16(own, 7), "hca"),
        text("date", packed_date(u16(own, 9))),
        number("room_temperature_before", _256ths(own, 11), "degC"),
        number("room_temperature", _256ths(own, 13), "degC"),
    ]
    return Found(entries, ["SEAL_BROKEN"] if opened else [])


def _256ths(data: bytes, at: int) -> Decimal:
    return Decimal(int.from_bytes(data[at : at + 2], "little", signed=True)) / 256


# ---------------------------------------------------------------- BFW


def bfw(own: bytes) -> Found | None:
    """Heat cost allocator 240: units at the set date and now, 18 months of 12 bits from the end, date in BCD."""
    if own[:2] == b"\x2f\x2f":
        own = own[2:]
    if len(own) != 38:
        return None
    day, month, year = (own[at : at + 1].hex() for at in (35, 36, 37))
    date = f"20{year}-{month}-{day}" if (day + month + year).isdecimal() else None
    entries = [
        number("units_at_target", int.from_bytes(own[2:4], "big"), "hca"),
        number("units", int.from_bytes(own[4:6], "big"), "hca"),
        text("date", date),
    ]
    months = []
    for at in range(32, 7, -3):
        low, middle, high = own[at + 2], own[at + 1], own[at]
        months += [low | (middle & 0x0F) << 8, high | (middle >> 4) << 8]
    entries += [number(f"units_month{n}", value, "hca") for n, value in enumerate(months, start=1)]
    return Found(entries)
