"""A compiled table gives what the loop over its fields gives."""

from __future__ import annotations

from textwrap import dedent
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from dutyroom.model.telemetry import Quality
from dutyroom.profiles.job import Here, Job
from dutyroom.profiles.loading import read_profile
from dutyroom.profiles.plan import PointPlan
from dutyroom.profiles.points import PointProgram
from dutyroom.profiles.tables import OFTEN
from dutyroom.timebase import zone

LAYOUT = read_profile(
    dedent("""
    class: generator
    match: {topics: ["x/{id}"]}
    identity: "{id}"
    points:
      a: {}
      b: {low: 0, high: 10}
      c: {quantity: pressure, unit: kPa}
      d: {quantity: temperature, unit: degF}
      e: {kind: counter, step: 0.001, quantity: volume, digits: 6}
      f: {kind: state}
      g: {kind: text}
      h: {kind: state, map: {on: 1, off: 0}}
      i: {scale: 0.1, none: [7]}
    """),
    "acme/m",
).layouts[0]
VALUES = st.one_of(
    st.none(), st.booleans(), st.integers(-(10**12), 10**12), st.floats(), st.sampled_from(["on", "12.5", "", "x", -0.0]),
    st.decimals(0, 2000, places=3).map(float),
)  # fmt: skip


def plan() -> PointPlan:
    return PointPlan(LAYOUT.points, [PointProgram(rule, zone("UTC")) for rule in LAYOUT.points], False)


def told(plan: PointPlan, item: dict[str, Any]) -> list[str]:
    job = Job(item, 0, item)
    plan.run(Here(item, {}, "m", {}, 5, Quality.GOOD), job)
    return sorted(map(repr, (*job.readings, *job.findings)))


OFTEN_ASKED = plan()
for _ in range(OFTEN + 2):
    told(OFTEN_ASKED, dict.fromkeys("abcdefghijk", 1))


@given(st.dictionaries(st.sampled_from("abcdefghi"), VALUES))
@settings(max_examples=300)
def test_the_same_readings_and_findings(some: dict[str, Any]) -> None:
    item = dict.fromkeys("abcdefghijk") | some  # no shorter than the table: else it is gone through itself
    assert told(OFTEN_ASKED, item) == told(plan(), item)


def test_it_was_compiled() -> None:
    assert all(table.straight is not None for table in OFTEN_ASKED._usual._top)
