"""A service that runs learns: unknown devices are listed, a profile is dropped into the site's folder, one
command adopts a device, and what it has said is there at its own times. Nothing is started anew."""

from __future__ import annotations

import contextlib
import json
import sqlite3
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from tests.acceptance.newcomers_estate import FRAME
from tests.acceptance.test_serve import example, password_of, publish, water
from tests.servers.mosquitto import Mosquitto

sys.path.insert(0, str(Path(__file__).parent))

from demo_process import Program, Visitor, run, wait_for

pytestmark = [
    pytest.mark.servers,
    pytest.mark.skipif(sys.platform != "linux", reason="reads the process tree from /proc"),
]

PROFILE = """\
name: {en: Acme tank sensor, zh-CN: Acme 液位计}
class: tank
products: [Acme T-17]
interval: 5min
match:
  topics: ["acme/{device}/up"]
identity: "{device}"
time: {from: ts, format: epoch_s}
points:
  level: {from: depth_cm, quantity: level, unit: cm, low: 0, high: 10}
  battery: {from: bat, quantity: ratio}
examples:
  - title: the captured message
    topic: acme/T-17/up
    payload: {ts: 1793491200, depth_cm: 162, bat: 97}
    time: 2026-11-01T00:00:00Z
    expect:
      T-17: {level: 1.62, battery: 97}
"""


@pytest.fixture
def broker(mosquitto: Mosquitto, tmp_path: Path) -> Iterator[Mosquitto]:
    own = Mosquitto(tmp_path / "broker")
    own.start()
    yield own
    own.stop()


def level(cm: int, at: float) -> tuple[str, bytes]:
    return "acme/T-18/up", json.dumps({"ts": int(at), "depth_cm": cm, "bat": 80}).encode()


def unknown(visitor: Visitor) -> dict[str, dict[str, Any]]:
    return {row["address"] or row["topic"]: row for row in visitor.get("/unknown")}


def iso(at: float) -> str:
    return datetime.fromtimestamp(int(at), UTC).strftime("%H:%M:%S")


def test_a_device_that_nobody_knew_is_taught_and_adopted_without_a_restart(
    broker: Mosquitto, tmp_path: Path
) -> None:
    site, data = example(tmp_path / "site", broker.port), tmp_path / "data"
    with Program("serve", "--site", site, "--data", data, "--port", "0") as service:
        visitor = Visitor(service.url(), "example-garden").log_in(*password_of(service))
        now = time.time()
        times = [now - 7200, now - 3600, now - 60]
        publish(broker.port, *[level(100 + n, at) for n, at in enumerate(times)])
        publish(broker.port, ("wmbusmeters/11111111", water("3.5", now - 30, "11111111")))
        wait_for(lambda: len(unknown(visitor)) == 2, 10, "two strangers")
        nobody = unknown(visitor)["acme/T-18/up"]
        assert (nobody["reason"], nobody["count"], nobody["candidates"]) == ("unknown_topic", 3, [])
        assert (nobody["form"], json.loads(nobody["payload"])["depth_cm"]) == ("json", 102)
        best = unknown(visitor)["11111111"]["candidates"][0]
        assert best["profile"] == "wmbusmeters/water"
        assert [(r["point"], r["text"]) for r in best["readings"]][:1] == [("volume", "3.500")]

        # a file with a mistake is refused by file, line and field; nothing else changes
        file = site / "device_profiles" / "acme" / "t17.yaml"
        file.parent.mkdir(parents=True)
        file.write_text(PROFILE.replace("quantity: level", "quantity: heigth"), encoding="utf-8")
        told = wait_for(lambda: visitor.get("/profiles")["mistakes"], 15, "the mistake")
        assert (told[0]["file"], told[0]["field"]) == (str(file), "points.level.quantity")
        assert (
            told[0]["line"]
            == PROFILE.splitlines().index(
                "  level: {from: depth_cm, quantity: level, unit: cm, low: 0, high: 10}"
            )
            + 1
        )
        refused = run("profile", "reload", "--data", data, ok=False)
        assert refused.returncode == 1
        assert f"{file}:" in refused.stderr
        assert "heigth" in visitor.page("/sites/example-garden/data?lang=en")

        file.write_text(PROFILE, encoding="utf-8")
        wait_for(lambda: "T-18" in unknown(visitor), 15, "the device by its address")
        assert visitor.get("/profiles")["mistakes"] == []
        assert "Profiles of the site's own in use: 1." in run("profile", "reload", "--data", data).stdout
        listed = run("devices", "unknown", "--data", data).stdout
        assert "T-18" in listed
        assert "acme/t17: level 1.02 m, battery 80" in listed

        said = run("devices", "adopt", "T-18", "--id", "A-pit", "--data", data).stdout
        assert said == "Adopted A-pit with profile acme/t17; 3 messages are read again.\n"
        points = wait_for(lambda: visitor.points("A-pit").get("level"), 10, "the point")
        rows = wait_for(lambda: _three(visitor, points["point"], now), 10, "its readings")
        assert [iso(at / 1000) for at in rows["at"]] == [iso(at) for at in times]
        assert rows["value"] == [1.0, 1.01, 1.02]
        assert [row["topic"] for row in visitor.get("/quarantine?state=reprocessed")] == ["acme/T-18/up"] * 3
        assert list(unknown(visitor)) == ["11111111"]

        publish(broker.port, level(150, time.time()))
        wait_for(lambda: visitor.points("A-pit")["level"]["text"].startswith("1.5"), 10, "a new reading")
        again = run("devices", "adopt", "T-18", "--data", data, ok=False)
        assert "No unknown device calls itself T-18" in again.stderr
        taken = run("devices", "adopt", "11111111", "--id", "A-pit", "--data", data, ok=False)
        assert "The id A-pit is in use" in taken.stderr
        taken = run("devices", "adopt", "11111111", "--data", data)
        better = "wmbusmeters/water, which reads it better than wmbusmeters/any"
        assert f"Adopted wmbusmeters-11111111 with profile {better};" in taken.stdout
        wait_for(lambda: visitor.points("wmbusmeters-11111111").get("volume"), 10, "the meter")
        assert unknown(visitor) == {}
        _a_topic_that_nobody_reads(broker, visitor, site, data)
        _a_neighbours_meter(broker, visitor, data)
        for row in visitor.get("/ledger"):
            assert row["received"] == row["decoded"] + row["ignored"] + row["quarantined"], row
        assert sum(row["quarantined"] for row in visitor.get("/ledger")) == 0
        assert service.terminate() == 0
        assert "Traceback" not in service.text


def _a_topic_that_nobody_reads(broker: Mosquitto, visitor: Visitor, site: Path, data: Path) -> None:
    """A water meter of CJ/T 188 behind a DTU with a topic of its own: the profile that could read it is named,
    and one command lets it."""
    publish(broker.port, ("water/DN-77/raw", FRAME))
    offers = wait_for(lambda: unknown(visitor).get("water/DN-77/raw", {}).get("offers"), 20, "who could")
    assert (offers[0]["profile"], offers[0]["topic"]) == ("cjt188/water", "water/{device}/raw")
    command = "devices adopt 00000000100001 --profile cjt188/water --topic 'water/{device}/raw'"
    assert command in run("devices", "unknown", "--data", data).stdout
    said = run("devices", "adopt", "00000000100001", "--profile", "cjt188/water", "--topic", "water/{device}/raw",
               "--data", data).stdout  # fmt: skip
    assert said == "Adopted cjt188-00000000100001 with profile cjt188/water-raw; 1 messages are read again.\n"
    file = site / "device_profiles" / "cjt188" / "water-raw.yaml"
    assert file.read_text(encoding="utf-8") == offers[0]["text"]
    volume = wait_for(lambda: visitor.points("cjt188-00000000100001").get("volume"), 10, "the point")
    wait_for(lambda: visitor.points("cjt188-00000000100001")["volume"]["text"] == "123.45", 10, "its reading")
    assert volume["unit"] == "m³"
    run("check", "--profiles", site / "device_profiles")


def _a_neighbours_meter(broker: Mosquitto, visitor: Visitor, data: Path) -> None:
    publish(broker.port, ("wmbusmeters/99999999", water("7.5", time.time(), "99999999")))
    wait_for(lambda: "99999999" in unknown(visitor), 10, "the neighbour")
    said = run("devices", "ignore", "99999999", "--data", data).stdout
    assert said == "99999999 is ignored: not ours.\n"
    assert unknown(visitor) == {}
    publish(broker.port, ("wmbusmeters/99999999", water("7.6", time.time(), "99999999")))
    wait_for(lambda: sum(row["ignored"] for row in visitor.get("/ledger")) == 2, 10, "both ignored")
    assert "Not ours, ignored: 99999999" in run("devices", "unknown", "--data", data).stdout
    assert "heard again" in run("devices", "ignore", "99999999", "--take-back", "--data", data).stdout
    again = run("devices", "ignore", "99999999", "--take-back", "--data", data, ok=False)
    assert "99999999 is not among those that are not ours" in again.stderr
    wait_for(lambda: unknown(visitor).get("99999999", {}).get("kept") == 2, 10, "what was ignored of it")
    run("devices", "ignore", "99999999", "--data", data)
    wait_for(lambda: sum(row["ignored"] for row in visitor.get("/ledger")) == 2, 10, "both ignored again")


def _three(visitor: Visitor, point: int, now: float) -> dict[str, Any] | None:
    start, end = int((now - 9000) * 1000), int((now + 60) * 1000)
    rows: dict[str, Any] = visitor.get(f"/points/{point}/readings?start={start}&end={end}")
    return rows if len(rows["at"]) == 3 else None


def test_a_typing_mistake_in_a_profile_keeps_no_service_from_starting(
    broker: Mosquitto, tmp_path: Path
) -> None:
    site, data = example(tmp_path / "site", broker.port), tmp_path / "data"
    file = site / "device_profiles" / "acme" / "t17.yaml"
    file.parent.mkdir(parents=True)
    file.write_text(PROFILE.replace("class: tank", "class: tonk"), encoding="utf-8")
    with Program("serve", "--site", site, "--data", data, "--port", "0") as service:
        visitor = Visitor(service.url(), "example-garden").log_in(*password_of(service))
        assert f"{file}:2: class: 'tonk'" in service.text
        publish(broker.port, level(100, time.time()))
        wait_for(lambda: visitor.get("/quarantine"), 10, "what nobody reads")
        assert visitor.get("/profiles")["mistakes"][0]["line"] == 2
        file.write_text(PROFILE, encoding="utf-8")
        wait_for(lambda: "T-18" in unknown(visitor), 15, "the device by its address")
        assert service.terminate() == 0


def test_a_process_killed_while_it_reads_again_loses_nothing_and_doubles_nothing(
    broker: Mosquitto, tmp_path: Path
) -> None:
    site, data, devices, each = example(tmp_path / "site", broker.port), tmp_path / "data", 4, 800
    file = site / "device_profiles" / "acme" / "t17.yaml"
    file.parent.mkdir(parents=True)
    file.write_text(PROFILE, encoding="utf-8")
    serve = ("serve", "--site", site, "--data", data, "--port", "0")
    start = int(time.time()) - each
    with Program(*serve) as service:
        login = password_of(service)
        visitor = Visitor(service.url(), "example-garden").log_in(*login)
        for number in range(devices):
            said = [(f"acme/D{number}/up", level(n % 300, start + n)[1]) for n in range(each)]
            publish(broker.port, *said)
        wait_for(lambda: visitor.get("")["received_at"] and _open(visitor) == devices * each, 30, "them all")
        for number in range(devices):
            visitor.post("/unknown/adopt", {"address": f"D{number}"})
        time.sleep(0.15)
        service.kill()
    left = _rows(data, "open")
    for _ in range(2):  # killed once more, soon after the start
        with Program(*serve) as service:
            service.url()
            service.kill()
    with Program(*serve) as service:
        visitor = Visitor(service.url(), "example-garden").log_in(*login)
        wait_for(lambda: _open(visitor) == 0, 30, "nothing waits")
        end = (start + each) * 1000
        for number in range(devices):
            point = visitor.points(f"acme-D{number}")["level"]["point"]
            path = f"/points/{point}/readings"
            wait_for(
                lambda path=path: len(visitor.get(path, start=start * 1000, end=end)["at"]) == each, 30, "all"
            )
        placed = 2 * devices * each  # they are counted a moment after they can be read
        wait_for(lambda: _sum(visitor, "stored", "duplicate") == placed, 10, "all of it counted")
        assert _sum(visitor, "received") == _sum(visitor, "decoded") == devices * each
        assert _sum(visitor, "readings") == placed
        assert service.terminate() == 0
    assert _rows(data, "reprocessed") == devices * each
    assert 0 <= left <= devices * each


def _sum(visitor: Visitor, *columns: str) -> int:
    rows = [row for row in visitor.get("/ledger") if row["device"].startswith("acme-D")]
    return sum(row[column] for row in rows for column in columns)


def _open(visitor: Visitor) -> int:
    return int(visitor.get("/counts")["quarantine"])


def _rows(data: Path, state: str) -> int:
    file = data / "sites" / "example-garden" / "journal.sqlite"
    with contextlib.closing(sqlite3.connect(f"{file.as_uri()}?mode=ro", uri=True)) as db:
        return int(db.execute("SELECT count(*) FROM quarantine WHERE state=?", (state,)).fetchone()[0])


def test_without_a_service_there_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "sites" / "north").mkdir(parents=True)
    (tmp_path / "version.json").write_text('{"version": 1}')
    facts = {"id": "north", "name": {"en": "North"}, "time_zone": "UTC"}
    (tmp_path / "sites" / "north" / "site.json").write_text(json.dumps(facts))
    for words in (("devices", "unknown"), ("devices", "adopt", "7"), ("profile", "reload")):
        refused = run(*words, "--data", tmp_path, ok=False)
        assert refused.returncode == 1
        assert "no service is running" in refused.stderr
