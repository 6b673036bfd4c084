"""What people do through the API: alarms, tickets, plans, devices, people."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from fastapi.testclient import TestClient
from tests.acceptance.pages_harness import SITE
from tests.unit.api.conftest import House

from dutyroom.api.stream import ringing
from dutyroom.model.duty import AlarmState, Priority

API = f"/api/v1/sites/{SITE}"


@pytest.fixture
def operator(house: House) -> TestClient:
    return house.person("operator")


def alarms(client: TestClient, **query: Any) -> list[dict[str, Any]]:
    answer = client.get(f"{API}/alarms", params=query)
    assert answer.status_code == 200, answer.text
    return list(answer.json())


def named(client: TestClient, title: str) -> dict[str, Any]:
    return next(a for a in alarms(client, lang="en") if a["title"] == title)


def test_alarms_come_most_urgent_first(operator: TestClient) -> None:
    rows = alarms(operator)
    assert [r["priority"] for r in rows] == sorted(r["priority"] for r in rows)
    assert {r["tab"] for r in rows} == {"active", "returned", "shelved", "suppressed"}
    assert [r["tab"] for r in alarms(operator, tab="shelved")] == ["shelved"]


def test_the_row_says_value_limit_and_who(operator: TestClient) -> None:
    row = named(operator, "Burst pipe")
    assert (row["value"], row["owner"], row["undispatched"]) == ("4.8 m³/h > 1.5", "", True)
    assert row["text"] == "Flow 4.8 m³/h, limit 1.5 m³/h. Burst pipe?"
    assert named(operator, "Power cut")["affected"] == 132


def test_acknowledge_and_take_back(operator: TestClient) -> None:
    alarm = named(operator, "Burst pipe")["id"]
    told = operator.post(f"{API}/alarms/{alarm}/acknowledge", json={}).json()
    assert (told["state"], told["filled"]) == ("acknowledged", False)
    assert "acknowledge" not in told["can"]
    told = operator.post(f"{API}/alarms/{alarm}/unacknowledge", json={}).json()
    assert (told["state"], told["filled"]) == ("unacknowledged", True)
    assert [h["event"] for h in told["history"]][-2:] == ["确认", "撤销确认"]


def test_the_second_one_is_told_who_was_first(house: House, operator: TestClient) -> None:
    alarm = named(operator, "Burst pipe")["id"]
    assert operator.post(f"{API}/alarms/{alarm}/acknowledge", json={}).status_code == 200
    second = house.person("admin").post(f"{API}/alarms/{alarm}/acknowledge?lang=en", json={})
    assert second.status_code == 409
    assert second.json()["detail"] == "operator has acknowledged this alarm already."


def test_entrapment_cannot_be_shelved(operator: TestClient) -> None:
    row = named(operator, "Entrapment")
    assert "shelve" not in row["can"]
    answer = operator.post(f"{API}/alarms/{row['id']}/shelve", json={"minutes": 30, "reason": "x"})
    assert answer.status_code == 409
    assert "不能搁置" in answer.json()["detail"]


@pytest.mark.parametrize("path", ["alarms/999/acknowledge", "tickets/999/accept", "occurrences/999/excused"])
def test_what_is_not_there_is_404(operator: TestClient, path: str) -> None:
    answer = operator.post(f"{API}/{path}", json={"reason": "x"})
    assert answer.status_code == 404
    assert answer.json()["detail"].endswith("。")


def test_only_who_works_here_can_be_sent(operator: TestClient) -> None:
    people = operator.get(f"{API}/alarms/{named(operator, 'Burst pipe')['id']}").json()["people"]
    rows = operator.get("/api/v1/me").json()
    assert rows["name"] in people
    assert not {"收费员", "访客", "clerk", "viewer"} & set(people)


def test_shelving_asks_for_a_reason_and_ends(operator: TestClient) -> None:
    alarm = named(operator, "Burst pipe")["id"]
    assert operator.post(f"{API}/alarms/{alarm}/shelve", json={"minutes": 30}).status_code == 409
    answer = operator.post(f"{API}/alarms/{alarm}/shelve", json={"minutes": 30, "reason": "阀门检修"})
    assert answer.json()["tab"] == "shelved"
    assert operator.post(f"{API}/alarms/{alarm}/shelve", json={"minutes": 100_000}).status_code == 422
    assert operator.post(f"{API}/alarms/{alarm}/unshelve", json={}).json()["tab"] == "active"


def test_dispatch_from_the_desk_sends_the_ticket(operator: TestClient) -> None:
    row = named(operator, "Burst pipe")
    told = operator.post(f"{API}/alarms/{row['id']}/dispatch", json={"assignee": "水暖工"}).json()
    assert (told["owner"], told["undispatched"]) == ("水暖工", False)
    ticket = operator.get(f"{API}/tickets/{told['ticket']}").json()
    assert (ticket["state"], ticket["assignee"]) == ("dispatched", "水暖工")


def test_a_report_lives_from_call_to_follow_up(operator: TestClient) -> None:
    report = {
        "text": "楼道灯不亮",
        "reporter": "周女士",
        "contact": "138",
        "space": "A/1/0101",
        "priority": 3,
    }
    ticket = operator.post(f"{API}/reports", json=report).json()
    for action, body, state in (
        ("dispatch", {"assignee": "电工"}, "dispatched"),
        ("accept", {}, "accepted"),
        ("done", {"reason": "换灯管"}, "done"),
        ("redo", {"reason": "又灭了"}, "dispatched"),
        ("accept", {}, "accepted"),
        ("done", {}, "done"),
        ("close", {}, "closed"),
    ):
        assert action in ticket["can"]
        answer = operator.post(f"{API}/tickets/{ticket['id']}/{action}", json=body)
        assert answer.status_code == 200, answer.text
        ticket = answer.json()
        assert ticket["state"] == state
    assert len(ticket["history"]) == 8
    assert operator.post(f"{API}/tickets/{ticket['id']}/accept", json={}).status_code == 409
    assert ticket["number"] not in {t["number"] for t in operator.get(f"{API}/tickets").json()}


@pytest.mark.parametrize("body", [{}, {"text": ""}, {"text": "x" * 3000}, {"text": "x", "priority": 9}])
def test_a_bad_report_is_refused_with_its_fields(operator: TestClient, body: dict[str, Any]) -> None:
    answer = operator.post(f"{API}/reports?lang=en", json=body)
    assert answer.status_code == 422
    assert answer.json()["detail"] == "The request is not valid."
    assert answer.json()["items"]


def test_planned_work_is_done_or_excused(operator: TestClient) -> None:
    rows = operator.get(f"{API}/occurrences").json()
    late = next(r for r in rows if r["state"] == "overdue")
    told = operator.post(f"{API}/occurrences/{late['id']}/done", json={"evidence": "维保单 118"})
    assert (told.json()["state"], told.json()["evidence"]) == ("done", "维保单 118")
    tank = next(r for r in rows if r["plan"] == "tank-cleaning" and r["state"] == "due")
    assert operator.post(f"{API}/occurrences/{tank['id']}/excused", json={}).status_code == 409
    excused = operator.post(f"{API}/occurrences/{tank['id']}/excused", json={"reason": "改造停用"})
    assert excused.json()["state"] == "excused"


def test_a_generator_test_is_proven_by_telemetry_alone(operator: TestClient) -> None:
    rows = operator.get(f"{API}/occurrences").json()
    test = next(r for r in rows if r["plan"] == "generator-test" and r["state"] == "due")
    answer = operator.post(f"{API}/occurrences/{test['id']}/done", json={})
    assert answer.status_code == 409


def test_a_device_with_a_tag_on_it_rests(operator: TestClient) -> None:
    assert operator.post(f"{API}/devices/GATE-2/remove", json={}).status_code == 409
    told = operator.post(f"{API}/devices/GATE-2/remove", json={"reason": "检修挂牌"})
    assert told.json() == {"id": "GATE-2", "status": "out_of_service"}
    assert [a["device"] for a in alarms(operator, tab="out_of_service")] == ["GATE-2"]
    assert operator.get(f"{API}/devices/GATE-2").json()["status"] == "out_of_service"
    assert operator.post(f"{API}/devices/GATE-2/restore", json={}).json()["status"] == "active"


def test_what_the_pages_count(operator: TestClient) -> None:
    told = operator.get(f"{API}/counts").json()
    rows = alarms(operator)
    assert told["unacknowledged"] == sum(r["state"] == "unacknowledged" for r in rows)
    assert told["worst"] == told["tone"] == 1
    assert told["tabs"]["suppressed"] == 4
    assert told["quarantine"] == 3


def test_a_test_message_goes_to_who_asks(house: House, operator: TestClient) -> None:
    assert operator.post(f"{API}/outbox/test", json={}).status_code == 422  # no contact
    admin = house.person("admin")
    assert admin.post(f"{API}/outbox/test", json={}).json() == {"queued": 1}
    newest = admin.get(f"{API}/outbox").json()
    assert any(r["state"] == "pending" and r["person"] == "admin" for r in newest)


def test_a_scenario_is_started_by_name(house: House) -> None:
    admin = house.person("admin")
    assert admin.post(f"{API}/scenarios", json={"name": "burst_pipe"}).status_code == 202
    assert house.estate.started == ["burst_pipe"]
    assert admin.post(f"{API}/scenarios", json={"name": "earthquake"}).status_code == 404


def test_a_wall_token_is_shown_once(house: House) -> None:
    admin = house.person("admin")
    made = admin.post(f"{API}/tokens", json={"name": "大厅", "scope": "wall"}).json()
    assert made["url"].endswith(f"/wall/{made['token']}")
    assert house.visitor().get(f"/wall/{made['token']}").status_code == 200
    assert made["token"] not in admin.get(f"{API}/tokens").text
    assert admin.post(f"{API}/tokens", json={"name": "x", "scope": "api:god"}).status_code == 422


@pytest.mark.parametrize(
    ("state", "latched", "tone"),
    [
        (AlarmState.UNACKNOWLEDGED, False, 1),
        (AlarmState.RETURNED, True, 1),  # a fire that is over before anybody saw it
        (AlarmState.RETURNED, False, 0),
        (AlarmState.ACKNOWLEDGED, True, 0),
    ],
)
def test_what_rings(house: House, state: AlarmState, latched: bool, tone: int) -> None:
    with house.estate.records.read() as tx:
        fire = next(a for a in tx.alarms.open_ones(SITE) if a.priority is Priority.EMERGENCY)
    assert ringing([replace(fire, state=state, latched=latched)]) == tone
    assert ringing([]) == 0


def test_what_late_readings_made_of_an_alarm(house: House, operator: TestClient) -> None:
    older, other, third = (r["id"] for r in alarms(operator)[:3])
    now = house.estate.clock.now()
    spans = ((now - 7_200_000, now - 3_600_000), (now - 60_000, None))
    with house.estate.records.write() as tx:
        found = {a.id: a for a in tx.alarms.open_ones(SITE)}
        tx.alarms.update(replace(found[older], late=True, spans=spans))
        over = {"state": AlarmState.NORMAL, "ended_at": now, "spans": ()}
        tx.alarms.update(replace(found[other], merged_into=older, **over))
        tx.alarms.update(replace(found[third], disproved=True, **over))
    told = operator.get(f"{API}/alarms/{older}?lang=en").json()
    assert (told["late"], told["disproved"], told["merged_into"]) == (True, False, None)
    assert [(s["from"], s["until"]) for s in told["stretches"]] == [*reversed(spans)]
    assert told["stretches"][0]["text"].endswith(", and still")
    assert told["stretches"][1]["text"].endswith("(1 h 00)")
    ended = {a["id"]: a for a in alarms(operator, ended=True)}
    assert ended[other]["merged_into"] == older
    assert ended[third]["disproved"]
    assert not {other, third} & {a["id"] for a in alarms(operator)}
    page = operator.get(f"/sites/{SITE}/devices/{found[third].object}").text
    assert "后到数据否定" in page


def test_alarms_a_day_are_of_the_days_on_which_the_site_was_heard(operator: TestClient) -> None:
    told = operator.get(f"{API}/alarm-performance", params={"days": 90}).json()
    assert told["alarms"] > 5
    assert (
        1 <= told["alarms"] / told["figures"]["per_day"]["value"] < 7
    )  # its journal began the day before yesterday
