"""plans.yaml: what is read, and every mistake with its place."""

from __future__ import annotations

from datetime import date, time

import pytest

from dutyroom.errors import Invalid
from dutyroom.model.duty import Priority
from dutyroom.plans import Proof, Schedule, parse_plans
from dutyroom.rules.spec import Select
from dutyroom.timebase import DAY

GOOD = """\
plans:
  - id: generator-test
    name: {zh-CN: 发电机试运行, en: Generator test run}
    every: 15d
    anchor: 2026-01-05
    at: 10:00
    priority: 2
    grace: 2d
    ahead: 1d
    select: {classes: [generator]}
    proof: {minutes: 30, load_kw: 60}
    checklist: {zh-CN: [检查油位], en: [Check the fuel]}
    skill: electrician
  - id: tank-cleaning
    name: Tank cleaning
    monthly: 31
    every_months: 3
    at: "09:00"
    grace: 7d
  - id: reading-day
    name: Reading day
    monthly: 1
    at: 00:30
    grace: 1d
    reading_day: true
"""


def test_a_good_file():
    test, tank, reading = parse_plans(GOOD, "plans.yaml")
    assert test.schedule == Schedule(time(10), every_days=15, anchor=date(2026, 1, 5))
    assert (test.priority, test.grace, test.ahead) == (Priority.HIGH, 2 * DAY, DAY)
    assert test.select == Select(classes=("generator",))
    assert test.proof == Proof("running", "power", 30.0, 60.0)
    assert test.checklist["zh-CN"] == ("检查油位",)
    assert tank.schedule == Schedule(time(9), month_day=31, every_months=3)
    assert tank.name == {"zh-CN": "Tank cleaning", "en": "Tank cleaning"}
    assert reading.reading_day
    assert reading.select is None


def test_an_empty_file_has_no_plans():
    assert parse_plans("", "plans.yaml") == ()


@pytest.mark.parametrize(
    ("old", "new", "line", "field", "words"),
    [
        ("at: 10:00", "at: 25:00", 6, "plans[0].at", "not a local time"),
        ("every: 15d", "every: 36h", 4, "plans[0].every", "whole days"),
        ("anchor: 2026-01-05", "anchor: 5 January", 5, "plans[0].anchor", "not a date"),
        ("    anchor: 2026-01-05\n", "", 2, "plans[0]", "anchor is missing"),
        ("    every: 15d\n", "", 2, "plans[0]", "either every"),
        ("priority: 2", "priority: 9", 7, "plans[0].priority", "at most 4"),
        ("ahead: 1d", "ahead: 15d", 9, "plans[0].ahead", "shorter than the interval"),
        ("    select: {classes: [generator]}\n", "", 10, "plans[0].proof", "needs a select"),
        (
            "reading_day: true",
            "reading_day: true\n    select: {classes: [lift]}",
            25,
            "plans[2].reading_day",
            "whole site",
        ),
        ("grace: 2d", "grace: soon", 8, "plans[0].grace", "not a duration"),
        ("[generator]", "[generater]", 10, "plans[0].select.classes", "did you mean 'generator'"),
        ("minutes: 30", "minutes: 0", 11, "plans[0].proof.minutes", "at least"),
        ("id: tank-cleaning", "id: generator-test", 14, "plans[1].id", "used by another"),
        ("skill: electrician", "skil: electrician", 13, "plans[0].skil", "unknown field"),
        ("monthly: 1\n", "monthly: 32\n", 22, "plans[2].monthly", "at most 31"),
    ],
)
def test_each_mistake_has_its_place(old, new, line, field, words):
    assert GOOD.count(old) >= 1
    with pytest.raises(Invalid) as caught:
        parse_plans(GOOD.replace(old, new, 1), "plans.yaml")
    found = [(m.file, m.line, m.field) for m in caught.value.mistakes if words in m.message]
    assert found == [("plans.yaml", line, field)]
