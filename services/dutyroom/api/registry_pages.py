"""The pages of the registry: the list, one device's form, the import of a table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, TypeAlias

from fastapi import APIRouter, HTTPException, Query, Request
from fastapi.responses import HTMLResponse

from dutyroom.api.asked import Ask, Asked, Json
from dutyroom.api.parameter_words import meanings
from dutyroom.api.present import Presenter
from dutyroom.api.registry import desk_of
from dutyroom.api.render import page
from dutyroom.model.duty import Device, DeviceStatus
from dutyroom.model.telemetry import DeviceClass
from dutyroom.profiles.profile import Profile
from dutyroom.profiles.ratios import MULTIPLIER
from dutyroom.site.addresses import example
from dutyroom.site.columns import COLUMNS
from dutyroom.site.listing import texts
from dutyroom.site.ratios import without_made
from dutyroom.timebase import Ms

router = APIRouter(include_in_schema=False)

PAGE_ROWS = 200
STATES = ("heard", "silent", "never", "out_of_service", "withdrawn")
SILENT = 3  # intervals, as everywhere on the pages
Facts: TypeAlias = list[tuple[str, str]]


@router.get("/sites/{site}/registry", name="page_registry")
def registry_page(
    request: Request,
    ask: Ask,
    find: str = "",
    kind: str = "",
    profile: str = "",
    space: str = "",
    state: str = "",
    start: Annotated[int, Query(ge=0)] = 0,
) -> HTMLResponse:
    """Every device with what the registry says of it, filtered."""
    shown = ask.presenter()
    profiles = desk_of(ask).estate.profiles if ask.site.devices is not None else {}
    every = sorted(shown.devices.values(), key=lambda d: d.id)
    asked = {"find": find, "kind": kind, "profile": profile, "space": space, "state": state}
    rows = [_row(ask, shown, d, profiles) for d in every if _fits(shown, d, asked)]
    rows = [row for row in rows if row["state"] == state or (not state and row["state"] != "withdrawn")]
    values = {
        **asked,
        "asked": {name: value for name, value in asked.items() if value},
        "rows": rows[start : start + PAGE_ROWS],
        "total": len(rows),
        "start": start,
        "size": PAGE_ROWS,
        "classes": _used(every, "device_class", [str(c) for c in DeviceClass]),
        "profiles": _used(every, "profile", sorted({d.profile for d in every})),
        "spaces": _spaces(shown, every),
        "states": STATES,
        "changes": ask.site.devices is not None,
    }
    return page(request, "registry.html", values, ask)


def _used(devices: Sequence[Device], name: str, order: Sequence[str]) -> list[str]:
    there = {getattr(device, name) for device in devices}
    return [value for value in order if value in there]


def _spaces(shown: Presenter, devices: Sequence[Device]) -> list[tuple[str, str]]:
    """The first two levels of the spaces that have devices."""
    paths = {"/".join(d.space.split("/")[:n]) for d in devices if d.space for n in (1, 2)}
    return [(path, shown.place(path)) for path in sorted(paths)]


def _fits(shown: Presenter, device: Device, asked: Mapping[str, str]) -> bool:
    space = asked["space"]
    if asked["kind"] not in ("", device.device_class) or asked["profile"] not in ("", device.profile):
        return False
    if space and device.space != space and not device.space.startswith(space + "/"):
        return False
    wanted = asked["find"].strip().lower()
    text = (
        f"{device.id} {device.name} {shown.device_name(device.id)} {device.address} {device.model} "
        f"{device.serial} {device.space} {device.profile}"
    )
    return not wanted or wanted in text.lower()


def _row(ask: Asked, shown: Presenter, device: Device, profiles: Mapping[str, Profile]) -> Json:
    profile = profiles.get(device.profile)
    interval = device.interval_s or (profile.interval_s if profile is not None else None)
    heard = heard_at(ask, device.id)
    return {
        "id": device.id,
        "name": shown.device_name(device.id),
        "class": device.device_class,
        "model": device.model or (profile.products[0] if profile is not None and profile.products else ""),
        "profile": device.profile,
        "known": profile is not None or not profiles,
        "place": shown.place(device.space),
        "address": device.address,
        "heard": heard,
        "interval": interval * 1000 if interval else None,
        "state": state_of(device, heard, interval, ask.room.clock.now()),
    }


def heard_at(ask: Asked, device: str) -> Ms | None:
    """When a device was last heard: since the start, or by what it left before."""
    values = (ask.site.live.get(point.id) for point in ask.site.table.of_device(device))
    times = [value.received_at for value in values if value is not None]
    since = ask.site.live.heard(device)
    return max([*times, *([since] if since is not None else [])], default=None)


def state_of(device: Device, heard: Ms | None, interval_s: int | None, now: Ms) -> str:
    """One of STATES."""
    if device.status is not DeviceStatus.ACTIVE:
        return device.status.value
    if heard is None:
        return "never"
    return "silent" if interval_s and now - heard > SILENT * interval_s * 1000 else "heard"


def facts(ask: Asked, shown: Presenter, device: Device) -> Facts:
    """(name, value) of what the registry says beyond id, address and profile."""
    words = shown.words
    found = [
        ("column.model", device.model),
        ("column.serial", device.serial),
        ("column.fed_by", " · ".join(shown.device_name(feed) for feed in _feeds(ask, device))),
        ("column.digits", str(device.digits or "")),
        ("column.resolution", texts(device)["resolution"]),
        (
            "registry.interval",
            words.t("registry.seconds", count=device.interval_s) if device.interval_s else "",
        ),
    ]
    return [(words.t(key), value) for key, value in found if value]


def _feeds(ask: Asked, device: Device) -> list[str]:
    """What feeds a device, by its row and by the topology."""
    feeds = ask.site.site.topology.feeds.values()
    return list(dict.fromkeys(feed for utility in feeds for feed in utility.get(device.id, ())))


# ---------------------------------------------------------------- forms


@router.get("/sites/{site}/registry/edit", name="page_registry_edit")
def edit_page(request: Request, ask: Ask, device: str = "") -> HTMLResponse:
    """The fields of one device, or of a new one."""
    shown = ask.presenter()
    estate = desk_of(ask).estate
    found = shown.devices.get(device)
    if device and found is None:
        raise HTTPException(404, "error.no_device")
    profile = estate.profiles.get(found.profile) if found is not None else None
    typed = without_made(profile, found) if profile is not None and found is not None else found
    made = found.parameters[MULTIPLIER] if found is not None and typed is not found else ""
    values = {
        "device": found,
        "fields": texts(typed) if typed is not None else dict.fromkeys(COLUMNS, ""),
        "classes": [str(c) for c in DeviceClass],
        "statuses": [s.value for s in DeviceStatus],
        "profiles": [(p.id, ", ".join(p.products[:2])) for p in estate.profiles.values()],
        "spaces": [(path, shown.place(path)) for path in sorted(estate.spaces)],
        "feeders": [(d.id, shown.device_name(d.id)) for d in _feeders(shown)],
        "parameters": _taken(profile) if profile is not None else [],
        "meanings": meanings(shown.words, profile) if profile is not None else {},
        "multiplier": made,
        "like": example(profile) if profile is not None else "",
    }
    return page(request, "registry_edit.html", values, ask)


def _taken(profile: Profile) -> list[tuple[str, object]]:
    """(parameter, its default; "" where a device must say it)."""
    return sorted({**dict.fromkeys(profile.needed, ""), **profile.parameters}.items())


def _feeders(shown: Presenter) -> list[Device]:
    classes = {"feeder", "transfer_switch", "generator", "pump", "tank", "gateway"}
    return [d for d in shown.devices.values() if d.device_class in classes]


@router.get("/sites/{site}/registry/import", name="page_registry_import")
def import_page(request: Request, ask: Ask) -> HTMLResponse:
    """A table is looked at first and taken then."""
    desk_of(ask)
    return page(request, "registry_import.html", {"columns": COLUMNS}, ask)
