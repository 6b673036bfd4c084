"""Plans: when they fall due, what fulfils them, when they are overdue.

Pure decisions; `flows/scheduler.py` fetches, asks here and commits. Local times follow `timebase`:
one that does not exist moves to the next valid minute, an ambiguous one is the first.
"""

from __future__ import annotations

import calendar
import fnmatch
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from dutyroom.document import Field, read
from dutyroom.model.duty import (
    Device,
    DeviceStatus,
    Occurrence,
    OccurrenceState,
    Priority,
    Ticket,
    TicketState,
)
from dutyroom.model.telemetry import DeviceClass, Series
from dutyroom.rules.spec import Select
from dutyroom.timebase import DAY, MINUTE, Ms, from_local, local_date, to_datetime

OVERDUE_KEY = "alarm.plan.overdue"
TICKET_KEY = "ticket.plan"


@dataclass(frozen=True, slots=True)
class Schedule:
    """Every N days from an anchor, or monthly on a day (clipped to the month's last day)."""

    at: time  # local
    every_days: int | None = None
    anchor: date | None = None  # first due day; none before it
    month_day: int | None = None
    every_months: int = 1  # with month_day: counted from the anchor's month, else from January


@dataclass(frozen=True, slots=True)
class Proof:
    """What telemetry must show for a plan to be fulfilled: a generator test run."""

    point: str = "running"
    load_point: str = "power"  # "" = running alone counts as loaded
    minutes: float = 30.0
    load_kw: float = 0.0  # loaded means more than this


@dataclass(frozen=True, slots=True)
class Plan:
    """One plan; `select` empty = one occurrence for the whole site."""

    id: str
    name: Mapping[str, str]
    schedule: Schedule
    priority: Priority
    grace: Ms  # overdue this long after due
    ahead: Ms = 0  # the work order opens this long before due
    select: Select | None = None
    proof: Proof | None = None
    checklist: Mapping[str, Sequence[str]] = field(default_factory=dict)
    reading_day: bool = False  # takes the period reads at its due instant
    skill: str = ""
    source: str = ""  # the rule or law behind the interval


@dataclass(frozen=True, slots=True)
class Run:
    """One unbroken run of a machine, and how long of it it was loaded."""

    start: Ms
    end: Ms
    loaded_minutes: float


def overdue_rule(plan: str) -> str:
    """The rule id of a plan's overdue alarm: one open alarm per plan and object."""
    return f"plan.overdue/{plan}"


def cause(plan: str, object: str, due: Ms) -> str:
    """The unique cause of an occurrence's work order."""
    return f"plan|{plan}|{object}|{due}"


# ---------------------------------------------------------------- when


def _days(schedule: Schedule, first: date, last: date) -> Iterator[date]:
    """Local due days within first..last, in order."""
    anchor = schedule.anchor
    if schedule.every_days is not None:
        start = anchor or date(2000, 1, 1)
        behind = max(0, -(-(first - start).days // schedule.every_days))
        day = start + timedelta(days=behind * schedule.every_days)
        while day <= last:
            yield day
            day += timedelta(days=schedule.every_days)
        return
    phase = (anchor.year * 12 + anchor.month - 1) if anchor else 0
    for month in range(first.year * 12 + first.month - 1, last.year * 12 + last.month):
        if (month - phase) % schedule.every_months:
            continue
        year, index = divmod(month, 12)
        wanted = min(schedule.month_day or 1, calendar.monthrange(year, index + 1)[1])
        day = date(year, index + 1, wanted)
        if first <= day <= last and (anchor is None or day >= anchor):
            yield day


def dues(schedule: Schedule, tz: ZoneInfo, start: Ms, end: Ms) -> Iterator[Ms]:
    """Due instants with start <= due < end, in order."""
    for day in _days(schedule, local_date(start, tz) - timedelta(days=1), local_date(end, tz)):
        due = from_local(datetime.combine(day, schedule.at), tz)
        if start <= due < end:
            yield due


def occurrences(plan: Plan, objects: Sequence[str], tz: ZoneInfo, start: Ms, end: Ms) -> list[tuple[str, Ms]]:
    """(object, due) with start <= due < end, ordered by due; objects ("",) = the whole site."""
    return [(name, due) for due in dues(plan.schedule, tz, start, end) for name in objects]


def objects_of(plan: Plan, devices: Sequence[Device]) -> tuple[str, ...]:
    """The devices that a plan concerns, by id; ("",) = the site as a whole."""
    if plan.select is None:
        return ("",)
    chosen = (d.id for d in devices if d.status is DeviceStatus.ACTIVE and _concerns(plan.select, d))
    return tuple(sorted(chosen))


def _concerns(select: Select, device: Device) -> bool:
    tests = (
        not select.classes or device.device_class in select.classes,
        not select.profiles or device.profile in select.profiles,
        not select.devices or any(fnmatch.fnmatchcase(device.id, glob) for glob in select.devices),
        not select.spaces or any(f"{device.space}/".startswith(f"{s}/") for s in select.spaces),
    )
    return all(tests)


def window(plan: Plan, due: Ms, tz: ZoneInfo) -> tuple[Ms, Ms]:
    """From when to before when a run serves this occurrence: windows touch and never overlap,
    so an early or a late run serves exactly one."""
    ahead = max(plan.ahead, 0)
    longest = (plan.schedule.every_days or 31 * plan.schedule.every_months) * DAY + 2 * DAY
    following = next(dues(plan.schedule, tz, due + 1, due + longest), due + longest)
    return due - ahead, following - ahead


# ---------------------------------------------------------------- what fulfils


def runs(running: Series, power: Series | None, load_kw: float, gap: Ms) -> list[Run]:
    """The unbroken runs that two series show; values hold until the next sample.

    running: state 0/1; power in kW, None = running alone counts as loaded. A stretch longer than
    `gap` without any sample breaks a run: what happened in it is not known. A cool-down without
    load belongs to the run, not to its loaded minutes.
    """
    samples = [(int(at), 0, float(v)) for at, v in zip(running.at, running.value, strict=True)]
    if power is not None:
        samples += [(int(at), 1, float(v)) for at, v in zip(power.at, power.value, strict=True)]
    samples.sort()
    found: list[Run] = []
    on, loaded, start, load, last = False, power is None, 0, 0, 0
    for at, series, value in samples:
        if on and at - last > gap:
            found.append(Run(start, last, load / MINUTE))
            on, loaded = False, power is None
        elif on and loaded:
            load += at - last
        if series == 1:
            loaded = value > load_kw
        elif value == 1 and not on:
            on, start, load = True, at, 0
        elif value != 1 and on:
            found.append(Run(start, at, load / MINUTE))
            on = False
        last = at
    if on:
        found.append(Run(start, last, load / MINUTE))
    return [run for run in found if run.end > run.start]


def proves(run: Run, proof: Proof) -> bool:
    """Ran long enough, and loaded long enough, without a break."""
    ran = (run.end - run.start) / MINUTE
    return ran >= proof.minutes and run.loaded_minutes >= proof.minutes


def evidence_of(run: Run, tz: ZoneInfo) -> str:
    """Figures only, so that they read the same in every language."""
    start, end = to_datetime(run.start, tz), to_datetime(run.end, tz)
    return f"{start:%Y-%m-%d %H:%M}–{end:%H:%M} · {run.loaded_minutes:.0f} min"


def verdict(
    occurrence: Occurrence,
    plan: Plan,
    now: Ms,
    found: Sequence[Run],
    ticket: Ticket | None = None,
    *,
    tz: ZoneInfo,
    was_down: bool = False,
) -> Occurrence | None:
    """What an occurrence becomes now; None = it stays. `found`: the runs in its window.

    Telemetry proves whatever the state was, even late. A work order that a person finished
    fulfils a plan that asks for no proof. was_down: the service was down from before the due
    instant until now, so passing the grace is MISSED rather than OVERDUE.
    """
    if occurrence.state in (OccurrenceState.DONE, OccurrenceState.EXCUSED):
        return None
    if plan.proof is not None:
        proven = next((run for run in found if proves(run, plan.proof)), None)
        if proven is not None:
            evidence = evidence_of(proven, tz)
            return replace(occurrence, state=OccurrenceState.DONE, done_at=proven.end, evidence=evidence)
    elif ticket is not None and ticket.state in (TicketState.DONE, TicketState.CLOSED):
        done_at = ticket.done_at or ticket.closed_at or now
        return replace(
            occurrence,
            state=OccurrenceState.DONE,
            done_at=done_at,
            evidence=ticket.number,
            actor=ticket.assignee,
        )
    if ticket is not None and ticket.state is TicketState.CANCELLED:
        return replace(occurrence, state=OccurrenceState.EXCUSED, done_at=now, evidence=ticket.number)
    if occurrence.state is OccurrenceState.DUE and now >= occurrence.due + plan.grace:
        state = OccurrenceState.MISSED if was_down else OccurrenceState.OVERDUE
        return replace(occurrence, state=state)
    return None


# ---------------------------------------------------------------- the file

_FIELDS = (
    "id", "name", "every", "monthly", "every_months", "anchor", "at", "priority", "grace", "ahead", "select",
    "proof", "checklist", "reading_day", "skill", "source",
)  # fmt: skip


def parse_plans(text: str, file: str) -> tuple[Plan, ...]:
    """The plans of a YAML text (`plans:` a list). Raises Invalid with every mistake."""
    root = read(text, file)
    root.only("plans")
    found: dict[str, Plan] = {}
    for entry in root["plans"].items():
        plan = _plan(entry)
        if plan.id and plan.id in found:
            entry["id"].wrong(f"{plan.id!r} is used by another plan")
        found[plan.id] = plan
    root.sheet.finish()
    return tuple(found.values())


def _plan(entry: Field) -> Plan:
    entry.only(*_FIELDS)
    return Plan(
        id=entry["id"].text(),
        name=entry["name"].words(),
        schedule=_schedule(entry),
        priority=Priority(int(entry["priority"].choice(("1", "2", "3", "4"), "3"))),
        grace=entry["grace"].duration(),
        ahead=entry["ahead"].duration(0),
        select=_select(entry["select"]),
        proof=_proof(entry["proof"]),
        checklist=entry["checklist"].word_lists(),
        reading_day=entry["reading_day"].flag(False),
        skill=entry["skill"].text(""),
        source=entry["source"].text(""),
    )


def _schedule(entry: Field) -> Schedule:
    at = entry["at"].time()
    anchor = entry["anchor"].date() if entry["anchor"].given else None
    every, monthly = entry["every"], entry["monthly"]
    if every.given == monthly.given:
        entry.wrong("write either every: 15d (with an anchor) or monthly: 1")
        return Schedule(at, month_day=1)
    if monthly.given:
        day, months = monthly.integer(), entry["every_months"].integer(1)
        if not 1 <= day <= 31:
            monthly.wrong("a day of the month is 1 to 31; 31 means the last")
        if not 1 <= months <= 120:
            entry["every_months"].wrong("1 to 120 months")
        return Schedule(at, anchor=anchor, month_day=day, every_months=min(max(1, months), 120))
    span = every.duration()
    if span < DAY or span % DAY:
        every.wrong("whole days, for example 15d")
    if anchor is None:
        entry["anchor"].wrong("missing; the first due day is wanted, such as 2026-01-05")
    return Schedule(at, every_days=max(1, span // DAY), anchor=anchor)


def _select(field: Field) -> Select | None:
    if not field.given:
        return None
    field.only("class", "device", "space", "profile")
    classes = field["class"].strings()
    for name in classes:
        if name not in set(DeviceClass):
            field["class"].wrong(f"{name!r} is not a device class")
    return Select(classes, field["device"].strings(), field["space"].strings(), field["profile"].strings())


def _proof(field: Field) -> Proof | None:
    if not field.given:
        return None
    field.only("point", "load_point", "minutes", "load_kw")
    minutes = field["minutes"].decimal()
    if minutes <= 0:
        field["minutes"].wrong("more than 0 minutes")
    load_point = field["load_point"].text("power")
    return Proof(
        point=field["point"].text("running"),
        load_point="" if load_point == "none" else load_point,
        minutes=float(minutes),
        load_kw=float(field["load_kw"].decimal() if field["load_kw"].given else 0),
    )
