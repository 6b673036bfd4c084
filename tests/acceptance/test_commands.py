"""Commands beside a running service: it alone writes, and it hears of it from them."""

from __future__ import annotations

import json
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import paho.mqtt.publish as publish
import pytest
from tests.shipped_profiles import as_after_a_first_start

from dutyroom.backends.datafolder import in_use, read_instance
from dutyroom.backends.journal import SqliteJournal
from dutyroom.backends.records_sql import open_records
from dutyroom.model.telemetry import Batch, Lane, Message, MessageRecord, Outcome, Readings
from dutyroom.site import Site
from dutyroom.wiring.memory import remember

T = 1_790_000_000_000

SITE = """id: yard
name: Yard
time_zone: Asia/Shanghai
"""


def dutyroom(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "dutyroom.cli", *arguments]


def run(*arguments: str) -> str:
    done = subprocess.run(dutyroom(*arguments), capture_output=True, text=True, check=False, timeout=60)
    return done.stdout + done.stderr


@dataclass
class Service:
    data: Path
    process: subprocess.Popen[str]
    broker: tuple[str, int]

    def command(self, name: str, *arguments: str) -> str:
        return run(name, *arguments, "--data", str(self.data))


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    folder = tmp_path_factory.mktemp("service")
    (folder / "site").mkdir()
    (folder / "site" / "site.yaml").write_text(SITE, encoding="utf-8")
    data = folder / "data"
    as_after_a_first_start(data)
    process = subprocess.Popen(
        dutyroom(
            "serve", "--site", str(folder / "site"), "--data", str(data), "--port", "0", "--embedded-broker"
        ),
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    broker = ("", 0)
    for line in process.stdout:
        if "embedded broker at" in line:
            host, _, port = line.split("embedded broker at ")[1].split(";")[0].rpartition(":")
            broker = (host, int(port))
        if "running at" in line:
            break
    yield Service(data, process, broker)
    process.send_signal(signal.SIGINT)
    process.wait(10)
    process.stdout.close()


def test_a_message_is_discarded_through_the_service_and_its_trace_names_the_command(service: Service) -> None:
    host, port = service.broker
    publish.single("lobby/thermometer", b"21.5", qos=1, hostname=host, port=port)
    for _ in range(50):
        listed = service.command("quarantine")
        if "lobby/thermometer" in listed:
            break
    number = listed.split()[0]
    assert "unknown_topic" in listed
    assert service.command("quarantine", "--discard", number) == "Discarded 1.\n"


def test_a_message_is_published_as_a_device_would(service: Service, tmp_path: Path) -> None:
    (tmp_path / "frame.txt").write_text("68 0A:0b\n")
    said = service.command("publish", "dtu/7/rx", f"@{tmp_path / 'frame.txt'}", "--hex")
    assert said == "Published 3 bytes on dtu/7/rx.\n"
    for _ in range(50):
        listed = service.command("quarantine")
        if "dtu/7/rx" in listed:
            break
    assert "dtu/7/rx" in listed
    assert "two hex digits" in service.command("publish", "dtu/7/rx", "68 0", "--hex")
    assert "one topic" in service.command("publish", "dtu/+/rx", "x")
    assert "write host:port" in service.command("publish", "dtu/7/rx", "x", "--broker", "here")
    assert "gone.txt: No such file" in service.command("publish", "dtu/7/rx", f"@{tmp_path / 'gone.txt'}")
    assert "no service is running" in run("publish", "dtu/7/rx", "x", "--data", str(tmp_path))


def test_a_new_password_is_set_through_the_service(service: Service) -> None:
    assert service.command("password", "nobody") == "dutyroom: there is no person with the login 'nobody'\n"
    said = service.command("password", "admin")
    assert said.startswith("The password of admin is now ")
    instance = read_instance(service.data)
    assert instance is not None
    password = said.split()[-1]
    logged_in = subprocess.run(
        [sys.executable, "-c", LOG_IN, instance["url"], password], capture_output=True, text=True, check=True
    )
    assert json.loads(logged_in.stdout) == {"status": 303, "cookie": True}


LOG_IN = """
import http.client, json, re, sys, urllib.parse
host = sys.argv[1].removeprefix("http://")
c = http.client.HTTPConnection(host)
c.request("GET", "/login")
page = c.getresponse()
cookie = page.headers["set-cookie"].split(";")[0]
csrf = re.search(r'name="csrf" value="([^"]+)"', page.read().decode()).group(1)
form = urllib.parse.urlencode({"login": "admin", "password": sys.argv[2], "csrf": csrf})
c.request("POST", "/login", form, {"cookie": cookie, "content-type": "application/x-www-form-urlencoded"})
done = c.getresponse()
print(json.dumps({"status": done.status, "cookie": "dutyroom_session" in (done.headers["set-cookie"] or "")}))
"""


def test_an_outage_is_announced_and_ended_through_the_service(service: Service) -> None:
    given = ("--utility", "power", "--ends", "2h", "--reason", "Switchgear overhaul")
    said = service.command("announce", "add", "outage", *given)
    assert said.startswith("Announced as number 1,"), said
    listed = service.command("announce", "list")
    assert "running  outage" in listed
    assert "Switchgear overhaul" in listed
    assert "--device 'gone'" in service.command("announce", "add", "outage", "--device", "gone", *given)
    assert service.command("announce", "end", "1", "--reason", "Done early") == "Ended number 1.\n"
    assert "over already" in service.command("announce", "end", "1", "--reason", "Twice")


def test_an_import_waits_for_the_service_to_be_stopped(service: Service, tmp_path: Path) -> None:
    (tmp_path / "past.csv").write_text("device,point,at,value\n", encoding="utf-8")
    said = service.command("import", str(tmp_path / "past.csv"))
    assert "another Dutyroom is using the data folder" in said
    assert "stop it" in said


def test_what_a_killed_service_left_is_not_taken_for_a_running_one(tmp_path: Path) -> None:
    (tmp_path / "instance.json").write_text('{"url": "http://127.0.0.1:9", "broker": ""}', encoding="utf-8")
    (tmp_path / "instance.lock").touch()
    assert not in_use(tmp_path)
    assert read_instance(tmp_path) is None


def test_what_a_stranger_sends_is_shown_on_one_line_and_never_obeyed(service: Service) -> None:
    host, port = service.broker
    publish.single("lobby/\x1b[2J", b"\x1b[31mred\nnext", qos=1, hostname=host, port=port)
    for _ in range(50):
        listed = service.command("quarantine")
        if "next" in listed:
            break
    (line,) = [line for line in listed.splitlines() if "next" in line]
    assert "lobby/\\x1b[2J" in line
    assert "\\x1b[31mred\\nnext" in line


def test_what_profiles_call_personal_is_hidden_where_the_quarantine_is_listed(tmp_path: Path) -> None:
    folder, own = tmp_path / "sites" / "yard", tmp_path / "own"
    remember(Site("yard", {"en": "Yard"}, "Asia/Shanghai"), folder)
    (folder / "registry.json").write_text(json.dumps({"profiles": str(own)}), encoding="utf-8")
    (own / "acme").mkdir(parents=True)
    (own / "acme" / "door.yaml").write_text(
        "class: gate\nmatch: {topics: ['doors/{id}']}\nidentity: '{id}'\nprivacy: {holder: drop}\n"
        "points: {open: {kind: state}}\n",
        encoding="utf-8",
    )
    journal = SqliteJournal(folder / "journal.sqlite")
    said = [
        Message(
            "uhppoted/gateway/events", b'{"message": {"event": {"card-number": 8165537, "door-id": 1}}}', T
        ),
        Message("doors/1", b'{"holder": "A Person", "open": 1}', T),
    ]
    kept = [MessageRecord(message, Outcome.QUARANTINED, reason="unknown_device") for message in said]
    journal.append(Batch("yard", Lane.NORMAL, T, tuple(kept), Readings.empty()))
    journal.close()
    listed = run("quarantine", "--data", str(tmp_path))
    assert "8165537" not in listed
    assert "A Person" not in listed
    assert '"card-number":"…","door-id":1' in listed
    assert '{"holder":"…","open":1}' in listed


def test_only_what_is_in_quarantine_is_discarded(service: Service) -> None:
    assert "not in quarantine: 123456789" in service.command("quarantine", "--discard", "123456789")
    assert "--discard" in service.command("quarantine", "--discard", "99999999999999999999")


def test_without_a_service_a_discarded_message_is_on_the_record_too(tmp_path: Path) -> None:
    name = {"en": "Yard"}
    remember(Site("yard", name, "Asia/Shanghai"), tmp_path / "sites" / "yard")
    journal = SqliteJournal(tmp_path / "sites" / "yard" / "journal.sqlite")
    kept = [
        MessageRecord(Message(topic, b"{", T), Outcome.QUARANTINED, reason="malformed")
        for topic in ("a/b", "c/d", "e" * 3_000)
    ]
    journal.append(Batch("yard", Lane.NORMAL, T, tuple(kept), Readings.empty()))
    journal.close()
    open_records(f"sqlite:///{tmp_path}/records.sqlite").close()
    assert run("quarantine", "--discard", "1", "--data", str(tmp_path)).startswith("Discarded 1.")
    with closing(sqlite3.connect(tmp_path / "records.sqlite")) as records:
        (row,) = records.execute("SELECT site, actor, action, target FROM audit").fetchall()
    assert row == ("yard", "command line", "quarantine.discarded", "1")
    told = run("quarantine", "--discard", "1", "--discard", "2", "--data", str(tmp_path))
    assert told.startswith("Discarded 1 of 2; the others are not in quarantine.\n")
    assert "e" * 200 in told
    assert "e" * 201 not in told


def test_a_command_makes_no_empty_records_or_readings_beside_the_real_ones(tmp_path: Path) -> None:
    name = {"en": "Yard"}
    remember(Site("yard", name, "Asia/Shanghai"), tmp_path / "sites" / "yard")
    for command in (("readings", "--at", "2026-11-01T00:00"), ("password", "admin")):
        assert "set DUTYROOM_RECORDS" in run(*command, "--data", str(tmp_path))
    open_records(f"sqlite:///{tmp_path}/records.sqlite").close()
    said = run("readings", "--at", "2026-11-01T00:00", "--data", str(tmp_path))
    assert "set DUTYROOM_READINGS=influx" in said
    assert not (tmp_path / "sites" / "yard" / "readings.sqlite").exists()
