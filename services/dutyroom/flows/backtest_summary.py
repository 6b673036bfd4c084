"""A run over the past in duty-room terms: what the people of each shift would have had to see to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from dutyroom.flows.alarm_kinds import kind_of
from dutyroom.flows.alarm_load import Load, Ring
from dutyroom.flows.backtest import Outcome, Past, Raised
from dutyroom.flows.backtest_compare import CHANGES, Difference
from dutyroom.flows.known_events import Verdict
from dutyroom.flows.past_troubles import Census, Trouble, Troubles
from dutyroom.model.telemetry import Point
from dutyroom.rules.spec import Rule, matches
from dutyroom.timebase import DAY, MINUTE, Ms, to_iso

_UPKEEP = ("since_service", "unplanned_run")  # kinds that ask what plans had done


@dataclass(frozen=True, slots=True)
class Summary:
    """kinds: alarms by kind. more: by sort of trouble, how many are not named. late: readings that came late, and alarms
    by what they changed (`backtest_officer.CHANGED`). kept: of what the site's records had of that time, how many, and the
    alarms that this kept quiet (`muted`)."""

    site: str
    since: Ms
    until: Ms
    readings: int
    devices: int
    load: Load
    kinds: Mapping[str, int]
    troubles: Sequence[Trouble]
    more: Mapping[str, int]
    verdict: Verdict | None = None
    compared: Sequence[Difference] | None = None
    changed_tickets: int | None = None  # how many the changed rules would have opened
    seconds: float = 0.0
    shown: Mapping[str, str] = field(default_factory=dict)  # device -> how people name it
    late: Mapping[str, int] = field(default_factory=dict)
    kept: Mapping[str, int] = field(default_factory=dict)

    def plain(self) -> dict[str, Any]:
        """As JSON values; instants as ISO 8601 in UTC."""
        load = self.load
        return {
            "site": self.site,
            "from": to_iso(self.since),
            "to": to_iso(self.until),
            "readings": self.readings,
            "devices": self.devices,
            "alarms": load.alarms,
            "tickets": load.tickets,
            "kinds": dict(self.kinds),
            **plain_load(load),
            "late": dict(self.late),
            "records": dict(self.kept),
            "events": None if self.verdict is None else _events(self.verdict),
            "compare": None
            if self.compared is None
            else {**counted(self.compared), "tickets": self.changed_tickets},
            "troubles": [asdict(t) for t in self.troubles],
            "troubles_not_named": dict(self.more),
            "seconds": round(self.seconds, 2),
        }


def plain_load(load: Load) -> dict[str, Any]:
    """The figures of a stretch of time as JSON values."""
    return {
        "figures": {
            f.name: {"value": _short(f.value), "target": f.target, "most": f.most, "grade": f.grade}
            for f in load.figures
        },
        "peak_at": None if load.peak_at is None else to_iso(load.peak_at),
        "priorities": [
            {"priority": p, "alarms": count, "share": round(share, 4)} for p, count, share in load.priorities
        ],
        "shifts": [{**asdict(s), "begins": s.begins.strftime("%H:%M")} for s in load.shifts],
        "worst": [{**asdict(a), "share": round(a.share, 4)} for a in load.worst],
        "disproved": load.disproved,
        "tests": load.tests,
        "acknowledged_within_10min": load.prompt,
        "acknowledged_after_median_s": None if load.waited is None else load.waited / 1000,
    }


def _short(value: float | None) -> float | None:
    return None if value is None else round(value, 4)


def _events(verdict: Verdict) -> dict[str, Any]:
    return {
        "events": len(verdict.found),
        "detected": sum(f.after is not None for f in verdict.found),
        "other_alarms": verdict.aside,
        "kinds": [
            {"kind": kind, "events": n, "detected": told, "median_minutes": _minutes(after)}
            for kind, n, told, after in verdict.by_kind()
        ],
        "each": [
            {
                "event": f.event.id,
                "kind": f.event.kind,
                "device": f.event.device or f.event.zone,
                "start": to_iso(f.event.start),
                "detected_after_minutes": _minutes(f.after),
            }
            for f in verdict.found
        ],
    }


def _minutes(span: Ms | None) -> float | None:
    return None if span is None else round(span / MINUTE, 1)


def counted(found: Sequence[Difference]) -> dict[str, int]:
    """How many alarms the changed rules add, remove, raise earlier and later."""
    return {change: sum(d.change == change for d in found) for change in CHANGES}


def rings_of(raised: Sequence[Raised]) -> list[Ring]:
    """A call each, in the order in which they were raised."""
    return [
        Ring(
            one.raised_at,
            one.rule,
            one.object,
            one.priority,
            one.cleared_at,
            ticket=one.ticket,
            test=one.test,
        )
        for one in raised
    ]


def kinds_of(raised: Sequence[Raised]) -> dict[str, int]:
    """The most frequent first."""
    found: dict[str, int] = {}
    for one in raised:
        kind = kind_of(one.rule, one.arguments)
        found[kind] = found.get(kind, 0) + 1
    return dict(sorted(found.items(), key=lambda pair: (-pair[1], pair[0])))


def late_of(outcome: Outcome) -> dict[str, int]:
    """What came late in a run, and what it changed."""
    return {"readings": sum(outcome.late.values()), **outcome.changed}


def run_troubles(troubles: Troubles, outcome: Outcome, past: Past, census: Census) -> None:
    """What the engine could not do, by rule and device."""
    rule_troubles(troubles, outcome, past, census)
    _unjudged(troubles, outcome, past, census)
    for device, count in outcome.late.items():
        troubles.add("late", device, count)
    for what, count, times in census.floods(past.table):
        troubles.add("flood", what, count, f"x{times:.0f}")


def rule_troubles(troubles: Troubles, outcome: Outcome, past: Past, census: Census) -> None:
    """Rules that could not run, or could say nothing; also of changed rules, where the others have said theirs."""
    said, found = {(t.sort, t.what) for t in troubles.rows()}, Troubles()
    for (rule, device), why in outcome.problems.items():
        found.add("rule", f"{rule}: {why}", 1, device)
    first, last = census.span() or (0, 0)
    for row in past.rules:
        _idle(found, row, outcome, past)
        if past.kept is None and row.kind in _UPKEEP and (count := outcome.running.get(row.id)):
            found.add("upkeep", row.id, count)
        if first and outcome.running.get(row.id):
            _too_long(found, row, last - first)
    for one in found.rows():
        if (one.sort, one.what) not in said:
            troubles.add(one.sort, one.what, one.count, one.place)


def _unjudged(troubles: Troubles, outcome: Outcome, past: Past, census: Census) -> None:
    """Devices whose readings no rule judges, whatever they send: a register under a name that none looks for, say."""
    sent: dict[str, list[Point]] = {}
    for point in past.table:
        if census.count[point.id]:
            sent.setdefault(point.device, []).append(point)
    for device, points in sent.items():
        if outcome.looked_at.isdisjoint(point.id for point in points):
            what = ", ".join(sorted(f"{point.spec.name} ({point.spec.kind})" for point in points))
            troubles.add("unjudged", f"{points[0].device_class}: {what}", 1, device)


def _too_long(troubles: Troubles, rule: Rule, recorded: Ms) -> None:
    """A rule whose window is longer than all that was recorded never says a thing."""
    over = rule.parameters.get("over")
    needed = max(rule.on_delay, over if isinstance(over, int) else 0)
    if needed > max(recorded, DAY):
        troubles.add("short", rule.id, -(-needed // DAY), f"{recorded / DAY:.1f}")


def _idle(troubles: Troubles, rule: Rule, outcome: Outcome, past: Past) -> None:
    """A site's own rule that looks at nothing."""
    if rule.shipped or outcome.running.get(rule.id):
        return
    meant = [device for device in past.devices.values() if matches(rule.select, device)]
    if not meant:
        troubles.add("no_device", rule.id, 0)
    elif not any(key[0] == rule.id for key in outcome.problems):
        troubles.add("no_point", f"{rule.id}: {rule.point or '?'}", len(meant), meant[0].id)
