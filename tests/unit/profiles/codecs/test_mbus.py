"""M-Bus data records: every coding exact, names predictable, odd ones null, damaged ones refused."""

import contextlib
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dutyroom.errors import Rejected
from dutyroom.profiles.codecs.mbus import KIND
from dutyroom.profiles.codecs.mbus_records import split
from dutyroom.profiles.codecs.mbus_vif import meaning
from dutyroom.profiles.codecs.seam import Ask


def decode(records: str | bytes, ask: Ask | None = None, **options: Any) -> dict[str, Any]:
    payload = bytes.fromhex(records) if isinstance(records, str) else records
    document: Any = KIND.make(options)(payload, ask or Ask())
    return document  # type: ignore[no-any-return]


def values(records: str, **options: Any) -> dict[str, Any]:
    found = decode(records, **options)
    return {**found["values"], **found["texts"]}


@pytest.mark.parametrize(
    ("records", "name", "value"),
    [
        ("0C13 78563412", "volume", "12345.678"),  # BCD
        ("0C13 785634F2", "volume", "-2345.678"),  # F in front is a minus
        ("0413 D2040000", "volume", "1.234"),
        ("0313 FEFFFF", "volume", "-0.002"),
        ("0416 05000000", "volume", "5"),
        ("0410 01000000", "volume", "0.000001"),
        ("0716 0000000000000001", "volume", "72057594037927936"),
        ("0406 2A000000", "energy", "42000"),
        ("0E07 563412907856", "energy", "5678901234560000"),
        ("040E 07000000", "energy", "7000000"),  # J
        ("01FB01 02", "energy", "2000000"),
        ("023B 4C04", "flow", "1.100"),
        ("0243 0100", "flow", "0.0060"),  # 0.1 l/min in m3/h
        ("0259 3408", "flow_temperature", "21.00"),
        ("025D 80FF", "return_temperature", "-1.28"),
        ("0261 9CFF", "temperature_difference", "-1.00"),
        ("02FD48 0509", "voltage", "230.9"),
        ("02FD59 0100", "current", "0.001"),
        ("01FB1B 2D", "relative_humidity", "45"),
        ("036E 0A0000", "units", 10),
        ("0DFD3A EC 010000000000000000000080", "counter", "-39614081257132168796771975167"),
        ("05FF0A 0000C03F", "manufacturer_ff0a", "1.5"),
        ("052E 0000C03F", "power", "1500.0"),  # a float counts in the unit of its VIF, too
        ("0D13 C3 654321", "volume", "214.365"),  # BCD of variable length
        ("0D13 D3 654321", "volume", "-214.365"),
        ("0D13 E2 1027", "volume", "10.000"),
    ],
)
def test_a_number_of_every_coding_is_exact(records: str, name: str, value: object) -> None:
    assert decode(records)["values"] == {name: value}


@pytest.mark.parametrize(
    ("records", "name", "value"),
    [
        ("026C 9F2C", "date", "2020-12-31"),
        ("026C 0000", "date", "2000-00-00"),  # never set
        ("026C FFFF", "date", ""),
        ("026C E7F3", "date", "--03-07"),  # every year
        ("046D 3B17BE26", "datetime", "2021-06-30 23:59"),
        ("046D 07050000", "datetime", "2000-00-00 05:07"),
        ("066D 1E0F09433600", "datetime", "2026-06-03 09:15:30"),
        ("0C78 78563402", "fabrication_number", "02345678"),
        ("0E79 785634120099", "enhanced_id", "990012345678"),
        ("02FD0F 4C2B", "software_version_text", "+L"),
        ("0DFD11 05 4F4C4C4548", "customer", "HELLO"),
        ("0DFD10 02 0041", "customer_location", "4100"),  # no letters
    ],
)
def test_dates_names_and_texts_are_texts(records: str, name: str, value: str) -> None:
    assert decode(records)["texts"][name] == value


@pytest.mark.parametrize(
    "records",
    ["0413 00000080", "0213 0080", "0259 0080", "0C13 FFFFFFFF", "0C13 001234A5", "0013", "0493 15 01000000", "052B 0000C07F"],
)  # fmt: skip
def test_a_code_for_no_value_is_null_never_zero(records: str) -> None:
    assert list(decode(records)["values"].values()) == [None]


def test_names_say_function_storage_tariff_and_subunit() -> None:
    found = values(
        "0413 01000000 4413 02000000 8410 13 03000000 8440 13 04000000 1413 05000000 2413 06000000 8401 13 07000000"
    )
    assert list(found) == ["volume", "volume_storage1", "volume_tariff1", "volume_subunit1", "volume_max", "volume_min", "volume_storage2"]  # fmt: skip


def test_extensions_of_a_vif_and_repeated_records_have_names_of_their_own() -> None:
    found = values(
        "04933B 01000000 04933C 02000000 02ACFF01 0300 0413 04000000 0413 05000000 217C 03 776F6C 07"
    )
    assert list(found) == [
        "volume_forward",
        "volume_backward",
        "power_x01",
        "volume",
        "volume_2",
        "text_unit_min_low",
    ]


def test_registers_stand_apart_from_other_numbers_and_from_main_values() -> None:
    found = decode(
        "0413 01000000 8410 13 02000000 4413 02000000 0406 03000000 8410 0E 04000000 0259 0A00 036E 050000"
    )
    main = {"volume": "m3", "energy": "Wh", "flow_temperature": "degC", "units": "hca"}
    assert {n: u for n, u in found["units"].items() if n in main} == main
    assert found["register"] == {
        "volume": {"volume_tariff1": "0.002"},
        "energy_j": {"energy_tariff1": "4000000"},
    }
    assert found["gauge"] == {"volume": {"volume_storage1": "0.002"}}


def test_a_record_tells_all_of_itself() -> None:
    (record,) = decode("8410 13 D2040000")["records"]
    assert record == {
        "name": "volume_tariff1", "quantity": "volume", "unit": "m3", "value": "1.234", "function": "instantaneous",
        "storage": 0, "tariff": 1, "subunit": 0, "n": 1, "dif": "8410", "vif": "13",
    }  # fmt: skip


def test_what_the_maker_keeps_to_himself_is_told_as_hex() -> None:
    found = decode("2F2F 0413 01000000 0F AABB")
    assert found["values"] == {"volume": "0.001"}
    assert found["manufacturer_data"] == "aabb"


def test_a_reserved_dif_ends_the_records_and_is_counted() -> None:
    ask = Ask()
    found = decode("0413 01000000 FFFF", ask)
    assert found["unread"] == "ffff"
    assert ask.report.unread == 2


@pytest.mark.parametrize(
    ("records", "reason"),
    [
        ("0413 0100", "data record at byte 0: its value needs 4 bytes from byte 2, 2 are there"),
        ("04", "VIF at byte 1: the payload ends there"),
        ("84" * 20, "DIF at byte 0: more than 10 extensions"),
        ("04" + "93" * 20, "VIF at byte 1: more than 10 extensions"),
        ("0C13 0A000000", "BCD number at byte 2: 0000000a has the digit A"),
        ("0C13 00B00000", "BCD number at byte 3: 0000b000 has the digit B"),
        ("0D13 FA 00", "length of a value at byte 2: FA is reserved"),
        ("217C 09 41", "unit's text at byte 2: 9 letters, 1 are there"),
        ("0D93 13 03 6101 05", "profile at byte 4: increments without a base value"),
        ("4D9313 06 3AFE 3412 3A12", "BCD number at byte 8: 123a has the digit A"),
        ("4413 E8030000 4D9313 04 69FE 057C", "BCD number at byte 13: 7c has the digit C"),
    ],
)
def test_damaged_records_are_refused_with_the_byte(records: str, reason: str) -> None:
    with pytest.raises(Rejected) as caught:
        decode(records)
    assert caught.value.reason.startswith(reason)


def test_nothing_is_more_than_the_bound() -> None:
    with pytest.raises(Rejected, match="more than 500 data records"):
        split(b"\x00\x13" * 600, 0, 1200)


# ---------------------------------------------------------------- history


def test_dates_of_monthly_values_follow_from_one_date_and_the_interval() -> None:
    # storage 8: value, date 2024-03-31, interval one month; storages 9 and 10
    found = values("8404 13 01000000 8204 6C 1F33 8104 FD28 01 C404 13 02000000 8405 13 03000000")
    assert [found[f"date_storage{n}"] for n in (8, 9, 10)] == ["2024-03-31", "2024-02-29", "2024-01-31"]


def test_a_profile_may_say_that_storages_are_months() -> None:
    found = values("4206 6400 426C 9F2C C401 06 05000000", monthly=1)
    assert found["date_storage3"] == "2020-10-31"
    assert "date_storage3" not in values("4206 6400 426C 9F2C C401 06 05000000")


def test_an_inverse_profile_walks_back_from_its_base_value() -> None:
    # base 1.000 m3; increments of one byte, one hour apart: 5, 7, none
    found = values("4413 E8030000 4D9313 05 61 01 05 07 80")
    assert [found[f"volume_storage1_back{n}"] for n in (1, 2, 3)] == ["0.995", "0.988", None]


def test_a_base_record_without_a_value_leaves_its_profile_without() -> None:
    assert values("4013 4D9313 03 61 01 05")["volume_storage1_back1"] is None
    found = values("0C13 01000000 8C04 13 FFFFFFFF 8D04 9313 04 61FE 0507")
    assert found["volume"] == "0.001"
    assert found["volume_storage8_back1"] is None


def test_a_profile_with_register_numbers_has_one_member_for_each_following_storage() -> None:
    found = values("8C04 13 21000000 8D04 931E 0A 3CFE 21000000 87000000")
    assert (found["volume_storage8_register1"], found["volume_storage8_register2"]) == ("0.021", "0.087")


def test_the_bytes_of_each_member_of_a_profile_are_noted() -> None:
    noted: list[tuple[str, int, int, object]] = []
    data = bytes.fromhex("4D9313 08 3AFE 3412 FFFF 78F6".replace(" ", ""))
    KIND.make({})(data, Ask(note=lambda *step: noted.append(step)))
    assert [(name, first // 8, last // 8, value) for name, first, last, value in noted] == [
        ("volume_storage1_back1", 6, 8, "1.234"),
        ("volume_storage1_back2", 8, 10, None),
        ("volume_storage1_back3", 10, 12, "-0.678"),
    ]


def test_absolute_values_of_a_profile_have_their_months() -> None:
    found = values("426C 2139 4D9313 0A 34FE 01000000 00000080")
    assert found["volume_storage1_back1"] == "0.001"
    assert found["volume_storage1_back2"] is None
    assert (found["date_storage1_back1"], found["date_storage1_back2"]) == ("2025-08-01", "2025-07-01")


# ---------------------------------------------------------------- what a profile may say


def test_a_profile_gives_better_names() -> None:
    assert values("4413 02000000", names={"volume_storage1": "volume_at_target"}) == {
        "volume_at_target": "0.002"
    }


def test_a_makers_code_may_stand_for_a_standard_one() -> None:
    assert values("04FF842B 06000000", vifs={"ff842b": "2b"}) == {"power": "6"}


def test_flags_become_status_words() -> None:
    flags = {"error_flags": {"bits": {"0": "DRY", "3": "LEAK"}}}
    assert decode("01FD17 09", flags=flags)["status"] == "DRY LEAK"
    assert decode("01FD17 42", flags=flags)["status"] == "ERROR_FLAGS_42"
    assert decode("01FD17 00", flags=flags)["status"] == "OK"
    assert decode("0413 01000000", flags=flags)["status"] is None
    assert decode("02FD17 2800")["status"] == "ERROR_FLAGS_28"


def test_numbers_become_words_and_bits_become_states() -> None:
    found = decode(
        "01FD3A 02",
        words={"counter": {"codes": {"2": "EAST"}}},
        states={"counter": {"0": "left", "1": "right"}},
    )
    assert found["texts"] == {"counter_words": "EAST"}
    assert found["values"] == {"counter": 2, "left": 0, "right": 1}


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"start": "middle"}, "start: 'middle' is neither records nor ci"),
        ({"skip": 100}, "skip: 100 is not 0 to 64"),
        ({"vifs": {"zz": "13"}}, "vifs: 'zz' is not hex"),
        ({"names": ["a"]}, "names: must be a mapping"),
        ({"flags": {"a": {"bit": {}}}}, "flags.a: unknown field 'bit'"),
        ({"flags": {"a": {"bits": {"x": "A"}}}}, "flags.a.bits: 'x' is no whole number"),
        ({"states": {"a": {"200": "A"}}}, "states.a: a bit has a number from 0 to 127"),
    ],
)
def test_settings_that_cannot_be_used_are_named(options: Any, reason: str) -> None:
    with pytest.raises(Rejected) as caught:
        KIND.make(options)
    assert caught.value.reason.startswith(reason)


def test_bytes_in_front_and_a_transport_header_are_told_by_the_profile() -> None:
    assert values("AA 0413 01000000", skip=1) == {"volume": "0.001"}
    found = decode("72 01000042 2D2C 1B 16 07 04 0000 0413 01000000", start="ci")
    assert (found["id"], found["manufacturer"], found["media"]) == ("42000001", "KAM", "cold water")
    assert found["status"] == "POWER_LOW"
    assert decode("78 0413 01000000", start="ci")["values"] == {"volume": "0.001"}


def test_somebody_who_watches_is_told_which_bits_are_what() -> None:
    seen: list[tuple[str, int, int, object]] = []
    decode("2F 0413 D2040000", Ask(note=lambda *what: seen.append(what)))
    assert seen == [("volume", 24, 56, "1.234")]


# ---------------------------------------------------------------- properties

CODINGS = {1: 1, 2: 2, 3: 3, 4: 4, 6: 6, 7: 8}


@given(
    st.sampled_from(sorted(CODINGS)), st.integers(0, 3), st.integers(0, 41), st.integers(0, 15), st.integers(0, 3),
    st.integers(0, 7), st.data(),
)  # fmt: skip
def test_a_record_survives_the_way_through_the_wire(
    coding: int, function: int, storage: int, tariff: int, subunit: int, exponent: int, data: st.DataObject
) -> None:
    size = CODINGS[coding]
    number = data.draw(st.integers(-(1 << (8 * size - 1)) + 1, (1 << (8 * size - 1)) - 1))
    dif = coding | function << 4 | (storage & 1) << 6
    difes = [
        storage >> 1 + 4 * n & 15 | (tariff >> 2 * n & 3) << 4 | (subunit >> n & 1) << 6 for n in range(2)
    ]
    payload = bytes((dif | 0x80, difes[0] | 0x80, difes[1], 0x10 + exponent)) + number.to_bytes(
        size, "little", signed=True
    )
    (record,) = decode(payload)["records"]
    assert Decimal(record["value"]) == Decimal(number).scaleb(exponent - 6)
    assert (record["storage"], record["tariff"], record["subunit"]) == (storage, tariff, subunit)
    assert record["function"] == ("instantaneous", "maximum", "minimum", "error")[function]


@given(st.integers(1, 6), st.data())
def test_bcd_survives_the_way_through_the_wire(size: int, data: st.DataObject) -> None:
    coding = {1: 9, 2: 10, 3: 11, 4: 12, 6: 14}.get(size, 12)
    size = {9: 1, 10: 2, 11: 3, 12: 4, 14: 6}[coding]
    number = data.draw(st.integers(0, 10 ** (2 * size) - 1))
    payload = bytes((coding, 0x13)) + bytes.fromhex(f"{number:0{2 * size}}")[::-1]
    assert Decimal(decode(payload)["values"]["volume"]) == Decimal(number).scaleb(-3)


@settings(max_examples=400)
@given(st.binary(max_size=80))
def test_noise_is_refused_or_read_never_a_crash(payload: bytes) -> None:
    with contextlib.suppress(Rejected):
        document = decode(payload)
        assert len(document["records"]) <= 80


@settings(max_examples=400)
@given(st.binary(min_size=1, max_size=6))
def test_every_vif_chain_has_a_name(vif: bytes) -> None:
    chain = bytes(b | 0x80 for b in vif[:-1]) + bytes((vif[-1] & 0x7F,))
    found = meaning(chain)
    assert found.word
    assert found.factor.is_finite()


@pytest.mark.parametrize("first", [b"", b"\xfb", b"\xfd"])
def test_the_tables_of_the_library_are_those_of_the_standard(first: bytes) -> None:
    """A new release of the library must not change what a register is worth."""
    expected = {
        b"": {0x06: ("energy", "Wh", "1000"), 0x0E: ("energy", "J", "1000000"), 0x13: ("volume", "m3", "0.001"), 0x2B: ("power", "W", "1"), 0x3B: ("volume_flow", "m3/h", "0.001"), 0x5A: ("flow_temperature", "degC", "0.1"), 0x6B: ("pressure", "bar", "1")},
        b"\xfb": {0x00: ("energy", "Wh", "100000"), 0x02: ("reactive_energy", "varh", "1000"), 0x08: ("energy", "J", "100000000"), 0x11: ("volume", "m3", "1000"), 0x1A: ("relative_humidity", "%", "0.1"), 0x28: ("power", "W", "100000"), 0x2E: ("frequency", "Hz", "0.1")},
        b"\xfd": {0x48: ("voltage", "V", "0.1"), 0x59: ("current", "A", "0.001"), 0x17: ("error_flags", "", "1"), 0x3A: ("counter", "", "1"), 0x2C: ("duration_since_readout", "s", "1")},
    }[first]  # fmt: skip
    found = {code: meaning(first + bytes((code,))) for code in expected}
    assert {code: (m.word, m.unit, m.factor) for code, m in found.items()} == {
        code: (word, unit, Decimal(factor)) for code, (word, unit, factor) in expected.items()
    }
