"""DSMR P1 telegrams, built here with their CRC: registers, sub-meters, logs, and what is refused."""

import contextlib
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dutyroom.errors import Rejected
from dutyroom.profiles.checksums import CHECKSUMS
from dutyroom.profiles.codecs.dsmr import KIND
from dutyroom.profiles.codecs.dsmr_values import identifier, moment
from dutyroom.profiles.codecs.seam import Ask
from dutyroom.timebase import from_iso

NOW = from_iso("2026-11-01T07:30:05Z")
V5 = (
    "1-3:0.2.8(50)", "0-0:1.0.0(261101083000W)", "0-0:96.1.1(4530303030303030303031323334353637)",
    "1-0:1.8.1(001234.567*kWh)", "1-0:1.8.2(000765.433*kWh)", "1-0:2.8.1(000001.000*kWh)",
    "1-0:2.8.2(000000.500*kWh)", "0-0:96.14.0(0002)", "1-0:1.7.0(00.421*kW)", "1-0:32.7.0(231.0*V)",
    "1-0:99.97.0(2)(0-0:96.7.19)(260710221500S)(0000000240*s)(261020031500S)(0000003600*s)",
    "1-0:81.7.1(120*deg)", "0-0:96.13.0()",
    "0-1:24.1.0(003)", "0-1:96.1.0(4730303132333435363738)", "0-1:24.2.1(261101080000W)(00981.443*m3)",
    "0-2:24.1.0(004)", "0-2:96.1.0(00)", "0-2:24.2.1(261101081500W)(12.345*GJ)",
)  # fmt: skip


def telegram(*lines: str, head: str = "/XYZ5\\2EXAMPLE-METER", end: str = "\r\n") -> bytes:
    body = end.join([head, "", *lines, "!"]).encode("latin-1")
    return body + b"%04X" % CHECKSUMS["crc16_arc"](body) + end.encode()


def decode(payload: bytes, ask: Ask | None = None, **options: Any) -> list[dict[str, Any]]:
    document: Any = KIND.make(options)(payload, ask or Ask(received_at=NOW))
    return document["meters"]  # type: ignore[no-any-return]


def test_the_electricity_meter() -> None:
    found = decode(telegram(*V5))[0]
    assert (found["maker"], found["model"], found["version"]) == ("XYZ", "EXAMPLE-METER", "50")
    assert (found["id"], found["equipment"]) == ("E0000000001234567", "4530303030303030303031323334353637")
    assert found["time"] == "2026-11-01T07:30:00+00:00"
    assert (found["energy_import_t1"], found["energy_import_t2"]) == ("1234.567", "765.433")
    assert (found["energy_import"], found["energy_export"]) == ("2000.000", "1.500")
    assert (found["power_import"], found["power_import_unit"]) == ("0.421", "kW")
    assert found["tariff"] == "0002"
    assert "clock_wrong" not in found
    assert "message" not in found


def test_a_line_that_no_table_names_is_kept() -> None:
    found = decode(telegram(*V5))[0]
    assert found["obis"]["1-0:81.7.1"] == ["120*deg"]
    assert found["others"] == {"1-0:81.7.1": {"value": "120", "unit": "deg"}}


def test_sub_meters_are_meters_with_their_own_time() -> None:
    _, gas, heat = decode(telegram(*V5))
    assert (gas["channel"], gas["kind"], gas["id"], gas["volume"]) == (1, "gas", "G0012345678", "981.443")
    assert (gas["type"], gas["type_code"], gas["time"]) == ("003", 3, "2026-11-01T07:00:00+00:00")
    assert (heat["kind"], heat["id"], heat["energy"], heat["reading_unit"]) == ("heat", "00", "12.345", "GJ")


def test_registers_without_a_unit_or_of_two_units_have_no_total() -> None:
    assert "energy_import" not in decode(telegram("1-0:1.8.1(1)", "1-0:1.8.2(2)"))[0]
    assert "energy_import" not in decode(telegram("1-0:1.8.1(1*kWh)", "1-0:1.8.2(2*MWh)"))[0]


def test_logs() -> None:
    found = decode(telegram(*V5))[0]
    assert found["failures"] == [
        {"ended": "2026-07-10T20:15:00+00:00", "seconds": "240"},
        {"ended": "2026-10-20T01:15:00+00:00", "seconds": "3600"},
    ]
    belgian = (
        "0-0:96.1.4(50221)",
        "1-0:1.6.0(261015184500S)(03.500*kW)",
        "0-0:98.1.0(1)(1-0:1.6.0)(1-0:1.6.0)(261001000000S)(260914191500S)(04.125*kW)",
        "0-1:24.1.0(007)",
        "0-1:96.1.1(3853)",
        "0-1:24.2.3(261101080000W)(00012.000*m3)",
    )
    meter, water = decode(telegram(*belgian))
    assert (meter["version"], meter["demand_max"], meter["demand_max_time"]) == (
        "50221", "3.500", "2026-10-15T16:45:00+00:00",
    )  # fmt: skip
    assert meter["demand_history"] == [
        {
            "month": "2026-09-30T22:00:00+00:00",
            "time": "2026-09-14T17:15:00+00:00",
            "value": "4.125",
            "unit": "kW",
        }
    ]
    assert (water["kind"], water["id"], water["volume"]) == ("water", "8S", "12.000")


def test_version_3_has_no_crc_and_the_gas_on_the_next_line() -> None:
    lines = "\r\n".join(
        [
            "/XYZ5\\2OLD", "", "0-0:96.1.1(31323334)", "1-0:1.8.1(00042.500*kWh)", "0-0:17.0.0(016*A)",
            "0-0:96.13.1(3132)", "0-1:24.1.0(03)", "0-1:96.1.0(3536)",
            "0-1:24.3.0(261101080000)(00)(60)(1)(0-1:24.2.1)(m3)", "(00012.345)", "0-1:24.4.0(1)", "!", "",
        ]
    )  # fmt: skip
    meter, gas = decode(lines.encode())
    assert (meter["id"], meter["limit"], meter["limit_unit"]) == ("1234", "16", "A")
    assert (meter["message_code"], meter["message_code_raw"]) == ("12", "3132")
    assert "energy_import" not in meter  # one tariff is no total
    assert (gas["volume"], gas["time"], gas["valve"]) == ("12.345", "2026-11-01T08:00:00", "1")


def test_line_ends_that_lost_their_cr_are_put_back_for_the_crc() -> None:
    assert decode(telegram(*V5).replace(b"\r", b""))[0]["id"] == "E0000000001234567"


def test_noise_before_a_telegram_and_several_telegrams() -> None:
    found = decode(b"7.0(00.421*kW)\r\n!1234\r\n" + telegram(*V5) + telegram(*V5))
    assert [m["channel"] for m in found] == [0, 1, 2, 0, 1, 2]


def test_a_clock_years_away_is_told() -> None:
    found = decode(telegram("1-3:0.2.8(42)", "0-0:1.0.0(000101010000W)"))[0]
    assert found["clock_wrong"] == found["time"] == "2000-01-01T00:00:00+00:00"


def test_winter_time_of_another_zone() -> None:
    found = decode(telegram("1-3:0.2.8(50)", "0-0:1.0.0(260701120000S)"), winter=2)[0]
    assert found["time"] == "2026-07-01T09:00:00+00:00"


@pytest.mark.parametrize(
    ("payload", "message"),
    [
        (telegram(*V5).replace(b"0002", b"0001"), "CRC at byte 572: [0-9A-F]{4}, [0-9A-F]{4} expected"),
        (telegram(*V5)[:-6], "CRC at byte 572: '' is no hexadecimal number"),
        (telegram(*V5)[:-4], "CRC at byte 572: '..' is no hexadecimal number"),
        (telegram(*V5)[:-9], "no telegram from / to !"),
        (telegram("1-0:1.8.1(1*kWh"), "line at byte 24: '1-0:1.8.1.1.kWh' is no OBIS line"),
        (telegram("1-0:1.8.1(00O1.5*kWh)"), "energy_import_t1: '00O1.5.kWh' is no number with a unit"),
        (telegram("nonsense"), "line at byte 24: 'nonsense' is no OBIS line"),
        (telegram("(00001)"), "is no OBIS line"),
        (telegram(*V5, head="/!!5"), "no telegram"),
        (telegram(*V5, head="/1234"), "header at byte 1: .* names no maker"),
        (telegram(*V5) + b"1-0:1.8.1(1*kWh)\r\n!0000\r\n", "an end without its beginning"),
        (telegram("1-0:1.8.1" + "(1)" * 300), "is no OBIS line"),
        (telegram(*["0-0:1.0.1(1)"] * 1100), "more than 1000 lines"),
        (telegram(*V5) * 30, "more than 20 telegrams"),
        (bytes(70_000), "70000 bytes are more than 65536"),
    ],
)  # fmt: skip
def test_what_is_refused_and_why(payload: bytes, message: str) -> None:
    with pytest.raises(Rejected, match=message):
        decode(payload)


def test_a_bridge_that_rewrites_telegrams_can_be_trusted() -> None:
    broken = telegram(*V5).replace(b"0002", b"0001")
    assert decode(broken, check=False)[0]["tariff"] == "0001"
    with pytest.raises(Rejected, match="check: 0 is neither"):
        KIND.make({"check": 0})
    with pytest.raises(Rejected, match="winter: 99"):
        KIND.make({"winter": 99})


def test_identifiers_and_times() -> None:
    assert identifier("4B38") == "K8"
    assert identifier("4819243993373755") == "4819243993373755"
    assert identifier("") == ""
    assert moment("261325000000W", 1) is None
    assert moment("26110108300", 1) is None


def test_every_line_is_told_with_its_bits() -> None:
    seen: list[tuple[str, int, int, object]] = []
    payload = telegram(*V5)
    decode(payload, Ask(received_at=NOW, note=lambda *field: seen.append(field)))
    at = payload.index(b"(00.421*kW)") * 8
    assert ("1-0:1.7.0", at, at + 88, "(00.421*kW)") in seen


# ---------------------------------------------------------------- whatever may come


@given(steps=st.integers(0, 999_999_999), watts=st.integers(0, 99_999), time=st.datetimes())
def test_round_trip(steps: int, watts: int, time: Any) -> None:
    year = f"{2000 + time.year % 100}"
    stamp = f"{year[2:]}{time:%m%d%H%M%S}W" if not (time.month == 2 and time.day == 29) else "260101000000W"
    found = decode(
        telegram(
            "1-3:0.2.8(50)",
            f"0-0:1.0.0({stamp})",
            f"1-0:1.8.0({steps // 1000:06}.{steps % 1000:03}*kWh)",
            f"1-0:1.7.0({watts // 1000:02}.{watts % 1000:03}*kW)",
        )
    )[0]
    assert found["energy_import"] == f"{steps // 1000}.{steps % 1000:03}"
    assert found["power_import"] == f"{watts // 1000}.{watts % 1000:03}"
    assert "time" in found


WHOLE = telegram(*V5[:6])


@given(at=st.integers(0, len(WHOLE) - 3), bit=st.integers(0, 7))
def test_one_wrong_bit_is_never_believed(at: int, bit: int) -> None:
    broken = bytearray(WHOLE)
    broken[at] ^= 1 << bit
    if bytes(broken).upper() == WHOLE.upper() and at >= len(WHOLE) - 6:  # a letter of the CRC in small
        return
    with pytest.raises(Rejected):
        decode(bytes(broken))


@settings(max_examples=300)
@given(
    payload=st.one_of(
        st.binary(max_size=200), st.text("/XYZ5\\()-:.*!0129kWh\r\n", max_size=120).map(str.encode)
    ),
    check=st.booleans(),
)
def test_any_bytes_give_meters_or_a_reason(payload: bytes, check: bool) -> None:
    with contextlib.suppress(Rejected):
        assert all("channel" in m for m in decode(payload, check=check))
