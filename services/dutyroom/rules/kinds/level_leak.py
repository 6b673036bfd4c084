"""level_leak: a tank that loses water while its pumps rest."""

from __future__ import annotations

from dutyroom.fields import Fields
from dutyroom.rules import tanks
from dutyroom.rules.kind import Place
from dutyroom.rules.learned.level_leak import LevelLeak
from dutyroom.rules.learner import GroupLearner, meter_of
from dutyroom.rules.spec import Rule
from dutyroom.timebase import HOUR, SECOND

DOC = (
    "While all pumps of a tank rest, the slowest fall of its level over `over` in a day is faster than on all days of that "
    "kind, and by more than `least` (m an hour), on two days that follow each other. A day without so long a rest is not "
    "known. Pumps are those whose parameter `tank` or `fills` names it, and those it feeds; a tank without any always "
    "rests. Learns two weeks."
)
elsewhere = tanks.elsewhere


def parameters(fields: Fields) -> dict[str, object]:
    return {
        "least": fields.number("least", 0.005, low=0.0),
        "over": fields.duration("over", HOUR, SECOND),
        "running": fields.text("running", "running"),
    }


def build(rule: Rule, place: Place) -> GroupLearner | None:
    level = place.table.find(place.device.id, rule.point)
    least, over = rule.parameters.get("least"), rule.parameters.get("over")
    if level is None or not isinstance(least, float) or not isinstance(over, int):
        return None
    pumps = tanks.pumps_of(place, str(rule.parameters.get("running")))
    meters = [tanks.state_of(place, device, point) for device, point in pumps]
    detector = LevelLeak(meter_of(place, place.device, level), meters, least, over)
    return GroupLearner(rule, place.device.id, [level, *(point for _, point in pumps)], detector)
