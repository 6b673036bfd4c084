"""SIA DC-09 lines, built here with their CRC: codes, zones, words, and what is refused."""

import contextlib
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dutyroom.errors import Rejected
from dutyroom.profiles.checksums import CHECKSUMS
from dutyroom.profiles.codecs.contact_id import CONTACT_ID
from dutyroom.profiles.codecs.seam import Ask, Report
from dutyroom.profiles.codecs.sia_codes import SIA
from dutyroom.profiles.codecs.sia_dc09 import KIND

CRC = CHECKSUMS["crc16_arc"]


def line(body: str) -> bytes:
    """A line as a panel sends it."""
    raw = body.encode("latin-1")
    return b"\n%04X%04X%s\r" % (CRC(raw), len(raw), raw)


def dcs(block: str, extended: str = "", time: str = "_08:30:00,11-01-2026", account: str = "00A7") -> bytes:
    return line(f'"SIA-DCS"0042R0L1#{account}[#{account}|{block}]{extended}{time}')


def cid(block: str) -> bytes:
    return line(f'"ADM-CID"0042L0#00A7[#00A7|{block}]')


def decode(payload: bytes | str, ask: Ask | None = None, **options: Any) -> list[dict[str, Any]]:
    raw = payload.encode() if isinstance(payload, str) else payload
    document: Any = KIND.make(options)(raw, ask or Ask())
    return document["events"]  # type: ignore[no-any-return]


def one(payload: bytes | str, **options: Any) -> dict[str, Any]:
    (found,) = decode(payload, **options)
    return found


def test_a_fire_alarm_is_an_event_and_a_state() -> None:
    found = one(dcs("Nri2/FA017^BOILER ROOM^"))
    assert (found["account"], found["sequence"], found["receiver"], found["line"]) == (
        "00A7",
        "0042",
        "0",
        "1",
    )
    assert (found["code"], found["name"], found["category"]) == ("FA", "Fire Alarm", "fire")
    assert (found["event"], found["fire"], found["fire_zone"], found["fire_area"]) == (
        "fire_alarm",
        1,
        "017",
        "2",
    )
    assert (found["text"], found["time"]) == ("BOILER ROOM", "2026-11-01T08:30:00")
    assert (found["crc_ok"], found["length_ok"], found["extended"]) == (True, True, False)
    assert one(dcs("Nri2/FR017"))["fire"] == 0


@pytest.mark.parametrize(
    ("block", "expected"),
    [
        ("NBA01", {"burglary": 1, "zone": "01"}),
        ("NKA3", {"fire": 1, "name": "Heat Alarm"}),
        ("NSA3", {"fire": 1, "name": "Sprinkler Alarm"}),
        ("NGA9", {"gas": 1}),
        ("NPA1", {"panic": 1}),
        ("NMA1", {"medical": 1}),
        ("NWA1", {"water": 1}),
        ("NTA1", {"tamper": 1}),
        ("NFT4", {"fault": 1, "event": "fire_trouble"}),
        ("NFJ4", {"fault": 0}),
        ("NAT", {"mains": 0, "event": "power_trouble"}),
        ("NAR", {"mains": 1}),
        ("NYT", {"battery_fault": 1}),
        ("NYR", {"battery_fault": 0}),
        ("Nid12/CL12", {"armed": 1, "user": "12", "event": "arming_close"}),
        ("NOP12", {"armed": 0}),
        ("NRP", {"event": "test", "action": "test"}),
        ("OFA1", {"new": False}),
        ("Nti08:31/pi7/FA1", {"at": "08:31", "peripheral": "7"}),
        ("NFA1*'Lobby'NM", {"text": "Lobby"}),
        ('NFA1*"Lobby"NM', {"text": "Lobby"}),
        ("NFA001NM", {"zone": "001"}),
        ("NFA1|ALobby left", {"text": "Lobby left"}),
        ("NFA1 - Lobby", {"text": "- Lobby"}),
        ("NQZ1", {"code": "QZ", "event": "other_QZ", "category": "other"}),
    ],
)
def test_codes_and_what_stands_around_them(block: str, expected: dict[str, Any]) -> None:
    found = one(dcs(block))
    assert expected.items() <= found.items()


def test_a_line_may_hold_several_codes() -> None:
    found = decode(dcs("Nri1/FA001/FA002^HALL^/YT"))
    assert [(f["code"], f.get("zone"), f.get("text")) for f in found] == [
        ("FA", "001", None),
        ("FA", "002", "HALL"),
        ("YT", None, None),
    ]


@pytest.mark.parametrize(
    ("block", "expected"),
    [
        (
            "1110 01 017",
            {"code": "FA", "fire": 1, "zone": "017", "area": "01", "contact_id": 110},
        ),
        ("3110 01 017", {"code": "FH", "fire": 0, "qualifier": 3}),
        ("6114 00 002", {"code": "KA", "fire": 1, "contact_id_name": "Heat alarm"}),
        ("1113 00 002", {"code": "SA", "fire": 1}),
        ("1301 00 000", {"mains": 0}),
        ("3301 00 000", {"mains": 1}),
        ("1302 00 000", {"battery_fault": 1}),
        ("1373 00 004", {"fault": 1, "category": "fire"}),
        ("1401 00 012", {"armed": 0}),
        ("3401 00 012", {"armed": 1}),
        ("1602 00 000", {"event": "test"}),
        ("1999 00 000", {"event": "contact_id_999", "category": "other"}),
    ],
)
def test_contact_id(block: str, expected: dict[str, Any]) -> None:
    assert expected.items() <= one(cid(block)).items()


def test_supervision_and_answers_are_no_events() -> None:
    assert one(line('"NULL"0000L0#00A7[]_08:30:00,11-01-2026'))["kind"] == "supervision"
    assert one(line('"ACK"0042L0#00A7[]'))["event"] == "ack"


def test_the_heartbeat_of_a_serial_receiver_counts_only_where_nothing_is_checked() -> None:
    beat = "SR0002L0005    0042AB    [ID00000007]"
    assert one(beat, check=False)["code"] == "RP"
    with pytest.raises(Rejected, match="line at byte 0"):
        decode(beat)


def test_extended_data_has_names_and_keys_stay_secret() -> None:
    found = one(
        dcs("NFA1", "[X006E07.25][Y49N06.5][M001122334455][VHTTP://192.0.2.1][K0123456789ABCDEF][Q7]")
    )
    assert found["extended"] is True
    assert (found["longitude"], found["latitude"], found["mac_address"]) == (
        "006E07.25",
        "49N06.5",
        "001122334455",
    )
    assert found["extended_q"] == "7"
    assert "0123456789ABCDEF" not in str(found)


def test_words_are_utf_8_or_windows_1252() -> None:
    assert one(dcs("NFA1^K\xfcche^"))["text"] == "Küche"
    raw = '"SIA-DCS"0042L0#00A7[|NFA1^三楼^]'.encode()
    assert one(b"%04X%04X" % (CRC(raw), len(raw)) + raw)["text"] == "三楼"


def test_a_wrong_length_beside_a_right_crc_is_told_but_read() -> None:
    raw = b'"SIA-DCS"0042L0#00A7[|NFA1]'
    found = one(b"%04X0078" % CRC(raw) + raw)
    assert (found["crc_ok"], found["length_ok"]) == (True, False)


def test_a_line_that_a_receiver_shortened_is_read_only_without_check() -> None:
    masked = dcs("NFA1").replace(b"#00A7", b"#0A7")
    with pytest.raises(Rejected, match=r"CRC at byte 1: [0-9A-F]{4}, [0-9A-F]{4} expected"):
        decode(masked)
    found = one(masked, check=False)
    assert (found["account"], found["crc_ok"]) == ("0A7", False)
    bare = one('"SIA-DCS"0042L0#00A7[|NFA1]', check=False)
    assert "crc_ok" not in bare
    with pytest.raises(Rejected, match="no CRC before the first quote"):
        decode('"SIA-DCS"0042L0#00A7[|NFA1]')


def test_good_lines_beside_a_bad_one_are_read_and_the_bad_one_is_told() -> None:
    report = Report()
    found = decode(dcs("NFA1") + b"\nnoise\r" + dcs("NBA2"), Ask(report=report))
    assert [f["code"] for f in found] == ["FA", "BA"]
    assert [(kind, "noise" in why) for kind, why in report.findings] == [("malformed", True)]


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ('"*SIA-DCS"0042L0#00A7[0123ABCD', "encrypted"),
        ('"SIA-DCS"0042L0#00A7[|NFA1]_08:30:00,11-01-202', r"no \[data\]\[extended\]_time"),
        ('"SIA-DCS"0042L0#00A7[|NFA1', "no .data."),
        ('"SIA-DCS"0042L0#00A7[|XFA1]', "does not begin with N or O"),
        ('"SIA-DCS"0042L0#00A7[|N]', "no event code"),
        ('"SIA-DCS"0042L0#00A7[|Nfa!]', "is no event code"),
        ('"SIA-DCS"0042L0[|NFA1]', "no account"),
        ('"SIA-PUL"0042L0#00A7[|1]', "identifier at byte 10: 'SIA-PUL' is none of NULL, SIA-DCS, ADM-CID"),
        ('"ADM-CID"0042L0#00A7[|2110 00 001]', "no Contact ID"),
        ('"sia"', "no identifier"),
        ('"SIA-DCS"0042L0#00A7[|N' + "FA1/" * 60 + "]", "more than 50 codes"),
        ('"SIA-DCS"0042L0#00A7[|NFA1^' + "x" * 5000 + "^]", "at most 4096"),
    ],
)
def test_what_is_refused_and_why(body: str, message: str) -> None:
    with pytest.raises(Rejected, match=message):
        decode(line(body))


@pytest.mark.parametrize(
    "time", ["00:00:00,00-00-0000", "08:30:00,13-01-2026", "23:59:59,02-29-2026", "24:00:00,01-01-2026"]
)
def test_a_fire_is_read_although_the_panel_has_no_such_day(time: str) -> None:
    (found,) = decode(dcs("NFA1", time=f"_{time}"))
    assert (found["fire"], found["time"]) == (1, time)


def test_bounds_and_settings() -> None:
    with pytest.raises(Rejected, match="more than 200 lines"):
        decode(b"x\n" * 500)
    with pytest.raises(Rejected, match="no line in the payload"):
        decode(b"\r\n \r\n")
    with pytest.raises(Rejected, match="check: 'no' is neither true nor false"):
        KIND.make({"check": "no"})


def test_the_tables_agree() -> None:
    assert len(SIA) > 300
    assert len(CONTACT_ID) > 180
    assert {code for event in CONTACT_ID.values() for code in event.pair} <= set(SIA)
    assert all(len(code) == 2 and entry.name for code, entry in SIA.items())
    for number in range(110, 119):
        assert CONTACT_ID[number].category == "fire"


def test_the_parts_of_a_line_are_told_with_their_bits() -> None:
    seen: list[tuple[str, int, int, object]] = []
    payload = dcs("NFA1")
    decode(payload, Ask(note=lambda *field: seen.append(field)))
    at = payload.index(b"00A7") * 8
    assert ("account", at, at + 32, "00A7") in seen
    assert any(
        name == "time" and payload[first // 8 : last // 8] == b"08:30:00,11-01-2026"
        for name, first, last, _ in seen
    )


# ---------------------------------------------------------------- whatever may come

WHOLE = dcs("Nri2/FA017^BOILER ROOM^", "[M001122334455]").strip()


@given(
    code=st.sampled_from(sorted(SIA)),
    zone=st.integers(0, 9999),
    area=st.integers(0, 99),
    text=st.text("ABC xyz-09", max_size=20),
)
def test_round_trip(code: str, zone: int, area: int, text: str) -> None:
    found = one(dcs(f"Nri{area}/{code}{zone}^{text}^"))
    assert (found["code"], found["zone"], found["area"]) == (code, str(zone), str(area))
    assert found.get("text", "") == text.strip()
    assert found["name"] == SIA[code].name


@given(at=st.integers(0, len(WHOLE) - 1), bit=st.integers(0, 7))
def test_one_wrong_bit_is_never_believed(at: int, bit: int) -> None:
    broken = bytearray(WHOLE)
    broken[at] ^= 1 << bit
    if 4 <= at < 8 or bytes(broken).upper() == WHOLE:  # the length is no part of what the CRC covers
        return
    with pytest.raises(Rejected):
        decode(bytes(broken))


@settings(max_examples=300)
@given(
    payload=st.one_of(
        st.binary(max_size=200), st.text('"SIADC-09#|[]N/^*_:,\n', max_size=80).map(str.encode)
    ),
    check=st.booleans(),
)
def test_any_bytes_give_events_or_a_reason(payload: bytes, check: bool) -> None:
    with contextlib.suppress(Rejected):
        assert all(e["kind"] for e in decode(payload, check=check))
