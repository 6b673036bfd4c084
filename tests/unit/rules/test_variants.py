"""A rule with other parameters and delays on some of its devices, and what a site's `select` leaves of the shipped one."""

from __future__ import annotations

from decimal import Decimal

import pytest
from tests.unit.duty.duty_room import Room, device, person

from dutyroom.errors import Invalid
from dutyroom.model.telemetry import Kind, PointSpec
from dutyroom.rules.parse import parse_rules
from dutyroom.rules.snapshot import fingerprint
from dutyroom.rules.spec import Rule, matches, on
from dutyroom.timebase import HOUR, MINUTE

VOLUME = PointSpec("volume", unit="m3", kind=Kind.COUNTER, step=Decimal("0.001"), interval_s=600)
LONGER = """
rules:
  - id: water.leak
    variants:
      - {select: {devices: ["shop-*"]}, parameters: {over: 72h}}
      - {select: {where: {leaky: [true]}}, parameters: {least: 0.5}, on_delay: 30min}
"""


def of(text: str, name: str = "water.leak") -> Rule:
    return next(rule for rule in parse_rules(text, "rules.yaml") if rule.id == name)


def mistakes(text: str) -> list[str]:
    with pytest.raises(Invalid) as caught:
        parse_rules(text, "rules.yaml")
    return [str(m) for m in caught.value.mistakes]


def test_the_first_variant_that_fits_holds_and_all_else_stays() -> None:
    rule = of(LONGER)
    home, shop = device("home", "water_meter"), device("shop-1", "water_meter", leaky=True)
    assert on(rule, home) is rule
    assert on(rule, shop).parameters == {**rule.parameters, "over": 72 * HOUR}
    assert (on(rule, shop).joins, on(rule, shop).explained_by) == (rule.joins, rule.explained_by)
    leaky = on(rule, device("b", "water_meter", leaky=True))
    assert (leaky.on_delay, leaky.parameters["over"]) == (30 * MINUTE, rule.parameters["over"])


def test_a_shop_that_uses_water_for_two_days_rings_nothing_and_a_home_does() -> None:
    devices = [device("home", "water_meter", 600), device("shop-1", "water_meter", 600)]
    room = Room(devices, {"water_meter": [VOLUME]}, parse_rules(LONGER, "rules.yaml"))
    room.records.rows.people = [person("li")]
    for turn in range(6 * 60):
        room.at(turn * 600, 600)
        room.reads(*((d.id, "volume", turn * 20) for d in devices))
    assert {t.object for t in room.records.rows.tickets.values()} == {"home"}


def test_a_restart_keeps_the_state_and_other_parameters_begin_afresh() -> None:
    assert fingerprint(of(LONGER)) == fingerprint(of(LONGER))
    assert fingerprint(of(LONGER)) != fingerprint(of(LONGER.replace("72h", "48h"))) != fingerprint(of(""))
    devices = [device("shop-1", "water_meter", 600)]
    room = Room(devices, {"water_meter": [VOLUME]}, parse_rules(LONGER, "rules.yaml"))
    (instance,) = list(room.engine._roster.instances.of("water.leak"))
    known = {d.id: d for d in devices}
    room.engine.reload(parse_rules(LONGER, "rules.yaml"), known)
    assert room.engine._roster.instances["water.leak", "shop-1"] is instance
    room.engine.reload(parse_rules(LONGER.replace("72h", "48h"), "rules.yaml"), known)
    assert room.engine._roster.instances["water.leak", "shop-1"] is not instance


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (
            "- {id: water.leak, variants: [{parameters: {over: 1h}}]}",
            "rules[0].variants[0]: select is missing",
        ),
        (
            "- {id: water.leak, variants: [{select: {devices: [a]}, parameters: {ofer: 1h}}]}",
            "variants[0].parameters",
        ),
        (
            "- {id: water.leak, variants: [{select: {devices: [a]}, priority: 2}]}",
            "rules[0].variants[0].priority",
        ),
        (
            "- {id: fire.alarm, variants: [{select: {devices: [a]}, on_delay: 1h}]}",
            "rules[0].variants[0].on_delay",
        ),
        (
            "- {id: gas.leak, variants: [{select: {devices: [a]}, parameters: {equals: 7}}]}",
            "rules[0].variants[0].parameters",
        ),
        (
            "- {id: water.leak, variants: [{select: {devices: [a]}, parameters: {over: 500d}}]}",
            "400 days",
        ),
    ],
)
def test_a_mistake_in_a_variant_names_its_field(text: str, told: str) -> None:
    (said,) = mistakes(f"rules:\n  {text}\n")
    assert told in said
    assert "rules.yaml:2" in said


def test_who_leaves_out_some_more_leaves_out_the_same_ones_still() -> None:
    rule = of("rules:\n  - {id: water.leak, select: {unless: {pool: [true]}}}\n")
    master, home = device("m", "water_meter", use="master"), device("h", "water_meter")
    assert not matches(rule.select, master)
    assert matches(rule.select, home)
    assert not matches(rule.select, device("p", "water_meter", pool=True))
    dropped = of("rules:\n  - {id: water.leak, select: {unless: {use: []}}}\n")
    assert matches(dropped.select, master)
