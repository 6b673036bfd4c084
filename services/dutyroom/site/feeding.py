"""What feeds what, from both places that say it: topology.yaml, and the devices' own rows.

A row names its feeds; which of power, water, gas and network they give follows from what they are, or
stands before the name ("network:GW-1"). For one device in one utility either place is enough;
where both speak they must say the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter

from dutyroom.model.duty import Device, DeviceStatus
from dutyroom.model.telemetry import DeviceClass
from dutyroom.topology import Topology

UTILITIES = ("power", "water", "gas", "network")
_GIVES: Mapping[str, str] = {
    DeviceClass.FEEDER: "power",
    DeviceClass.TRANSFER_SWITCH: "power",
    DeviceClass.GENERATOR: "power",
    DeviceClass.ELECTRICITY_METER: "power",
    DeviceClass.WATER_METER: "water",
    DeviceClass.PUMP: "water",
    DeviceClass.TANK: "water",
    DeviceClass.GAS_METER: "gas",
    DeviceClass.GATEWAY: "network",
}


@dataclass(frozen=True, slots=True)
class Mismatch:
    """Why a row's feeds cannot be taken. key and arguments: of a flaw; near: what was meant."""

    device: str
    key: str
    arguments: Mapping[str, str]


def split(feed: str, known: Mapping[str, Device]) -> tuple[str, str]:
    """(utility, device id) of a feed as it is written; utility "" = it is not clear."""
    utility, colon, device = feed.partition(":")
    if feed not in known and colon and utility in UTILITIES:
        return utility, device
    found = known.get(feed)
    return (_GIVES.get(found.device_class, "") if found is not None else ""), feed


def together(drawn: Topology, devices: Iterable[Device]) -> tuple[Topology, list[Mismatch]]:
    """The topology of a site, and what is wrong with the rows' part of it.

    drawn: what topology.yaml says. Every utility is there in the result. A row that is wrong counts
    for nothing; withdrawn devices have no feeds of their own.
    """
    known = {device.id: device for device in devices}
    feeds = {utility: dict(drawn.feeds.get(utility, {})) for utility in UTILITIES}
    wrong: list[Mismatch] = []
    for device in known.values():
        if device.fed_by and device.status is not DeviceStatus.WITHDRAWN:
            mine, flaws = _row(device, drawn, known)
            wrong += flaws
            for utility, found in mine.items():
                feeds[utility].setdefault(device.id, found)
    for utility in UTILITIES:
        for loop in _loops(feeds[utility]):
            # The row that closes it; a loop of topology.yaml alone is told where that is read.
            guilty = [d for d in loop if d in known and known[d].fed_by]
            if guilty:
                wrong.append(Mismatch(guilty[0], "feeds_itself", {"loop": " -> ".join(loop)}))
            feeds[utility].pop(loop[-1], None)
    return Topology({**drawn.feeds, **feeds}), wrong


def _row(
    device: Device, drawn: Topology, known: Mapping[str, Device]
) -> tuple[dict[str, tuple[str, ...]], list[Mismatch]]:
    """The feeds of a row by utility."""
    found: dict[str, tuple[str, ...]] = {}
    wrong: list[Mismatch] = []
    for feed in device.fed_by:
        utility, name = split(feed, known)
        if name not in known:
            wrong.append(Mismatch(device.id, "no_feeder", {"value": name}))
        elif known[name].status is DeviceStatus.WITHDRAWN:
            wrong.append(Mismatch(device.id, "feeder_gone", {"value": name}))
        elif not utility:
            wrong.append(Mismatch(device.id, "no_utility", {"value": name}))
        elif name == device.id:
            wrong.append(Mismatch(device.id, "feeds_itself", {"loop": f"{name} -> {name}"}))
        elif name in found.get(utility, ()):
            wrong.append(Mismatch(device.id, "feeder_twice", {"value": name}))
        else:
            found[utility] = (*found.get(utility, ()), name)
    for utility, mine in list(found.items()):
        theirs = drawn.feeds.get(utility, {}).get(device.id)
        if theirs is not None and set(theirs) != set(mine):
            said = {"drawn": ", ".join(theirs), "utility": utility, "value": ", ".join(mine)}
            wrong.append(Mismatch(device.id, "contradiction", said))
            del found[utility]
    return found, wrong


def _loops(feeds: Mapping[str, tuple[str, ...]]) -> Iterator[list[str]]:
    left = dict(feeds)
    while True:
        try:
            TopologicalSorter(left).prepare()
            return
        except CycleError as err:
            loop: list[str] = err.args[1]
            yield loop
            left.pop(loop[-1], None)
