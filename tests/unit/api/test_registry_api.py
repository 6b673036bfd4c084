"""The registry over HTTP: pages, single devices, tables in and out."""

from __future__ import annotations

import base64
import json

import pytest
from fastapi.testclient import TestClient
from tests.acceptance.pages_harness import SITE, library
from tests.unit.api.conftest import House

from dutyroom.api.words import read_catalogue
from dutyroom.model.duty import Device, DeviceStatus
from dutyroom.profiles.loading import read_profile
from dutyroom.site.columns import CHINESE, COLUMNS
from dutyroom.site.flaws import TEXTS

API = f"/api/v1/sites/{SITE}/registry"
METER = "A-1-0101-el"
BEHIND_TRANSFORMERS = """
class: electricity_meter
parameters: {ct: 1, pt: 1}
match: {topics: ["m/{id}"]}
identity: "{id}"
points:
  energy: {from: e, quantity: energy, kind: counter, step: 0.01, digits: 8}
  power: {from: p, quantity: power, scale: [ct, pt]}
"""


def table(text: str, **more: object) -> dict[str, object]:
    return {"file": "d.csv", "content": base64.b64encode(text.encode("gb18030")).decode(), **more}


def device(house: House, id: str) -> Device:
    with house.estate.records.read() as tx:
        return next(d for d in tx.devices.all(SITE) if d.id == id)


@pytest.fixture
def admin(house: House) -> TestClient:
    return house.person("admin")


def test_the_english_flaws_are_those_of_the_catalogue() -> None:
    words = read_catalogue()["en"]
    assert {key: words[f"flaw.{key}"] for key in TEXTS} == dict(TEXTS)
    assert all(f"column.{name}" in words and f"registry.about.{name}" in words for name in COLUMNS)


def test_a_table_is_looked_at_and_then_taken(house: House, admin: TestClient) -> None:
    text = f"设备编号,规约,地址,位置,CT\n{METER},demo/electricity_meter,el-1,A/1,200/5\nN-1,demo/pump,n1,plant,\n"
    looked = admin.post(f"{API}/import", json=table(text, check=True)).json()
    assert (looked["added"], looked["changed"], looked["unchanged"]) == (["N-1"], [METER], 0)
    assert device(house, METER).address == METER.lower()
    done = admin.post(f"{API}/import", json=table(text), headers={"accept-language": "en"}).json()
    assert done["said"] == "Imported: 1 new, 1 changed, 0 withdrawn, 0 as before"
    assert (device(house, METER).address, device(house, METER).parameters["ct"]) == ("el-1", 40)
    again = admin.post(f"{API}/import", json=table(text)).json()
    assert (again["added"], again["changed"], again["unchanged"]) == ([], [], 2)
    trail = admin.get(f"/sites/{SITE}/audit?lang=en").text
    assert "Device added" in trail
    assert "Devices imported" in trail


@pytest.mark.parametrize(
    ("language", "title", "message"),
    [
        ("zh-CN", "规约", '没有规约 "demo/pmp"；是不是“demo/pump”？'),
        ("en", "profile", 'there is no profile "demo/pmp"; did you mean "demo/pump"?'),
    ],
)
def test_mistakes_by_row_and_column_in_the_askers_language(
    house: House, admin: TestClient, language: str, title: str, message: str
) -> None:
    header = "规约" if language == "zh-CN" else "profile"
    answer = admin.post(
        f"{API}/import",
        json=table(f"id,{header},address\nN-1,demo/pmp,n1\nN-2,demo/pump,n2\n"),
        headers={"accept-language": language},
    )
    assert answer.status_code == 422
    (one,) = answer.json()["mistakes"]
    assert (one["row"], one["column"], one["message"]) == (2, title, message)
    assert one["text"].startswith(f'd.csv row 2, column "{header}": there is no profile')
    with house.estate.records.read() as tx:
        assert not {d.id for d in tx.devices.all(SITE)} & {"N-1", "N-2"}


def test_one_device_is_changed_added_withdrawn_and_taken_back(house: House, admin: TestClient) -> None:
    fields = {"name": "Kitchen meter", "digits": "6", "resolution": "0.01", "fed_by": "F1"}
    assert admin.put(f"{API}/{METER}", json={"fields": fields}).json()["changed"] == [METER]
    page = admin.get(f"/sites/{SITE}/devices/{METER}?lang=en").text
    assert "1 号变压器 · 馈线 F1" in page
    assert "Register digits" in page
    wrong = admin.put(f"{API}/{METER}", json={"fields": {"space": "Z/9", "digits": "0"}})
    assert [m["column"] for m in wrong.json()["mistakes"]] == ["digits", "space"]
    new = {"profile": "demo/pump", "address": "p/9", "space": "plant"}
    assert admin.put(f"{API}/P-9", json={"fields": new}).json()["added"] == ["P-9"]
    assert admin.get(f"/sites/{SITE}/registry?find=p/9").text.count("P-9") > 0
    assert admin.post(f"{API}/withdraw", json={"device": "P-9"}).status_code == 200
    assert device(house, "P-9").status is DeviceStatus.WITHDRAWN
    assert "P-9" not in admin.get(f"/sites/{SITE}/registry?find=p/9").text.replace("p/9", "")
    assert "P-9" in admin.get(f"/sites/{SITE}/registry?state=withdrawn").text
    assert admin.post(f"{API}/take-back", json={"device": "P-9"}).status_code == 200
    assert device(house, "P-9").status is DeviceStatus.ACTIVE
    assert admin.post(f"{API}/withdraw", json={"device": "P-10"}).status_code == 422


def test_what_others_are_fed_by_is_not_withdrawn(house: House, admin: TestClient) -> None:
    admin.put(f"{API}/{METER}", json={"fields": {"fed_by": "F1"}})
    answer = admin.post(f"{API}/withdraw", json={"device": "F1"}, headers={"accept-language": "en"})
    assert (answer.status_code, answer.json()["detail"]) == (
        422,
        f"Fed by: device {METER} is fed by F1, which would be gone",
    )


@pytest.mark.parametrize("kind", ["csv", "xlsx"])
@pytest.mark.parametrize("language", ["en", "zh-CN"])
def test_what_is_exported_changes_nothing(house: House, admin: TestClient, kind: str, language: str) -> None:
    raw = admin.get(f"{API}/devices.{kind}?lang={language}")
    assert "attachment" in raw.headers["content-disposition"]
    body = {"content": base64.b64encode(raw.content).decode(), "check": True, "withdraw_missing": True}
    found = admin.post(f"{API}/import", json={"file": f"devices.{kind}", **body}).json()
    assert (found["added"], found["changed"], found["withdrawn"]) == ([], [], [])
    assert found["unchanged"] == len(house.estate.devices)
    if kind == "csv":
        names = COLUMNS if language == "en" else [CHINESE[name] for name in COLUMNS]
        assert raw.content.decode("utf-8-sig").splitlines()[0] == ",".join(names)


@pytest.mark.parametrize(
    ("query", "there", "not_there"),
    [
        ("kind=pump", "P1", "T1"),
        ("profile=demo/tank_fire", "T2", "T1"),
        ("space=A", "A-1-0101-el", "B-1-0101-el"),
        ("state=heard", "T1", "nothing"),
        ("state=never", "devices.none", "T1"),
        ("find=燃气表", "A-1-0101-gas", "A-1-0101-el"),
        ("start=100000", "", "T1"),
    ],
)
def test_the_list_is_filtered(admin: TestClient, query: str, there: str, not_there: str) -> None:
    page = admin.get(f"/sites/{SITE}/registry?{query}").text
    rows = page[page.index('data-region="registry"') :]
    assert f"devices/{there}" in rows or there in ("", "devices.none")
    assert f"devices/{not_there}" + '"' not in rows


def test_a_file_that_is_none_is_a_sentence(admin: TestClient) -> None:
    assert admin.post(f"{API}/import", json={"content": "not base64!"}).status_code == 422
    raw = base64.b64encode(b"PK\x03\x04 broken").decode()
    answer = admin.post(f"{API}/import", json={"file": "d.xlsx", "content": raw})
    assert answer.json()["mistakes"][0]["text"] == "d.xlsx: cannot be read as a workbook: BadZipFile"


@pytest.mark.parametrize("login", ["viewer", "operator", "clerk"])
def test_only_an_administrator_changes_the_registry(house: House, login: str) -> None:
    person = house.person(login)
    assert person.get(f"/sites/{SITE}/registry").status_code == 200
    assert person.get(f"{API}/devices.csv").status_code == 200
    assert person.get(f"/sites/{SITE}/registry/edit").status_code == 403
    assert person.put(f"{API}/{METER}", json={"fields": {}}).status_code == 403
    assert person.post(f"{API}/import", json=table("id\n")).status_code == 403
    assert "registry/edit" not in person.get(f"/sites/{SITE}/devices/{METER}").text


def test_a_device_whose_name_has_a_slash_has_a_page_and_a_form(house: House, admin: TestClient) -> None:
    odd = Device(SITE, "gx/1", "Genset", "generator", "demo/generator", "c0/genset/1", "plant")
    with house.estate.records.write() as tx:
        tx.devices.upsert([odd])
    house.app.state.room.forget_devices(SITE)
    assert admin.get(f"/sites/{SITE}/devices/gx/1").status_code == 200
    assert 'data-registry="gx/1"' in admin.get(f"/sites/{SITE}/registry/edit?device=gx/1").text
    assert admin.put(f"{API}/gx%2F1", json={"fields": {"name": "Set"}}).json()["changed"] == ["gx/1"]
    assert json.loads(admin.get(f"/api/v1/sites/{SITE}/devices/gx/1").text)["name"] == "Set"


def test_a_form_with_changed_ratios_changes_the_multiplier_that_follows_them(
    house: House, admin: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(library().profiles, "acme/m", read_profile(BEHIND_TRANSFORMERS, "acme/m"))
    fields = {"profile": "acme/m", "address": "1", "parameters": "ct=40"}
    answer = admin.put(f"{API}/{METER}", json={"fields": fields})
    assert answer.status_code == 200, answer.text
    assert device(house, METER).parameters["multiplier"] == 40
    page = admin.get(f"/sites/{SITE}/registry/edit?device={METER}&lang=en").text
    shown = page.partition('name="parameters" value="')[2].partition('"')[0]
    assert shown == "ct=40"
    assert "multiplier=40 follows from these" in page
    again = admin.put(f"{API}/{METER}", json={"fields": {"parameters": "ct=80"}})
    assert again.status_code == 200
    assert device(house, METER).parameters == {"ct": 80, "multiplier": 80}
