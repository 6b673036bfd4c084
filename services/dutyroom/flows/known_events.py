"""Events of the past that are known, and how long the rules took to tell of them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from dutyroom.errors import Invalid, Mistake, Rejected
from dutyroom.flows.alarm_kinds import accepted
from dutyroom.timebase import HOUR, MINUTE, Ms, from_iso, zone

Row = Mapping[str, str]
NEEDED = ("kind", "start", "end")
IGNORE = "ignore"  # a kind: a stretch in which alarms are neither right nor wrong
AHEAD: Ms = 3 * HOUR  # a tank's alarm may come so long before its event: the stop level is passed first
AFTER: Ms = 24 * HOUR  # what rings so long after an event may still be about it


@dataclass(frozen=True, slots=True)
class Known:
    """One event. device: "" = all devices of the zone. until: the last instant at which an alarm is in time."""

    id: str
    device: str
    zone: str
    kind: str
    start: Ms
    end: Ms
    until: Ms
    families: str = ""


@dataclass(frozen=True, slots=True)
class Told:
    """An alarm, as far as it matters here. object: a device, or the zone that a group stands for."""

    object: str
    kind: str
    raised_at: Ms


@dataclass(frozen=True, slots=True)
class Found:
    """What became of one event. after: ms from its start to the first alarm of an accepted kind; None = missed."""

    event: Known
    after: Ms | None


@dataclass(frozen=True, slots=True)
class Verdict:
    """aside: alarms that tell of no known event and lie in no stretch that is not judged."""

    found: Sequence[Found]
    aside: int

    def by_kind(self) -> list[tuple[str, int, int, Ms | None]]:
        """(kind, events, detected, median time to detect)."""
        kinds: dict[str, list[Ms | None]] = {}
        for one in self.found:
            kinds.setdefault(one.event.kind, []).append(one.after)
        return [
            (kind, len(all_of), len(told := [a for a in all_of if a is not None]), _middle(told))
            for kind, all_of in sorted(kinds.items())
        ]


def _middle(told: Sequence[Ms]) -> Ms | None:
    return round(median(told)) if told else None


def known_events(rows: Sequence[Row], file: str) -> list[Known]:
    """Columns kind, start, end, and device_id or zone; perhaps event_id, accept, grace_min. Raises Invalid."""
    mistakes: list[Mistake] = []
    events: list[Known] = []
    for number, row in enumerate(rows, 2):
        missing = [name for name in NEEDED if not row.get(name)]
        if not row.get("device_id") and not row.get("zone"):
            missing.append("device_id")
        if missing:
            mistakes += [Mistake(file, number, name, "missing") for name in missing]
            continue
        try:
            start, end = _utc(row["start"]), _utc(row["end"])
            grace = round(float(row.get("grace_min") or 0) * MINUTE)
        except (Rejected, ValueError) as err:
            mistakes.append(Mistake(file, number, "", str(err)))
            continue
        if end < start:
            mistakes.append(Mistake(file, number, "end", "lies before its start"))
            continue
        events.append(
            Known(
                row.get("event_id") or str(number - 1),
                row.get("device_id") or "",
                row.get("zone") or "",
                row["kind"],
                start,
                end,
                end + grace,
                row.get("accept") or "",
            )
        )
    if mistakes:
        raise Invalid(mistakes)
    return events


def _utc(text: str) -> Ms:
    return from_iso(text, zone("UTC"))


def judged(events: Sequence[Known], told: Sequence[Told], zone_of: Callable[[str], str]) -> Verdict:
    """Each alarm tells of one event at most, in the order of their starts. zone_of: of a device."""
    used: set[int] = set()
    near: set[int] = set()
    found = []
    for event in sorted((e for e in events if e.kind != IGNORE), key=lambda e: e.start):
        mine = [n for n, one in enumerate(told) if _concerns(event, one.object, zone_of)]
        first = _first(event, told, [n for n in mine if n not in used])
        if first is not None:
            used.add(first)
        near.update(
            n for n in mine if _begin(event) <= told[n].raised_at <= max(event.until, event.end + AFTER)
        )
        found.append(Found(event, None if first is None else max(0, told[first].raised_at - event.start)))
    ignored = [e for e in events if e.kind == IGNORE]
    aside = sum(n not in near and not _excused(one, ignored) for n, one in enumerate(told))
    return Verdict(found, aside)


def _first(event: Known, told: Sequence[Told], mine: Collection[int]) -> int | None:
    fitting = (
        n
        for n in mine
        if _begin(event) <= told[n].raised_at <= event.until
        and accepted(told[n].kind, event.families, event.kind)
    )
    return min(fitting, key=lambda n: told[n].raised_at, default=None)


def _begin(event: Known) -> Ms:
    return event.start - (AHEAD if event.kind.startswith("tank_") else 0)


def _concerns(event: Known, about: str, zone_of: Callable[[str], str]) -> bool:
    if event.device:
        return about in (event.device, event.zone)
    return event.zone in (about, zone_of(about))


def _excused(one: Told, ignored: Sequence[Known]) -> bool:
    return any(
        e.device == one.object
        and e.start <= one.raised_at <= e.end
        and accepted(one.kind, e.families or "any", "")
        for e in ignored
    )
