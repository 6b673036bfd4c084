"""Fields that no point names: what is remembered of them stays bounded, and messages read the same after it is forgotten."""

from __future__ import annotations

from textwrap import dedent
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dutyroom.model.telemetry import Quality
from dutyroom.profiles import rest as module
from dutyroom.profiles.job import Here, Job
from dutyroom.profiles.loading import read_profile
from dutyroom.profiles.rest import Rest
from dutyroom.profiles.restnames import Together

TEXT = """
class: generator
match: {topics: ["x/{id}"]}
identity: "{id}"
points: {named: {}}
"""
RULE = "{suffix: true, skip: ['box*'], attributes: [serial], texts: [mode]}"
USUAL = {
    "temp_c": 21.5,
    "serial": 7,
    "mode": "auto",
    "a": {"b": [1, True, "x"]},
    "box1": {"y": 1},
    "none": None,
}


def rest(together: Together, rule: str = RULE) -> Rest:
    profile = read_profile(f"{dedent(TEXT)}rest: {rule}\n", "acme/m")
    layout = profile.layouts[0]
    assert layout.rest is not None
    return Rest(layout, layout.rest, profile, b"", together)


def told(rule: Rest, item: dict[str, Any]) -> list[str]:
    job = Job(item, 0, item)
    rule.run(Here(item, {}, "m", {}, 5, Quality.GOOD), job)
    return [*map(repr, job.readings), *map(repr, job.attributes)]


@pytest.fixture(autouse=True)
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_NAMES", 50)


def test_keys_that_are_never_the_same_take_no_memory_and_the_usual_ones_read_on() -> None:
    rule, fresh = rest(Together()), rest(Together())
    usual = told(fresh, USUAL)
    assert len(usual) == 6
    for second in range(200):
        message = {f"at{second}": {"v": second, "box": {}}, f"box{second}": {"z": 1}, f"t{second}_c": 1.5}
        assert told(rule, message) == told(rest(Together()), message)
        assert told(rule, USUAL) == usual
        assert rule.remembered <= 2 * 50


def test_one_message_with_more_keys_than_are_remembered_is_read_whole() -> None:
    rule = rest(Together())
    wide = {f"k{n}": {"v": n} for n in range(300)}
    assert len(told(rule, wide)) == 300
    assert rule.remembered <= 2 * 50
    assert told(rule, {f"k{n}": {} for n in range(5000)}) == []
    assert rule.remembered <= 2 * 50
    assert len(told(rule, wide)) == 300


def test_names_in_a_list_are_bounded_too() -> None:
    rule = rest(Together(), "{from: list, name: n, value: v}")
    for number in range(300):
        text = told(rule, {"list": [{"n": f"x{number}", "v": number}, {"n": "y", "v": 1}]})
        assert len(text) == 2
        assert f"name='x{number}'" in text[0]
        assert rule.remembered <= 2 * 50


def test_all_layouts_together_remember_no_more_than_is_allowed() -> None:
    together = Together(120)
    rules = [rest(together) for _ in range(30)]
    usual = told(rest(Together()), USUAL)
    for number in range(60):
        for rule in rules:
            told(rule, {f"k{number}": 1})
            assert sum(r.remembered for r in rules) <= 120
    assert all(told(rule, USUAL) == usual for rule in rules)


def test_a_layout_that_is_gone_counts_no_more() -> None:
    together = Together(40)
    kept = rest(together)
    told(kept, {"k": 1})
    for _ in range(50):
        told(rest(together), {"a": 1, "b": 2})
    assert kept.remembered == 2  # it would have had to forget for those that are gone


def test_what_is_in_the_middle_of_a_message_when_all_is_forgotten_is_read_to_its_end() -> None:
    rule = rest(Together(3))
    assert told(rule, USUAL) == told(rest(Together()), USUAL)


KEYS = st.text("ab_c.[", max_size=3)
ITEMS = st.dictionaries(
    KEYS,
    st.recursive(
        st.one_of(st.none(), st.booleans(), st.integers(-9, 9), st.text(max_size=2)),
        lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(KEYS, inner, max_size=3)),
        max_leaves=8,
    ),
)


@given(st.lists(ITEMS, min_size=1, max_size=12), st.integers(0, 60))
@settings(max_examples=60, deadline=None)
def test_what_is_remembered_never_changes_what_is_read(items: list[dict[str, Any]], most: int) -> None:
    together = Together(most)
    rules = rest(together), rest(together)
    for number, item in enumerate(items):
        assert told(rules[number % 2], item) == told(rest(Together()), item)
        assert sum(rule.remembered for rule in rules) <= most
