"""What a person decides of those who are heard: a profile for their topic, or that they are not ours."""

from __future__ import annotations

from fastapi import APIRouter, Request
from pydantic import BaseModel, Field

from dutyroom.api.asked import Ask, Json, plain
from dutyroom.api.unknown import intake_of, put_up, strangers_of

router = APIRouter(prefix="/api/v1/sites", tags=["data"])


class Listening(BaseModel):
    """A profile that is offered for a topic which nobody reads."""

    topic: str = Field(min_length=1, max_length=500)
    profile: str = Field(min_length=1, max_length=200)


@router.post("/{site}/unknown/profile", name="api_unknown_profile")
def post_profile(request: Request, ask: Ask, wanted: Listening) -> Json:
    """Writes the profile that is offered for a topic into the site's folder and reads it, and what waits
    is read again. No file is overwritten."""
    intake, _, shelf = intake_of(ask)
    stranger, offer = strangers_of(request, ask).offered(intake.library, wanted.topic, wanted.profile)
    put_up(ask, shelf, offer.proposal)
    return {
        "profile": offer.proposal.id,
        "file": offer.proposal.file,
        "topic": offer.proposal.filter,
        "addresses": list(offer.proposal.addresses),
        "waiting": stranger.kept,
    }


class Named(BaseModel):
    """An address as devices call themselves."""

    address: str = Field(min_length=1, max_length=200)


@router.get("/{site}/unknown/not-ours", name="api_not_ours")
def get_not_ours(ask: Ask) -> list[Json]:
    """Addresses that are heard and are not ours, with who said so and when; the newest first."""
    intake, _, _ = intake_of(ask)
    return [plain(mark) for mark in intake.not_ours.marks]


@router.post("/{site}/unknown/not-ours", name="api_disown")
def post_not_ours(ask: Ask, wanted: Named) -> Json:
    """Ignores what an unknown address sends, and what it has sent and waits."""
    intake, _, _ = intake_of(ask)
    intake.disown(wanted.address.strip(), ask.actor, ask.room.clock.now())
    ask.site.wake()
    return {"address": wanted.address.strip()}


@router.post("/{site}/unknown/not-ours/take-back", name="api_disown_back")
def post_take_back(ask: Ask, wanted: Named) -> Json:
    """Listens to an address again; what was ignored of it, and is still in the journal, waits to be read."""
    intake, _, _ = intake_of(ask)
    intake.not_ours.take_back(wanted.address.strip(), ask.actor, ask.room.clock.now())
    return {"address": wanted.address.strip()}
