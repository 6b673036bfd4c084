"""What a shipped profile calls fire, water, gas or trapped people, a shipped rule looks at."""

from __future__ import annotations

import pytest
from tests.shipped_profiles import shipped_profiles

from dutyroom.model.telemetry import Kind, PointSpec
from dutyroom.rules.parse import default_rules
from dutyroom.rules.spec import Rule

GRAVE = {"value.fire.alarm": 1, "value.elevator.trapped": 1, "value.fire.prealarm": 2, "value.leak.wet": 3}
DETECTORS = {"fire", "smoke", "smoke_alarm", "hot", "remote_fire", "gas", "co", "carbon_monoxide"}
TWICE = {"leak_size", "remote"}  # the same stands beside it as a point that is looked at


def _priority(spec: PointSpec, label: str) -> int:
    """The mildest that a rule on it may have; 0 = none needed."""
    if label == "value.alarm.active" and spec.name in DETECTORS:
        return 1
    return GRAVE.get(label, 0)


def _told() -> list[tuple[str, str, str, int, int]]:
    """(profile, class, point, code, priority)"""
    return [
        (profile.id, str(profile.device_class), spec.name, code, priority)
        for profile in shipped_profiles()
        for spec in profile.points
        if spec.kind is Kind.STATE and spec.name not in TWICE
        for code, label in spec.labels.items()
        if (priority := _priority(spec, str(label)))
    ]


def _looks_at(rule: Rule, device_class: str, point: str, code: int) -> bool:
    others, codes = rule.parameters.get("otherwise"), rule.parameters.get("equals")
    names = (rule.point, *(others if isinstance(others, tuple) else ()))
    return (
        point in names
        and device_class in rule.select.classes
        and isinstance(codes, tuple)
        and code in codes
        and not (rule.select.where or rule.select.unless or rule.select.having)
    )


TOLD = _told()


@pytest.mark.parametrize("said", TOLD, ids=[f"{p}: {point} {code}" for p, _, point, code, _ in TOLD])
def test_a_rule_of_that_gravity_looks_at_it(said: tuple[str, str, str, int, int]) -> None:
    _, device_class, point, code, priority = said
    found = [rule.priority for rule in default_rules() if _looks_at(rule, device_class, point, code)]
    assert found
    assert min(found) <= priority


def test_there_are_such_points() -> None:
    assert len(TOLD) > 40
    assert {priority for *_, priority in TOLD} == {1, 2, 3}
