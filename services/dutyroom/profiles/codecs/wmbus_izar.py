"""Diehl: the order of its address, and readings hidden by a shift register that starts from it.

The register (taps 1, 2, 11 and 31) and the two keys that the makers use for all meters were published by
several analyses of the open protocol. It is a scrambler, not an encryption with a meter's own key.
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

from dutyroom.errors import Rejected
from dutyroom.profiles.codecs.mbus_document import Entry
from dutyroom.profiles.codecs.mbus_link import ENCRYPTED, Device, Frame
from dutyroom.profiles.codecs.mbus_values import date_text
from dutyroom.profiles.codecs.wmbus_found import Found, number, text

_KEYS = (0x39BC8A10E66D83F8, 0x51728910E66D83F8)
_MARK = 0x4B  # first byte behind the scrambler
_ALARMS = (
    (1, 7, "LEAKAGE"), (1, 6, "PREVIOUS_LEAKAGE"), (1, 5, "METER_BLOCKED"), (2, 7, "BACK_FLOW"), (2, 6, "UNDERFLOW"),
    (2, 5, "OVERFLOW"), (2, 4, "SUBMARINE"), (2, 3, "SENSOR_FRAUD"), (2, 2, "PREVIOUS_SENSOR_FRAUD"),
    (2, 1, "MECHANICAL_FRAUD"), (2, 0, "PREVIOUS_MECHANICAL_FRAUD"), (0, 7, "GENERAL"),
)  # fmt: skip


def prios(frame: Frame) -> Found:
    """Volume now and at the last month's end, battery, period, alarms. Raises Rejected for another key."""
    data, at = frame.data, frame.start
    if frame.end < at + 9:
        raise Rejected(f"PRIOS telegram of {len(data)} bytes: 9 after the CI at least")
    head = data[at : at + 3]
    plain = next((p for key in _KEYS if (p := _descrambled(data, at, key))[0] == _MARK), None)
    if plain is None:
        raise Rejected(ENCRYPTED)
    words = [word for byte, bit, word in _ALARMS if head[byte] >> bit & 1]
    entries = [
        number("volume", _litres(plain[1:5]), "m3", True),
        number("remaining_battery_years", Decimal(head[1] & 0x1F) / 2),
        number("transmit_period", 1 << ((head[0] & 0x0F) + 2), "s"),
    ]
    if len(plain) == 11:  # older meters send no more than the volume
        entries.append(number("volume_at_target", _litres(plain[5:9]), "m3"))
        entries.append(text("target_date", date_text(plain[9:11])))
    if frame.link is not None and frame.link.manufacturer == "SAP":
        entries += _sappel(data[4:10])
    return Found(entries, words, _device(frame))


_TYPES = frozenset({0x02, 0x03, 0x04, 0x06, 0x07, 0x08, 0x0C, 0x0D, 0x16})  # what Diehl makes
_BEGINNINGS = (b"\x04", b"\x0c")  # DIF of a register, which comes first
STANDARD_MODES = 14  # below: modes that the standard gives a meaning


def reordered(frame: Frame) -> Frame:
    """Hydrometer's telegrams with a short header may have version and type in front of the id."""
    link, kind = frame.link, frame.data[5]
    if (
        frame.ci != 0x7A
        or link is None
        or link.manufacturer != "HYD"
        or kind not in _TYPES
        or link.type in _TYPES
    ):
        return frame
    device = Device(link.manufacturer, frame.data[6:10][::-1].hex(), frame.data[4], kind)
    return frame._replace(device=device, link=device)


def hidden(frame: Frame) -> bytes | None:
    """The records of a telegram in a security mode of Hydrometer's own: scrambled, then their sum stands in the
    configuration field, or plain. None when they are neither.
    """
    own = frame.data[frame.start : frame.end]
    for key in _KEYS:
        plain = bytes(byte ^ mask for byte, mask in zip(own, _masks(_start(frame.data, key)), strict=False))
        if plain[:1] in _BEGINNINGS and sum(plain) & 0xFF == frame.data[frame.start - 1]:
            return plain
    return own if own[:1] in _BEGINNINGS else None


def _litres(data: bytes) -> Decimal:
    return Decimal(int.from_bytes(data, "little")).scaleb(-3)


def _descrambled(data: bytes, at: int, key: int) -> bytes:
    """Up to 11 bytes behind the scrambler: it starts from the key, the address and the four bytes behind it."""
    scrambled = data[at + 4 : at + 15]
    return bytes(byte ^ mask for byte, mask in zip(scrambled, _masks(_start(data, key)), strict=False))


def _start(data: bytes, key: int) -> int:
    """The register at the start: both halves of the key, and twelve bytes from the manufacturer on."""
    register = key >> 32 ^ key & 0xFFFFFFFF
    for at in (2, 6, 10):
        register ^= int.from_bytes(data[at : at + 4], "big")
    return register


def _eight(far: int, near: int) -> int:
    """The next eight bits, the first one highest. far: taps 11 and 31 added up, for each of them; near: the three
    lowest bits of the register, which the new bits follow under taps 1 and 2."""
    register = near
    for step in range(8):
        register = register << 1 | (register >> 1 ^ register >> 2 ^ far >> (7 - step)) & 1
    return register & 0xFF


_EIGHT = bytes(_eight(n >> 3, n & 7) for n in range(256 * 8))


def _masks(register: int) -> Iterator[int]:
    while True:
        mask = _EIGHT[((register >> 4 ^ register >> 24) & 0xFF) << 3 | register & 7]
        register = (register << 8 | mask) & 0xFFFFFFFF
        yield mask


def _sappel(address: bytes) -> list[Entry]:
    """What the 48 bits of a Sappel address say, lowest first: number (YYNNNNNN in 26 bits), three spare ones,
    then letters of five bits: diameter, type, supplier. Printed on the meter as `C19UA145842`."""
    whole = int.from_bytes(address, "little")
    digits = f"{whole & 0x3FFFFFF:08}"
    diameter, kind, supplier = (chr(0x40 + (whole >> shift & 0x1F)) for shift in (29, 34, 39))
    return [
        text("prefix", f"{supplier}{digits[:2]}{kind}{diameter}"),
        text("serial_number", digits[2:]),
        text("year_of_manufacture", f"20{digits[:2]}"),
    ]


def _device(frame: Frame) -> Device:
    """Diehl's own order of the address: version, type, id. Sappel keeps the standard's."""
    link, address = frame.link, frame.data[4:10]
    assert link is not None
    if link.manufacturer == "SAP":
        return Device(link.manufacturer, link.id, link.version, 0x07)
    return Device(link.manufacturer, address[2:6][::-1].hex(), address[0], address[1])
