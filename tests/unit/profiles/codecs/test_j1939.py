"""J1939: ids, exact parameters, what "not available" looks like, faults, long messages. All frames are made up
in the layout of the standard."""

import contextlib
from fractions import Fraction
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dutyroom.errors import Rejected
from dutyroom.profiles.codecs.j1939 import KIND
from dutyroom.profiles.codecs.j1939_fields import why_not
from dutyroom.profiles.codecs.j1939_frames import can_id, frame
from dutyroom.profiles.codecs.j1939_table import GROUPS, NAMES, Parameter
from dutyroom.profiles.codecs.seam import Ask

BARE = KIND.make({})


def engine(pgn: int, data: str, **options: Any) -> dict[str, Any]:
    document: Any = KIND.make(options)(bytes.fromhex(data), Ask(port=can_id(pgn)))
    return document["engine"]  # type: ignore[no-any-return]


def listed(frames: list[tuple[int, str]], **options: Any) -> dict[str, Any]:
    payload = orjson.dumps({"can1": [{"id": can_id(pgn), "data": data} for pgn, data in frames]})
    document: Any = KIND.make({"frames": "can1", **options})(payload, Ask())
    return document["can1"]["engine"]  # type: ignore[no-any-return]


# ---------------------------------------------------------------- ids


def test_an_id_is_priority_group_and_source() -> None:
    found = frame(0x18FEEE27, b"")
    assert (found.priority, found.pgn, found.source, found.destination) == (6, 65262, 0x27, None)


def test_below_240_the_id_has_a_destination() -> None:
    found = frame(0x18EAFF2B, b"")
    assert (found.pgn, found.destination) == (59904, 255)


def test_the_data_page_belongs_to_the_group() -> None:
    assert frame(0x19FEEE00, b"").pgn == 0x1FEEE


@given(st.integers(0, 0x3FFFF), st.integers(0, 255), st.integers(0, 7), st.integers(0, 255))
def test_ids_round_trip(pgn: int, source: int, priority: int, destination: int) -> None:
    pgn = pgn & 0x3FF00 if pgn >> 8 & 0xFF < 240 else pgn
    found = frame(can_id(pgn, source, priority, destination), b"")
    assert (found.pgn, found.source, found.priority) == (pgn, source, priority)


@pytest.mark.parametrize("value", ["0x18FEEE00", "18feee00", 419360256, 419360256 + 2**31, "419360256"])
def test_forms_of_an_id(value: object) -> None:
    payload = orjson.dumps([{"id": value, "data": "7EFFFFFFFFFFFFFF"}])
    document: Any = KIND.make({"frames": ""})(payload, Ask())
    assert document["engine"]["coolant_temperature"] == 86


def test_where_a_bare_frames_id_comes_from() -> None:
    data = bytes.fromhex("7EFFFFFFFFFFFFFF")
    for options, ask in (
        ({}, Ask(port=0x18FEEE00)),
        ({}, Ask(parameters={"can_id": "18FEEE00"})),
        ({"id": "topic"}, Ask(topic="j1939/set-1/18FEEE00")),
        ({"id": "0x18FEEE00"}, Ask()),
    ):
        document: Any = KIND.make(options)(data, ask)
        assert document["engine"]["coolant_temperature"] == 86
    with pytest.raises(Rejected, match="CAN id of the frame is not known"):
        BARE(data, Ask())


# ---------------------------------------------------------------- parameters


@pytest.mark.parametrize(
    ("pgn", "data", "expected"),
    [
        (61444, "F17D91DE2E00F47D", {"engine_torque_mode": 1, "engine_speed": "1499.75", "actual_engine_torque": 20, "driver_demand_torque": 0}),
        (61443, "FFFF40FFFFFFFFFF", {"engine_load": 64, "pedal_position_1": None}),
        (65262, "64 5A 0030 FFFF FF FF", {"coolant_temperature": 60, "fuel_temperature": 50, "oil_temperature": 111, "turbo_oil_temperature": None}),
        (65263, "FFFFFF4BFFFFFF7D", {"oil_pressure": 300, "coolant_level": 50, "fuel_delivery_pressure": None}),
        (65266, "01000000000000FF", {"fuel_rate": "0.05", "instantaneous_fuel_economy": 0}),
        (65271, "7D05FFFF1C02FFFF", {"net_battery_current": 0, "alternator_current": 5, "battery_voltage": 27, "charging_voltage": None}),
        (65253, "15CD5B07 0A000000", {"engine_hours": "6172839.45", "engine_revolutions": 10000}),
        (65276, "FF7DFFFFFFFFFFFF", {"fuel_level": 50, "washer_level": None}),
        (64914, "F4FFFFFFFFFFFFFF", {"engine_operating_state": 4}),
        (65030, "9001 E600 0119 2C01", {"generator_line_voltage": 400, "generator_voltage": 230, "generator_frequency": "50.0078125", "generator_current": 300}),
        (65029, "E0613877 00943577", {"generator_power": 183776, "generator_apparent_power": 0}),
        (65028, "00943577 0060 FCFF", {"generator_reactive_power": 0, "generator_power_factor": "0.5", "generator_power_factor_lagging": 0}),
        (65018, "40E20100FFFFFFFF", {"generator_energy_export": 123456, "generator_energy_import": None}),
        (65021, "FFFF EB00 0019 FFFF", {"generator_voltage_l3": 235, "generator_frequency_l3": 50}),
        (65014, "FFFF DC00 0019 FFFF", {"utility_voltage_l1": 220, "utility_frequency_l1": 50}),
    ],
)  # fmt: skip
def test_values(pgn: int, data: str, expected: dict[str, object]) -> None:
    found = engine(pgn, data)
    assert {name: found[name] for name in expected} == expected


def test_none_says_why() -> None:
    found = engine(65263, "FFFFFFFEFFFFFFFB")
    assert found["oil_pressure"] is None
    assert found["reasons"]["oil_pressure"] == "error"
    assert found["reasons"]["oil_level"] == "not_available"
    assert found["reasons"]["coolant_level"] == "reserved"


@pytest.mark.parametrize(
    ("raw", "bits", "why"),
    [
        (0, 2, ""), (1, 2, ""), (2, 2, "error"), (3, 2, "not_available"), (14, 4, "error"), (15, 4, "not_available"),
        (0xFA, 8, ""), (0xFB, 8, "reserved"), (0xFD, 8, "reserved"), (0xFE, 8, "error"), (0xFF, 8, "not_available"),
        (0xFAFF, 16, ""), (0xFB00, 16, "reserved"), (0xFE12, 16, "error"), (0xFF00, 16, "not_available"),
        (0xFAFFFFFF, 32, ""), (0xFE000000, 32, "error"), (0xFF000000, 32, "not_available"), (1, 1, ""),
    ],
)  # fmt: skip
def test_ranges_of_raw_values(raw: int, bits: int, why: str) -> None:
    assert why_not(raw, bits) == why


def _every() -> list[tuple[int, Parameter]]:
    return [(pgn, p) for pgn, group in GROUPS.items() for p in group.parameters]


def test_the_table_holds_together() -> None:
    assert len(NAMES) == len(_every())
    for group in GROUPS.values():
        taken: set[int] = set()
        for p in group.parameters:
            bits = set(range(p.start, p.start + p.bits))
            assert not taken & bits, p
            assert max(bits) < 64, p
            taken |= bits


@given(st.sampled_from(_every()), st.data())
def test_a_raw_value_put_in_comes_out_exactly(entry: tuple[int, Parameter], data: st.DataObject) -> None:
    pgn, p = entry
    raw = data.draw(st.integers(0, (1 << p.bits) - 1))
    whole = (1 << 64) - 1 & ~(((1 << p.bits) - 1) << p.start) | raw << p.start
    found = engine(pgn, whole.to_bytes(8, "little").hex())
    if p.special and why_not(raw, p.bits):
        assert found[p.name] is None
        assert p.name in found["reasons"]
    else:
        assert Fraction(found[p.name]) == raw * Fraction(p.scale) + Fraction(p.offset)


def test_notes_tell_the_bits() -> None:
    seen: dict[str, tuple[int, int, object]] = {}
    ask = Ask(
        port=can_id(61444), note=lambda name, first, after, value: seen.update({name: (first, after, value)})
    )
    BARE(bytes.fromhex("F17D91DE2E00F47D"), ask)
    assert seen["engine_torque_mode"] == (4, 8, 1)
    assert seen["engine_speed"] == (24, 40, "1499.75")


# ---------------------------------------------------------------- faults


def test_no_fault() -> None:
    found = engine(65226, "00FF 00000000 FFFF")
    assert (found["faults"], found["fault_count"], found["lamp_red_stop"]) == ([], 0, 0)


def test_an_active_fault() -> None:
    found = engine(65226, "04FF 64000103 FFFF")  # amber lamp; SPN 100, FMI 1, three times
    assert (found["lamp_red_stop"], found["lamp_amber_warning"]) == (0, 1)
    found = engine(65226, "50FF 64000103 FFFF")
    assert (found["lamp_malfunction"], found["lamp_red_stop"]) == (1, 1)
    assert found["faults"] == [
        {
            "spn": 100,
            "parameter": "oil_pressure",
            "fmi": 1,
            "failure": "below_normal_most_severe",
            "occurrences": 3,
        }
    ]


def test_spn_of_19_bits() -> None:
    fault = engine(65226, "04FF C1F2E47F FFFF")["faults"][0]  # 0x7F2C1 = 520897
    assert (fault["spn"], fault["fmi"], fault["occurrences"]) == (520897, 4, None)
    assert fault["parameter"] == "spn_520897"


def test_past_faults_are_apart() -> None:
    found = engine(65227, "00FF 64000103 FFFF")
    assert (found["past_fault_count"], "faults" in found) == (1, False)


def test_a_cut_fault_message() -> None:
    with pytest.raises(Rejected, match="cut at byte 3"):
        engine(65226, "00FF64")


def test_faults_of_two_control_units_count_together() -> None:
    found = listed([(65226, "00FF00000000FFFF"), (65226, "10FF64000103FFFF"), (65226, "04FF6E000001FFFF")])
    assert found["fault_count"] == 2
    assert found["lamp_amber_warning"] == 1


def test_a_long_message_of_three_faults() -> None:
    message = bytes.fromhex("10FF 64000103 6E000001 BE000801".replace(" ", ""))
    frames = [(60416, f"20{len(message):02x}00{(len(message) + 6) // 7:02x}FFCAFE00")]
    for number in range(0, len(message), 7):
        piece = message[number : number + 7].ljust(7, b"\xff")
        frames.append((60160, f"{number // 7 + 1:02x}{piece.hex()}"))
    found = listed(frames)
    assert [f["spn"] for f in found["faults"]] == [100, 110, 190]
    assert listed(frames[:-1]).get("faults") is None


# ---------------------------------------------------------------- arrays and settings


def test_an_array_of_frames_is_one_engine() -> None:
    found = listed([(61444, "F17D91DE2E00F47D"), (65262, "64FFFFFFFFFFFFFF"), (65450, "0102"), (65263, "")])
    assert (found["engine_speed"], found["coolant_temperature"]) == ("1499.75", 60)
    assert found["unknown"] == {"65450": "0102"}


def test_a_value_of_one_unit_is_not_taken_away_by_another_that_has_none() -> None:
    found = listed([(65262, "64FFFFFFFFFFFFFF"), (65262, "FFFFFFFFFFFFFFFF")])
    assert found["coolant_temperature"] == 60
    assert "coolant_temperature" not in found["reasons"]


def test_only_the_control_unit_asked_for() -> None:
    payload = orjson.dumps([{"id": can_id(65262, 3), "data": "64"}, {"id": can_id(65262, 0), "data": "65"}])
    document: Any = KIND.make({"frames": "", "source": 3})(payload, Ask())
    assert document["engine"]["coolant_temperature"] == 60


def test_the_rest_of_the_json_stays() -> None:
    payload = orjson.dumps({"deviceid": "X1", "vin": 28.1, "can2": [{"id": can_id(65262), "data": [100]}]})
    document: Any = KIND.make({"frames": ["can1", "can2"]})(payload, Ask())
    assert document["vin"] == 28.1
    assert document["can2"]["engine"]["coolant_temperature"] == 60


def test_own_parameters() -> None:
    spns = {
        "fuel_valve": {"pgn": 65450, "byte": 1, "bit": 3, "bits": 2},
        "gas_pressure": {"pgn": 65450, "byte": 2, "bits": 16, "scale": "1/128", "offset": -250},
        "angle": {"pgn": 65450, "byte": 4, "bits": 16, "signed": True, "scale": 0.1},
        "oil_pressure": {"pgn": 65263, "byte": 4, "scale": 8},
    }
    found = engine(65450, "F7 007F FEFF", spns=spns)
    assert found["fuel_valve"] == 1
    assert found["gas_pressure"] == 4
    assert found["angle"] == "-0.2"
    assert engine(65263, "FFFFFF4BFFFFFFFF", spns=spns)["oil_pressure"] == 600


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"frames": 3}, "frames"),
        ({"id": "x"}, "id: no CAN id"),
        ({"source": 300}, "source"),
        ({"spns": {"a": {"byte": 1}}}, "spns.a.pgn"),
        ({"spns": {"a": {"pgn": 1, "byte": 1, "lenght": 2}}}, "spns.a.lenght: unknown"),
        ({"spns": {"a": {"pgn": 1, "byte": 1, "signed": 1}}}, "spns.a.signed"),
        ({"spn": {}}, "spn: unknown"),
    ],
)
def test_settings_that_cannot_be_used(options: Any, reason: str) -> None:
    with pytest.raises(Rejected) as caught:
        KIND.make(options)
    assert reason in caught.value.reason


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        (b"{", "not JSON"),
        (b"[]", "JSON object expected"),
        (b'{"can1":[1]}', "can1[0]: {id, data} expected"),
        (b'{"can1":[{"id":1,"data":"0"}]}', "can1[0].data"),
        (b'{"can1":[{"id":1,"data":[256]}]}', "can1[0].data"),
        (b'{"can1":[{"id":true,"data":""}]}', "can1[0].id: no CAN id"),
        (b'{"can1":[{"id":536870912,"data":""}]}', "more than 29 bits"),
        (b'{"can1":[{"data":""}]}', "can1[0].id"),
    ],
)
def test_damaged_arrays(payload: bytes, reason: str) -> None:
    with pytest.raises(Rejected) as caught:
        KIND.make({"frames": "can1"})(payload, Ask())
    assert reason in caught.value.reason


def test_too_much() -> None:
    with pytest.raises(Rejected, match="more than 4096 frames"):
        KIND.make({"frames": ""})(orjson.dumps([{"id": 1, "data": ""}] * 4097), Ask())
    with pytest.raises(Rejected, match="1785"):
        BARE(bytes(1786), Ask(port=1))


@given(st.integers(0, 2**29 - 1) | st.sampled_from([can_id(p) for p in GROUPS]), st.binary(max_size=20))
def test_any_frame(identifier: int, data: bytes) -> None:
    with contextlib.suppress(Rejected):
        assert isinstance(BARE(data, Ask(port=identifier)), dict)


@given(
    st.lists(
        st.fixed_dictionaries(
            {
                "id": st.integers(-1, 2**33) | st.text(max_size=12) | st.none(),
                "data": st.binary(max_size=9).map(bytes.hex)
                | st.text(max_size=6)
                | st.none()
                | st.lists(st.integers(0, 300)),
            }
        ),
        max_size=6,
    )
)
def test_any_array(frames: list[dict[str, object]]) -> None:
    with contextlib.suppress(Rejected):
        assert isinstance(KIND.make({"frames": ""})(orjson.dumps(frames), Ask()), dict)


@given(
    st.lists(
        st.tuples(
            st.sampled_from([can_id(60416), can_id(60160)]),
            st.binary(min_size=8, max_size=8).map(lambda b: bytes([b[0] % 40, *b[1:]])),
        ),
        max_size=12,
    )
)
def test_any_long_messages(frames: list[tuple[int, bytes]]) -> None:
    payload = orjson.dumps([{"id": i, "data": d.hex()} for i, d in frames])
    with contextlib.suppress(Rejected):
        assert isinstance(KIND.make({"frames": ""})(payload, Ask()), dict)
