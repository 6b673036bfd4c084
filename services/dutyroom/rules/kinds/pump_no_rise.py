"""pump_no_rise: a pump that runs and does not lift the level of the tank that it fills."""

from __future__ import annotations

from dutyroom.errors import Rejected
from dutyroom.fields import Fields
from dutyroom.rules import tanks
from dutyroom.rules.filling import Filling
from dutyroom.rules.kind import Place
from dutyroom.rules.learner import GroupLearner, meter_of
from dutyroom.rules.spec import Rule
from dutyroom.timebase import MINUTE, SECOND

DOC = (
    "The pump has run for `over`, and the level of the tank that its parameter `other` names has risen by less than `rise` "
    "(m), and not by so much against how it went before the start either: a large draw bends what a pump brings, it does "
    "not hide it. Asked once in a run; not where the tank is nearly full (`height`). Ends when the level rises while it runs."
)


def parameters(fields: Fields) -> dict[str, object]:
    return {
        "other": fields.text("other", tanks.FILLS),
        "other_point": fields.text("other_point", "level"),
        "over": fields.duration("over", 20 * MINUTE, SECOND),
        "rise": fields.number("rise", 0.02, low=0.0),
    }


def build(rule: Rule, place: Place) -> GroupLearner | None:
    name = str(rule.parameters.get("other"))
    named = place.device.parameters.get(name)
    if named is None:
        return None
    tank = place.devices.get(str(named))
    if tank is None:
        raise Rejected(f"device {place.device.id}: {name} {named!r} does not exist")
    running = place.table.find(place.device.id, rule.point)
    level = place.table.find(tank.id, str(rule.parameters.get("other_point")))
    over, rise = rule.parameters.get("over"), rule.parameters.get("rise")
    if running is None or level is None or not isinstance(over, int) or not isinstance(rise, float):
        return None
    pump = tanks.state_of(place, place.device, running)
    detector = Filling(pump, meter_of(place, tank, level), over, rise)
    return GroupLearner(rule, place.device.id, [running, level], detector)
