"""Unknown devices on the page and in the API: listed, tried, adopted; profiles read again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tests.acceptance.newcomers_estate import TANK, Gate, open_gate, raw_meter, strangers
from tests.acceptance.pages_harness import SITE
from tests.unit.api.conftest import House

from dutyroom.api.payloads import readable
from dutyroom.model.telemetry import Message

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
    assert done.json() == {
        "device": "wmbusmeters-11111111",
        "profile": "wmbusmeters/water",
        "others": ["wmbusmeters/any"],
        "waiting": 2,
    }
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


def test_where_several_profiles_read_a_device_equally_well_a_person_says_which(
    house: House, gate: Gate
) -> None:
    gate.shelve(TANK)
    gate.shelve(TANK.replace("Acme tank", "Acme pit"), "pit")
    gate.shelf.reload()
    gate.reread()
    admin = house.person("admin")
    asked = admin.post(f"{API}/unknown/adopt", json={"address": "T-18"}, headers={"accept-language": "en"})
    assert asked.status_code == 422
    assert "Several profiles read T-18 equally well: acme/pit, acme/tank." in asked.text
    done = admin.post(f"{API}/unknown/adopt", json={"address": "T-18", "profile": "acme/tank"}).json()
    assert (done["profile"], done["others"], done["waiting"]) == ("acme/tank", [], 2)


UPLINK = """\
class: sensor
envelope: lorawan
order: big
binary: [level: u16]
points: {level: {quantity: level, unit: cm}}
"""


@pytest.mark.parametrize(("product", "chosen"), [("Borg Z3", False), ("Acme Tank", True)])
def test_one_click_cannot_adopt_a_device_as_another_product_than_its_message_names(
    house: House, gate: Gate, product: str, chosen: bool
) -> None:
    gate.shelve(UPLINK)
    gate.shelf.reload()
    eui = "0000000000000007"
    payload = f'{{"deviceInfo": {{"devEui": "{eui}", "deviceProfileName": "{product}"}}, "data": "AKI="}}'
    now = house.estate.clock.now()
    gate.ingest.handle([Message(f"application/1/device/{eui}/event/up", payload.encode(), now)])
    admin = house.person("admin")
    row = next(r for r in admin.get(f"{API}/unknown").json() if r["address"] == eui)
    assert row["choice"] == ("acme/tank" if chosen else "")
    assert row["id"] == (f"acme-{eui}" if chosen else eui)  # no vendor's name that it may not have
    for language, words in (("en", "Choose a profile"), ("zh-CN", "请选择规约")):
        page = admin.get(f"/sites/{SITE}/unknown?lang={language}").text
        form = page[page.index(f'name="address" value="{eui}"') :].partition("</form>")[0]
        assert '<select name="profile" required>' in form
        assert (f'<option value="" selected>{words}</option>' in form) is not chosen
    asked = admin.post(f"{API}/unknown/adopt", json={"address": eui, "profile": ""})
    assert asked.status_code == (200 if chosen else 422)


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
    assert f"{file} 第 2 行 字段 class" in admin.get(f"/sites/{SITE}/unknown?lang=zh-CN").text
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


RAW = {"topic": "water/DN-77/raw", "profile": "cjt188/water"}
METER = "00000000100001"


def row_of(client: Any, topic: str) -> dict[str, Any]:
    """Once every profile was tried: on a busy machine one question may not be time enough."""
    for _ in range(20):
        rows = client.get(f"{API}/unknown").json()
        found: dict[str, Any] = next(row for row in rows if row["topic"] == topic)
        if found["tried"]:
            break
    return found


def test_a_topic_that_nobody_reads_is_offered_who_could_and_one_click_does_it(
    house: House, gate: Gate
) -> None:
    raw_meter(house.estate, gate)
    admin = house.person("admin")
    row = row_of(admin, "water/DN-77/raw")
    assert (row["candidates"], row["tried"]) == ([], True)
    offer = row["offers"][0]
    assert (offer["profile"], offer["topic"]) == ("cjt188/water", "water/{device}/raw")
    assert (offer["id"], offer["file"]) == ("cjt188/water-raw", "device_profiles/cjt188/water-raw.yaml")
    assert offer["addresses"] == [METER]
    assert ("volume", "123.45") in [(r["point"], r["text"]) for r in offer["readings"]]
    page = admin.get(f"/sites/{SITE}/unknown?lang=en").text
    assert "extends: cjt188/water" in page
    assert "unknown/profile" in page
    done = admin.post(f"{API}/unknown/profile", json=RAW)
    assert done.json() == {
        "profile": "cjt188/water-raw",
        "file": "device_profiles/cjt188/water-raw.yaml",
        "topic": "water/{device}/raw",
        "addresses": [METER],
        "waiting": 2,
    }
    assert (gate.own / "cjt188" / "water-raw.yaml").read_text() == offer["text"]
    assert admin.get(f"{API}/profiles").json()["mistakes"] == []
    gate.reread()
    row = row_of(admin, "water/DN-77/raw")
    assert (row["address"], row["candidates"][0]["profile"]) == (METER, "cjt188/water-raw")
    assert admin.post(f"{API}/unknown/adopt", json={"address": METER, "id": "W-1"}).status_code == 200
    gate.reread()
    points = admin.get(f"{API}/devices/W-1").json()["points"]
    assert next(p["text"] for p in points if p["name"] == "volume") == "123.45"
    with house.estate.records.read() as tx:
        trail = {(row.actor, row.action, row.target, row.detail) for row in tx.audit_rows(SITE)}
    detail = "cjt188/water · water/{device}/raw"
    assert ("admin", "profiles.written", "cjt188/water-raw", detail) in trail
    again = admin.post(f"{API}/unknown/profile", json=RAW, headers={"accept-language": "en"})
    assert again.status_code == 422
    assert "Nobody sends on water/DN-77/raw" in again.text


def test_no_file_is_overwritten_and_none_is_written_where_none_can_be(
    house: House, gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    raw_meter(house.estate, gate)
    admin = house.person("admin")
    headers = {"accept-language": "en"}
    there = gate.own / "cjt188" / "water-raw.yaml"
    there.parent.mkdir(parents=True)
    there.write_text("mine: yes\n")
    asked = admin.post(f"{API}/unknown/profile", json=RAW, headers=headers)
    assert (asked.status_code, there.read_text()) == (422, "mine: yes\n")
    assert "The site has a profile cjt188/water-raw already" in asked.text
    for wanted in ({**RAW, "profile": "no/such"}, {**RAW, "topic": "bms/room/3"}):
        assert admin.post(f"{API}/unknown/profile", json=wanted, headers=headers).status_code == 422
    monkeypatch.setattr(type(gate.shelf), "writable", property(lambda shelf: False))
    there.unlink()
    asked = admin.post(f"{API}/unknown/profile", json=RAW, headers=headers)
    assert (asked.status_code, there.exists()) == (422, False)
    assert "cannot be written here" in asked.text
    page = admin.get(f"/sites/{SITE}/unknown?lang=en").text
    assert "unknown/profile" not in page
    assert "put the file there yourself" in page


def test_a_device_is_adopted_with_a_topic_in_one_step(house: House, gate: Gate) -> None:
    raw_meter(house.estate, gate)
    admin = house.person("admin")
    wish = {"address": METER, "profile": "cjt188/water", "topic": "water/{device}/raw", "id": "W-1"}
    for wrong, said in (
        ({"profile": ""}, "There is no profile"),
        ({"topic": "water/#/raw"}, "rest of the topic"),
        ({"topic": "gas/+/raw"}, "Nobody sends on gas/+/raw"),
        ({"address": "77"}, f"there is no 77; its messages are of {METER}"),
        ({"profile": "wmbusmeters/water"}, "wmbusmeters/water cannot read"),
    ):
        asked = admin.post(f"{API}/unknown/adopt", json=wish | wrong, headers={"accept-language": "en"})
        assert asked.status_code == 422
        assert said in asked.text
    assert not gate.own.exists()
    done = admin.post(f"{API}/unknown/adopt", json=wish)
    assert done.json() == {"device": "W-1", "profile": "cjt188/water-raw", "others": [], "waiting": 2}
    gate.reread()
    assert len(admin.get(f"{API}/quarantine?state=reprocessed").json()) == 2


def test_an_address_that_is_not_ours_is_gone_until_it_is_taken_back(house: House, gate: Gate) -> None:
    admin = house.person("admin")
    assert "unknown/not-ours" in admin.get(f"/sites/{SITE}/unknown?lang=en").text
    mine = {"address": "11111111"}
    assert admin.post(f"{API}/unknown/not-ours", json=mine).json() == mine
    gate.reread()
    assert [row["address"] for row in admin.get(f"{API}/unknown").json()] == ["", "", ""]
    (mark,) = house.program("api:viewer").get(f"{API}/unknown/not-ours").json()
    assert (mark["address"], mark["actor"]) == ("11111111", "admin")
    assert "Not ours: 1" in admin.get(f"/sites/{SITE}/unknown?lang=en").text
    assert admin.post(f"{API}/unknown/not-ours/take-back", json=mine).json() == mine
    assert admin.post(f"{API}/unknown/not-ours/take-back", json=mine).status_code == 422
    strangers(house.estate, gate)
    assert admin.get(f"{API}/unknown").json()[0]["address"] == "11111111"
    admin.post(f"{API}/unknown/not-ours", json=mine)
    admin.post(f"{API}/unknown/adopt", json=mine | {"profile": "wmbusmeters/water"})
    assert admin.get(f"{API}/unknown/not-ours").json() == []  # who adopts has thought better of it
    taken = admin.post(f"{API}/unknown/not-ours", json=mine, headers={"accept-language": "en"})
    assert "11111111 is the address of a device in the registry" in taken.text
    program = house.program("api:operator")
    for path in ("profile", "not-ours", "not-ours/take-back"):
        assert program.post(f"{API}/unknown/{path}", json=RAW | mine).status_code == 403


def test_a_parameter_that_only_the_device_can_say_is_asked_for(house: House, gate: Gate) -> None:
    needs = TANK.replace("points:", "parameters: {metres: , zero: 0}\npoints:")
    gate.shelve(needs.replace("{from: depth_cm,", '{value: "depth_cm * metres + zero",'))
    gate.shelf.reload()
    gate.reread()
    admin = house.person("admin")
    (asks,) = next(r for r in admin.get(f"{API}/unknown").json() if r["address"] == "T-18")["candidates"]
    assert (asks["needs"], asks["parameters"]) == (["metres"], {"metres": "", "zero": 0})
    page = admin.get(f"/sites/{SITE}/unknown?lang=en").text
    assert 'name="parameters"' in page
    assert "needs metres" in page
    wish = {"address": "T-18", "profile": "acme/tank"}
    asked = admin.post(f"{API}/unknown/adopt", json=wish, headers={"accept-language": "en"})
    assert (asked.status_code, "metres=…" in asked.text) == (422, True)
    done = admin.post(f"{API}/unknown/adopt", json={**wish, "parameters": "metres=0.01;zero=2"})
    assert done.json()["waiting"] == 2
    with house.estate.records.read() as tx:
        (device,) = (d for d in tx.devices.all(SITE) if d.address == "T-18")
    assert device.parameters == {"metres": 0.01, "zero": 2}
