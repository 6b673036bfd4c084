"""M-Bus frames: the wired long frame and the wireless link, extended link and transport layers.

EN 13757-2 (long frame), EN 13757-4 (link layer, CRC, extended link layer), EN 13757-7 and OMS volume 2
(transport layer, authentication layer). Receivers take the CRC bytes out as a rule; both forms are read.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import NamedTuple

from dutyroom.errors import Rejected
from dutyroom.profiles.codecs.mbus_crc import crc16, ends_in_crc

ENCRYPTED = "encrypted: receive it with wmbusmeters and subscribe to its JSON"

# Device type codes of EN 13757-7, table 13, in the words that receivers print.
MEDIA: Mapping[int, str] = {
    0x00: "other", 0x01: "oil", 0x02: "electricity", 0x03: "gas", 0x04: "heat", 0x05: "steam", 0x06: "warm water",
    0x07: "water", 0x08: "heat cost allocation", 0x09: "compressed air", 0x0A: "cooling load volume at outlet",
    0x0B: "cooling load volume at inlet", 0x0C: "heat volume at inlet", 0x0D: "heat/cooling load",
    0x0E: "bus/system component", 0x0F: "unknown", 0x10: "irrigation water", 0x11: "water data logger",
    0x12: "gas data logger", 0x13: "gas converter", 0x14: "calorific value", 0x15: "hot water", 0x16: "cold water",
    0x17: "dual water", 0x18: "pressure", 0x19: "a/d converter", 0x1A: "smoke detector", 0x1B: "room sensor",
    0x1C: "gas detector", 0x20: "breaker", 0x21: "valve", 0x25: "customer unit", 0x28: "waste water",
    0x29: "garbage", 0x2A: "carbon dioxide", 0x30: "service tool", 0x31: "communication controller", 0x36: "radio converter (system side)",
    0x37: "radio converter (meter side)", 0x38: "bus converter (meter side)",
}  # fmt: skip


class Device(NamedTuple):
    """Who sends. manufacturer: three letters; id: 8 digits as text, letters where a maker counts in hex."""

    manufacturer: str
    id: str
    version: int
    type: int
    media_word: str = ""  # where the maker has a code of his own

    @property
    def media(self) -> str:
        return self.media_word or MEDIA.get(self.type, "reserved")


class Frame(NamedTuple):
    """One telegram without its link layer.

    data: the frame's bytes, CRC taken out. ci: the code at data[ci_at] that says what follows; records: what
    follows stands at data[start:end]. device: of the transport header, else of the link layer. link: of the
    link layer. access, status: of the transport header. mode: of its encryption; encrypted: the payload has
    not been decrypted. signature: of a compact frame's format. rest: bytes after the telegram.
    """

    data: bytes
    device: Device | None
    link: Device | None
    ci: int
    ci_at: int
    start: int
    end: int
    access: int | None = None
    status: int | None = None
    mode: int = 0
    encrypted: bool = False
    signature: int | None = None
    rest: bytes = b""


def frame_of(payload: bytes) -> Frame:
    """The telegram in these bytes. Raises Rejected with what is wrong, and for one that is encrypted."""
    if len(payload) >= 6 and _is_wired(payload):
        return _long_frame(payload)
    if len(payload) < 11:
        raise Rejected(f"{len(payload)} bytes are no M-Bus telegram")
    data, rest = _without_crc(payload)
    link = device_at(data, 2)
    return _layers(data, 10, link, rest)


def device_at(data: bytes, at: int) -> Device:
    """Manufacturer, id, version, type in the order of the link layer."""
    return _device(data[at : at + 8])


@lru_cache(maxsize=4096)  # a meter says the same in each telegram
def _device(said: bytes) -> Device:
    return Device(_maker(said[:2]), said[2:6][::-1].hex(), said[6], said[7])


@lru_cache(maxsize=1024)
def _maker(two: bytes) -> str:
    """Three letters of five bits; hex where they are none."""
    code = int.from_bytes(two, "little")
    letters = "".join(chr(64 + (code >> shift & 0x1F)) for shift in (10, 5, 0))
    return letters if letters.isalpha() else f"{code:04X}"


# ---------------------------------------------------------------- wired


def _is_wired(payload: bytes) -> bool:
    """Also with one of its marks damaged, so that it is not taken for a wireless telegram without CRC."""
    marks = (payload[0] == 0x68, payload[1] == payload[2], payload[3] == 0x68, payload[-1] == 0x16)
    return marks.count(True) >= 3


def _long_frame(payload: bytes) -> Frame:
    """68 L L 68 C A CI ... checksum 16."""
    length = payload[1]
    end = 4 + length
    if not payload[0] == payload[3] == 0x68:
        raise Rejected(
            f"long frame: bytes 0 and 3 are {payload[0]:02X} and {payload[3]:02X}, both should be 68"
        )
    if payload[2] != length:
        raise Rejected(f"length at byte 2: {payload[2]}, at byte 1 {length}")
    if length < 3 or len(payload) < end + 2:
        raise Rejected(f"long frame of {length + 6} bytes: {len(payload)} bytes are there")
    total = sum(payload[4:end]) & 0xFF
    if total != payload[end]:
        raise Rejected(f"checksum at byte {end}: {payload[end]:02X}, computed {total:02X}")
    if payload[end + 1] != 0x16:
        raise Rejected(f"end of the frame at byte {end + 1}: {payload[end + 1]:02X} is not 16")
    return application(payload, 6, end, None, wired=True)


# ---------------------------------------------------------------- wireless


def _without_crc(payload: bytes) -> tuple[bytes, bytes]:
    """(frame, what follows it). The length byte counts neither itself nor the CRC bytes."""
    length = payload[0] + 1
    if length < 11:
        raise Rejected(f"length at byte 0: a telegram has at least 11 bytes, not {length}")
    for plain in (_format_a(payload, length), _format_b(payload, length)):
        if plain is not None:
            return plain, b""
    if len(payload) < length:
        raise Rejected(f"length at byte 0: {length} bytes, {len(payload)} are there")
    return payload[:length], payload[length:]


def _format_a(payload: bytes, length: int) -> bytes | None:
    """Blocks of 10, then 16 bytes, each with its CRC; None when the CRC are not there.

    They are there when one of them fits, or two where the bytes are as many as a telegram without CRC has.
    """
    return _joined(payload, _blocks(length), 2 if len(payload) == length else 1)


@lru_cache(maxsize=256)
def _blocks(length: int) -> tuple[tuple[int, int], ...]:
    """(place, size) of each."""
    count = -(-(length - 10) // 16)
    return ((0, 10), *((12 + 18 * n, min(16, length - 10 - 16 * n)) for n in range(count)))


def _format_b(payload: bytes, length: int) -> bytes | None:
    """One block of up to 126 bytes and a second one; here the length byte counts the CRC bytes. That the CRC of a
    single block is wrong cannot be seen: it could be data."""
    if len(payload) != length:
        return None
    places = [(0, length - 2)] if length <= 128 else [(0, 126), (128, length - 130)]
    return _joined(payload, places, 1)


def _joined(payload: bytes, places: Sequence[tuple[int, int]], enough: int) -> bytes | None:
    """The blocks (place, size) without their CRC; None when fewer than `enough` fit.

    Raises Rejected when some do: read as a telegram without CRC, a damaged one would be believed.
    """
    fits: list[bool] = []
    spare = len(places) - enough  # blocks that may be wrong before it is certain that too few fit
    for at, size in places:
        block = payload[at : at + size + 2]
        fit = len(block) == size + 2 and size > 0 and ends_in_crc(block)
        fits.append(fit)
        if not fit:
            spare -= 1
            if spare < 0:
                return None
    if not all(fits):
        at, size = places[fits.index(False)]
        raise Rejected(f"CRC at byte {at + size}: the block before it is damaged")
    return b"".join(payload[at : at + size] for at, size in places)


_EXTENDED = {0x8C: 2, 0x8D: 8, 0x8E: 10, 0x8F: 16}  # extended link layers: bytes after the CI


def _layers(data: bytes, at: int, link: Device, rest: bytes) -> Frame:
    """From the first CI to the application: extended link layer, authentication layer, transport layer."""
    end = len(data)
    for _ in range(4):
        ci = data[at] if at < end else 0
        if ci in _EXTENDED:
            size = _EXTENDED[ci]
            if at + 1 + size >= end:
                raise Rejected(f"extended link layer at byte {at}: the telegram ends in it")
            if size in (8, 16):
                _check_payload(data, at + 1 + size, data[at + size - 2])
            if size in (10, 16):
                link = device_at(data, at + 3)
            at += 1 + size
        elif ci == 0x90:  # authentication and fragmentation layer: its length comes first
            at += 2 + (data[at + 1] if at + 1 < end else 0)
        else:
            break
    if at >= end:
        raise Rejected(f"telegram ends at byte {end} before its application data")
    return application(data, at, end, link, rest=rest)


def _check_payload(data: bytes, at: int, session: int) -> None:
    """The extended link layer's CRC is over the plain payload: when it fits, nothing is encrypted (any more)."""
    if not _crc_fits_before(data, at):
        what = ENCRYPTED if session & 0xE0 else f"CRC at byte {at - 2}: the payload behind it is damaged"
        raise Rejected(what)


def _crc_fits_before(data: bytes, at: int) -> bool:
    return crc16(data[at:]) == int.from_bytes(data[at - 2 : at], "little")


# ---------------------------------------------------------------- transport layer

_LONG = (0x72, 0x73)
_SHORT = (0x7A, 0x7B)
_NONE = (0x78, 0x79)
_COMPACT = (0x73, 0x7B, 0x79)
STANDARD = frozenset((*_LONG, *_SHORT, *_NONE))
_OTHER = frozenset((0x69, 0x6A, 0x6B, 0x6E, 0x6F, 0x70, 0x76, 0x77))  # formats, errors, fixed structures
_DECRYPTED = b"\x2f\x2f"  # a decrypted payload begins with two fillers: modes 5 and 7 demand it


def application(
    data: bytes, at: int, end: int, link: Device | None, wired: bool = False, rest: bytes = b""
) -> Frame:
    """The transport header at `at` and what it covers. Other CI codes are the maker's: all after the CI is his."""
    ci = data[at]
    if ci in _OTHER:
        raise Rejected(f"CI at byte {at}: {ci:02X} carries no readings in data records")
    size = 13 if ci in _LONG else 5 if ci in _SHORT else 0
    if size:
        frame = _headed(data, at, end, size, link, wired, rest)
    else:
        frame = Frame(data, link, link, ci, at, at + 1, end, rest=rest)
    return _compact(frame) if ci in _COMPACT and not frame.encrypted else frame


def _headed(
    data: bytes, at: int, end: int, size: int, link: Device | None, wired: bool, rest: bytes
) -> Frame:
    """With a transport header: [id, manufacturer, version, type,] access number, status, configuration."""
    if at + size > end:
        raise Rejected(f"transport header at byte {at}: {size} bytes, {end - at} are there")
    device = link
    if size == 13:
        device = _device(data[at + 5 : at + 7] + data[at + 1 : at + 5] + data[at + 7 : at + 9])
    mode = 0 if wired else data[at + size - 1] & 0x1F
    start = at + size + (1 if mode in (7, 13) else 0)  # their configuration field is a byte longer
    return Frame(
        data, device, link, data[at], at, min(start, end), end, data[at + size - 4], data[at + size - 3],
        mode, mode != 0 and data[start : start + 2] != _DECRYPTED, None, rest,
    )  # fmt: skip


def _compact(frame: Frame) -> Frame:
    """A compact frame: the signature of its format and the full frame's CRC, then values only."""
    at = frame.start
    if at + 4 > frame.end:
        raise Rejected(f"compact frame at byte {at}: it ends before its signature and CRC")
    return frame._replace(start=at + 4, signature=int.from_bytes(frame.data[at : at + 2], "little"))
