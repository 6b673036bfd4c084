"""CJ/T 188: published frames of water meters, frames of heat and gas meters, and damaged ones."""

import contextlib
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dutyroom.errors import Rejected
from dutyroom.profiles.codecs.cjt188 import KIND
from dutyroom.profiles.codecs.cjt188_registers import ENERGIES, FLOWS, POWERS, VOLUMES
from dutyroom.profiles.codecs.frames import build
from dutyroom.profiles.codecs.seam import Ask
from dutyroom.profiles.requests import read_request


def decode(frame: str | bytes, **options: Any) -> list[dict[str, Any]]:
    payload = bytes.fromhex(frame) if isinstance(frame, str) else frame
    document: Any = KIND.make(options)(payload, Ask())
    return document["requests"] + document["frames"]  # type: ignore[no-any-return]


def one(frame: str | bytes, **options: Any) -> dict[str, Any]:
    (found,) = decode(frame, **options)
    return found


def reply(
    data: str,
    kind: str = "10",
    identifier: str = "1F90",
    control: str = "81",
    address: str = "00000000000042",
) -> bytes:
    """A reply as a meter sends it: data after the serial, in wire order."""
    body = bytes.fromhex(identifier) + b"\0" + bytes.fromhex(data)
    head = b"\x68" + bytes.fromhex(kind) + bytes.fromhex(address)[::-1] + bytes.fromhex(control)
    return build(head + bytes([len(body)]) + body, 2)


# C1, C2, C4: hupengwu/fox-edge-server-protocol cjt188 Demo.java; C3: the shuzhiduo.com example (rV577rya5P) with its
# checksum put right; C5, C6: public code index.
C1 = "FE FE FE 68 10 01 00 00 05 08 00 00 81 16 90 1F 00 00 23 01 00 2C 00 00 00 00 2C 00 00 00 00 00 00 00 00 00 48 16"
C2 = "FE FE FE 68 10 18 02 12 20 20 00 00 81 16 90 1F 00 00 02 00 00 2C 00 02 00 00 2C 00 00 00 00 00 00 00 00 FF 85 16"
C3 = (
    "68 10 44 33 22 11 00 33 78 81 16 1F 90 00 00 77 66 55 2C 00 77 66 55 2C 31 01 22 11 05 15 20 21 84 13 16"
)
C4 = "68 10 01 00 00 05 08 00 00 83 03 81 0A 00 97 16"
C5 = "FE FE 68 10 26 13 06 07 00 33 78 81 16 1F 90 04 00 68 00 00 2C 00 00 00 00 2C 00 00 00 00 00 00 00 00 00 73 16"
C6 = "68 10 69 00 01 07 17 20 00 81 16 1F 90 02 00 00 00 00 2C 00 00 00 00 2C 59 54 16 19 08 17 20 13 01 EF 16 52 4F"


@pytest.mark.parametrize(
    ("frame", "address", "volume", "settlement", "time", "status", "serial", "order"),
    [
        (C1, "00000805000001", "123.00", "0.00", None, "0000", 0, "901F"),
        (C2, "00002020120218", "2.00", "2.00", None, "00FF", 0, "901F"),
        (C3, "78330011223344", "556677.00", "556677.00", "2015-05-11T22:01:31", "2184", 0, "1F90"),
        (C5, "78330007061326", "68.00", "0.00", None, "0000", 4, "1F90"),
        (C6, "00201707010069", "0.00", "0.00", "2017-08-19T16:54:59", "1301", 2, "1F90"),
    ],
)
def test_published_frames_of_water_meters(
    frame: str,
    address: str,
    volume: str,
    settlement: str,
    time: str | None,
    status: str,
    serial: int,
    order: str,
) -> None:
    found = one(frame)
    assert (found["kind"], found["medium"], found["identifier"], found["order"]) == (
        "reply",
        "water",
        "901F",
        order,
    )
    assert (found["address"], found["time"], found["status"], found["serial"]) == (
        address,
        time,
        status,
        serial,
    )
    assert (found["values"]["volume"], found["values"]["volume_unit"]) == (volume, "m3")
    assert found["values"]["settlement_volume"] == settlement


def test_the_published_answer_to_which_address() -> None:
    found = one(C4)
    assert (found["address"], found["identifier"], found["values"]) == ("00000805000001", "810A", {})


@pytest.mark.parametrize(
    ("frame", "told"),
    [
        # N1: a widely copied example (shuzhiduo.com, hftangyu.com) whose checksum is wrong
        ("FE FE FE FE 68 10 44 33 22 11 00 33 78 81 16 1F 90 00 00 77 66 55 2C 00 77 66 55 2C 31 01 22 11 05 15 20 21 84 08 16",
         "frame at byte 4: checksum at byte 37 is 08, the bytes give 13"),
        (C3[:-12], "frame at byte 0: is cut, 4 bytes are missing"),
        (reply("0A000000" "2C" "00000000" "2C" "00000000000000" "0000").hex(), "volume at byte 16: 0A is not decimal"),
        (reply("00000000" "0A" "00000000" "2C" "00000000000000" "0000").hex(), "unit of volume at byte 20: 0A"),
        (reply("00000000" "05" "00000000" "2C" "00000000000000" "0000").hex(), "unit of volume at byte 20: 05"),
        (reply("00000000" "2C" "00000000" "2C" "0000000000A000" "0000").hex(), "clock at byte 31: A0"),
        (reply("00000000" "2C").hex(), "901F of meter kind 10 in the frame at byte 2: 5 bytes, its registers have 19"),
        (reply("00000000" "2C" "00000000" "2C" "00000000000000" "0000" "00").hex(), "20 bytes, its registers have 19"),
        (reply("00", address="000000000000A2").hex(), "address at byte 4: A2"),
        (reply("00", kind="55").hex(), "kind of meter at byte 3: 55"),
        ("68 10", "no frame"),
    ],
)  # fmt: skip
def test_what_must_not_be_believed_is_refused_with_its_place(frame: str, told: str) -> None:
    with pytest.raises(Rejected, match=told):
        decode(frame)


HEAT = (
    "00120000" "05" "56341200" "05" "12030000" "17" "45120000" "35" "78560000" "2C"
    "125600" "504300" "210100" "30150820112620" "0000"
)  # fmt: skip


def test_a_heat_meter() -> None:
    found = one(reply(HEAT, kind="20"))
    assert found["medium"] == "heat"
    assert found["values"] == {
        "settlement_energy": "12.00", "settlement_energy_unit": "kWh", "energy": "1234.56", "energy_unit": "kWh",
        "power": "3.12", "power_unit": "kW", "flow": "0.1245", "flow_unit": "m3/h", "volume": "56.78", "volume_unit": "m3",
        "supply_temperature": "56.12", "return_temperature": "43.50", "working_time": "121",
        "valve": "open", "battery_low": 0,
    }  # fmt: skip
    assert found["time"] == "2026-11-20T08:15:30"


def test_published_frames_of_heat_meters() -> None:
    # public code index, a LoRaWAN module reading a heat meter of kind 25
    found = one("68 25 12 19 24 18 27 31 00 81 2E 1F 90 03 11 74 02 00 05 88 27 44 05 05 00 00 00 00 17 00 00 00 00 35"
                "08 56 71 00 2C 79 26 00 64 26 00 66 47 07 11 52 17 03 09 25 20 00 05 2A 16")  # fmt: skip
    values = found["values"]
    assert (found["address"], found["time"], found["status"]) == (
        "00312718241912",
        "2025-09-03T17:52:11",
        "0005",
    )
    assert (values["settlement_energy"], values["energy"], values["volume"]) == (
        "274.11",
        "54427.88",
        "7156.08",
    )
    assert (values["supply_temperature"], values["return_temperature"], values["working_time"]) == (
        "26.79", "26.64", "74766",
    )  # fmt: skip
    # shuzhiduo.com/A/RnJWxa2v5q, which states the values: this maker sends the unit before the number
    other = ("FE FE FE FE 68 20 32 41 31 40 00 00 00 81 2E 90 1F 01 08 02 00 00 00 08 02 00 00 00 17 00 00 00 00"
             "35 00 00 00 00 2C 34 10 00 00 35 25 00 66 25 00 00 00 00 53 00 12 10 07 15 20 00 00 31 16")  # fmt: skip
    values = one(other, unit="before")["values"]
    assert (values["energy"], values["energy_unit"], values["volume"]) == ("0.02", "MWh", "10.34")
    assert (values["supply_temperature"], values["return_temperature"]) == ("25.35", "25.66")
    with pytest.raises(Rejected, match="unit of settlement_energy at byte 22: 00"):
        decode(other)


@pytest.mark.parametrize(
    ("code", "value", "unit"),
    [("02", "123456.78", "Wh"), ("08", "123456.78", "MWh"), ("0A", "12345678", "MWh"), ("11", "123456.78", "GJ"),
     ("13", "12345678", "GJ"), ("0E", "123456.78", "MJ")],
)  # fmt: skip
def test_units_of_heat(code: str, value: str, unit: str) -> None:
    found = one(reply(HEAT.replace("5634120005", f"78563412{code}", 1), kind="21"))["values"]
    assert (found["energy"], found["energy_unit"]) == (value, unit)


def test_a_gas_meter_in_litres_with_a_closed_valve_and_a_weak_battery() -> None:
    found = one(reply("78560000290000000029301508201126200500", kind="30"))
    assert found["medium"] == "gas"
    assert (found["values"]["volume"], found["values"]["volume_unit"]) == ("56.78", "L")
    assert (found["values"]["valve"], found["values"]["battery_low"]) == ("closed", 1)


@pytest.mark.parametrize(
    ("status", "option", "valve", "battery"),
    [
        ("0000", "standard", "open", 0), ("0300", "standard", "fault", 0), ("0200", "standard", None, 0),
        ("0400", "standard", "open", 1), ("6000", "mirrored", "closed", 1), ("C000", "mirrored", "fault", 0),
    ],
)  # fmt: skip
def test_status_bits_as_the_maker_has_them(status: str, option: str, valve: str | None, battery: int) -> None:
    found = one(reply(f"000000002C000000002C00000000000000{status}"), status=option)
    assert (found["status"], found["values"]["valve"], found["values"]["battery_low"]) == (
        status,
        valve,
        battery,
    )


def test_status_bits_that_nobody_knows_give_none() -> None:
    frame = reply("000000002C000000002C000000000000002184")
    assert "valve" not in one(frame, status="none")["values"]
    assert "valve" not in one(reply("000000002C000000002C00000000000000FFFF"))["values"]


def test_values_that_are_not_there_are_none() -> None:
    found = one(reply("000000002CFFFFFFFFFFFFFFFFFFFFFFFF0000"))
    assert (found["values"]["settlement_volume"], found["time"]) == (None, None)


@pytest.mark.parametrize(("identifier", "back"), [("20D1", 1), ("D12B", 12)])
def test_settlements_of_past_months(identifier: str, back: int) -> None:
    found = one(reply("785600002C", identifier=identifier))
    assert found["values"] == {f"settlement_{back}_volume": "56.78", f"settlement_{back}_volume_unit": "m3"}
    heat = one(reply("7856000005", kind="20", identifier=identifier))
    assert heat["values"] == {f"settlement_{back}_energy": "56.78", f"settlement_{back}_energy_unit": "kWh"}


def test_a_refusal_is_no_reading() -> None:
    found = one(build(bytes.fromhex("68 10 42 00 00 00 00 00 00 C1 03 00 03 00"), 0))
    assert (found["kind"], found["error"], found["identifier"]) == ("error", 0xC1, None)
    assert found["values"] == {"valve": "fault", "battery_low": 0}


def test_an_unknown_identifier_is_named_and_not_guessed() -> None:
    found = one(reply("0102", identifier="9999"))
    assert (found["identifier"], found["values"], found["data"]) == ("9999", {}, "0102")


def test_a_makers_extra_bytes_and_letters_in_the_address() -> None:
    frame = reply("000000002C000000002C000000000000000000AB", address="0000000000EE42")
    found = one(frame, extra=1, address="hex")
    assert (found["address"], found["extra"]) == ("0000000000EE42", "AB")


def test_a_valve_command_and_its_answer() -> None:
    # blog.csdn.net/qingwufeiyang12346/article/details/47306719
    command = "FE FE FE FE 68 10 69 05 90 05 15 33 78 04 04 A0 17 01 55 50 16"
    answer = reply("0100", identifier="A017", control="84", address="78331505900569")
    sent, told = decode(bytes.fromhex(command) + answer)
    assert (sent["kind"], sent["identifier"], sent["address"]) == ("request", "A017", "78331505900569")
    assert (told["kind"], told["values"]["valve"]) == ("reply", "closed")


def test_several_frames_between_noise() -> None:
    noise = bytes.fromhex("00 68 16 81 2C FF")
    frames = decode(noise + bytes.fromhex(C1) + noise + bytes.fromhex(C3 + C4) + noise)
    assert [f["address"] for f in frames] == ["00000805000001", "78330011223344", "00000805000001"]


@pytest.mark.parametrize("damaged", [0, 1, 2])
def test_one_damaged_frame_refuses_all_of_the_payload(damaged: int) -> None:
    frames = [bytearray.fromhex(c) for c in (C3, C1, C5)]
    frames[damaged][20] ^= 1
    with pytest.raises(Rejected, match="checksum"):
        decode(b"".join(frames))


def test_every_field_is_noted_with_its_bytes() -> None:
    notes: dict[str, tuple[int, int, object]] = {}
    KIND.make({})(
        bytes.fromhex(C3),
        Ask(note=lambda name, first, after, value: notes.update({name: (first, after, value)})),
    )
    assert notes["frames[0].values.volume"] == (14 * 8, 18 * 8, "556677.00")
    assert notes["frames[0].values.volume_unit"] == (18 * 8, 19 * 8, "m3")
    assert notes["frames[0].time"] == (24 * 8, 31 * 8, "2015-05-11T22:01:31")


@pytest.mark.parametrize("options", [{"status": "left"}, {"address": 1}, {"extra": 100}, {"unit": 1}])
def test_a_setting_that_cannot_be_used_is_named(options: dict[str, Any]) -> None:
    with pytest.raises(Rejected, match=next(iter(options))):
        KIND.make(options)


def test_requests_are_those_published() -> None:
    # shuzhiduo.com/A/rV577rya5P
    assert read_request("cjt188", "78330011223344", "901F") == bytes.fromhex(
        "FE FE FE FE 68 10 44 33 22 11 00 33 78 01 03 1F 90 00 80 16"
    )
    # shuzhiduo.com/A/RnJWxa2v5q
    assert read_request("cjt188", "40314132", "901F", order="901F", kind=0x20, serial=1) == bytes.fromhex(
        "FE FE FE FE 68 20 32 41 31 40 00 00 00 01 03 90 1F 01 20 16"
    )
    # public code index
    asking = read_request("cjt188", "", "address", order="901F", kind=0x20, serial=1, preamble=5)
    assert asking == bytes.fromhex("FE FE FE FE FE 68 20 AA AA AA AA AA AA AA 03 03 81 0A 01 C0 16")
    (asked,) = decode(asking)
    assert (asked["kind"], asked["address"], asked["identifier"]) == ("request", "AAAAAAAAAAAAAA", "810A")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ({"order": "1f90"}, "order"),
        ({"kind": 0x5A}, "kind"),
        ({"serial": 256}, "serial"),
        ({"preamble": 9}, "preamble"),
    ],
)
def test_a_request_that_cannot_be_made_says_why(arguments: dict[str, Any], told: str) -> None:
    with pytest.raises(Rejected, match=told):
        read_request("cjt188", "1", "901F", **arguments)


def bcd(value: int, size: int) -> str:
    return bytes.fromhex(str(value).rjust(2 * size, "0"))[::-1].hex()


@given(
    values=st.tuples(*[st.integers(0, 10**8 - 1)] * 5),
    small=st.tuples(*[st.integers(0, 10**6 - 1)] * 3),
    units=st.tuples(*map(st.sampled_from, [[*ENERGIES], [*ENERGIES], [*POWERS], [*FLOWS], [*VOLUMES]])),
    old=st.booleans(),
)
def test_what_a_meter_sends_comes_back_exactly(
    values: tuple[int, ...], small: tuple[int, ...], units: tuple[int, ...], old: bool
) -> None:
    wire = "".join(bcd(v, 4) + f"{u:02X}" for v, u in zip(values, units, strict=True)) + "".join(
        bcd(v, 3) for v in small
    )
    found = one(reply(wire + "00" * 9, kind="22", identifier="901F" if old else "1F90"))["values"]
    names = ["settlement_energy", "energy", "power", "flow", "volume"]
    assert [int(found[n].replace(".", "")) for n in names] == [*values]
    names = ["supply_temperature", "return_temperature", "working_time"]
    assert [int(found[n].replace(".", "")) for n in names] == [*small]


@settings(max_examples=300)
@given(data=st.data(), frame=st.sampled_from([C1, C2, C3, C4, C5]))
def test_a_damaged_frame_never_gives_a_value(data: st.DataObject, frame: str) -> None:
    changed = bytearray.fromhex(frame)
    place = data.draw(st.integers(changed.index(0x68), len(changed) - 1))
    changed[place] ^= data.draw(st.integers(1, 255))
    with pytest.raises(Rejected):
        decode(bytes(changed))


@settings(max_examples=300)
@given(data=st.data(), place=st.integers(14, 17) | st.integers(19, 22) | st.integers(24, 30))
def test_no_digit_above_nine_is_accepted_with_a_right_checksum(data: st.DataObject, place: int) -> None:
    changed = bytearray.fromhex(C3)
    changed[place] = data.draw(st.integers(0, 255).filter(lambda b: b >> 4 > 9 or b & 15 > 9))
    changed[-2] = sum(changed[:-2]) & 0xFF
    with pytest.raises(Rejected, match="is not decimal"):
        decode(bytes(changed))


@settings(max_examples=300)
@given(
    st.binary(max_size=300)
    | st.lists(st.sampled_from([0x68, 0x10, 0x16, 0xFE, 0x81, 0]), max_size=80).map(bytes)
)
def test_any_bytes_give_frames_or_a_reason(payload: bytes) -> None:
    with contextlib.suppress(Rejected):
        assert decode(payload)
