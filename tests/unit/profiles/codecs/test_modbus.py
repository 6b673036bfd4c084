"""Modbus blocks: types, byte orders, frames with their checksum, refusals of a device, damaged ones."""

import contextlib
import struct
from fractions import Fraction
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dutyroom.errors import Rejected
from dutyroom.profiles.checksums import CHECKSUMS
from dutyroom.profiles.codecs.modbus import KIND
from dutyroom.profiles.codecs.modbus_registers import ORDERS, in_order
from dutyroom.profiles.codecs.seam import Ask


def decode(data: str | bytes, registers: Any, ask: Ask | None = None, **options: Any) -> dict[str, Any]:
    payload = bytes.fromhex(data) if isinstance(data, str) else data
    document: Any = KIND.make({"registers": registers, **options})(payload, ask or Ask())
    return document  # type: ignore[no-any-return]


def one(data: str, **register: Any) -> object:
    return decode(data, {"x": {"at": 0, **register}})["x"]


def rtu(body: str) -> bytes:
    data = bytes.fromhex(body)
    return data + CHECKSUMS["crc16_modbus"](data).to_bytes(2, "little")


@pytest.mark.parametrize(
    ("data", "register", "value"),
    [
        ("ffff", {}, 65535),
        ("ffff", {"as": "s16"}, -1),
        ("08fc", {"scale": 0.1}, 230),
        ("08fd", {"scale": 0.1}, "230.1"),
        ("ff38", {"as": "s16", "scale": 0.01, "offset": 1}, -1),
        ("00bc614e", {"as": "u32", "scale": "0.01"}, "123456.78"),
        ("614e00bc", {"as": "u32", "order": "cdab"}, 12345678),
        ("bc004e61", {"as": "u32", "order": "badc"}, 12345678),
        ("4e61bc00", {"as": "u32", "order": "dcba"}, 12345678),
        ("fffffffe", {"as": "s32"}, -2),
        ("ffffffffffffffff", {"as": "u64", "scale": "0.001"}, "18446744073709551.615"),
        ("fffffffffffffff6", {"as": "s64", "scale": 0.1}, -1),
        ("4366199a", {"as": "f32"}, 230.1),
        ("199a4366", {"as": "f32", "order": "cdab"}, 230.1),
        ("44800000", {"as": "f32", "scale": 0.001}, 1.024),
        ("7fc00000", {"as": "f32"}, None),
        ("405edd2f1a9fbe77", {"as": "f64"}, 123.456),
        ("12345678", {"as": "bcd", "words": 2, "scale": 0.01}, "123456.78"),
        ("0042", {"as": "bcd"}, 42),
        ("5344 4d31 3230 0000", {"as": "text", "words": 4}, "SDM120"),
        ("4453 0000", {"as": "text", "words": 2, "order": "badc"}, "SD"),
        ("0000", {"as": "text", "words": 1}, None),
        ("ffff", {"none": [0xFFFF]}, None),
        ("8000", {"as": "s16", "none": [-32768]}, None),
        ("8000", {"as": "s16", "none": "0x8000"}, None),
        ("7fffffff", {"as": "s32", "none": [0x7FFFFFFF]}, None),
        ("0015", {"as": "bits", "bits": {"run": 0, "fault": 1, "mode": "2-4"}}, {"run": 1, "fault": 0, "mode": 5}),
        ("00010002", {"as": "bits", "words": 2, "bits": {"low": 1, "high": 16}}, {"low": 1, "high": 1}),
    ],
)  # fmt: skip
def test_types(data: str, register: Any, value: object) -> None:
    found = one(data, **register)
    assert found == value
    assert type(found) is type(value)


def test_addresses_count_from_the_start_of_the_block() -> None:
    registers = {"a": {"at": 100}, "b": {"at": 101, "as": "u32"}, "elsewhere": {"at": 400}}
    assert decode("0001 00000002", registers, start=100) == {"a": 1, "b": 2}
    assert decode("0001 00000002", registers, Ask(port=100), start="port") == {"a": 1, "b": 2}
    with pytest.raises(Rejected, match="address is not known"):
        decode("0001", registers, start="port")


def test_power_of_ten_in_another_register() -> None:
    registers = {"power": {"at": 0, "as": "s16", "exponent": "scale"}, "scale": {"at": 1, "as": "s16"}}
    assert decode("04d2 fffe", registers)["power"] == "12.34"
    assert decode("04d2 0002", registers)["power"] == 123400
    assert decode("04d2 8000", registers)["power"] is None
    assert decode("04d2", registers)["power"] is None


# ---------------------------------------------------------------- frames

U, REGISTERS = "01 04 04 4366 199a", {"voltage": {"at": 0, "as": "f32"}}


def test_rtu() -> None:
    # The answer that Eastron's protocol documents show for 230.2 V.
    found = decode("010404436633341b38", REGISTERS, framing="rtu")
    assert found == {"unit": 1, "function": 4, "voltage": 230.20001}


def test_tcp() -> None:
    found = decode("0007 0000 0007 11 03 04 4366199a", REGISTERS, framing="tcp")
    assert found == {"unit": 17, "function": 3, "voltage": 230.1}


def test_a_device_that_refuses_gives_its_reason_and_no_value() -> None:
    found = decode(rtu("01 84 02"), REGISTERS, framing="rtu")
    assert found == {"unit": 1, "function": 4, "exception": 2, "exception_name": "illegal_address"}
    found = decode("0007 0000 0003 11 83 0b", REGISTERS, framing="tcp")
    assert (found["exception"], found["exception_name"]) == (11, "gateway_target_failed")


def test_coils() -> None:
    registers = {"run": {"at": 20, "as": "coil"}, "trip": {"at": 29, "as": "coil"}}
    assert decode(rtu("01 01 02 0102"), registers, framing="rtu", start=20)["trip"] == 1
    assert decode(rtu("01 02 02 0100"), registers, framing="rtu", start=20) == {
        "unit": 1,
        "function": 2,
        "run": 1,
        "trip": 0,
    }


def test_notes_tell_the_bits() -> None:
    seen: list[tuple[str, int, int, object]] = []
    decode(rtu(U), REGISTERS, Ask(note=lambda *told: seen.append(told)), framing="rtu")
    assert seen == [("voltage", 24, 56, 230.1)]


@pytest.mark.parametrize(
    ("payload", "framing", "reason"),
    [
        (b"\0\1\0", "none", "3 bytes are no whole registers"),
        (b"", "none", "no register of the profile"),
        (b"\0\1", "none", "voltage at register 0: the block ends at 0, 2 registers expected"),
        (rtu(U)[:-1] + b"\0", "rtu", "CRC at byte 7"),
        (rtu("01 04 05 43661900"), "rtu", "byte count 5 at byte 2: 4 bytes follow"),
        (rtu("01 10 0000 0002"), "rtu", "function 16 at byte 1"),
        (rtu("01 01 04 43661900"), "rtu", "function 1 at byte 1: not what the profile reads"),
        (rtu("01 84 02 03"), "rtu", "exception at byte 1"),
        (b"\1\4", "rtu", "cut at byte 2"),
        (bytes.fromhex("000700010007110304 4366199a".replace(" ", "")), "tcp", "protocol 1 at byte 2"),
        (bytes.fromhex("0007000000081103044366199a"), "tcp", "length 8 at byte 4: 7 bytes follow"),
        (b"[1", "json", "not JSON"),
        (b"[]", "json", "1 to 65536"),
        (b"[1, 70000]", "json", "registers[1]: '70000' is no register"),
        (b"[true, 1]", "json", "registers[0]: 'True' is no register"),
    ],
)
def test_damaged(payload: bytes, framing: str, reason: str) -> None:
    with pytest.raises(Rejected) as caught:
        decode(payload, REGISTERS, framing=framing)
    assert reason in caught.value.reason


def test_a_block_must_have_as_many_registers_as_it_should() -> None:
    with pytest.raises(Rejected, match="4 bytes at byte 0: 6 expected"):
        decode("4366199a", REGISTERS, count=3)


def test_a_digit_above_nine() -> None:
    with pytest.raises(Rejected, match="x at register 0: 00fa has a digit above 9"):
        one("00fa", **{"as": "bcd"})


# ---------------------------------------------------------------- JSON


def test_arrays_of_registers() -> None:
    assert decode(b"[17254, 6554]", REGISTERS, framing="json") == {"voltage": 230.1}
    assert decode(b"[-1]", {"x": {"at": 0, "as": "s16"}}, framing="json") == {"x": -1}
    found = decode(b'{"dev":"m1","regs":[17254,6554]}', REGISTERS, framing="json", values="regs")
    assert found == {"dev": "m1", "voltage": 230.1}
    later = {"power": {"at": 101}}
    assert decode(b'{"start":100,"registers":[1,2]}', later, framing="json")["power"] == 2
    coils = {"a": {"at": 0, "as": "coil"}, "b": {"at": 9, "as": "coil"}}
    assert decode(b"[true,0,0,0,0,0,0,0,0,1]", coils, framing="json") == {"a": 1, "b": 1}


# ---------------------------------------------------------------- whatever a gateway sends


def test_one_profile_reads_every_form() -> None:
    frame = rtu(U)
    tcp = bytes.fromhex("0007 0000 0007 01 04 04 4366199a")
    for payload in (
        frame, frame.hex().encode(), tcp, tcp.hex().encode(), b"[17254,6554]", b'{"start":0,"registers":[17254,6554]}',
    ):  # fmt: skip
        ask = Ask(topic="modbus/sdm120/m1/0")
        assert decode(payload, REGISTERS, ask, framing="auto", start="topic")["voltage"] == 230.1
    for payload in (b"4366199A", b" 0x4366199a\n"):
        ask = Ask(topic="modbus/sdm120/m1/0/block")
        assert decode(payload, REGISTERS, ask, framing="auto", start="topic")["voltage"] == 230.1
    for bracket in (0x5B, 0x7B):  # the address of a unit, no JSON
        answer = decode(rtu(f"{bracket:02x} 04 04 4366199a"), REGISTERS, framing="auto")
        assert (answer["unit"], answer["voltage"]) == (bracket, 230.1)
        tcp = bytes([bracket, 0x41]) + bytes.fromhex("0000 0007 01 04 04 4366199a")
        assert decode(tcp, REGISTERS, framing="auto")["voltage"] == 230.1
    ask = Ask(topic="m/0x46/block")
    assert decode(b"0001", {"x": {"at": 70}}, ask, framing="auto", start="topic") == {"x": 1}
    coils = {"run": {"at": 0, "as": "coil"}}
    assert decode(b"01", coils, Ask(topic="a/block"), framing="auto")["run"] == 1
    for payload in (rtu("01 01 01 01").hex().encode(), b"[1]"):
        assert decode(payload, coils, framing="auto")["run"] == 1


@pytest.mark.parametrize(
    ("payload", "topic", "reason"),
    [
        (bytes.fromhex("4366199a"), "m/0", "RTU frame cut at byte 4"),
        (b"4366199a", "m/0", "RTU frame cut at byte 4"),
        (rtu(U)[:-1].hex().encode() + b"00", "m/0", "CRC at byte 7"),
        (rtu(U)[1:].hex().encode(), "m/0", "CRC at byte 6"),
        (rtu(U)[:-1].hex().encode(), "m/0", "CRC at byte 6"),
        (b"{}", "m/0", "registers: an array"),
        (b'{"start":-1,"registers":[1,2]}', "m/0", "start"),
        (b"hello", "m/0/block", "a block in hex text expected"),
    ],
)
def test_other_forms(payload: bytes, topic: str, reason: str) -> None:
    with pytest.raises(Rejected) as caught:
        decode(payload, REGISTERS, Ask(topic=topic), framing="auto")
    assert reason in caught.value.reason


# ---------------------------------------------------------------- settings


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({}, "registers: at least one"),
        ({"registers": {"x": {}}}, "registers.x.at"),
        ({"registers": {"x": {"at": 70000}}}, "registers.x.at"),
        ({"registers": {"x": {"at": 0, "as": "u17"}}}, "registers.x.as: one of u16"),
        ({"registers": {"x": {"at": 0, "words": 2}}}, "registers.x.words: u16 has 1"),
        ({"registers": {"x": {"at": 0, "order": "abdc"}}}, "registers.x.order"),
        ({"registers": {"x": {"at": 0, "as": "bits"}}}, "registers.x.bits: at least one"),
        ({"registers": {"x": {"at": 0, "as": "bits", "bits": {"a": 16}}}}, "registers.x.bits.a"),
        ({"registers": {"x": {"at": 0, "as": "bits", "bits": {"a": "5-3"}}}}, "registers.x.bits.a"),
        ({"registers": {"x": {"at": 0, "exponent": "y"}}}, "there is no register 'y'"),
        ({"registers": {"x": {"at": 0, "as": "f32", "exponent": "x"}}}, "f32 has none"),
        ({"registers": {"x": {"at": 0, "scale": "one"}}}, "registers.x.scale"),
        ({"registers": {"x": {"at": 0}, "y": {"at": 0, "as": "coil"}}}, "coils and registers"),
        ({"registers": {"x": {"at": 0}}, "framing": "ascii"}, "framing: one of auto"),
        ({"registers": {"x": {"at": 0}}, "begin": 1}, "begin: unknown"),
    ],
)
def test_settings_that_cannot_be_used(options: Any, reason: str) -> None:
    with pytest.raises(Rejected) as caught:
        KIND.make(options)
    assert reason in caught.value.reason


# ---------------------------------------------------------------- properties

KINDS = {"u16": ">H", "s16": ">h", "u32": ">I", "s32": ">i", "u64": ">Q", "s64": ">q"}


@given(st.sampled_from(sorted(KINDS)), st.sampled_from(ORDERS), st.data())
def test_what_is_written_is_read(kind: str, order: str, data: st.DataObject) -> None:
    bits = int(kind[1:])
    low = -(1 << (bits - 1)) if kind[0] == "s" else 0
    value = data.draw(st.integers(low, low + (1 << bits) - 1))
    block = in_order(struct.pack(KINDS[kind], value), order)
    found = one(block.hex(), **{"as": kind, "order": order, "scale": "0.01"})
    assert Fraction(str(found)) == Fraction(value, 100)


@given(
    st.binary(max_size=250).filter(lambda b: len(b) % 2 == 0), st.integers(0, 255), st.sampled_from([3, 4])
)
def test_frames_round_trip(data: bytes, unit: int, function: int) -> None:
    registers = {f"r{n}": {"at": n} for n in range(max(1, len(data) // 2))}
    body = bytes([unit, function, len(data)]) + data
    tcp = b"\0\1\0\0" + len(body).to_bytes(2, "big") + body
    if not data:
        return
    expected = {f"r{n}": int.from_bytes(data[2 * n : 2 * n + 2], "big") for n in range(len(data) // 2)}
    head = {"unit": unit, "function": function}
    assert decode(rtu(body.hex()), registers, framing="rtu") == head | expected
    assert decode(tcp, registers, framing="tcp") == head | expected
    numbers = orjson.dumps(list(expected.values()))
    assert decode(numbers, registers, framing="json") == expected


@given(st.binary(max_size=64), st.sampled_from(["auto", "none", "rtu", "tcp", "json"]), st.booleans())
def test_any_bytes(payload: bytes, framing: str, checked: bool) -> None:
    registers = {
        "a": {"at": 0, "as": "bcd"}, "b": {"at": 1, "as": "f32"}, "c": {"at": 3, "as": "text"},
        "d": {"at": 11, "as": "s64", "exponent": "a"}, "e": {"at": 15, "as": "f64", "scale": "1000000000"},
    }  # fmt: skip
    if checked and framing == "rtu":
        payload = rtu(payload.hex())
    with contextlib.suppress(Rejected):
        assert isinstance(decode(payload, registers, framing=framing), dict)
