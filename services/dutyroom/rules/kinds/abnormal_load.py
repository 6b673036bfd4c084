"""abnormal_load: more electricity than ever at that time of day, and than the neighbours explain."""

from __future__ import annotations

from dutyroom.fields import Fields
from dutyroom.rules.columns import Columns
from dutyroom.rules.kind import Place
from dutyroom.rules.learned.load import Load
from dutyroom.rules.learned.neighbours import Neighbours
from dutyroom.rules.learner import Learner, Make, compared, learner
from dutyroom.rules.spec import Rule

DOC = (
    "A unit takes more electricity than its last three weeks and its neighbours on the same feeder explain, and more "
    "than it ever took in a day: a load stuck on, a load at night, everything more. Learns two weeks."
)


class Streets(Columns):
    """Who are neighbours: the homes of each feeder share a board."""

    def __init__(self) -> None:
        super().__init__()
        self.homes: dict[str, Make] = {}


def parameters(fields: Fields) -> dict[str, object]:
    return {}


def build(rule: Rule, place: Place) -> Learner | None:
    device, ground = place.device.id, place.ground
    feeder = next((f for f in ground.above(device) if device in ground.below("power", f)), None)
    homes = place.shelf.of(Streets).homes
    if not feeder:
        return learner(rule, place, Load)
    return compared(rule, place, homes.setdefault(f"{rule.id} {feeder}", _home(Neighbours())))


def _home(known: Neighbours) -> Make:
    return lambda meter, device: Load(meter, device, known)
