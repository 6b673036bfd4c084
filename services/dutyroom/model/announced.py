"""What people announce beforehand: planned outages, and tests of the fire system."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from dutyroom.timebase import Ms


class Announced(StrEnum):
    """What an announcement is of."""

    OUTAGE = "outage"  # its alarms are suppressed by design
    FIRE_TEST = "fire_test"  # its alarms sound and are marked


@dataclass(frozen=True, slots=True)
class Announcement:
    """One of them, from `begins` until before `ends` or until it is cancelled.

    devices, spaces: what it covers; both empty = the whole site. utility: of an outage: power, water
    or network, then also what those devices feed; "" = the devices themselves, in all respects.
    """

    id: int
    site: str
    kind: Announced
    begins: Ms
    ends: Ms
    reason: str
    actor: str
    created_at: Ms
    utility: str = ""
    devices: tuple[str, ...] = ()
    spaces: tuple[str, ...] = ()  # path prefixes
    ticket: int | None = None  # of a fire test: the one ticket of all its alarms
    affected: int = 0  # alarms that it covered
    cancelled_at: Ms | None = None
    cancelled_by: str = ""

    def running(self, now: Ms) -> bool:
        """Whether it covers anything at `now`."""
        return self.begins <= now < self.ends and self.cancelled_at is None

    def over(self, now: Ms) -> bool:
        """Whether it will cover nothing any more."""
        return now >= self.ends or self.cancelled_at is not None
