"""Planned work of an estate with a daily check of each of 40 lifts: more rows than any page reads."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from datetime import date, time
from typing import Any

import pytest
from fastapi.testclient import TestClient
from tests.acceptance.pages_harness import SITE, TZ, words
from tests.unit.api.conftest import House

from dutyroom.api.stream import presenter
from dutyroom.model.duty import Occurrence, OccurrenceState, Priority
from dutyroom.plans import Plan, Schedule
from dutyroom.timebase import DAY, HOUR, MINUTE, Ms, local_date

S = OccurrenceState
API = f"/api/v1/sites/{SITE}"
CHECK = Plan(
    "lift-daily",
    words("电梯日检", "Daily lift check"),
    Schedule(time(9), every_days=1, anchor=date(2026, 1, 1)),
    Priority.LOW,
    DAY,
)
LIFTS = 40
LATER = 30 * MINUTE  # after the time of day at which a test begins: its clock runs on


@pytest.fixture
def now(house: House) -> Ms:
    """40 lifts, checked each day of the last 45 and to be checked each day of the next 35; a generator test overdue for 60 days,
    a tank cleaning missed 12 days ago, the one before done 300 days ago."""
    runtime, now = house.estate.runtime, house.estate.clock.now()
    runtime.site = replace(runtime.site, plans=(*runtime.site.plans, CHECK))
    rows = [
        Occurrence(0, SITE, "generator-test", "G1", now - 60 * DAY, S.OVERDUE, now),
        Occurrence(0, SITE, "tank-cleaning", "T1", now - 12 * DAY, S.MISSED, now),
        Occurrence(0, SITE, "tank-cleaning", "T1", now - 300 * DAY, S.DONE, now, done_at=now - 299 * DAY),
    ]
    for day in [*range(-45, 0), *range(1, 36)]:
        due = now + day * DAY + LATER
        row = Occurrence(0, SITE, CHECK.id, "", due, S.DUE, now)
        if day < 0:
            row = replace(row, state=S.DONE, done_at=due - HOUR)
        rows += [replace(row, object=f"K{n}") for n in range(LIFTS)]
    with house.estate.records.write() as tx:
        for row in rows:
            tx.occurrences.insert(row)
    return now


@pytest.fixture
def client(house: House, now: Ms) -> TestClient:
    return house.person("operator")


def cells(row: str) -> list[str]:
    """The words of a table's row."""
    return [
        " ".join(re.sub(r"<[^>]+>", " ", cell).split())
        for cell in re.findall(r"<t[dh].*?</t[dh]>", row, re.S)
    ]


def table(text: str, heading: str) -> list[list[str]]:
    """The rows below a heading."""
    start = text.index(f">{heading}<")
    return [
        cells(row) for row in re.findall(r"<tr>.*?</tr>", text[start : text.index("</table>", start)], re.S)
    ]


@pytest.mark.parametrize(
    ("language", "names", "late"),
    [
        ("en", ("Daily lift check", "Tank cleaning", "Generator test run"), "Overdue or missed: 3"),
        ("zh-CN", ("电梯日检", "生活水箱清洗", "发电机试运行"), "逾期或漏做 3"),
    ],
)
def test_last_next_and_late_are_right_however_many_rows_there_are(
    house: House, client: TestClient, now: Ms, language: str, names: Sequence[str], late: str
) -> None:
    said = presenter(house.app.state.room, house.estate.runtime, language).words
    text = client.get(f"/sites/{SITE}/plans?lang={language}").text
    all_plans = {
        row[0].split(" GB")[0]: row for row in table(text, {"en": "All plans", "zh-CN": "全部计划"}[language])
    }
    check, tank, generator = (all_plans[name] for name in names)
    assert check[2] == said.time(now - DAY + LATER - HOUR, "date_time")
    assert check[3] == said.time(now + DAY + LATER, "date_time")
    assert tank[2] == said.time(now - 299 * DAY, "date_time"), "however long ago"
    assert (check[5], tank[5], generator[5]) == ("—", "1", "1")
    listed = table(text, late)
    assert [row[0] for row in listed][1:] == [names[2], names[1]], "overdue before missed"


def test_more_late_work_than_is_listed_is_counted_and_can_be_asked_for(
    house: House, client: TestClient, now: Ms
) -> None:
    with house.estate.records.write() as tx:
        for n in range(30):
            tx.occurrences.insert(Occurrence(0, SITE, CHECK.id, f"K{n}", now - 3 * HOUR, S.OVERDUE, now))
    text = client.get(f"/sites/{SITE}/plans?lang=en&month=2026-05").text
    rest = ["Lift half-month service", "Generator test run", "Tank cleaning"]
    listed = [row[0] for row in table(text, "Overdue or missed: 33")]
    assert listed == [*["Daily lift check"] * 17, *rest], "of each plan one before a second of any"
    assert '<a href="?month=2026-05&amp;rows=1000">13 more</a>' in text
    assert "另有 13 条" in client.get(f"/sites/{SITE}/plans?lang=zh-CN").text
    text = client.get(f"/sites/{SITE}/plans?lang=en&rows=1000").text
    assert [row[0] for row in table(text, "Overdue or missed: 33")] == [*["Daily lift check"] * 30, *rest]
    assert " more</" not in text


def test_each_day_of_the_month_has_all_its_lifts(client: TestClient, now: Ms) -> None:
    days = [local_date(now + day * DAY + LATER, TZ) for day in range(-45, 36) if day]
    counts: dict[date, str] = {}
    for month in {day.replace(day=1) for day in days}:
        text = client.get(f"/sites/{SITE}/plans?lang=en&month={month:%Y-%m}").text
        for kind, day, inner in re.findall(
            r'<td class="([^"]*)"><span class="day">(\d+)</span>(.*?)</td>', text, re.S
        ):
            if "outside" not in kind:
                found = re.search(r"Daily lift check × (\d+)", inner)
                counts[month.replace(day=int(day))] = found[1] if found else ""
    assert [counts[day] for day in days] == [str(LIFTS)] * 80


def test_the_wall_loses_nothing_of_the_week(house: House, client: TestClient, now: Ms) -> None:
    with house.estate.records.write() as tx:
        for n in range(600):
            tx.occurrences.insert(Occurrence(0, SITE, CHECK.id, f"M{n}", now + HOUR, S.DUE, now))
    plans = client.get(f"{API}/board?lang=en").json()["plans"]
    check = [row["count"] for row in plans if row["plan"] == CHECK.id]
    assert check == [600, *[LIFTS] * 6]
    assert {"reading-day", "tank-cleaning", "generator-test"} <= {row["plan"] for row in plans}
    first = next(row for row in plans if row["plan"] == CHECK.id)
    assert (first["device"], first["state"], first["due"]) == ("M0", "due", now + HOUR)
    assert (plans[0]["plan"], plans[0]["state"], plans[0]["due"]) == (
        "generator-test",
        "overdue",
        now - 60 * DAY,
    )
    text = client.get(f"/sites/{SITE}/wall?lang=en").text
    assert f"Next 7 days · {len(plans) - 5} more" in text


def occurrences(client: TestClient, **query: Any) -> tuple[list[dict[str, Any]], int]:
    answer = client.get(f"{API}/occurrences", params=query)
    assert answer.status_code == 200, answer.text
    return answer.json(), int(answer.headers["x-total-count"])


def test_the_api_gives_those_around_now_and_says_how_many_there_are(client: TestClient, now: Ms) -> None:
    rows, total = occurrences(client)
    dues = [row["due"] for row in rows]
    assert (len(rows), dues) == (500, sorted(dues))
    assert total == 30 * LIFTS + 35 * LIFTS + 8  # 7 of the house's own
    assert sum(due >= now for due in dues) == 250
    assert {"generator-test", "tank-cleaning", "lift-service", CHECK.id} <= {row["plan"] for row in rows}
    few, total = occurrences(client, plan="generator-test", limit=1)
    assert ([row["state"] for row in few], total) == (["due"], 2), "the next one"
    assert len(occurrences(client, plan="tank-cleaning")[0]) == 2


def test_the_api_fills_up_with_what_was_where_little_is_coming(client: TestClient, now: Ms) -> None:
    rows, total = occurrences(client, plan=CHECK.id, until=now + DAY + HOUR, limit=100)
    assert [row["due"] for row in rows][-LIFTS:] == [now + DAY + LATER] * LIFTS
    assert (len(rows), total) == (100, 31 * LIFTS)
    assert min(row["due"] for row in rows) == now - 2 * DAY + LATER
    rows, total = occurrences(client, plan=CHECK.id, until=now - 10 * DAY, limit=LIFTS + 5)
    assert [row["due"] for row in rows] == [now - 12 * DAY + LATER] * 5 + [now - 11 * DAY + LATER] * LIFTS
    assert total == 30 * LIFTS


@pytest.mark.parametrize("begin", [{"offset": 0}, {"since": "then"}])
def test_the_api_pages_through_all_in_order(client: TestClient, now: Ms, begin: dict[str, Any]) -> None:
    asked = {"plan": CHECK.id, "limit": 400}
    if "since" in begin:
        asked["since"] = now - 30 * DAY
    found, total = occurrences(client, **asked, **({"offset": 0} if "offset" in begin else {}))
    while len(found) < total:
        more, _ = occurrences(client, **asked, offset=len(found))
        assert more
        found += more
    assert len({row["id"] for row in found}) == len(found) == total == 65 * LIFTS
    assert [row["due"] for row in found] == sorted(row["due"] for row in found)
