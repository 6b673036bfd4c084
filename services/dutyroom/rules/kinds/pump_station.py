"""pump_station: a pump that does not run where it always did."""

from __future__ import annotations

from dutyroom.fields import Fields
from dutyroom.model.duty import Device
from dutyroom.model.telemetry import DeviceClass, Point
from dutyroom.rules.kind import Place
from dutyroom.rules.learned.pumps import PumpStation
from dutyroom.rules.learner import GroupLearner, meter_of
from dutyroom.rules.spec import Rule

DOC = (
    "A pump that does not start though the level of its tank has fallen below all its starts, that stopped where it "
    "never stopped, or that rests for twice its longest rest. The rule stands on what feeds pumps and tanks (`water`). "
    "Learns two weeks."
)


def parameters(fields: Fields) -> dict[str, object]:
    return {"level": fields.text("level", "level")}


def build(rule: Rule, place: Place) -> GroupLearner | None:
    def having(name: str, members: list[Device]) -> list[tuple[Device, Point]]:
        found = [(d, place.table.find(d.id, name)) for d in members]
        return [(d, p) for d, p in found if p is not None]

    members = place.members("water")
    used = [d for d in members if d.device_class == DeviceClass.PUMP or d.parameters.get("use") == "pump"]
    pumps = having(rule.point, used)
    tanks = having(str(rule.parameters["level"]), [d for d in members if d.device_class == DeviceClass.TANK])
    if not pumps:
        return None
    meters = [[meter_of(place, d, p) for d, p in found] for found in (pumps, tanks)]
    return GroupLearner(rule, place.device.id, [p for _, p in (*pumps, *tanks)], PumpStation(*meters))
