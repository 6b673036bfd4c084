"""Where the devices of a site stand among each other, as rules on groups of them ask it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from dutyroom.flows.upkeep import Upkeep
from dutyroom.model.workdays import WEEK, Workdays
from dutyroom.rules.kind import Ground
from dutyroom.topology import Topology, children


def ground_of(
    topology: Topology, time_zone: str, calendar: Workdays = WEEK, upkeep: Upkeep | None = None
) -> Ground:
    """Of a topology as it stands now, and the site's calendar. upkeep: what its plans say; without it no machine is
    known to have any."""
    below = {utility: children(topology, utility) for utility in topology.feeds}

    def fed(utility: str, device: str) -> Sequence[str]:
        return below.get(utility, {}).get(device, ())

    def feeds(device: str) -> Sequence[str]:
        return [feed for of in topology.feeds.values() for feed in of.get(device, ())]

    ground = Ground(time_zone, fed, feeds, calendar)
    return (
        ground
        if upkeep is None
        else replace(ground, serviced=upkeep.serviced, rounds=upkeep.rounds, planned=upkeep.planned)
    )
