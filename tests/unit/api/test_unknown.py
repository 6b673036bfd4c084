"""Unknown devices on the page and in the API: listed, tried, adopted; profiles read again."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.acceptance.newcomers_estate import TANK, Gate, open_gate, strangers
from tests.acceptance.pages_harness import SITE
from tests.unit.api.conftest import House

from dutyroom.api.payloads import readable

API = f"/api/v1/sites/{SITE}"


@pytest.fixture
def gate(house: House, tmp_path: Path) -> Gate:
    journal = house.estate.runtime.journal
    journal.settle([row.id for row in journal.quarantine()], "discarded")
    made = open_gate(house.estate, tmp_path)
    strangers(house.estate, made)
    return made


def test_each_stranger_is_listed_once_with_its_last_message_and_who_reads_it(
    house: House, gate: Gate
) -> None:
    rows = house.program("api:viewer").get(f"{API}/unknown").json()
    assert [(row["address"], row["topic"], row["count"]) for row in rows] == [
        ("11111111", "wmbusmeters/11111111", 2),
        ("", "bms/room/3", 1),
        ("", "dtu/0815/rx", 1),
        ("", "acme/T-18/up", 2),
    ]
    assert [row["form"] for row in rows] == ["json", "text", "hex", "json"]
    assert rows[2]["payload"].startswith("fe fe fe 68")
    meter = rows[0]
    assert meter["reason"] == "unknown_device"
    assert meter["last_at"] - meter["first_at"] == 45 * 60_000
    assert meter["id"] == "wmbusmeters-11111111"
    best = meter["candidates"][0]
    assert (best["profile"], best["class"]) == ("wmbusmeters/water", "water_meter")
    assert [(r["point"], r["value"], r["text"], r["unit"]) for r in best["readings"]] == [
        ("volume", 3.625, "3.625", "m³"),
        ("flow", 0.12, "0.12", "m³/h"),
    ]


def test_one_click_adopts_and_its_messages_are_read_again(house: House, gate: Gate) -> None:
    admin = house.person("admin")
    page = admin.get(f"/sites/{SITE}/unknown?lang=en").text
    assert 'value="wmbusmeters-11111111"' in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt; 21.5" in page
    done = admin.post(f"{API}/unknown/adopt", json={"address": "11111111", "space": "A"})
    assert done.json() == {"device": "wmbusmeters-11111111", "profile": "wmbusmeters/water", "waiting": 2}
    assert [row["address"] for row in admin.get(f"{API}/unknown").json()] == ["", "", ""]
    gate.reread()
    assert [row["address"] for row in admin.get(f"{API}/unknown").json()] == ["", "", ""]
    device = admin.get(f"{API}/devices/wmbusmeters-11111111").json()
    assert (device["space"], device["address"]) == ("A", "11111111")
    volume = next(p for p in device["points"] if p["name"] == "volume")
    assert volume["text"] == "3.625"
    assert len(admin.get(f"{API}/quarantine?state=reprocessed").json()) == 2
    with house.estate.records.read() as tx:
        trail = {(row.actor, row.action, row.target) for row in tx.audit_rows(SITE)}
    assert ("admin", "device.added", "wmbusmeters-11111111") in trail


@pytest.mark.parametrize(
    ("wish", "said"),
    [
        ({"address": "nobody"}, "No unknown device calls itself nobody"),
        ({"address": "11111111", "profile": "no/such"}, "There is no profile no/such"),
        ({"address": "11111111", "id": "A-E1"}, "The id A-E1 is in use"),
        ({"address": "11111111", "space": "Z/9"}, "Z/9"),
        ({"address": "11111111", "id": "a b"}, "a b"),
        ({"address": ""}, "not valid"),
    ],
)
def test_what_cannot_be_adopted_is_told(house: House, gate: Gate, wish: dict[str, str], said: str) -> None:
    asked = house.person("admin").post(f"{API}/unknown/adopt", json=wish, headers={"accept-language": "en"})
    assert asked.status_code == 422
    assert said in asked.text


def test_only_an_administrator_adopts_and_reloads(house: House, gate: Gate) -> None:
    for scope in ("api:viewer", "api:operator", "api:clerk"):
        program = house.program(scope)
        assert program.get(f"{API}/unknown").status_code == 200
        assert program.get(f"{API}/profiles").status_code == 200
        assert program.post(f"{API}/unknown/adopt", json={"address": "11111111"}).status_code == 403
        assert program.post(f"{API}/profiles/reload").status_code == 403
    page = house.person("operator").get(f"/sites/{SITE}/unknown").text
    assert "unknown/adopt" not in page
    assert "profiles/reload" not in page


def test_a_profile_that_is_dropped_in_is_read_on_demand(house: House, gate: Gate) -> None:
    admin = house.person("admin")
    file = gate.shelve(TANK.replace("class: tank", "class: tonk"))
    told = admin.post(f"{API}/profiles/reload").json()
    assert [(m["file"], m["line"], m["field"]) for m in told["mistakes"]] == [(str(file), 2, "class")]
    page = admin.get(f"/sites/{SITE}/unknown?lang=en").text
    assert f"{file}:2 class" in page
    gate.shelve(TANK)
    told = admin.post(f"{API}/profiles/reload").json()
    assert told["own"] == ["acme/tank"]
    gate.reread()
    (row,) = [r for r in admin.get(f"{API}/unknown?lang=en").json() if r["address"] == "T-18"]
    assert row["candidates"][0]["name"] == "Acme tank sensor"
    assert [r["text"] for r in row["candidates"][0]["readings"]] == ["1.63", "97"]
    listed = admin.get(f"{API}/profiles").json()["profiles"]
    assert [p["id"] for p in listed if p["own"]] == ["acme/tank"]


def test_where_nothing_is_ingested_there_is_a_sentence(house: House) -> None:
    house.estate.runtime.intake = None
    asked = house.person("admin").get(f"{API}/unknown?lang=en")
    assert (asked.status_code, asked.json()["detail"]) == (409, "No devices are taken in by this process.")


@pytest.mark.parametrize(
    ("raw", "form", "shown"),
    [
        (b'{"a":1}', "json", '{\n  "a": 1\n}'),
        (b'{"a":', "text", '{"a":'),
        ("21.5 °C".encode(), "text", "21.5 °C"),
        (b"two\r\nlines", "text", "two\r\nlines"),
        (b"\x00\x01", "hex", "00 01"),
        (b"\xff", "hex", "ff"),
        (b"", "text", ""),
        (b"[" * 100_000, "text", "[" * 4_000),
    ],
)
def test_a_payload_is_shown_as_what_it_is(raw: bytes, form: str, shown: str) -> None:
    assert readable(raw) == {"form": form, "payload": shown}
