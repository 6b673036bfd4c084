"""The shipped profiles prove themselves, and read no message of another."""

import json
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import create_engine

from dutyroom.api.words import read_catalogue
from dutyroom.backends.records_sql.columns import Labels
from dutyroom.model.telemetry import Message
from dutyroom.profiles.attempt import NOBODY
from dutyroom.profiles.checking import check_profile, check_profiles
from dutyroom.profiles.decode import Decoded, Library, load_library
from dutyroom.profiles.job import Anybody
from dutyroom.profiles.loading import read_profile
from dutyroom.timebase import from_iso

FOLDER = Path(__file__).parents[3] / "device_profiles"
TZ = ZoneInfo("Asia/Shanghai")


@pytest.fixture(scope="module")
def library() -> Library:
    return load_library(FOLDER, TZ)


def test_every_example_of_every_profile_gives_what_it_says() -> None:
    assert [str(m) for m in check_profiles(FOLDER, keys=read_catalogue())] == []


def test_every_profile_has_names_in_both_languages_and_an_odd_example(library: Library) -> None:
    for profile in library.profiles.values():
        assert {"en", "zh-CN"} <= set(profile.name), profile.id
        assert profile.products, profile.id
        # What is odd may be a state like any other (a low battery, smoke): that there is a second message can be held.
        assert len({example.payload for example in profile.examples}) >= 2, profile.id


def test_all_profiles_together_choose_the_one_that_each_example_belongs_to(library: Library) -> None:
    received = from_iso("2026-11-01T00:00:10Z")
    for profile in library.profiles.values():
        for example in profile.examples:
            if example.ignored or example.refused:
                continue
            at = from_iso(example.received) if example.received else received
            message = Message(example.topic, example.payload, at)
            outcome = library.decode(message, Anybody(profile.id))
            assert isinstance(outcome, Decoded), (profile.id, outcome)
            assert outcome.profile == profile.id
            if profile.envelope == "lorawan":  # bytes alone do not say of which product they are
                continue
            adopted = library.decode(message, NOBODY, adopt=True)
            assert isinstance(adopted, Decoded)
            known = library.profiles[adopted.profile]
            assert profile.fallback or not known.fallback, (profile.id, adopted.profile)


PROFILE = """
class: tank
match: {topics: ["t/{id}"]}
identity: "{id}"
points: {level: {from: level, quantity: level, unit: cm}}
attributes: {model: model}
examples:
  - topic: t/1
    payload: {level: 150, model: X}
"""


@pytest.mark.parametrize(
    ("example", "told"),
    [
        ("expect: {'1': {level: 1.5}}", None),
        ("expect: {'1': {level: 150}}", ".expect.1.level: 150 expected, 1.5 given"),
        ("expect: {'1': {level: null}}", ".expect.1.level: no reading expected, 1.5 given"),
        ("expect: {'1': {depth: 1}}", ".expect.1.depth: 1 expected, no reading; 1 has level"),
        ("expect: {'2': {level: 1}}", "1 expected, no reading; readings are of 1"),
        ("attributes: {'1': {model: Y}}", ".attributes.1.model: 'Y' expected, 'X' given"),
        ("findings: [clock_wrong]", ".findings: clock_wrong not found"),
        ("events: [{code: x}]", ".events[0]: {code: x} expected; given: none"),
        ("refused: malformed", "was to be refused, but was decoded"),
        ("received: tomorrow", "'tomorrow' is not an ISO 8601 time"),
        ("time: 2026-11-01T00:00:00Z", ".time:"),
    ],
)
def test_an_example_that_is_wrong_says_what_it_got(example: str, told: str | None) -> None:
    found = check_profile(read_profile(PROFILE + f"    {example}\n"), TZ)
    if told is None:
        assert found == []
    else:
        assert told in str(found[0])
        assert found[0].line == 8


def test_an_example_of_a_topic_that_does_not_fit_names_those_that_would() -> None:
    text = PROFILE + "    expect: {}\n"
    profile = read_profile(text)
    (topic,) = {example.topic for example in profile.examples}
    wrong = text.replace(f"topic: {topic}", "topic: nowhere/else")
    assert wrong != text
    (mistake,) = check_profile(read_profile(wrong), TZ)
    filters = ", ".join(f.text for f in profile.layouts[0].filters)
    assert mistake.field == "examples[0].topic"
    assert mistake.message == f"'nowhere/else' fits none of the topics of the profile: {filters}"


def test_a_profile_without_an_example_is_a_mistake() -> None:
    found = check_profile(read_profile(PROFILE.partition("examples:")[0]), TZ)
    assert "a profile needs a recorded message" in str(found[0])


def test_a_level_of_sound_is_in_decibel_and_no_height(library: Library) -> None:
    loud = {
        f"{p.id}:{point.name}": point.unit
        for p in library.profiles.values()
        for point in p.points
        if point.name.split("_")[0] in ("sound", "noise")
        or (p.id == "milesight/ws302" and "level" in point.name)
    }
    assert len(loud) > 8
    assert {name: unit for name, unit in loud.items() if unit != "dB"} == {}
    sound = library.profiles["milesight/ws302"]
    names = {point.name: point.quantity for point in sound.points}
    assert names["sound_level"] == "sound_level"
    assert "level" not in names  # a page would call it the level of a liquid


@pytest.mark.parametrize("language", ["en", "zh-CN"])
def test_every_label_has_its_words(library: Library, language: str) -> None:
    pages = Path(__file__).parents[3] / "services" / "dutyroom" / "api" / "pages"
    words = json.loads((pages / "locales" / language / "profiles.json").read_text(encoding="utf-8"))
    labels = [
        label for p in library.profiles.values() for point in p.points for label in point.labels.values()
    ]
    assert {label for label in labels if isinstance(label, str)} == set(words)
    assert all(label.get(language) for label in labels if not isinstance(label, str))


def test_fault_codes_of_a_lift_have_words_in_each_language_that_are_stored_as_they_are(
    library: Library,
) -> None:
    points = library.profiles["monarch/nice3000-neuron"].points
    (code,) = [point for point in points if point.name == "fault_code"]
    assert code.labels[0] == "value.state.none"
    assert code.labels[41] == {"zh-CN": "安全回路断开", "en": "Safety circuit open"}
    engine = create_engine("sqlite://")
    stored = Labels().process_bind_param(code.labels, engine.dialect)
    assert Labels().process_result_value(stored, engine.dialect) == code.labels
