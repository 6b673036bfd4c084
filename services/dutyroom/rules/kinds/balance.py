"""balance: a master meter against the sum of those that it feeds."""

from __future__ import annotations

from collections.abc import Iterator

from dutyroom.errors import Rejected
from dutyroom.fields import Fields
from dutyroom.model.duty import Device, DeviceStatus
from dutyroom.model.telemetry import DeviceClass, Point
from dutyroom.rules.balance import Balance, Limits, Member
from dutyroom.rules.kind import Place
from dutyroom.rules.learner import GroupLearner, meter_of
from dutyroom.rules.spec import Rule
from dutyroom.timebase import DAY, HOUR

DOC = (
    "What the master (or the `zone_inlet` meters of a zone) counted and what the meters that it feeds in `utility` "
    "counted differ by more than their reading times, steps and `accuracy` leave open, by more than `share` of what went "
    "in and by more than `floor`, in two windows of `over` (local days) that follow each other. `tells`: `loss` (the master "
    "counts more) or `surplus` (its meters do). A window with a meter that leapt, or was not read, decides nothing; but "
    "of a loss one that is fed and was not read (a dead battery) moved what it usually does, and twice that at most. A tank "
    "between them needs the parameter `area` (m2)."
)
_DEEP = 8  # devices without a register between a master and its meters


def parameters(fields: Fields) -> dict[str, object]:
    over = fields.duration("over", DAY)
    if over < HOUR or (over % DAY and DAY % over):
        fields.wrong("over", "must be whole days, or hours that divide a day")
    return {
        "utility": fields.choice("utility", ("water", "gas", "power"), "water"),
        "over": over,
        "share": fields.number("share", 0.1, low=0.0, high=1.0),
        "floor": fields.number("floor", 0.5, low=0.0),
        "accuracy": fields.number("accuracy", 0.02, low=0.0, high=0.5),
        "tells": fields.choice("tells", ("loss", "surplus"), "loss"),
        "level": fields.text("level", "level"),
    }


def build(rule: Rule, place: Place) -> GroupLearner | None:
    try:
        found = list(_members(rule, place))
    except Rejected:
        if place.table.find(place.device.id, rule.point) is None:
            return None  # a zone that was drawn to group its devices, not to be balanced
        raise
    if not any(member.supplies for _, member in found) or not any(not member.supplies for _, member in found):
        return None
    over, share, floor, accuracy = (rule.parameters.get(n) for n in ("over", "share", "floor", "accuracy"))
    if not isinstance(over, int) or not all(isinstance(n, float) for n in (share, floor, accuracy)):
        return None
    limits = Limits(over, share, floor, accuracy, rule.parameters.get("tells") == "loss")  # type: ignore[arg-type]
    return GroupLearner(
        rule, place.device.id, [point for point, _ in found], Balance([m for _, m in found], limits)
    )


def _members(rule: Rule, place: Place) -> Iterator[tuple[Point, Member]]:
    """The master, or the inlets where the zone has no meter of its own; then what they feed."""
    utility = str(rule.parameters.get("utility"))
    own = place.table.find(place.device.id, rule.point)
    if own is not None:
        yield own, Member(meter_of(place, place.device, own), supplies=True)
    seen = {place.device.id}
    queue = [(device, 0) for device in place.members(utility)]
    while queue:
        device, depth = queue.pop(0)
        if device.id in seen or device.status is DeviceStatus.WITHDRAWN:
            continue
        seen.add(device.id)
        point = place.table.find(device.id, rule.point)
        if point is not None:
            inlet = own is None and device.parameters.get("use") == "zone_inlet"
            yield point, Member(meter_of(place, device, point), supplies=inlet)
            continue
        if device.device_class == DeviceClass.TANK:
            yield from _tank(rule, place, device)
        if depth < _DEEP:
            below = (place.devices.get(name) for name in place.ground.below(utility, device.id))
            queue += [(one, depth + 1) for one in below if one is not None]


def _tank(rule: Rule, place: Place, tank: Device) -> Iterator[tuple[Point, Member]]:
    point = place.table.find(tank.id, str(rule.parameters.get("level")))
    area = tank.parameters.get("area")
    if isinstance(area, bool) or not isinstance(area, int | float) or area <= 0:
        said = f"tank {tank.id} stands between the meters: it needs the parameter area (m2), or what it stores looks lost"
        raise Rejected(said)
    if point is not None:
        yield point, Member(meter_of(place, tank, point), area=float(area))
