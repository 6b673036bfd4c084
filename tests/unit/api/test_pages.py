"""Every page renders, in both languages, for a full house and for an empty one."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from tests.acceptance.pages_harness import PASSWORD, SITE, make_estate
from tests.unit.api.conftest import House

from dutyroom.api.app import create_app

PAGES = (
    "alarms", "wall", "devices", "devices?kind=gas_meter&find=0101", "devices/A-RISER-6", "devices/FP1", "tickets",
    "tickets?show=all&kind=report", "tickets/3", "tickets/7", "report", "plans", "plans?month=2027-02",
    "plans?month=nonsense", "reads", "statements", "statements?find=0101", "data", "data?state=discarded",
    "messages", "people", "audit", "demo", "account", "announcements", "performance", "statements/202610-A0101-1",
    "statements/202610-A0101-1/trace",
)  # fmt: skip
CJK = re.compile(r"[\u3400-\u9fff]")


class Checker(HTMLParser):
    """Void-aware nesting check; collects ids and labels."""

    VOID = frozenset({"meta", "link", "input", "br", "option", "path", "line", "circle", "polyline", "text"})

    def __init__(self) -> None:
        super().__init__()
        self.stack: list[str] = []
        self.ids: list[str] = []
        self.problems: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if given.get("id"):
            self.ids.append(str(given["id"]))
        if "style" in given or any(name.startswith("on") for name in given):
            self.problems.append(f"inline {tag} {given}")
        if tag not in self.VOID:
            self.stack.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag in self.VOID:
            return
        if not self.stack or self.stack.pop() != tag:
            self.problems.append(f"</{tag}> at {self.getpos()}")


def check(text: str) -> None:
    checker = Checker()
    checker.feed(text)
    assert checker.problems == []
    assert checker.stack == []
    assert len(checker.ids) == len(set(checker.ids))
    assert "{{" not in text
    assert "Undefined" not in text


@pytest.mark.parametrize("language", ["zh-CN", "en"])
def test_every_page_renders(house: House, language: str) -> None:
    client = house.person("admin")
    for path in PAGES:
        mark = "&" if "?" in path else "?"
        answer = client.get(f"/sites/{SITE}/{path}{mark}lang={language}")
        assert answer.status_code == 200, path
        assert f'<html lang="{language}"' in answer.text
        check(answer.text)


def test_pages_leave_no_key_unspoken(house: House) -> None:
    client = house.person("admin")
    for path in PAGES:
        text = re.sub(
            r"<script.*?</script>|<[^>]*>", " ", client.get(f"/sites/{SITE}/{path}").text, flags=re.S
        )
        left = set(
            re.findall(
                r"\b(?:nav|board|state|work|tickets|plans|reads|class|point|role|rule|line)\.[a-z_]+\b", text
            )
        )
        assert left == set(), path


def test_an_english_page_is_english(house: House) -> None:
    """Only what the site's people wrote themselves (names) stays in their language."""
    text = house.person("admin").get(f"/sites/{SITE}/statements/202610-A0101-1?lang=en").text
    body = re.sub(r"<[^>]*>", " ", text[text.index('class="sheet"') :])
    assert CJK.findall(body) == []


@pytest.mark.parametrize("language", ["zh-CN", "en"])
def test_an_empty_house_says_so(tmp_path: Path, language: str) -> None:
    estate = make_estate(tmp_path, busy=False, language=language)
    app = create_app({SITE: estate.runtime}, estate.records, estate.clock, passwords=estate.passwords)
    client = TestClient(app, follow_redirects=False)
    token = re.search(r'name="csrf" value="([^"]+)"', client.get("/login").text)
    assert token is not None
    client.post("/login", data={"login": "admin", "password": PASSWORD, "csrf": token[1]})
    for path in ("tickets", "statements", "reads", "messages", "wall", "plans", "data", "alarms"):
        answer = client.get(f"/sites/{SITE}/{path}")
        assert answer.status_code == 200, path
        check(answer.text)
    assert 'class="empty"' in client.get(f"/sites/{SITE}/tickets").text
    assert 'class="none"' in client.get(f"/sites/{SITE}/wall").text
    estate.records.close()
    estate.runtime.journal.close()


def test_words_from_outside_are_never_markup(house: House) -> None:
    """A report with a script in it is shown, not run."""
    operator = house.person("operator")
    evil = "<script>alert(1)</script></script><img src=x onerror=alert(1)>"
    made = operator.post(f"/api/v1/sites/{SITE}/reports", json={"text": evil, "reporter": evil})
    assert made.status_code == 201
    for path in ("tickets", f"tickets/{made.json()['id']}", "alarms", "wall"):
        text = operator.get(f"/sites/{SITE}/{path}").text
        assert "<script>alert" not in text
        assert "<img src=x" not in text


def test_figures_of_the_statement_page(house: House) -> None:
    client = house.person("viewer")
    number = "202610-A0101-1"
    data = client.get(f"/api/v1/sites/{SITE}/statements/{number}").json()
    text = client.get(f"/sites/{SITE}/statements/{number}").text
    assert f"{data['total'] / 100:.2f}" in text
    for usage in data["usages"]:
        assert usage["quantity"] in re.sub("\u2009", "", text)


def test_a_missing_register_is_a_dash_and_never_zero(house: House) -> None:
    client = house.person("viewer")
    reads = client.get(f"/api/v1/sites/{SITE}/period-reads").json()
    missing = [r for r in reads if r["steps"] is None]
    assert missing
    text = client.get(f"/sites/{SITE}/reads?find={missing[0]['device']}").text
    row = text[text.index("<tbody>") :]
    assert "—" in row
    assert "缺读" in row


def test_problems_are_pages_for_people_and_json_for_programs(house: House) -> None:
    client = house.person("viewer")
    page = client.get(f"/sites/{SITE}/tickets/999?lang=en", headers={"accept": "text/html"})
    assert page.status_code == 404
    assert "There is no such ticket." in page.text
    check(page.text)
    told = client.get(f"/api/v1/sites/{SITE}/tickets/999?lang=en")
    assert told.headers["content-type"] == "application/problem+json"
    assert told.json()["detail"] == "There is no such ticket."


def test_colour_is_for_alarms_only(house: House) -> None:
    client = house.person("operator")
    rows = {row["id"]: row["alarm"] for row in client.get(f"/api/v1/sites/{SITE}/tickets").json()}
    page = client.get(f"/sites/{SITE}/tickets").text
    marks = re.findall(
        r'data-href="/sites/[^"]+/tickets/(\d+)">\s*<td class="icon"><svg class="([^"]+)"', page
    )
    assert {("quiet" in look.split()) for _, look in marks} == {True, False}
    assert {int(number): "quiet" not in look.split() for number, look in marks} == {
        number: alarm is not None for number, alarm in rows.items()
    }
