"""Elsys payloads: every published type, negative values, unknown types, damaged ones."""

import contextlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dutyroom.errors import Rejected
from dutyroom.profiles.codecs.elsys import KIND, TYPES
from dutyroom.profiles.codecs.seam import Ask


def decode(text: str, ask: Ask | None = None) -> dict[str, Any]:
    document: Any = KIND.make({})(bytes.fromhex(text), ask or Ask())
    return document  # type: ignore[no-any-return]


# The first three: The Things Network device repository (Apache-2.0), vendor/elsys; the others are made up.
@pytest.mark.parametrize(
    ("payload", "expected"),
    [
        ("0100e202291211", {"temperature": "22.6", "humidity": 41, "water_leak": 17}),
        ("030127050a11010b000a0011", {"acceleration_x": 1, "acceleration_y": 39, "acceleration_z": 5, "pulse_1": 4353, "pulse_1_total": 655377}),
        ("0100e20229030127050a110112110a2111", {"temperature": "22.6", "humidity": 41, "acceleration_x": 1, "acceleration_y": 39, "acceleration_z": 5, "pulse_1": 8465, "water_leak": 17}),
        ("01fff6", {"temperature": -1}),
        ("01ff38", {"temperature": -20}),
        ("03c100ff", {"acceleration_x": -63, "acceleration_y": 0, "acceleration_z": -1}),
        ("0403d7 0502 0601f4 070dde", {"light": 983, "motion": 2, "co2": 500, "vdd": 3550}),
        ("080bb8 18ffff 1bffffff9c", {"analog_1": 3000, "analog_2": 65535, "analog": -100}),
        ("09 70110c c0f3ff", {"latitude": "79.0896", "longitude": "-0.3136"}),
        ("0bffffffff 160001 1700000002", {"pulse_1_total": 4294967295, "pulse_2": 1, "pulse_2_total": 2}),
        ("0cff9c 0d01 0e04b0 0f05", {"external_temperature": -10, "digital": 1, "distance": 1200, "acceleration_motion": 5}),
        ("1000e2ff9d", {"infrared_internal_temperature": "22.6", "infrared_external_temperature": "-9.9"}),
        ("1102 1200 14000f6a1f", {"occupancy": 2, "water_leak": 0, "pressure": "1010.207"}),
        ("154628 1a00 1c0064", {"sound_peak": 70, "sound_average": 40, "digital_2": 0, "tvoc": 100}),
        ("1900fa 1900f0 19ff9c", {"external_temperature_2": 25, "external_temperature_3": 24, "external_temperature_4": -10}),
        ("3d01020304", {"debug": "01020304"}),
        ("3e 0708", {"settings": "3e0708"}),
    ],
)  # fmt: skip
def test_types(payload: str, expected: dict[str, object]) -> None:
    assert decode(payload) == expected


def test_thermal_picture_is_above_its_base() -> None:
    found = decode("13" + "14" + "05" * 63 + "ff")
    assert found["grid_eye"] == ["20.5"] * 63 + ["45.5"]


def test_an_unknown_type_ends_the_message_and_is_told() -> None:
    ask = Ask()
    assert decode("0100e2 50 0102", ask) == {"temperature": "22.6", "rest": "500102"}
    assert ask.report.findings == [("unknown_code", "type 50 at byte 3")]
    assert ask.report.unread == 3


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        ("", "empty"),
        ("500102", "unknown Elsys type 0x50 at byte 0"),
        ("0100", "temperature (type 0x01) cut at byte 0: 2 bytes expected"),
        ("0229 0a11", "pulse_1 (type 0x0a) cut at byte 2"),
    ],
)
def test_damaged(payload: str, reason: str) -> None:
    with pytest.raises(Rejected) as caught:
        decode(payload)
    assert reason in caught.value.reason


def test_notes_tell_the_bits() -> None:
    seen: list[tuple[str, int, int, object]] = []
    decode("0100e20229", Ask(note=lambda *told: seen.append(told)))
    assert seen == [("temperature", 8, 24, "22.6"), ("humidity", 32, 40, 41)]


@given(st.lists(st.sampled_from(sorted(TYPES)), min_size=1, max_size=8), st.data())
def test_every_sequence_of_types_is_read_to_its_end(kinds: list[int], data: st.DataObject) -> None:
    payload = b"".join(
        bytes([kind]) + data.draw(st.binary(min_size=TYPES[kind].size, max_size=TYPES[kind].size))
        for kind in kinds
    )
    found = decode(payload.hex())
    assert found
    assert "rest" not in found


@given(st.integers(-32768, 32767))
def test_temperatures_are_exact(tenths: int) -> None:
    value = decode((b"\x01" + tenths.to_bytes(2, "big", signed=True)).hex())["temperature"]
    whole, _, part = str(abs(tenths) / 10).partition(".")
    assert str(value) == ("-" if tenths < 0 else "") + (whole if part == "0" else f"{whole}.{part}")


@given(st.binary(max_size=80))
def test_any_bytes(payload: bytes) -> None:
    with contextlib.suppress(Rejected):
        assert isinstance(decode(payload.hex()), dict)
