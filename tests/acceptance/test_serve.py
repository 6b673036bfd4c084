"""`dutyroom serve` as a process against real servers: from `init` to readings, alarms and tickets;
several sites; brokers that come late; input as bad as it comes."""

from __future__ import annotations

import contextlib
import json
import re
import socket
import sys
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import paho.mqtt.client as paho
import psycopg
import pytest
from influxdb_client.client.influxdb_client import InfluxDBClient
from paho.mqtt.enums import CallbackAPIVersion
from tests.busy import alone
from tests.servers.child import free_port
from tests.servers.influx import Bucket
from tests.servers.mosquitto import Mosquitto

sys.path.insert(0, str(Path(__file__).parent))

from demo_process import Program, Refused, Visitor, run, wait_for

pytestmark = [
    pytest.mark.servers,
    pytest.mark.skipif(sys.platform != "linux", reason="reads the process tree from /proc"),
]

SITE = "example-garden"
METER, TOPIC = "A-1201-water", "wmbusmeters/76348799"
MASTER = "70B3D57ED0050041"


@pytest.fixture
def broker(mosquitto: Mosquitto, tmp_path: Path) -> Iterator[Mosquitto]:
    """A Mosquitto for this test alone: the example site reads every topic."""
    own = Mosquitto(tmp_path / "broker")
    own.start()
    yield own
    own.stop()


def example(folder: Path, port: int, site: str = SITE) -> Path:
    """The example site of `dutyroom init`, on our broker."""
    run("init", folder)
    head = (folder / "site.yaml").read_text(encoding="utf-8")
    assert "port: 1883" in head
    changed = head.replace("port: 1883", f"port: {port}").replace(f"id: {SITE}", f"id: {site}")
    (folder / "site.yaml").write_text(changed, encoding="utf-8")
    return folder


def without_broker(folder: Path, site: str) -> Path:
    """The least that is a site."""
    folder.mkdir()
    (folder / "site.yaml").write_text(f"id: {site}\nname: {site}\ntime_zone: Asia/Shanghai\n")
    return folder


def password_of(program: Program, site: str = SITE) -> tuple[str, str]:
    found = program.expect(rf"Site {site}: log in as (\S+) with the one-time password (\S+)")
    return found[2], found[1]


def publish(port: int, *messages: tuple[str, bytes]) -> None:
    client = paho.Client(CallbackAPIVersion.VERSION2)
    client.connect("127.0.0.1", port)
    client.loop_start()
    for topic, payload in messages:
        client.publish(topic, payload, qos=1).wait_for_publish(10)
    client.disconnect()
    client.loop_stop()


def iso(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def water(total: str, at: float | None = None, meter: str = "76348799", **more: Any) -> bytes:
    body = {"media": "cold water", "meter": "multical21", "id": meter, "total_m3": 0.0, **more}
    if at is not None:
        body["timestamp"] = iso(at)
    return json.dumps(body).replace('"total_m3": 0.0', f'"total_m3": {total}').encode()


def master(volume: float, flow: float, at: float) -> tuple[str, bytes]:
    values = {"volume": {"value": volume, "unit": "m3"}, "flow": {"value": flow, "unit": "m3/h"}}
    body = {
        "end_device_ids": {"device_id": MASTER.lower(), "dev_eui": MASTER},
        "received_at": iso(at),
        "uplink_message": {"f_port": 100, "decoded_payload": values, "received_at": iso(at)},
    }
    return f"v3/example@ttn/devices/{MASTER.lower()}/up", json.dumps(body).encode()


def burst(now: float) -> list[tuple[str, bytes]]:
    """Three minutes of the master meter, 15 s apart by its own clock, the last two of them a burst."""
    times = [now - 180 + 15 * n for n in range(13)]
    return [master(800 + n / 10, 30.0 if n >= 4 else 1.0, at) for n, at in enumerate(times)]


def register(visitor: Visitor, device: str = METER) -> str:
    return str(visitor.points(device)["volume"]["text"])


# ---------------------------------------------------------------- from an example to a running site


def test_from_init_to_a_running_site(broker: Mosquitto, tmp_path: Path) -> None:
    site = example(tmp_path / "site", broker.port)
    assert "No mistakes found." in run("check", "--site", site).stdout
    assert "is there already" in run("init", site, ok=False).stderr

    with Program("serve", "--site", site, "--data", tmp_path / "data", "--port", "0") as service:
        visitor = Visitor(service.url(), SITE).log_in(*password_of(service))
        assert len(visitor.get("/devices")) == 13
        publish(broker.port, (TOPIC, water("6.408")))
        wait_for(lambda: register(visitor) == "6.408", 10, "the reading")
        publish(broker.port, *burst(time.time()))
        (alarm,) = wait_for(visitor.alarms, 30, "the alarm")
        (ticket,) = wait_for(visitor.tickets, 60, "the ticket")
        assert (alarm["rule"], alarm["device"]) == ("water.burst", "A-master-water")
        assert ticket["alarm"] == alarm["id"]
        assert "Embedded broker" not in visitor.page(f"/sites/{SITE}/data?lang=en")
        assert run("password", "duty", "--data", tmp_path / "data").stdout.startswith("The password of duty")
        began = time.monotonic()
        assert service.terminate() == 0
        assert alone(time.monotonic() - began) < 2.0
        assert "Traceback" not in service.text
    assert not (tmp_path / "data" / "instance.json").exists()


def test_a_mistake_is_named_and_nothing_is_started(broker: Mosquitto, tmp_path: Path) -> None:
    site = example(tmp_path / "site", broker.port)
    rules = site / "rules.yaml"
    rules.write_text(
        rules.read_text(encoding="utf-8").replace("below: 30", "below: thirty"), encoding="utf-8"
    )
    checked = run("check", "--site", site, ok=False)
    served = run("serve", "--site", site, "--data", tmp_path / "data", ok=False)
    for said in (checked, served):
        assert said.returncode == 1
        assert re.search(r"rules\.yaml:\d+: .*below", said.stderr), said.stderr
        assert "Traceback" not in said.stderr


def test_a_mistake_at_a_later_start_leaves_the_site_running(broker: Mosquitto, tmp_path: Path) -> None:
    site = example(tmp_path / "site", broker.port)
    topology = site / "topology.yaml"
    good = topology.read_text(encoding="utf-8")
    options = ("serve", "--site", site, "--data", tmp_path / "data", "--port", "0")
    with Program(*options) as service:
        service.url()
        login = password_of(service)
        assert service.terminate() == 0
        assert "mistakes" not in service.text

    topology.write_text(good.replace("power:\n", "power:\n  A-feeder: [A-pump]\n"), encoding="utf-8")
    never = without_broker(tmp_path / "never", "never")
    (never / "rules.yaml").write_text("rules:\n- {id: own, kindd: limit}\n")
    assert "feeds itself" in run("check", "--site", site, ok=False).stderr
    twin = example(
        tmp_path / "twin", broker.port
    )  # with the logins of the other one, which no file of its own tells
    named_twin = re.sub(
        r"(?m)^id: .*$", "id: twin", (twin / "site.yaml").read_text(encoding="utf-8"), count=1
    )
    (twin / "site.yaml").write_text(named_twin, encoding="utf-8")
    with Program(*options, "--site", never, "--site", twin) as service:
        url = service.url()
        named = r"topology\.yaml:\d+: .*feeds itself"
        service.expect(
            named + rf".*\nSite {SITE}: runs with its files of \d{{4}}-\d\d-\d\dT\S+ \(.*until these mistakes"
        )
        service.expect(rf"{never}/rules\.yaml:\d+: .*kindd(?:.*\n)+?{never}: is refused.*other sites run")
        service.expect(
            r"Site twin is not started: people\.yaml of site twin: the login '\w+' belongs to site"
        )
        visitor = Visitor(url, SITE).log_in(*login)
        trouble = visitor.get("")["troubles"]["folder"]
        assert re.match(r"\d{4}-\d\d-\d\dT\S+; .*topology\.yaml:\d+: ", trouble)
        for language, words in (("en", "The site folder has mistakes"), ("zh-CN", "项目文件夹有错误")):
            shown = visitor.page(f"/sites/{SITE}/data?lang={language}")
            assert words in shown
            assert "topology.yaml" in shown
        publish(broker.port, (TOPIC, water("6.408")), *burst(time.time()))
        wait_for(lambda: register(visitor) == "6.408", 10, "the reading")
        (alarm,) = wait_for(visitor.alarms, 30, "the alarm, by the rules that were kept")
        assert alarm["rule"] == "water.burst"
        assert "site.mistake" in (tmp_path / "data" / "dutyroom.log").read_text(encoding="utf-8")
        assert service.terminate() == 0
        assert "Traceback" not in service.text
    alone_refused = run("serve", "--site", never, "--data", tmp_path / "data", ok=False)
    assert alone_refused.returncode == 1
    assert "kindd" in alone_refused.stderr

    topology.write_text(good, encoding="utf-8")
    with Program(*options) as service:
        visitor = Visitor(service.url(), SITE).log_in(*login)
        assert "folder" not in visitor.get("")["troubles"]
        assert "mistakes" not in service.text
        assert service.terminate() == 0


def test_a_site_needs_a_broker_or_says_that_it_does_without(tmp_path: Path) -> None:
    site = without_broker(tmp_path / "site", "trial")
    refused = run("serve", "--site", site, "--data", tmp_path / "data", ok=False)
    assert refused.returncode == 1
    assert "broker: is missing" in refused.stderr
    assert "site.yaml" in refused.stderr
    options = ("--data", tmp_path / "data", "--port", "0", "--embedded-broker")
    with Program("serve", "--site", site, *options) as service:
        visitor = Visitor(service.url(), "trial").log_in(*password_of(service, "trial"))
        assert re.search(r"embedded broker at 127\.0\.0\.1:\d+; what it holds is lost with it", service.text)
        visitor.page("/language/en?next=/sites/trial/data")
        assert "Embedded broker" in visitor.page("/sites/trial/data")
        assert service.terminate() == 0


def test_two_sites_at_once_keep_apart(broker: Mosquitto, tmp_path: Path) -> None:
    second_broker = Mosquitto(tmp_path / "broker-2")
    second_broker.start()
    try:
        north = example(tmp_path / "north", broker.port, "north")
        south = example(tmp_path / "south", second_broker.port, "south")
        taken = south / "people.yaml"
        data = tmp_path / "data"
        options = ("serve", "--site", north, "--site", south, "--data", data, "--port", "0")
        with Program(*options) as service:  # both examples bring the same people: the first one runs alone
            service.url()
            service.expect(
                r"Site south is not started: people\.yaml of site south: the login 'duty' belongs to"
            )
            first = password_of(service, "north")
            assert service.terminate() == 0
        taken.unlink()
        with Program(*options) as service:
            url = service.url()
            at_north = Visitor(url, "north").log_in(*first)
            at_south = Visitor(url, "south").log_in(*password_of(service, "south"))
            assert (at_north.site, at_south.site) == ("north", "south")
            publish(broker.port, (TOPIC, water("1.000")))
            publish(second_broker.port, (TOPIC, water("2.000")), ("nobody/reads/this", b"1"))
            wait_for(lambda: register(at_north) == "1.000", 10, "the reading of the one")
            wait_for(lambda: register(at_south) == "2.000", 10, "the reading of the other")
            assert [row["topic"] for row in at_south.get("/quarantine")] == ["nobody/reads/this"]
            assert at_north.get("/quarantine") == []
            at_north.site = "south"
            with pytest.raises(Refused) as denied:
                at_north.get("/devices")
            assert denied.value.code == 403
            assert service.terminate() == 0
        assert (data / "sites" / "north" / "journal.sqlite").exists()
        assert (data / "sites" / "south" / "journal.sqlite").exists()
        twice = run("serve", "--site", north, "--site", north, "--data", data, ok=False)
        assert "an id belongs to one site" in twice.stderr
    finally:
        second_broker.stop()


def figures(influx: Bucket, measurement: str) -> list[Any]:
    """What the service wrote of itself in the last minutes."""
    query = f'''from(bucket: "{influx.name}") |> range(start: -2h, stop: 1m)
        |> filter(fn: (r) => r._measurement == "{measurement}")'''
    with InfluxDBClient(url=influx.url, token=influx.token, org=influx.org) as client:
        return [row for table in client.query_api().query(query) for row in table.records]


def test_readings_in_influxdb_and_records_in_postgresql(
    broker: Mosquitto, influx: Bucket, postgres_url: str, tmp_path: Path
) -> None:
    site = example(tmp_path / "site", broker.port)
    token = tmp_path / "token"
    token.write_text(influx.token)
    environment = {
        "DUTYROOM_INFLUX_URL": influx.url,
        "DUTYROOM_INFLUX_ORG": influx.org,
        "DUTYROOM_INFLUX_BUCKET": influx.name,
        "DUTYROOM_INFLUX_TOKEN_FILE": str(token),
    }
    options = ("--data", tmp_path / "data", "--port", "0", "--readings", "influx", "--records", postgres_url)
    with Program("serve", "--site", site, *options, more=environment) as service:
        visitor = Visitor(service.url(), SITE).log_in(*password_of(service))
        now = int(time.time())
        publish(broker.port, (TOPIC, water("6.408", now)), *burst(now))
        (alarm,) = wait_for(visitor.alarms, 30, "the alarm")
        (ticket,) = wait_for(visitor.tickets, 60, "the ticket")
        point = visitor.points(METER)["volume"]["point"]

        def read_back() -> list[float]:
            """From InfluxDB, which may be written to later than the rules have read of the same message."""
            series = visitor.get(f"/points/{point}/readings", start=now * 1000, end=now * 1000 + 1)
            values: list[float] = series["value"]
            return values

        assert wait_for(read_back, 30, "the reading in InfluxDB") == [6.408]
        told = wait_for(lambda: figures(influx, "dutyroom_alarm"), 30, "the alarm for dashboards")
        assert {(r["event"], r["rule"], r["device"]) for r in told} == {
            ("raise", "water.burst", "A-master-water")
        }
        assert wait_for(lambda: figures(influx, "dutyroom_data"), 30, "the minute for dashboards")
        assert {r["device"]: (r["top"], r["end"]) for r in figures(influx, "dutyroom_meter")}[
            "A-master-water"
        ] == ("yes", "no")
        assert service.terminate() == 0

    query = f'''from(bucket: "{influx.name}") |> range(start: {now - 300}, stop: {now + 300})
        |> filter(fn: (r) => r.device == "{METER}" and r._field == "volume")'''
    with InfluxDBClient(url=influx.url, token=influx.token, org=influx.org) as client:
        rows = [row for table in client.query_api().query(query) for row in table.records]
    assert [(row.get_time().timestamp(), row.get_value()) for row in rows] == [(now, 6408)]
    with psycopg.connect(postgres_url) as records:
        alarms = records.execute("SELECT id, rule, object FROM alarms").fetchall()
        tickets = records.execute("SELECT id, alarm FROM tickets WHERE kind = 'alarm'").fetchall()
    assert alarms == [(alarm["id"], "water.burst", "A-master-water")]
    assert tickets == [(ticket["id"], alarm["id"])]
    assert not (tmp_path / "data" / "records.sqlite").exists()


def test_influxdb_that_comes_late_holds_up_nothing_but_itself(
    broker: Mosquitto, influx: Bucket, tmp_path: Path
) -> None:
    site = example(tmp_path / "site", broker.port)
    (tmp_path / "token").write_text(influx.token)
    port = free_port()  # nobody listens there yet
    environment = {
        "DUTYROOM_INFLUX_URL": f"http://127.0.0.1:{port}",
        "DUTYROOM_INFLUX_ORG": influx.org,
        "DUTYROOM_INFLUX_BUCKET": influx.name,
        "DUTYROOM_INFLUX_TOKEN_FILE": str(tmp_path / "token"),
    }
    options = ("--data", tmp_path / "data", "--port", "0", "--readings", "influx")
    with Program("serve", "--site", site, *options, more=environment) as service:
        visitor = Visitor(service.url(), SITE).log_in(*password_of(service))
        now = int(time.time())
        publish(broker.port, (TOPIC, water("6.408", now)), *burst(now))
        (alarm,) = wait_for(visitor.alarms, 30, "the alarm, which needs no store")
        assert alarm["rule"] == "water.burst"
        assert register(visitor) == "6.408"
        point = visitor.points(METER)["volume"]["point"]

        address = urlsplit(influx.url)
        with Relay(port, (address.hostname or "", address.port or 0)):

            def stored() -> Any:
                try:
                    return visitor.get(f"/points/{point}/readings", start=now * 1000, end=now * 1000 + 1)[
                        "value"
                    ]
                except Refused:
                    return []

            assert wait_for(stored, 60, "the reading in InfluxDB") == [6.408]


class Relay:
    """A port that leads to a server, from now until the end."""

    def __init__(self, port: int, target: tuple[str, int]) -> None:
        self._target = target
        self._listening = socket.create_server(("127.0.0.1", port))
        self._thread = threading.Thread(target=self._accept, daemon=True)

    def __enter__(self) -> Relay:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listening.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                near, _ = self._listening.accept()
                far = socket.create_connection(self._target)
                for one, other in ((near, far), (far, near)):
                    threading.Thread(target=self._pass, args=(one, other), daemon=True).start()

    @staticmethod
    def _pass(one: socket.socket, other: socket.socket) -> None:
        with contextlib.suppress(OSError), one, other:
            while data := one.recv(65_536):
                other.sendall(data)


# ---------------------------------------------------------------- brokers


def test_a_broker_that_comes_late_is_waited_for(mosquitto: Mosquitto, tmp_path: Path) -> None:
    late = Mosquitto(tmp_path / "late")  # its port is known, nobody listens there yet
    site = example(tmp_path / "site", late.port)
    try:
        with Program("serve", "--site", site, "--data", tmp_path / "data", "--port", "0") as service:
            url = service.url()
            visitor = Visitor(url, SITE).log_in(*password_of(service))
            service.expect(rf"broker 127\.0\.0\.1:{late.port} cannot be reached", 20)
            assert visitor.get("")["broker"] is False
            assert visitor.health()["ok"] is False
            assert visitor.health()["brokers"] == {SITE: False}

            late.start()
            wait_for(lambda: visitor.get("")["broker"], 40, "the connection")
            publish(late.port, (TOPIC, water("6.408")))
            wait_for(lambda: register(visitor) == "6.408", 10, "the reading")

            late.kill()
            wait_for(lambda: not visitor.get("")["broker"], 20, "the loss noticed")
            late.start()
            wait_for(lambda: visitor.get("")["broker"], 40, "the connection again")
            publish(late.port, (TOPIC, water("6.409")))
            wait_for(lambda: register(visitor) == "6.409", 10, "the reading after the loss")
            assert service.terminate() == 0
    finally:
        late.stop()


def test_a_broker_that_lets_nobody_in_is_said_with_its_reason(mosquitto: Mosquitto, tmp_path: Path) -> None:
    (tmp_path / "passwords").write_text("")
    closed = Mosquitto(
        tmp_path / "closed",
        f"password_file {tmp_path / 'passwords'}\n",
    )
    config = tmp_path / "closed" / "mosquitto.conf"
    config.write_text(config.read_text().replace("allow_anonymous true", "allow_anonymous false"))
    closed.start()
    try:
        site = example(tmp_path / "site", closed.port)
        with Program("serve", "--site", site, "--data", tmp_path / "data", "--port", "0") as service:
            visitor = Visitor(service.url(), SITE).log_in(*password_of(service))
            service.expect(rf"broker 127\.0\.0\.1:{closed.port} does not let us in: Not authorized", 20)
            assert visitor.get("")["broker"] is False
            assert service.terminate() == 0
    finally:
        closed.stop()


# ---------------------------------------------------------------- input as bad as it comes


def test_bad_input_is_set_aside_with_its_reason_and_harms_nothing(broker: Mosquitto, tmp_path: Path) -> None:
    site = example(tmp_path / "site", broker.port)
    now = int(time.time())
    unreadable = {
        "malformed": (TOPIC, b'{"media": "cold water", "id": "76348799", "total'),
        "unknown_topic": ("lobby/thermometer", b"21.5"),
        "unknown_device": ("wmbusmeters/11111111", water("5.0", now, "11111111")),
        "too_large": (TOPIC, b"[" * 1_000_000),
        "encoding": (TOPIC, b"\xff\xfe\x00\x81" * 8),
    }
    others = [
        (TOPIC, water("7.0", now - 3600).decode().encode("utf-16")),  # another wrong encoding
        (TOPIC, water("7.0", now - 3600)[:-1] + b', "name": "\xb6\xfe"}'),  # GBK inside the JSON
        (TOPIC, b"[" * 200_000 + b"]" * 50_000),  # nested beyond reason
        (TOPIC, b"null"),
        ("wmbusmeters/" + "x" * 5_000, b"{}"),
        ("v3/" + "/".join("abc"), b"\x00" * 100),
    ]
    with Program("serve", "--site", site, "--data", tmp_path / "data", "--port", "0") as service:
        visitor = Visitor(service.url(), SITE).log_in(*password_of(service))
        publish(broker.port, (TOPIC, water("6.408", now - 900)))
        wait_for(lambda: register(visitor) == "6.408", 10, "the reading before")

        publish(broker.port, *unreadable.values(), *others)
        publish(broker.port, (TOPIC, water("6.409", now - 600, flow_m3h=9e9)))  # out of range
        publish(broker.port, (TOPIC, water("6.410", 3_250_000_000, flow_m3h=0.1)))  # the year 2072
        publish(broker.port, (TOPIC, water("1e999", now - 500)), (TOPIC, water('"many"', now - 400)))
        wait_for(
            lambda: register(visitor) == "6.410", 30, "the reading with an absurd clock, as of when it came"
        )
        last = int(time.time()) + 1  # newer than that
        publish(broker.port, (TOPIC, water("6.411", last)))
        wait_for(lambda: register(visitor) == "6.411", 30, "the reading after")

        rows = visitor.get("/quarantine", limit=200)
        by_reason = {row["reason"]: row for row in reversed(rows) if row["reason"] in unreadable}
        assert set(by_reason) == set(unreadable)
        for reason, (topic, payload) in unreadable.items():
            kept = 4_000 if reason == "too_large" else len(payload)  # of one too large the beginning
            row = next(r for r in rows if r["reason"] == reason and r["size"] == kept)
            assert row["topic"] == topic
            assert row["detail"], reason
        assert "not UTF-8 at byte 0" in {row["detail"] for row in rows}
        assert next(r for r in rows if r["reason"] == "too_large")["detail"].startswith("1000000 bytes")

        found = {(row["kind"], row["device"]): row for row in visitor.get("/findings")}
        assert "flow" in found["out_of_range", METER]["detail"]
        assert ("clock_wrong", METER) in found
        assert ("unknown_device", "11111111") in found

        # Nothing else was touched: the good values, the ledger, no alarm, the same process.
        point = visitor.points(METER)["volume"]["point"]

        def stored() -> dict[int, float]:
            series = visitor.get(
                f"/points/{point}/readings", start=(now - 1000) * 1000, end=(now + 600) * 1000
            )
            return dict(zip(series["at"], series["value"], strict=True))

        wait_for(lambda: last * 1000 in stored(), 10, "the last reading is stored")
        values = stored()
        assert values[(now - 900) * 1000] == 6.408
        assert values[(now - 600) * 1000] == 6.409  # only its flow was beyond belief
        assert values[last * 1000] == 6.411
        assert max(values) == last * 1000
        assert max(values.values()) == 6.411
        ledger = visitor.get("/ledger")
        count = {
            name: sum(row[name] for row in ledger) for name in ledger[0] if name not in ("hour", "device")
        }
        assert count["received"] == 7 + len(unreadable) + len(others) - 1
        assert count["received"] == count["decoded"] + count["ignored"] + count["quarantined"]
        assert visitor.alarms() == []
        listed = run("quarantine", "--data", tmp_path / "data").stdout
        assert "unknown_topic" in listed
        assert service.running
        assert service.terminate() == 0
        assert "Traceback" not in service.text
