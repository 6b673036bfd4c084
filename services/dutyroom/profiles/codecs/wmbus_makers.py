"""Makers that put data outside the standard's records: which decoder reads which telegram or block."""

from __future__ import annotations

from dutyroom.profiles.codecs import wmbus_blocks, wmbus_izar, wmbus_telegrams
from dutyroom.profiles.codecs.mbus_link import Frame
from dutyroom.profiles.codecs.mbus_records import RecordList
from dutyroom.profiles.codecs.wmbus_found import Found

_DIEHL = frozenset({"DME", "HYD", "SAP", "EWT"})  # the Hydrometer family of makers

_OWN = _DIEHL | {"TCH", "APT", "APA", "BFW"}  # makers with telegrams of their own

_HYDRODIGIT = frozenset({0x13, 0x15, 0x17})  # versions; later ones keep other things behind DIF 0F


def telegram_of(frame: Frame) -> Found | None:
    """A telegram that is the maker's own from the CI on; None when nobody here knows it. Raises Rejected."""
    device = frame.link
    if device is None:
        return None
    maker = device.manufacturer
    if maker not in _OWN:
        return None
    own = frame.data[frame.start : frame.end]
    if maker == "TCH" and 0xA0 <= frame.ci <= 0xA2:
        return wmbus_telegrams.techem(device, own)
    if maker in ("APT", "APA") and frame.ci in (0xA0, 0xB6):
        return wmbus_telegrams.apator(device, frame.ci, own)
    if maker in _DIEHL and 0xA0 <= frame.ci <= 0xA7:
        return wmbus_izar.prios(frame)
    if maker == "BFW" and frame.ci == 0x7A and not frame.encrypted:
        return wmbus_telegrams.bfw(own)
    return None


def has_own(records: RecordList) -> bool:
    """True when block_of asks what one of the records holds."""
    return any(record.vif == wmbus_blocks.QUNDIS_VIF for record in records.records)


def block_of(frame: Frame, records: RecordList) -> Found | None:
    """What stands behind DIF 0F, or in a record of the maker; None when nobody here knows it."""
    device, block = frame.link or frame.device, records.manufacturer
    maker = device.manufacturer if device is not None else ""
    if maker == "QDS":
        return wmbus_blocks.qundis(records.records)
    if not block:
        return None
    if maker == "BMP":
        return wmbus_blocks.hydroclima(block)
    if maker == "BMT" and device is not None and device.version in _HYDRODIGIT:
        return wmbus_blocks.hydrodigit(block)
    if maker == "APA" and not records.records:
        return wmbus_blocks.apator162(block)
    if maker == "ZRI" and not records.records:
        return wmbus_blocks.zenner(block)
    return None
