"""Devices that send far more than they should: named among the findings, from the ledger's count of the hour.

Nothing is dropped because of it: what a device says is stored and judged like that of all others.
"""

from __future__ import annotations

from collections.abc import Iterable

from dutyroom.interfaces import LedgerRow
from dutyroom.model.telemetry import Finding, PointTable
from dutyroom.timebase import HOUR, MINUTE, SECOND, Ms

KIND = "flood"
EVERY: Ms = 5 * MINUTE
TIMES = 30  # as many as its intervals allow: a whole day that waited in it and comes at once is 25
MOST = 3_600  # readings an hour, one a second: below it nobody floods, whatever is expected


class Floods:
    """Says each once in an hour."""

    def __init__(self, table: PointTable) -> None:
        self._table = table
        self._hour: Ms = 0
        self._looked: Ms | None = None
        self._told: set[str] = set()

    def due(self, now: Ms) -> bool:
        """Whether it is time to look at the ledger of this hour."""
        return self._looked is None or abs(now - self._looked) >= EVERY

    def look(self, rows: Iterable[LedgerRow], now: Ms) -> list[Finding]:
        """What is to be noted. rows: of the ledger; those of other hours are passed over."""
        self._looked, hour = now, now // HOUR * HOUR
        if hour != self._hour:
            self._hour, self._told = hour, set()
        found = []
        for row in rows:
            if row.hour != hour or not row.device or row.readings <= MOST or row.device in self._told:
                continue
            if row.readings > (most := self.most(row.device)):
                self._told.add(row.device)
                found.append(Finding(KIND, row.device, now, f"{row.readings}/h > {most}/h"))
        return found

    def most(self, device: str) -> int:
        """Readings that a device may well have in an hour."""
        every = [p.spec.interval_s for p in self._table.of_device(device) if p.spec.interval_s]
        return max(MOST, sum(TIMES * (HOUR // SECOND) // seconds for seconds in every))
