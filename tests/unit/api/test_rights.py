"""Every route has a least role, and every role gets exactly what the table says."""

from __future__ import annotations

import re

import pytest
from fastapi import FastAPI
from fastapi.routing import APIRoute
from tests.acceptance.pages_harness import SITE
from tests.unit.api.conftest import House

from dutyroom.api.access import Least, Visitor
from dutyroom.api.rights import RIGHTS
from dutyroom.model.duty import Role

LOGINS = {"viewer": Role.VIEWER, "operator": Role.OPERATOR, "clerk": Role.CLERK, "admin": Role.ADMINISTRATOR}
GIVEN = {
    "site": SITE,
    "alarm": "1",
    "ticket": "1",
    "check": "999999",
    "point": "1",
    "device": "A-E1",
    "number": "x",
    "login": "x",
}
GIVEN |= {
    "announcement": "1",
    "action": "note",
    "name": "x",
    "occurrence": "999",
    "period": "2026-10",
    "tag": "en",
    "token": "x",
}


def routes(app: FastAPI) -> list[APIRoute]:
    found: list[APIRoute] = []

    def walk(entries: list[object]) -> None:
        for entry in entries:
            if isinstance(entry, APIRoute):
                found.append(entry)
            elif hasattr(entry, "original_router"):
                walk(entry.original_router.routes)
            elif hasattr(entry, "routes") and not isinstance(entry, FastAPI):
                walk(entry.routes or [])

    walk(list(app.routes))
    return found


def test_every_route_stands_in_the_table_and_the_table_names_no_other(house: House) -> None:
    names = {route.name for route in routes(house.app)}
    assert len(names) > 50
    assert names == set(RIGHTS)


@pytest.mark.parametrize("login", ["", "viewer", "operator", "clerk", "admin"])
def test_a_role_gets_what_the_table_says(house: House, login: str) -> None:
    client = house.person(login) if login else house.visitor()
    visitor = Visitor(SITE, login, login, LOGINS[login]) if login else None
    for route in routes(house.app):
        least = RIGHTS[route.name]
        if least == Least.PUBLIC or route.name == "stream":
            continue
        path = re.sub(r"\{(\w+)(?::path)?\}", lambda m: GIVEN[m[1]], route.path)
        for method in route.methods:
            body = {} if method in ("POST", "PUT") else None
            answer = client.request(method, path, json=body, headers={"accept": "application/json"})
            allowed = visitor is not None and visitor.may(least)
            refused = 401 if visitor is None else 403
            assert (answer.status_code != refused) == allowed, (login, method, path, answer.status_code)


def test_roles_are_no_ladder() -> None:
    """An operator does not bill and a clerk does not acknowledge; an administrator may all."""
    by_role = {role: Visitor(SITE, "x", "x", role) for role in Role}
    assert not by_role[Role.OPERATOR].may(Least.CLERK)
    assert not by_role[Role.CLERK].may(Least.OPERATOR)
    assert all(by_role[Role.ADMINISTRATOR].may(least) for least in Least if least != Least.PUBLIC)
    assert not by_role[Role.VIEWER].may(Least.OPERATOR)


def test_another_site_is_closed(house: House) -> None:
    house.app.state.room.sites = {**house.app.state.room.sites, "other": house.estate.runtime}
    assert house.person("admin").get("/api/v1/sites/other/alarms").status_code == 403


def test_a_wall_token_opens_the_wall_and_nothing_else(house: House) -> None:
    client = house.visitor()
    assert client.get("/wall/wall-token").status_code == 200
    assert client.get("/wall/guess").status_code == 404
    assert client.get(f"/api/v1/sites/{SITE}/alarms").status_code == 401
    client.headers["authorization"] = "Bearer wall-token"
    assert client.get(f"/api/v1/sites/{SITE}/alarms").status_code == 403


@pytest.mark.parametrize(
    ("scope", "reads", "acknowledges"), [("api:viewer", 200, 403), ("api:operator", 200, 200)]
)
def test_a_program_comes_with_a_token_and_needs_no_csrf(
    house: House, scope: str, reads: int, acknowledges: int
) -> None:
    client = house.program(scope)
    assert client.get(f"/api/v1/sites/{SITE}/alarms").status_code == reads
    assert client.post(f"/api/v1/sites/{SITE}/alarms/1/acknowledge", json={}).status_code == acknowledges


def test_a_revoked_token_is_dead_at_once(house: House) -> None:
    program, admin = house.program("api:viewer"), house.person("admin")
    assert program.get("/api/v1/sites").status_code == 200
    assert admin.delete(f"/api/v1/sites/{SITE}/tokens/api:viewer").status_code == 204
    assert program.get("/api/v1/sites").status_code == 401
