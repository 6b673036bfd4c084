"""abnormal_load: more electricity than ever at that time of day, and than the neighbours explain."""

from __future__ import annotations

from dutyroom.fields import Fields
from dutyroom.rules.columns import Columns
from dutyroom.rules.kind import Place
from dutyroom.rules.learned.load import Load
from dutyroom.rules.learned.neighbours import Neighbours
from dutyroom.rules.learner import Compared, Learner, learner
from dutyroom.rules.spec import Rule

DOC = (
    "A unit takes more electricity than its last three weeks and its neighbours on the same feeder explain, and more "
    "than it ever took in a day: a load stuck on, a load at night, everything more. Learns two weeks."
)


class Streets(Columns):
    """Who are neighbours: one board for each feeder."""

    def __init__(self) -> None:
        super().__init__()
        self.boards: dict[str, Neighbours] = {}


def parameters(fields: Fields) -> dict[str, object]:
    return {}


def build(rule: Rule, place: Place) -> Learner | None:
    device, ground = place.device.id, place.ground
    feeder = next((f for f in ground.above(device) if device in ground.below("power", f)), None)
    boards = place.shelf.of(Streets).boards
    known = boards.setdefault(f"{rule.id} {feeder}", Neighbours()) if feeder else Neighbours()
    return learner(rule, place, lambda meter: Load(meter, device, known), Compared)
