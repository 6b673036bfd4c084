"""Log-in, cookies, CSRF, rate limit, own password, audit."""

from __future__ import annotations

import re

import pytest
from fastapi.testclient import TestClient
from tests.acceptance.pages_harness import PASSWORD, SITE
from tests.unit.api.conftest import House

from dutyroom.api.access import COOKIE, FAILURES
from dutyroom.api.people import masked


def attempt(client: TestClient, login: str, password: str, next: str = "/") -> int:
    token = re.search(r'name="csrf" value="([^"]+)"', client.get("/login").text)
    assert token is not None
    body = {"login": login, "password": password, "csrf": token[1], "next": next}
    return client.post("/login", data=body).status_code


def test_the_session_cookie_is_for_the_server_alone(house: House) -> None:
    client = house.visitor()
    token = re.search(r'name="csrf" value="([^"]+)"', client.get("/login").text)
    assert token is not None
    answer = client.post("/login", data={"login": "admin", "password": PASSWORD, "csrf": token[1]})
    cookie = answer.headers["set-cookie"]
    assert COOKIE in cookie
    assert "HttpOnly" in cookie
    assert "SameSite=lax" in cookie
    assert "Secure" not in cookie  # plain http in this test


def test_https_makes_the_cookie_secure(house: House) -> None:
    house.app.state.room.secure_cookies = True
    answer = house.visitor().get("/login")
    assert "Secure" in answer.headers["set-cookie"]
    assert "strict-transport-security" in answer.headers


def test_a_page_without_session_leads_to_log_in_and_back(house: House) -> None:
    client = house.visitor()
    answer = client.get(f"/sites/{SITE}/tickets", headers={"accept": "text/html"})
    assert (answer.status_code, answer.headers["location"]) == (303, f"/login?next=/sites/{SITE}/tickets")


@pytest.mark.parametrize("target", ["//evil.example/", "https://evil.example/", "/\\evil.example"])
def test_log_in_leads_nowhere_else(house: House, target: str) -> None:
    client = house.visitor()
    token = re.search(r'name="csrf" value="([^"]+)"', client.get("/login").text)
    assert token is not None
    body = {"login": "admin", "password": PASSWORD, "csrf": token[1], "next": target}
    assert client.post("/login", data=body).headers["location"] == "/"


def test_guessing_has_to_wait_even_with_the_right_password(house: House) -> None:
    client = house.visitor()
    assert [attempt(client, "operator", "wrong") for _ in range(FAILURES)] == [403] * FAILURES
    assert attempt(client, "operator", PASSWORD) == 429
    assert attempt(house.visitor(), "admin", PASSWORD) == 303  # others are not locked out


def test_log_in_without_its_token_is_refused(house: House) -> None:
    client = house.visitor()
    client.get("/login")
    assert client.post("/login", data={"login": "admin", "password": PASSWORD}).status_code == 403


def test_a_post_without_csrf_changes_nothing(house: House) -> None:
    client = house.person("operator")
    del client.headers["x-csrf-token"]
    answer = client.post(f"/api/v1/sites/{SITE}/alarms/1/acknowledge", json={})
    assert answer.status_code == 403
    assert client.get(f"/api/v1/sites/{SITE}/alarms/1").json()["state"] == "unacknowledged"


def test_log_out_ends_the_session(house: House) -> None:
    client = house.person("viewer")
    assert client.post("/logout", data={"csrf": client.headers["x-csrf-token"]}).status_code == 303
    assert client.get("/api/v1/sites").status_code == 401


@pytest.mark.parametrize(("speed", "still"), [(1.0, False), (100.0, True), (0.5, False)])
def test_on_a_fast_clock_a_session_lasts_as_long_by_the_wrist(
    house: House, speed: float, still: bool
) -> None:
    """Thirteen hours of the estate are eight minutes at a hundred times the speed."""
    room = house.app.state.room
    room.speed, now = speed, room.clock.now()
    admin = house.person("admin")

    class Later:
        def now(self) -> int:
            return int(now) + 13 * 3_600_000

    room.clock = Later()
    assert (admin.get("/api/v1/me").status_code == 200) is still


def test_a_new_password_ends_the_other_sessions(house: House) -> None:
    here, there = house.person("clerk"), house.person("clerk")
    csrf = here.headers["x-csrf-token"]
    body = {"csrf": csrf, "old": PASSWORD, "new": "a longer secret", "again": "a longer secret"}
    assert here.post(f"/sites/{SITE}/account", data=body).status_code == 303
    assert here.get("/api/v1/sites").status_code == 200
    assert there.get("/api/v1/sites").status_code == 401
    assert attempt(house.visitor(), "clerk", PASSWORD) == 403
    assert attempt(house.visitor(), "clerk", "a longer secret") == 303


@pytest.mark.parametrize(
    ("old", "new", "again"),
    [
        ("wrong", "long enough 1", "long enough 1"),
        (PASSWORD, "short", "short"),
        (PASSWORD, "long enough 1", "other"),
    ],
)
def test_a_bad_change_of_password_is_told(house: House, old: str, new: str, again: str) -> None:
    client = house.person("clerk")
    body = {"csrf": client.headers["x-csrf-token"], "old": old, "new": new, "again": again}
    answer = client.post(f"/sites/{SITE}/account", data=body)
    assert answer.status_code == 422
    assert 'role="alert"' in answer.text
    assert attempt(house.visitor(), "clerk", PASSWORD) == 303


def test_log_ins_and_changes_are_audited(house: House) -> None:
    attempt(house.visitor(), "viewer", "wrong")
    admin = house.person("admin")
    person = {"name": "新人", "role": "operator", "language": "en", "password": "long enough 1"}
    assert admin.put(f"/api/v1/sites/{SITE}/people/newbie", json=person).status_code == 200
    rows = admin.get(f"/api/v1/sites/{SITE}/audit").json()
    actions = [row["action"] for row in rows]
    assert {"login", "person.put"} <= set(actions)
    assert house.person("newbie", "long enough 1")
    with house.estate.records.read() as tx:
        assert any(row.action == "login.failed" for row in [*tx.audit_rows(SITE), *tx.audit_rows("")])


def test_a_person_put_out_of_service_is_out_at_once(house: House) -> None:
    operator, admin = house.person("operator"), house.person("admin")
    person = {"name": "x", "role": "operator", "language": "en", "active": False}
    assert admin.put(f"/api/v1/sites/{SITE}/people/operator", json=person).status_code == 200
    assert operator.get("/api/v1/sites").status_code == 401
    assert attempt(house.visitor(), "operator", PASSWORD) == 403


def test_secrets_never_leave(house: House) -> None:
    admin = house.person("admin")
    told = admin.get(f"/api/v1/sites/{SITE}/people").text + admin.get(f"/sites/{SITE}/people").text
    told += admin.get(f"/sites/{SITE}/messages").text + admin.get(f"/api/v1/sites/{SITE}/outbox").text
    assert "argon2" not in told
    assert "secret@" not in told
    rows = {row["login"]: row for row in admin.get(f"/api/v1/sites/{SITE}/people").json()}
    kept = {k: rows["admin"][k] for k in ("name", "role", "contacts")} | {"language": "zh-CN"}
    assert admin.put(f"/api/v1/sites/{SITE}/people/admin", json=kept).status_code == 200
    with house.estate.records.read() as tx:
        person = tx.people.by_login("admin")
    assert person is not None
    assert "duty:secret@" in person.contacts[0]


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("mailtos://user:secret@mail.example.org?to=a@b.org", "mailtos://…@mail.example.org"),
        ("jsons://hooks.example.org/secret", "jsons://hooks.example.org"),
        ("tgram://123456:secret/789", "tgram://…"),
        ("dingtalk://secret/13800000000", "dingtalk://…"),
        ("wecombot://secret", "wecombot://…"),
        ("secret", "…"),
    ],
)
def test_of_an_address_only_its_kind_and_a_host_are_shown(url: str, shown: str) -> None:
    assert masked(url) == shown


def test_two_robots_that_look_alike_keep_their_own_secrets(house: House) -> None:
    admin, contacts = house.person("admin"), ["dingtalk://one", "dingtalk://two"]
    person = {"name": "x", "role": "operator", "language": "en"}
    path = f"/api/v1/sites/{SITE}/people/operator"
    for given in (contacts, ["dingtalk://…", "dingtalk://…", "dingtalk://three"]):
        assert admin.put(path, json=person | {"contacts": given}).status_code == 200
    with house.estate.records.read() as tx:
        found = tx.people.by_login("operator")
    assert found is not None
    assert found.contacts == (*contacts, "dingtalk://three")


def test_every_answer_is_armoured(house: House) -> None:
    for path in ("/login", "/healthz", "/static/main.js", "/nothing"):
        headers = house.visitor().get(path).headers
        assert "script-src 'self'" in headers["content-security-policy"]
        assert "unsafe" not in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"
