"""Devices that nobody listed: who they may be, adopting them; and the profiles that are in use."""

from __future__ import annotations

from dataclasses import replace

from fastapi import APIRouter, HTTPException, Request
from fastapi.responses import HTMLResponse
from pydantic import BaseModel, Field

from dutyroom.api.access import Least
from dutyroom.api.asked import Ask, Asked, Json, Limit
from dutyroom.api.parameter_words import meanings
from dutyroom.api.payloads import readable
from dutyroom.api.present import Presenter, value_text
from dutyroom.api.render import page
from dutyroom.api.trail import detail_text, mistake_text
from dutyroom.api.words import Words
from dutyroom.flows.devices import DeviceDesk
from dutyroom.flows.intake import Intake
from dutyroom.flows.offers import Offer, by_hand, on
from dutyroom.flows.shelf import Shelf, Shelved
from dutyroom.flows.strangers import (
    Candidate,
    Stranger,
    Strangers,
    Wish,
    adoption,
    candidate,
    check_parameters,
    clear_choice,
    offered_id,
    sheet_rows,
)
from dutyroom.model.telemetry import DeviceClass, Kind, Point
from dutyroom.profiles.decode import Library
from dutyroom.profiles.proposal import Proposal
from dutyroom.profiles.result import DecodedReading
from dutyroom.site.table import sheet_of

router = APIRouter(prefix="/api/v1/sites", tags=["data"])
pages = APIRouter(include_in_schema=False)

PAGE_ROWS = 50
_TRIED = "strangers"  # where the application keeps what it has tried, by site


def intake_of(ask: Asked) -> tuple[Intake, DeviceDesk, Shelf]:
    """What takes devices in. Raises HTTPException where this process ingests nothing."""
    site = ask.site
    if site.intake is None or site.devices is None or site.shelf is None:
        raise HTTPException(409, "error.no_intake")
    return site.intake, site.devices, site.shelf


def strangers_of(request: Request, ask: Asked) -> Strangers:
    state = request.app.state
    if not hasattr(state, _TRIED):
        setattr(state, _TRIED, {})
    kept: dict[str, Strangers] = getattr(state, _TRIED)
    found = kept.get(ask.name)
    if found is None:
        _, _, shelf = intake_of(ask)
        found = kept.setdefault(ask.name, Strangers(ask.site.journal, shelf.build))
    return found


@router.get("/{site}/unknown", name="api_unknown")
def get_unknown(request: Request, ask: Ask, limit: Limit = 100) -> list[Json]:
    """Devices, and topics that no profile tells apart, that publish what nobody reads: each with its last
    payload and the profiles that read it, the best first. Devices come before topics, the newest first.

    `choice`: the profile that it is adopted with when nothing else is said, "" where a person has to say.
    `offers`: of a topic that no profile reads, those that could, each with the file that would make it so.
    `tried` false: there was no time to try all of them; ask again."""
    intake, _, _ = intake_of(ask)
    shown, taken = ask.presenter(), list(ask.room.devices(ask.site))
    rows = []
    foreign = intake.not_ours.addresses
    for stranger in strangers_of(request, ask).all(intake.library, intake.registry.find, limit, foreign):
        row = _stranger(shown, stranger, intake.library)
        if stranger.candidates:
            row["id"] = offered_id(row["choice"], stranger.address, taken)
            taken.append(row["id"])
        rows.append(row)
    return rows


def _stranger(shown: Presenter, stranger: Stranger, library: Library) -> Json:
    newest = stranger.newest
    return {
        "address": stranger.address,
        "topic": newest.topic,
        "topics": list(stranger.topics),
        "reason": stranger.reason,
        "detail": newest.detail,
        "count": stranger.count,
        "kept": stranger.kept,
        "first_at": stranger.first_at,
        "last_at": stranger.last_at,
        **readable(library.shown(newest.topic, newest.payload)),
        "size": len(newest.payload),
        "id": "",
        "choice": clear_choice(stranger),
        "candidates": [
            _candidate(shown, c) | _asks(shown.words, library, c.profile) for c in stranger.candidates
        ],
        "offers": [_offer(shown, offer, library) for offer in stranger.offers],
        "tried": stranger.tried,
        "refusals": [
            {"profile": profile, "detail": detail, "text": detail_text(shown, detail)}
            for profile, detail in stranger.refusals
        ],
    }


def _offer(shown: Presenter, offer: Offer, library: Library) -> Json:
    proposal = offer.proposal
    best = candidate(library, offer.trial, proposal.addresses[0])
    return {
        **_candidate(shown, best),
        "addresses": list(proposal.addresses),
        "topic": proposal.filter,
        "id": proposal.id,
        "file": proposal.file,
        "text": proposal.text,
    }


def _candidate(shown: Presenter, candidate: Candidate) -> Json:
    return {
        "profile": candidate.profile,
        "name": shown.words.pick(candidate.name),
        "class": candidate.device_class,
        "named": candidate.named,
        "foreign": candidate.foreign,
        "readings": [_reading(shown, r, value) for r, value in candidate.readings],
        "events": candidate.events,
        "findings": [
            {"kind": kind, "detail": detail, "text": detail_text(shown, detail)}
            for kind, detail in candidate.findings
        ],
    }


def _asks(words: Words, library: Library, profile: str) -> Json:
    """parameters: name -> default, "" where the device must say it. needs: the names of those; meanings: what of them
    is meant, in which unit, where the catalogue says it."""
    found = library.profiles[profile]
    return {
        "parameters": {**dict.fromkeys(found.needed, ""), **found.parameters},
        "needs": list(found.needed),
        "meanings": meanings(words, found),
    }


def _reading(shown: Presenter, reading: DecodedReading, value: float) -> Json:
    spec = reading.spec
    point = Point(0, "", "", DeviceClass.OTHER, "", spec)
    return {
        "point": spec.name,
        "label": shown.point_name(spec.name, spec),
        "value": reading.text if spec.kind is Kind.TEXT else value,
        "text": value_text(point, reading.value, reading.text or "", shown.words),
        "unit": shown.words.unit(spec.unit) if spec.kind in (Kind.GAUGE, Kind.COUNTER) else "",
        "at": reading.at,
    }


class Adoption(BaseModel):
    """A device to take in. What is left out is as it is offered: the profile that is clearly the best, an
    id, no place.

    topic: a filter that no profile reads so far; the profile is extended to it by a file in the site's folder.
    parameters: as in a table of devices, `ct=40;pt=10`; those for which its profile has no default are needed.
    """

    address: str = Field(min_length=1, max_length=200)
    profile: str = Field("", max_length=200)
    id: str = Field("", max_length=100)
    name: str = Field("", max_length=200)
    space: str = Field("", max_length=200)
    parameters: str = Field("", max_length=2000)
    topic: str = Field("", max_length=500)


@router.post("/{site}/unknown/adopt", name="api_adopt")
def post_adopt(request: Request, ask: Ask, wanted: Adoption) -> Json:
    """Takes an unknown device into the registry, at once; what it has sent so far is read again.

    `others`: where the profile was not said, those that read the device too, but not as well. Several
    that read it equally well are refused by name: say which it is."""
    intake, desk, shelf = intake_of(ask)
    said = {name: value.strip() for name, value in wanted.model_dump().items()}
    topic = said.pop("topic")
    wish, strangers, waiting = Wish(**said), strangers_of(request, ask), 0
    if topic:
        if (base := intake.library.profiles.get(wish.profile)) is not None:
            check_parameters(wish, base)  # before a file is written for it
        silent = strangers.silent()
        rows = [s.newest for s in silent]
        proposal = by_hand(intake.library, shelf.build, rows, wish.profile, topic, wish.address)
        put_up(ask, shelf, proposal)
        heard = {row.id for row in on(topic, rows)}
        waiting = sum(s.kept for s in silent if s.newest.id in heard)
        wish = replace(wish, profile=proposal.id)
    stranger = strangers.find(intake.library, wish.address)
    with ask.room.records.read() as tx:
        taken = [device.id for device in tx.devices.all(ask.name)]
    row = adoption(wish, stranger, intake.library, taken)
    desk.take(sheet_of("", sheet_rows(row)), ask.actor)
    if wish.address in intake.not_ours.addresses:
        intake.not_ours.take_back(wish.address, ask.actor, ask.room.clock.now())
    ask.room.forget_devices(ask.name)
    ask.site.wake()
    return {
        "device": row["id"],
        "profile": row["profile"],
        "others": _others(wish, stranger, row["profile"]),
        "waiting": stranger.kept if stranger is not None else waiting,
    }


def _others(wish: Wish, stranger: Stranger | None, taken: str) -> list[str]:
    if wish.profile or stranger is None:
        return []
    return [c.profile for c in stranger.candidates if c.profile != taken]


def put_up(ask: Asked, shelf: Shelf, proposal: Proposal) -> None:
    """Writes a proposed profile into the site's folder, and reads it. Raises Rejected when it cannot."""
    shelf.write(proposal.id, proposal.text)
    now = ask.room.clock.now()
    with ask.room.records.write() as tx:
        tx.audit(
            ask.name, now, ask.actor, "profiles.written", proposal.id, f"{proposal.base} · {proposal.filter}"
        )
        tx.change(ask.name, now, "profile", proposal.id)
    shelf.reload()
    ask.site.wake()


# ---------------------------------------------------------------- profiles


@router.get("/{site}/profiles", name="api_profiles")
def get_profiles(ask: Ask) -> Json:
    """The profiles in use, the site's own among them, and what is wrong with its files."""
    _, _, shelf = intake_of(ask)
    words = ask.presenter().words
    own = frozenset(shelf.shelved.own)
    return shelved(shelf.shelved) | {
        "profiles": [
            {
                "id": p.id,
                "name": words.pick(p.name),
                "class": p.device_class.value,
                "own": p.id in own,
            }
            for p in sorted(shelf.library.profiles.values(), key=lambda p: p.id)
        ]
    }


@router.post("/{site}/profiles/reload", name="api_profile_reload")
def post_reload(ask: Ask) -> Json:
    """Reads the site's own profiles now; those with mistakes are refused, what was in use stays."""
    _, _, shelf = intake_of(ask)
    found = shelf.reload()
    now = ask.room.clock.now()
    with ask.room.records.write() as tx:
        figures = f"{len(found.own)} / {len(found.mistakes)}"
        tx.audit(ask.name, now, ask.actor, "profiles.reload", "", figures)
        tx.change(ask.name, now, "profile", "")
    return shelved(found)


def shelved(found: Shelved) -> Json:
    return {
        "at": found.at,
        "own": list(found.own),
        "kept": list(found.kept),
        "mistakes": [
            {"file": m.file, "line": m.line, "field": m.field, "message": m.message} for m in found.mistakes
        ],
    }


# ---------------------------------------------------------------- page


def _with_words(shown: Presenter, found: Json) -> Json:
    mistakes = [m | {"text": mistake_text(shown, m["message"])} for m in found["mistakes"]]
    return {**found, "mistakes": mistakes}


@pages.get("/sites/{site}/unknown", name="page_unknown")
def unknown_page(request: Request, ask: Ask) -> HTMLResponse:
    """Unknown devices, each with the profiles that read it and a form to adopt it."""
    intake, _, shelf = intake_of(ask)
    spaces = [(path, ask.presenter().place(path)) for path in ask.site.site.spaces]
    values = {
        "rows": get_unknown(request, ask, PAGE_ROWS),
        "spaces": spaces,
        "shelved": _with_words(ask.presenter(), shelved(shelf.shelved)),
        "may_adopt": ask.visitor.may(Least.ADMINISTRATOR),
        "may_write": ask.visitor.may(Least.ADMINISTRATOR) and shelf.writable,
        "not_ours": intake.not_ours.marks,
    }
    return page(request, "unknown.html", values, ask)
