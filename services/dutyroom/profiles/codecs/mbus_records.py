"""M-Bus data records (EN 13757-3): where each one begins, what its DIF says, which bytes are its value."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

from dutyroom.errors import Rejected

MAX_RECORDS = 500  # a telegram has 255 bytes, a LoRaWAN payload 242
MAX_CHAIN = 10  # DIFE or VIFE of one record, as the standard bounds them

FUNCTIONS = ("instantaneous", "maximum", "minimum", "error")
FILLER = 0x2F
_LENGTHS = (0, 1, 2, 3, 4, 4, 6, 8, 0, 1, 2, 3, 4, -1, 6)  # bytes by data field; -1 = LVAR says
LVAR = 0x0D


class RawRecord(NamedTuple):
    """One record. at, data_at: bytes of the payload. coding: data field of the DIF. label: of a plain text VIF.

    lvar: the length byte of a value of variable length, which also says its kind.
    """

    at: int
    data_at: int
    function: str
    storage: int
    tariff: int
    subunit: int
    coding: int
    dif: bytes
    vif: bytes
    label: str
    data: bytes
    lvar: int | None = None

    @property
    def header(self) -> bytes:
        """DIF and VIF with their extensions, as a format signature counts them."""
        return self.dif + self.vif


@dataclass(frozen=True, slots=True)
class RecordList:
    """records of a payload; manufacturer: what follows DIF 0F or 1F; more: 1F, the next telegram goes on;
    unread: what begins with a DIF that the standard reserves."""

    records: tuple[RawRecord, ...]
    manufacturer: bytes | None = None
    manufacturer_at: int = 0
    more: bool = False
    unread: bytes = b""


def split(payload: bytes, start: int, end: int) -> RecordList:
    """The records of payload[start:end]. Raises Rejected for a record that is cut off or has an endless chain."""
    records: list[RawRecord] = []
    at = start
    while at < end:
        dif = payload[at]
        if dif == FILLER:
            at += 1
        elif dif in (0x0F, 0x1F):
            return RecordList(tuple(records), payload[at + 1 : end], at + 1, dif == 0x1F)
        elif dif & 0x0F == 0x0F:
            return RecordList(tuple(records), unread=payload[at:end])
        else:
            if len(records) >= MAX_RECORDS:
                raise Rejected(f"more than {MAX_RECORDS} data records")
            record = _record(payload, at, end)
            records.append(record)
            at = record.data_at + len(record.data)
    return RecordList(tuple(records))


def headers(listing: bytes) -> tuple[tuple[bytes, int], ...]:
    """(DIF and VIF, length of the value) of records that are given without their values: the format of
    compact frames. Raises Rejected when a value's length would stand in the missing data."""
    found: list[tuple[bytes, int]] = []
    at = 0
    while at < len(listing):
        dif, after = _chain(listing, at, len(listing), "DIF")
        vif, after = _chain(listing, after, len(listing), "VIF")
        length = _LENGTHS[dif[0] & 0x0F] if dif[0] & 0x0F < len(_LENGTHS) else -1
        if length < 0 or vif[0] & 0x7F == 0x7C:
            raise Rejected(f"format at byte {at}: a value of variable length has no place in a compact frame")
        found.append((dif + vif, length))
        at = after
    return tuple(found)


def _record(payload: bytes, at: int, end: int) -> RawRecord:
    after, label = at + 2, ""
    if after <= end and payload[at] < 0x80 and payload[at + 1] < 0x7C:  # neither is extended: most records
        dif, vif = payload[at : at + 1], payload[at + 1 : after]
    else:
        dif, after = _chain(payload, at, end, "DIF")
        vif, after, label = _vif(payload, after, end)
    function, storage, tariff, subunit, coding, length = _told(dif)
    lvar = None
    if coding == LVAR:
        lvar = _byte(payload, after, end, "length of a value")
        after += 1
        length = lvar_length(lvar, after - 1)
    if after + length > end:
        raise Rejected(
            f"data record at byte {at}: its value needs {length} bytes from byte {after}, {end - after} are there"
        )
    return RawRecord(
        at, after, function, storage, tariff, subunit, coding, dif, vif, label, payload[after : after + length], lvar
    )  # fmt: skip


@lru_cache(maxsize=1024)
def _told(dif: bytes) -> tuple[str, int, int, int, int, int]:
    """(function, storage, tariff, subunit, data field, bytes of the value) of a DIF with its extensions."""
    coding = dif[0] & 0x0F
    return (FUNCTIONS[dif[0] >> 4 & 3], *_numbers(dif), coding, _LENGTHS[coding])


def lvar_length(lvar: int, at: int) -> int:
    """Bytes of a value of variable length: text, BCD, binary number, large number or float."""
    if lvar <= 0xBF:
        return lvar
    if lvar <= 0xC9 or 0xD0 <= lvar <= 0xD9:
        return lvar & 0x0F
    if 0xE0 <= lvar <= 0xEF:
        return lvar - 0xE0
    if 0xF0 <= lvar <= 0xF4:
        return 4 * (lvar - 0xEC)
    raise Rejected(f"length of a value at byte {at}: {lvar:02X} is reserved")


def _chain(payload: bytes, at: int, end: int, what: str) -> tuple[bytes, int]:
    """A byte and its extensions: each with the top bit says that another follows."""
    first = at
    while at < end:
        if payload[at] < 0x80:
            return payload[first : at + 1], at + 1
        at += 1
        if at - first > MAX_CHAIN:
            raise Rejected(f"{what} at byte {first}: more than {MAX_CHAIN} extensions")
    raise Rejected(f"{what} at byte {at}: the payload ends there")


def _vif(payload: bytes, at: int, end: int) -> tuple[bytes, int, str]:
    """The VIF chain. A plain text VIF (7C, FC) carries its text, last letter first, after the chain."""
    vif, after = _chain(payload, at, end, "VIF")
    if vif[0] & 0x7F != 0x7C:
        return vif, after, ""
    count = _byte(payload, after, end, "length of a unit's text")
    text = payload[after + 1 : after + 1 + count]
    if len(text) != count or after + 1 + count > end:
        raise Rejected(f"unit's text at byte {after}: {count} letters, {end - after - 1} are there")
    return vif, after + 1 + count, text[::-1].decode("latin-1")


def _byte(payload: bytes, at: int, end: int, what: str) -> int:
    if at >= end:
        raise Rejected(f"{what} at byte {at}: the payload ends there")
    return payload[at]


def _numbers(dif: bytes) -> tuple[int, int, int]:
    """Storage, tariff and subunit: one bit of the DIF, then 4, 2 and 1 bits of each DIFE, lowest first."""
    storage, tariff, subunit = dif[0] >> 6 & 1, 0, 0
    for number, dife in enumerate(dif[1:]):
        storage |= (dife & 0x0F) << (1 + 4 * number)
        tariff |= (dife >> 4 & 3) << (2 * number)
        subunit |= (dife >> 6 & 1) << number
    return storage, tariff, subunit
