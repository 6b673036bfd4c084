"""Log-in, log-out, language, own account, and the way in."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

from fastapi import APIRouter, Form, Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse

from dutyroom.api.access import COOKIE, VISITOR, Visitor, blocked, check_csrf, csrf_of, log_in
from dutyroom.api.asked import LANGUAGE_COOKIE, Ask
from dutyroom.api.people import check_password
from dutyroom.api.render import page
from dutyroom.api.room import Room
from dutyroom.api.words import LANGUAGES
from dutyroom.errors import Rejected

router = APIRouter(include_in_schema=False)

YEAR_S = 365 * 24 * 3600


def _address(request: Request) -> str:
    return request.client.host if request.client else "?"


def _safe_next(target: str) -> str:
    """Only a path of ours; never another host."""
    return target if target.startswith("/") and not target.startswith(("//", "/\\")) else "/"


@router.get("/", name="home")
def home(request: Request) -> Response:
    """To the first site that the visitor may see, else to log-in."""
    visitor: Visitor | None = request.state.visitor
    room: Room = request.app.state.room
    site = next((name for name in room.sites if visitor and visitor.sees(name)), None)
    return RedirectResponse(f"/sites/{site}/alarms" if site else "/login", 303)


@router.get("/login", name="login")
def login(request: Request, next: str = "/") -> Response:
    """The log-in form, with a cookie that its CSRF token belongs to."""
    return _form(request, "", _safe_next(next))


def _form(request: Request, problem: str, target: str, name: str = "", status: int = 200) -> HTMLResponse:
    room: Room = request.app.state.room
    secret = request.cookies.get(VISITOR) or room.passwords.new_token()
    values = {"csrf": csrf_of(room, secret), "problem": problem, "next": target, "login": name}
    answer = page(request, "login.html", values, status=status)
    answer.set_cookie(VISITOR, secret, httponly=True, samesite="lax", secure=room.secure_cookies)
    return answer


@router.post("/login", name="login_post")
async def login_post(
    request: Request,
    login: Annotated[str, Form(max_length=80)] = "",
    password: Annotated[str, Form(max_length=200)] = "",
    next: Annotated[str, Form()] = "/",
) -> Response:
    """Opens a session. Too many failures under a login or from an address have to wait."""
    room: Room = request.app.state.room
    await check_csrf(request, csrf_of(room, request.cookies.get(VISITOR, "")))
    address = _address(request)
    if await room.in_thread(blocked, room, login, address):
        return await room.in_thread(_form, request, "login.blocked", _safe_next(next), login, 429)
    secret = await room.in_thread(log_in, room, login, password, address)
    if secret is None:
        return await room.in_thread(_form, request, "login.wrong", _safe_next(next), login, 403)
    answer = RedirectResponse(_safe_next(next), 303)
    answer.set_cookie(COOKIE, secret, httponly=True, samesite="lax", secure=room.secure_cookies)
    return answer


@router.post("/logout", name="logout")
async def logout(request: Request) -> Response:
    """Ends the session."""
    room: Room = request.app.state.room
    secret = request.cookies.get(COOKIE, "")
    await check_csrf(request, csrf_of(room, secret))

    def end() -> None:
        with room.records.write() as tx:
            tx.people.end_session(room.passwords.digest(secret))

    await room.in_thread(end)
    answer = RedirectResponse("/login", 303)
    answer.delete_cookie(COOKIE)
    return answer


@router.get("/language/{tag}", name="language")
def language(request: Request, tag: str, next: str = "/") -> Response:
    """Remembers the language in a cookie and goes back."""
    answer = RedirectResponse(_safe_next(next), 303)
    if tag in LANGUAGES:
        secure = request.app.state.room.secure_cookies
        answer.set_cookie(LANGUAGE_COOKIE, tag, max_age=YEAR_S, httponly=True, samesite="lax", secure=secure)
    return answer


@router.get("/sites/{site}/account", name="page_account")
def account(request: Request, ask: Ask, done: bool = False) -> HTMLResponse:
    """Own name, role and password."""
    return page(request, "account.html", {"problem": "", "done": done}, ask)


@router.post("/sites/{site}/account", name="account_post")
def account_post(
    request: Request,
    ask: Ask,
    old: Annotated[str, Form(max_length=200)] = "",
    new: Annotated[str, Form(max_length=200)] = "",
    again: Annotated[str, Form(max_length=200)] = "",
) -> Response:
    """Changes one's own password."""
    room, person = ask.room, ask.visitor.person
    problem = ""
    if person is None or not room.passwords.verify(old, person.password_hash):
        problem = "account.wrong"
    elif new != again:
        problem = "account.differ"
    else:
        try:
            check_password(new)
        except Rejected as err:
            problem = err.reason
    if problem or person is None:
        return page(request, "account.html", {"problem": problem, "done": False}, ask, 422)
    hashed = room.passwords.hash(new)
    with room.records.write() as tx:
        tx.people.upsert(replace(person, password_hash=hashed))
        tx.people.end_sessions(person.id, room.passwords.digest(request.cookies.get(COOKIE, "")))
        tx.audit(ask.name, room.clock.now(), ask.actor, "password.changed", person.login)
    return RedirectResponse(f"/sites/{ask.name}/account?done=true", 303)
