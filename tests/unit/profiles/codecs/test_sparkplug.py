"""Sparkplug B: births, data by alias, deaths, gaps, what is remembered and what is refused.

The messages below were made (with invented values) by the protobuf classes of Eclipse Tahu, not by our own writer.
"""

import contextlib
import zlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dutyroom.errors import Rejected
from dutyroom.profiles.codecs.protobuf import fields, put_bytes, put_fixed, put_number
from dutyroom.profiles.codecs.seam import Ask
from dutyroom.profiles.codecs.sparkplug import KIND
from dutyroom.profiles.codecs.sparkplug_payload import (
    INTEGERS,
    Written,
    read_payload,
    value_of,
    write_payload,
)
from dutyroom.profiles.codecs.sparkplug_topic import place, rebirth, rebirth_topic

NBIRTH = bytes.fromhex("0880d09fa3993412120a0562645365711880d09fa399342008580312210a144e6f646520436f6e74726f6c2f526562697274681880d09fa39934200b700012170a06557074696d6510011880d09fa3993420075080a3051800")  # fmt: skip
DBIRTH = bytes.fromhex("08e8d79fa3993412310a0c456e657267792f546f74616c100a18e8d79fa3993420084a110a07656e67556e69741206080c4202576858959aef3a122a0a05506f776572100b18e8d79fa3993420034a100a07656e67556e69741205080c42015750a4f4ffff0f123e0a0a566f6c74616765204c31100c18e8d79fa3993420094a200a07656e67556e69740a075175616c6974791205080c4201561205080318c001659a196643121f0a094672657175656e6379100d18e8d79fa39934200a693d0ad7a370fd484012160a0752756e6e696e67100e18e8d79fa39934200b700112180a054d6f64656c100f18e8d79fa39934200c7a04454d2d31121b0a0b54656d7065726174757265101018e8d79fa39934200150f60112160a0742617474657279101118e8d79fa399342009380112200a034c6f67101218e8d79fa3993420108a010d0801120161180722040a0208051801")  # fmt: skip
DDATA = bytes.fromhex("08c8aca3a39934120e100a18c8aca3a3993458e79bef3a120c100b18c8aca3a3993450d00f120f101018c8aca3a3993450ffffffff0f1210100c1898c2a1a3993428016566e66543120b100d18c8aca3a3993438011802")  # fmt: skip
DDEATH = bytes.fromhex("08c0f9a6a399341803")  # fmt: skip
NDEATH = bytes.fromhex("0880d09fa3993412120a0562645365711880d09fa3993420085803")  # fmt: skip
T = 1793491200000


class Site:
    """Messages in a row, with a memory that lasts."""

    def __init__(self) -> None:
        self.memory: dict[str, bytes] = {}
        self.findings: list[tuple[str, str]] = []

    def send(self, kind: str, payload: bytes, device: str = "") -> dict[str, Any]:
        topic = f"spBv1.0/plant/{kind}/node-1" + (f"/{device}" if device else "")
        ask = Ask(topic=topic, memory=self.memory)
        document: Any = KIND.make({})(payload, ask)
        self.findings += ask.report.findings
        return document  # type: ignore[no-any-return]

    def born(self) -> "Site":
        self.send("NBIRTH", NBIRTH)
        self.send("DBIRTH", DBIRTH, "em-1")
        return self


def message(seq: int | None, *metrics: Written, time: int = T) -> bytes:
    return write_payload(metrics, time, seq)


# ---------------------------------------------------------------- births and data


def test_a_node_is_born() -> None:
    found = Site().send("NBIRTH", NBIRTH)
    assert (found["type"], found["group"], found["node"], found["device"], found["seq"]) == (
        "NBIRTH",
        "plant",
        "node-1",
        None,
        0,
    )
    assert found["items"] == [
        {
            "address": "plant/node-1",
            "node": "node-1",
            "device": None,
            "time": T,
            "metrics": {"Uptime": 86400},
            "units": {},
            "plain": {"Uptime": 86400},
            "online": 1,
        }
    ]


def test_a_device_is_born() -> None:
    site = Site()
    site.send("NBIRTH", NBIRTH)
    (item,) = site.send("DBIRTH", DBIRTH, "em-1")["items"]
    assert item["address"] == "plant/node-1/em-1"
    assert item["metrics"] == {
        "Energy/Total": 123456789, "Power": -1500, "Voltage L1": 230.1, "Frequency": 49.98, "Running": True,
        "Model": "EM-1", "Temperature": -10, "Battery": None,
    }  # fmt: skip
    assert item["units"] == {"Energy/Total": "Wh", "Power": "W", "Voltage L1": "V"}
    assert item["by_unit"] == {
        "Wh": {"Energy/Total": 123456789},
        "W": {"Power": -1500},
        "V": {"Voltage L1": 230.1},
    }
    assert item["plain"]["Frequency"] == 49.98
    assert item["skipped"] == {"Log": "data_set"}
    assert site.findings == []


def test_data_by_alias_take_name_type_and_unit_from_the_birth() -> None:
    site = Site().born()
    now, earlier = site.send("DDATA", DDATA, "em-1")["items"]
    assert (now["time"], now["online"]) == (T + 61000, 1)
    assert now["metrics"] == {"Energy/Total": 123456999, "Power": 2000, "Temperature": -1, "Frequency": None}
    assert now["units"] == {"Energy/Total": "Wh", "Power": "W"}
    # What is told late has its own time, and does not say that the device was there then.
    assert (earlier["time"], earlier["metrics"]) == (T + 31000, {"Voltage L1": 229.9})
    assert "online" not in earlier


def test_a_restart_of_the_service_loses_nothing() -> None:
    site = Site().born()
    after = Site()
    after.memory = dict(site.memory)
    assert after.send("DDATA", DDATA, "em-1")["items"][0]["metrics"]["Power"] == 2000
    assert after.findings == []


def test_data_before_any_birth_wait() -> None:
    site = Site()
    with pytest.raises(Rejected) as caught:
        site.send("DDATA", DDATA, "em-1")
    assert caught.value.reason == (
        "no birth certificate of plant/node-1/em-1 yet: ask the node for a rebirth (spBv1.0/plant/NCMD/node-1)"
    )
    assert site.memory == {}
    site.born()
    assert site.send("DDATA", DDATA, "em-1")["items"][0]["metrics"]["Power"] == 2000


def test_data_that_name_everything_need_no_birth() -> None:
    payload = message(5, Written("Level", type=9, value=2.5), Written("Valve", type=11, value=False))
    (item,) = Site().send("DDATA", payload, "tank")["items"]
    assert item["metrics"] == {"Level": 2.5, "Valve": False}


def test_an_alias_that_the_birth_does_not_have_waits_for_the_next() -> None:
    with pytest.raises(Rejected, match=r"alias 99 at byte .* is not in the birth certificate"):
        Site().born().send("DDATA", message(2, Written(alias=99, type=7, value=1)), "em-1")


def test_a_birth_replaces_the_one_before() -> None:
    site = Site().born()
    site.send("DBIRTH", message(2, Written("Gas", alias=10, type=7, value=5)), "em-1")
    assert site.send("DDATA", message(3, Written(alias=10, value=6, type=7)), "em-1")["items"][0][
        "metrics"
    ] == {"Gas": 6}


def test_a_value_that_its_source_calls_bad_or_stale_is_none() -> None:
    payload = message(1, Written("Level", type=9, value=2.5, properties={"Quality": 500, "engUnit": "m"}))
    (item,) = Site().send("DDATA", payload, "tank")["items"]
    assert (item["metrics"], item["quality"], item["units"]) == (
        {"Level": None},
        {"Level": 500},
        {"Level": "m"},
    )


# ---------------------------------------------------------------- deaths


def test_a_node_dies_with_all_its_devices() -> None:
    site = Site().born()
    items = site.send("NDEATH", NDEATH)["items"]
    assert [(i["address"], i["online"], i["time"]) for i in items] == [
        ("plant/node-1", 0, None),
        ("plant/node-1/em-1", 0, None),
    ]
    with pytest.raises(Rejected, match="no birth certificate"):
        site.send("DDATA", DDATA, "em-1")


def test_the_death_of_an_earlier_life_kills_nobody() -> None:
    site = Site().born()
    assert site.send("NDEATH", message(None, Written("bdSeq", type=8, value=2)))["items"] == []
    assert site.findings == [("stale_death", "plant/node-1: of birth 2, the node lives since birth 3")]
    assert site.send("DDATA", DDATA, "em-1")["items"]


def test_a_device_dies_alone() -> None:
    site = Site().born()
    (item,) = site.send("DDEATH", message(2), "em-1")["items"]
    assert (item["address"], item["online"], item["time"]) == ("plant/node-1/em-1", 0, T)
    assert [i["address"] for i in site.send("NDEATH", NDEATH)["items"]] == ["plant/node-1"]
    assert Site().send("DDEATH", DDEATH, "em-1")["items"][0]["online"] == 0


# ---------------------------------------------------------------- sequence


def test_a_gap_is_told_once() -> None:
    site = Site().born()
    level = Written("Level", type=9, value=1.0)
    for seq in (2, 3, 6, 7):
        site.send("NDATA", message(seq, level, time=T + 1000 + seq))
    assert site.findings == [("sequence_gap", "plant/node-1: 6 after 3, 2 missing")]


def test_the_sequence_goes_round_and_may_repeat() -> None:
    site = Site()
    for n, seq in enumerate((254, 255, 0, 0, 1)):
        site.send("NDATA", message(seq, Written("Level", type=9, value=1.0), time=T + n))
    assert site.findings == []


def test_what_was_held_back_is_no_gap() -> None:
    site = Site().born()
    site.send("NDATA", message(2, Written("Level", type=9, value=1.0), time=T + 5000))
    site.send("NDATA", message(200, Written("Level", type=9, value=1.0), time=T - 5000))
    site.send("NDATA", message(3, Written("Level", type=9, value=1.0), time=T + 6000))
    assert site.findings == []


# ---------------------------------------------------------------- topics and commands


def test_the_command_that_asks_for_births() -> None:
    (metric,) = read_payload(rebirth(T)).metrics
    assert (metric.name, value_of(metric, metric.type), metric.time) == ("Node Control/Rebirth", True, T)
    assert rebirth_topic("plant", "node-1") == "spBv1.0/plant/NCMD/node-1"


@pytest.mark.parametrize(
    "topic", ["spBv1.0/STATE/host", "spBv1.0/plant/NCMD/node-1", "spBv1.0/plant/DCMD/node-1/em-1"]
)
def test_what_is_not_said_by_devices_is_no_telemetry(topic: str) -> None:
    document: Any = KIND.make({})(b"{}", Ask(topic=topic))
    assert document["items"] == []


@pytest.mark.parametrize(
    "topic",
    ["", "spBv1.0", "spBv1.0/plant/NDATA", "spBv1.0/plant/NDATA/n/d", "spBv1.0/plant/DDATA/n", "spBv1.0/plant/XDATA/n", "spBv1.0//NDATA/n", "plant/NDATA/n"],
)  # fmt: skip
def test_other_topics(topic: str) -> None:
    with pytest.raises(Rejected, match="is none of"):
        KIND.make({})(NBIRTH, Ask(topic=topic))


def test_a_topic_behind_a_prefix() -> None:
    assert place("site-a/spBv1.0/plant/DDATA/node-1/em-1").address == "plant/node-1/em-1"


# ---------------------------------------------------------------- payloads


@pytest.mark.parametrize(("algorithm", "wbits"), [("DEFLATE", 15), ("GZIP", 31)])
def test_compressed(algorithm: str, wbits: int) -> None:
    packer = zlib.compressobj(wbits=wbits)
    body = packer.compress(NBIRTH) + packer.flush()
    name = put_bytes(1, b"algorithm") + put_number(4, 12) + put_bytes(15, algorithm.encode())
    payload = put_bytes(2, name) + put_bytes(4, b"SPBV1.0_COMPRESSED") + put_bytes(5, body)
    assert read_payload(payload) == read_payload(NBIRTH)


def test_a_compressed_bomb_is_refused() -> None:
    payload = put_bytes(4, b"SPBV1.0_COMPRESSED") + put_bytes(5, zlib.compress(bytes(5_000_000)))
    with pytest.raises(Rejected, match="more than 524288 bytes"):
        read_payload(payload)


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        (b"\xff", "number cut or too long at byte 0"),
        (b"\xff" * 12, "number cut or too long at byte 0"),
        (b"\x12\x05ab", "field 2 cut at byte 2: 5 bytes expected, 2 left"),
        (b"\x0b", "wire type 3 of field 1 at byte 0"),
        (b"\x00\x00", "field number 0"),
        (b"", "no Sparkplug payload"),
        (b"08", "no Sparkplug payload"),
        (put_bytes(2, put_bytes(1, b"\xff\xfe")), "metric name at byte 4 is not UTF-8"),
        (put_bytes(2, put_bytes(1, b"a" * 201)), "metric name of 201 characters"),
        (
            put_bytes(2, put_bytes(1, b"a") + put_number(4, 7) + put_bytes(10, b"x")),
            "wire type 2 does not fit field 10",
        ),
        (
            put_bytes(2, put_bytes(1, b"a") + put_number(4, 9) + put_number(10, 7)),
            "a whole number of data type 9",
        ),
    ],
)
def test_damaged(payload: bytes, reason: str) -> None:
    with pytest.raises(Rejected) as caught:
        Site().send("NBIRTH", payload)
    assert reason in caught.value.reason


def test_too_many_metrics() -> None:
    with pytest.raises(Rejected, match="more than 20000 metrics"):
        read_payload(put_bytes(2, b"") * 20001)


@given(st.sampled_from(sorted(INTEGERS)), st.data())
def test_whole_numbers_round_trip(kind: int, data: st.DataObject) -> None:
    bits = INTEGERS[kind]
    low = -(1 << (-bits - 1)) if bits < 0 else 0
    value = data.draw(st.integers(low, low + (1 << abs(bits)) - 1))
    (metric,) = read_payload(message(0, Written("x", type=kind, value=value))).metrics
    assert value_of(metric, kind) == value


@given(st.floats(allow_nan=False, allow_infinity=False), st.text(max_size=20), st.booleans())
def test_other_values_round_trip(number: float, text: str, flag: bool) -> None:
    written = (
        Written("a", type=10, value=number),
        Written("b", type=12, value=text),
        Written("c", type=11, value=flag),
    )
    assert [value_of(m, m.type) for m in read_payload(write_payload(written, T)).metrics] == [
        number,
        text,
        flag,
    ]


@given(
    st.lists(
        st.tuples(st.integers(1, 2**29 - 1), st.integers(0, 2**64 - 1) | st.binary(max_size=40)), max_size=6
    )
)
def test_fields_round_trip(written: list[tuple[int, int | bytes]]) -> None:
    data = b"".join(put_number(n, v) if isinstance(v, int) else put_bytes(n, v) for n, v in written)
    assert [(f.number, f.data if f.wire == 2 else f.value) for f in fields(data)] == written
    assert [f.data for f in fields(put_fixed(1, b"abcd") + put_fixed(2, b"abcdefgh"))] == [
        b"abcd",
        b"abcdefgh",
    ]


KINDS = st.sampled_from(["NBIRTH", "DBIRTH", "NDATA", "DDATA", "NDEATH", "DDEATH"])


@given(
    st.lists(
        st.tuples(KINDS, st.sampled_from([NBIRTH, DBIRTH, DDATA, DDEATH, NDEATH]) | st.binary(max_size=60)),
        max_size=12,
    )
)
def test_any_messages_in_any_order(sent: list[tuple[str, bytes]]) -> None:
    site = Site()
    for kind, payload in sent:
        with contextlib.suppress(Rejected):
            found = site.send(kind, payload, "em-1" if kind[0] == "D" else "")
            assert all(i["address"] for i in found["items"])


@given(
    st.sampled_from([NBIRTH, DBIRTH, DDATA]),
    st.lists(st.tuples(st.integers(0, 500), st.integers(0, 255)), max_size=4),
)
def test_damaged_bytes(payload: bytes, changes: list[tuple[int, int]]) -> None:
    damaged = bytearray(payload)
    for place_, byte in changes:
        damaged[place_ % len(damaged)] = byte
    with contextlib.suppress(Rejected):
        Site().born().send("DBIRTH", bytes(damaged), "em-1")
