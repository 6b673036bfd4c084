"""Cayenne LPP: every type, makers' own types, unknown and damaged ones."""

import contextlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dutyroom.errors import Rejected
from dutyroom.profiles.codecs.cayenne import KIND, TYPES
from dutyroom.profiles.codecs.seam import Ask


def decode(text: str, ask: Ask | None = None, **options: Any) -> dict[str, Any]:
    """With names as people write them: temperature_3 for channel 3."""
    document: Any = KIND.make(options)(bytes.fromhex(text), ask or Ask())
    found: dict[str, Any] = {"rest": document.pop("rest")} if "rest" in document else {}
    return found | {
        f"{name}_{n}": value for name, channels in document.items() for n, value in channels.items()
    }


# The first: The Things Network device repository (Apache-2.0), vendor/tektelic. The next three: the examples of
# the LPP documentation. The others are made up.
@pytest.mark.parametrize(
    ("payload", "expected"),
    [
        ("0367000a046828", {"temperature_3": 1, "relative_humidity_4": 20}),
        ("03670110056700ff", {"temperature_3": "27.2", "temperature_5": "25.5"}),
        ("0671 04d2 fb2e 0000", {"accelerometer_6": {"x": "1.234", "y": "-1.234", "z": 0}}),
        ("0188 06765f f2960a 0003e8", {"position_1": {"latitude": "42.3519", "longitude": "-87.9094", "altitude": 10}}),
        ("0100 01 0201 00", {"digital_in_1": 1, "digital_out_2": 0}),
        ("0102 ff9c 0203 0001", {"analog_in_1": -1, "analog_out_2": "0.01"}),
        ("0164 ffffffff 0265 0028", {"generic_1": 4294967295, "luminosity_2": 40}),
        ("0166 01 0268 ff 0373 2794", {"presence_1": 1, "relative_humidity_2": "127.5", "barometric_pressure_3": "1013.2"}),
        ("0174 0172 0275 03e9 0376 00000032", {"voltage_1": "3.7", "current_2": "1.001", "frequency_3": 50}),
        ("0178 64 0279 fffe 027d 01f4", {"percentage_1": 100, "altitude_2": -2, "concentration_2": 500}),
        ("0180 04d2 0182 000004d2 0183 00bc614e", {"power_1": 1234, "distance_1": "1.234", "energy_1": "12345.678"}),
        ("0184 010e 0185 6553f100 018e 01", {"direction_1": 270, "time_1": 1700000000, "switch_1": 1}),
        ("0186 0064 ff9c 0001 0187 ff8000", {"gyrometer_1": {"x": 1, "y": -1, "z": "0.01"}, "colour_1": {"red": 255, "green": 128, "blue": 0}}),
        ("017a 0186a0", {"load_1": 100}),
    ],
)  # fmt: skip
def test_types(payload: str, expected: dict[str, object]) -> None:
    assert decode(payload) == expected


def test_what_it_is_then_the_channel() -> None:
    document: Any = KIND.make({})(bytes.fromhex("0367000a056700ff046828"), Ask())
    assert document == {"temperature": {"3": 1, "5": "25.5"}, "relative_humidity": {"4": 20}}


def test_a_makers_own_types() -> None:
    types = {
        "4": {"name": "count", "bytes": 2},
        "255": {"name": "battery", "bytes": 2, "scale": "0.01", "signed": True},
    }
    assert decode("00ff 0168 0804 0007", types=types) == {"battery_0": "3.6", "count_8": 7}


def test_an_unknown_type_ends_the_message_and_is_told() -> None:
    ask = Ask()
    assert decode("0367000a 08040007", ask) == {"temperature_3": 1, "rest": "08040007"}
    assert ask.report.findings == [("unknown_code", "type 4 at byte 5")]
    assert ask.report.unread == 4


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        ("", "empty"),
        ("03", "cut at byte 0"),
        ("0367", "temperature_3 (type 103) cut at byte 2: 2 bytes expected"),
        ("0367000a04", "cut at byte 4: a type and its value expected after channel 4"),
        ("03aa00", "unknown LPP type 170 at byte 1"),
    ],
)
def test_damaged(payload: str, reason: str) -> None:
    with pytest.raises(Rejected) as caught:
        decode(payload)
    assert reason in caught.value.reason


@pytest.mark.parametrize(
    ("types", "reason"),
    [
        ({"300": {"name": "x", "bytes": 1}}, "types.300.type"),
        ({"4": {"bytes": 1}}, "types.4.name"),
        ({"4": {"name": "x"}}, "types.4.bytes"),
        ({"4": {"name": "x", "bytes": 1, "scale": "1/3"}}, "types.4.scale"),
        ({"4": {"name": "x", "bytes": 1, "unit": "V"}}, "types.4.unit: unknown"),
        ({"4": 2}, "types.4: a mapping"),
    ],
)
def test_settings_that_cannot_be_used(types: Any, reason: str) -> None:
    with pytest.raises(Rejected) as caught:
        KIND.make({"types": types})
    assert reason in caught.value.reason


@given(
    st.lists(st.tuples(st.integers(0, 255), st.sampled_from(sorted(TYPES))), min_size=1, max_size=8),
    st.data(),
)
def test_every_sequence_of_types_is_read_to_its_end(
    pairs: list[tuple[int, int]], data: st.DataObject
) -> None:
    payload = b"".join(
        bytes(pair) + data.draw(st.binary(min_size=TYPES[pair[1]].size, max_size=TYPES[pair[1]].size))
        for pair in pairs
    )
    found = decode(payload.hex())
    assert set(found) == {f"{TYPES[kind].name}_{channel}" for channel, kind in pairs}


@given(st.binary(max_size=80))
def test_any_bytes(payload: bytes) -> None:
    with contextlib.suppress(Rejected):
        assert isinstance(decode(payload.hex()), dict)
