"""What a route reads from its request: the site, who asks, in which language, which page of rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, TypeAlias

import msgspec
from fastapi import Depends, Query, Request

from dutyroom.api.access import Visitor
from dutyroom.api.present import Presenter
from dutyroom.api.room import Room
from dutyroom.api.stream import presenter
from dutyroom.api.words import LANGUAGES
from dutyroom.flows.desk import Desk
from dutyroom.flows.run import SiteRuntime

LANGUAGE_COOKIE = "dutyroom_language"

Json: TypeAlias = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Asked:
    """A request to one site, already allowed by the guard."""

    room: Room
    site: SiteRuntime
    visitor: Visitor
    language: str

    @property
    def name(self) -> str:
        return self.site.site.id

    @property
    def desk(self) -> Desk:
        return self.room.desks[self.name]

    @property
    def actor(self) -> str:
        return self.visitor.login

    def presenter(self) -> Presenter:
        return presenter(self.room, self.site, self.language)


def language_of(request: Request) -> str:
    """Chosen by cookie, by the person's own setting, by the browser; "" = the site's."""
    asked = request.query_params.get("lang", "") or request.cookies.get(LANGUAGE_COOKIE, "")
    if asked in LANGUAGES:
        return asked
    visitor: Visitor | None = getattr(request.state, "visitor", None)
    if visitor is not None and visitor.language in LANGUAGES:
        return visitor.language
    for part in request.headers.get("accept-language", "").split(","):
        tag = part.split(";")[0].strip().lower()
        if tag.startswith("zh"):
            return "zh-CN"
        if tag.startswith("en"):
            return "en"
    return ""


def asked(request: Request, site: str) -> Asked:
    room: Room = request.app.state.room
    return Asked(room, room.sites[site], request.state.visitor, language_of(request))


Ask = Annotated[Asked, Depends(asked)]
Limit = Annotated[int, Query(ge=1, le=1000, description="How many rows at most.")]


def plain(row: object) -> Any:
    """A dataclass as JSON values: Decimals and enums as text, bytes as base64."""
    return msgspec.to_builtins(row, str_keys=True)
