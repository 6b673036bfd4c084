"""Every failure as a sentence: problem JSON for programs, a page for people."""

from __future__ import annotations

from http import HTTPStatus
from urllib.parse import quote

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, RedirectResponse, Response
from starlette.exceptions import HTTPException

from dutyroom.api.armour import HEADERS
from dutyroom.api.render import page, words_of
from dutyroom.errors import Conflict, Rejected, Unavailable

# What a path names and nobody knows; a device that a body names is a mistake of the body.
_NOT_THERE = frozenset({"error.no_alarm", "error.no_ticket", "error.no_occurrence", "error.no_announcement"})


def register(app: FastAPI) -> None:
    """Adds the handlers."""

    @app.exception_handler(HTTPException)
    async def http(request: Request, err: HTTPException) -> Response:
        return answer(request, err.status_code, str(err.detail))

    @app.exception_handler(RequestValidationError)
    async def invalid(request: Request, err: RequestValidationError) -> Response:
        items = {".".join(str(p) for p in e["loc"]): str(e["msg"]) for e in err.errors()}
        return answer(request, 422, "error.invalid", items)

    @app.exception_handler(Rejected)
    async def rejected(request: Request, err: Rejected) -> Response:
        status = 409 if isinstance(err, Conflict) else 404 if err.reason in _NOT_THERE else 422
        return answer(request, status, err.reason, {str(k): v for k, v in err.items.items()})

    @app.exception_handler(Unavailable)
    async def unavailable(request: Request, err: Unavailable) -> Response:
        return answer(request, 503, "error.unavailable")

    @app.exception_handler(Exception)
    async def failed(request: Request, err: Exception) -> Response:
        """Our own mistake: the log has it, the person gets a sentence, nothing of it leaks."""
        told = answer(request, 500, "error.500")
        told.headers.update(HEADERS)
        return told


def answer(request: Request, status: int, key: str, items: dict[str, str] | None = None) -> Response:
    """key: a catalogue key, or a sentence already."""
    words = words_of(request)
    title = HTTPStatus(status).phrase
    sentence = words.t(key, items) if words.has(key) else words.t(f"error.{status}") if key == title else key
    if request.url.path.startswith("/api/") or "text/html" not in request.headers.get("accept", ""):
        body = {
            "type": f"about:blank#{key if words.has(key) else status}",
            "title": title,
            "status": status,
            "detail": sentence,
            "items": items or {},
        }
        return JSONResponse(body, status, media_type="application/problem+json")
    if status == 401:
        return RedirectResponse(f"/login?next={quote(request.url.path)}", 303)
    return page(request, "problem.html", {"status": status, "sentence": sentence}, status=status)
