"""From the registers at a cut-off to locked statements.

Fetch, decide (`billing_run.py`, `metering/`), commit. A late or corrected read is a new version of
the read, and makes a new version of the statements that stood on it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from zoneinfo import ZoneInfo

import msgspec

from dutyroom.errors import Conflict, Rejected
from dutyroom.flows.billing_run import HISTORY, Frozen, Problem, Work
from dutyroom.flows.period_reads import (
    PeriodReads,
    correct_read,
    months_from,
    period_bounds,
    period_ended,
    readings_at,
    record_exchange,
    take_period_reads,
)
from dutyroom.interfaces import ReadingStore, Records, Tx
from dutyroom.metering import statement
from dutyroom.metering.statement import Trace
from dutyroom.model.metering import Statement, Usage
from dutyroom.model.telemetry import COUNTER_RESET, PointTable
from dutyroom.site import Site
from dutyroom.timebase import DAY, Ms, local_date, zone

__all__ = [
    "BillingRun",
    "PeriodReads",
    "Problem",
    "bill_period",
    "close_period",
    "correct_read",
    "period_bounds",
    "period_ended",
    "problems_of",
    "readings_at",
    "record_exchange",
    "statement_trace",
    "take_period_reads",
]

_RESETS = 1_000_000  # more than any site has
_TRIES = 3  # looks at the inputs, while other runs lock beside this one


@dataclass(frozen=True, slots=True)
class BillingRun:
    """The newest statements of a period after a run, and what stood in the way of others."""

    period: str
    start: Ms
    end: Ms
    statements: tuple[Statement, ...]
    problems: tuple[Problem, ...]
    locked: int = 0  # how many versions this run added


def bill_period(
    site: Site, table: PointTable, records: Records, period: str, now: Ms, actor: str
) -> BillingRun:
    """Locks a statement for every unit whose inputs are known; a run without change adds nothing.

    The reads of both cut-offs must be frozen. Raises Rejected for a period that has not ended,
    Conflict when other runs locked something again and again meanwhile: nothing of this one was kept.
    """
    start, end = period_bounds(period, site.cut_off_day, zone(site.time_zone))
    if end > now:
        raise Rejected(f"the period {period} has not ended yet")
    for _ in range(_TRIES):
        run = _run(site, table, records, period, (start, end), now, actor)
        if run is not None:
            return run
    raise Conflict("conflict.billing_run", {"period": period})


def _run(
    site: Site,
    table: PointTable,
    records: Records,
    period: str,
    bounds: tuple[Ms, Ms],
    now: Ms,
    actor: str,
) -> BillingRun | None:
    """One look and one lock; None = another run was first with something: all of this one or nothing."""
    (start, end), tz = bounds, zone(site.time_zone)
    earlier = _earlier(site, period, tz)
    with records.read() as tx:
        frozen = _load(tx, site, period, (*earlier, start, end))
    days = local_date(start, tz), local_date(end, tz)
    work = Work(site, table, frozen, period, start, end, earlier, *days)
    made = work.statements(now, actor)
    problems = tuple(work.problems)
    with records.write() as tx:
        if {s.unit: s.version for s in tx.metering.statements(site.id, period)} != {
            unit: s.version for unit, s in frozen.locked.items()
        }:
            return None
        locked = tx.metering.lock(made) if made else 0
        tx.put_blob(site.id, f"billing|{period}", _packed(problems))
        for pool, usages in work.pools.items() if made else ():
            tx.put_blob(site.id, f"pool|{pool}", msgspec.json.encode(usages))
        if made:
            tx.audit(site.id, now, actor, "statements.lock", period, f"{locked}")
            for one in made:
                tx.change(site.id, now, "statement", one.number)
    newest = {**frozen.locked, **{one.unit: one for one in made}}
    return BillingRun(period, start, end, tuple(newest[u] for u in sorted(newest)), problems, locked)


def close_period(
    site: Site, table: PointTable, store: ReadingStore, records: Records, period: str, now: Ms, actor: str
) -> tuple[PeriodReads, BillingRun]:
    """The reads of the period's start that are not frozen yet, those of its end, the billing run."""
    start, end = period_bounds(period, site.cut_off_day, zone(site.time_zone))
    take_period_reads(site, table, store, records, start, now, actor)
    reads = take_period_reads(site, table, store, records, end, now, actor)
    return reads, bill_period(site, table, records, period, now, actor)


def problems_of(tx: Tx, site: str, period: str) -> tuple[Problem, ...]:
    """The problems of the last run of a period."""
    packed = tx.blob(site, f"billing|{period}")
    return tuple(Problem(**row) for row in json.loads(packed)) if packed else ()


def statement_trace(records: Records, site: str, number: str) -> tuple[Trace, ...]:
    """Every amount of a statement with its two registers. Raises Rejected for an unknown number."""
    with records.read() as tx:
        found = tx.metering.statement(site, number)
        if found is None:
            raise Rejected(f"there is no statement {number}")
        wanted = {line.arguments.get("pool_digest", "") for line in found.lines} - {""}
        packed = {pool: tx.blob(site, f"pool|{pool}") for pool in wanted}
    kept = {pool: msgspec.json.decode(data, type=tuple[Usage, ...]) for pool, data in packed.items() if data}
    return statement.trace(found, kept)


def _packed(problems: Iterable[Problem]) -> bytes:
    rows = [
        {"key": p.key, "unit": p.unit, "device": p.device, "holds": p.holds, "arguments": dict(p.arguments)}
        for p in problems
    ]
    return json.dumps(rows, ensure_ascii=False).encode()


def _earlier(site: Site, period: str, tz: ZoneInfo) -> tuple[Ms, ...]:
    """Cut-offs before the period's start that matter: the year's, and those of the history."""
    first = date(int(period[:4]), int(period[5:7]), 1)
    yearly = any(t.basis == "year" for t in site.tariffs)
    count = max(HISTORY, first.month - 1 if yearly else 0)
    months = [months_from(first, -back) for back in range(count, 0, -1)]
    return tuple(period_bounds(f"{month:%Y-%m}", site.cut_off_day, tz)[0] for month in months)


def _load(tx: Tx, site: Site, period: str, cut_offs: Sequence[Ms]) -> Frozen:
    return Frozen(
        devices={d.id: d for d in tx.devices.all(site.id)},
        exchanges=tx.metering.exchanges(site.id),
        reads={
            at: {(r.device, r.point): r for r in tx.metering.period_reads(site.id, at)} for at in cut_offs
        },
        locked={s.unit: s for s in tx.metering.statements(site.id, period)},
        # A read may be as old as its tolerance allows.
        resets=tx.devices.events(site.id, None, min(cut_offs) - 2 * DAY, _RESETS, COUNTER_RESET),
    )
