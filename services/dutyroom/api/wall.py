"""The wall board: what the duty room sees from four metres away."""

from __future__ import annotations

from collections.abc import Sequence

from fastapi import APIRouter, HTTPException, Request
from fastapi.responses import HTMLResponse

from dutyroom.api.access import wall_visitor
from dutyroom.api.asked import Ask, Asked, Json, language_of
from dutyroom.api.board import Board, midnight, online, tiles, use_of_today
from dutyroom.api.planned import lines, wanted
from dutyroom.api.present import Presenter
from dutyroom.api.render import page
from dutyroom.api.room import Room
from dutyroom.api.stream import alarm_rows
from dutyroom.api.ticket_rows import ticket_rows
from dutyroom.api.trail import action_text
from dutyroom.interfaces import LedgerQuestion, Tx
from dutyroom.model.duty import Ticket
from dutyroom.timebase import DAY, Ms

router = APIRouter()


@router.get("/wall/{token}", name="wall", include_in_schema=False)
def wall(request: Request, token: str) -> HTMLResponse:
    """The wall board of a token, without log-in and without any right to write."""
    room: Room = request.app.state.room
    visitor = wall_visitor(room, token)
    if visitor is None or visitor.site not in room.sites:
        raise HTTPException(404, "error.no_wall")
    request.state.visitor = visitor
    ask = Asked(room, room.sites[visitor.site], visitor, language_of(request))
    return _wall(request, ask, token)


@router.get("/sites/{site}/wall", name="wall_page", include_in_schema=False)
def wall_page(request: Request, ask: Ask) -> HTMLResponse:
    """The wall board for who is logged in."""
    return _wall(request, ask, "")


@router.get("/api/v1/sites/{site}/board", name="api_board", tags=["duty"])
def get_board(request: Request, ask: Ask) -> Json:
    """What the wall board shows: systems, alarms, tickets, plans, use of today, state of the data."""
    return board_of(ask, request.app.state.boards[ask.name])


def _wall(request: Request, ask: Asked, token: str) -> HTMLResponse:
    return page(
        request, "wall.html", board_of(ask, request.app.state.boards[ask.name]) | {"token": token}, ask
    )


def board_of(ask: Asked, board: Board) -> Json:
    shown = ask.presenter()
    devices = list(shown.devices.values())
    with ask.room.records.read() as tx:
        alarms = alarm_rows(tx, shown, list(tx.alarms.open_ones(ask.name)))
        tickets = ticket_rows(tx, shown, tx.tickets.search(ask.name, open_only=True, limit=2000))
        plans = lines(shown, wanted(tx, ask.name, shown.now))
        month = tx.tickets.search(ask.name, since=shown.now - 30 * DAY, limit=2000)
        notes = duty_notes(tx, shown)
    visible = [a for a in alarms if a["tab"] in ("active", "returned")]
    return {
        "tiles": tiles(board, shown, alarms),
        "alarms": visible,
        "shelved": sum(a["tab"] == "shelved" for a in alarms),
        "tickets": tickets,
        "bar": [
            (state, sum(t["state"] == state for t in tickets))
            for state in ("open", "dispatched", "accepted", "done")
        ],
        "late": sum(t["late"] for t in tickets),
        "reports": sum(t["kind"] == "report" for t in tickets),
        "opened": sum(t.opened_at >= midnight(ask.site, shown.now) for t in month),
        "on_time": _on_time(month, shown.now),
        "plans": plans,
        "water": use_of_today(board, devices, "water", shown.now),
        "power": use_of_today(board, devices, "power", shown.now),
        "online": online(board, devices, shown.now),
        "devices": len(devices),
        "data": _data_today(ask, shown.now),
        "notes": notes,
        "oldest": min((a["raised_at"] for a in visible if a["filled"]), default=None),
    }


def duty_notes(tx: Tx, shown: Presenter, count: int = 5) -> list[Json]:
    """What people did last about alarms and tickets within a day, newest first."""
    found: list[Json] = []
    for row in tx.audit_rows(shown.site.site.id, 200):
        kind, _, _ = row.action.partition(".")
        if row.actor == "system" or row.at < shown.now - DAY or not row.target.isdigit():
            continue
        if kind == "alarm" and (alarm := tx.alarms.get(shown.site.site.id, int(row.target))):
            what = f"{shown.rule_name(alarm.rule)} {shown.device_name(alarm.object)}"
        elif kind == "ticket" and (ticket := tx.tickets.get(shown.site.site.id, int(row.target))):
            what = f"{ticket.number} {shown.ticket_title(ticket)}"
        else:
            continue
        done, said = action_text(shown, row.action).rpartition(" · ")[2], shown.reason(row.detail)
        said = "" if said in what else said  # a new ticket's detail is its number
        found.append({"at": row.at, "what": what, "done": done, "said": said, "actor": row.actor})
        if len(found) == count:
            break
    return found


def _on_time(tickets: Sequence[Ticket], now: Ms) -> float | None:
    """Per cent of tickets to which somebody was sent in time; those still in time do not count yet."""
    judged = [t for t in tickets if t.respond_by is not None and (t.dispatched_at or t.respond_by < now)]
    good = sum(t.dispatched_at is not None and t.dispatched_at <= (t.respond_by or 0) for t in judged)
    return 100 * good / len(judged) if judged else None


def _data_today(ask: Asked, now: Ms) -> Json:
    """Today's readings and whether the ledger balances."""
    totals = ask.site.journal.balance(LedgerQuestion(now - DAY, by="day", limit=1)).totals
    return {
        "readings": totals.readings,
        "messages": totals.received,
        "pending": totals.unread + totals.pending,
        "quarantine": ask.site.journal.quarantine_size(),
    }
