"""Arithmetic between fields: what it can do, and that a profile cannot do more."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dutyroom.errors import Rejected
from dutyroom.profiles.expressions import parse_expression


def value(text: str, **names: object) -> object:
    return parse_expression(text).compiled()(names)


@pytest.mark.parametrize(
    ("text", "names", "wanted"),
    [
        ("(raw - 32768) / 10", {"raw": 33000}, 23.2),
        ("high * 65536 + low", {"high": 2, "low": 3}, 131075),
        ("flags & 4", {"flags": 6}, 4),
        ("flags >> 4 & 0x0F", {"flags": 0xA7}, 10),
        ("~a & 0xFF", {"a": 1}, 254),
        ("10 ** e", {"e": -2}, 0.01),
        ("a if b > 2 else -a", {"a": 5, "b": 1}, -5),
        ("kind in (1, 3)", {"kind": 3}, True),
        ("kind not in (1, 3)", {"kind": 3}, False),
        ("1 <= a < 4 and not b", {"a": 3, "b": 0}, True),
        ("signed(a, 12)", {"a": 0xFFF}, -1),
        ("max(a, b, 2)", {"a": 1, "b": 0}, 2),
        ("round(a / 3, 2)", {"a": 1}, 0.33),
        ("'Class ' + name", {"name": "C"}, "Class C"),
        ("a % 256 // 2", {"a": 260}, 2),
        ("'v' + text(a) + '.' + text(b / 2)", {"a": 3, "b": 5}, "v3.2.5"),
        ("text(a) + text(b)", {"a": 2.0, "b": "x"}, "2x"),
        ("upper(hex(a))", {"a": 0x2F}, "2F"),
        ("spaced(a, ':')", {"a": "0a1b2c"}, "0a:1b:2c"),
        ("spaced(a, '-')", {"a": ""}, ""),
        ("'V' + hex(a) + '.' + hex(b)", {"a": 1, "b": 0x29}, "V1.29"),
    ],
)
def test_what_it_computes(text: str, names: dict[str, object], wanted: object) -> None:
    assert value(text, **names) == wanted


def test_a_name_without_a_value_or_a_division_by_zero_is_no_value() -> None:
    assert value("a + b", a=1) is None
    assert value("a + b", a=1, b=None) is None
    assert value("a / b", a=1, b=0) is None
    assert parse_expression("a + b * a").names == {"a", "b"}


@pytest.mark.parametrize(
    "text",
    [
        "a.b", "a[0]", "__import__('os')", "lambda: 1", "[x for x in a]", "f'{a}'", "a := 1", "(1).real", "open('x')",
        "max(a, key=b)", "a is b", "{1: 2}", "*a", "1 +", "", "a" * 501, "yield a", "max.__class__",
        "a @ b", "-" * 300 + "a", "a" + "+a" * 240, "(" * 90 + "a" + ")" * 90 + " @ 1",
    ],
)  # fmt: skip
def test_what_is_not_allowed_is_refused_when_it_is_read(text: str) -> None:
    with pytest.raises(Rejected):
        parse_expression(text)


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("2 ** a", {"a": 10_000}),
        ("a ** a ** a", {"a": 60}),
        ("1 << a", {"a": 10_000_000_000}),
        ("a * b", {"a": "x", "b": 10**9}),
        ("a % b", {"a": "%999999999d", "b": 1}),
        ("a * a * a", {"a": 2**63}),
        ("a + 1", {"a": "x"}),
        ("sqrt(a)", {"a": -1}),
        ("spaced(a, 5)", {"a": "0a1b"}),
        ("a ** 0.5", {"a": -1}),
        ("a * a", {"a": 1e300}),
        ("float(a)", {"a": "nan"}),
        ("round(a, b)", {"a": 5, "b": -(2**60)}),
    ],
)
def test_what_would_take_for_ever_or_makes_no_sense_is_rejected_at_once(
    text: str, names: dict[str, object]
) -> None:
    with pytest.raises(Rejected, match="cannot be computed"):
        value(text, **names)


@given(st.text(max_size=60))
def test_any_text_is_an_expression_or_refused(text: str) -> None:
    try:
        parse_expression(text)
    except Rejected:
        return


@given(st.integers(-(2**63), 2**63), st.integers(0, 255))
def test_numbers_of_any_size(a: int, b: int) -> None:
    assert value("a + b", a=a, b=b) == a + b
    assert value("a & b", a=a, b=b) == a & b
