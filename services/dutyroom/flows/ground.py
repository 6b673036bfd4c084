"""Where the devices of a site stand among each other, as rules on groups of them ask it."""

from __future__ import annotations

from collections.abc import Sequence

from dutyroom.model.workdays import WEEK, Workdays
from dutyroom.rules.kind import Ground
from dutyroom.topology import Topology, children


def ground_of(topology: Topology, time_zone: str, calendar: Workdays = WEEK) -> Ground:
    """Of a topology as it stands now, and the site's calendar."""
    below = {utility: children(topology, utility) for utility in topology.feeds}

    def fed(utility: str, device: str) -> Sequence[str]:
        return below.get(utility, {}).get(device, ())

    def feeds(device: str) -> Sequence[str]:
        return [feed for of in topology.feeds.values() for feed in of.get(device, ())]

    return Ground(time_zone, fed, feeds, calendar)
