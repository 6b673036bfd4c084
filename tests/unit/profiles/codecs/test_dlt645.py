"""DL/T 645-2007: published frames, damaged ones, several in one payload, and whatever a line may bring."""

import contextlib
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dutyroom.errors import Rejected
from dutyroom.profiles.codecs.dlt645 import KIND
from dutyroom.profiles.codecs.dlt645_registers import SINGLES, groups_of
from dutyroom.profiles.codecs.frames import MAX_PAYLOAD, build
from dutyroom.profiles.codecs.seam import Ask
from dutyroom.profiles.requests import read_request

PLAIN = KIND.make({})


def decode(frame: str | bytes, **options: Any) -> list[dict[str, Any]]:
    payload = bytes.fromhex(frame) if isinstance(frame, str) else frame
    document: Any = KIND.make(options)(payload, Ask())
    return document["requests"] + document["frames"]  # type: ignore[no-any-return]


def one(frame: str | bytes, **options: Any) -> dict[str, Any]:
    (found,) = decode(frame, **options)
    return found


def reply(
    identifier: str, data: str | bytes, control: int = 0x91, address: str = "000000000042", sent: int = 0
) -> bytes:
    """A reply as a meter sends it; data in wire order."""
    raw = data if isinstance(data, bytes) else bytes.fromhex(data)
    body = bytes.fromhex(identifier)[::-1] + raw
    head = b"\x68" + bytes.fromhex(address)[::-1] + bytes([0x68, control, len(body)])
    return build(head + bytes((b + 0x33) & 0xFF for b in body), sent)


# Published frames with the values their sources state or their digits give.
# D1-D5 hwhale.com/article/138066; D6 oryet/PublicLib dl645.py; D8, D10 public code index.
D6 = "FE FE FE FE 68 24 02 00 00 00 00 68 91 18 33 32 34 33 C7 47 35 33 37 86 33 33 A7 86 33 33 36 87 33 33 44 87 33 33 EB 16"
PUBLISHED = {
    "D1": ("68 61 01 00 00 00 00 68 91 08 33 33 34 33 59 33 33 33 8A 16", "000000000161", "00010000",
           {"energy_forward": "0.26"}),
    "D2": ("68 61 01 00 00 00 00 68 91 08 33 33 35 33 59 34 33 33 8C 16", "000000000161", "00020000",
           {"energy_reverse": "1.26"}),
    "D3": ("68 61 01 00 00 00 00 68 91 08 33 33 36 33 59 33 34 33 8D 16", "000000000161", "00030000",
           {"reactive_energy_combined_1": "100.26"}),
    "D4": ("68 61 01 00 00 00 00 68 91 08 33 33 37 33 56 33 34 33 8B 16", "000000000161", "00040000",
           {"reactive_energy_combined_2": "100.23"}),
    "D5": ("68 61 01 00 00 00 00 68 91 06 33 34 34 35 34 43 10 16", "000000000161", "02010100", {"voltage_a": "100.1"}),
    "D6": (D6, "000000000224", "0001FF00",
           {"energy_forward": "214.94", "energy_forward_rate_1": "53.04", "energy_forward_rate_2": "53.74",
            "energy_forward_rate_3": "54.03", "energy_forward_rate_4": "54.11"}),
    "D8": ("68 12 90 78 56 34 12 68 91 08 33 33 34 33 AB 89 67 45 CC 16", "123456789012", "00010000",
           {"energy_forward": "123456.78"}),
    "D10": ("68 00 36 19 00 00 00 68 91 18 33 32 34 33 63 69 33 33 89 35 33 33 4C 33 33 33 6B 33 33 33 4A 66 33 33 E9 16",
            "000000193600", "0001FF00",
            {"energy_forward": "36.30", "energy_forward_rate_1": "2.56", "energy_forward_rate_2": "0.19",
             "energy_forward_rate_3": "0.38", "energy_forward_rate_4": "33.17"}),
}  # fmt: skip


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_frames_give_their_values(name: str) -> None:
    frame, address, identifier, values = PUBLISHED[name]
    found = one(frame)
    assert (found["kind"], found["address"], found["identifier"]) == ("reply", address, identifier)
    assert found["values"] == values


# D7: hupengwu/fox-edge-server-protocol TestUtils07.java, with one byte more than the register has
D7 = "FE FE FE FE 68 01 00 00 00 00 00 68 91 09 33 33 34 33 6A 59 33 33 34 95 16"


def test_a_makers_extra_byte_is_accepted_only_when_the_profile_says_so() -> None:
    with pytest.raises(Rejected, match="00010000 at byte 22: 1 bytes more than its registers have"):
        decode(D7)
    found = one(D7, extra=1)
    assert found["values"] == {"energy_forward": "26.37"}
    assert found["extra"] == "01"


def test_a_refusal_is_no_reading_and_no_failure() -> None:
    found = one("68 12 90 78 56 34 12 68 D1 01 39 91 16")  # D9, public code index
    assert (found["kind"], found["address"], found["values"]) == ("error", "123456789012", {})
    assert (found["error"], found["error_text"]) == (6, "no such data, not authorised")


@pytest.mark.parametrize(
    ("frame", "told"),
    [
        # N2: the checksum holds, one digit is E
        ("68 18 06 36 04 00 91 68 91 08 33 33 34 33 33 33 41 33 F9 16", "energy_forward at byte 16: 0E is not decimal"),
        # N3: a published block with a wrong checksum
        ("68 02 00 00 00 10 20 68 91 18 33 32 34 33 67 5C 33 33 99 3A 33 33 48 39 33 33 B3 37 33 33 A4 43 33 33 5B 16",
         "frame at byte 0: checksum at byte 34 is 5B, the bytes give 5D"),
        ("68 61 01 00 00 00 00 68 91 08 33 33 34 33 59 33", "frame at byte 0: is cut, 4 bytes are missing"),
        ("68 61 01 00 00 00 00 68 91 08 33 33 34 33 59 33 33 33 8A 17", "byte 19 should be 16 and is 17"),
        ("68 61 01 00 00 00 A0 68 91 08 33 33 34 33 59 33 33 33 2A 16", "address at byte 6: A0 is not decimal"),
        ("68 61 01 00 00 00 00 68 91 07 33 33 34 33 59 33 33 56 16", "00010000 at byte 0: 3 bytes, energy_forward has 4"),
        ("68 61 01 00 00 00 00 68 91 02 33 33 2B 16", "2 bytes hold no identifier"),
        ("68 61 01", "no frame"),
        ("", "no frame"),
    ],
)  # fmt: skip
def test_what_must_not_be_believed_is_refused_with_its_place(frame: str, told: str) -> None:
    with pytest.raises(Rejected, match=told.replace("(", r"\(")):
        decode(frame)


def test_bytes_of_the_framing_inside_data_do_not_confuse() -> None:
    found = one(reply("00010000", "35020000", address="681668001668"))  # 35 goes out as 68
    assert (found["address"], found["values"]) == ("681668001668", {"energy_forward": "2.35"})
    assert one(reply("06000002", "35E3CB35E335"))["data"] == "35E3CB35E335"  # 68 16 FE 68 16 68


def test_several_frames_between_noise() -> None:
    frames = decode(bytes.fromhex("00 FF 68 16 33") + b"OK\r\n" + bytes.fromhex(D6) + bytes.fromhex("16 68 00 FE")
                    + bytes.fromhex(PUBLISHED["D5"][0]) + bytes.fromhex("68 52 4F"))  # fmt: skip
    assert [f["identifier"] for f in frames] == ["0001FF00", "02010100"]


def test_a_68_of_the_noise_that_pairs_with_the_frame_is_still_noise() -> None:
    noise = bytes.fromhex("68 01 02 03 04 05 06")  # its second 68 would be the frame's first
    assert one(noise + bytes.fromhex(PUBLISHED["D1"][0]))["values"] == {"energy_forward": "0.26"}


@pytest.mark.parametrize("damaged", [0, 1, 2])
def test_one_damaged_frame_refuses_all_of_the_payload(damaged: int) -> None:
    frames = [bytearray.fromhex(PUBLISHED[name][0]) for name in ("D1", "D2", "D8")]
    frames[damaged][15] ^= 1
    with pytest.raises(Rejected, match=f"frame at byte {20 * damaged}: checksum"):
        decode(b"".join(frames))


def test_an_echoed_request_is_told_apart() -> None:
    request = read_request("dlt645", "", "00010000")
    echo, answer = decode(request + bytes.fromhex(PUBLISHED["D1"][0]))
    assert (echo["kind"], echo["address"], echo["identifier"], echo["values"]) == (
        "request", "AAAAAAAAAAAA", "00010000", {},
    )  # fmt: skip
    assert answer["kind"] == "reply"


@pytest.mark.parametrize(
    ("identifier", "data", "values"),
    [
        ("00000000", "34120080", {"energy_combined": "-12.34"}),
        ("00000000", "00000080", {"energy_combined": "0.00"}),
        ("00010000", "00000085", {"energy_forward": "850000.00"}),  # no sign in a forward register
        ("0001000C", "11220300", {"settlement_12_energy_forward": "322.11"}),
        ("0002FF01", "1122030011220300", {"settlement_1_energy_reverse": "322.11", "settlement_1_energy_reverse_rate_1": "322.11"}),
        ("00150000", "01000000", {"energy_forward_a": "0.01"}),
        ("003D0000", "01000000", {"energy_forward_c": "0.01"}),
        ("00090000", "01000000", {"apparent_energy_forward": "0.01"}),
        ("01010000", "5634120008261126", {"demand_forward": "12.3456", "demand_forward_time": "2026-11-26T08:00:00"}),
        ("01010000", "0000000000000000", {"demand_forward": "0.0000", "demand_forward_time": None}),
        ("0201FF00", "01220022FFFF", {"voltage_a": "220.1", "voltage_b": "220.0", "voltage_c": None}),
        ("0202FF00", "345612FFFFFF045680", {"current_a": "125.634", "current_b": None, "current_c": "-5.604"}),
        ("02030000", "563492", {"active_power": "-12.3456"}),
        ("0203FF00", "563412563412563412563412", {"active_power": "12.3456", "active_power_a": "12.3456",
                                                  "active_power_b": "12.3456", "active_power_c": "12.3456"}),
        ("02060000", "9809", {"power_factor": "0.998"}),
        ("02060000", "0010", {"power_factor": "1.000"}),
        ("02800002", "9949", {"frequency": "49.99"}),
        ("02800007", "5580", {"meter_temperature": "-5.5"}),
        ("04000101", "04261126", {"clock_date": "2026-11-26"}),
        ("04000102", "300508", {"clock_time": "08:05:30"}),
        ("0400010C", "30050804261126", {"clock": "2026-11-26T08:05:30"}),
        ("04000402", "420000000000", {"meter_number": "000000000042"}),
        ("0400040B", b"   300-SDD", {"model": "DDS-003"}),
        ("05060001", "0000271126", {"daily_freeze_1_time": "2026-11-27T00:00:00"}),
        ("05060101", "1122030012000000", {"daily_freeze_1_energy_forward": "322.11", "daily_freeze_1_energy_forward_rate_1": "0.12"}),
        ("05041001", "563412", {"hourly_freeze_1_active_power": "12.3456"}),
        ("00010000", "FFFFFFFF", {"energy_forward": None}),
    ],
)  # fmt: skip
def test_registers(identifier: str, data: str | bytes, values: dict[str, object]) -> None:
    assert one(reply(identifier, data))["values"] == values


def test_status_words_give_their_bits() -> None:
    found = one(reply("040005FF", "0400 0000 5000 0100 0000 0000 0000"))["values"]
    assert found["status_word_3"] == 0x50
    raised = {name for name, value in found.items() if value == 1 and not name.startswith("status")}
    assert raised == {"clock_battery_low", "relay_open", "relay_open_command", "voltage_loss_a"}


def test_an_unknown_identifier_is_named_and_not_guessed() -> None:
    found = one(reply("06000002", "A0A01234"))
    assert (found["identifier"], found["values"], found["data"]) == ("06000002", {}, "A0A01234")


def test_a_long_block_in_parts_is_joined_inside_a_payload() -> None:
    first = reply("0001FF00", "1000000001000000 0200", control=0xB1)
    rest = reply("0001FF00", "0000 03000000 01", control=0x92)
    found = decode(first + rest)
    assert found[0]["more"]
    assert found[0]["values"] == {
        "energy_forward": "0.10", "energy_forward_rate_1": "0.01", "energy_forward_rate_2": "0.02",
        "energy_forward_rate_3": "0.03",
    }  # fmt: skip
    assert found[1]["values"] == {}
    assert one(first)["values"] == {"energy_forward": "0.10", "energy_forward_rate_1": "0.01"}


def test_frozen_values_take_the_time_of_their_freeze() -> None:
    energy = reply("05060101", "11220300")
    assert one(energy)["time"] is None
    found = decode(energy + reply("05060001", "0000271126") + reply("05060102", "11220300"))
    assert [f["time"] for f in found] == ["2026-11-27T00:00:00", "2026-11-27T00:00:00", None]


def test_the_address_that_a_meter_tells() -> None:
    found = one("68 00 36 19 00 00 00 68 93 06 33 69 4C 33 33 33 39 16")  # public code index, a PLC log
    assert (found["address"], found["values"]) == ("000000193600", {"communication_address": "000000193600"})


def test_a_phase_that_a_single_phase_meter_has_not_is_none() -> None:
    found = one(
        "68 12 00 00 00 10 20 68 91 0A 33 32 34 35 89 55 32 32 32 32 21 16"
    )  # public code index, a simulator
    assert found["values"] == {"voltage_a": "225.6", "voltage_b": None, "voltage_c": None}


def test_every_field_is_noted_with_its_bytes() -> None:
    notes: dict[str, tuple[int, int, object]] = {}
    PLAIN(
        bytes.fromhex(D6),
        Ask(note=lambda name, first, after, value: notes.update({name: (first, after, value)})),
    )
    assert notes["frames[0].values.energy_forward"] == (18 * 8, 22 * 8, "214.94")
    assert notes["frames[0].address"] == (5 * 8, 11 * 8, "000000000224")


@pytest.mark.parametrize("extra", [-1, 65, "1", True, 1.5])
def test_a_setting_that_cannot_be_used_is_named(extra: object) -> None:
    with pytest.raises(Rejected, match="extra: a whole number"):
        KIND.make({"extra": extra})  # type: ignore[dict-item]


def test_requests_are_those_published() -> None:
    # public code index
    voltages = "FE FE FE FE 68 18 20 12 22 20 65 68 11 04 33 32 34 35 A4 16"
    assert read_request("dlt645", "652022122018", "0201FF00") == bytes.fromhex(voltages)
    # 553668.com/manong/786292.html, with the meter's reply
    made = read_request("dlt645", "102030425", "00010000", preamble=0)
    assert made == bytes.fromhex("68 25 04 03 02 01 00 68 11 04 33 33 34 33 E1 16")
    echo, answer = decode(made + bytes.fromhex("68 25 04 03 02 01 00 68 91 08 33 33 34 33 75 39 45 33 8B 16"))
    assert (echo["kind"], answer["address"], answer["values"]) == (
        "request", "000102030425", {"energy_forward": "1206.42"},
    )  # fmt: skip


def test_the_request_for_an_address_is_the_published_one() -> None:
    # 553668.com/manong/786292.html
    assert read_request("dlt645", "", "address", preamble=3) == bytes.fromhex(
        "FE FE FE 68 AA AA AA AA AA AA 68 13 00 DF 16"
    )


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("modbus", "1", "00010000"), "protocol"), (("dlt645", "1234567890123", "00010000"), "address"),
        (("dlt645", "12A", "00010000"), "address"), (("dlt645", "1", "0001"), "identifier"),
        (("dlt645", "1", "0001000Z"), "identifier"), (("dlt645", "٣", "00010000"), "address"),
    ],
)  # fmt: skip
def test_a_request_that_cannot_be_made_says_why(arguments: tuple[str, str, str], told: str) -> None:
    with pytest.raises(Rejected, match=told):
        read_request(*arguments)


def bcd(value: int, size: int) -> bytes:
    return bytes.fromhex(str(value).rjust(2 * size, "0"))[::-1]


REGISTERS = [
    i for family in (0x0000, 0x0001, 0x0002, 0x0003, 0x0009) for i in (family << 16, family << 16 | 0xFF00)
]


@given(
    identifier=st.sampled_from([*REGISTERS, 0x0203FF00, 0x02060000, 0x0201FF00, 0x05060101, 0x00010005]),
    numbers=st.lists(st.integers(0, 10**4 - 1), min_size=1, max_size=5),
    address=st.integers(0, 10**12 - 1),
    preamble=st.integers(0, 4),
    noise=st.binary(max_size=6).filter(lambda b: 0x68 not in b),
)
def test_what_a_meter_sends_comes_back_exactly(
    identifier: int, numbers: list[int], address: int, preamble: int, noise: bytes
) -> None:
    items = [item for group in groups_of(identifier) for item in group.items][: len(numbers)]
    wire = b"".join(bcd(n, item.size) for n, item in zip(numbers, items, strict=False))
    numbers = [n if i.size > 2 else n % 8000 for n, i in zip(numbers, items, strict=False)]
    wire = b"".join(bcd(n, item.size) for n, item in zip(numbers, items, strict=False))
    text = f"{address:012d}"
    found = one(noise + reply(f"{identifier:08X}", wire, address=text, sent=preamble) + noise)
    assert found["address"] == text
    assert list(found["values"]) == [i.name for i in items]
    for n, value in zip(numbers, found["values"].values(), strict=True):
        digits = value.replace(".", "")
        assert digits.isdecimal()
        assert int(digits) == n


@settings(max_examples=300)
@given(data=st.data(), name=st.sampled_from([*PUBLISHED]))
def test_a_damaged_frame_never_gives_a_value(data: st.DataObject, name: str) -> None:
    frame = bytearray.fromhex(PUBLISHED[name][0])
    place = data.draw(st.integers(frame.index(0x68), len(frame) - 1))
    frame[place] ^= data.draw(st.integers(1, 255))
    with pytest.raises(Rejected):
        decode(bytes(frame))


@settings(max_examples=300)
@given(data=st.data(), name=st.sampled_from([*PUBLISHED]))
def test_no_digit_above_nine_is_accepted_with_a_right_checksum(data: st.DataObject, name: str) -> None:
    frame = bytearray.fromhex(PUBLISHED[name][0].replace("FE ", ""))
    place = data.draw(st.integers(14, len(frame) - 3))
    high, low = data.draw(st.tuples(st.integers(0, 15), st.integers(10, 15)))
    frame[place] = ((high << 4 | low) + 0x33) & 0xFF
    frame[-2] = sum(frame[:-2]) & 0xFF
    with pytest.raises(Rejected, match="is not decimal"):
        decode(bytes(frame))


@settings(max_examples=300)
@given(
    st.binary(max_size=300)
    | st.lists(st.sampled_from([0x68, 0x16, 0xFE, 0x91, 0, 8]), max_size=80).map(bytes)
)
def test_any_bytes_give_frames_or_a_reason(payload: bytes) -> None:
    with contextlib.suppress(Rejected):
        assert decode(payload)


def test_a_payload_without_end_is_refused() -> None:
    with pytest.raises(Rejected, match="bytes are more than"):
        decode(b"\x68" * (MAX_PAYLOAD + 1))
    with pytest.raises(Rejected):
        decode(b"\x68" * MAX_PAYLOAD)


def test_every_known_register_reads_its_own_size() -> None:
    for identifier, item in SINGLES.items():
        found = one(reply(f"{identifier:08X}", b"\0" * item.size))
        assert item.name in found["values"]
