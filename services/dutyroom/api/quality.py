"""How much rings in the duty room, against ISA-18.2 and EEMUA 191: the page and its figures."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import HTMLResponse

from dutyroom.api.asked import Ask, Asked, Json
from dutyroom.api.render import page
from dutyroom.flows.alarm_load import Load, load_of
from dutyroom.flows.alarm_report import rings, whole_span
from dutyroom.flows.backtest_summary import plain_load
from dutyroom.timebase import DAY, zone

router = APIRouter()

SPANS = (7, 30, 90)  # days that the page offers
Days = Annotated[int, Query(ge=1, le=366)]


def _load(ask: Asked, days: int) -> tuple[Load, bool]:
    """The figures of the last days that the site has been heard, and whether there was more than a report takes."""
    now = ask.room.clock.now()
    found, cut = rings(ask.room.records, ask.name, now - days * DAY, now)
    since = whole_span(found, now - days * DAY, now, ask.site.journal.heard_since())
    return load_of(found, since, now, zone(ask.site.site.time_zone)), cut


@router.get("/api/v1/sites/{site}/alarm-performance", name="api_performance", tags=["duty"])
def get_performance(ask: Ask, days: Days = 30) -> Json:
    """Calls and tickets of the last days by shift and source, with the limits of ISA-18.2 and EEMUA 191."""
    load, cut = _load(ask, days)
    return {"days": days, "alarms": load.alarms, "tickets": load.tickets, "cut": cut, **plain_load(load)}


@router.get("/sites/{site}/performance", name="page_performance", include_in_schema=False)
def performance_page(request: Request, ask: Ask, days: Days = 30) -> HTMLResponse:
    """Figures with their limits, shifts, and the worst sources to mend."""
    load, cut = _load(ask, days)
    shown = ask.presenter()
    begins = [s.begins.strftime("%H:%M") for s in load.shifts]
    values = {
        "load": load,
        "cut": cut,
        "days": days,
        "spans": SPANS,
        "shifts": list(zip(load.shifts, begins, [*begins[1:], *begins[:1]], strict=True)),
        "known": shown.devices,
        "device_name": shown.device_name,
        "rule_name": shown.rule_name,
    }
    return page(request, "performance.html", values, ask)
