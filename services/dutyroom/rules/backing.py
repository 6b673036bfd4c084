"""Which feeders a generator stands in for: as its row says, or where its supply meets theirs. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from dutyroom.model.duty import Device
from dutyroom.rules.kind import Ground

Neighbours = Callable[[str], Sequence[str]]


def backed(device: Device, below: Neighbours, feeds: Neighbours) -> frozenset[str]:
    """Ids: those of its parameter `backs` (comma between), else the other feeds of the nearest switches below it and all
    above these; empty where neither says anything. below, feeds: of a device, in power."""
    named = [part.strip() for part in str(device.parameters.get("backs", "")).split(",") if part.strip()]
    if named:
        return frozenset(named)
    own, queue, beside = {device.id}, list(below(device.id)), set[str]()
    while queue:
        one = queue.pop()
        if one in own:
            continue
        others = [feed for feed in feeds(one) if feed not in own]
        if others:  # two supplies meet here
            beside.update(others)
        else:
            own.add(one)
            queue += below(one)
    found, queue = set[str](), [feed for feed in beside if feed not in own]
    while queue:
        one = queue.pop()
        if one not in found:
            found.add(one)
            queue += feeds(one)
    return frozenset(found - own)


def backed_in(device: Device, ground: Ground) -> frozenset[str]:
    """The same, of a device where it stands."""

    def below(feed: str) -> Sequence[str]:
        return ground.below("power", feed)

    def feeds(one: str) -> Sequence[str]:
        return [feed for feed in ground.above(one) if one in below(feed)]

    return backed(device, below, feeds)
