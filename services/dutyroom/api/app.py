"""Makes the application: the API, the pages, the stream, and what guards them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

from fastapi import Depends, FastAPI, Request, Response
from fastapi.staticfiles import StaticFiles

from dutyroom.api import (
    announced,
    billing,
    bills,
    data,
    duty,
    health,
    ledger,
    newcomers,
    people,
    problems,
    quality,
    reference,
    registry,
    registry_pages,
    screens,
    session,
    stream,
    unknown,
    wall,
)
from dutyroom.api.access import guard
from dutyroom.api.armour import HEADERS
from dutyroom.api.board import Board
from dutyroom.api.ports import DeviceFiles, Passwords, StatementFiles
from dutyroom.api.rights import RIGHTS
from dutyroom.api.room import Room
from dutyroom.api.words import read_catalogue
from dutyroom.flows.desk import Desk
from dutyroom.flows.run import SiteRuntime
from dutyroom.interfaces import Records
from dutyroom.timebase import Clock

STATIC = Path(__file__).parent / "pages" / "static"

TAGS = [
    {"name": "data", "description": "Sites, devices, readings, quarantine, ledger, findings."},
    {"name": "duty", "description": "Alarms, tickets, plans."},
    {"name": "billing", "description": "Period readings and statements."},
    {"name": "administration", "description": "People, tokens, messages, audit."},
    {"name": "system", "description": "Health."},
]


def create_app(
    sites: Mapping[str, SiteRuntime],
    records: Records,
    clock: Clock,
    passwords: Passwords,
    *,
    files: StatementFiles | None = None,
    secure_cookies: bool = False,
    version: str = "",
    speed: float = 1.0,
    device_files: DeviceFiles | None = None,
) -> FastAPI:
    """The application of one process.

    sites: by id. passwords: how secrets are hashed and made. files: statements as CSV and XLSX; None
    hides the downloads; device_files: tables of devices, likewise. secure_cookies: true when the outside
    is https. speed: of the clock; a session lasts as long by the wrist of who logged in.
    """
    room = Room(
        sites,
        records,
        clock,
        passwords,
        read_catalogue(),
        RIGHTS,
        files,
        secure_cookies,
        version,
        speed,
        device_files,
    )
    room.desks.update(
        {name: Desk(records, clock, site.site.rules, site.site.plans) for name, site in sites.items()}
    )
    hub = stream.Hub(room)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        await hub.start()
        yield
        await hub.stop()

    app = FastAPI(
        title="Dutyroom",
        version=version or "0",
        lifespan=lifespan,
        dependencies=[Depends(guard)],
        openapi_tags=TAGS,
        openapi_url=None,  # has a route of its own, behind log-in
        docs_url=None,
        redoc_url=None,
    )
    app.state.room, app.state.hub = room, hub
    app.state.boards = {name: Board(site) for name, site in sites.items()}
    for part in (
        reference,
        registry,
        registry_pages,
        data,
        ledger,
        health,
        duty,
        billing,
        people,
        stream,
        session,
        wall,
        quality,
        announced,
        screens,
        bills,
        unknown,
        newcomers,
    ):
        app.include_router(part.router)
    app.include_router(unknown.pages)
    app.add_api_route("/healthz", _health, name="health", tags=["system"], methods=["GET"])
    app.mount("/static", StaticFiles(directory=STATIC), name="static")
    app.middleware("http")(_headers)
    problems.register(app)
    return app


def _health(request: Request, response: Response) -> dict[str, object]:
    """200 when the records answer and every broker is connected, else 503. Needs no log-in.

    A broker that another process reads counts there, not here."""
    room: Room = request.app.state.room
    with room.records.read() as tx:
        tx.last_change()
    brokers = {name: bool(site.broker_ok()) for name, site in room.sites.items()}
    well = all(brokers[name] or site.apart for name, site in room.sites.items())
    if not well:
        response.status_code = 503
    spools = {
        name: {"share": round(spool.share, 3), "full": spool.share >= 1}
        for name, site in room.sites.items()
        if (spool := site.health.spool) is not None
    }
    return {"ok": well, "now": room.clock.now(), "brokers": brokers, "journals": spools}


async def _headers(request: Request, call_next: Callable[[Request], Awaitable[Response]]) -> Response:
    """Security headers on every answer; pages are never kept by a browser."""
    response = await call_next(request)
    for name, value in HEADERS.items():
        response.headers.setdefault(name, value)
    if request.app.state.room.secure_cookies:
        response.headers.setdefault("strict-transport-security", "max-age=31536000")
    if not request.url.path.startswith("/static/"):
        response.headers.setdefault("cache-control", "no-store")
    else:
        response.headers.setdefault("cache-control", "no-cache")
    return response
