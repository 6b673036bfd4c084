"""tank_level: a tank that leaves its band and will be full or empty soon."""

from __future__ import annotations

from dutyroom.fields import Fields
from dutyroom.rules.kind import Place
from dutyroom.rules.learned.tank import TankLevel
from dutyroom.rules.learner import Learner, learner
from dutyroom.rules.spec import Rule

DOC = (
    "A level beyond all of four weeks that will have reached the top or the floor of the tank (`height`) in two hours "
    "as it moves now. Learns two weeks."
)


def parameters(fields: Fields) -> dict[str, object]:
    return {}


def build(rule: Rule, place: Place) -> Learner | None:
    return learner(rule, place, TankLevel)
