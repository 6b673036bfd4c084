"""Every way in is guarded: CSRF, sessions, cookies, redirects, host names, the reference of the API."""

from __future__ import annotations

import re

import pytest
from fastapi.testclient import TestClient
from tests.acceptance.pages_harness import PASSWORD, SITE
from tests.unit.api.conftest import House
from tests.unit.api.test_rights import GIVEN, routes

from dutyroom.api.access import COOKIE, SAFE_METHODS, VISITOR
from dutyroom.api.rights import RIGHTS

API = f"/api/v1/sites/{SITE}"

# page -> the routes of the API that tell a program what the page shows
SHOWN_BY = {
    "page_desk": {"api_alarms", "api_alarm", "api_counts", "api_buckets", "api_range"},
    "page_devices": {"api_devices", "api_points", "api_alarms"},
    "page_device": {"api_device", "api_points", "api_buckets", "api_alarms", "api_tickets", "api_events"},
    "page_tickets": {"api_tickets"},
    "page_ticket": {"api_ticket", "api_alarm"},
    "page_report": {"api_site", "api_report"},
    "page_announcements": {"api_announcements", "api_announce", "api_announcement_action"},
    "page_plans": {"api_plans", "api_occurrences"},
    "page_reads": {"api_reads", "api_readings_at", "api_read_correct", "reads_csv", "reads_xlsx"},
    "page_statements": {"api_statements", "api_problems", "api_bill", "statements_csv", "statements_xlsx"},
    "page_statement": {"api_statement"},
    "page_trace": {"api_trace"},
    "page_data": {"api_site", "api_quarantine", "api_ledger", "api_findings", "api_devices"},
    "page_messages": {"api_outbox", "api_message_test"},
    "page_people": {"api_people", "api_person_put", "api_tokens", "api_token_new", "api_token_revoke"},
    "page_audit": {"api_audit"},
    "page_performance": {"api_performance"},
    "page_unknown": {"api_unknown", "api_profiles", "api_not_ours"},
    "page_registry": {"api_devices", "registry_csv", "registry_xlsx"},
    "page_registry_edit": {
        "api_device",
        "api_registry_put",
        "api_registry_withdraw",
        "api_registry_take_back",
    },
    "page_registry_import": {"api_registry_import"},
    "page_account": {"api_me"},
    "page_demo": {"api_scenarios", "api_inject"},
    "page_api": {"openapi"},
    "wall_page": {"api_board", "stream"},
    "wall": {"api_board"},
}


def mutating(house: House) -> list[tuple[str, str, str]]:
    """(name, method, path with its parameters filled in) of everything that changes something."""
    found = []
    for route in routes(house.app):
        path = re.sub(r"\{(\w+)(?::path)?\}", lambda m: GIVEN[m[1]], route.path)
        found += [(route.name, m, path) for m in (route.methods or set()) - SAFE_METHODS]
    return found


def test_everything_that_a_page_shows_is_in_the_api(house: House) -> None:
    known = {route.name: route.path for route in routes(house.app)}
    pages = {name for name in known if name.startswith("page_") or name in ("wall", "wall_page")}
    assert pages == set(SHOWN_BY)
    told = set().union(*SHOWN_BY.values())
    assert told <= set(known)
    assert all(known[name].startswith("/api/v1/") for name in told - {"stream"})


@pytest.mark.parametrize("token", ["", "guessed"])
def test_nothing_changes_without_the_csrf_token(house: House, token: str) -> None:
    admin = house.person("admin")
    admin.headers["x-csrf-token"] = token
    tried = mutating(house)
    assert len(tried) > 15
    for name, method, path in tried:
        answer = admin.request(method, path, json={}, headers={"accept": "application/json"})
        assert answer.status_code == 403, (name, answer.status_code)
        assert answer.json()["type"].endswith("access.csrf"), name
    admin.headers.pop("x-csrf-token")
    body = {"old": PASSWORD, "new": "a longer secret", "again": "a longer secret", "csrf": token}
    assert admin.post(f"/sites/{SITE}/account", data=body).status_code == 403


def test_no_route_changes_anything_by_a_get(house: House) -> None:
    """Names of routes that act are POST, PUT or DELETE; a link or an image cannot press a button."""
    acting = re.compile(
        r"action|_new|revoke|_put|inject|settle|correct|exchange$|_bill|report$|service|done|excused"
    )
    for route in routes(house.app):
        if route.name.startswith("api_") and acting.search(route.name):
            assert not (route.methods or set()) & SAFE_METHODS, route.name


def test_a_planted_session_cookie_is_worth_nothing(house: House) -> None:
    client = house.visitor()
    client.cookies.set(COOKIE, "planted")
    token = re.search(r'name="csrf" value="([^"]+)"', client.get("/login").text)
    assert token is not None
    visitor = client.cookies[VISITOR]
    answer = client.post("/login", data={"login": "admin", "password": PASSWORD, "csrf": token[1]})
    fresh = re.search(rf"{COOKIE}=([^;]+)", answer.headers["set-cookie"])
    assert fresh is not None
    assert fresh[1] not in ("planted", visitor)
    thief = house.visitor()
    for planted in ("planted", visitor):
        thief.cookies.set(COOKIE, planted)
        assert thief.get("/api/v1/sites").status_code == 401


def test_every_cookie_is_http_only_and_same_site(house: House) -> None:
    client = house.person("viewer")
    answers = [house.visitor().get("/login"), client.get("/language/en")]
    for answer in answers:
        for cookie in answer.headers.get_list("set-cookie"):
            assert "HttpOnly" in cookie
            assert "samesite=lax" in cookie.lower()


@pytest.mark.parametrize(
    "target",
    [
        "//evil.example",
        "https://evil.example",
        "/\\evil.example",
        "\\/evil.example",
        "javascript:alert(1)",
        "evil",
    ],
)
def test_no_link_leads_away(house: House, target: str) -> None:
    client = house.visitor()
    assert client.get("/language/en", params={"next": target}).headers["location"] == "/"
    assert f'name="next" value="{target}"' not in client.get("/login", params={"next": target}).text


@pytest.mark.parametrize("target", ["/\t/evil.example", "/\n/evil.example", "/\r\nset-cookie: a=b"])
def test_control_characters_do_not_slip_into_a_redirect(house: House, target: str) -> None:
    answer = house.visitor().get("/language/en", params={"next": target})
    assert not set("\t\r\n") & set(answer.headers["location"])
    assert not any("a=b" in cookie for cookie in answer.headers.get_list("set-cookie"))


def test_a_foreign_host_name_moves_no_redirect(house: House) -> None:
    client = house.visitor()
    answer = client.get("/", headers={"host": "evil.example"})
    assert answer.headers["location"] == "/login"
    answer = client.get(f"/sites/{SITE}/tickets", headers={"host": "evil.example", "accept": "text/html"})
    assert answer.headers["location"].startswith("/login?")


def test_the_reference_of_the_api_is_for_who_is_logged_in(house: House) -> None:
    assert house.visitor().get("/api/v1/openapi.json").status_code == 401
    for path in ("/docs", "/redoc", "/openapi.json"):
        assert house.visitor().get(path).status_code == 404
    viewer = house.person("viewer")
    told = viewer.get("/api/v1/openapi.json").json()
    every = {route.path.replace(":path}", "}") for route in routes(house.app)}
    listed = {path for path in every if path.startswith("/api/v1/")}
    assert set(told["paths"]) == (listed | {"/healthz"}) - {"/api/v1/openapi.json"}
    shown = viewer.get(f"/sites/{SITE}/api").text
    assert all(path in shown for path in told["paths"])


def test_our_own_mistake_is_a_sentence_and_tells_nothing(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError("secret detail")

    viewer = house.person("viewer")
    client = TestClient(house.app, raise_server_exceptions=False, cookies=viewer.cookies)
    monkeypatch.setattr("dutyroom.api.wall.tiles", broken)
    page = client.get(f"/sites/{SITE}/wall", headers={"accept": "text/html"})
    told = client.get(f"{API}/board")
    assert (page.status_code, told.status_code) == (500, 500)
    assert "secret" not in page.text + told.text
    assert "日志" in page.text or "in the log" in page.text
    assert "script-src 'self'" in page.headers["content-security-policy"]


def test_who_one_is(house: House) -> None:
    assert house.person("clerk").get("/api/v1/me").json()["role"] == "clerk"
    told = house.program("api:viewer").get("/api/v1/me").json()
    assert (told["role"], told["site"]) == ("viewer", SITE)


def test_the_board_as_data_says_what_the_page_shows(house: House) -> None:
    viewer = house.person("viewer")
    told = viewer.get(f"{API}/board").json()
    page = viewer.get(f"/sites/{SITE}/wall").text
    assert len(told["tiles"]) == 8
    assert all(tile["name"] in page for tile in told["tiles"])
    assert [a["priority"] for a in told["alarms"]] == sorted(a["priority"] for a in told["alarms"])


def test_scenarios_are_listed_for_the_administrator(house: House) -> None:
    house.estate.runtime.scenarios = ("burst_pipe",)
    assert house.person("admin").get(f"{API}/scenarios").json() == ["burst_pipe"]


@pytest.mark.parametrize("kind", ["csv", "xlsx"])
def test_period_reads_as_a_file(house: House, kind: str) -> None:
    clerk = house.person("clerk")
    answer = clerk.get(f"{API}/period-reads.{kind}?lang=en")
    assert answer.content.decode() == f"reads {kind} en"
    assert re.search(rf'filename="reads-\d{{4}}-\d\d-01\.{kind}"', answer.headers["content-disposition"])
    assert clerk.get(f"{API}/period-reads.{kind}?cut_off=1").status_code == 404


def test_the_clerk_may_correct_on_the_page_and_the_viewer_may_not(house: House) -> None:
    clerk, viewer = house.person("clerk"), house.person("viewer")
    assert 'data-post="period-reads"' in clerk.get(f"/sites/{SITE}/reads").text
    assert 'data-post="period-reads"' not in viewer.get(f"/sites/{SITE}/reads").text
    assert 'data-post="billing-runs/2026-10"' in clerk.get(f"/sites/{SITE}/statements").text


def test_passwords_are_stored_as_argon2(house: House) -> None:
    admin: TestClient = house.person("admin")
    person = {"name": "N", "role": "viewer", "language": "en", "password": "long enough 1"}
    assert admin.put(f"{API}/people/newbie", json=person).status_code == 200
    with house.estate.records.read() as tx:
        found = tx.people.by_login("newbie")
    assert found is not None
    assert found.password_hash.startswith("$argon2id$")
    assert "long enough" not in found.password_hash


def test_every_least_role_has_a_word(house: House) -> None:
    words = house.app.state.room.catalogue["zh-CN"]
    assert {f"least.{least}" for least in RIGHTS.values()} <= set(words)
