"""A computed point gives the same when it is compiled for the fields of an item, and what all items of a message say is
the same for each of them.
"""

from __future__ import annotations

from textwrap import dedent
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from dutyroom.errors import Rejected
from dutyroom.model.telemetry import Quality
from dutyroom.profiles.job import Here, Job
from dutyroom.profiles.loading import read_profile
from dutyroom.profiles.plan import PointPlan
from dutyroom.profiles.points import PointProgram
from dutyroom.timebase import zone

LAYOUT = read_profile(
    dedent("""
    class: generator
    match: {topics: ["x/{id}"]}
    identity: "{id}"
    each: "items[*]"
    points:
      sum: {value: a + b, low: -1000, high: 1000}
      share: {value: a / b, quantity: power, unit: kW}
      state: {value: 1 if a >= 300 else 0, kind: state}
      one_of: {value: b if a > 0 else inner, names: {inner: c.d}}
      large: {value: a * a * b}
      power: {value: a ** b}
      ours: {value: "b if '_name' == a else a"}
      tested: {value: a - b, when: {a: {above: 0}}}
      counted: {value: a * 10, kind: counter, step: 0.1, quantity: volume, digits: 6}
      site: {from: $.site, low: 0, high: 100}
      mode: {from: $.mode, kind: text}
    """),
    "acme/m",
).layouts[0]
VALUES = st.one_of(
    st.none(), st.booleans(), st.integers(-(10**12), 10**12), st.integers(-20, 20), st.floats(),
    st.sampled_from(["12.5", "", "x", "_name", 10**30, 1e300]),
)  # fmt: skip
PROGRAMS = [PointProgram(rule, zone("UTC")) for rule in LAYOUT.points]
PLAN = PointPlan(LAYOUT.points, PROGRAMS, False, several=True)


def by_points(here: Here, job: Job) -> None:
    for point in PROGRAMS:
        point.run(here, job)


def told(run: Any, document: dict[str, Any]) -> list[str] | str:
    """What all items of a document give; or that one of them cannot be computed."""
    job = Job(document, 0, document)
    for number, item in enumerate(document["items"]):
        job.items += 1
        try:
            run(Here(item, {}, f"m{number}", {}, number, Quality.GOOD), job)
        except Rejected as err:
            return err.reason
    return sorted(map(repr, (*job.readings, *job.findings)))


@given(
    st.lists(st.fixed_dictionaries({}, optional={"a": VALUES, "b": VALUES, "c": st.fixed_dictionaries({"d": VALUES})}), max_size=3),
    VALUES,
    st.one_of(st.none(), st.text(max_size=3)),
)  # fmt: skip
@settings(max_examples=400)
def test_the_same_as_point_by_point(items: list[dict[str, Any]], site: Any, mode: str | None) -> None:
    document = {"items": items, "site": site, "mode": mode}
    assert told(PLAN.run, document) == told(by_points, document)


def test_fields_of_the_whole_message_are_read_for_each_item() -> None:
    found = told(PLAN.run, {"items": [{}, {}], "site": 7, "mode": "auto"})
    assert [(r[:28], "7.0" in r, "'auto'" in r) for r in found] == [
        ("DecodedReading(address='m0',", False, True),
        ("DecodedReading(address='m0',", True, False),
        ("DecodedReading(address='m1',", False, True),
        ("DecodedReading(address='m1',", True, False),
    ]


def test_a_value_out_of_range_is_told_of_each_item() -> None:
    found = told(PLAN.run, {"items": [{}, {}], "site": 700})
    assert sum("out_of_range" in line for line in found) == 2
