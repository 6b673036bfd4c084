"""The reading day: period reads and the billing run when it falls due, again until none is missing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import structlog

from dutyroom.errors import Conflict, Rejected
from dutyroom.flows import planned_work
from dutyroom.flows.billing import close_period, period_ended
from dutyroom.interfaces import ReadingStore, Records
from dutyroom.model.duty import SYSTEM, Occurrence, OccurrenceState
from dutyroom.model.telemetry import PointTable
from dutyroom.site import Site
from dutyroom.timebase import HOUR, Ms, zone

log = structlog.get_logger(__name__)

RETRY: Ms = HOUR  # between two attempts while registers are missing
OPEN = (OccurrenceState.DUE, OccurrenceState.OVERDUE, OccurrenceState.MISSED)


class ReadingDay:
    """Takes the reads of the period that ended before a reading day, and bills it."""

    def __init__(self, site: Site, table: PointTable, store: ReadingStore, records: Records) -> None:
        self._site, self._table, self._store, self._records = site, table, store, records
        self._days = {plan.id for plan in site.plans if plan.reading_day}
        self._tried: dict[int, Ms] = {}  # occurrence -> last attempt

    def run(self, rows: Sequence[Occurrence], now: Ms) -> None:
        """Works on those of `rows` that are reading days, due and not done."""
        for row in rows:
            if row.plan not in self._days or row.state not in OPEN or row.due > now:
                continue
            tried = self._tried.get(row.id)
            if tried is None or now - tried >= RETRY:
                self._try(row, now)

    def _try(self, row: Occurrence, now: Ms) -> None:
        try:
            self._close(row, now)
        except Conflict:
            return  # a clerk's run was under way: at the next wake again
        except Rejected as err:
            log.warning("reading_day.refused", occurrence=row.id, reason=err.reason)
        self._tried[row.id] = now

    def _close(self, row: Occurrence, now: Ms) -> None:
        period = period_ended(row.due, self._site.cut_off_day, zone(self._site.time_zone))
        reads, run = close_period(self._site, self._table, self._store, self._records, period, now, SYSTEM)
        known = len(reads.reads) - len(reads.missing)
        evidence = f"{period} · {known}/{len(reads.reads)} · {len(run.statements)}"
        with self._records.write() as tx:
            current = tx.occurrences.get(row.site, row.id)
            if current is None or current.state not in OPEN:
                return
            after = replace(current, evidence=evidence, actor=SYSTEM)
            if not reads.missing:
                after = replace(after, state=OccurrenceState.DONE, done_at=now)
            if after != current:
                planned_work.update(tx, after, now)
            if after.state is OccurrenceState.DONE:
                planned_work.finish(tx, after, now)
