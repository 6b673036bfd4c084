"""The list of a ticket: on its page, by the API, in the message; ticked off by a person."""

from __future__ import annotations

from dataclasses import replace

import pytest
from fastapi.testclient import TestClient
from tests.acceptance.pages_harness import SITE
from tests.unit.api.conftest import House

from dutyroom.api.messages import in_words
from dutyroom.api.present import Presenter
from dutyroom.api.words import Words, read_catalogue
from dutyroom.model.duty import Alarm, Check, CheckState
from dutyroom.timebase import MINUTE, zone

API = f"/api/v1/sites/{SITE}"
S = CheckState


@pytest.fixture
def ticket(house: House) -> int:
    """The power cut's ticket, with a list of two elevators and of its steps."""
    with house.estate.records.write() as tx:
        cut: Alarm = next(a for a in tx.alarms.open_ones(SITE) if a.rule.startswith("power") and a.ticket)
        begun = cut.raised_at
        lifts = [d.id for d in tx.devices.all(SITE) if d.device_class == "elevator"][:2]
        for lift in lifts:
            tx.checks.insert(Check(0, SITE, cut.id, begun, lift, "", S.UNKNOWN, begun))
        for step, state, done in (
            ("running", S.AWAITED, None),
            ("transferred", S.LATE, begun + MINUTE),
            ("back", S.AWAITED, None),
        ):
            line = Check(0, SITE, cut.id, begun, "generator", step, state, begun, done)
            tx.checks.insert(line)
        tx.checks.insert(
            Check(0, SITE, cut.id, begun - MINUTE, lifts[0], "", S.TRAPPED, begun)
        )  # an older list
        assert cut.ticket is not None
        return cut.ticket


def test_the_newest_list_is_shown_with_what_is_known_now(house: House, ticket: int) -> None:
    found = house.person("operator").get(f"{API}/tickets/{ticket}?lang=en").json()
    assert [c["listed"] for c in found["checks"]] == ["unknown", "unknown"]
    assert {c["state"] for c in found["checks"]} <= {"trapped", "stopped", "unknown", "running"}
    assert found["checks_left"] == 2
    assert [(s["text"], s["state"]) for s in found["steps"]] == [
        ("Generator running", "passed"),
        ("Load on the generator", "late"),
        ("Mains or second feeder back", "awaited"),
    ]


def test_an_elevator_with_people_in_it_comes_first(house: House, ticket: int) -> None:
    client = house.person("operator")
    last = client.get(f"{API}/tickets/{ticket}").json()["checks"][-1]["device"]
    with house.estate.records.write() as tx:
        some = next(a for a in tx.alarms.open_ones(SITE) if not a.cleared_at)
        tx.alarms.insert(
            replace(some, id=0, rule="elevator.entrapment", object=last, latched=True, episode="x", root=None)
        )
    first = client.get(f"{API}/tickets/{ticket}").json()["checks"][0]
    assert (first["device"], first["state"], first["state_text"]) == (last, "trapped", "困人")


def test_a_person_ticks_it_off_and_takes_it_back(house: House, ticket: int) -> None:
    client = house.person("operator")
    line = client.get(f"{API}/tickets/{ticket}").json()["checks"][0]
    told = client.post(f"{API}/tickets/{ticket}/checks/{line['id']}/done", json={"reason": "轿厢无人"}).json()
    mine = next(c for c in told["checks"] if c["id"] == line["id"])
    assert abs(mine["done_at"] - house.estate.clock.now()) < MINUTE
    assert (mine["done_by"], mine["note"]) == ("operator", "轿厢无人")
    assert told["checks_left"] == 1
    assert told["checks"][-1]["id"] == line["id"]
    again = client.post(f"{API}/tickets/{ticket}/checks/{line['id']}/done", json={})
    assert (again.status_code, again.json()["detail"]) == (409, "operator已勾选检查。")
    back = client.post(f"{API}/tickets/{ticket}/checks/{line['id']}/undo", json={}).json()
    assert back["checks_left"] == 2
    with house.estate.records.read() as tx:
        assert [r.action for r in tx.audit_rows(SITE, 2)] == ["ticket.uncheck", "ticket.check"]


def test_a_step_is_not_for_people_and_another_tickets_line_is_none_of_this(house: House, ticket: int) -> None:
    client = house.person("operator")
    with house.estate.records.read() as tx:
        alarm = next(a for a in tx.alarms.open_ones(SITE) if a.ticket == ticket)
        step = next(c for c in tx.checks.of(SITE, [alarm.id]) if c.step)
    assert client.post(f"{API}/tickets/{ticket}/checks/{step.id}/done", json={}).status_code == 422
    assert client.post(f"{API}/tickets/{ticket}/checks/9999/done", json={}).status_code == 422


@pytest.mark.parametrize(("login", "buttons"), [("operator", True), ("viewer", False)])
def test_the_page_shows_the_list_and_who_may_tick(
    house: House, ticket: int, login: str, buttons: bool
) -> None:
    client: TestClient = house.person(login)
    page = client.get(f"/sites/{SITE}/tickets/{ticket}").text
    assert "逐台检查" in page
    assert "负载切换至发电机" in page
    assert (f'data-post="tickets/{ticket}/checks/' in page) is buttons


def test_the_message_names_what_to_look_at_in_the_persons_language(house: House) -> None:
    site = house.estate.runtime
    with house.estate.records.read() as tx:
        devices = {d.id: d for d in tx.devices.all(SITE)}
    lifts = [d for d in devices.values() if d.device_class == "elevator"]
    listed = " ".join(f"{d.id}={'trapped' if n == 0 else 'unknown'}" for n, d in enumerate(lifts[:2]))
    listed += "".join(f" other{n}=unknown" for n in range(20))
    for language, wanted in (("zh-CN", "（困人）、"), ("en", " (passengers trapped), ")):
        words = Words(language, read_catalogue(), zone("Asia/Shanghai"))
        shown = Presenter(site, words, devices, {}, house.estate.clock.now())
        body = in_words(
            shown,
            "alarm.power.mains_lost",
            {"name": "x", "value": 0, "unit": "V", "priority": 1, "checks": listed},
        )[1]
        line = next(part for part in body.splitlines() if "22" in part)
        assert shown.device_name(lifts[0].id) + wanted in line
        assert "other9" in line
        assert "other10" not in line
        assert ("另有 10 台" if language == "zh-CN" else "and 10 more") in line


@pytest.mark.parametrize("language", ["zh-CN", "en"])
def test_the_message_names_the_switches_that_are_late(house: House, language: str) -> None:
    with house.estate.records.read() as tx:
        devices = {d.id: d for d in tx.devices.all(SITE)}
    lift = next(d for d in devices.values() if d.device_class == "elevator").id
    words = Words(language, read_catalogue(), zone("Asia/Shanghai"))
    shown = Presenter(house.estate.runtime, words, devices, {}, house.estate.clock.now())
    given = {"name": "x", "seconds": 60, "device": "f", "priority": 2, "behind": f"{lift},two", "done.one": 5}
    title, body = in_words(shown, "alarm.power.transfer_late", given)
    wanted = f"{shown.device_name(lift)}、two" if language == "zh-CN" else f"{shown.device_name(lift)}, two"
    assert wanted in body
    assert wanted in title
    assert "one" not in body.splitlines()[0]
    assert words.t("alarm.power.transfer_late", given) == shown.text(
        "alarm.power.transfer_late", {**given, "behind": ""}
    )
