"""The clerk's pages: period readings, statements, and where each amount comes from."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, HTTPException, Request
from fastapi.responses import HTMLResponse

from dutyroom.api.asked import Ask
from dutyroom.api.billing import cut_offs, problem_row
from dutyroom.api.present import natural
from dutyroom.api.render import page
from dutyroom.api.statements import (
    currency_sign,
    currency_word,
    reads_table,
    statement_view,
    trace_groups,
)
from dutyroom.flows.billing import problems_of
from dutyroom.flows.period_reads import period_ended

router = APIRouter(include_in_schema=False)


@router.get("/sites/{site}/reads", name="page_reads")
def reads_page(request: Request, ask: Ask, cut_off: int | None = None, find: str = "") -> HTMLResponse:
    """Frozen registers of a cut-off beside those of the one before."""
    offered = cut_offs(ask)
    moment = cut_off if cut_off in offered else offered[0]
    before = offered[offered.index(moment) + 1] if moment != offered[-1] else None
    with ask.room.records.read() as tx:
        now_reads = tx.metering.period_reads(ask.name, moment)
        old_reads = tx.metering.period_reads(ask.name, before) if before is not None else []
    rows = reads_table(ask, now_reads, old_reads)
    wanted = find.strip().lower()
    chosen = [r for r in rows if not wanted or wanted in f"{r['device']} {r['name']} {r['place']}".lower()]
    values = {
        "cut_off": moment,
        "before": before,
        "offered": offered,
        "find": find,
        "rows": chosen[:1000],
        "total": len(chosen),
        "missing": sum(r["steps"] is None for r in rows),
        "files": ask.room.files is not None,
    }
    return page(request, "reads.html", values, ask)


@router.get("/sites/{site}/statements", name="page_statements")
def statements_page(request: Request, ask: Ask, period: str = "", find: str = "") -> HTMLResponse:
    """The statements of a period."""
    shown = ask.presenter()
    with ask.room.records.read() as tx:
        everything = tx.metering.statements(ask.name)
        problems = problems_of(tx, ask.name, period or max((s.period for s in everything), default=""))
    periods = sorted({s.period for s in everything}, reverse=True)
    chosen = period if period in periods else (periods[0] if periods else "")
    wanted = find.strip().lower()
    chosen_ones = [
        s
        for s in everything
        if s.period == chosen
        and (not wanted or wanted in f"{s.unit} {s.number} {shown.place(s.unit)}".lower())
    ]
    chosen_ones.sort(key=lambda s: natural(s.unit))
    rows = [
        {"statement": s, "place": shown.place(s.unit), "missing": any(u.quantity is None for u in s.usages)}
        for s in chosen_ones
    ]
    currency = chosen_ones[0].currency if chosen_ones else ask.site.site.currency
    values: dict[str, Any] = {
        "periods": periods,
        "period": chosen,
        "find": find,
        "rows": rows[:1000],
        "total": sum(s.total for s in chosen_ones),
        "currency": currency,
        "sign": currency_sign(currency),
        "currency_word": currency_word(shown, currency),
        "problems": [problem_row(shown, p) for p in problems],
        "files": ask.room.files is not None,
        "bill": chosen or period_ended(ask.room.clock.now(), ask.site.site.cut_off_day, shown.words.tz),
    }
    return page(request, "statements.html", values, ask)


@router.get("/sites/{site}/statements/{number}", name="page_statement")
def statement_page(request: Request, ask: Ask, number: str) -> HTMLResponse:
    """One statement as an A4 page."""
    with ask.room.records.read() as tx:
        found = tx.metering.statement(ask.name, number)
    if found is None:
        raise HTTPException(404, "error.no_statement")
    return page(request, "statement.html", {"s": found, "view": statement_view(ask, found)}, ask)


@router.get("/sites/{site}/statements/{number}/trace", name="page_trace")
def trace_page(request: Request, ask: Ask, number: str) -> HTMLResponse:
    """Every amount of a statement back to its registers."""
    with ask.room.records.read() as tx:
        found = tx.metering.statement(ask.name, number)
    if found is None:
        raise HTTPException(404, "error.no_statement")
    values = {"s": found, "groups": trace_groups(ask, found), "place": ask.presenter().place(found.unit)}
    return page(request, "trace.html", values, ask)
