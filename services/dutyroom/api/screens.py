"""The pages. Each takes rows from the API's own functions and hands them to a template."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import HTMLResponse

from dutyroom.api import calendar
from dutyroom.api.asked import Ask, Asked, Json
from dutyroom.api.board import online
from dutyroom.api.data import device_detail, library_of, quarantined
from dutyroom.api.duty import ticket_detail
from dutyroom.api.health import clock_text, health_shown
from dutyroom.api.ledger import ledger_shown
from dutyroom.api.messages import in_words
from dutyroom.api.people import get_outbox, get_people, get_tokens
from dutyroom.api.planned import Standing, lines, standing
from dutyroom.api.present import OPEN_TICKETS, TAB_ORDER, Presenter, by_answer
from dutyroom.api.registry_pages import facts
from dutyroom.api.render import page
from dutyroom.api.stream import alarm_rows
from dutyroom.api.ticket_rows import ticket_rows
from dutyroom.api.trail import about, audit_row, detail_text, finding_text
from dutyroom.flows.silent_words import KIND as SILENT
from dutyroom.model.duty import Device
from dutyroom.model.telemetry import Kind
from dutyroom.plans import Plan
from dutyroom.timebase import DAY, HOUR, local_date, zone

router = APIRouter(include_in_schema=False)

CLASS_ORDER = (
    "elevator", "fire_panel", "generator", "transfer_switch", "feeder", "tank", "pump", "gate", "gateway",
    "water_meter", "electricity_meter", "gas_meter", "heat_meter", "sensor", "other",
)  # fmt: skip
METERS = ("water_meter", "electricity_meter", "gas_meter", "heat_meter", "feeder")
PAGE_ROWS = 200
_PUSHED_OUT = 5  # devices of which is said what was pushed out of the quarantine
_LATE = 20  # overdue or missed work shown at first, above the plans
_MOST_LATE = 1000
_QUARANTINED = 10  # messages shown at first, above the ledger


@router.get("/sites/{site}/alarms", name="page_desk")
def desk(request: Request, ask: Ask, alarm: int | None = None, tab: str = "active") -> HTMLResponse:
    """The alarm desk; its rows are drawn by the page's script from the stream."""
    shown = ask.presenter()
    with ask.room.records.read() as tx:
        rows = alarm_rows(tx, shown, list(tx.alarms.open_ones(ask.name)))
    chosen = tab if tab in TAB_ORDER else "active"
    values = {"rows": rows, "tab": chosen, "tabs": TAB_ORDER, "chosen": alarm, "people": _people(ask)}
    return page(request, "desk.html", values, ask)


def _people(ask: Asked) -> list[str]:
    with ask.room.records.read() as tx:
        return [p.name or p.login for p in tx.people.all(ask.name) if p.active]


@router.get("/sites/{site}/devices", name="page_devices")
def devices_page(request: Request, ask: Ask, kind: str = "", find: str = "", start: int = 0) -> HTMLResponse:
    """The registry by class, with each device's main value."""
    shown = ask.presenter()
    everything = sorted(shown.devices.values(), key=lambda d: (CLASS_ORDER.index(d.device_class), d.id))
    classes = [(c, sum(d.device_class == c for d in everything)) for c in CLASS_ORDER]
    wanted = find.strip().lower()
    chosen = [
        d
        for d in everything
        if (not kind or d.device_class == kind)
        and (
            not wanted or wanted in f"{d.id} {d.name} {shown.device_name(d.id)} {d.address} {d.space}".lower()
        )
    ]
    with ask.room.records.read() as tx:
        worst: dict[str, Json] = {}
        for row in alarm_rows(tx, shown, list(tx.alarms.open_ones(ask.name))):
            if row["tab"] in ("active", "returned"):
                worst.setdefault(row["device"], row)
    values = {
        "kind": kind,
        "find": find,
        "classes": [(c, n) for c, n in classes if n],
        "rows": [_device_row(ask, shown, d, worst.get(d.id)) for d in chosen[start : start + PAGE_ROWS]],
        "total": len(chosen),
        "all": len(everything),
        "start": start,
        "size": PAGE_ROWS,
    }
    return page(request, "devices.html", values, ask)


def _device_row(ask: Asked, shown: Presenter, device: Device, alarm: Json | None) -> Json:
    points = [shown.value(p, ask.site.live.get(p.id)) for p in ask.site.table.of_device(device.id)]
    shown_points = sorted((p for p in points if p["name"] != "online"), key=_rank)[:3]
    heard = max((p["received_at"] for p in points if p["received_at"] is not None), default=None)
    return {
        "id": device.id,
        "name": shown.device_name(device.id),
        "place": shown.place(device.space),
        "class_text": shown.words.t(f"class.{device.device_class}"),
        "status": device.status.value,
        "points": shown_points,
        "online": next((p for p in points if p["name"] == "online" and p["at"] is not None), None),
        "heard": heard,
        "alarm": alarm,
    }


MAIN_POINTS = (
    "level", "trapped", "alarm", "running", "power", "flow", "volume", "energy", "source", "floor", "moving",
    "fuel", "voltage", "door_open", "fault_code", "fault", "mode", "door", "online", "battery",
)  # fmt: skip


def _rank(row: Json) -> int:
    return MAIN_POINTS.index(row["name"]) if row["name"] in MAIN_POINTS else len(MAIN_POINTS)


@router.get("/sites/{site}/devices/{device:path}", name="page_device")
def device_page(request: Request, ask: Ask, device: str, point: int | None = None) -> HTMLResponse:
    """One device: values, 24 h trend, its alarms and tickets."""
    detail = device_detail(ask, device)
    shown = ask.presenter()
    with ask.room.records.read() as tx:
        alarms = alarm_rows(tx, shown, list(tx.alarms.search(ask.name, object=device, limit=20)))
        tickets = ticket_rows(tx, shown, tx.tickets.search(ask.name, object=device, limit=20))
        attributes = tx.devices.attributes(ask.name, device)
    detail["points"].sort(key=_rank)
    drawn = [p for p in detail["points"] if p["kind"] != Kind.TEXT.value]
    known = {p["point"] for p in drawn}
    chosen = point if point in known else (drawn[0]["point"] if drawn else None)
    alarms.sort(key=lambda a: -a["raised_at"])
    counters = [p for p in detail["points"] if p["kind"] == Kind.COUNTER.value]
    skews = ask.site.health.skews
    clock = clock_text(shown, skews.of(device) if skews is not None else None)
    silent = [f for f in ask.site.journal.findings(shown.now - DAY, 100, device) if f.kind == SILENT]
    values = {
        "clock": clock,
        "silent": finding_text(shown, silent[0]) if silent else "",
        "device": detail,
        "alarms": alarms,
        "tickets": tickets,
        "drawn": drawn,
        "point": chosen,
        "chart": shown.chart(ask.site.table[chosen]) if chosen is not None else None,
        "about": about(shown, shown.devices[device], attributes, [p["name"] for p in detail["points"]]),
        "name": shown.device_name(device),
        "facts": facts(ask, shown, shown.devices[device]),
        "changes": ask.site.devices is not None,
        "counters": counters if detail["device_class"] in METERS else [],
    }
    return page(request, "device.html", values, ask)


@router.get("/sites/{site}/tickets", name="page_tickets")
def tickets_page(request: Request, ask: Ask, show: str = "open", kind: str = "") -> HTMLResponse:
    """Open tickets by urgency, or all of the last 30 days."""
    shown = ask.presenter()
    with ask.room.records.read() as tx:
        if show == "all":
            found = tx.tickets.search(ask.name, since=shown.now - 30 * DAY, limit=500)
        else:
            found = tx.tickets.search(ask.name, open_only=True, limit=500)
        rows = ticket_rows(tx, shown, found)
    if show != "all":
        rows = by_answer(rows)
    states = ("open", "dispatched", "accepted", "done")
    values = {
        "show": show,
        "kind": kind,
        "rows": [r for r in rows if not kind or r["kind"] == kind],
        "bar": [(s, sum(r["state"] == s for r in rows)) for s in states],
        "open_count": sum(r["state"] in OPEN_TICKETS for r in rows),
    }
    return page(request, "tickets.html", values, ask)


@router.get("/sites/{site}/tickets/{ticket}", name="page_ticket")
def ticket_page(request: Request, ask: Ask, ticket: int) -> HTMLResponse:
    """One ticket: what, where, who, and what happened."""
    return page(request, "ticket.html", {"ticket": ticket_detail(ask, ticket)}, ask)


@router.get("/sites/{site}/report", name="page_report")
def report_page(request: Request, ask: Ask) -> HTMLResponse:
    """The form for a telephone call."""
    shown = ask.presenter()
    spaces = [(path, shown.place(path)) for path in ask.site.site.spaces]
    return page(request, "report.html", {"spaces": spaces}, ask)


@router.get("/sites/{site}/plans", name="page_plans")
def plans_page(
    request: Request,
    ask: Ask,
    month: str = "",
    rows: Annotated[int, Query(ge=1, le=_MOST_LATE)] = _LATE,
) -> HTMLResponse:
    """Plans, their next and last executions, and a month's calendar."""
    tz = zone(ask.site.site.time_zone)
    shown = ask.presenter()
    now, plans = shown.now, ask.site.site.plans
    view = calendar.month_of(month, local_date(now, tz), tz)
    with ask.room.records.read() as tx:
        stands = standing(tx, ask.name, [plan.id for plan in plans], now, rows)
        inside = lines(shown, tx.occurrences.groups(ask.name, since=view.start, until=view.end))
    late = sum(stands.late.values())
    values = {
        "view": view,
        "weeks": calendar.weeks(view, inside, tz),
        "plans": [_plan(shown, plan, stands) for plan in plans],
        "overdue": [shown.occurrence(row) for row in stands.listed],
        "late": late,
        "more_late": max(0, late - len(stands.listed)),
        "rows": rows,
        "most": _MOST_LATE,
        "today": local_date(now, tz),
        "proven": {plan.id for plan in plans if plan.proof is not None},
    }
    return page(request, "plans.html", values, ask)


def _plan(shown: Presenter, plan: Plan, stands: Standing) -> Json:
    words = shown.words
    every, day = plan.schedule.every_days, plan.schedule.month_day
    months = plan.schedule.every_months
    if every:
        rhythm = words.t("plans.every_days", days=every)
    elif months > 1:
        rhythm = words.t("plans.every_months", months=months, day=day)
    else:
        rhythm = words.t("plans.monthly", day=day)
    return {
        "id": plan.id,
        "name": words.pick(plan.name),
        "rhythm": rhythm,
        "at": plan.schedule.at.strftime("%H:%M"),
        "next": stands.following.get(plan.id),
        "last": stands.last.get(plan.id),
        "late": stands.late.get(plan.id, 0),
        "source": plan.source,
        "proof": plan.proof,
    }


@router.get("/sites/{site}/data", name="page_data")
def data_page(
    request: Request,
    ask: Ask,
    state: str = "open",
    by: str = "hour",
    device: str = "",
    start: Annotated[int, Query(ge=0)] = 0,
    rows: Annotated[int, Query(ge=1, le=100)] = _QUARANTINED,
) -> HTMLResponse:
    """Data health: broker, ledger, quarantine, findings, gateways, import of history."""
    now = ask.room.clock.now()
    shown = ask.presenter()
    gateways = [d for d in shown.devices.values() if d.device_class == "gateway"]
    chosen = state if state in ("open", "reprocessed", "discarded") else "open"
    set_aside = ask.site.journal.quarantine(chosen, 100)
    waiting = ask.site.journal.quarantine_size() if chosen == "open" else len(set_aside)
    values = {
        **ledger_shown(ask, by, device, start),
        **health_shown(ask, shown),
        "known": shown.devices,
        "state": chosen,
        "quarantine": [
            quarantined(r, library_of(ask)) | {"why": detail_text(shown, r.detail)} for r in set_aside[:rows]
        ],
        "more_quarantine": max(0, waiting - rows),
        "pushed_out": ask.site.journal.pushed_out(_PUSHED_OUT) if chosen == "open" else (),
        "rows": rows,
        "findings": [
            (row, finding_text(shown, row)) for row in ask.site.journal.findings(now - 7 * DAY, 100)
        ],
        "gateways": [_device_row(ask, shown, d, None) for d in sorted(gateways, key=lambda d: d.id)],
        "devices": len(shown.devices),
        "online": online(request.app.state.boards[ask.name], list(shown.devices.values()), now),
        "progress": dict(ask.site.progress),
        "troubles": dict(ask.site.troubles()),
        "lossless": ask.site.broker_lossless,
        "messages": ask.site.live.messages,
        "readings": ask.site.live.readings,
        "uptime": now - ask.site.started_at if ask.site.started_at else None,
        "device_name": shown.device_name,
        "hour": HOUR,
    }
    return page(request, "data.html", values, ask)


@router.get("/sites/{site}/messages", name="page_messages")
def messages_page(request: Request, ask: Ask) -> HTMLResponse:
    """The outbox: what was sent to whom, what failed and why."""
    shown = ask.presenter()
    rows = []
    for row in get_outbox(ask, 200):
        _, body = in_words(shown, row["key"], row["arguments"])
        rows.append(row | {"text": body.splitlines()[0], "rest": body.splitlines()[1:]})
    return page(request, "messages.html", {"rows": rows}, ask)


@router.get("/sites/{site}/people", name="page_people")
def people_page(request: Request, ask: Ask) -> HTMLResponse:
    """People, roles and tokens."""
    values = {"people": get_people(ask), "tokens": get_tokens(ask)}
    return page(request, "people.html", values, ask)


@router.get("/sites/{site}/audit", name="page_audit")
def audit_page(request: Request, ask: Ask) -> HTMLResponse:
    """Who did what and when."""
    with ask.room.records.read() as tx:
        found = tx.audit_rows(ask.name, 300)
    rows = [audit_row(ask.presenter(), row) for row in found]
    return page(request, "audit.html", {"rows": rows}, ask)


@router.get("/sites/{site}/demo", name="page_demo")
def demo_page(request: Request, ask: Ask) -> HTMLResponse:
    """Buttons that make something happen in the simulated estate."""
    return page(request, "demo.html", {"scenarios": ask.site.scenarios}, ask)
