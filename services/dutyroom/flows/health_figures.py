"""How well a site's data is, as fields of `dutyroom_data`: journal, canary, clocks, completeness."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from dutyroom.flows.completeness import intervals, overall, shares
from dutyroom.flows.health import Health
from dutyroom.interfaces import Journal
from dutyroom.model.duty import Device
from dutyroom.model.telemetry import PointTable
from dutyroom.timebase import Ms, day_start, local_date, zone

Fields = dict[str, int | float]
LOW = 0.95  # of what is expected: below it a device is worth a look


def health_fields(health: Health) -> Fields:
    """What is known of it: canary_s (from broker to store), canary_silent, spool (% of the journal's bound),
    odd_clocks (devices), skew_s (the largest, either way)."""
    found: Fields = {}
    if (canary := health.canary) is not None and canary.proven:
        found["canary_silent"] = int(canary.silent)
        if canary.delay_s is not None and not canary.silent:
            found["canary_s"] = float(canary.delay_s)
    if health.spool is not None and health.spool.limit:
        found["spool"] = 100.0 * health.spool.share
    if health.skews is not None:
        odd = health.skews.odd()
        found["odd_clocks"] = len(odd)
        found["skew_s"] = max((abs(s.ms) / 1000 for s in odd.values() if s.ms is not None), default=0.0)
    return found


def completeness_fields(
    journal: Journal,
    devices: Iterable[Device],
    table: PointTable,
    time_zone: str,
    now: Ms,
    added: Mapping[str, Ms],
) -> Fields:
    """Of the local day so far: complete (% of the readings expected of all devices together), incomplete (devices
    below 95 %). {} where nothing was expected yet. added: as `shares` has it."""
    first, tz = journal.kept_since(), zone(time_zone)
    if first is None:
        return {}
    start = day_start(local_date(now, tz), tz)
    kept = journal.kept([start])
    found = shares(intervals(devices, table), kept, [(start, now + 1)], first, now, added)
    total = overall(found)
    if total is None:
        return {}
    return {"complete": 100.0 * total, "incomplete": sum(share.share < LOW for share in found)}
