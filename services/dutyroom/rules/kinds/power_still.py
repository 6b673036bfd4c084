"""power_still: something always runs in a home."""

from __future__ import annotations

from dutyroom.fields import Fields
from dutyroom.rules.kind import Place
from dutyroom.rules.learned.power_still import UnitStill
from dutyroom.rules.learner import Learner, learner
from dutyroom.rules.spec import Rule

DOC = (
    "An electricity meter of a unit that has not moved for three times its own longest standstill, at least an hour: "
    "unit without supply, or meter stopped. Six hours until two weeks are known."
)


def parameters(fields: Fields) -> dict[str, object]:
    return {}


def build(rule: Rule, place: Place) -> Learner | None:
    return learner(rule, place, UnitStill)
