"""Sites, devices, readings, quarantine, ledger, period reads and statements through the API."""

from __future__ import annotations

import csv
import io
from decimal import Decimal

import pytest
from fastapi.testclient import TestClient
from msgspec import msgpack
from tests.acceptance.pages_harness import SITE
from tests.unit.api.conftest import House

from dutyroom.timebase import DAY, HOUR, MINUTE, to_iso

API = f"/api/v1/sites/{SITE}"


@pytest.fixture
def viewer(house: House) -> TestClient:
    return house.person("viewer")


def test_openapi_is_tagged_and_open_to_the_logged_in(house: House) -> None:
    told = house.person("viewer").get("/api/v1/openapi.json").json()
    operations = [op for path in told["paths"].values() for op in path.values()]
    assert len(operations) > 35
    assert all(op.get("tags") for op in operations)


def test_health_needs_no_log_in_and_tells_of_a_lost_broker(house: House) -> None:
    assert house.visitor().get("/healthz").json()["ok"] is True
    house.estate.runtime.broker_ok = lambda: False
    answer = house.visitor().get("/healthz")
    assert (answer.status_code, answer.json()["brokers"]) == (503, {SITE: False})


def test_rules_that_still_lack_history_are_told_with_the_day_from_which_they_judge(
    house: House, viewer: TestClient
) -> None:
    soon = house.estate.clock.now() + 9 * DAY - HOUR
    with house.estate.records.write() as tx:
        tx.put_blob(SITE, "watch.learning", msgpack.encode({"T1": {"tank.dry": soon, "tank.unusual": 1}}))
    (row,) = viewer.get(f"{API}/devices/T1?lang=en").json()["learning"]
    assert (row["rule"], row["name"], row["ready"]) == ("tank.dry", "Tank low", soon)
    assert row["text"].endswith("on, 9 d to go")
    assert "Rules that still learn" in viewer.get(f"/sites/{SITE}/devices/T1?lang=en").text
    assert "学习中的规则" in viewer.get(f"/sites/{SITE}/devices/T1?lang=zh-CN").text
    assert viewer.get(f"{API}/devices/M1?lang=en").json().get("learning", []) == []


def test_what_waits_is_told_with_its_reason_in_both_languages(house: House, viewer: TestClient) -> None:
    assert viewer.get(API).json()["troubles"] == {}
    waiting = {
        name: f"{name} is away" for name in ("broker", "ingest", "keep", "live", "watch", "plans", "trim")
    }
    house.estate.runtime.troubles = lambda: waiting
    assert viewer.get(API).json()["troubles"] == waiting
    for login in ("viewer", "clerk"):
        page = house.person(login).get(f"/sites/{SITE}/data").text
        assert all(f"{name} is away" in page for name in waiting)
        assert "trouble." not in page


def test_sites_and_devices(viewer: TestClient) -> None:
    assert [s["id"] for s in viewer.get("/api/v1/sites").json()] == [SITE]
    told = viewer.get(API).json()
    assert told["devices"] == len(viewer.get(f"{API}/devices").json())
    gas = viewer.get(f"{API}/devices", params={"device_class": "gas_meter", "limit": 3, "offset": 2}).json()
    assert [d["id"] for d in gas] == ["A-1-0103-gas", "A-1-0104-gas", "A-2-0201-gas"]
    one = viewer.get(f"{API}/devices/T1?lang=en").json()
    assert one["place"] == "Plant room"
    assert {p["name"] for p in one["points"]} == {"level", "battery"}


@pytest.mark.parametrize(
    "path", ["devices/nothing", "points/99999/readings?start=0&end=1", "alarms/999", "statements/x"]
)
def test_what_is_not_there_is_a_404_with_a_sentence(viewer: TestClient, path: str) -> None:
    answer = viewer.get(f"{API}/{path}")
    assert answer.status_code == 404
    assert answer.json()["detail"].endswith("。")


@pytest.mark.parametrize("query", ["limit=0", "limit=5000", "offset=-1", "limit=x"])
def test_pages_of_rows_have_bounds(viewer: TestClient, query: str) -> None:
    assert viewer.get(f"{API}/devices?{query}").status_code == 422


def test_readings_are_physical_and_in_order(house: House, viewer: TestClient) -> None:
    point = house.estate.runtime.table.find("W-MAIN", "volume")
    assert point is not None
    end = house.estate.clock.now()
    told = viewer.get(f"{API}/points/{point.id}/readings", params={"start": end - HOUR, "end": end}).json()
    assert told["unit"] == "m3"
    assert told["at"] == sorted(told["at"])
    assert 50 <= len(told["at"]) <= 61
    buckets = viewer.get(
        f"{API}/points/{point.id}/buckets", params={"start": end - HOUR, "end": end, "width": 10 * MINUTE}
    ).json()
    assert len(buckets["at"]) == 6
    assert abs(buckets["last"][-1] - told["value"][-1]) < 1
    too_fine = viewer.get(f"{API}/points/{point.id}/buckets", params={"start": 0, "end": end, "width": 1000})
    assert too_fine.status_code == 422


def test_registers_at_a_moment_and_as_csv(house: House, viewer: TestClient) -> None:
    rows = viewer.get(f"{API}/readings-at", params={"moment": "2026-11-01T00:00"}).json()
    same = viewer.get(f"{API}/readings-at", params={"moment": "2026-10-31T16:00Z"}).json()
    assert rows == same  # local to the site without a zone
    assert any(row["register"] == "" for row in rows)  # missing is empty, never zero
    text = house.person("clerk").get(f"{API}/readings-at.csv", params={"moment": "2026-11-01T00:00"})
    assert text.content.startswith(b"\xef\xbb\xbf")
    assert len(list(csv.reader(io.StringIO(text.text)))) == len(rows) + 1
    assert viewer.get(f"{API}/readings-at", params={"moment": "yesterday"}).status_code == 422


def test_quarantine_is_shown_and_settled(house: House) -> None:
    operator = house.person("operator")
    rows = operator.get(f"{API}/quarantine").json()
    assert {r["reason"] for r in rows} == {"malformed", "unknown_device", "unknown_topic"}
    assert any("\\xff" in r["payload"] for r in rows)  # bytes that are no text are shown as such
    told = operator.post(f"{API}/quarantine/settle", json={"ids": [rows[0]["id"]], "state": "discarded"})
    assert told.json() == {"settled": 1}
    assert len(operator.get(f"{API}/quarantine").json()) == 2
    assert len(operator.get(f"{API}/quarantine?state=discarded").json()) == 1


def test_the_ledger_balances(viewer: TestClient) -> None:
    for row in viewer.get(f"{API}/ledger").json():
        assert row["received"] == row["decoded"] + row["ignored"] + row["quarantined"]
        assert row["readings"] == row["stored"] + row["duplicate"] + row["conflict"]
    assert {f["kind"] for f in viewer.get(f"{API}/findings").json()} == {
        "clock_wrong",
        "late",
        "point_silent",
        "spool_filling",
    }
    one = viewer.get(f"{API}/findings?device=D-2-0203-el").json()
    assert {(f["kind"], f["device"]) for f in one} == {
        ("late", "D-2-0203-el"),
        ("point_silent", "D-2-0203-el"),
    }


def test_statements_are_exact_and_traceable(house: House, viewer: TestClient) -> None:
    number = "202610-A0101-1"
    told = viewer.get(f"{API}/statements/{number}").json()
    assert told["total"] == sum(line["amount"] for line in told["lines"] if not line["detail"])
    assert isinstance(told["lines"][0]["price"], str)  # a Decimal is never a float
    trace = viewer.get(f"{API}/statements/{number}/trace").json()
    assert {t["usage"]["device"] for t in trace} >= {"A-1-0101-el", "A-1-0101-water", "A-1-0101-gas"}
    clerk = house.person("clerk")
    assert clerk.get(f"{API}/statements-2026-10.csv?lang=en").content == b"csv en"
    assert clerk.get(f"{API}/statements-2026-10.xlsx").content == b"xlsx zh-CN"
    assert clerk.get(f"{API}/statements-1999-01.csv").status_code == 404


def test_a_clerk_records_an_exchange_in_the_meter_s_unit(house: House) -> None:
    clerk = house.person("clerk")
    given = {
        "device": "A-1-0101-water",
        "point": "volume",
        "at": "2026-11-20T10:00",
        "closing": "418.9",
        "opening": "0",
        "reason": "表坏",
    }
    told = clerk.post(f"{API}/exchanges", json=given)
    assert told.status_code == 201, told.text
    assert (told.json()["closing"], told.json()["actor"]) == (418_900, "clerk")
    assert clerk.get(f"{API}/exchanges").json()[0]["device"] == "A-1-0101-water"
    assert clerk.post(f"{API}/exchanges", json=given | {"closing": "-1"}).status_code == 422
    assert clerk.post(f"{API}/exchanges", json=given | {"device": "nobody"}).status_code == 404
    assert clerk.post(f"{API}/exchanges", json=given | {"closing": "418.90005"}).status_code == 422


def test_a_clerk_corrects_a_register_and_bills_again(house: House) -> None:
    clerk = house.person("clerk")
    cut_off = clerk.get(f"{API}/period-reads").json()[0]["cut_off"]
    name = "A-1-0101-water"
    before = next(r for r in clerk.get(f"{API}/period-reads").json() if r["device"] == name)
    given = {
        "device": name,
        "point": "volume",
        "cut_off": to_iso(cut_off),
        "register": str(Decimal(before["steps"] + 3) / 1000),
        "reason": "抄表核对",
    }
    told = clerk.post(f"{API}/period-reads", json=given)
    assert told.status_code == 201, told.text
    after = next(r for r in clerk.get(f"{API}/period-reads").json() if r["device"] == name)
    assert (after["steps"], after["version"], after["actor"], after["flag"]) == (
        before["steps"] + 3,
        before["version"] + 1,
        "clerk",
        "S",
    )
    assert clerk.post(f"{API}/period-reads", json=given | {"reason": " "}).status_code == 422
    refused = clerk.post(f"{API}/period-reads", json=given | {"cut_off": "2026-10-17T10:00"})
    assert (refused.status_code, "截止时间" in refused.json()["detail"]) == (422, True)
    assert house.person("operator").post(f"{API}/period-reads", json=given).status_code == 403
    run = clerk.post(f"{API}/billing-runs/2026-10")
    assert run.status_code == 201, run.text
    assert {"period", "missing", "locked", "statements", "problems"} == run.json().keys()
    assert clerk.post(f"{API}/billing-runs/October").status_code == 422
    assert house.person("operator").post(f"{API}/billing-runs/2026-10").status_code == 403
