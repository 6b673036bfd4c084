"""ingest, api, scheduler and notify apart, on one machine with nothing but files: what one does, the others
see. And what becomes of a site whose lease cannot be renewed, or that another process has."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from tests.busy import alone
from tests.servers.mosquitto import Mosquitto

sys.path.insert(0, str(Path(__file__).parent))

from demo_process import Program, Visitor, environment, run, wait_for
from test_serve import METER, SITE, TOPIC, burst, example, password_of, publish, register, water

pytestmark = [
    pytest.mark.servers,
    pytest.mark.skipif(sys.platform != "linux", reason="a data folder is not shared elsewhere"),
]


@pytest.fixture
def broker(mosquitto: Mosquitto, tmp_path: Path) -> Iterator[Mosquitto]:
    own = Mosquitto(tmp_path / "broker")
    own.start()
    yield own
    own.stop()


class Hook:
    """Takes the messages to people."""

    def __init__(self) -> None:
        self.bodies: list[str] = []
        taken = self.bodies

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                taken.append(self.rfile.read(int(self.headers["content-length"])).decode())
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                return None

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5)


@dataclass
class Four:
    """The processes of one instance."""

    options: tuple[str | Path, ...]
    ingest: Program
    api: Program
    scheduler: Program
    notify: Program
    hook: Hook
    visitor: Visitor
    data: Path

    def alive(self, role: str) -> tuple[int, str]:
        """What a health check of that role says."""
        done = subprocess.run(
            [sys.executable, "-m", "dutyroom.wiring.alive", role],
            env=environment({"DUTYROOM_DATA": str(self.data)}),
            capture_output=True,
            text=True,
            check=False,
        )
        return done.returncode, done.stdout.strip()


@pytest.fixture
def four(broker: Mosquitto, tmp_path: Path) -> Iterator[Four]:
    site, data, hook = example(tmp_path / "site", broker.port), tmp_path / "data", Hook()
    people = site / "people.yaml"
    people.write_text(
        people.read_text(encoding="utf-8").replace(
            "contacts: []", f'contacts: ["json://127.0.0.1:{hook.port}/duty"]', 1
        ),
        encoding="utf-8",
    )
    options = ("--site", site, "--data", data)
    with ExitStack() as stack:
        stack.callback(hook.close)
        ingest = stack.enter_context(Program("ingest", *options))
        ingest.expect(f"Site {SITE}: ours")
        api = stack.enter_context(Program("api", *options, "--port", "0"))
        scheduler = stack.enter_context(Program("scheduler", *options))
        notify = stack.enter_context(Program("notify", *options))
        visitor = Visitor(api.url(), SITE).log_in(*password_of(api))
        yield Four(options, ingest, api, scheduler, notify, hook, visitor, data)


@pytest.mark.timeout(240)
def test_what_one_process_does_the_others_see(four: Four, broker: Mosquitto, tmp_path: Path) -> None:
    visitor = four.visitor
    wait_for(lambda: visitor.get("")["broker"], 20, "the broker's state on the page")
    assert visitor.health()["ok"]

    # ingest -> api, live
    with visitor.stream() as stream:
        publish(broker.port, (TOPIC, water("6.408")))
        wait_for(lambda: register(visitor) == "6.408", 10, "the reading")
        stream.wait(lambda e: e.name == "beat" and bool(e.data["received_at"]), 15, "a beat")
    (row,) = [r for r in visitor.get("/ledger") if r["device"] == METER]
    assert (row["received"], row["decoded"]) == (1, 1)

    # api -> ingest: a device that nobody listed
    publish(broker.port, ("wmbusmeters/99887766", water("3.5", meter="99887766")))
    (stranger,) = wait_for(lambda: visitor.get("/unknown"), 10, "the unknown device")
    adopted = visitor.post("/unknown/adopt", {"address": "99887766", "id": "newcomer"})
    assert adopted["waiting"] == 1
    wait_for(lambda: register(visitor, "newcomer").startswith("3.5"), 15, "what it sent before")
    assert stranger["address"] == "99887766"

    # api -> ingest: what only the journal's owner may do, by the page's way and by the command
    publish(broker.port, ("nobody/knows", b"1"), ("nobody/knows", b"2"))
    rows = wait_for(lambda: len(q := visitor.get("/quarantine")) == 2 and q, 10, "two in quarantine")
    assert visitor.post("/quarantine/settle", {"ids": [rows[0]["id"]]})["settled"] == 1
    assert "Discarded 1." in run("quarantine", "--data", four.data, "--discard", str(rows[1]["id"])).stdout
    assert visitor.get("/quarantine") == []
    wait_for(lambda: len(visitor.get("/quarantine", state="discarded")) == 2, 10, "both discarded")

    # ingest -> notify and api: an alarm; api -> ingest: it is acknowledged, and clears later
    publish(broker.port, *burst(time.time()))
    (alarm,) = wait_for(visitor.alarms, 30, "the alarm")
    wait_for(visitor.tickets, 60, "the ticket")
    (said,) = wait_for(lambda: list(four.hook.bodies), 20, "the message to the duty engineer")
    assert "总水表" in json.loads(said)["title"]  # in words, by the names of the registry
    assert visitor.post(f"/alarms/{alarm['id']}/acknowledge", {"reason": ""})["state"] == "acknowledged"

    # scheduler -> api
    assert wait_for(lambda: visitor.get("/occurrences"), 30, "the occurrences of the plans")
    assert [four.alive(role)[0] for role in ("ingest", "scheduler", "notify")] == [0, 0, 0]

    # A site has one owner, and a data folder does not go to somebody who wants it alone.
    beside = run("serve", *four.options, ok=False)
    assert "another Dutyroom is using the data folder" in beside.stderr
    elsewhere = ("--data", tmp_path / "other", "--records", f"sqlite:///{four.data}/records.sqlite")
    refused = run("serve", *four.options[:2], *elsewhere, ok=False)
    assert f"site {SITE}: ingest@" in refused.stderr
    assert "reads its messages; a site belongs to one process at a time" in refused.stderr

    # The owner goes: the page says so; the journal can still be read.
    assert four.ingest.terminate() == 0
    wait_for(lambda: "owner" in visitor.get("")["troubles"], 15, "the trouble on the page")
    health = visitor.health()
    assert (health["ok"], health["brokers"]) == (True, {SITE: False})
    assert visitor.get("/ledger")
    code, words = four.alive("nobody")
    assert (code, words.startswith("nobody has not begun")) == (1, True)
    for program in (four.scheduler, four.notify, four.api):
        began = time.monotonic()
        assert program.terminate() == 0
        assert alone(time.monotonic() - began) < 3.0
        assert "Traceback" not in program.text
    assert not (four.data / "instance.json").exists()


@pytest.mark.timeout(180)
def test_a_lease_that_cannot_be_renewed_cuts_the_line_and_nothing_is_lost(
    broker: Mosquitto, tmp_path: Path
) -> None:
    site, data = example(tmp_path / "site", broker.port), tmp_path / "data"
    with Program("serve", "--site", site, "--data", data, "--port", "0") as service:
        visitor = Visitor(service.url(), SITE).log_in(*password_of(service))
        publish(broker.port, (TOPIC, water("1.0")))
        wait_for(lambda: register(visitor) == "1.000", 10, "the first reading")
        wait_for(lambda: visitor.health()["ok"], 10, "the broker")
        with closing(sqlite3.connect(data / "records.sqlite", isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")  # nobody else writes into the records
            wait_for(lambda: not visitor.health()["ok"], 20, "the end of the line to the broker")
            publish(broker.port, (TOPIC, water("2.0")))
            time.sleep(1.0)
            assert register(visitor) == "1.000"
            assert "lease" in visitor.get("")["troubles"]
            other.execute("ROLLBACK")
        wait_for(lambda: register(visitor) == "2.000", 30, "what the broker kept")
        assert "lease" not in visitor.get("")["troubles"]
        # In two rows where a full hour passed between.
        assert sum(row["decoded"] for row in visitor.get("/ledger") if row["device"] == METER) == 2
        assert service.terminate() == 0


@pytest.mark.timeout(120)
def test_who_finds_its_site_taken_ends_with_a_sentence(broker: Mosquitto, tmp_path: Path) -> None:
    site, data = example(tmp_path / "site", broker.port), tmp_path / "data"
    with Program("serve", "--site", site, "--data", data, "--port", "0") as service:
        service.url()
        with closing(sqlite3.connect(data / "records.sqlite")) as other:
            other.execute("UPDATE leases SET owner='somebody else', token=token+1")
            other.commit()
        assert service.returncode(30) == 1
        assert f"site {SITE}: another process has taken it" in service.text


@pytest.mark.timeout(120)
def test_a_crashed_serve_has_its_sites_back_at_once(broker: Mosquitto, tmp_path: Path) -> None:
    site, data = example(tmp_path / "site", broker.port), tmp_path / "data"
    options = ("serve", "--site", site, "--data", data, "--port", "0")
    with Program(*options) as first:
        first.url()
        first.kill()
    with Program(*options) as second:
        second.url()
        assert "waiting for the lease" not in second.text
        assert second.terminate() == 0
    with closing(sqlite3.connect(data / "records.sqlite")) as records:
        assert records.execute("SELECT token, expires_at FROM leases").fetchall() == [(2, 0)]


def test_a_heartbeat_that_is_old_or_tells_of_a_trouble_is_not_well(tmp_path: Path) -> None:
    from dutyroom.wiring.alive import beat_file, beating, problem

    troubles = [""]
    beat = beating(tmp_path, "ingest", lambda: troubles[0])
    assert problem(tmp_path, "ingest").startswith("ingest has not begun")
    beat()
    assert problem(tmp_path, "ingest") == ""
    troubles[0] = "site yard: broker 10.0.0.1:1883 cannot be reached"
    beat()
    assert problem(tmp_path, "ingest") == troubles[0]
    file = beat_file(tmp_path, "ingest")
    said = json.loads(file.read_text())
    assert said["pid"] == os.getpid()
    file.write_text(json.dumps({**said, "at": said["at"] - 40_000, "trouble": ""}))
    assert problem(tmp_path, "ingest") == "ingest was last well 40 s ago"
    file.write_text("{")
    assert str(file) in problem(tmp_path, "ingest")
