from __future__ import annotations

import time
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dutyroom.errors import Invalid
from dutyroom.yamltext import decode, dotted, read_yaml, scalar


def test_data_and_lines() -> None:
    document = read_yaml("a: 1\nb:\n  - c: x\n    d: 2.5\n  - e: true\n", "f.yaml")
    assert document.data == {"a": 1, "b": [{"c": "x", "d": 2.5}, {"e": True}]}
    assert document.line(("b", 0, "d")) == 4
    assert document.line(("b", 1, "e")) == 5
    assert document.line(("b", 1, "missing", "deeper")) == 5
    assert document.line(("missing",)) == 1


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("1", 1),
        ("-12", -12),
        ("0", 0),
        ("007", "007"),  # an address keeps its zeros
        ("1_000", "1_000"),
        ("0x1F", "0x1F"),
        ("12345678901234567890123", "12345678901234567890123"),
        ("0.6170", 0.617),
        ("1e3", 1000.0),
        ("1e999", "1e999"),
        (".inf", ".inf"),
        (".nan", ".nan"),
        ("12:30", "12:30"),  # a time, not a number to the base of 60
        ("2026-01-05", "2026-01-05"),
        ("on", "on"),
        ("no", "no"),
        ("true", True),
        ("False", False),
        ("~", None),
        ("", None),
    ],
)
def test_what_a_plain_scalar_means(written: str, meant: object) -> None:
    assert scalar(written) == meant
    assert read_yaml(f"a: {written}\n", "f").data == {"a": meant}


def test_quotes_keep_text_and_whole_number_keys_stay_numbers() -> None:
    assert read_yaml("a: '1'\n0: off\n'2': x\n", "f").data == {"a": "1", 0: "off", "2": "x"}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("a: 1\nb: 2\na: 3\n", "f.yaml:3: a: stands here a second time; the first is in line 1"),
        ("a: &x {b: 1}\nc: *x\n", "f.yaml:1: c: anchors and aliases"),
        ("a: &x [*x]\n", "f.yaml:1: a[0]: anchors and aliases"),
        ("a: *x\n", "f.yaml:1: a value that begins with * must stand in quotes"),
        ("a: !!python/name:os.system\n", "f.yaml:1: a: the tag"),
        ("a: @x\n", "put the value in quotes"),
        (
            "a:\n\tb: 1\n",
            "f.yaml:2: is not YAML: found character that cannot start any token; indent with spaces",
        ),
        ("a: [1, 2\nb: 3\n", "f.yaml:2: is not YAML"),
        ("--- 1\n--- 2\n", "f.yaml:2: holds a second document"),
        ("a: \x07\n", "f.yaml:1: holds a character that YAML forbids"),
        ("a: 1\n? [b]\n: 2\n", "f.yaml:2: a key must be a word or a whole number"),
        ("[" * 100 + "]" * 100, "is nested deeper than 60 levels"),
        ("[" * 100_000, "nesting depth"),
        ("- " * 100_000, "nesting depth"),
    ],
)
def test_what_cannot_be_read_says_where_and_why(text: str, says: str) -> None:
    with pytest.raises(Invalid) as caught:
        read_yaml(text, "f.yaml")
    assert says in str(caught.value)


def test_all_double_keys_are_told_at_once() -> None:
    with pytest.raises(Invalid) as caught:
        read_yaml("a: 1\na: 2\nb: {c: 1, c: 2}\n", "f")
    assert [(m.line, m.field) for m in caught.value.mistakes] == [(2, "a"), (3, "b.c")]


def test_an_alias_bomb_is_refused_at_once() -> None:
    lines = ["a0: &a0 [x, x]"] + [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, 40)]
    began = time.process_time()
    with pytest.raises(Invalid):
        read_yaml("\n".join(lines), "f")
    assert time.process_time() - began < 1


def test_decode_names_the_line_of_a_wrong_byte() -> None:
    assert decode("\ufeffä".encode(), "f") == "ä"
    with pytest.raises(Invalid) as caught:
        decode("id\n水表".encode("gbk"), "devices.csv")
    assert str(caught.value).startswith("devices.csv:2: is not UTF-8 (byte 0xb1)")


def test_a_huge_file_is_refused() -> None:
    with pytest.raises(Invalid, match="larger than 20 MB"):
        decode(b" " * 20_000_001, "f")


def test_dotted() -> None:
    assert dotted(("devices", 3, "id")) == "devices[3].id"
    assert dotted((2, "id")) == "[2].id"


def test_two_thousand_devices_in_half_a_second() -> None:
    row = "- {{id: d{0}, name: 水表, class: water_meter, profile: a/b, address: {0:08d}, space: A/1, interval_s: 900}}\n"
    text = "".join(row.format(i) for i in range(2000))
    began = time.process_time()
    assert len(read_yaml(text, "f").lines) > 14_000
    assert time.process_time() - began < 2  # 0.12 s alone on a quiet machine


@given(st.text(max_size=200))
def test_any_text_is_read_or_refused(text: str) -> None:
    with suppress(Invalid):
        read_yaml(text, "f")


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(raw: bytes) -> None:
    with suppress(Invalid):
        read_yaml(decode(raw, "f"), "f")
