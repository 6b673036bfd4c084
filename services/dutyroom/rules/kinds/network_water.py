"""network_water: a leak or a burst in a water network, by what its outlets let through."""

from __future__ import annotations

from dutyroom.fields import Fields
from dutyroom.rules.kind import Place
from dutyroom.rules.learned.network_water import NetworkWater
from dutyroom.rules.learner import GroupLearner, meter_of
from dutyroom.rules.spec import Rule

DOC = (
    "The flow of a zone's outlets, against its own nights and its own hours of the day. The rule stands on what "
    "feeds them (`water`). Learns two weeks."
)


def parameters(fields: Fields) -> dict[str, object]:
    return {}


def build(rule: Rule, place: Place) -> GroupLearner | None:
    found = [(d, place.table.find(d.id, rule.point)) for d in place.members("water")]
    outlets = [(d, p) for d, p in found if p is not None and d.parameters.get("use") == "zone_outlet"]
    if not outlets:
        return None
    meters = [meter_of(place, device, point) for device, point in outlets]
    return GroupLearner(rule, place.device.id, [point for _, point in outlets], NetworkWater(meters))
