"""The shipped rules against the duty room's own figures for priorities."""

from __future__ import annotations

import pytest

from dutyroom.model.duty import Priority
from dutyroom.rules.spec import Rule, parse_rules
from dutyroom.timebase import HOUR, MINUTE, SECOND

RULES = parse_rules("rules: []", "rules.yaml")
ANSWER = {Priority.EMERGENCY: 3 * MINUTE, Priority.HIGH: 10 * MINUTE, Priority.MEDIUM: 4 * HOUR}


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.id)
def test_what_follows_an_alarm_is_what_its_priority_says(rule: Rule) -> None:
    if rule.priority is Priority.LOW:
        assert rule.ticket.after is None, "listed for the next round, never a ticket by itself"
        return
    assert rule.respond_within == ANSWER[rule.priority]
    assert rule.ticket.after is not None
    if rule.priority <= Priority.HIGH:
        assert rule.ticket.after == 0
        assert not rule.waits or rule.wait <= 30 * SECOND, "at once"


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.id)
def test_first_steps_stand_beside_every_alarm_in_both_languages(rule: Rule) -> None:
    assert len(rule.advice["zh-CN"]) == len(rule.advice["en"]) >= 1
    assert rule.name["zh-CN"]
    assert rule.name["en"]


def test_fire_and_entrapment_never_wait() -> None:
    latched = {rule.id: rule.waits for rule in RULES if rule.latched}
    fire = ("alarm", "smoke", "detector", "heat", "interconnected")
    assert latched == dict.fromkeys(("elevator.entrapment", *(f"fire.{name}" for name in fire)), False)
