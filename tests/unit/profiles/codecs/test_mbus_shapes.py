"""A telegram of a known shape gives what reading it record by record gives, or is refused in the same words."""

import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dutyroom.errors import Rejected
from dutyroom.profiles.codecs.mbus import KIND
from dutyroom.profiles.codecs.mbus_options import read_options
from dutyroom.profiles.codecs.mbus_records import split
from dutyroom.profiles.codecs.mbus_shapes import MAX_ALIKE, MAX_HISTORIES, Shapes
from dutyroom.profiles.codecs.seam import Ask

TELEGRAMS = {
    "registers": "0C1378563412 046D1A2B9C2B 02FD170400 841013D2040000 025A2C01 0F0102FF",
    "every size": "010605 020605FF 030605FFFF 0406050000FF 0606050000000001 07060500000000000001 05060000803F",
    "digits and names": "0906 12 0A0634F2 0C7878563412 0EFD0C4C2B00000000 0C060012A0FF",
    "monthly": "0413D2040000 426C5F2C 82016C5F2C 4413D1040000 840113D0040000 C40113CF040000 02FD280100",
    "text and fillers": "2F2F0DFD11054F4C4C4148 0D0EC301234500 2F0CFC034B5745123456783C22",
    "floats and versions": "0513 0000803F 052B 0000C842 05FD3A 00004040 0508 CDCCCC3D 02FD0C4C2B 0013 01FD0805 03FD0E112233",
    "words": "01FD1705 0413D2040000 04FD1701000080 022401FF",
}
SETTINGS: dict[str, Any] = {
    "words": {"error_flags": {"bits": {0: "DRY"}}},
    "flags": {"error_flags": {"codes": {4: "LEAK"}}},
    "states": {"error_flags": {2: "valve"}},
    "units": {"energy": "kWh"},
    "names": {"volume_storage1": "volume_before"},
}


def outcome(codec: Any, payload: bytes) -> object:
    ask = Ask()
    try:
        return repr(codec(payload, ask)), ask.report.unread
    except Rejected as err:
        return err.reason


@pytest.mark.parametrize("options", [{}, {"monthly": 1}, SETTINGS])
@pytest.mark.parametrize("name", TELEGRAMS)
@given(data=st.data())
@settings(max_examples=60)
def test_the_second_telegram_of_a_shape_reads_as_the_first(
    name: str, options: dict[str, Any], data: st.DataObject
) -> None:
    telegram = bytes.fromhex(TELEGRAMS[name])
    used = KIND.make(options)
    outcome(used, telegram)
    changed = bytearray(telegram)
    for _ in range(data.draw(st.integers(0, 6))):
        changed[data.draw(st.integers(0, len(changed) - 1))] = data.draw(st.integers(0, 255))
    for payload in (bytes(changed), telegram, bytes(changed)):
        assert outcome(used, payload) == outcome(KIND.make(options), payload)


@pytest.mark.parametrize("name", TELEGRAMS)
def test_without_the_list_of_records_all_else_is_the_same(name: str) -> None:
    telegram = bytes.fromhex(TELEGRAMS[name])
    assert KIND.without is not None
    full, short = KIND.make(SETTINGS), KIND.without(SETTINGS, frozenset({"records"}))
    for _ in range(2):  # record by record, then as a telegram of a known shape
        try:
            document = full(telegram, Ask())
        except Rejected as err:
            with pytest.raises(Rejected, match=re.escape(err.reason)):
                short(telegram, Ask())
            continue
        assert isinstance(document, dict)
        assert document.pop("records")
        assert short(telegram, Ask()) == document


def test_only_values_may_differ() -> None:
    telegram = bytes.fromhex(TELEGRAMS["registers"])
    shapes = Shapes(read_options({}))
    assert shapes.find(telegram, 0, len(telegram)) is None
    shapes.learn(telegram, 0, len(telegram), split(telegram, 0, len(telegram)))
    other = telegram.replace(b"\x78\x56\x34\x12", b"\x01\x02\x03\x04")
    assert shapes.find(other, 0, len(other)) is not None
    other = telegram.replace(b"\x02\x5a", b"\x02\x5e")
    assert shapes.find(other, 0, len(other)) is None
    assert shapes.find(telegram, 0, len(telegram) - 1) is None


def test_what_is_remembered_is_bounded() -> None:
    shapes = Shapes(read_options({}))
    for first in range(3 * MAX_ALIKE):
        payload = bytes((2, 0x13, first, 0, 2, first, 0, 0))
        shapes.learn(payload, 0, len(payload), split(payload, 0, len(payload)))
    found = [shapes.find(bytes((2, 0x13, 0, 0, 2, n, 0, 0)), 0, 8) for n in range(3 * MAX_ALIKE)]
    assert sum(shape is not None for shape in found) == MAX_ALIKE

    monthly = bytes.fromhex(TELEGRAMS["monthly"])
    for day in range(1, 29):
        for month in range(1, 13):
            telegram = monthly[:8] + bytes((day, month)) + monthly[10:]
            shapes.learn(telegram, 0, len(telegram), split(telegram, 0, len(telegram)))
    shape = shapes.find(monthly, 0, len(monthly))
    assert shape is not None
    assert 0 < len(shape.histories) <= MAX_HISTORIES
