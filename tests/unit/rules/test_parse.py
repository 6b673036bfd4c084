"""rules.yaml over the shipped rules."""

from __future__ import annotations

import pytest

from dutyroom.errors import Invalid
from dutyroom.model.duty import Priority
from dutyroom.rules.kind import Limit
from dutyroom.rules.kinds import kind, known
from dutyroom.rules.parse import default_rules, parse_rules
from dutyroom.timebase import MINUTE

OWN = """
rules:
  - id: own.pressure
    kind: limit
    name: {zh-CN: 压力低, en: Low pressure}
    select: {classes: [sensor], devices: ["P-*"], where: {zone: high}}
    point: pressure
    parameters: {below: {parameter: low, default: 0.2}, deadband: 0.05}
    on_delay: 2min
    priority: 2
    ticket: after 5min
    respond_within: 10min
    advice: {zh-CN: [看泵], en: [Look at the pump]}
"""


LATCHED = {
    "elevator.entrapment",
    *(f"fire.{name}" for name in ("alarm", "smoke", "detector", "heat", "interconnected")),
}


def mistakes(text: str) -> list[str]:
    with pytest.raises(Invalid) as caught:
        parse_rules(text, "rules.yaml")
    return [str(m) for m in caught.value.mistakes]


def test_nothing_of_its_own_gives_the_shipped_rules() -> None:
    assert parse_rules("", "rules.yaml") == default_rules()


def test_shipped_rules_are_complete_in_both_languages() -> None:
    assert len(default_rules()) >= 27
    for rule in default_rules():
        assert rule.shipped
        assert set(rule.name) == {"zh-CN", "en"}, rule.id
        assert all(len(rule.advice[language]) >= 1 for language in ("zh-CN", "en")), rule.id
        assert len(rule.advice["zh-CN"]) == len(rule.advice["en"]), rule.id
        assert (rule.ticket.after is None) or rule.respond_within, rule.id
        assert rule.latched == (rule.id in LATCHED)


def test_what_an_alarm_must_be_answered_within_follows_its_priority() -> None:
    within = {Priority.EMERGENCY: 3 * MINUTE, Priority.HIGH: 10 * MINUTE, Priority.MEDIUM: 240 * MINUTE}
    for rule in default_rules():
        assert rule.respond_within == within.get(rule.priority), rule.id


def test_a_rule_of_its_own() -> None:
    rule = parse_rules(OWN, "rules.yaml")[-1]
    assert (rule.id, rule.priority, rule.on_delay, rule.ticket.after) == (
        "own.pressure",
        Priority.HIGH,
        2 * MINUTE,
        5 * MINUTE,
    )
    assert rule.parameters["below"] == Limit(parameter="low", default=0.2)
    assert rule.select.where == {"zone": ("high",)}
    assert not rule.shipped


def test_a_site_may_make_a_vital_rule_hear_more() -> None:
    more = (
        "select: {classes: [fire_panel, gateway]}, parameters: {equals: [1, 3]}, on_delay: 0s, priority: 1, "
    )
    more += "realarm: 10min, off_delay: 30s, arrive_within: 10min"
    text = f"rules:\n  - {{id: fire.alarm, {more}, ticket: now, respond_within: 1min, name: Feuer}}\n"
    rule = next(r for r in parse_rules(text, "rules.yaml") if r.id == "fire.alarm")
    assert rule.vital
    assert (rule.select.classes, rule.respond_within) == (("fire_panel", "gateway"), MINUTE)
    assert (rule.realarm, rule.arrive_within) == (10 * MINUTE, 10 * MINUTE)


def test_a_site_changes_one_parameter_of_a_shipped_rule_or_switches_it_off() -> None:
    text = "rules:\n  - {id: water.burst, parameters: {above: 5}}\n  - {id: gate.forced, enabled: false}\n"
    rules = {r.id: r for r in parse_rules(text, "rules.yaml")}
    assert rules["water.burst"].parameters["above"] == Limit(5.0)
    assert rules["water.burst"].parameters["deadband"] == Limit(0.3)
    assert rules["water.burst"].shipped
    assert "gate.forced" not in rules
    assert len(rules) == len(default_rules()) - 1


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("rules:\n  - {id: water.burst, parameters: {abov: 5}}", "rules[0].parameters.abov: unknown field"),
        (
            "rules:\n  - id: x\n    name: X\n    kind: limt",
            "rules.yaml:4: rules[0].kind: 'limt' is not known",
        ),
        ("rules:\n  - id: x\n    name: X\n    kind: limit", "needs one of above and below"),
        ("rules:\n  - {id: fire.alarm, ticket: soon}", "rules[0].ticket: must be now, never"),
        ("rules:\n  - {id: fire.alarm, ticket: after dinner}", "rules[0].ticket: 'dinner' is not a duration"),
        ("rules:\n  - {id: fire.alarm, priority: 7}", "rules[0].priority: must be at most 4"),
        ("rules:\n  - {id: fire.alarm, on_delay: long}", "rules[0].on_delay: 'long' is not a duration"),
        ("rules:\n  - {id: fire.alarm, utility: power}", "entrapment are never explained by anything"),
        (
            OWN.replace("priority: 2", "priority: 2\n    latched: true\n    utility: power"),
            "a latched rule is never",
        ),
        ("rules:\n  - {id: water.leak, explained_by: [{rule: water.brst}]}", "did you mean 'water.burst'?"),
        ("rules:\n  - {id: fire.alarm, select: {classes: [fire]}}", "'fire' is not a device class"),
        (
            "rules:\n  - {id: fire.alarm, parameters: {equals: yes please}}",
            "rules[0].parameters.equals: must be",
        ),
        (
            "rules:\n  - {id: fire.alarm}\n  - {id: fire.alarm}",
            "rules.yaml:3: rules[1].id: 'fire.alarm' stands",
        ),
        ("rules:\n  - {id: fire.alarm, latched: false}", "rules[0].latched: fire and entrapment latch"),
        (
            "rules:\n  - {id: fire.alarm, enabled: false}",
            "rules[0].enabled: fire and entrapment cannot be switched",
        ),
        (
            "rules:\n  - {id: elevator.entrapment, on_delay: 1h}",
            "rules[0].on_delay: fire and entrapment wait no",
        ),
        ("rules:\n  - {id: fire.alarm, ticket: never}", "rules[0].ticket: must be now"),
        (
            "rules:\n  - {id: fire.alarm, priority: 2}",
            "rules[0].priority: fire and entrapment are an emergency",
        ),
        (
            "rules:\n  - {id: fire.smoke, point: smoke}",
            "rules[0].point: fire.smoke is a shipped rule, and fire and entrapment stay what they are",
        ),
        ("rules:\n  - {id: fire.smoke, parameters: {equals: 2}}", "equals leaves out 1: fire and entrapment"),
        (
            "rules:\n  - {id: fire.detector, parameters: {otherwise: []}}",
            "otherwise leaves out smoke: fire and entrapment",
        ),
        ("rules:\n  - {id: fire.smoke, select: {classes: sensor}}", "classes leaves out fire_panel"),
        (
            "rules:\n  - {id: elevator.entrapment, select: {devices: [E-1]}}",
            "rules[0].select: devices: fire and entrapment are watched on every device",
        ),
        ("rules:\n  - {id: gas.leak, enabled: false}", "rules[0].enabled: gas alarms cannot be switched off"),
        ("rules:\n  - {id: gas.leak, priority: 3}", "rules[0].priority: gas alarms are an emergency"),
        ("rules:\n  - {id: gas.leak, waits: true}", "rules[0].waits: gas alarms never wait"),
        (
            "rules:\n  - {id: fire.alarm, graver: {'': 4}}",
            "rules[0].graver: fire and entrapment are an emergency",
        ),
        ("rules:\n  - {id: gas.leak, ticket: after 5min}", "rules[0].ticket: must be now: gas alarms wait"),
        ("rules:\n  - {id: gas.leak, on_delay: 60}", "rules[0].on_delay: gas alarms wait no longer"),
        ("rules:\n  - {id: gas.leak, utility: power}", "rules[0].utility: gas alarms are never explained"),
        # What stands there empty means what it does in a rule of one's own.
        ("rules:\n  - id: fire.alarm\n    latched:", "rules[0].latched: fire and entrapment latch"),
        ("rules:\n  - id: fire.alarm\n    priority:", "rules[0].priority: fire and entrapment are"),
        ("rules:\n  - id: gas.leak\n    waits:", "rules[0].waits: gas alarms never wait"),
        ("rules:\n  - id: gas.leak\n    priority:", "rules[0].priority: gas alarms are an emergency"),
        ('rules:\n  - {id: gas.leak, ticket: " never"}', "rules[0].ticket: must be now: gas alarms wait"),
        (
            "rules:\n  - {id: elevator.entrapment, fire: true}",
            "rules[0].fire: fire and entrapment are told during a fire test",
        ),
        # Nor can they be slowed by their times.
        ("rules:\n  - {id: fire.alarm, respond_within: 0}", "rules[0].respond_within: must be 3min or less"),
        ("rules:\n  - {id: gas.leak, respond_within: 1h}", "rules[0].respond_within: must be 3min or less"),
        (
            "rules:\n  - id: gas.leak\n    respond_within:",
            "rules.yaml:3: rules[0].respond_within: must be 3min",
        ),
        (
            "rules:\n  - {id: elevator.entrapment, arrive_within: 45min}",
            "rules[0].arrive_within: must be 30min",
        ),
        ("rules:\n  - {id: elevator.entrapment, arrive_within: 0s}", "rules[0].arrive_within: must be 30min"),
        (
            "rules:\n  - {id: fire.smoke, realarm: never}",
            "rules[0].realarm: must be 30min or less, and not never",
        ),
        ("rules:\n  - {id: gas.leak, realarm: 0}", "rules[0].realarm: must be 30min or less"),
        ("rules:\n  - {id: fire.alarm, realarm: 8h}", "rules[0].realarm: must be 30min or less"),
        ("rules:\n  - {id: fire.alarm, off_delay: 10h}", "rules[0].off_delay: must be 5min or less"),
        (
            "rules:\n  - {id: fire.alarm, each_place: false}",
            "rules[0].each_place: fire and entrapment are told",
        ),
        (
            "rules:\n  - {id: fire.alarm, mentions: [alarm_loop]}",
            "rules[0].mentions: leaves out alarm_detector",
        ),
        ("rules:\n  - {id: water.burst, on_delay: -5s}", "rules[0].on_delay: must not be negative"),
        ("rules:\n  - {id: water.burst, on_delay: 4000d}", "rules[0].on_delay: is longer than 400 days"),
        ("rules:\n  - {id: water.night_flow, parameters: {normal: 900d}}", "normal is longer than 400 days"),
        ("rules:\n  - {id: water.leak, parameters: {over: 0s}}", "parameters.over: must be at least 1 s"),
        ("rules:\n  - {id: water.burst, parameters: {deadband: -1}}", "deadband: must not be negative"),
        ("rules:\n  - {id: water.burst, parameters: {above: .nan}}", "above: must be a number"),
        (
            "rules:\n  - {id: water.brust, enabled: false}",
            "no shipped rule is called 'water.brust'; did you mean",
        ),
        (
            OWN.replace("    point: pressure\n", ""),
            "rules[0].point: is missing: a rule of kind limit looks at",
        ),
        (OWN.replace("own.pressure", "own/../pressure"), "rules[0].id: 'own/../pressure': letters, digits"),
        (
            "rules:\n  - {id: generator.start_failure, parameters: {after: power.mains_lst}}",
            "parameters.after: rule 'power.mains_lst' does not exist; did you mean",
        ),
        (
            "rules:\n  - {id: generator.start_failure, parameters: {after: generator.start_failure}}",
            "rules[0].parameters.after: 'generator.start_failure' after 'generator.start_failure': none",
        ),
        (
            "rules:\n  - {id: generator.start_failure, parameters: {after: own}}\n"
            "  - {id: own, kind: expect, name: Own, point: running, parameters: {after: generator.start_failure}}",
            "rules[1].parameters.after: 'own' after 'generator.start_failure' after 'own': none of them",
        ),
        (OWN.replace(", en: Low pressure", ""), "rules[0].name: en is missing; pages show"),
        (OWN.replace("zh-CN: [看泵], ", ""), "rules[0].advice: zh-CN is missing; pages show"),
        ("rules: 5", "rules: must be a list"),
        ("rules:\n  - id: [", "is not YAML"),
    ],
)
def test_a_mistake_names_file_line_and_field(text: str, expected: str) -> None:
    assert any(expected in m for m in mistakes(text)), mistakes(text)


def test_all_mistakes_are_told_at_once() -> None:
    assert len(mistakes("rules:\n  - {id: fire.alarm, priority: 9, on_dely: 3}\n  - {kind: stat}")) >= 4


def test_every_kind_has_its_contract() -> None:
    assert {"limit", "state", "rate", "stale", "stuck", "decrease", "continuous_flow", "expect"} <= set(
        known()
    )
    for name in known():
        assert len(kind(name).DOC) > 20
