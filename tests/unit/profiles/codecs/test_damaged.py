"""Payloads that fuzzing found: each once crashed a codec, hung it, or was believed though it should not have been."""

import contextlib
import time
import zlib
from collections.abc import Callable
from typing import Any

import pytest
from tests.unit.profiles.codecs.telegrams import radio, short, wired, with_crc

from dutyroom.errors import Rejected
from dutyroom.profiles.checksums import CHECKSUMS
from dutyroom.profiles.codecs import CODECS
from dutyroom.profiles.codecs.mbus_crc import crc16
from dutyroom.profiles.codecs.protobuf import put_bytes, put_number
from dutyroom.profiles.codecs.seam import Ask


def decode(name: str, payload: bytes | str, **options: Any) -> Any:
    raw = bytes.fromhex(payload) if isinstance(payload, str) else payload
    return CODECS[name].make(options)(raw, Ask())


def test_a_register_of_thirty_and_more_digits_is_told_as_it_is() -> None:
    found = decode("mbus", "0D13F4" + "01" + 30 * "00" + "40")  # 32 bytes
    assert found["values"]["volume"] == str((1 << 254) + 1)[:-3] + "." + str((1 << 254) + 1)[-3:]
    found = decode("mbus", "0D3FF0" + 15 * "11" + "01")  # cal/h: does not end
    assert len(found["values"]) == 1


def test_bits_that_are_sent_as_decimal_digits_are_digits() -> None:
    assert decode("mbus", "0AFD172100")["values"]["error_flags"] == 21
    assert decode("mbus", "02FD172100")["values"]["error_flags"] == 0x21
    assert decode("mbus", "0AFD17FFFF")["values"]["error_flags"] is None
    with pytest.raises(Rejected, match="BCD number at byte 4: 7f90 has the digit F"):
        decode("mbus", "0AFD17907F")


def test_a_decimal_number_of_variable_length_has_one_sign() -> None:
    assert decode("mbus", "0D13D467868901")["values"]["volume"] == "-1898.667"
    with pytest.raises(Rejected, match="has the digit F"):
        decode("mbus", "0D13D4678689F1")


WATER = radio("SEN", "00000042", 0x68, 7, short("0413D2040000" + "02FD172100" + "0C7842000000" * 3))


def changed(payload: bytes, at: int, byte: int) -> bytes:
    return payload[:at] + bytes((byte,)) + payload[at + 1 :]


def test_a_telegram_with_one_damaged_block_is_not_read_as_one_without_crc() -> None:
    whole = with_crc(WATER)
    assert decode("wmbus", whole)["values"]["volume"] == "1.234"
    for at in range(len(whole)):
        for byte in (0x78, 0x7A, 0x0F, 0xA2):
            if whole[at] != byte:
                with pytest.raises(Rejected):
                    decode("wmbus", changed(whole, at, byte))
    with pytest.raises(Rejected, match="CRC at byte 10: the block before it is damaged"):
        decode("wmbus", changed(changed(whole, 4, 0x43), 10, 0x78))


def test_the_second_block_of_format_b_must_fit_too() -> None:
    telegram = radio("SEN", "00000042", 0x68, 7, short("0413D2040000" * 22))
    body = bytes((telegram[0] + 4,)) + telegram[1:]
    first = body[:126] + _crc(body[:126])
    second = body[126:] + _crc(body[126:])
    assert decode("wmbus", first + second)["values"]["volume_22"] == "1.234"
    with pytest.raises(Rejected, match="CRC at byte"):
        decode("wmbus", changed(first + second, 140, 0x55))


def _crc(block: bytes) -> bytes:
    return crc16(block).to_bytes(2, "big")


@pytest.mark.parametrize("at", [0, 1, 2, 3])
def test_a_damaged_long_frame_is_no_wireless_telegram(at: int) -> None:
    content = "0C7842000000" * 16 + "0413D2040000"
    whole = wired(bytes.fromhex("080572" + "78000000" + "AE4C" + "0107" + "2A000000" + content))
    assert decode("wmbus", whole)["values"]["volume"] == "1.234"
    with pytest.raises(Rejected, match=r"long frame|length at byte"):
        decode("wmbus", changed(whole, at, whole[at] - 1))


def test_the_places_of_a_compact_frame_put_together_are_not_told() -> None:
    full = bytes.fromhex("02FF200000" + "0413D2040000" + "4413E8030000")
    inside = (
        b"\x79"
        + crc16(bytes.fromhex("02FF2004134413")).to_bytes(2, "little")
        + crc16(full).to_bytes(2, "little")
    )
    payload = radio("KAM", "00000042", 0x1B, 0x16, inside + bytes.fromhex("0000" + "D2040000" + "E8030000"))
    told: list[tuple[str, int, int, object]] = []
    found: Any = CODECS["wmbus"].make({})(payload, Ask(note=lambda *note: told.append(note)))
    assert found["values"]["volume"] == "1.234"
    assert [note for note in told if note[2] > 8 * len(payload)] == []


def test_an_array_that_is_nested_deeply_is_no_register() -> None:
    deep = b'{"registers":[' + b"[" * 1000 + b"]" * 1000 + b"]}"
    with pytest.raises(Rejected, match=r"registers\[0\]: 'list' is no register"):
        decode("modbus", deep, framing="json", registers={"a": {"at": 0, "as": "u16"}})


# ---------------------------------------------------------------- what took too long


def quickly(what: Callable[[], object]) -> None:
    """In a second of processor time, where it once took several; the answer does not matter."""
    start = time.process_time()
    with contextlib.suppress(Rejected):
        what()
    assert time.process_time() - start < 1


def test_blanks_in_front_of_no_telegram() -> None:
    quickly(lambda: decode("wmbus", b" " * 4000 + b"x"))


def test_many_digits_on_a_line_of_a_telegram_that_is_explained() -> None:
    body = b"/XYZ5\\2EXAMPLE\r\n\r\n1-0:1.8.1(1*kWh)\r\n(" + b"1" * 60_000 + b")\r\n!"
    payload = body + b"%04X\r\n" % CHECKSUMS["crc16_arc"](body)
    told: list[str] = []
    ask = Ask(note=lambda name, *where: told.append(name))
    quickly(lambda: CODECS["dsmr"].make({})(payload, ask))
    assert told == ["1-0:1.8.1"]


def test_very_many_probes_of_one_sensor() -> None:
    quickly(lambda: decode("elsys", bytes.fromhex("190123") * 80_000))
    assert len(decode("elsys", bytes.fromhex("190123") * 80)) == 80


def test_a_small_compressed_message_of_very_many_fields() -> None:
    body = zlib.compress(b"\x18\x01" * 1_990_000)
    payload = put_number(1, 5) + put_bytes(4, b"SPBV1.0_COMPRESSED") + put_bytes(5, body)
    ask = Ask(topic="spBv1.0/plant/NBIRTH/node-1")
    quickly(lambda: CODECS["sparkplug"].make({})(payload, ask))
