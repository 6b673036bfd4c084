"""Who may do what: one table of route name -> least right, asked for every request.

A person comes with a session cookie, a program with a bearer token, a wall board with the token in
its URL. A route without a row in the table is refused, so that none is forgotten.
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass
from enum import StrEnum

from fastapi import HTTPException, Request

from dutyroom.api.room import Room
from dutyroom.model.duty import Person, Role
from dutyroom.timebase import HOUR, MINUTE, Ms

COOKIE = "dutyroom_session"
VISITOR = "dutyroom_visitor"  # before log-in: what its CSRF token is made of
SESSION_LIFE: Ms = 12 * HOUR  # a shift and its handover
FAILURES, FAILURE_WINDOW = 5, 15 * MINUTE
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})


class Least(StrEnum):
    """The least right a route asks for."""

    PUBLIC = "public"
    WALL = "wall"  # anybody logged in, or a wall board's token
    VIEWER = "viewer"
    OPERATOR = "operator"
    CLERK = "clerk"
    ADMINISTRATOR = "administrator"


_HAVING: dict[Role, frozenset[Least]] = {
    Role.VIEWER: frozenset({Least.WALL, Least.VIEWER}),
    Role.OPERATOR: frozenset({Least.WALL, Least.VIEWER, Least.OPERATOR}),
    Role.CLERK: frozenset({Least.WALL, Least.VIEWER, Least.CLERK}),
    Role.ADMINISTRATOR: frozenset(Least) - {Least.PUBLIC},
}


@dataclass(frozen=True, slots=True)
class Visitor:
    """Who asks. `role` None = a wall board."""

    site: str  # "*" = every site
    login: str
    name: str
    role: Role | None
    language: str = ""
    person: Person | None = None
    csrf: str = ""  # "" = came with a bearer token, which no other page can send

    def may(self, least: str) -> bool:
        if self.role is None:
            return least == Least.WALL
        return Least(least) in _HAVING[self.role]

    def sees(self, site: str) -> bool:
        return self.site in ("*", site)


def csrf_of(room: Room, secret: str) -> str:
    """A form's token: only who has the cookie's secret can make it."""
    return room.passwords.digest(f"csrf:{secret}")


def visitor_of(request: Request, room: Room) -> Visitor | None:
    """Who asks, by bearer token or session cookie; None = nobody known."""
    header = request.headers.get("authorization", "")
    if header.lower().startswith("bearer "):
        return _by_token(room, header[7:].strip())
    secret = request.cookies.get(COOKIE, "")
    if not secret:
        return None
    with room.records.read() as tx:
        person = tx.people.session(room.passwords.digest(secret), room.clock.now())
    if person is None or not person.active:
        return None
    return Visitor(
        person.site or "*",
        person.login,
        person.name,
        person.role,
        person.language,
        person,
        csrf_of(room, secret),
    )


def _by_token(room: Room, token: str) -> Visitor | None:
    with room.records.read() as tx:
        row = tx.people.token(room.passwords.digest(token))
    if row is None:
        return None
    site, name, scope = row
    kind, _, role = scope.partition(":")
    if kind == "wall":
        return Visitor(site, f"wall:{name}", name, None)
    if kind == "api" and role in set(Role):
        return Visitor(site, f"token:{name}", name, Role(role))
    return None


def wall_visitor(room: Room, token: str) -> Visitor | None:
    """The wall board that this token was made for."""
    visitor = _by_token(room, token) if token else None
    return visitor if visitor is not None and visitor.role is None else None


async def guard(request: Request) -> None:
    """The dependency of every route: the right, the site and, for a form, its CSRF token."""
    room: Room = request.app.state.room
    least = room.rights.get(request.scope["route"].name)
    if least is None:
        raise HTTPException(403, "access.no_rule")
    visitor = await room.in_thread(visitor_of, request, room)
    if visitor is None and least == Least.WALL:
        visitor = await room.in_thread(wall_visitor, room, request.query_params.get("token", ""))
    request.state.visitor = visitor
    if least == Least.PUBLIC:
        return
    if visitor is None:
        raise HTTPException(401, "access.log_in")
    site = request.path_params.get("site")
    if not visitor.may(least) or (site is not None and not visitor.sees(site)):
        raise HTTPException(403, "access.denied")
    if site is not None and site not in room.sites:
        raise HTTPException(404, "access.no_site")
    if request.method not in SAFE_METHODS and visitor.csrf:
        await check_csrf(request, visitor.csrf)


async def check_csrf(request: Request, wanted: str) -> None:
    """Header for scripts, hidden field for forms."""
    given = request.headers.get("x-csrf-token", "")
    kind = request.headers.get("content-type", "")
    if not given and kind.startswith(("application/x-www-form-urlencoded", "multipart/form-data")):
        field = (await request.form()).get("csrf")
        given = field if isinstance(field, str) else ""
    if not hmac.compare_digest(given.encode(), wanted.encode()):
        raise HTTPException(403, "access.csrf")


def blocked(room: Room, login: str, address: str) -> bool:
    """Too many failed log-ins lately, under this login or from this address."""
    since = room.clock.now() - FAILURE_WINDOW
    with room.records.read() as tx:
        by_login = tx.people.failures(f"login:{login}", since)
        by_address = tx.people.failures(f"address:{address}", since)
    return by_login >= FAILURES or by_address >= 4 * FAILURES


def log_in(room: Room, login: str, password: str, address: str) -> str | None:
    """A session's secret, None when login or password is wrong. Both outcomes are audited."""
    now = room.clock.now()
    with room.records.read() as tx:
        person = tx.people.by_login(login)
    good = room.passwords.verify(password, person.password_hash if person else "")
    with room.records.write() as tx:
        site = person.site if person else ""
        if person is None or not good or not person.active:
            tx.people.note_failure(f"login:{login}", now)
            tx.people.note_failure(f"address:{address}", now)
            tx.audit(site, now, login[:80], "login.failed", address)
            return None
        secret = room.passwords.new_token()
        life = round(SESSION_LIFE * max(1.0, room.speed))
        tx.people.new_session(room.passwords.digest(secret), person.id, now, now + life)
        tx.audit(site, now, login, "login", address)
    return secret
