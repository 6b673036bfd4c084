"""What the API offers, for who is logged in: the OpenAPI description, a page of it, and who one is."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse
from fastapi.routing import APIRoute

from dutyroom.api.access import Visitor
from dutyroom.api.asked import Ask, Json
from dutyroom.api.render import page
from dutyroom.api.rights import RIGHTS

router = APIRouter()

TAGS = ("data", "duty", "billing", "administration", "system")


def operations(routes: list[Any]) -> Iterator[APIRoute]:
    """Every route with a path of its own, also those of included routers."""
    for entry in routes:
        if isinstance(entry, APIRoute):
            yield entry
        elif (inner := getattr(entry, "original_router", None)) is not None:
            yield from operations(inner.routes)


@router.get("/api/v1/openapi.json", name="openapi", include_in_schema=False)
def openapi(request: Request) -> dict[str, Any]:
    """The description of every path."""
    told: dict[str, Any] = request.app.openapi()
    return told


@router.get("/api/v1/me", name="api_me", tags=["system"])
def me(request: Request) -> Json:
    """Who the session or token belongs to, and what it may do."""
    visitor: Visitor = request.state.visitor
    return {
        "login": visitor.login,
        "name": visitor.name,
        "role": visitor.role.value if visitor.role else "",
        "site": visitor.site,
        "language": visitor.language,
    }


@router.get("/sites/{site}/api", name="page_api", include_in_schema=False)
def api_page(request: Request, ask: Ask) -> HTMLResponse:
    """The paths of the API by subject, with the least role that each asks for."""
    rows: dict[str, list[Json]] = {tag: [] for tag in TAGS}
    for route in operations(request.app.router.routes):
        if route.include_in_schema and route.tags:
            method = min(route.methods or {"GET"})
            row = {"method": method, "path": route.path.replace(":path}", "}"), "least": RIGHTS[route.name]}
            rows[str(route.tags[0])].append(row)
    return page(request, "api.html", {"groups": rows}, ask)
