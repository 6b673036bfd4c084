"""Which feeders a generator stands in for: as its row says, or where its supply meets theirs. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from dutyroom.model.duty import Device
from dutyroom.model.telemetry import DeviceClass
from dutyroom.rules.kind import Place

Neighbours = Callable[[str], Sequence[str]]


def backed(
    device: Device, devices: Mapping[str, Device], below: Neighbours, feeds: Neighbours
) -> frozenset[str]:
    """Ids: those of its parameter `backs` (comma between), else the nearest switches or boards below it that have another
    feed, no generator's, those feeds and all above these; empty where neither says anything. below, feeds: of a device, in
    power."""
    named = [part.strip() for part in str(device.parameters.get("backs", "")).split(",") if part.strip()]
    if named:
        return frozenset(named)
    queue, own = meeting(device, devices, below, feeds)
    found = set[str]()
    while queue:
        if (one := queue.pop()) not in found:
            found.add(one)
            queue += [feed for feed in feeds(one) if feed not in own]
    return frozenset(found)


def meeting(
    device: Device, devices: Mapping[str, Device], below: Neighbours, feeds: Neighbours
) -> tuple[list[str], set[str]]:
    """The nearest switches or boards below a generator that have another feed, no generator's; and what generators alone
    feed, they themselves among it."""
    sets = [d.id for d in devices.values() if d.device_class == DeviceClass.GENERATOR]
    own = _by_these([device.id, *sets], below, feeds)
    mine, queue, found = set[str](), [device.id], list[str]()
    while queue:
        for one in below(queue.pop()):
            if one not in mine:
                mine.add(one)
                (queue if one in own else found).append(one)
    return found, own


def _by_these(sets: Sequence[str], below: Neighbours, feeds: Neighbours) -> set[str]:
    """Generators, and what they alone feed: several may run in parallel on a board of theirs."""
    own = set(sets)
    while more := {
        one for feed in own for one in below(feed) if one not in own and own.issuperset(feeds(one))
    }:
        own |= more
    return own


def backed_in(place: Place) -> frozenset[str]:
    """The same, of a device where it stands."""
    ground = place.ground

    def below(feed: str) -> Sequence[str]:
        return ground.below("power", feed)

    def feeds(one: str) -> Sequence[str]:
        return [feed for feed in ground.above(one) if one in below(feed)]

    return backed(place.device, place.devices, below, feeds)
