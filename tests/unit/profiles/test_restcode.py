"""Fields that no point names: what is compiled for objects that come often gives what the loop gives."""

from __future__ import annotations

from textwrap import dedent
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dutyroom.model.telemetry import Quality
from dutyroom.profiles.job import Here, Job
from dutyroom.profiles.loading import read_profile
from dutyroom.profiles.rest import Rest
from dutyroom.profiles.restcode import MAX_SHAPES, OFTEN

PROFILE = read_profile(
    dedent("""
    class: generator
    match: {topics: ["x/{id}"]}
    identity: "{id}"
    time: [at, time]
    points: {named: {}}
    rest: {suffix: true, units: {"p*": kPa}, skip: ["box*", left], attributes: [serial], texts: [mode]}
    privacy: {card: drop}
    """),
    "acme/m",
)
FIELDS = ("named", "temp_c", "p1", "box", "left", "serial", "mode", "card", "at", "time", "x", "y")
VALUES = st.one_of(
    st.none(), st.booleans(), st.integers(-(2**63), 2**64 - 1), st.floats(), st.text(max_size=5),
    st.sampled_from([-0.0, {}, [], {"a": 1}, [1, 2]]),
)  # fmt: skip


def rest() -> Rest:
    rule = PROFILE.layouts[0].rest
    assert rule is not None
    return Rest(PROFILE.layouts[0], rule, PROFILE, b"")


def told(rule: Rest, item: dict[str, Any], taken: str = "") -> list[str]:
    job = Job(item, 0, item)
    rule.run(Here(item, {}, "m", {}, 5, Quality.GOOD, taken), job)
    return [*map(repr, job.readings), *map(repr, job.attributes)]


OFTEN_ASKED = rest()
for name in ("", "at"):
    for _ in range(OFTEN + 1):
        told(OFTEN_ASKED, dict.fromkeys(FIELDS, 1), name)


@given(st.lists(VALUES, min_size=len(FIELDS), max_size=len(FIELDS)), st.sampled_from(["", "at", "time"]))
@settings(max_examples=300)
def test_the_same_readings_and_attributes(values: list[Any], taken: str) -> None:
    item = dict(zip(FIELDS, values, strict=True))
    assert told(OFTEN_ASKED, item, taken) == told(rest(), item, taken)


def test_it_was_compiled() -> None:
    assert OFTEN_ASKED._shapes is not None
    assert set(OFTEN_ASKED._shapes.compiled) >= {
        ("", *FIELDS),
        ("at", *FIELDS),
    }  # others may have come often, too


def test_a_field_that_gave_the_time_is_a_leaf_where_another_did() -> None:
    item = dict.fromkeys(FIELDS, 1)
    assert any("'at'" in text for text in told(OFTEN_ASKED, item, "time"))
    assert not any("'at'" in text for text in told(OFTEN_ASKED, item, "at"))


@pytest.mark.parametrize("item", [{"x": {"y": 1}}, {}])
def test_where_nothing_can_be_compiled_nothing_is_tried_for_ever(item: dict[str, Any]) -> None:
    rule = rest()
    for _ in range(MAX_SHAPES + 3):
        assert told(rule, item) == told(rest(), item)
    assert not item or rule._shapes is None


def test_objects_that_are_never_the_same_take_no_room() -> None:
    rule = rest()
    for number in range(3 * MAX_SHAPES):
        told(rule, {f"x{number}": 1, "y": 2})
    assert rule._shapes is None


def test_no_more_are_compiled_than_may_be() -> None:
    rule = rest()
    for number in range(MAX_SHAPES + 5):
        for _ in range(OFTEN + 2):
            told(rule, {f"x{number}": 1})
    assert rule._shapes is not None
    assert len(rule._shapes.compiled) == MAX_SHAPES
