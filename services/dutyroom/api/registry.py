"""The API of the registry: tables in and out, single devices."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable
from typing import Annotated

from fastapi import APIRouter, HTTPException, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field

from dutyroom.api.asked import Ask, Asked, Json
from dutyroom.api.ports import DeviceFiles
from dutyroom.api.words import LANGUAGES, Words
from dutyroom.errors import Invalid, Mistake, Rejected
from dutyroom.flows.devices import DeviceDesk
from dutyroom.model.duty import Device
from dutyroom.site.columns import COLUMNS
from dutyroom.site.flaws import Flaw
from dutyroom.site.listing import listed
from dutyroom.site.roll import Plan
from dutyroom.site.table import MAX_BYTES, sheet_of

router = APIRouter(prefix="/api/v1/sites/{site}/registry", tags=["data"])

_FLAWS_TOLD = 1_000  # of one file: somebody has to read them


class Table(BaseModel):
    """A table of devices."""

    file: str = Field("devices.csv", max_length=200, description="Its name, for messages.")
    content: str = Field(max_length=MAX_BYTES * 4 // 3 + 4, description="The file in base64: CSV or XLSX.")
    check: bool = Field(False, description="Only say what it would do.")
    withdraw_missing: bool = Field(False, description="Withdraw every device that is not in it.")


class Row(BaseModel):
    """One device by the table's columns; what is not named stays as it is."""

    fields: dict[str, Annotated[str, Field(max_length=2_000)]] = Field(max_length=40)


class Named(BaseModel):
    device: str = Field(min_length=1, max_length=400)


def desk_of(ask: Asked) -> DeviceDesk:
    if ask.site.devices is None:
        raise HTTPException(404, "error.no_registry")
    return ask.site.devices


def _files(ask: Asked) -> DeviceFiles:
    if ask.room.device_files is None:
        raise HTTPException(404, "error.no_registry")
    return ask.room.device_files


@router.post("/import", name="api_registry_import")
def post_import(ask: Ask, table: Table) -> Response:
    """Adds and changes devices by a table, all rows or none. 422 with `mistakes` by row and column."""
    desk = desk_of(ask)
    try:
        raw = base64.b64decode(table.content, validate=True)
    except binascii.Error as err:
        raise Rejected("error.no_base64") from err
    try:
        sheet = _files(ask).read(raw, table.file)
        if table.check:
            made = desk.check(sheet, table.withdraw_missing)
            if made.flaws:
                raise Invalid(made.flaws)
        else:
            made = desk.take(sheet, ask.actor, table.withdraw_missing)
            ask.room.forget_devices(ask.name)
            ask.site.wake()
    except Invalid as err:
        return refused(ask, err.mistakes)
    return JSONResponse(outcome(ask, made, table.check))


@router.put("/{device:path}", name="api_registry_put")
def put_device(ask: Ask, device: str, row: Row) -> Response:
    """Adds or changes one device. 422 with `mistakes` by column."""
    names = [name for name in row.fields if name != "id"]
    table = [["id", *names], [device, *(row.fields[name] for name in names)]]
    try:
        made = desk_of(ask).take(sheet_of("", table), ask.actor)
    except Invalid as err:
        return refused(ask, err.mistakes)
    ask.room.forget_devices(ask.name)
    ask.site.wake()
    return JSONResponse(outcome(ask, made, False) | {"device": device})


@router.post("/withdraw", name="api_registry_withdraw")
def post_withdraw(ask: Ask, named: Named) -> Response:
    """Takes a device out of the registry; its readings and bills stay."""
    return _moved(ask, named.device, gone=True)


@router.post("/take-back", name="api_registry_take_back")
def post_take_back(ask: Ask, named: Named) -> Response:
    """A withdrawn device is in use again."""
    return _moved(ask, named.device, gone=False)


def _moved(ask: Asked, device: str, *, gone: bool) -> Response:
    desk = desk_of(ask)
    try:
        (desk.withdraw if gone else desk.take_back)(device, ask.actor)
    except Invalid as err:
        return refused(ask, err.mistakes)
    ask.room.forget_devices(ask.name)
    ask.site.wake()
    return JSONResponse({"device": device})


@router.get("/devices.csv", name="registry_csv")
def get_csv(ask: Ask) -> Response:
    """Every device that is not withdrawn; importing it again changes nothing."""
    raw = _files(ask).csv(_all(ask), _language(ask))
    return Response(raw, media_type="text/csv", headers=_attached("devices.csv"))


@router.get("/devices.xlsx", name="registry_xlsx")
def get_xlsx(ask: Ask) -> Response:
    """The same as a workbook."""
    raw = _files(ask).xlsx(_all(ask), _language(ask))
    kind = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
    return Response(raw, media_type=kind, headers=_attached("devices.xlsx"))


def _all(ask: Asked) -> list[Device]:
    with ask.room.records.read() as tx:
        return listed(tx.devices.all(ask.name))


def _language(ask: Asked) -> str:
    chosen = ask.presenter().words.language
    return chosen if chosen in LANGUAGES else "en"


def _attached(name: str) -> dict[str, str]:
    return {"content-disposition": f'attachment; filename="{name}"'}


# ---------------------------------------------------------------- in words


def refused(ask: Asked, mistakes: Iterable[Mistake]) -> Response:
    """A problem that names every mistake, in the asker's language."""
    words = ask.presenter().words
    told = [said(words, mistake) for mistake in list(mistakes)[:_FLAWS_TOLD]]
    first = "; ".join(f"{one['title']}: {one['message']}".lstrip(": ") for one in told[:3])
    body = {
        "type": "about:blank#registry",
        "title": "Unprocessable Content",
        "status": 422,
        "detail": first,
        "mistakes": told,
    }
    return JSONResponse(body, 422, media_type="application/problem+json")


def said(words: Words, mistake: Mistake) -> Json:
    """A mistake: row, column, the words for a page and the whole English line for a command."""
    message = mistake.message
    if isinstance(mistake, Flaw) and mistake.key:
        near = str(mistake.arguments.get("near", ""))
        hint = words.t("flaw.hint", near=near) if near else ""
        message = words.t(f"flaw.{mistake.key}", {**mistake.arguments, "hint": hint})
    title = words.t(f"column.{mistake.field}") if mistake.field in COLUMNS else mistake.field
    return {
        "row": mistake.line or None,
        "column": mistake.field,
        "title": title,
        "message": message,
        "text": str(mistake),
    }


def outcome(ask: Asked, made: Plan, check: bool) -> Json:
    """What a table did, or would do."""
    words = ask.presenter().words
    figures = {
        "added": len(made.added),
        "changed": len(made.changed),
        "withdrawn": len(made.withdrawn),
        "unchanged": made.unchanged,
    }
    return {
        "added": [device.id for device in made.added],
        "changed": [after.id for _, after in made.changed],
        "withdrawn": [after.id for _, after in made.withdrawn],
        "unchanged": made.unchanged,
        "notes": [said(words, note) for note in made.notes[:_FLAWS_TOLD]],
        "said": words.t("registry.would" if check else "registry.done", figures),
    }
