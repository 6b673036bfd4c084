"""Printer ports of fire panels: records in GB18030 with ESC codes, several in a payload, and noise."""

import contextlib
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dutyroom.errors import Rejected
from dutyroom.profiles.codecs.panel_printer import KIND
from dutyroom.profiles.codecs.seam import Ask


def printed(
    word: str, address: str = "  002-017\n", place: str = "三层东走廊", kind: str = "感烟探测器"
) -> bytes:
    text = f"\x1b626/11/01  08:30\n{address}\x1b9{word}\n{place}\n{kind}\n\n"
    return text.encode("gb18030")


def decode(payload: bytes, **options: Any) -> list[dict[str, Any]]:
    document: Any = KIND.make(options)(payload, Ask())
    return document["records"]  # type: ignore[no-any-return]


def test_a_fire() -> None:
    (found,) = decode(printed("首次火警"))
    assert (found["loop"], found["device"], found["address"]) == ("002", "017", "002-017")
    assert (found["event"], found["first"], found["key"], found["alarm"]) == ("火警", True, "fire", 1)
    assert (found["place"], found["device_type"]) == ("三层东走廊", "感烟探测器")
    assert found["printed"] == "26/11/01  08:30"
    assert "time" not in found


@pytest.mark.parametrize(
    ("word", "key", "states"),
    [
        ("火警", "fire", {"alarm": 1}),
        ("火警后续", "fire", {"alarm": 1}),
        ("消音", "silenced", {}),
        ("手动报警", "fire", {"alarm": 1}),
        ("故障", "fault", {"fault": 1}),
        ("故障恢复", "fault_restored", {"fault": 0}),
        ("屏蔽", "shielded", {}),
        ("屏蔽解除", "unshielded", {}),
        ("系统复位", "reset", {"alarm": 0}),
        ("反馈", "feedback", {}),
        ("请求启动", "started", {}),
        ("开机", "other", {}),
    ],
)
def test_words(word: str, key: str, states: dict[str, int]) -> None:
    (found,) = decode(printed(word))
    assert found["key"] == key
    assert {k: v for k, v in found.items() if k in ("alarm", "fault")} == states


def test_a_record_without_an_address_and_without_words_behind() -> None:
    (found,) = decode(printed("系统复位", "", "", ""))
    assert found["event"] == "系统复位"
    assert not {"loop", "place", "device_type"} & set(found)


def test_several_records_and_spoiled_bytes() -> None:
    found = decode(
        b"\xff\x81" + printed("火警") + b"\x00\xff" + printed("火警", "  002-018\n") + printed("故障")[:8]
    )
    assert [r["address"] for r in found] == ["002-017", "002-018"]


@pytest.mark.parametrize(("date", "time"), [("ymd", "2026-11-01T08:30:00"), ("dmy", "2001-11-26T08:30:00")])
def test_the_order_of_the_date_is_a_setting(date: str, time: str) -> None:
    assert decode(printed("火警"), date=date)[0]["time"] == time
    assert "time" not in decode(printed("火警"), date="mdy")[0]  # there is no 26th month


@pytest.mark.parametrize(
    ("payload", "message"),
    [
        (b"", "no record"),
        ("火警".encode("gb18030"), "no record .* '火警'"),
        (printed("")[:24], "no record"),
        (bytes(70_000), "70000 bytes are more than 65536"),
        (b"26/11/01 08:30\n" * 600, "600 records are more than 500"),
    ],
)
def test_what_is_refused_and_why(payload: bytes, message: str) -> None:
    with pytest.raises(Rejected, match=message):
        decode(payload)


def test_settings() -> None:
    with pytest.raises(Rejected, match="date: 'iso' is none of ymd, dmy, mdy"):
        KIND.make({"date": "iso"})


@settings(max_examples=200)
@given(
    payload=st.one_of(st.binary(max_size=200), st.binary(max_size=40).map(lambda t: printed("火警")[:30] + t))
)
def test_any_bytes_give_records_or_a_reason(payload: bytes) -> None:
    with contextlib.suppress(Rejected):
        assert all(r["event"] for r in decode(payload))
