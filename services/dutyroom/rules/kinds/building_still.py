"""building_still: the meters of a building stand still together."""

from __future__ import annotations

from dutyroom.fields import Fields
from dutyroom.rules.kind import Place
from dutyroom.rules.learned.power_still import FEWEST, BuildingStill
from dutyroom.rules.learner import GroupLearner, meter_of
from dutyroom.rules.spec import Rule

DOC = (
    "Four fifths of the unit meters that ours feeds (`power`), at least three, have not moved since their last readings, "
    "which by chance would be very improbable for these meters: the building has no supply. Learns two weeks."
)


def parameters(fields: Fields) -> dict[str, object]:
    return {}


def build(rule: Rule, place: Place) -> GroupLearner | None:
    members = [d for d in place.members("power") if d.parameters.get("use", "unit") == "unit"]
    found = [(d, place.table.find(d.id, rule.point)) for d in members]
    units = [(d, p) for d, p in found if p is not None]
    if len(units) < FEWEST:
        return None
    meters = [meter_of(place, device, point) for device, point in units]
    return GroupLearner(rule, place.device.id, [point for _, point in units], BuildingStill(meters))
