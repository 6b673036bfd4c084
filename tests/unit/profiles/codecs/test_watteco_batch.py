"""Watteco batches: both forms of times, every kind of difference, damaged and foreign ones. The reports are made
up here, bit by bit."""

import contextlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dutyroom.errors import Rejected
from dutyroom.profiles.codecs.seam import Ask
from dutyroom.profiles.codecs.watteco_batch import HUFFMAN, KIND, WHOLE

SETTINGS: dict[str, Any] = {
    "label_bits": 2,
    "series": {
        0: {"name": "temperature", "type": "i16", "resolution": 10, "divide": 100},
        1: {"name": "index", "type": "u32"},
        2: {"name": "current", "type": "float", "resolution": 0.1},
    },
}


class Writer:
    """Bits as the maker's devices write them."""

    def __init__(self, series: int, common: bool = False, samples: bool = True) -> None:
        self.bits: list[int] = []
        self.put(series << 4 | common << 1 | (not samples) << 2, 8)
        self.put(5, 3).put(0, 1)

    def put(self, value: int, count: int) -> "Writer":
        first = count % 8 or 8
        sizes = [first] + [8] * ((count - first) // 8)
        left = count
        for size in sizes:
            left -= size
            piece = value >> left & (1 << size) - 1
            self.bits += [piece >> n & 1 for n in range(size)]
        return self

    def code(self, size: int, coding: int) -> "Writer":
        text = next(code for code, found in HUFFMAN[coding].items() if found == size)
        self.bits += [int(bit) for bit in text]
        return self

    def time(self, later: int, coding: int = 1) -> "Writer":
        size = (later + 1).bit_length() - 1
        return self.code(size, coding).put(later + 1 - (1 << size), size) if later else self.code(0, coding)

    def made(self) -> bytes:
        padded = self.bits + [0] * (-len(self.bits) % 8)
        return bytes(
            sum(bit << n for n, bit in enumerate(padded[i : i + 8])) for i in range(0, len(padded), 8)
        )


def decode(payload: bytes, ask: Ask | None = None) -> dict[str, Any]:
    document: Any = KIND.make(SETTINGS)(payload, ask or Ask())
    return document  # type: ignore[no-any-return]


def test_one_series_with_its_own_times() -> None:
    w = Writer(1).put(0, 2).put(1000, 32).put(2150, 16).put(0, 2).put(2, 2)
    w.put(0, 2).put(4, 8).put(0, 2)
    w.time(60, 0).code(2, 2).put(3, 2)  # 3 steps up
    w.time(60, 0).code(3, 2).put(0, 3)  # 7 steps down
    w.time(0, 0).code(0, 2)  # the same
    w.time(600, 0).code(WHOLE, 2).put(0xFF38, 16)  # -2.00
    w.time(30)
    assert decode(w.made()) == {
        "counter": 5,
        "requested": False,
        "samples": {
            "temperature": [
                {"value": "21.5", "age": 750},
                {"value": "21.8", "age": 690},
                {"value": "21.1", "age": 630},
                {"value": "21.1", "age": 630},
                {"value": -2, "age": 30},
            ]
        },
    }


def test_two_series_at_the_same_times() -> None:
    w = Writer(2, common=True)
    w.put(1, 2).put(500, 32).put(100, 32).put(1, 2).put(0, 2)  # rises only
    w.put(0, 2).time(0).put(2000, 16).put(2, 2).put(1, 2)  # falls only
    w.put(3, 8).put(0, 2).time(0, 0).time(10, 0).time(10, 0)
    w.put(1, 2).put(1, 1).code(0, 0).put(1, 1).code(1, 0).put(1, 1).put(1, 1).code(0, 0)
    w.put(0, 2).put(1, 1).code(0, 1).put(0, 1).put(1, 1).code(2, 1).put(0, 2)
    w.time(5)
    assert decode(w.made())["samples"] == {
        "index": [{"value": 100, "age": 25}, {"value": 102, "age": 15}, {"value": 102, "age": 5}],
        "temperature": [{"value": 20, "age": 25}, {"value": "19.7", "age": 5}],
    }


def test_first_samples_only_and_a_float() -> None:
    w = Writer(1, samples=False).put(2, 2).put(77, 32).put(0x41480000, 32).time(3)
    ask = Ask()
    assert decode(w.made() + b"\0", ask)["samples"] == {"current": [{"value": "12.5", "age": 3}]}
    assert ask.report.unread == 1
    nan = Writer(1, samples=False).put(2, 2).put(77, 32).put(0x7FC00000, 32).time(3).made()
    assert decode(nan)["samples"] == {"current": [{"value": None, "age": 3}]}


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        (b"", "cut at byte 0"),
        (b"\x11", "a standard report"),
        (b"\x00\x00", "without a series"),
        (Writer(1).put(3, 2).put(0, 64).made(), "series 3 at bit 14 is none of this product"),
        (Writer(1).put(0, 2).put(1000, 32).made(), "cut at byte 6"),
        (Writer(1).put(0, 2).put(9, 32).put(1, 16).put(0, 2).put(3, 2).put(0, 2).put(1, 8).put(3, 2).made(), "coding 3"),
        (Writer(1).put(0, 2).put(9, 32).put(1, 16).put(0, 4).put(1, 2).put(1, 8).made(), "series 1 at bit 66 has no first"),
    ],
)  # fmt: skip
def test_what_is_no_batch_of_this_product_is_refused(payload: bytes, reason: str) -> None:
    with pytest.raises(Rejected, match=reason):
        decode(payload)


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({}, "label_bits: a whole number"),
        ({"label_bits": 2}, "series: is missing"),
        ({"label_bits": 1, "series": {2: {"name": "x", "type": "u8"}}}, "series.2: label"),
        ({"label_bits": 1, "series": {0: {"type": "u8"}}}, "series.0.name"),
        ({"label_bits": 1, "series": {0: {"name": "x", "type": "u9"}}}, "series.0.type"),
        ({"label_bits": 1, "series": {0: {"name": "x", "type": "u8", "divide": 0}}}, "series.0.divide"),
        ({"label_bits": 1, "series": {0: {"name": "x", "type": "u8", "unit": "m"}}}, "series.0.unit"),
        ({"label_bits": 1, "series": []}, "series: a mapping"),
    ],
)
def test_settings_are_checked(settings: dict[str, Any], reason: str) -> None:
    with pytest.raises(Rejected, match=reason):
        KIND.make(settings)


@given(st.binary(max_size=80))
def test_any_bytes_are_read_or_refused(payload: bytes) -> None:
    with contextlib.suppress(Rejected):
        decode(payload)
