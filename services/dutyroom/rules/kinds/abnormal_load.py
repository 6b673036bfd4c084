"""abnormal_load: more electricity than ever at that time of day, and than the neighbours explain."""

from __future__ import annotations

from typing import Any

from dutyroom.fields import Fields
from dutyroom.rules.columns import Columns
from dutyroom.rules.kind import Place
from dutyroom.rules.learned.load import Load
from dutyroom.rules.learned.meter import Meter
from dutyroom.rules.learned.neighbours import Neighbours
from dutyroom.rules.learner import Learner, learner, learner_of
from dutyroom.rules.spec import Rule

DOC = (
    "A unit takes more electricity than its last three weeks at that time of day (where people work: than working days, "
    "or days of rest) and its neighbours on the same feeder explain, and more than it ever took in a day: a load stuck "
    "on, a load at night, everything more. Learns two weeks."
)


class Streets(Columns):
    """Who are neighbours: the homes of each feeder share a board."""

    def __init__(self) -> None:
        super().__init__()
        self.boards: dict[tuple[str, str], Neighbours] = {}


def parameters(fields: Fields) -> dict[str, object]:
    return {}


def build(rule: Rule, place: Place) -> Learner | None:
    device, ground = place.device.id, place.ground
    feeder = next((f for f in ground.above(device) if device in ground.below("power", f)), None)
    if not feeder:
        return learner(rule, place, Load)
    found = learner_of(Home, rule, place, _home)
    if found is not None:
        found.join(place.shelf.of(Streets).boards.setdefault((rule.id, feeder), Neighbours()))
    return found


def _home(meter: Meter) -> Load:
    """Of homes that have neighbours: another one than that of those who have none."""
    return Load(meter)


class Home(Learner):
    """It looks at other homes too: what comes late is not put in its place among theirs."""

    __slots__ = ("_beside", "_seat")
    again = False
    _beside: Neighbours
    _seat: int

    def join(self, beside: Neighbours) -> None:
        """It takes a seat among those, which it has until it is closed."""
        self._beside, self._seat = beside, beside.seat()

    def _detector(self) -> Load:
        detector = super()._detector()
        assert isinstance(detector, Load)
        detector.neighbours, detector.seat = self._beside, self._seat
        return detector

    def _kept(self) -> list[Any]:
        return [self.state, list(self._beside.spoken(self._seat))]

    def close(self) -> None:
        self._beside.leave(self._seat)
        super().close()
