"""Paths and templates."""

import pytest

from dutyroom.errors import Rejected
from dutyroom.profiles.paths import MISSING, as_text, getter, parse, walker
from dutyroom.profiles.templates import first_template, template

DOCUMENT = {
    "id": "007",
    "a": {"b": {"c": 1.5}, "d.e": "dotted"},
    "em1:0": {"voltage": 230},
    "tags": [{"name": "floor", "value": 12}, {"name": "door", "error": 2014}, "noise"],
    "lifts": {"A": {"state": 1}, "B": {"state": 0}},
    "total": [0.0, 2.9],
    "none": None,
}


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("id", "007"),
        ("a.b.c", 1.5),
        ('a."d.e"', "dotted"),
        ('"em1:0".voltage', 230),
        ("em1:0.voltage", 230),
        ("tags[0].value", 12),
        ("tags[-1]", "noise"),
        ("tags[9].value", MISSING),
        ("tags[name==floor].value", 12),
        ("tags[name==door].value", MISSING),
        ("tags[name==roof].value", MISSING),
        ("$.a.b.c", 1.5),
        ("@.id", "007"),
        ("lifts.*.state", 1),
        ("none", None),
        ("none.deeper", MISSING),
        ("a.b.c.deeper", MISSING),
        ("id[0]", MISSING),
    ],
)
def test_a_path_finds_its_value(path: str, value: object) -> None:
    assert getter([parse(path)])(DOCUMENT, DOCUMENT) == value


def test_the_first_present_of_several_paths_counts() -> None:
    get = getter([parse("missing"), parse("none"), parse("a.b.c")])
    assert get(DOCUMENT, DOCUMENT) == 1.5
    assert getter([parse("x"), parse("y")])(DOCUMENT, DOCUMENT) is MISSING


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("lifts.{lift}.state", [({"lift": "A"}, 1), ({"lift": "B"}, 0)]),
        ("total[{channel}]", [({"channel": "0"}, 0.0), ({"channel": "1"}, 2.9)]),
        ("tags[*].value", [({}, 12)]),
        ("id[*]", []),
    ],
)
def test_a_wildcard_remembers_the_key(path: str, found: object) -> None:
    assert list(walker(parse(path))(DOCUMENT, DOCUMENT)) == found


@pytest.mark.parametrize("path", ["a..b", "a.", "tags[", "tags[x]", 'a."b', "a b", "{a}{b}"])
def test_what_is_no_path_is_refused(path: str) -> None:
    with pytest.raises(Rejected, match="cannot be read"):
        parse(path)


def test_a_template_joins_topic_levels_and_values() -> None:
    captures = {"portal": "c061", "n": "0"}
    assert template("{portal}/genset/{n}")(captures, {}, {}) == "c061/genset/0"
    assert template("{$.id}-{@.x|upper}")(captures, {"x": "ab"}, DOCUMENT) == "007-AB"
    assert template("{gone}")(captures, {}, {}) is None
    assert template("{$.none}")(captures, {}, DOCUMENT) is None
    assert template("{$.tags}")(captures, {}, DOCUMENT) is None


def test_the_first_complete_template_counts() -> None:
    render = first_template(["{@.model}/{@.id}", "{@.model}"])
    assert render({}, {"model": "EcoEye"}, {}) == "EcoEye"
    assert render({}, {"model": "EMT", "id": 7}, {}) == "EMT/7"
    assert render({}, {}, {}) is None


@pytest.mark.parametrize("text", ["{a", "a}", "{a b}", "{a|shout}", "{}"])
def test_what_is_no_template_is_refused(text: str) -> None:
    with pytest.raises(Rejected):
        template(text)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (405419896, "405419896"),
        (1.0, "1"),
        (2.5, "2.5"),
        (True, "true"),
        ("x", "x"),
        (None, None),
        ([], None),
    ],
)
def test_scalars_as_text(value: object, text: str | None) -> None:
    assert as_text(value) == text


def test_a_search_of_the_whole_document_is_made_once() -> None:
    get = getter([parse("$.x[n==last].v")])
    document = {"x": [*({"n": str(n)} for n in range(10_000)), {"n": "last", "v": 7}]}
    assert {get(item, document) for item in range(10_000)} == {7}  # takes minutes, when made for each
    assert get(0, {"x": [{"n": "last", "v": 8}]}) == 8
    assert get(0, document) == 7
    assert get(0, None) is MISSING
