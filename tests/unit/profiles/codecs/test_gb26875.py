"""GB/T 26875.3 frames and bare data units, built here: what they say, and what is refused."""

import contextlib
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dutyroom.errors import Rejected
from dutyroom.profiles.codecs.gb26875 import KIND
from dutyroom.profiles.codecs.gb26875_tables import PARTS, SYSTEMS, UNITS, class_name, named
from dutyroom.profiles.codecs.gb26875_units import OBJECTS
from dutyroom.profiles.codecs.seam import Ask, Report

TIME = bytes([15, 30, 8, 1, 11, 26])
UTD = 0x00_0A_12_00_00_07


def frame(unit: bytes, command: int = 2, source: int = UTD, serial: int = 41, time: bytes = TIME) -> bytes:
    """A frame as the standard has it, the sum counted."""
    head = serial.to_bytes(2, "little") + bytes([1, 0]) + time
    head += source.to_bytes(6, "little") + (99).to_bytes(6, "little") + len(unit).to_bytes(2, "little")
    body = head + bytes([command]) + unit
    return b"@@" + body + bytes([sum(body) & 0xFF]) + b"##"


def part(state: int, loop: int = 2, detector: int = 17, words: str = "3层东走廊", kind: int = 42) -> bytes:
    """An object of type 2 of panel 1.1."""
    address = (loop << 16 | detector).to_bytes(4, "little")
    text = words.encode("gb18030").ljust(31, b"\0")
    return bytes([1, 1, kind]) + address + state.to_bytes(2, "little") + text + TIME


def decode(payload: bytes, ask: Ask | None = None, **options: Any) -> list[dict[str, Any]]:
    document: Any = KIND.make(options)(payload, ask or Ask())
    return document["objects"]  # type: ignore[no-any-return]


def one(payload: bytes, **options: Any) -> dict[str, Any]:
    (found,) = decode(payload, **options)
    return found


FIRE = frame(bytes([2, 1]) + part(0b11))


def test_a_detector_on_fire_says_where_and_when() -> None:
    found = one(FIRE)
    assert found["device"] == found["source"] == UTD
    assert (found["target"], found["serial"], found["protocol"], found["action"]) == (
        99,
        41,
        "1.0",
        "send_data",
    )
    assert found["sent_at"] == found["time"] == "2026-11-01T08:30:15"
    assert (found["kind"], found["event"], found["alarm"]) == ("part_state", "fire_alarm", 1)
    assert (found["panel"], found["system"]) == ("1.1", "fire_alarm_system")
    assert (found["part"], found["loop"], found["detector"]) == (
        "point_photoelectric_smoke_fire_detector",
        2,
        17,
    )
    assert found["description"] == "3层东走廊"
    assert found["part_states"]["2.17_alarm"] == 1
    assert (found["alarm_loop"], found["alarm_detector"]) == (2, 17)
    assert found["state"]["fault"] is False


def test_a_part_that_is_quiet_does_not_end_the_alarm_of_another() -> None:
    found = one(frame(bytes([2, 1]) + part(1)))
    assert "alarm" not in found
    assert "fault" not in found
    assert found["event"] == "normal"


@pytest.mark.parametrize(
    ("flags", "alarm", "fault", "mains", "event"),
    [
        (0b1, 0, 0, 1, "normal"),
        (0b11, 1, 0, 1, "fire_alarm"),
        (0b101, 0, 1, 1, "fault"),
        (0x101, 0, 0, 0, "main_power_fault"),
        (0x0802, 1, 0, 1, "fire_alarm"),
        (0, 0, 0, 1, "test"),
    ],
)
def test_the_state_of_a_panel(flags: int, alarm: int, fault: int, mains: int, event: str) -> None:
    found = one(frame(bytes([1, 1, 1, 1]) + flags.to_bytes(2, "little") + TIME))
    assert (found["alarm"], found["fault"], found["mains"], found["event"]) == (alarm, fault, mains, event)
    assert found["flags"] == flags


def test_an_analog_value_is_an_exact_decimal_in_its_unit() -> None:
    head = bytes([3, 1, 1, 1, 30]) + (5 << 16 | 9).to_bytes(4, "little")
    cold = one(head + bytes([3]) + (-125).to_bytes(2, "little", signed=True) + TIME)
    assert (cold["raw"], cold["value"], cold["unit"]) == (-125, "-12.5", "degC")
    assert cold["temperatures"] == {"5.9": "-12.5"}
    assert cold["part_numbers"] == {"5.9_raw": -125, "5.9_address": 5 << 16 | 9}
    assert cold["part_texts"]["5.9_type"] == "HeatFireDetectorEquipmentType"
    level = one(head + bytes([2, 0x4A, 0x01]) + TIME)
    assert (level["analog"], level["value"], level["unit"]) == ("height", "3.30", "m")
    own = one(head + bytes([200, 1, 0]) + TIME)
    assert own["raw"] == 1
    assert "value" not in own


def test_a_press_of_the_fire_button_is_a_fire_and_reset_ends_it() -> None:
    assert one(bytes([24, 1, 0b100, 7]) + TIME)["alarm"] == 1
    assert one(bytes([4, 1, 1, 1, 0b1, 7]) + TIME)["alarm"] == 0
    assert one(bytes([4, 1, 1, 1, 0b1000, 7]) + TIME)["alarm"] == 0
    answer = one(bytes([24, 1, 0b100000, 9]) + TIME)
    assert (answer["event"], answer["operator"]) == ("duty_answer", 9)
    assert "alarm" not in answer


@pytest.mark.parametrize(
    ("unit", "expected"),
    [
        (bytes([5, 1, 1, 1, 2, 11]), {"panel": "1.1", "version": "2.11", "version_number": 523}),
        (bytes([6, 1, 1, 1, 4]) + "主机".encode("gb18030"), {"configuration": "主机"}),
        (bytes([7, 1]) + part(0)[:7] + b"hall".ljust(31, b"\0"), {"part_id": "2.17", "description": "hall"}),
        (bytes([8, 1, 1, 1]) + TIME, {"kind": "system_clock", "clock": "2026-11-01T08:30:15"}),
        (bytes([21, 1, 0b101001]) + TIME, {"mains": 0, "fault": 0, "event": "main_power_fault"}),
        (bytes([25, 1, 3, 0]), {"kind": "device_version", "version": "3.0"}),
        (bytes([26, 1, 2]) + b"ok", {"configuration": "ok"}),
        (bytes([28, 1]) + TIME, {"kind": "device_clock", "clock": "2026-11-01T08:30:15"}),
        (bytes([61, 1, 1, 1]), {"kind": "read_system_state", "panel": "1.1"}),
        (bytes([64, 1, 1, 1, 5]) + TIME, {"count": 5, "since": "2026-11-01T08:30:15"}),
        (bytes([84, 1, 5]) + TIME, {"count": 5}),
        (bytes([81, 1, 0]), {"reserved": 0}),
        (bytes([90, 1]) + TIME, {"clock": "2026-11-01T08:30:15"}),
        (bytes([91, 1, 10]), {"kind": "check_duty", "minutes": 10}),
        (bytes([205, 1, 7, 8]), {"kind": "own_205", "data": "0708"}),
    ],
)
def test_every_other_unit(unit: bytes, expected: dict[str, Any]) -> None:
    for found in (one(unit), one(frame(unit))):
        assert expected.items() <= found.items()
    assert one(frame(unit, command=5))["action"] == "answer"


def test_a_question_of_the_centre_is_about_the_device_it_asks() -> None:
    assert one(frame(bytes([61, 1, 1, 1]), command=4))["device"] == 99


def test_a_confirmation_has_no_unit() -> None:
    found = one(frame(b"", command=3))
    assert (found["kind"], found["event"], found["device"]) == ("confirm", "confirm", UTD)


def test_a_clock_that_was_never_set_gives_no_time_but_the_report_counts() -> None:
    for clock in (bytes(6), b"\xff" * 6, bytes([0, 0, 0, 31, 2, 26])):
        found = one(bytes([2, 1]) + part(0b11)[:-6] + clock)
        assert found["alarm"] == 1
        assert "time" not in found


def test_several_frames_and_noise_between_them() -> None:
    quiet = frame(bytes([1, 1, 1, 1, 1, 0]) + TIME)
    found = decode(b"\x00@@ noise" + FIRE + b"\r\n@" + quiet + b"##")
    assert [f["kind"] for f in found] == ["part_state", "system_state"]
    assert len(decode(frame(bytes([2, 2]) + part(3) + part(5, detector=18)))) == 2


def test_a_fire_beside_a_damaged_frame_gets_through_and_the_damage_is_told() -> None:
    damaged = bytearray(FIRE)
    damaged[40] ^= 1
    report = Report()
    found = decode(bytes(damaged) + FIRE, Ask(report=report))
    assert [f["alarm"] for f in found] == [1]
    assert [kind for kind, _ in report.findings] == ["malformed"]
    assert "checksum at byte 75" in report.findings[0][1]


@pytest.mark.parametrize(
    ("payload", "message"),
    [
        (FIRE[:-3] + bytes([FIRE[-3] ^ 0xFF]) + FIRE[-2:], "checksum at byte 75: .., .. expected"),
        (FIRE[:-1], "frame at byte 0: 78 bytes expected, 77 are there"),
        (FIRE[:-2] + b"#$", "end at byte 76: 2324, 2323 expected"),
        (FIRE[:24] + b"\xff\xff" + FIRE[26:] + bytes(70_000), "length at byte 24: 65535, at most 1024"),
        (b"@##", "no frame: 4040 is nowhere"),
        (b"\x02\x01" + part(3)[:-1], "time at byte 42: 6 bytes expected, 5 are left"),
        (b"\x02\x01" + part(3) + b"\0", "end of the unit at byte 48: 1 bytes too many"),
        (b"\x02\x00" + part(3), "count at byte 1: 0 objects of type 2"),
        (b"\x09\x01\x00", "type at byte 0: 9 is none of GB/T 26875.3"),
        (frame(b"\x09\x01\x00"), "type at byte 27: 9 is none"),
        (b"", "type at byte 0: 1 bytes expected, 0 are left"),
        (b"@@" * 3000, "byte"),
    ],
)
def test_what_is_refused_and_why(payload: bytes, message: str) -> None:
    with pytest.raises(Rejected, match=message):
        decode(payload)


def test_the_form_can_be_required() -> None:
    unit = bytes([25, 1, 3, 0])
    assert one(unit, form="unit")["version"] == "3.0"
    with pytest.raises(Rejected, match="no frame"):
        decode(unit, form="frame")
    with pytest.raises(Rejected, match="since at byte 77"):
        decode(FIRE, form="unit")
    with pytest.raises(Rejected, match="form: 'both' is none of any, frame, unit"):
        KIND.make({"form": "both"})


def test_keys_of_all_codes_are_unique_words() -> None:
    for table in (SYSTEMS, PARTS, UNITS):
        keys = list(table.values())
        assert len(keys) == len(set(keys))
        assert all(key.replace("_", "").isalnum() and key == key.lower() for key in keys)
    assert named(PARTS, 9) == "reserved_9"
    assert named(PARTS, 200) == "own_200"
    assert class_name("fire_pump", "EquipmentType") == "FirePumpEquipmentType"
    assert set(OBJECTS) == set(UNITS)


def test_every_field_that_is_read_is_told_with_its_bits() -> None:
    seen: list[tuple[str, int, int, object]] = []
    decode(FIRE, Ask(note=lambda *field: seen.append(field)))
    assert ("serial", 16, 32, 41) in seen
    assert ("flags", 288, 304, 3) in seen
    assert [end for _, _, end, _ in seen] == sorted(end for _, _, end, _ in seen)


# ---------------------------------------------------------------- whatever may come


@given(
    flags=st.integers(0, 0xFFFF),
    loop=st.integers(0, 0xFFFF),
    detector=st.integers(0, 0xFFFF),
    words=st.text(st.characters(codec="gb18030", exclude_characters="\0"), max_size=7),
    serial=st.integers(0, 0xFFFF),
)
def test_round_trip(flags: int, loop: int, detector: int, words: str, serial: int) -> None:
    unit = bytes([2, 1]) + part(flags, loop, detector, words)
    found = one(frame(unit, serial=serial))
    assert (found["flags"], found["loop"], found["detector"]) == (flags, loop, detector)
    assert (found["serial"], found["description"]) == (serial, words.rstrip())


@given(at=st.integers(0, len(FIRE) - 1), bit=st.integers(0, 7))
def test_one_wrong_bit_is_never_believed(at: int, bit: int) -> None:
    broken = bytearray(FIRE)
    broken[at] ^= 1 << bit
    with pytest.raises(Rejected):
        decode(bytes(broken))


@settings(max_examples=300)
@given(payload=st.one_of(st.binary(max_size=300), st.binary(max_size=60).map(lambda tail: FIRE[:40] + tail)))
def test_any_bytes_give_objects_or_a_reason(payload: bytes) -> None:
    with contextlib.suppress(Rejected):
        assert all(o["kind"] for o in decode(payload))
