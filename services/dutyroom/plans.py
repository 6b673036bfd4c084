"""Plans: when they fall due, what fulfils them, when they are overdue.

Pure decisions; `flows/scheduler.py` fetches, asks here and commits. Local times follow `timebase`:
one that does not exist moves to the next valid minute, an ambiguous one is the first.
"""

from __future__ import annotations

import calendar
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from dutyroom.errors import Invalid, Mistake
from dutyroom.fields import Fields
from dutyroom.model.duty import (
    Device,
    DeviceStatus,
    Occurrence,
    OccurrenceState,
    Priority,
    Ticket,
    TicketState,
)
from dutyroom.model.telemetry import Series
from dutyroom.rules.parse import parse_select
from dutyroom.rules.spec import Select, matches
from dutyroom.timebase import DAY, MINUTE, Ms, from_local, local_date, to_datetime
from dutyroom.yamltext import read_yaml

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
    """One unbroken run of a machine, and how long of it it was loaded.

    enough_at: when it had run and been loaded as long as was asked; None = it never was.
    """

    start: Ms
    end: Ms
    loaded_minutes: float
    enough_at: Ms | None = None


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
    """The devices that a plan concerns, by id, also those out of service; ("",) = the whole site."""
    if plan.select is None:
        return ("",)
    chosen = (d.id for d in devices if d.status is not DeviceStatus.WITHDRAWN and matches(plan.select, d))
    return tuple(sorted(chosen))


def window(plan: Plan, due: Ms, tz: ZoneInfo) -> tuple[Ms, Ms]:
    """From when to before when a run serves this occurrence. It serves the one in whose window it
    had run long enough; windows touch and never overlap, so it serves exactly one, whenever it
    was started."""
    ahead = max(plan.ahead, 0)
    longest = (plan.schedule.every_days or 31 * plan.schedule.every_months) * DAY + 2 * DAY
    following = next(dues(plan.schedule, tz, due + 1, due + longest), due + longest)
    return due - ahead, following - ahead


# ---------------------------------------------------------------- what fulfils


def runs(running: Series, power: Series | None, load_kw: float, gap: Ms, minutes: float = 0.0) -> list[Run]:
    """The unbroken runs that two series show; values hold until the next sample.

    running: state 0/1; power in kW, None = running alone counts as loaded. A stretch longer than
    `gap` without any sample breaks a run: what happened in it is not known. A cool-down without
    load belongs to the run, not to its loaded minutes. minutes: what is asked of a run, for
    `enough_at`.
    """
    wanted = round(minutes * MINUTE)
    samples = [(int(at), 0, float(v)) for at, v in zip(running.at, running.value, strict=True)]
    if power is not None:
        samples += [(int(at), 1, float(v)) for at, v in zip(power.at, power.value, strict=True)]
    samples.sort()
    found: list[Run] = []
    on, loaded, start, load, last = False, power is None, 0, 0, 0
    enough: Ms | None = None
    for at, series, value in samples:
        if on and at - last > gap:
            found.append(Run(start, last, load / MINUTE, enough))
            on, loaded = False, power is None
        elif on and loaded:
            load += at - last
            if enough is None and load >= wanted:  # what is loaded runs, so it has run as long
                enough = at - (load - wanted)
        if series == 1:
            loaded = value > load_kw
        elif value == 1 and not on:
            on, start, load, enough = True, at, 0, None
        elif value != 1 and on:
            found.append(Run(start, at, load / MINUTE, enough))
            on = False
        last = at
    if on:
        found.append(Run(start, last, load / MINUTE, enough))
    return [run for run in found if run.end > run.start]


def proves(run: Run, proof: Proof) -> bool:
    """Ran long enough, and loaded long enough, without a break."""
    ran = (run.end - run.start) / MINUTE
    return ran >= proof.minutes and run.loaded_minutes >= proof.minutes


def finishes(occurrence: Occurrence, plan: Plan, ticket: Ticket) -> bool:
    """Whether a finished work order fulfils it. A reading day whose registers nobody has looked for
    is not done, whoever says so: no bill would ever be made."""
    if ticket.state not in (TicketState.DONE, TicketState.CLOSED):
        return False
    finished = ticket.done_at or ticket.closed_at or 0
    return not plan.reading_day or (bool(occurrence.evidence) and finished >= occurrence.due)


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
    elif ticket is not None and finishes(occurrence, plan, ticket):
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


def parse_plans(text: str, file: str) -> tuple[Plan, ...]:
    """The plans of a YAML text (`plans:` a list). Raises Invalid with every mistake."""
    mistakes: list[Mistake] = []
    root = Fields.of(read_yaml(text, file), mistakes)
    found: dict[str, Plan] = {}
    for entry in root.children("plans"):
        plan = _plan(entry)
        if plan.id and plan.id in found:
            entry.wrong("id", f"{plan.id!r} is used by another plan")
        found[plan.id] = plan
    root.finish()
    if mistakes:
        raise Invalid(mistakes)
    return tuple(found.values())


def _plan(entry: Fields) -> Plan:
    plan = Plan(
        id=entry.text("id"),
        name=entry.words("name"),
        schedule=_schedule(entry),
        priority=Priority(entry.integer("priority", 3, 1, 4)),
        grace=_span(entry, "grace", None),
        ahead=_span(entry, "ahead", 0),
        select=parse_select(entry.child("select")) if entry.has("select") else None,
        proof=_proof(entry.child("proof")),
        checklist=_checklist(entry),
        reading_day=entry.flag("reading_day"),
        skill=entry.text("skill", ""),
        source=entry.text("source", ""),
    )
    entry.finish()
    _check_sense(entry, plan)
    return plan


def _check_sense(entry: Fields, plan: Plan) -> None:
    """What each field allows and the whole does not: work that could never be done, or be seen to be."""
    schedule = plan.schedule
    interval = (schedule.every_days or 28 * schedule.every_months) * DAY
    if plan.ahead >= interval:
        entry.wrong(
            "ahead", "must be shorter than the interval: else the next one is opened before this one is due"
        )
    if plan.proof is not None and plan.select is None:
        entry.wrong("proof", "needs a select that names the machines whose telemetry proves it")
    if plan.reading_day and (plan.select is not None or plan.proof is not None):
        entry.wrong("reading_day", "is for the whole site: leave select and proof out")


def _span(entry: Fields, name: str, default: Ms | None) -> Ms:
    return entry.duration(name) if default is None else entry.duration(name, default)


def _date(entry: Fields, name: str) -> date | None:
    if not (written := entry.text(name, "")):
        return None
    try:
        return date.fromisoformat(written)
    except ValueError:
        entry.wrong(name, f"{written!r} is not a date such as 2026-01-05")
        return None


def _time(entry: Fields, name: str) -> time:
    written = entry.text(name)
    try:
        hour, minute = written.split(":")
        return time(int(hour), int(minute))
    except ValueError:
        if written:
            entry.wrong(name, f"{written!r} is not a local time such as 10:00")
        return time()


def _schedule(entry: Fields) -> Schedule:
    at, anchor = _time(entry, "at"), _date(entry, "anchor")
    every, monthly = entry.duration("every", 0), entry.integer("monthly", 0, 0, 31)
    months = entry.integer("every_months", 1, 1, 120)
    if bool(every) == bool(monthly):
        entry.wrong("", "write either every: 15d with an anchor, or monthly: 1 (31 = the last day)")
    elif every:
        if every < DAY or every % DAY:
            entry.wrong("every", "must be whole days, for example 15d")
        if anchor is None and not entry.has("anchor"):
            entry.wrong("", "anchor is missing: the first due day, such as 2026-01-05")
        return Schedule(at, every_days=max(1, every // DAY), anchor=anchor)
    return Schedule(at, anchor=anchor, month_day=monthly or 1, every_months=months)


def _proof(entry: Fields | None) -> Proof | None:
    if entry is None:
        return None
    load_point = entry.text("load_point", "power")
    proof = Proof(
        point=entry.text("point", "running"),
        load_point="" if load_point == "none" else load_point,
        minutes=entry.number("minutes", low=0.1),
        load_kw=entry.number("load_kw", 0.0, low=0.0),
    )
    entry.finish()
    return proof


def _checklist(entry: Fields) -> Mapping[str, Sequence[str]]:
    """A list of steps per language, or one list for both."""
    if not isinstance(entry.raw("checklist"), dict):
        steps = entry.texts("checklist")
        return {"zh-CN": steps, "en": steps} if steps else {}
    inner = entry.child("checklist")
    if inner is None:
        return {}
    zh, en = inner.texts("zh-CN"), inner.texts("en")
    inner.finish()
    return {"zh-CN": zh or en, "en": en or zh}
