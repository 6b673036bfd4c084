"""level_frozen: a level sensor that shows no sign of life."""

from __future__ import annotations

from dutyroom.fields import Fields
from dutyroom.rules import tanks
from dutyroom.rules.kind import Place
from dutyroom.rules.learned.frozen import LevelFrozen
from dutyroom.rules.learner import GroupLearner, meter_of
from dutyroom.rules.spec import Rule
from dutyroom.timebase import DAY, HOUR

DOC = (
    "A level that comes and is the same for three times its longest still spell, at least `still` and four intervals, or "
    "while the tank's pumps ran for three times as long as they ever did in one (half an hour at least; `pumped` until two "
    "weeks are known, 0 = pumps are not looked at). A tank that stood still for more than a day is not judged by time "
    "alone. Pumps are those whose parameter `tank` or `fills` names it, and those it feeds. Ends when the level moves."
)
elsewhere = tanks.elsewhere


def parameters(fields: Fields) -> dict[str, object]:
    return {
        "still": fields.duration("still", 2 * HOUR),
        "pumped": fields.duration("pumped", DAY),
        "running": fields.text("running", "running"),
    }


def build(rule: Rule, place: Place) -> GroupLearner | None:
    level = place.table.find(place.device.id, rule.point)
    still, pumped = rule.parameters.get("still"), rule.parameters.get("pumped")
    if level is None or not isinstance(still, int) or not isinstance(pumped, int):
        return None
    pumps = tanks.pumps_of(place, str(rule.parameters.get("running"))) if pumped else []
    meters = [tanks.state_of(place, device, point) for device, point in pumps]
    detector = LevelFrozen(meter_of(place, place.device, level), meters, still, pumped)
    return GroupLearner(rule, place.device.id, [level, *(point for _, point in pumps)], detector)
