"""Each checksum against the check value of its catalogue entry (of b"123456789")."""

import pytest

from dutyroom.profiles.checksums import CHECKSUMS

CHECK = {
    "sum8": 0xDD, "sum16": 0x1DD, "negated_sum8": 0x23, "xor8": 0x31, "crc8": 0xF4, "crc8_maxim": 0xA1,
    "crc16_arc": 0xBB3D, "crc16_modbus": 0x4B37, "crc16_ccitt": 0x29B1, "crc16_xmodem": 0x31C3,
    "crc16_kermit": 0x2189, "crc16_x25": 0x906E, "crc16_en13757": 0xC2B7, "crc32": 0xCBF43926,
}  # fmt: skip


@pytest.mark.parametrize("name", CHECKSUMS)
def test_the_published_check_value(name: str) -> None:
    assert CHECKSUMS[name](b"123456789") == CHECK[name]


@pytest.mark.parametrize("name", CHECKSUMS)
def test_no_bytes_and_any_byte(name: str) -> None:
    CHECKSUMS[name](b"")
    assert len({CHECKSUMS[name](bytes([n])) for n in range(256)}) == 256
