"""A site's rows that were written for an older make of a shipped rule."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.unit.rules.kind_bench import Bench, gauge, shipped, state

from dutyroom.rules.parse import parse_rules
from dutyroom.rules.snapshot import fingerprint
from dutyroom.rules.spec import Rule


def mains_lost(row: str) -> Rule:
    rules = parse_rules(f"rules:\n  - {{id: power.mains_lost, {row}}}\n", "rules.yaml")
    return next(rule for rule in rules if rule.id == "power.mains_lost")


def cut(rule: Rule, name: str, to: float) -> Bench:
    """Of a feeder whose own `voltage` says nothing of the cut."""
    bench = Bench(rule, gauge("voltage"), *([] if name == "voltage" else [gauge(name)]), kind="feeder")
    for second in range(0, 60, 10):
        bench.feed(second, "voltage", to if name == "voltage" and second >= 20 else 230)
        if name != "voltage":
            bench.feed(second, name, to if second >= 20 else 400)
    return bench


@pytest.mark.parametrize(
    ("row", "point", "volts"),
    [
        ("parameters: {below: 80}", "voltage", 70),
        ("parameters: {gap: 60s}", "voltage", 40),
        ("point: voltage", "voltage", 40),
        ("point: voltage_ab", "voltage_ab", 40),
        ("point: incoming, parameters: {below: 80}", "incoming", 70),
        ("kind: limit, point: voltage", "voltage", 40),
        ("kind: limit, point: incoming, parameters: {below: 80, deadband: 20}", "incoming", 70),
    ],
)
def test_a_row_for_one_voltage_tells_a_cut_as_it_did(row: str, point: str, volts: float) -> None:
    assert cut(mains_lost(row), point, volts).says == [(23, True)]


def test_another_kind_takes_what_it_knows_of_the_parameters() -> None:
    rule = mains_lost("kind: state, point: mains_ok, parameters: {equals: 0}")
    assert (
        Bench(rule, state("mains_ok"), kind="feeder")
        .run("mains_ok", [1, 0], every=10)
        .feed(14, "mains_ok", 0)
    )


def test_points_of_the_row_go_before_its_point() -> None:
    assert mains_lost("point: u, parameters: {points: [u, v]}").parameters["points"] == ("u", "v")


def test_what_waits_goes_on_though_a_state_has_got_further_names() -> None:
    more = shipped("gate.held_open")
    less = replace(more, parameters={k: v for k, v in more.parameters.items() if k != "otherwise"})
    bench = Bench(less, state("door_open"), kind="gate").run("door_open", [1])
    other = Bench(more, state("door_open"), kind="gate")
    other.engine.restore(bench.engine.snapshot())
    other.tick(121)
    assert other.says == [(120, True)]
    assert fingerprint(more) != fingerprint(replace(more, point="door_open_2"))
