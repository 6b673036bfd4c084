"""The API of alarms, tickets, plans and messages."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

from fastapi import APIRouter, HTTPException, Query, Response
from pydantic import BaseModel, Field

from dutyroom.api.asked import Ask, Json, Limit, plain
from dutyroom.api.checklists import check_rows
from dutyroom.api.planned import nearest
from dutyroom.api.present import TABS, by_answer
from dutyroom.api.stream import alarm_rows, counts
from dutyroom.api.ticket_rows import ticket_rows
from dutyroom.flows.desk import checks_of, stands
from dutyroom.flows.escalation import alarm_of
from dutyroom.model.duty import Priority, Role, TicketEvent, TicketState
from dutyroom.model.telemetry import Kind
from dutyroom.tickets import TABLE
from dutyroom.timebase import DAY, MINUTE, Ms

router = APIRouter(prefix="/api/v1/sites/{site}", tags=["duty"])

AlarmAction = Literal["acknowledge", "unacknowledge", "shelve", "unshelve", "note", "reset", "dispatch"]
TicketAction = Literal["dispatch", "accept", "arrive", "done", "redo", "close", "cancel", "note"]
CheckAction = Literal["done", "undo"]
TOTAL = "X-Total-Count"
SHELF_MINUTES = 8 * 60  # nothing stays on the shelf longer than a shift


class Act(BaseModel):
    """What goes with an action; which fields count depends on it."""

    reason: str = Field("", max_length=500)
    assignee: str = Field("", max_length=80)
    minutes: int = Field(60, ge=1, le=SHELF_MINUTES, description="shelve: how long")


class Report(BaseModel):
    """A telephone call."""

    text: str = Field(min_length=1, max_length=2000)
    reporter: str = Field("", max_length=80)
    contact: str = Field("", max_length=80)
    space: str = Field("", max_length=120)
    device: str = Field("", max_length=120)
    priority: Priority = Priority.MEDIUM


class Done(BaseModel):
    evidence: str = Field("", max_length=500)


@router.get("/counts", name="api_counts")
def get_counts(ask: Ask) -> Json:
    """The figures of the navigation."""
    with ask.room.records.read() as tx:
        return counts(tx, ask.site)


@router.get("/alarms", name="api_alarms")
def get_alarms(
    ask: Ask,
    tab: Annotated[str, Query(pattern="^(|active|returned|shelved|suppressed|out_of_service)$")] = "",
    device: str = "",
    since: Ms | None = None,
    ended: bool = False,
    limit: Limit = 200,
) -> list[Json]:
    """Open alarms as the desk shows them, most urgent first; with ended=true past ones, newest first."""
    with ask.room.records.read() as tx:
        if ended or device:
            found = tx.alarms.search(
                ask.name, object=device or None, since=since, ended=True if ended else None, limit=limit
            )
        else:
            found = tx.alarms.open_ones(ask.name)
        chosen = [a for a in found if not tab or TABS.get(a.state) == tab]
        return alarm_rows(tx, ask.presenter(), chosen)[:limit]


def alarm_detail(ask: Ask, alarm: int) -> Json:
    """Everything about an alarm: its row, first steps, history, what hangs on it."""
    shown = ask.presenter()
    with ask.room.records.read() as tx:
        found = tx.alarms.get(ask.name, alarm)
        if found is None:
            raise HTTPException(404, "error.no_alarm")
        row = alarm_rows(tx, shown, [found])[0]
        history = [shown.alarm_change(change) for change in tx.alarms.history(alarm)]
        hanging = [a for a in tx.alarms.open_ones(ask.name) if a.root == alarm]
        consequences = alarm_rows(tx, shown, hanging[:50])
    rule = shown.rules.get(found.rule)
    point = ask.site.table.find(found.object, found.point) if found.point else None
    return row | {
        "rule": found.rule,
        "rule_version": found.rule_version,
        "limit": found.limit,
        "unit": shown.words.unit(found.unit),
        "time": shown.words.when(found.raised_at, shown.now),
        "state_text": shown.words.t(f"alarm_state.{found.state.value}"),
        "stretches": shown.stretches(found),
        "advice": shown.words.pick_list(rule.advice) if rule else [],
        "history": history,
        "consequences": consequences,
        "point": point.id if point else None,
        "point_name": shown.point_name(found.point, point.spec if point else None) if found.point else "",
        "now_value": shown.value(point, ask.site.live.get(point.id)) if point else None,
        "chart": shown.chart(point, found.limit) if point and point.spec.kind != Kind.TEXT else None,
        "shelve_reason": found.shelve_reason,
        "people": _crew(ask),
    }


def _crew(ask: Ask) -> list[str]:
    """Who can be sent, by name: not who only looks, nor who only bills."""
    with ask.room.records.read() as tx:
        people = tx.people.all(ask.name)
    return [p.name or p.login for p in people if p.active and p.role in (Role.OPERATOR, Role.ADMINISTRATOR)]


@router.get("/alarms/{alarm}", name="api_alarm")
def get_alarm(ask: Ask, alarm: int) -> Json:
    """One alarm with its first steps, history and consequences."""
    return alarm_detail(ask, alarm)


@router.post("/alarms/{alarm}/{action}", name="api_alarm_action")
def post_alarm(ask: Ask, alarm: int, action: AlarmAction, act: Act) -> Json:
    """Acknowledge, take back within a minute, shelve, note, reset a latch, or send somebody."""
    desk, now = ask.desk, ask.room.clock.now()
    if action == "acknowledge":
        desk.acknowledge(ask.name, alarm, ask.actor, act.reason)
    elif action == "unacknowledge":
        desk.undo_acknowledge(ask.name, alarm, ask.actor)
    elif action == "shelve":
        desk.shelve(ask.name, alarm, ask.actor, now + act.minutes * MINUTE, act.reason)
    elif action == "unshelve":
        desk.unshelve(ask.name, alarm, ask.actor, act.reason)
    elif action == "note":
        desk.note(ask.name, alarm, ask.actor, act.reason)
    elif action == "reset":
        desk.reset(ask.name, alarm, ask.actor, act.reason)
    else:
        desk.dispatch(ask.name, alarm, ask.actor, act.assignee, act.reason)
    ask.site.wake()
    return alarm_detail(ask, alarm)


@router.get("/tickets", name="api_tickets")
def get_tickets(
    ask: Ask, open_only: bool = True, device: str = "", since: Ms | None = None, limit: Limit = 200
) -> list[Json]:
    """Tickets, most urgent first when only open ones are asked for, else newest first."""
    shown = ask.presenter()
    with ask.room.records.read() as tx:
        found = tx.tickets.search(
            ask.name, open_only=open_only, object=device or None, since=since, limit=limit
        )
        rows = ticket_rows(tx, shown, found)
    return by_answer(rows) if open_only else rows


def ticket_detail(ask: Ask, ticket: int) -> Json:
    """Everything about a ticket: its row, its time line, its alarm."""
    shown = ask.presenter()
    with ask.room.records.read() as tx:
        found = tx.tickets.get(ask.name, ticket)
        if found is None:
            raise HTTPException(404, "error.no_ticket")
        history = [shown.ticket_change(change) for change in tx.tickets.history(ticket)]
        alarm = alarm_of(tx, found)
        row = alarm_rows(tx, shown, [alarm])[0] if alarm else None
        own = ticket_rows(tx, shown, [found])[0]
        standing = stands(tx, found)
        listed = checks_of(tx, found)
        lines = check_rows(ask.site, shown, listed, tx.alarms.open_ones(ask.name) if listed else ())
    rule = shown.rules.get(alarm.rule) if alarm else None
    plan = found.cause.split("|")[1] if found.cause.startswith("plan|") else ""
    known = next((p for p in ask.site.site.plans if p.id == plan), None)
    return own | {
        "history": history,
        "alarm_row": row,
        "advice": shown.words.pick_list(rule.advice) if rule else [],
        "checklist": shown.words.pick_list(known.checklist) if known else [],
        **lines,
        "people": _crew(ask),
        "can": possible_actions(found.state),
        "stands": standing,  # closing it needs a reason
    }


STEPS: Mapping[str, TicketEvent] = {
    "close": TicketEvent.CLOSE,
    "done": TicketEvent.DO,
    "accept": TicketEvent.ACCEPT,
    "arrive": TicketEvent.ARRIVE,
    "dispatch": TicketEvent.DISPATCH,
    "redo": TicketEvent.REDO,
    "note": TicketEvent.NOTE,
    "cancel": TicketEvent.CANCEL,
}


def possible_actions(state: TicketState) -> list[str]:
    """What the table of states allows next, the most likely first."""
    if state == TicketState.OPEN:
        return ["dispatch", "accept", "note", "cancel"]
    return [name for name, event in STEPS.items() if (state, event) in TABLE]


@router.get("/tickets/{ticket}", name="api_ticket")
def get_ticket(ask: Ask, ticket: int) -> Json:
    """One ticket with its time line."""
    return ticket_detail(ask, ticket)


@router.post("/tickets/{ticket}/checks/{check}/{action}", name="api_ticket_check")
def post_check(ask: Ask, ticket: int, check: int, action: CheckAction, act: Act) -> Json:
    """Ticks a device of the ticket's list off, or takes that back."""
    step = ask.desk.check if action == "done" else ask.desk.uncheck
    step(ask.name, ticket, check, ask.actor, act.reason)
    return ticket_detail(ask, ticket)


@router.post("/tickets/{ticket}/{action}", name="api_ticket_action")
def post_ticket(ask: Ask, ticket: int, action: TicketAction, act: Act) -> Json:
    """Dispatch, accept, arrive, finish, redo, close, cancel or note."""
    desk = ask.desk
    if action == "dispatch":
        desk.ticket_dispatch(ask.name, ticket, ask.actor, act.assignee, act.reason)
    else:
        steps = {
            "accept": desk.accept,
            "arrive": desk.arrive,
            "done": desk.done,
            "redo": desk.redo,
            "close": desk.close,
            "cancel": desk.cancel,
            "note": desk.ticket_note,
        }
        steps[action](ask.name, ticket, ask.actor, act.reason)
    ask.site.wake()
    return ticket_detail(ask, ticket)


@router.post("/reports", name="api_report", status_code=201)
def post_report(ask: Ask, report: Report) -> Json:
    """Opens a ticket for a telephone call."""
    ticket = ask.desk.open_report(
        ask.name,
        ask.actor,
        text=report.text,
        reporter=report.reporter,
        contact=report.contact,
        space=report.space,
        object=report.device,
        priority=report.priority,
    )
    ask.site.wake()
    return ticket_detail(ask, ticket.id)


@router.get(
    "/occurrences",
    name="api_occurrences",
    responses={
        200: {"headers": {TOTAL: {"description": "How many there are.", "schema": {"type": "integer"}}}}
    },
)
def get_occurrences(
    ask: Ask,
    response: Response,
    plan: str = "",
    since: Ms | None = None,
    until: Ms | None = None,
    limit: Limit = 500,
    offset: Annotated[int | None, Query(ge=0, description="How many to pass over, in order of due.")] = None,
) -> list[Json]:
    """Expected executions of plans, since <= due < until (ms UTC), in order of due.

    `X-Total-Count` says how many there are. Of more than `limit`: with `since` or `offset` (also 0) the first ones,
    and `offset` pages on; with neither those nearest to now, half of them coming up, or the last before an `until`
    that has passed. Without `since` from 30 days before now, or before such an `until`, on.
    """
    shown = ask.presenter()
    middle = shown.now if until is None else min(until, shown.now)
    start = middle - 30 * DAY if since is None else since
    chosen = plan or None
    with ask.room.records.read() as tx:
        book = tx.occurrences
        response.headers[TOTAL] = str(
            sum(book.counts(ask.name, plan=chosen, since=start, until=until).values())
        )
        if since is None and offset is None:
            found = nearest(tx, ask.name, chosen, start, middle, until, limit)
        else:
            found = book.search(
                ask.name, plan=chosen, since=start, until=until, limit=limit, offset=offset or 0
            )
    return [shown.occurrence(row) for row in found]


@router.post("/occurrences/{occurrence}/done", name="api_occurrence_done")
def post_occurrence(ask: Ask, occurrence: int, done: Done) -> Json:
    """A person says that planned work is done, and how it shows."""
    found = ask.desk.occurrence_done(ask.name, occurrence, ask.actor, done.evidence)
    ask.site.wake()
    return ask.presenter().occurrence(found)


@router.post("/occurrences/{occurrence}/excused", name="api_occurrence_excused")
def post_excused(ask: Ask, occurrence: int, act: Act) -> Json:
    """It will not be done; the reason is kept."""
    found = ask.desk.occurrence_excused(ask.name, occurrence, ask.actor, act.reason)
    ask.site.wake()
    return ask.presenter().occurrence(found)


@router.post("/devices/{device}/{action}", name="api_device_service")
def post_device(ask: Ask, device: str, action: Literal["remove", "restore"], act: Act) -> Json:
    """Takes a device out of service (a tag hangs on it), or puts it back."""
    step = ask.desk.remove if action == "remove" else ask.desk.restore
    changed = step(ask.name, device, ask.actor, act.reason)
    ask.room.forget_devices(ask.name)
    ask.site.wake()
    return {"id": changed.id, "status": changed.status.value}


@router.get("/plans", name="api_plans")
def get_plans(ask: Ask) -> list[Json]:
    """The plans of the site folder."""
    return [plain(plan) | {"title": ask.presenter().words.pick(plan.name)} for plan in ask.site.site.plans]
