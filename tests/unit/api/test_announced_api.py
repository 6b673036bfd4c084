"""Planned outages and fire tests through the API and the page."""

from __future__ import annotations

import pytest
from tests.acceptance.pages_harness import SITE
from tests.unit.api.conftest import House

from dutyroom.timebase import HOUR, to_datetime, to_iso, zone

API = f"/api/v1/sites/{SITE}/announcements"


def test_a_person_announces_prolongs_and_ends_an_outage(house: House) -> None:
    operator, now = house.person("operator"), house.estate.clock.now()
    asked = {"kind": "outage", "utility": "power", "devices": ["A-E1"], "reason": "switchgear service"}
    made = operator.post(API, params={"lang": "en"}, json={**asked, "ends": to_iso(now + HOUR)})
    assert made.status_code == 201, made.text
    told = made.json()
    assert (told["state"], told["kind_text"], told["utility_text"]) == ("running", "Planned outage", "Power")
    assert told["affected"] == 0
    longer = operator.post(f"{API}/{told['id']}/move", json={"minutes": 60, "reason": "a cable"}).json()
    assert longer["ends"] == told["ends"] + HOUR
    ended = operator.post(f"{API}/{told['id']}/cancel", json={"reason": "power is back"}).json()
    assert ended["state"] == "cancelled"
    assert operator.get(API).json() == [ended]
    again = operator.post(f"{API}/{told['id']}/cancel", params={"lang": "en"}, json={"reason": "x"})
    assert (again.status_code, again.json()["detail"]) == (409, "It is over already.")


def test_times_without_an_offset_are_of_the_site(house: House) -> None:
    operator = house.person("operator")
    asked = {"kind": "outage", "utility": "water", "spaces": ["A"], "reason": "tank is cleaned"}
    now = house.estate.clock.now()
    begins, ends = (
        to_datetime(now + n * HOUR, zone("Asia/Shanghai")).strftime("%Y-%m-%dT%H:%M") for n in (1, 3)
    )
    told = operator.post(API, json={**asked, "begins": begins, "ends": ends}).json()
    assert told["ends"] - told["begins"] == 2 * HOUR
    assert told["state"] == "planned"


def test_a_fire_test_has_its_ticket_from_the_begin(house: House) -> None:
    operator, now = house.person("operator"), house.estate.clock.now()
    asked = {"kind": "fire_test", "reason": "yearly", "ends": to_iso(now + HOUR)}
    told = operator.post(API, json=asked).json()
    ticket = operator.get(f"/api/v1/sites/{SITE}/tickets/{told['ticket']}", params={"lang": "en"}).json()
    assert (ticket["title"], ticket["state"]) == ("Fire test: yearly", "open")
    assert house.person("viewer").post(API, json=asked).status_code == 403


@pytest.mark.parametrize(
    ("given", "status", "said"),
    [
        ({"ends": "2001-01-01T00:00:00Z"}, 409, "needs an end that lies ahead"),
        ({"devices": ["nobody"]}, 422, "no such device"),
        ({"devices": [], "utility": ""}, 409, "which utility"),
        ({"ends": "soon"}, 422, "soon"),
    ],
)
def test_refusals_say_why(house: House, given: dict[str, object], status: int, said: str) -> None:
    now = house.estate.clock.now()
    asked = {
        "kind": "outage",
        "utility": "power",
        "devices": ["A-E1"],
        "reason": "x",
        "ends": to_iso(now + HOUR),
    }
    answer = house.person("operator").post(API, params={"lang": "en"}, json={**asked, **given})
    assert answer.status_code == status, answer.text
    assert said in answer.text
