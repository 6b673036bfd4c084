"""The shipped rules of circuits, generators, elevators, fire panels and gates, each by trials of its own."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.unit.rules.kind_bench import shipped

from dutyroom.errors import Mistake
from dutyroom.fields import Fields
from dutyroom.rules.parse import default_rules
from dutyroom.rules.trial import failures
from dutyroom.rules.trial_text import Trial, read_trial
from dutyroom.yamltext import read_yaml

FILE = Path(__file__).with_name("shipped_trials.yaml")
ELSEWHERE = {  # they look at plans, events or weeks: tested beside their kinds
    "electricity.public_load",
    "elevator.service_by_trips",
    "gate.quiet",
    "gate.quiet_counter",
    "generator.unplanned_run",
}


def trials() -> list[tuple[str, Trial]]:
    mistakes: list[Mistake] = []
    root = Fields.of(read_yaml(FILE.read_text(encoding="utf-8"), FILE.name), mistakes)
    found = [(str(name), read_trial(row)) for name in root.data for row in root.children(str(name))]
    assert not mistakes, mistakes
    return [(rule, trial) for rule, trial in found if trial is not None]


TRIALS = trials()


@pytest.mark.parametrize(("rule", "trial"), TRIALS, ids=[f"{r}: {t.title}" for r, t in TRIALS])
def test_it_says_what_the_trial_says(rule: str, trial: Trial) -> None:
    assert failures(shipped(rule), trial) == []


def test_every_rule_of_these_kinds_has_a_trial() -> None:
    kinds = {"during", "several", "repeated", "since_service", "unplanned_run", "quiet_hours"}
    kinds |= {"building_still", "meanwhile", "network_water", "zone_silence"}
    wanted = {rule.id for rule in default_rules() if rule.kind in kinds}
    assert wanted <= {rule for rule, _ in TRIALS} | ELSEWHERE
