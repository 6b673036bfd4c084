"""night_flow: what flows while all sleep, against the meter's own nights."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

from dutyroom.fields import Fields
from dutyroom.model.telemetry import DeviceClass
from dutyroom.rules.kind import Place
from dutyroom.rules.learned.meter import Meter
from dutyroom.rules.learned.night_flow import NightFlow
from dutyroom.rules.learner import Learner, learner
from dutyroom.rules.spec import Rule
from dutyroom.timebase import DAY, Ms

DOC = (
    "The least flow of an hour between two and five o'clock (local) is above what nights to that weekday come to (a "
    "holiday, a Saturday that is worked and a weekday of which fewer than four nights are known: nights of that kind, "
    "before a working day or a day of rest), and by more than `least` (unit per hour) or two steps of the register, in "
    "`nights` nights in a row. Ends with a night like those before, and when it has stood for `normal` (0 = never). Not "
    "where `network_water` looks, nor on the inlet of a zone with a tank. Learns two weeks."
)


def parameters(fields: Fields) -> dict[str, object]:
    return {
        "least": fields.number("least", 0.02, low=0.0),
        "nights": fields.integer("nights", 2, 1, 7),
        "normal": fields.duration("normal", 14 * DAY),
    }


def build(rule: Rule, place: Place) -> Learner | None:
    if _seen_elsewhere(place):
        return None
    least, nights, normal = (rule.parameters.get(name) for name in ("least", "nights", "normal"))
    if not isinstance(least, float) or not isinstance(nights, int) or not isinstance(normal, int):
        return None
    gas = place.device.device_class == DeviceClass.GAS_METER
    return learner(rule, place, _making(least, nights, normal, "gas_night_flow" if gas else "night_flow"))


@lru_cache(maxsize=64)
def _making(least: float, nights: int, normal: Ms, cause: str) -> Callable[[Meter], NightFlow]:
    return lambda meter: NightFlow(meter, least, nights, normal, cause)


def _seen_elsewhere(place: Place) -> bool:
    """Whether another rule knows this water better: that of a zone whose outlets are metered; or none can, as the
    pumps of a tank fill it at night."""
    groups = [place.device.id]
    if place.device.parameters.get("use") == "zone_inlet":
        groups += place.ground.above(place.device.id)
    members = [place.devices.get(member) for group in groups for member in place.ground.below("water", group)]
    beside = [member for member in members if member is not None]
    if any(member.parameters.get("use") == "zone_outlet" for member in beside):
        return True
    return len(groups) > 1 and any(member.device_class == DeviceClass.TANK for member in beside)
