"""The journal as a spool: who reads it, and when to warn that it fills up."""

from __future__ import annotations

from dutyroom.flows.keep import READER as KEEP
from dutyroom.flows.watch import READER as WATCH
from dutyroom.interfaces import Journal
from dutyroom.model.telemetry import Finding, Lane
from dutyroom.timebase import Ms

READERS = (KEEP, WATCH)  # what both have passed may go
LEVELS = (0.7, 0.9)  # shares of the limit, taken by what a reader has not passed
_BACK = 0.1  # so far below a level it must fall before it counts anew
KIND = "spool_filling"


def held_by_watch(journal: Journal) -> bool:
    """Whether the journal fills up with what `keep` has passed and `watch` has not: its cursor there moves only
    with a snapshot, and that can be had at once."""
    behind = any(journal.cursor(WATCH, lane) < journal.cursor(KEEP, lane) for lane in Lane)
    return behind and journal.spool().share >= LEVELS[0]


class SpoolWarning:
    """Says once for each level that it was reached."""

    def __init__(self) -> None:
        self.level = 0.0  # reached, and not fallen well below since

    def look(self, share: float, now: Ms) -> Finding | None:
        """share: of the limit, 0..1."""
        before = self.level
        reached = max((level for level in LEVELS if share >= level), default=0.0)
        still = max((level for level in LEVELS if level <= before and share > level - _BACK), default=0.0)
        self.level = max(reached, still)
        if reached <= before:
            return None
        return Finding(KIND, "", now, f"{share * 100:.0f} %")
