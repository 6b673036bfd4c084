"""home_stuck: an empty home and a stuck register look alike, almost."""

from __future__ import annotations

from dutyroom.fields import Fields
from dutyroom.rules.kind import Place
from dutyroom.rules.learned.home_stuck import HomeStuck
from dutyroom.rules.learner import Learner, learner
from dutyroom.rules.spec import Rule

DOC = (
    "A water meter of a home that has stopped: no base flow where there always was one, a catch-up after days of "
    "stillness, or stillness longer than its longest. Learns two weeks."
)


def parameters(fields: Fields) -> dict[str, object]:
    return {}


def build(rule: Rule, place: Place) -> Learner | None:
    return learner(rule, place, HomeStuck)
