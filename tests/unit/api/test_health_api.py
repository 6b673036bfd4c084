"""Ledger, completeness, clocks, journal and quarantine over the API and on the page."""

from __future__ import annotations

import csv
import io
import json

import pytest
from fastapi.testclient import TestClient
from tests.acceptance.pages_harness import SITE
from tests.unit.api.conftest import House

from dutyroom.backends.journal import SqliteJournal
from dutyroom.backends.quarantine import Quarantine
from dutyroom.model.telemetry import Batch, Lane, Message, MessageRecord, Outcome, Readings

API = f"/api/v1/sites/{SITE}"


@pytest.fixture
def viewer(house: House) -> TestClient:
    return house.person("viewer")


def test_sums_pages_and_a_file_of_the_ledger(viewer: TestClient) -> None:
    told = viewer.get(f"{API}/ledger/sums?by=device&limit=10&offset=75").json()
    assert (told["count"], len(told["rows"]), told["exact"], told["oldest"]) == (81, 6, True, None)
    totals = told["totals"]
    assert (totals["received"], totals["decoded"], totals["quarantined"], totals["balances"]) == (
        83,
        80,
        3,
        True,
    )
    assert totals["gaps"] == 3
    days = viewer.get(f"{API}/ledger/sums?by=day").json()["rows"]
    assert sum(row["received"] for row in days) == 83
    assert viewer.get(f"{API}/ledger/sums?wrong=true&by=row").json()["count"] == 0
    assert viewer.get(f"{API}/ledger/sums?by=day&since=0").status_code == 422
    text = viewer.get(f"{API}/ledger.csv").content.decode("utf-8-sig")
    rows = list(csv.DictReader(io.StringIO(text)))
    assert len(rows) == 81
    assert sum(int(row["received"]) for row in rows) == 83


def test_completeness_stands_worst_first(viewer: TestClient) -> None:
    told = viewer.get(f"{API}/completeness?limit=5").json()
    assert told["rows"][0]["share"] == 0.0
    shares = [row["share"] for row in told["rows"]]
    assert shares == sorted(shares)
    (*_, meter) = viewer.get(f"{API}/completeness?device=A-1-0101-el").json()["rows"]
    assert meter["point"] == "energy"  # its register, with power beside it
    one = told["rows"][0]["device"]
    assert {r["device"] for r in viewer.get(f"{API}/completeness?device={one}").json()["rows"]} == {one}


@pytest.mark.parametrize(
    ("language", "kind", "lost", "look"),
    [
        ("en", "Point not read any more", "Energy, last read ", "compare a raw message with the profile"),
        ("zh-CN", "测点不再有读数", "电能，最后读数 ", "请核对新固件是否改了字段名"),
    ],
)
def test_a_point_that_is_not_read_stands_on_the_data_page_and_its_device_s(
    viewer: TestClient, language: str, kind: str, lost: str, look: str
) -> None:
    for path in ("data", "devices/D-2-0203-el"):
        page = viewer.get(f"/sites/{SITE}/{path}?lang={language}").text
        assert all(said in page for said in (kind, lost, look)), path
    assert kind not in viewer.get(f"/sites/{SITE}/devices/A-1-0101-el?lang={language}").text


def test_the_page_says_by_which_point_a_device_is_judged(viewer: TestClient) -> None:
    assert "by: " in viewer.get(f"/sites/{SITE}/data?lang=en").text
    assert "依据：" in viewer.get(f"/sites/{SITE}/data?lang=zh-CN").text


def test_health_names_journal_canary_and_clocks(house: House, viewer: TestClient) -> None:
    told = viewer.get(f"{API}/health").json()
    assert told["journal"]["share"] == 0.74
    assert told["canary"]["delay_s"] == 0.183
    clocks = {row["device"]: row for row in told["clocks"]}
    assert clocks["D-2-0203-el"]["skew_s"] == 660
    assert clocks["A-1-0101-el"]["wrong"]
    assert "F1" not in clocks
    assert viewer.get(f"{API}/devices/D-2-0203-el").json()["clock"]["skew_s"] == 660
    assert house.visitor().get("/healthz").json()["journals"][SITE] == {"share": 0.74, "full": False}


def test_the_page_warns_of_a_journal_that_fills_up(viewer: TestClient) -> None:
    page = viewer.get(f"/sites/{SITE}/data?lang=en").text
    assert "The journal is 74 % full" in page
    assert "0.18 s" in page
    assert "660 s behind" in page
    assert "Balances" in page
    assert "660 s behind" in viewer.get(f"/sites/{SITE}/devices/D-2-0203-el?lang=en").text
    for by in ("hour", "day", "device", "nonsense"):
        assert viewer.get(f"/sites/{SITE}/data?by={by}").status_code == 200


def test_the_quarantine_is_exported_by_a_clerk_and_read_again_by_an_operator(
    house: House, viewer: TestClient
) -> None:
    assert viewer.get(f"{API}/quarantine.ndjson").status_code == 403
    assert viewer.post(f"{API}/quarantine/reprocess").status_code == 403
    lines = house.person("clerk").get(f"{API}/quarantine.ndjson").text.splitlines()
    assert [json.loads(line)["reason"] for line in lines] == ["malformed", "unknown_device", "unknown_topic"]
    assert house.person("operator").post(f"{API}/quarantine/reprocess").json() == {
        "open": 3,
        "pushed_out": 0,
        "gone": 0,
    }


def test_a_long_quarantine_does_not_push_the_ledger_off_the_page(viewer: TestClient) -> None:
    page = viewer.get(f"/sites/{SITE}/data?lang=en&rows=2").text
    assert page.count("<details data-keep") == 2
    assert '<a href="?state=open&amp;rows=100">1 more</a>' in page
    assert "more</a>" not in viewer.get(f"/sites/{SITE}/data?lang=en").text
    assert viewer.get(f"/sites/{SITE}/data?rows=1000").status_code == 422


def test_what_newer_messages_pushed_out_is_said_and_read_again(house: House) -> None:
    journal = house.estate.runtime.journal
    assert isinstance(journal, SqliteJournal)
    journal._quarantine = Quarantine(kept=2)
    for number in range(5):
        message = Message("up/f1", b"%d" % number, number)
        record = MessageRecord(message, Outcome.QUARANTINED, "F1", "p", "nothing_read", "cbm")
        journal.append(Batch(SITE, Lane.NORMAL, number, (record,), Readings.of([])))
    operator = house.person("operator")
    page = operator.get(f"/sites/{SITE}/data?lang=en").text
    assert "3 older messages (" in page
    assert "no longer among" not in page
    found = operator.post(f"{API}/quarantine/reprocess").json()
    assert (found["pushed_out"], found["gone"]) == (3, 0)
    journal._writer.execute("UPDATE pushed_sender SET gone=4")
    assert "4 more are no longer among the raw messages." in operator.get(f"/sites/{SITE}/data?lang=en").text
    assert "另有 4 条" in operator.get(f"/sites/{SITE}/data?lang=zh-CN").text
