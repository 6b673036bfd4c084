"""What became of a site's data, as figures for dashboards.

`dutyroom_ledger`, a line for each receive hour: messages and readings by outcome, of all devices together. It is
written again while its hour lasts and after it, and then replaces itself.
`dutyroom_data`, a line a minute: what was counted since the line before (received, decoded, ignored, quarantined,
readings), batches that wait for the store and for the rules (pending, unjudged), how old the oldest of these
is (lag_s), messages in quarantine; and what `health_figures` knows.
`dutyroom_finding`, a line for each kind of finding and minute: how many devices it was found on within a day.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from dutyroom.interfaces import FindingRow, LedgerRow
from dutyroom.model.figures import Figure
from dutyroom.timebase import MINUTE, Ms

LEDGER, DATA, FINDING = "dutyroom_ledger", "dutyroom_data", "dutyroom_finding"
COUNTED = ("received", "decoded", "ignored", "quarantined", "readings")
OUTCOMES = (*COUNTED, "stored", "duplicate", "conflict", "refused", "gaps")

Totals = Mapping[Ms, Mapping[str, int]]  # by receive hour


def totals(rows: Iterable[LedgerRow]) -> Totals:
    """Of all devices, by hour."""
    found: dict[Ms, dict[str, int]] = {}
    for row in rows:
        hour = found.setdefault(row.hour, dict.fromkeys(OUTCOMES, 0))
        for name in OUTCOMES:
            hour[name] += int(getattr(row, name, 0))
    return found


def hours(site: str, counted: Totals) -> Iterator[Figure]:
    """A line an hour; what waits is the readings without an outcome."""
    for hour, sums in counted.items():
        done = sum(sums[name] for name in ("stored", "duplicate", "conflict", "refused"))
        yield Figure(LEDGER, {"site": site}, {**sums, "waiting": sums["readings"] - done}, hour)


def since(before: Totals, now: Totals) -> dict[str, int]:
    """What was counted between two looks; hours that one of them did not ask for do not count."""
    rise = dict.fromkeys(COUNTED, 0)
    for hour, sums in now.items():
        old = before.get(hour, {})
        for name in COUNTED:
            rise[name] += sums[name] - old.get(name, 0)
    return rise


def minute(
    site: str, at: Ms, counted: Mapping[str, int | float], waiting: tuple[int, int], lag: Ms, quarantine: int
) -> Figure:
    """counted: since the line before, and what else is known; {} = nothing, as after a start. waiting: batches for the store, for the rules, at most: lanes share
    one count."""
    fields: dict[str, int | float] = {
        **counted,
        "pending": waiting[0],
        "unjudged": waiting[1],
        "lag_s": lag / 1000,
        "quarantine": quarantine,
    }
    return Figure(DATA, {"site": site}, fields, at // MINUTE * MINUTE)


def findings(site: str, rows: Sequence[FindingRow], at: Ms) -> Iterator[Figure]:
    """By kind: devices, and how often in all."""
    for kind in sorted({row.kind for row in rows}):
        mine = [row for row in rows if row.kind == kind]
        fields = {"devices": len(mine), "times": sum(row.count for row in mine)}
        yield Figure(FINDING, {"kind": kind, "site": site}, fields, at // MINUTE * MINUTE)
