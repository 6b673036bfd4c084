"""The fast CRC says what the plain one says."""

from hypothesis import given
from hypothesis import strategies as st

from dutyroom.profiles.checksums import CHECKSUMS
from dutyroom.profiles.codecs.crc16_arc import crc16_arc


def test_the_published_check_value() -> None:
    assert crc16_arc(b"123456789") == 0xBB3D


@given(data=st.binary(max_size=100))
def test_it_is_the_same_as_byte_by_byte(data: bytes) -> None:
    assert crc16_arc(data) == CHECKSUMS["crc16_arc"](data)
