"""Planned outages and fire tests: the API and the page."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse
from pydantic import BaseModel, Field

from dutyroom.api.asked import Ask, Asked, Json, Limit
from dutyroom.api.render import page
from dutyroom.flows.announcing import UTILITIES, AnnouncingDesk, Wish
from dutyroom.model.announced import Announced, Announcement
from dutyroom.timebase import DAY, HOUR, MINUTE, Ms, from_iso, to_datetime, zone

router = APIRouter()

_PATH = "/api/v1/sites/{site}/announcements"
Moment = Annotated[
    str, Field(max_length=40, description="ISO 8601; without an offset local time of the site")
]


class Announce(BaseModel):
    """What is announced."""

    kind: Announced
    ends: Moment
    begins: Moment = ""
    reason: str = Field(max_length=500)
    utility: Literal["", "power", "water", "network"] = ""
    devices: list[str] = Field([], max_length=500)
    spaces: list[str] = Field([], max_length=100)


class Move(BaseModel):
    """How an announcement is changed. ends: of `move`; or `minutes` more than it has."""

    reason: str = Field("", max_length=500)
    ends: Moment = ""
    minutes: int = Field(0, ge=0, le=24 * 60)


def _desk(ask: Asked) -> AnnouncingDesk:
    return AnnouncingDesk(ask.room.records, ask.room.clock)


def _instant(ask: Asked, text: str) -> Ms | None:
    return from_iso(text, zone(ask.site.site.time_zone)) if text.strip() else None


@router.get(_PATH, name="api_announcements", tags=["duty"])
def get_announcements(ask: Ask, limit: Limit = 200) -> list[Json]:
    """Planned outages and fire tests, the latest first."""
    with ask.room.records.read() as tx:
        found = tx.announcements.search(ask.name, limit)
    return [row(ask, announcement) for announcement in found]


@router.post(_PATH, name="api_announce", tags=["duty"], status_code=201)
def post_announcement(ask: Ask, asked: Announce) -> Json:
    """Announces a planned outage, or starts a fire test."""
    wish = Wish(
        asked.kind,
        _instant(ask, asked.ends) or 0,
        asked.reason,
        _instant(ask, asked.begins),
        asked.utility,
        asked.devices,
        asked.spaces,
    )
    made = _desk(ask).announce(ask.name, ask.actor, wish)
    ask.site.wake()
    return row(ask, made)


@router.post(_PATH + "/{announcement}/{action}", name="api_announcement_action", tags=["duty"])
def post_action(ask: Ask, announcement: int, action: Literal["move", "cancel"], move: Move) -> Json:
    """Another end, or none of it any more."""
    desk = _desk(ask)
    if action == "cancel":
        changed = desk.cancel(ask.name, announcement, ask.actor, move.reason)
    else:
        ends = _instant(ask, move.ends) or _end(ask, announcement) + move.minutes * MINUTE
        changed = desk.move_end(ask.name, announcement, ask.actor, ends, move.reason)
    ask.site.wake()
    return row(ask, changed)


def _end(ask: Asked, announcement: int) -> Ms:
    with ask.room.records.read() as tx:
        found = tx.announcements.get(ask.name, announcement)
    return found.ends if found is not None else 0


def row(ask: Asked, announcement: Announcement) -> Json:
    """As pages and programs see it."""
    shown, now = ask.presenter(), ask.room.clock.now()
    state = "over" if announcement.over(now) else "running" if announcement.running(now) else "planned"
    if announcement.cancelled_at is not None:
        state = "cancelled"
    places = [shown.device_name(d) for d in announcement.devices]
    places += [shown.place(s) for s in announcement.spaces]
    words = shown.words
    return {
        "id": announcement.id,
        "kind": announcement.kind.value,
        "kind_text": words.t(f"announced.{announcement.kind.value}"),
        "utility": announcement.utility,
        "utility_text": words.t(f"utility.{announcement.utility}") if announcement.utility else "",
        "devices": list(announcement.devices),
        "spaces": list(announcement.spaces),
        "places": places or [words.t("announced.everywhere")],
        "begins": announcement.begins,
        "ends": announcement.ends,
        "begins_text": words.time(announcement.begins, "date_time"),
        "ends_text": words.time(announcement.ends, "date_time"),
        "reason": announcement.reason,
        "actor": shown.actor(announcement.actor),
        "state": state,
        "state_text": words.t(f"announced.state.{state}"),
        "affected": announcement.affected,
        "ticket": announcement.ticket,
    }


@router.get("/sites/{site}/announcements", name="page_announcements", include_in_schema=False)
def announcements_page(request: Request, ask: Ask) -> HTMLResponse:
    """What is announced, and the form for more."""
    now, tz = ask.room.clock.now(), zone(ask.site.site.time_zone)
    shown = ask.presenter()
    values = {
        "rows": get_announcements(ask, 100),
        "begins": to_datetime(now, tz).strftime("%Y-%m-%dT%H:%M"),
        "ends": to_datetime(now + 2 * HOUR, tz).strftime("%Y-%m-%dT%H:%M"),
        "latest": to_datetime(now + 14 * DAY, tz).strftime("%Y-%m-%dT%H:%M"),
        "utilities": UTILITIES,
        "spaces": [(path, shown.place(path)) for path in ask.site.site.spaces],
    }
    return page(request, "announcements.html", values, ask)
