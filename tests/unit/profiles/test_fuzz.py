"""Ten thousand mutated payloads over all codecs and through the profiles; a million: `make fuzz`."""

import gc
from zoneinfo import ZoneInfo

import pytest
from tests.fuzz import frames
from tests.fuzz.harsh import harsh
from tests.fuzz.made_fields import NOW
from tests.fuzz.oracles import ORACLES, Noted, Seen
from tests.fuzz.payloads import Rows, faults_of, library, run
from tests.fuzz.sound import document_fault
from tests.fuzz.trials import Fuzzer

from dutyroom.model.telemetry import Message
from dutyroom.profiles.attempt import NOBODY
from dutyroom.profiles.codecs import CODECS
from dutyroom.profiles.codecs.seam import Ask
from dutyroom.profiles.decode import Library, Refused

COUNT = 10_000


@pytest.fixture(scope="module")
def rows() -> Rows:
    """The same payloads every time. The machine may be busy, so the limits of time are wide here."""
    return run(Fuzzer(library(), seed=1, part=16, patience=4), range(COUNT))


def test_no_crash_no_hang_nothing_unsound_accepted(rows: Rows) -> None:
    assert faults_of(rows) == []


def test_every_codec_has_its_share(rows: Rows) -> None:
    assert set(CODECS) <= set(rows)
    assert sum(row.count for row in rows.values()) == COUNT
    for family, row in rows.items():
        assert row.count > 250, family
        assert row.decoded > 0 or row.accepted > 10, family


def test_a_refused_message_leaves_no_garbage() -> None:
    """What holds itself stays in memory until the collector comes by: with large messages that is too late."""
    harsh_ones = Library(harsh(), ZoneInfo("Asia/Shanghai"))
    message = Message("harsh/binary/1", b"\x01" * 200, NOW)
    assert isinstance(harsh_ones.decode(message, NOBODY, adopt=True), Refused)
    gc.collect()
    gc.disable()
    try:
        for _ in range(20):
            harsh_ones.decode(message, NOBODY, adopt=True)
        assert gc.collect() == 0
    finally:
        gc.enable()


# ---------------------------------------------------------------- the oracles see what they are there for


def seen(name: str, payload: bytes, believed: bytes, **settings: object) -> Seen:
    """As if the codec had made of `payload` what it makes of `believed`."""
    notes: list[Noted] = []
    codec = CODECS[name].make(settings)  # type: ignore[arg-type]
    document = codec(believed, Ask(note=lambda *told: notes.append(Noted(*told))))
    return Seen(payload, document, notes, settings, codec)


RECORDS = bytes.fromhex("0C1378563412")
WIRELESS = bytes.fromhex("1444AE4C4200000068077A2A000000") + RECORDS
GOOD = {
    "dlt645": frames.dlt645("000000000042", 0x91, bytes.fromhex("0000010078563412")),
    "cjt188": frames.cjt188(
        0x10, "00000000000042", 0x81, bytes.fromhex("901F00" + "785634122C" * 2 + "00" * 9)
    ),
    "gb26875": frames.gb26875(bytes((21, 1, 2, 15, 30, 8, 1, 11, 26))),
    "sia_dc09": frames.sia(b'"SIA-DCS"0042R0L1#00A7[#00A7|Nri1/FA001]'),
    "dsmr": frames.p1(("1-3:0.2.8(50)", "1-0:1.8.1(001234.567*kWh)")),
    "wmbus": frames.crc_a(WIRELESS),
    "modbus": frames.rtu(bytes.fromhex("0103020042")),
}
SETTINGS: dict[str, dict[str, object]] = {
    "modbus": {"framing": "rtu", "registers": {"a": {"at": 0, "as": "u16"}}},
}


@pytest.mark.parametrize("name", GOOD)
def test_a_broken_checksum_is_seen(name: str) -> None:
    good, settings = GOOD[name], SETTINGS.get(name, {})
    assert ORACLES[name](seen(name, good, good, **settings)) == ""
    at = len(good) - 9 if name == "dsmr" else len(good) // 2
    broken = good[:at] + bytes((good[at] ^ 1,)) + good[at + 1 :]
    assert ORACLES[name](seen(name, broken, good, **settings)) != ""


@pytest.mark.parametrize("good", [b"\xff\xff\0", frames.rtu(b"\xa1abc")], ids=bytes.hex)
def test_a_broken_checksum_of_a_program_is_seen(good: bytes) -> None:
    """A short message too: the sum is right of one byte as well; of none it protects nothing."""
    document = {"kind": good[0], "body": good[1:].hex()}
    codec = CODECS["mbus"].make({})  # not called
    assert ORACLES["harsh"](Seen(good, document, [], {}, codec)) == ""
    for broken in (
        b"\xff\xff",
        good[:1],
        good[:-1] + bytes((good[-1] ^ 1,)),
        bytes((good[0] ^ 1,)) + good[1:],
    ):
        assert ORACLES["harsh"](Seen(broken, document, [], {}, codec)) != ""


def test_a_member_of_a_profile_out_of_digits_that_are_none_is_seen() -> None:
    good = bytes.fromhex("4D9313063AFE34127856")
    assert ORACLES["mbus"](seen("mbus", good, good)) == ""
    for bad in (b"\x3a", b"\xa1"):
        assert "came out of BCD" in ORACLES["mbus"](seen("mbus", good[:-2] + bad + good[-1:], good))


def test_a_long_frame_with_a_broken_sum_is_seen() -> None:
    good = frames.long_frame(bytes.fromhex("080572420000002D2C01072A000000") + RECORDS)
    assert ORACLES["wmbus"](seen("wmbus", good, good)) == ""
    assert ORACLES["wmbus"](seen("wmbus", good[:-2] + b"\0\x16", good)) != ""


@pytest.mark.parametrize(
    ("name", "payload"),
    [
        ("dlt645", frames.dlt645("000000000042", 0x91, bytes.fromhex("00000100785634A2"))),
        (
            "cjt188",
            frames.cjt188(
                0x10, "00000000000042", 0x81, bytes.fromhex("901F00785634A22C785634122C" + "00" * 9)
            ),
        ),
        ("mbus", bytes.fromhex("0C13785634A2")),
    ],
)
def test_a_number_out_of_letters_is_seen(name: str, payload: bytes) -> None:
    believed = RECORDS if name == "mbus" else GOOD[name]
    assert ORACLES[name](seen(name, payload, believed)) != ""


@pytest.mark.parametrize("document", [{"a": 1j}, {"a": float("nan")}, {"a": (1,)}, {1: 2}, [b"x"]])
def test_a_document_of_something_else_is_seen(document: object) -> None:
    assert document_fault(document, 10, json=False) != ""


def test_a_document_that_is_too_deep_or_too_large_is_seen() -> None:
    deep: object = 1
    for _ in range(60):
        deep = [deep]
    assert document_fault(deep, 10, json=False) == "deeper than 40 levels"
    assert document_fault([0] * 10_000, 10, json=False) == "more than 5640 values out of 10 bytes"
