"""The CRC of M-Bus by radio: the catalogue's check value, and the short ways against the long one."""

from hypothesis import given
from hypothesis import strategies as st

from dutyroom.profiles.checksums import CHECKSUMS
from dutyroom.profiles.codecs.mbus_crc import crc16, ends_in_crc

LONG_WAY = CHECKSUMS["crc16_en13757"]


def test_the_check_value_of_the_catalogue() -> None:
    assert crc16(b"123456789") == 0xC2B7


@given(st.binary(max_size=600))
def test_what_lies_far_apart_may_be_added_up_first(data: bytes) -> None:
    assert crc16(data) == LONG_WAY(data)


@given(st.binary(max_size=300), st.data())
def test_a_block_with_its_crc_is_known_and_one_damaged_bit_is_seen(block: bytes, draw: st.DataObject) -> None:
    whole = block + crc16(block).to_bytes(2, "big")
    assert ends_in_crc(whole)
    bit = draw.draw(st.integers(0, 8 * len(whole) - 1))
    assert not ends_in_crc((int.from_bytes(whole, "big") ^ 1 << bit).to_bytes(len(whole), "big"))


@given(st.binary(min_size=2, max_size=40))
def test_any_bytes(block: bytes) -> None:
    assert ends_in_crc(block) == (LONG_WAY(block[:-2]) == int.from_bytes(block[-2:], "big"))
