from __future__ import annotations

from decimal import Decimal
from enum import Enum

import pytest

from dutyroom.errors import Mistake
from dutyroom.fields import Fields, nearest, rows
from dutyroom.yamltext import read_yaml


def fields(text: str) -> Fields:
    mistakes: list[Mistake] = []
    return Fields.of(read_yaml(text, "f"), mistakes)


def said(found: Fields) -> list[str]:
    return [str(mistake) for mistake in found.mistakes]


class Colour(Enum):
    RED = "red"
    BLUE = "blue"


def test_what_is_right_is_taken() -> None:
    f = fields(
        "t: x\nn: 12\ni: 3\nd: '89.60'\nflag: true\nspan: 10min\nlist: [a, 1]\none: a\nwords: {en: Hi}\ncolour: blue\n"
    )
    assert (f.text("t"), f.text("n"), f.integer("i"), f.number("i")) == ("x", "12", 3, 3.0)
    assert f.decimal("d") == Decimal("89.60")
    assert (f.flag("flag"), f.duration("span")) == (True, 600_000)
    assert (f.texts("list"), f.texts("one")) == (("a", "1"), ("a",))
    assert f.words("words") == {"zh-CN": "Hi", "en": "Hi"}
    assert f.member("colour", Colour, Colour.RED) is Colour.BLUE
    f.finish()
    assert said(f) == []


def test_what_is_absent_gives_its_default() -> None:
    f = fields("")
    assert (f.text("a", "x"), f.integer("b", 2), f.number("c", 0.5), f.flag("d"), f.duration("e", 7)) == (
        "x",
        2,
        0.5,
        False,
        7,
    )
    assert (f.decimal("f", None), f.texts("g"), f.words("h", {}), f.child("i"), f.children("j")) == (
        None,
        (),
        {},
        None,
        [],
    )
    assert f.member("k", Colour, Colour.RED) is Colour.RED
    assert said(f) == []


@pytest.mark.parametrize(
    ("text", "take", "says"),
    [
        ("b: 1\n", lambda f: f.text("a"), "f:1: a is missing"),
        ("a:\n", lambda f: f.text("a"), "f:1: a: is empty"),
        ("a: ' '\n", lambda f: f.text("a"), "f:1: a: is empty"),
        ("a: 1.5\n", lambda f: f.text("a"), "f:1: a: must be a text, not 1.5; put it in quotes"),
        ("a: [x]\n", lambda f: f.text("a"), "f:1: a: must be a text, not a list; put it in quotes"),
        ("a: 1.5\n", lambda f: f.integer("a"), "f:1: a: must be a whole number, not 1.5"),
        ("a: true\n", lambda f: f.integer("a"), "f:1: a: must be a whole number, not true"),
        ("a: 0\n", lambda f: f.integer("a", low=1), "f:1: a: must be at least 1"),
        ("a: 9\n", lambda f: f.number("a", high=8.5), "f:1: a: must be at most 8.5"),
        ("a: x\n", lambda f: f.number("a"), "f:1: a: must be a number, not 'x'"),
        ("a: x\n", lambda f: f.decimal("a"), "f:1: a: must be a decimal number such as 89.60, not 'x'"),
        ("a: 'NaN'\n", lambda f: f.decimal("a"), "f:1: a: must be a decimal number such as 89.60, not 'NaN'"),
        ("a: yes\n", lambda f: f.flag("a"), "f:1: a: must be true or false, not 'yes'"),
        ("a: {}\n", lambda f: f.duration("a"), "f:1: a: must be a duration such as 10min, not a mapping"),
        ("a: [x, {}]\n", lambda f: f.texts("a"), "f:1: a[1]: must be a text, not a mapping"),
        ("a: {}\n", lambda f: f.words("a"), "f:1: a: needs a text in zh-CN or en"),
        (
            "a: red\n",
            lambda f: f.choice("a", ("reed", "tan")),
            "f:1: a: 'red' is not known; did you mean 'reed'?",
        ),
        ("a: 1\n", lambda f: f.child("a"), "f:1: a: must be a mapping (key: value), not 1"),
        ("a: 1\n", lambda f: f.children("a"), "f:1: a: must be a list (- ...), not 1"),
        ("a: [1]\n", lambda f: f.children("a"), "f:1: a[0]: must be a mapping (key: value), not 1"),
    ],
)
def test_what_is_wrong_says_where_and_what_would_be_right(text: str, take: object, says: str) -> None:
    f = fields(text)
    take(f)  # type: ignore[operator]
    assert len(said(f)) == 1
    assert said(f)[0].startswith(says)


def test_unknown_fields_are_told_with_the_nearest_known_one() -> None:
    f = fields("interval: 1\nTopic: x\nzzz: 2\n")
    f.text("topic", "")
    f.integer("intervals", 0)
    f.finish()
    assert said(f) == [
        "f:1: interval: unknown field; did you mean 'intervals'?",
        "f:2: Topic: unknown field; did you mean 'topic'?",
        "f:3: zzz: unknown field",
    ]


def test_a_document_that_is_no_mapping_or_no_list() -> None:
    assert said(fields("- 1\n")) == ["f:1: must be a mapping (key: value), not a list"]
    mistakes: list[Mistake] = []
    assert rows(read_yaml("a: 1", "f"), (), {"a": 1}, mistakes) == []
    assert str(mistakes[0]) == "f:1: must be a list (- ...), not a mapping"


def test_nearest_minds_no_capitals() -> None:
    assert nearest("F1", ["f1", "f2"]) == "; did you mean 'f1'?"
    assert nearest("pump", ["lift"]) == ""


@pytest.mark.parametrize("text", ["1.0e+308", "99999999999999999", "soon", "'-'"])
def test_a_duration_beyond_reason_is_a_mistake(text: str) -> None:
    f = fields(f"a: {text}\n")
    assert f.duration("a") == 0
    assert len(said(f)) == 1
