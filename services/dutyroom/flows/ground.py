"""Where the devices of a site stand among each other, as rules on groups of them ask it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date

from dutyroom.rules.kind import Ground
from dutyroom.topology import Topology, children

_WEEKEND = 5  # Saturday


def ground_of(topology: Topology, time_zone: str, holiday: Callable[[date], bool] | None = None) -> Ground:
    """Of a topology as it stands now. holiday: by local day; without it Saturdays and Sundays are."""
    below = {utility: children(topology, utility) for utility in topology.feeds}

    def fed(utility: str, device: str) -> Sequence[str]:
        return below.get(utility, {}).get(device, ())

    def feeds(device: str) -> Sequence[str]:
        return [feed for of in topology.feeds.values() for feed in of.get(device, ())]

    return Ground(time_zone, fed, feeds, holiday or _weekend)


def _weekend(day: date) -> bool:
    return day.weekday() >= _WEEKEND
