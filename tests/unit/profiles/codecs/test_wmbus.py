"""M-Bus telegrams: link and transport layers, encryption told, and the layouts of some makers.

All telegrams are made here; layouts of makers with ids and values of no real meter.
"""

import contextlib
from collections.abc import MutableMapping
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.profiles.codecs.telegrams import address, radio, short, wired, with_crc, with_crc_b

from dutyroom.errors import Rejected
from dutyroom.profiles.codecs import wmbus_izar
from dutyroom.profiles.codecs.mbus_crc import crc16
from dutyroom.profiles.codecs.mbus_link import MEDIA
from dutyroom.profiles.codecs.seam import Ask
from dutyroom.profiles.codecs.wmbus import KIND

WATER = "0413 D2040000 023B 0A00"  # 1.234 m3, 0.010 m3/h


def decode(
    telegram: bytes, memory: MutableMapping[str, bytes] | None = None, **options: Any
) -> dict[str, Any]:
    document: Any = KIND.make(options)(telegram, Ask(memory=memory))
    return document  # type: ignore[no-any-return]


def refused(telegram: bytes) -> str:
    with pytest.raises(Rejected) as caught:
        decode(telegram)
    return caught.value.reason


def water(number: str = "00000042", **header: Any) -> bytes:
    return radio("SEN", number, 0x68, 0x07, short(WATER, **header))


# ---------------------------------------------------------------- link layer


def test_a_plain_telegram() -> None:
    found = decode(water(status=0x04))
    assert {k: found[k] for k in ("id", "manufacturer", "version", "type", "media", "product", "access_number", "status")} == {
        "id": "00000042", "manufacturer": "SEN", "version": 0x68, "type": 7, "media": "water", "product": "iperl",
        "access_number": 42, "status": "POWER_LOW",
    }  # fmt: skip
    assert found["values"] == {"volume": "1.234", "flow": "0.010"}


@pytest.mark.parametrize(
    "form", ["{}", "telegram=|{}|", "|{}|\n", " {} ", "T1;1;1;2026-11-01 02:00:00.000;97;148;00000042;0x{}\n"]
)
def test_hex_text_is_read_as_receivers_print_it(form: str) -> None:
    text = water().hex().upper()
    assert decode(form.format(text[:20] + "_" + text[20:]).encode())["id"] == "00000042"


def test_the_crc_bytes_of_both_frame_formats_are_checked_and_taken_out() -> None:
    plain = radio("SEN", "00000042", 0x68, 0x07, short(WATER + "0C78 42000000"))
    assert decode(with_crc(plain)) == decode(plain)
    assert decode(with_crc_b(plain)) == decode(plain)


def test_a_damaged_block_is_refused() -> None:
    damaged = bytearray(with_crc(water()))
    damaged[20] ^= 1
    assert refused(bytes(damaged)) == "CRC at byte 27: the block before it is damaged"


@pytest.mark.parametrize(
    ("telegram", "reason"),
    [
        (b"", "0 bytes are no telegram"),
        (b"\x0a\x44\x01", "3 bytes are no M-Bus telegram"),
        (water()[:-1], "length at byte 0: 25 bytes, 24 are there"),
        (radio("SEN", "00000042", 1, 7, "7A01"), "transport header at byte 10: 5 bytes, 2 are there"),
        (radio("SEN", "00000042", 1, 7, "8C20"), "extended link layer at byte 10: the telegram ends in it"),
        (radio("SEN", "00000042", 1, 7, "70"), "CI at byte 10: 70 carries no readings in data records"),
        (radio("SEN", "00000042", 1, 7, "A5 0102"), "CI at byte 10: A5 is a layout of the maker that is not known here"),
        (radio("SEN", "00000042", 1, 7, short("0413 01")), "data record at byte 15: its value needs 4 bytes from byte 17, 1 are there"),
    ],
)  # fmt: skip
def test_what_is_damaged_is_named(telegram: bytes, reason: str) -> None:
    assert refused(telegram) == reason


def test_the_long_frame_of_the_wire() -> None:
    content = (
        bytes.fromhex("0801") + b"\x72" + bytes.fromhex("42000099") + address("ELT", "00000000", 1, 2)[:2]
    )
    frame = wired(content + bytes.fromhex("0102 07 10 0000 8C1004 15000000".replace(" ", "")))
    found = decode(frame)
    assert (found["id"], found["manufacturer"], found["status"]) == ("99000042", "ELT", "TEMPORARY_ERROR")
    assert found["values"] == {"energy_tariff1": "150"}
    assert refused(frame[:-2] + bytes((frame[-2] ^ 1, 0x16))).startswith("checksum at byte 26")
    assert refused(frame[:-1] + b"\x15") == "end of the frame at byte 27: 15 is not 16"
    assert refused(frame[:-3]) == "long frame of 28 bytes: 25 bytes are there"


# ---------------------------------------------------------------- layers between


def test_layers_between_are_passed() -> None:
    authenticated = "8C 20 11 90 0F 002C 25 00000000 1122334455667788"
    head = radio(
        "TCH",
        "00000042",
        0x28,
        0x04,
        bytes.fromhex(authenticated.replace(" ", "")) + short("10 2F2F 0406 05000000", config=0x0730),
    )
    assert decode(head)["values"] == {"energy": "5000"}


def test_the_transport_header_says_whose_it_is_when_a_converter_sends() -> None:
    long = (
        b"\x72"
        + bytes.fromhex("42000000")
        + address("EBZ", "00000000", 1, 2)[:2]
        + bytes.fromhex("0102 2A 00 0000".replace(" ", ""))
    )
    found = decode(radio("EBZ", "77777777", 2, 0x37, long + bytes.fromhex("040339000000")))
    assert (found["id"], found["type"], found["media"]) == ("00000042", 2, "electricity")


def test_an_extended_link_layer_has_a_crc_over_the_plain_payload() -> None:
    payload = b"\x78" + bytes.fromhex("0406 05000000".replace(" ", ""))
    layer = bytes.fromhex("8D2039 01000020".replace(" ", ""))
    good = layer + crc16(payload).to_bytes(2, "little") + payload
    assert decode(radio("KAM", "00000042", 0x30, 0x04, good))["values"] == {"energy": "5000"}
    assert refused(radio("KAM", "00000042", 0x30, 0x04, good[:-1] + b"\x01")).startswith(
        "encrypted: receive it with"
    )
    unencrypted = bytes.fromhex("8D2039 01000000".replace(" ", "")) + good[7:-1] + b"\x01"
    assert (
        refused(radio("KAM", "00000042", 0x30, 0x04, unencrypted))
        == "CRC at byte 17: the payload behind it is damaged"
    )


@pytest.mark.parametrize("mode", [5, 7, 13, 0x15])
def test_an_encrypted_telegram_says_how_to_receive_it(mode: int) -> None:
    telegram = radio("SEN", "00000042", 0x68, 7, short("9F" * 16, config=mode << 8 | 0x10))
    assert refused(telegram) == "encrypted: receive it with wmbusmeters and subscribe to its JSON"


def test_a_decrypted_telegram_begins_with_two_fillers() -> None:
    assert (
        decode(radio("SEN", "00000042", 0x68, 7, short("2F2F" + WATER, config=0x0510)))["values"]["volume"]
        == "1.234"
    )


# ---------------------------------------------------------------- compact frames


def compact(signature: int, full: bytes, content: str) -> bytes:
    body = (
        b"\x79" + signature.to_bytes(2, "little") + crc16(full).to_bytes(2, "little") + bytes.fromhex(content)
    )
    return radio("KAM", "00000042", 0x1B, 0x16, body)


def test_a_compact_frame_of_a_known_format() -> None:
    headers = ("02FF20", "0413", "4413", "615B", "6167")
    data = ("0000", "D2040000", "E8030000", "0C", "13")
    full = bytes.fromhex("".join(h + d for h, d in zip(headers, data, strict=True)))
    found = decode(compact(crc16(bytes.fromhex("".join(headers))), full, "".join(data)))
    assert found["values"] == {
        "manufacturer_ff20": 0, "volume": "1.234", "volume_storage1": "1.000", "flow_temperature_min_storage1": "12",
        "external_temperature_min_storage1": "19",
    }  # fmt: skip
    assert refused(compact(crc16(bytes.fromhex("".join(headers))), full + b"\0", "".join(data))).startswith(
        "CRC at byte 13"
    )


def test_a_format_is_learned_from_a_full_frame() -> None:
    memory: dict[str, bytes] = {}
    full = bytes.fromhex("040605000000" + "041306000000")
    later = bytes.fromhex("040607000000" + "041308000000")
    frame = compact(crc16(bytes.fromhex("04060413")), later, "07000000" + "08000000")
    assert refused(frame).startswith("compact frame at byte 10: format")
    decode(radio("KAM", "00000042", 0x30, 4, b"\x78" + full), memory)
    assert decode(frame, memory)["values"] == {"energy": "7000", "volume": "0.008"}


# ---------------------------------------------------------------- makers


def test_a_techem_allocator_leaves_the_year_out() -> None:
    # set date 2020-12-31: 299F; 77 units; 5 February: day << 4 | month << 9; 9 units; 21.05 and 31.40 degC
    own = "A2 0F 9F29 4D00 5004 0900 11 3908 440C"
    found = decode(radio("TCH", "00000042", 0x94, 0x80, own))
    assert found["texts"] == {"target_date": "2020-12-31", "date": "2021-02-05"}
    assert found["values"] == {
        "units_at_target": "77",
        "units": "9",
        "room_temperature": "21.05",
        "radiator_temperature": "31.40",
    }
    assert (found["media"], found["product"], found["status"]) == ("heat cost allocator", "fhkvdataiii", None)
    assert (
        refused(radio("TCH", "00000042", 0x94, 0x80, own[:-4]))
        == "Techem allocator: 14 bytes after the CI, 12 are there"
    )


def test_techem_water_meters_add_what_was_used_since_the_set_date() -> None:
    found = decode(radio("TCH", "00000042", 0x95, 0x62, "A2 06 9F29 0A00 5004 0500"))
    assert found["values"] == {"volume_at_target": "1.0", "volume": "1.5"}
    months = "".join(f"{n:02x}0100" for n in range(12))
    found = decode(radio("TCH", "00000042", 0x50, 0x72, "A2 0C00 8A34 640000 00" + months))
    assert found["values"]["volume"] == "10.0"
    assert found["values"]["volume_of_april"] == "0.1"
    assert found["values"]["volume_of_may"] == "1.2"
    assert found["texts"]["target_date"] == "2026-04-10"


def test_techem_heat_meters_and_smoke_detectors() -> None:
    compact = decode(radio("TCH", "00000042", 0x45, 0x43, "A1 00 9F29 2C0100 60 C80000 00"))
    assert (compact["media"], compact["values"]["energy"], compact["units"]["energy"]) == (
        "heat",
        "500000",
        "Wh",
    )
    vario = decode(radio("TCH", "00000042", 0x27, 0xC3, "A2 12 9F29 E803 00A8 D007 00"))
    assert (vario["values"]["energy"], vario["units"]["energy"]) == ("3000000000", "J")
    assert decode(radio("TCH", "00000042", 0x76, 0xF0, "A0 01 9F29 82"))["status"] == "SMOKE"
    assert decode(radio("TCH", "00000042", 0x76, 0xF0, "A0 00 9F29 82"))["status"] == "OK"


def test_apator_counts_gas_in_thirds_of_a_litre() -> None:
    found = decode(radio("APT", "0000dd42", 3, 3, "A0 B80B0000 4C40"))
    assert (found["id"], found["values"]) == ("0000dd42", {"volume": "1.000000"})


@pytest.mark.parametrize("front", ["A0", "B6 02 FFFF A0"])
def test_an_apator_allocator_tells_when_its_seal_was_opened(front: str) -> None:
    found = decode(radio("APA", "00000042", 4, 8, front + "0101 00 4D00 4F33 0300 E934 0014 0015"))
    assert found["status"] == "SEAL_BROKEN"
    assert found["values"] == {
        "units_at_target": "77",
        "units": "3",
        "room_temperature_before": "20",
        "room_temperature": "21",
    }
    assert found["texts"] == {
        "season_start_date": "--08-01",
        "seal_opened_date": "2025-10-15",
        "date": "2026-07-09",
    }


def test_apator_registers_are_walked_until_one_that_nobody_knows() -> None:
    def module(registers: str) -> bytes:
        return radio("APA", "00000042", 5, 7, short("2F2F 0F 01020304 050607" + registers, config=0x8540))

    found = decode(
        module(
            "43 0102 84 00112233445566778899 10 D2040000 73 01 01000000 02000000 03000000 04000000 A0 00000000 FFFF"
        )
    )
    assert found["product"] == "apator162"
    assert found["values"] == {
        "volume": "1.234", "volume_month1": "0.001", "volume_month2": "0.002", "volume_month3": "0.003", "volume_month4": "0.004",
    }  # fmt: skip
    assert decode(module("10 D2040000 99 0102 10 00000000"))["values"] == {"volume": "1.234"}
    assert decode(module("99 10 D2040000"))["values"] == {}
    assert decode(module("10 D204"))["values"] == {}


def test_a_bfw_allocator_packs_eighteen_months() -> None:
    months = "00" * 21 + "6F0109" + "0A2314"
    found = decode(
        radio("BFW", "00000042", 2, 8, short("2F2F 0000 01F4 0123 0000" + months + "310326", status=0xC0))
    )
    assert [found["values"][f"units_month{n}"] for n in (1, 2, 3, 4, 5)] == ["788", "522", "265", "111", "0"]
    assert (found["values"]["units"], found["texts"]["date"]) == ("291", "2026-03-31")


def test_a_hydrodigit_says_what_its_block_holds() -> None:
    months = "".join(f"{n:02x}0000" for n in range(1, 13))
    found = decode(radio("BMT", "00000042", 0x13, 7, short("0C13 01000000 0F 15 0D 05000000" + months)))
    assert found["texts"]["contents"] == "BACKFLOW BATTERY_VOLTAGE MONTHLY_DATA"
    assert (found["values"]["battery_voltage"], found["values"]["volume_backward"]) == ("3.5", "0.005")
    assert (found["values"]["volume_january"], found["values"]["volume_december"]) == ("0.01", "0.12")
    cut = decode(radio("BMT", "00000042", 0x13, 7, short("0C13 01000000 0F 15 0D 05")))
    assert cut["values"]["volume_backward"] is None


def test_hydroclima_zenner_and_qundis_blocks() -> None:
    room = "10 0043 0000 0000 3908 440C 0000 0000 0208 D00A 0000 4D0000".replace(" ", "")
    found = decode(radio("BMP", "00000042", 0x53, 8, short("036E 050000 0F" + room)))
    assert found["status"] == "ERROR_FLAGS_4300"
    assert (found["values"]["room_temperature"], found["values"]["units_total"]) == ("21.05", "77")
    found = decode(radio("ZRI", "00000042", 0x0B, 0x16, short("0F 01000000 00E80300 00D00700 00")))
    assert found["values"] == {"volume": "2", "volume_at_target": "1"}
    assert found["status"] == "STATUS_1"
    block = "00821800008000 07B0 6E FFFF 88000000 3F3C 12020000 5E35 07000000 0000 2F".replace(" ", "")
    found = decode(radio("QDS", "00000042", 0x34, 8, "78 0DFF5F 1E" + block))
    assert (
        found["values"]["units"],
        found["values"]["units_at_target"],
        found["values"]["units_at_month_end"],
    ) == (88, 212, 7)
    assert (found["texts"]["date_at_target"], found["texts"]["error_date"], found["status"]) == (
        "2025-12-31",
        "",
        "OK",
    )
    scrambled = block[:8] + "35" + block[10:]
    assert "units" not in decode(radio("QDS", "00000042", 0x34, 8, "78 0DFF5F 1E" + scrambled))["values"]


def prios(
    number: str, total: int, target: int, head: str = "022A48", key: int = wmbus_izar._KEYS[0]
) -> bytes:
    """A scrambled telegram; the scrambler is its own inverse."""
    plain = b"\x4b" + total.to_bytes(4, "little") + target.to_bytes(4, "little") + bytes.fromhex("7E2900")
    front = radio("DME", "00000000", 0, 0, b"\xa2" + bytes.fromhex(head) + b"\x13" + bytes(12))[:15]
    front = front[:4] + bytes((0x78, 0x07)) + bytes.fromhex(number)[::-1] + front[10:]
    masked = wmbus_izar._descrambled(front + plain[:11], 11, key)
    return front + masked + b"\0"


def test_diehl_prios_is_unscrambled_with_either_key() -> None:
    for key in wmbus_izar._KEYS:
        found = decode(prios("00000042", 54321, 50000, key=key))
        assert (found["id"], found["version"], found["type"]) == ("00000042", 0x78, 7)
        assert (found["values"]["volume"], found["values"]["volume_at_target"]) == ("54.321", "50.000")
        assert (found["values"]["remaining_battery_years"], found["values"]["transmit_period"]) == (
            "5",
            "16",
        )
        assert found["status"] == "METER_BLOCKED SENSOR_FRAUD UNDERFLOW"
    assert refused(prios("00000042", 1, 1, key=1)).startswith("encrypted")
    assert refused(radio("DME", "00000042", 0, 0, "A2 0102")).startswith("PRIOS telegram of 13 bytes")


def hydrometer(number: str, records: bytes, config: bytes) -> bytes:
    """A telegram in Hydrometer's order: version and type in front of the id."""
    plain = radio("HYD", "00000000", 0, 0, b"\x7a\x37\x00" + config + records)
    return plain[:4] + bytes((0x20, 0x04)) + bytes.fromhex(number)[::-1] + plain[10:]


def test_an_older_prios_meter_sends_its_volume_alone() -> None:
    whole = prios("00000042", 7654321, 0)
    short_one = bytes((0x13,)) + whole[1:20]
    # the first byte is not part of the key, so the rest stays as it was
    assert decode(short_one)["values"] == {
        "volume": "7654.321", "remaining_battery_years": "5", "transmit_period": "16",
    }  # fmt: skip


def test_hydrometer_scrambles_records_and_says_their_sum() -> None:
    records = bytes.fromhex("0C0621430000" + "0C1365871200")
    config = bytes((0x45, sum(records) & 0xFF))
    while not config[1] & 0x1F >= 14:  # a mode of its own
        records += b"\x2f"
        config = bytes((0x45, sum(records) & 0xFF))
    front = hydrometer("68000042", records, config)
    masks = wmbus_izar._masks(wmbus_izar._start(front, wmbus_izar._KEYS[1]))
    hidden = front[:15] + bytes(byte ^ mask for byte, mask in zip(records, masks, strict=False))
    found = decode(hidden)
    assert (found["id"], found["media"], found["product"]) == ("68000042", "heat", "sharky")
    assert found["values"] == {"energy": "4321000", "volume": "128.765"}
    assert refused(hidden[:-1] + bytes((hidden[-1] ^ 1,))).startswith("encrypted")
    assert decode(hydrometer("60000042", bytes.fromhex("0413D2040000"), b"\x10\x7d"))["values"] == {
        "volume": "1.234"
    }


# ---------------------------------------------------------------- properties


def test_every_type_has_a_word() -> None:
    for kind in range(256):
        found = decode(radio("SEN", "00000042", 1, kind, "78 0413 01000000"))
        assert found["media"] == MEDIA.get(kind, "reserved")


@settings(max_examples=300)
@given(st.binary(max_size=120))
def test_noise_is_refused_or_read_never_a_crash(payload: bytes) -> None:
    with contextlib.suppress(Rejected):
        decode(payload)


MAKERS = ("TCH", "APT", "APA", "DME", "HYD", "SAP", "BFW", "BMP", "BMT", "ZRI", "QDS", "KAM", "SEN")


@settings(max_examples=500)
@given(
    st.sampled_from(MAKERS), st.integers(0, 255), st.integers(0, 255),
    st.sampled_from((0x78, 0x79, 0x7A, 0x7B, 0x72, 0x73, 0x8C, 0x8D, 0x8E, 0x8F, 0x90, 0xA0, 0xA1, 0xA2, 0xA7, 0xB6)), st.binary(max_size=90),
)  # fmt: skip
def test_a_telegram_of_noise_is_refused_or_read(
    letters: str, version: int, kind: int, ci: int, noise: bytes
) -> None:
    with contextlib.suppress(Rejected):
        decode(radio(letters, "00000042", version, kind, bytes((ci,)) + noise))


_QUNDIS = "00821800008000 07B0 6E FFFF 88000000 3F3C 12020000 5E35 07000000 0000 2F"
SEVERAL = (
    radio("KAM", "00000042", 0x30, 4, b"\x78" + bytes.fromhex("0406050000000C1305000000426C7F2A02FD170000")),
    radio("QDS", "00000042", 0x34, 8, "78 0DFF5F 1E" + _QUNDIS),
    radio(
        "ZRI",
        "00000042",
        0x99,
        7,
        short("4413E8030000 4D9313 05 6101050780 82046C1F33 8104FD2801 C4041302000000"),
    ),
    radio("BMT", "00000042", 0x13, 7, short("0C13 01000000 0F 17 0D 00000000 05000000 010000")),
    radio("BMP", "00000042", 0x53, 8, short("036E 050000 0F 10" + "00" * 23)),
    radio("TCH", "00000042", 0x94, 0x80, "A2 0F 9F29 4D00 5004 0900 11 3908 440C"),
    wired(
        bytes.fromhex(
            "080172420000990000010207100000" + "0D7803414243" + "8C100415000000" + "03FC2003434241153100"
        )
    ),
)


@settings(max_examples=500)
@given(
    st.sampled_from(SEVERAL),
    st.lists(st.tuples(st.integers(0, 200), st.integers(0, 255)), max_size=4),
    st.booleans(),
)
def test_flipped_bytes_never_crash(telegram: bytes, flips: list[tuple[int, int]], repaired: bool) -> None:
    damaged = bytearray(telegram)
    for at, value in flips:
        damaged[at % len(telegram)] = value
    if repaired and damaged[0] == 0x68:
        damaged[-2] = sum(damaged[4:-2]) & 0xFF
    with contextlib.suppress(Rejected):
        decode(bytes(damaged))
