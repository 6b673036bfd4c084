"""repeats: a sensor on equipment that repeats itself day by day, and now does not."""

from __future__ import annotations

from dutyroom.fields import Fields
from dutyroom.rules.kind import Place
from dutyroom.rules.learned.repeats import Repeats
from dutyroom.rules.learner import Learner, learner
from dutyroom.rules.spec import Rule

DOC = (
    "The mean of an hour is, twice in a row, beyond all of four weeks or far from all that was at that time of day within "
    "a week. Learns eight days."
)


def parameters(fields: Fields) -> dict[str, object]:
    return {}


def build(rule: Rule, place: Place) -> Learner | None:
    return learner(rule, place, Repeats)
