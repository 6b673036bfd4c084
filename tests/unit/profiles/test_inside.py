"""JSON that stands as a text in JSON, and tests of all elements of a batch."""

import json

import pytest
from tests.unit.profiles.test_decode import library, readings, send
from tests.unit.profiles.test_loading import mistakes

from dutyroom.profiles.decode import Ignored, Refused

SERVER = """
class: sensor
match: {topics: [up]}
unwrap: [json, {parse: payload.text, as: object}]
identity: "{$.payload.eui}"
points: {level: {from: object.level, quantity: level}}
"""


def test_a_text_of_json_beside_whose_it_is() -> None:
    lib = library(SERVER)
    sent = {"payload": {"eui": "e1", "text": '{"level": 2.5}'}}
    assert readings(send(lib, "up", sent)) == {("e1", "level"): 2.5}
    in_place = library(SERVER.replace(", as: object", "").replace("object.level", "payload.text.level"))
    assert readings(send(in_place, "up", sent)) == {("e1", "level"): 2.5}


@pytest.mark.parametrize("text", ["", "  ", None, 7, {"level": 1}])
def test_what_is_no_text_stays(text: object) -> None:
    assert readings(send(library(SERVER), "up", {"payload": {"eui": "e1", "text": text}})) == {}


def test_a_broken_text_is_told_with_its_place() -> None:
    refused = send(library(SERVER), "up", {"payload": {"eui": "e1", "text": '{"level": 2.'}})
    assert isinstance(refused, Refused)
    assert refused.reason == "malformed"
    assert refused.detail.startswith("payload.text: not JSON")


def test_a_document_that_is_no_object_is_no_fault_of_ours() -> None:
    for payload in ([1], 5, "x", None):
        assert isinstance(send(library(SERVER), "up", payload), Refused)


@pytest.mark.parametrize(
    ("stage", "told"),
    [
        ('{parse: "a[*]"}', "a path to one named field"),
        ('{parse: "a[0]"}', "a path to one named field"),
        ("{as: b}", "goes with `parse`"),
    ],
)
def test_a_stage_that_cannot_be(stage: str, told: str) -> None:
    text = SERVER.replace("{parse: payload.text, as: object}", stage)
    assert any(told in m for m in mistakes(text)), mistakes(text)


BATCH = """
class: sensor
match: {topics: [up]}
identity: "{@.id}"
each: batch[*]
points: {level: {quantity: level}}
layouts:
  - {when: {"batch[*].unit": [cm, mm]}, reject: another unit}
  - {when: {"batch[*].kind": {not: [test, idle]}, "batch[*].n": {above: 5}}}
  - {ignore: idle, when: {"batch[*].*": {match: "idl*"}}}
"""


def test_a_test_looks_at_every_element() -> None:
    lib = library(BATCH)

    def told(*elements: dict[str, object]) -> object:
        return send(lib, "up", {"batch": [{"id": str(n), "level": n, **e} for n, e in enumerate(elements)]})

    assert len(readings(told({"n": 1}, {"n": 9}))) == 2
    assert told({"n": 9}, {"unit": "mm"}) == Refused("rejected", "acme/m0: another unit")
    assert told({"n": 9}, {"kind": "idle"}) == Ignored("acme/m0", "idle", "0")  # `not`: none of them is
    for other in (told({"n": 1}, {}), told({"n": 9}, {"kind": "test"}), send(lib, "up", {"batch": 3})):
        assert isinstance(other, Refused)
        assert other.reason == "no_layout"


ALTERNATIVES = """
class: sensor
match: {topics: ["s/{id}"]}
identity: "{id}"
points:
  level: {from: [a.x, b.x, c], quantity: number}
  flow: {from: ["list[*]", d], quantity: number}
rest: true
"""


@pytest.mark.parametrize(
    ("sent", "names"),
    [
        ({"a": {"x": 1}, "b": {"x": 2}, "c": 3}, {"level": 1.0, "b.x": 2.0, "c": 3.0}),
        ({"a": {"x": None}, "b": {"x": 2}, "c": "3"}, {"level": 2.0}),
        ({"b": {"x": 2}, "c": 3, "d": 4}, {"level": 2.0, "c": 3.0, "flow": 4.0}),
        ({"c": 3, "list": [5], "d": 4}, {"level": 3.0, "flow": 5.0, "d": 4.0, "list[0]": 5.0}),
        ({"c": "3"}, {"level": 3.0}),
    ],
)
def test_of_several_paths_the_one_that_is_read_is_no_rest(sent: object, names: dict[str, float]) -> None:
    found = readings(send(library(ALTERNATIVES), "s/1", json.loads(json.dumps(sent))))
    assert {name: value for (_, name), value in found.items()} == names
