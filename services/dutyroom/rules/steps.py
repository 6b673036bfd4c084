"""Steps that follow each other: what each looks at, and on which devices."""

from __future__ import annotations

from dataclasses import dataclass

from dutyroom.fields import Fields
from dutyroom.model.duty import Device
from dutyroom.model.telemetry import DeviceClass, Point
from dutyroom.rules.kind import Place, read_codes
from dutyroom.timebase import Ms


@dataclass(frozen=True, slots=True)
class Step:
    """on: a class of other devices, "" = our own. ended: done too when the condition has gone, and never
    passed over before. within: ms; None = this rule does not say that it is late."""

    name: str
    point: str = ""
    equals: tuple[float, ...] = ()
    on: str = ""
    within: Ms | None = None
    ended: bool = False


_SWITCH = DeviceClass.TRANSFER_SWITCH.value
POWER_CUT = (
    Step("running", "running", (1,)),
    Step("transferred", "source", (2,), _SWITCH),
    Step("back", "source", (1,), _SWITCH, ended=True),  # the mains, or the second feeder
    Step("off", "running", (0,)),
)


@dataclass(frozen=True, slots=True)
class Seen:
    """A point that a step looks at. feeds: all that is above its device; () = the topology says nothing of it."""

    point: Point
    gap: Ms | None
    feeds: frozenset[str] = frozenset()


def read_step(row: Fields) -> Step:
    """As people write it; mistakes are noted."""
    step = Step(
        row.text("step"),
        row.text("point", ""),
        read_codes(row, "equals"),
        row.choice("on", {c.value for c in DeviceClass}, ""),
        row.duration("within", 0) or None,
        row.flag("ended"),
    )
    if bool(step.point) != bool(step.equals) or not (step.point or step.ended):
        row.wrong("point", "a step is a point with `equals`, or `ended: true`, or both")
    row.finish()
    return step


def devices_of(device_class: str, place: Place) -> list[Device]:
    """Those of a class that belong to ours: that it feeds, or else that a parameter of this name lists, or that
    stand in its space, or the only one there is."""
    every = [d for d in place.devices.values() if d.device_class == device_class]
    named = str(place.device.parameters.get(device_class, ""))
    ids = {part.strip() for part in named.split(",") if part.strip()}
    fed = [d for d in every if place.device.id in place.ground.above(d.id)]
    near = [d for d in every if d.space == place.device.space]
    listed = [d for d in every if d.id in ids]
    return listed or fed or near or (every if len(every) == 1 else [])


def above(device: str, place: Place) -> frozenset[str]:
    """All that feeds a device, directly or not."""
    found: set[str] = set()
    queue = list(place.ground.above(device))
    while queue:
        one = queue.pop()
        if one not in found:
            found.add(one)
            queue.extend(place.ground.above(one))
    return frozenset(found)
