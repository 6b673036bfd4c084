"""A message of which nothing was read: does the device have nothing to say, or does it say it in other words?"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from dutyroom.model.telemetry import Message
from dutyroom.profiles.decode import Library
from dutyroom.profiles.job import Anybody
from dutyroom.profiles.loading import load_profiles
from dutyroom.profiles.result import Decoded
from dutyroom.timebase import from_iso, zone

T = from_iso("2026-11-25T03:00:00Z")
TZ = zone("Asia/Shanghai")
PROFILE = """
name: Everything a layout may read
class: electricity_meter
match: {topics: ["e/{id}"]}
identity: "{id}"
time: {from: at, format: epoch_s}
attributes: {firmware: [fw, info.fw]}
points:
  energy: {from: [e.total, kwh], quantity: energy, unit: kWh, kind: counter, step: 0.01}
  power: {value: u * i, names: {i: amps}, quantity: power, unit: W}
  flow: {each: "log[*]", from: "@.f", quantity: number}
"""
SERIES = """
name: Several in one message
class: water_meter
match: {topics: ["g/{gateway}"]}
each: "meters[*]"
identity: "{@.id}"
points:
  volume: {from: m3, quantity: volume, unit: m3}
"""


def decoded(text: str, topic: str, payload: bytes, folder: Path) -> Decoded:
    file = folder / "acme" / "x.yaml"
    file.parent.mkdir(exist_ok=True)
    file.write_text(text, encoding="utf-8")
    profiles, mistakes = load_profiles(folder)
    assert not mistakes, [str(m) for m in mistakes]
    found = Library(profiles, TZ).decode(Message(topic, payload, T), Anybody("acme/x"))
    assert isinstance(found, Decoded)
    return found


@pytest.mark.parametrize(
    ("said", "unnamed"),
    [
        ({"e": {"sum": 4}}, True),
        ({"kWh": 4, "at": T // 1000}, True),
        ({"deep": [{"er": {"x": 1}}]}, True),
        ({"on": True}, True),
        ({"values": [4, 5]}, True),
        ({"values": [[4], [None]]}, True),
        ([4, 5], True),
        (4, True),
        ("off", True),
        ({}, False),
        ([], False),
        ({"values": [None, [], ""]}, False),
        ({"kwh": [4, 5]}, False),
        ({"at": T // 1000}, False),
        ({"kwh": None, "new": 4}, False),
        ({"e": {"total": None}, "new": 4}, False),
        ({"u": None, "new": 4}, False),
        ({"amps": None, "new": 4}, False),
        ({"fw": None, "new": 4}, False),
        ({"log": [{}], "new": 4}, False),
        ({"new": None, "other": "", "list": []}, False),
        ({"fw": "1.0", "new": 4}, False),
    ],
)
def test_what_a_document_says(said: object, unnamed: bool, tmp_path: Path) -> None:
    found = decoded(PROFILE, "e/1", json.dumps(said).encode(), tmp_path)
    assert not found.readings
    assert found.unnamed is unnamed


@pytest.mark.parametrize(
    ("meters", "unnamed"),
    [
        ([{"id": "a", "cbm": 1}, {"id": "b", "cbm": 2}], True),
        ([{"id": "a"}, {"id": "b"}], False),
        ([{"id": "a", "m3": None}, {"id": "b", "cbm": 2}], False),
        ([{"id": "a", "m3": 1}, {"id": "b", "cbm": 2}], False),
    ],
)
def test_what_the_items_of_a_message_say(meters: object, unnamed: bool, tmp_path: Path) -> None:
    found = decoded(SERIES, "g/1", json.dumps({"meters": meters}).encode(), tmp_path)
    assert found.unnamed is unnamed


TAGS = """
name: Tags by name
class: elevator
match: {topics: ["t/{id}"]}
identity: "{id}"
points:
  floor: {from: "tags[name==floor].value", quantity: number}
  state: {from: "tags[name==12].value", quantity: number}
"""


@pytest.mark.parametrize(
    ("tags", "unnamed"),
    [
        ([{"name": "etage", "value": 3}], True),
        ([{"name": "etage", "value": 3}, {"name": 13, "value": 1}], True),
        ([{"name": "floor", "value": None}], False),
        ([{"name": "floor", "error": 3002}, {"name": "etage", "value": 3}], True),
        ([{"name": 12, "value": None}], False),
        ([], False),
    ],
)
def test_elements_that_are_found_by_name_may_be_renamed(tags: object, unnamed: bool, tmp_path: Path) -> None:
    said = json.dumps({"name": "lift", "tags": tags}).encode()
    found = decoded(TAGS, "t/1", said, tmp_path)
    assert not found.readings
    assert found.unnamed is unnamed


REST = """
name: All that it says
class: sensor
match: {topics: ["r/{id}"]}
identity: "{id}"
points:
  level: {from: level, quantity: level}
rest: {skip: [rssi]}
"""


def test_what_a_profile_passes_over_by_name_is_no_news(tmp_path: Path) -> None:
    found = decoded(REST, "r/1", b'{"rssi": -80}', tmp_path)
    assert (found.readings, found.attributes, found.unnamed) == ([], [], False)
    assert [r.spec.name for r in decoded(REST, "r/1", b'{"new": 4}', tmp_path).readings] == ["new"]


SERIES_BY_NAME = """
name: Tags chosen by a test
class: elevator
match: {topics: ["w/{id}"]}
identity: "{id}"
points:
  floor: {each: "tags[*]", from: "@.value", when: {"@.name": floor}, quantity: number}
  door: {each: "tags[*]", from: "@.value", when: {"@.name": [door, gate], "@.quality": good}, quantity: number}
"""
ITEMS_BY_NAME = """
name: Items chosen by a test
class: elevator
match: {topics: ["w/{id}"]}
each: "tags[*]"
identity: "{id}"
points:
  floor: {from: "@.value", when: {"@.name": floor}, quantity: number}
"""
JUDGED = """
name: Values that count
class: elevator
match: {topics: ["w/{id}"]}
identity: "{id}"
points:
  floor: {each: "log[*]", from: "@.value", when: {"@.quality": good}, quantity: number}
  door: {each: "log[*]", from: "@.door", when: {"@.valid": true}, quantity: number}
"""


@pytest.mark.parametrize(
    ("profile", "said", "unnamed"),
    [
        (SERIES_BY_NAME, {"tags": [{"name": "etage", "value": 3, "quality": "good"}]}, True),
        (SERIES_BY_NAME, {"tags": [{"name": "etage", "value": 3}, {"name": "hatch", "value": 1}]}, True),
        (SERIES_BY_NAME, {"tags": [{"name": "etage", "value": 3}, {"name": "floor", "value": None}]}, False),
        (SERIES_BY_NAME, {"tags": [{"name": "gate", "value": 3, "quality": "bad"}]}, False),
        (SERIES_BY_NAME, {"tags": [{"name": None, "value": None}]}, False),
        (SERIES_BY_NAME, {"tags": []}, False),
        (ITEMS_BY_NAME, {"tags": [{"name": "etage", "value": 3}]}, True),
        (ITEMS_BY_NAME, {"tags": [{"name": "etage", "value": 3}, {"name": "floor", "value": None}]}, False),
        (JUDGED, {"log": [{"quality": "bad", "value": 3, "valid": False, "door": 1}]}, False),
        (JUDGED, {"log": [{"quality": "bad", "value": 3, "depth": 1}]}, False),
    ],
)
def test_elements_that_a_test_finds_by_name_may_be_renamed(
    profile: str, said: object, unnamed: bool, tmp_path: Path
) -> None:
    found = decoded(profile, "w/1", json.dumps(said).encode(), tmp_path)
    assert not found.readings
    assert found.unnamed is unnamed


@pytest.mark.parametrize(
    ("meters", "quiet", "renamed"),
    [
        ([{"id": "a", "m3": 1}, {"id": "b", "cbm": 2}], ("b",), ("b",)),
        ([{"id": "a", "m3": 1}, {"id": "b", "m3": None, "cbm": 2}], ("b",), ()),
        ([{"id": "a", "m3": 1}, {"id": "b"}], ("b",), ()),
        ([{"id": "a", "m3": 1}, {"id": "b", "cbm": 2}, {"id": "b", "m3": 2}], (), ()),
        ([{"id": "a", "m3": 1}, {"id": "b", "cbm": 2}, {"id": "b", "m3": None}], ("b",), ()),
        ([{"id": "a", "cbm": 1}, {"id": "b", "cbm": 2}], (), ()),
        ([{"id": "a", "m3": 1}], (), ()),
    ],
)
def test_of_whom_nothing_is_read_while_of_others_something_is(
    meters: object, quiet: tuple[str, ...], renamed: tuple[str, ...], tmp_path: Path
) -> None:
    found = decoded(SERIES, "g/1", json.dumps({"meters": meters}).encode(), tmp_path)
    assert (found.quiet, found.renamed) == (quiet, renamed)
