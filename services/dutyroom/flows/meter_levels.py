"""Which meters measure the same water or current twice: mains and what hangs below them.

A dashboard that sums needs one level: the topmost meters (`top`), or those with none below (`end`); a meter that
stands alone is both. Sums over two levels would count everything twice.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from dutyroom.model.duty import Device, DeviceStatus
from dutyroom.model.figures import Figure
from dutyroom.timebase import Ms
from dutyroom.topology import Topology, feeds_of

METER = "dutyroom_meter"
# By class the utility whose drawing says what is upstream, "" = none is drawn.
FLOWS_IN = {
    "water_meter": "water",
    "electricity_meter": "power",
    "feeder": "power",
    "gas_meter": "gas",
    "heat_meter": "",
}

_YES = ("no", "yes")


def levels(site: str, devices: Sequence[Device], topology: Topology, at: Ms) -> Iterator[Figure]:
    """A line for each meter: tags site, device, class, and yes or no for any, top and end, so that a
    variable's query may name the level as a tag; the number of meters above it."""
    meters = [d for d in devices if d.device_class in FLOWS_IN and d.status is not DeviceStatus.WITHDRAWN]
    over = above(meters, topology)
    mains = {d for some in over.values() for d in some}
    for meter in meters:
        top, end = not over[meter.id], meter.id not in mains
        level = {"any": "yes", "top": _YES[top], "end": _YES[end]}
        tags = {"class": meter.device_class, "device": meter.id, "site": site, **level}
        yield Figure(METER, tags, {"meters_above": len(over[meter.id])}, at)


def above(meters: Sequence[Device], topology: Topology) -> Mapping[str, set[str]]:
    """By meter: those of its class that measure what it measures as well.

    A master (`use=master`) below which no meter is drawn stands for its building, the first part of its
    space's path; one without a place for the whole site.
    """
    classes = {m.id: m.device_class for m in meters}
    found = {m.id: _drawn(topology, m.id, classes) for m in meters}
    known = {d for some in found.values() for d in some}
    masters = [m for m in meters if m.parameters.get("use") == "master" and m.id not in known]
    for master in masters:
        building = _building(master)
        for meter in meters:
            same = meter.device_class == master.device_class and building in ("", _building(meter))
            if same and meter.parameters.get("use") != "master":
                found[meter.id].add(master.id)
    return found


def _drawn(topology: Topology, meter: str, classes: Mapping[str, str]) -> set[str]:
    """All meters of its class upstream; a loop is walked once."""
    utility, seen = FLOWS_IN[classes[meter]], {meter}
    queue = list(feeds_of(topology, utility, meter))
    while queue:
        feed = queue.pop()
        if feed not in seen:
            seen.add(feed)
            queue.extend(feeds_of(topology, utility, feed))
    return {d for d in seen - {meter} if classes.get(d) == classes[meter]}


def _building(device: Device) -> str:
    return device.space.split("/")[0]
