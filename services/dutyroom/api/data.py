"""The API of sites, devices, readings and the state of the data."""

from __future__ import annotations

import csv
import io
from typing import Annotated, Literal

from fastapi import APIRouter, HTTPException, Query, Request, Response
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, Field

from dutyroom.api.access import Visitor
from dutyroom.api.asked import Ask, Asked, Json, Limit, language_of, plain
from dutyroom.api.health import clock_of
from dutyroom.api.present import Presenter
from dutyroom.api.room import Room
from dutyroom.errors import Rejected
from dutyroom.flows.following import REREAD
from dutyroom.flows.learning import learning_of
from dutyroom.flows.period_reads import readings_at
from dutyroom.flows.setaside import quarantine_lines
from dutyroom.interfaces import QuarantineRow
from dutyroom.model.telemetry import Kind, Point
from dutyroom.profiles.decode import Library
from dutyroom.timebase import DAY, Ms, from_iso, zone

router = APIRouter(prefix="/api/v1/sites", tags=["data"])

_MOST_DEVICES = 1_000_000
PAYLOAD_SHOWN = 4_000  # bytes of a quarantined payload; the whole of it stays in the journal


@router.get("", name="api_sites")
def get_sites(request: Request) -> list[Json]:
    """The sites that the asker may see."""
    room: Room = request.app.state.room
    visitor: Visitor = request.state.visitor
    language = language_of(request)
    return [
        {
            "id": name,
            "name": room.words(site, language).pick(site.site.name),
            "time_zone": site.site.time_zone,
        }
        for name, site in room.sites.items()
        if visitor.sees(name)
    ]


@router.get("/{site}", name="api_site")
def get_site(ask: Ask) -> Json:
    """A site: name, zone, spaces, state of its data."""
    site = ask.site.site
    return {
        "id": site.id,
        "name": dict(site.name),
        "time_zone": site.time_zone,
        "currency": site.currency,
        "now": ask.room.clock.now(),
        "broker": bool(ask.site.broker_ok()),
        "received_at": ask.site.live.received_at,
        "progress": dict(ask.site.progress),
        "troubles": dict(ask.site.troubles()),
        "devices": len(ask.room.devices(ask.site)),
        "points": len(ask.site.table),
        "spaces": [plain(space) for space in site.spaces.values()],
    }


@router.get("/{site}/devices", name="api_devices")
def get_devices(
    ask: Ask,
    device_class: str = "",
    space: str = "",
    limit: Limit = 1000,
    offset: Annotated[int, Query(ge=0)] = 0,
) -> list[Json]:
    """Registry rows, by id."""
    rows = [
        d
        for d in sorted(ask.room.devices(ask.site).values(), key=lambda d: d.id)
        if (not device_class or d.device_class == device_class) and d.space.startswith(space)
    ]
    return [plain(d) for d in rows[offset : offset + limit]]


@router.get("/{site}/devices/{device:path}", name="api_device")
def get_device(ask: Ask, device: str) -> Json:
    """One device with its points' newest values and its attributes."""
    return device_detail(ask, device)


def device_detail(ask: Ask, device: str) -> Json:
    """Registry row, points with newest values, attributes."""
    found = ask.room.devices(ask.site).get(device)
    if found is None:
        raise HTTPException(404, "error.no_device")
    shown = ask.presenter()
    with ask.room.records.read() as tx:
        attributes = [plain(a) for a in tx.devices.attributes(ask.name, device)]
        learns = learning_of(tx, ask.name, device, shown.now)
    points = points_of(ask, shown, device)
    kept = {a["name"]: str(a["value"]) for a in attributes}
    for row in points:  # one of before texts were in the store
        if row["kind"] == Kind.TEXT.value and row["text"] == "—":
            row["text"] = kept.get(row["name"], "—")
    row = dict(plain(found))
    skews = ask.site.health.skews
    return row | {
        "clock": clock_of(skews.of(device) if skews is not None else None),
        "place": shown.place(found.space),
        "heard_at": ask.site.live.heard(device),
        "points": points,
        "attributes": attributes,
        "learning": [_learning(shown, rule, ready) for rule, ready in sorted(learns.items())],
    }


def _learning(shown: Presenter, rule: str, ready: Ms) -> Json:
    """A rule that still lacks history: from when on it judges."""
    known, days = shown.rules.get(rule), -(-(ready - shown.now) // DAY)
    return {
        "rule": rule,
        "name": shown.words.pick(known.name) if known else rule,
        "ready": ready,
        "text": shown.words.t("device.learns", day=shown.words.time(ready, "date"), days=days),
    }


def points_of(ask: Ask, shown: Presenter, device: str) -> list[Json]:
    return [
        shown.value(point, ask.site.live.get(point.id)) | {"kind": point.spec.kind.value, "device": device}
        for point in ask.site.table.of_device(device)
    ]


@router.get("/{site}/points", name="api_points")
def get_points(
    ask: Ask, device: str = "", limit: Limit = 1000, offset: Annotated[int, Query(ge=0)] = 0
) -> list[Json]:
    """Points with their newest values."""
    shown = ask.presenter()
    devices = [device] if device else sorted({p.device for p in ask.site.table})
    rows = [row for name in devices for row in points_of(ask, shown, name)]
    return rows[offset : offset + limit]


def _point(ask: Ask, point: int) -> Point:
    found = ask.site.table.get(point)
    if found is None:
        raise HTTPException(404, "error.no_point")
    return found


@router.get("/{site}/points/{point}/readings", name="api_range")
def get_range(
    ask: Ask,
    point: int,
    start: Ms,
    end: Ms,
    limit: Annotated[int, Query(ge=1, le=100_000)] = 10_000,
) -> Json:
    """Readings with start <= at < end in physical units, oldest first. text: of a point of texts."""
    found = _point(ask, point)
    series = ask.site.store.range(found, start, end, limit)
    values = [found.physical(v) for v in series.value.tolist()]
    answer = {
        "point": point,
        "unit": found.spec.unit,
        "at": series.at.tolist(),
        "value": values,
        "quality": series.quality.tolist(),
    }
    if series.text or found.spec.kind is Kind.TEXT:
        answer["text"] = [series.text.get(row, "") for row in range(len(series))]
    return answer


@router.get("/{site}/points/{point}/buckets", name="api_buckets")
def get_buckets(ask: Ask, point: int, start: Ms, end: Ms, width: Annotated[Ms, Query(ge=1000)]) -> Json:
    """Per non-empty bucket: min, mean, max and last, in physical units. At most 5,000 buckets."""
    found = _point(ask, point)
    if (end - start) // width > 5_000:
        raise Rejected("error.too_many_buckets")
    scale = float(found.spec.step) if found.spec.step is not None else 1.0
    rows = ask.site.store.buckets(found, start, end, width)
    columns = list(zip(*rows, strict=True)) if rows else [(), (), (), (), ()]
    names = ("at", "min", "mean", "max", "last")
    scaled = [columns[0], *([v * scale for v in column] for column in columns[1:])]
    return {"point": point, "unit": found.spec.unit, **dict(zip(names, map(list, scaled), strict=True))}


def registers_at(ask: Ask, moment: str) -> list[list[str]]:
    """A header and a row a meter; a missing register is empty, never zero."""
    at = from_iso(moment, zone(ask.site.site.time_zone))
    return readings_at(ask.site.site, ask.site.table, ask.site.store, at)


@router.get("/{site}/readings-at", name="api_readings_at")
def get_readings_at(ask: Ask, moment: str) -> list[Json]:
    """Every meter's register at or before an ISO 8601 moment (local to the site without a zone)."""
    header, *rows = registers_at(ask, moment)
    return [dict(zip(header, row, strict=True)) for row in rows]


@router.get("/{site}/readings-at.csv", name="api_readings_csv")
def get_readings_csv(ask: Ask, moment: str) -> Response:
    """The same as a CSV file for a spreadsheet."""
    out = io.StringIO()
    csv.writer(out).writerows([_cell(text) for text in row] for row in registers_at(ask, moment))
    headers = {"content-disposition": 'attachment; filename="readings.csv"'}
    return Response(out.getvalue().encode("utf-8-sig"), media_type="text/csv", headers=headers)


def _cell(text: str) -> str:
    """A spreadsheet takes a leading = + - @ for a formula."""
    return f"'{text}" if text[:1] in ("=", "+", "-", "@") else text


@router.get("/{site}/events", name="api_events")
def get_events(ask: Ask, point: int | None = None, since: Ms | None = None, limit: Limit = 200) -> list[Json]:
    """Passages, panel messages and the like, newest first."""
    with ask.room.records.read() as tx:
        return [plain(event) for event in tx.devices.events(ask.name, point, since, limit)]


def quarantined(row: QuarantineRow, library: Library | None) -> Json:
    """A row with its payload as readable text, personal fields hidden. library None: of a process that
    reads no messages."""
    payload = library.shown(row.topic, row.payload) if library is not None else row.payload
    text = payload[:PAYLOAD_SHOWN].decode("utf-8", "backslashreplace")
    return {
        "id": row.id,
        "received_at": row.received_at,
        "topic": row.topic,
        "payload": text,
        "size": len(row.payload),
        "reason": row.reason,
        "detail": row.detail,
        "device": row.device,
        "state": row.state,
    }


def library_of(ask: Asked) -> Library | None:
    return ask.site.intake.library if ask.site.intake is not None else None


@router.get("/{site}/quarantine.ndjson", name="api_quarantine_export")
def get_quarantine_file(
    ask: Ask, state: Literal["open", "reprocessed", "discarded"] = "open"
) -> StreamingResponse:
    """All messages of a state, one JSON object a line, payloads as base64; personal fields hidden."""
    return StreamingResponse(
        (line + b"\n" for line in quarantine_lines(ask.site.journal, state, library_of(ask))),
        media_type="application/x-ndjson",
        headers={"content-disposition": f'attachment; filename="quarantine-{state}.ndjson"'},
    )


@router.post("/{site}/quarantine/reprocess", name="api_quarantine_reprocess")
def post_reprocess(ask: Ask) -> Json:
    """Reads every open message again, now, and those that newer ones pushed out: what can be read by now is taken at
    the devices' own times. Returns how many these are; gone: what the journal has no longer."""
    now = ask.room.clock.now()
    with ask.room.records.write() as tx:
        tx.audit(ask.name, now, ask.actor, "quarantine.reprocess", "")
        tx.change(ask.name, now, REREAD, "")
    if ask.site.intake is not None:
        ask.site.intake.rereading.ask()
    found = ask.site.journal.pushed_out(_MOST_DEVICES)
    kept, gone = sum(row.kept for row in found), sum(row.gone for row in found)
    return {"open": ask.site.journal.quarantine_size(), "pushed_out": kept, "gone": gone}


class Settle(BaseModel):
    ids: list[Annotated[int, Field(ge=1, lt=2**63)]] = Field(min_length=1, max_length=1000)
    state: Literal["discarded"] = "discarded"


@router.get("/{site}/quarantine", name="api_quarantine")
def get_quarantine(
    ask: Ask, state: Literal["open", "reprocessed", "discarded"] = "open", limit: Limit = 200
) -> list[Json]:
    """Messages that could not be read, with topic, payload and reason."""
    return [quarantined(row, library_of(ask)) for row in ask.site.journal.quarantine(state, limit)]


@router.post("/{site}/quarantine/settle", name="api_quarantine_settle")
def post_quarantine(ask: Ask, settle: Settle) -> Json:
    """Discards messages. What can be read by now is read again by itself."""
    count = ask.site.journal.settle(settle.ids, settle.state)
    now = ask.room.clock.now()
    with ask.room.records.write() as tx:
        tx.audit(ask.name, now, ask.actor, f"quarantine.{settle.state}", ",".join(map(str, settle.ids))[:200])
        tx.change(ask.name, now, "quarantine", "")
    ask.site.wake()
    return {"settled": count}


@router.get("/{site}/findings", name="api_findings")
def get_findings(
    ask: Ask, since: Ms | None = None, limit: Limit = 200, device: str | None = None
) -> list[Json]:
    """What is odd in the data but no alarm. device: of this one alone."""
    start = since if since is not None else ask.room.clock.now() - 7 * DAY
    return [plain(row) for row in ask.site.journal.findings(start, limit, device)]
