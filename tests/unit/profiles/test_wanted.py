"""What a layout reads of a decoded document, told from its rules."""

from __future__ import annotations

from textwrap import dedent

import pytest

from dutyroom.profiles.codecs.seam import Wanted
from dutyroom.profiles.loading import read_profile
from dutyroom.profiles.wanted import left_out, wanted

BASE = """
class: generator
match: {topics: ["x/{id}"], when: {w: {exists: true}}}
unwrap: [raw]
codec: {name: j1939, frames: ""}
each: engine
identity: "{@.who}"
time: at
points:
  a: {from: one}
  b: {from: two, kind: counter, step: 1}
"""


def read(more: str = "", base: str = BASE) -> Wanted | None:
    return wanted(read_profile(dedent(base) + more, "acme/m").layouts)


def test_fields_by_name_and_which_are_numbers() -> None:
    found = read()
    assert found is not None
    assert found.names == {"w", "engine", "who", "at", "one", "two"}
    assert found.numbers == {"one", "two"}
    assert found.free("anything")


@pytest.mark.parametrize(
    ("point", "names", "numbers"),
    [
        ("{from: three, kind: text}", {"three"}, set()),
        ("{from: three, map: {1: 2}}", {"three"}, set()),
        ("{from: three, none: [1]}", {"three"}, set()),
        ("{from: three, when: {four: [1]}}", {"three", "four"}, {"three"}),
        ("{from: three, unit_from: four, quantity: power}", {"three", "four"}, {"three"}),
        ("{from: three.four}", {"three", "four"}, set()),
        ("{from: [three, four]}", {"three", "four"}, set()),
        ('{from: "list[kind==x].five"}', {"list", "kind", "five"}, set()),
        ('{value: "p + q", names: {q: deep.place}}', {"p", "q", "deep", "place"}, set()),
        ('{each: "list[*]", from: three, time: four}', {"list", "three", "four"}, set()),
        ("{from: three, kind: counter, step: 1, reset_when: {four: [1]}}", {"three", "four"}, {"three"}),
        ("{from: one}", set(), set()),
    ],
)
def test_every_part_of_a_point(point: str, names: set[str], numbers: set[str]) -> None:
    found = read(f"  c: {point}\n")
    assert found is not None
    assert found.names == {"w", "engine", "who", "at", "one", "two"} | names
    assert found.numbers == {"one", "two"} | numbers


def test_what_an_attribute_or_an_event_shows_stays_as_it_is() -> None:
    found = read("attributes: {one: one}\n")
    assert found is not None
    assert found.numbers == {"two"}
    found = read(
        'events: {f: {each: "faults[*]", code: "{@.spn}", arguments: {two: two}, when: {up: [1]}}}\n'
    )
    assert found is not None
    assert found.numbers == {"one"}
    assert {"faults", "spn", "up"} <= found.names
    assert not found.free("faults")


@pytest.mark.parametrize(
    "more",
    [
        '  c: {from: "{key}"}\n',
        '  "{key}": {from: "reasons.{key}"}\n',
        "events: {f: {code: started}}\n",
        'events: {f: {each: "$.engine", code: started}}\n',
        "rest: {}\n",
        'rest: {from: "@.metrics"}\n',
    ],
)
def test_where_everything_may_be_read_nothing_is_left_out(more: str) -> None:
    assert read(more) is None


def test_what_rest_passes_over_is_free() -> None:
    found = read('rest: {from: $, skip: ["can1*", "a?b*", gone]}\n')
    assert found is not None
    assert found.free("can1")
    assert not found.free("gone")


TELEGRAMS = """
class: water_meter
match: {topics: ["x/{id}"]}
codec: {name: wmbus}
identity: "{id}"
points:
  volume: {from: values.volume, unit_from: units.volume, kind: counter, step: 1}
  "{other}": {from: "register.volume.{other}", quantity: volume}
"""


@pytest.mark.parametrize(
    ("more", "unread"),
    [
        ("", True),
        ("rest: {from: texts}\n", True),
        ("attributes: {first: 'records[0].name'}\n", False),
        ("attributes: {first: '$.decoded.records[0].name'}\n", False),
        ("  c: {from: 'records[name==energy].value'}\n", False),
        ("  c: {value: n, names: {n: 'records[0].value'}}\n", False),
        ("  'v_{id}': {from: '*.volume', quantity: volume}\n", False),
        ("rest: {}\n", False),
        ("rest: {from: $}\n", False),
        ("events:\n  alarm: {code: '{@.status}'}\n", False),  # without an id, it is known by the whole item
        ("events:\n  alarm: {each: 'records[*]', code: '{@.name}'}\n", False),
    ],
)
def test_a_field_that_costs_much_is_left_out_where_nothing_reads_it(more: str, unread: bool) -> None:
    layouts = read_profile(dedent(TELEGRAMS) + more, "acme/m").layouts
    assert left_out(layouts, frozenset({"records"})) == (frozenset({"records"}) if unread else frozenset())


def test_fields_that_are_read_as_numbers_or_looked_at_whether_they_are_there() -> None:
    more = """\
  c: {value: "three * 2 if four else 0", names: {four: five}}
  d: {from: reasons.one, when: {two: {exists: true}}, kind: state, map: {x: 1}}
  e: {from: six, kind: text}
  f: {value: "six + 1"}
"""
    found = read(more)
    assert found is not None
    assert found.numbers == frozenset()
    assert {"one", "two", "three", "five"} <= found.computed
    assert not found.computed & {"six", "reasons", "at", "who"}
