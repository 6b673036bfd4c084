"""home_water: people stop using water, leaks do not."""

from __future__ import annotations

from dutyroom.fields import Fields
from dutyroom.rules.kind import Place
from dutyroom.rules.learned.home_water import HomeWater
from dutyroom.rules.learner import Learner, learner
from dutyroom.rules.spec import Rule

DOC = (
    "A leak or a burst behind the meter of a home: no still spell for longer than this home ever had, or more "
    "flow for some hours than it ever took. Learns two weeks."
)


def parameters(fields: Fields) -> dict[str, object]:
    return {}


def build(rule: Rule, place: Place) -> Learner | None:
    return learner(rule, place, HomeWater)
