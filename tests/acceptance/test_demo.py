"""`dutyroom demo` as a whole process tree, used as a person uses it: lines, log-in form, pages' stream,
API, commands beside it, Ctrl-C, crashes, the next start."""

from __future__ import annotations

import csv
import io
import re
import signal
import socket
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import paho.mqtt.client as paho
import pytest
from paho.mqtt.enums import CallbackAPIVersion

sys.path.insert(0, str(Path(__file__).parent))

from demo_process import PASSWORD, Program, Refused, Visitor, answers, broker_of, is_alive, run, wait_for
from tests.busy import alone

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads the process tree from /proc")

UTC8 = timedelta(hours=8)
SMALL = ("--units", "24", "--no-history", "--no-browser")  # a demo that starts fast
QUIET = (*SMALL, "--no-scenarios")
EMPTY = ("--empty", "--no-browser")


def publish(data: Path, *messages: tuple[str, bytes]) -> None:
    """Publishes on the demo's broker and waits for each acknowledgement, as a person's own device does."""
    client = paho.Client(CallbackAPIVersion.VERSION2)
    client.connect(*broker_of(data))
    client.loop_start()
    for topic, payload in messages:
        client.publish(topic, payload, qos=1).wait_for_publish(10)
    client.disconnect()
    client.loop_stop()


def listeners(pids: set[int]) -> set[tuple[str, int]]:
    """(address, port) of every listening IPv4 socket of these processes."""
    inodes = set()
    for pid in pids:
        for entry in Path(f"/proc/{pid}/fd").iterdir():
            try:
                inodes.add(str(entry.readlink()))
            except OSError:
                continue
    found = set()
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        fields = line.split()
        if fields[3] == "0A" and f"socket:[{fields[9]}]" in inodes:
            host, _, port = fields[1].partition(":")
            found.add((socket.inet_ntoa(bytes.fromhex(host)[::-1]), int(port, 16)))
    return found


def local(at: int) -> datetime:
    """An instant on the wall clock of the estate."""
    return datetime.fromtimestamp(at / 1000, UTC) + UTC8


def last_month(now: int) -> str:
    return f"{local(now).replace(day=1) - timedelta(days=1):%Y-%m}"


# ---------------------------------------------------------------- one demo that most tests look at


@dataclass
class Demo:
    """The shared demo. burst_at: monotonic seconds when a burst was asked for."""

    program: Program
    data: Path
    url: str
    password: str
    visitor: Visitor
    said: str
    burst_at: float = 0.0


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    """480 units with history; nothing goes wrong by itself, but a pipe bursts as soon as it is up."""
    data = tmp_path_factory.mktemp("demo") / "data"
    with Program(
        "demo", "--data", data, "--port", "0", "--no-browser", "--no-scenarios", first=True
    ) as program:
        url = program.url()
        password = program.expect(PASSWORD)[1]
        shared = Demo(program, data, url, password, Visitor(url).log_in(password), "")
        wait_for(lambda: shared.visitor.points("A-riser")["flow"]["at"], 30, "the riser's first reading")
        shared.said = run("simulate", "--scenario", "burst_pipe", "--data", data).stdout
        shared.burst_at = time.monotonic()
        yield shared


def test_it_says_where_how_and_what_to_try(demo: Demo) -> None:
    said = demo.program.text
    assert demo.url in said
    assert re.search(r"Log in as admin with the one-time password \S{12,}", said)
    things = re.findall(r"^ +([123])\. (.+)$", said, re.M)
    assert [number for number, _ in things] == ["1", "2", "3"]
    assert "taken" not in said  # any free port was asked for
    assert demo.data / "dutyroom.log" in demo.data.iterdir()


def test_the_log_in_form_lets_in_with_its_token_and_nobody_else(demo: Demo) -> None:
    stranger = Visitor(demo.url)
    with pytest.raises(Refused) as refused:
        stranger.get("/alarms")
    assert refused.value.code == 401
    with pytest.raises(Refused) as without_token:
        stranger.page("/login", {"login": "admin", "password": demo.password})
    assert without_token.value.code == 403
    with pytest.raises(Refused) as wrong:
        stranger.log_in("not-the-password")
    assert wrong.value.code == 403

    visitor = Visitor(demo.url).log_in(demo.password)
    assert visitor.site == "lakeside"
    assert visitor.get("")["devices"] > 1400
    session = next(cookie for cookie in visitor.cookies if cookie.name == "dutyroom_session")
    assert session.has_nonstandard_attr("HttpOnly")
    visitor.csrf = "of-another-page"
    with pytest.raises(Refused) as forged:
        visitor.post("/reports", {"text": "not from our page"})
    assert forged.value.code == 403


def test_live_values_move(demo: Demo) -> None:
    watched = [("A-riser", "volume"), ("A-0101-water", "flow"), ("A-feeder", "power")]

    def times() -> list[int | None]:
        return [demo.visitor.points(device)[point]["at"] for device, point in watched]

    def first() -> list[int]:
        seen = times()
        return [] if None in seen else [at for at in seen if at]

    def newer() -> list[int]:
        seen = first()
        return seen if all(new > old for old, new in zip(before, seen, strict=True)) else []

    before = wait_for(first, 35, "first values")
    after = wait_for(newer, 35, "newer values")
    for device, point in watched:
        row = demo.visitor.points(device)[point]
        assert row["stale"] is False
        assert re.search(r"\d", row["text"])
    assert abs(demo.visitor.get("")["now"] - max(after)) < 30_000


def test_simulate_names_its_scenarios_and_refuses_others(demo: Demo) -> None:
    assert "Playing burst_pipe" in demo.said
    listed = run("simulate", "--scenario", "list", "--data", demo.data).stdout.split()
    assert {"burst_pipe", "feeder_cut", "entrapment"} <= set(listed)
    wrong = run("simulate", "--scenario", "earthquake", "--data", demo.data, ok=False)
    assert wrong.returncode == 1
    assert "there is no scenario 'earthquake'" in wrong.stderr


def test_two_months_of_history_come_soon(demo: Demo) -> None:
    """Trends, last month's statements and what is due are there, and add up."""

    def loaded() -> bool:
        return "history" not in demo.visitor.get("")["progress"]

    wait_for(lambda: loaded() and demo.visitor.get("/statements"), 120, "the statements")
    assert time.monotonic() - demo.program.started < 150  # half a minute alone; this machine also tests
    visitor, now = demo.visitor, demo.visitor.get("")["now"]

    flow = visitor.points("A-riser")["flow"]["point"]
    trend = visitor.get(f"/points/{flow}/buckets", start=now - 86_400_000, end=now, width=3_600_000)
    assert len(trend["at"]) >= 23
    assert len(set(trend["mean"])) > 12  # a day has a shape

    statements = visitor.get("/statements", period=last_month(now))
    assert len(statements) == 480
    one = visitor.get(f"/statements/{statements[7]['number']}")
    trace = visitor.get(f"/statements/{one['number']}/trace")
    assert one["lines"]
    assert trace
    assert one["total"] == sum(line["amount"] for line in one["lines"] if not line["detail"]) > 0

    due = visitor.get("/occurrences", since=now - 86_400_000 * 40)
    assert {"generator-test", "meter-reading"} & {row["plan"] for row in due}
    assert len(visitor.get("/plans")) >= 3


def test_readings_at_a_cut_off_as_csv(demo: Demo) -> None:
    wait_for(lambda: "history" not in demo.visitor.get("")["progress"], 60, "the history")
    moment = f"{local(demo.visitor.get('')['now']):%Y-%m}-01T00:00+08:00"
    printed = run("readings", "--at", moment, "--csv", "--data", demo.data).stdout
    rows = list(csv.DictReader(io.StringIO(printed)))
    registers = {row["device"]: row for row in rows}
    assert len(registers) > 1440
    units = [row for name, row in registers.items() if re.fullmatch(r"[A-D]-\d{4}-(water|gas|power)", name)]
    assert len(units) == 3 * 480
    assert all(row["register"] and row["read_at"] for row in units)
    assert demo.visitor.get("/readings-at", moment=moment) == rows


def test_what_cannot_be_read_is_listed_with_its_reason(demo: Demo) -> None:
    publish(demo.data, ("lobby/thermometer", b"21.5 degrees"), ("wmbusmeters/99999999", b'{"media": "water"'))

    def listed() -> str:
        text = run("quarantine", "--data", demo.data).stdout
        return text if "lobby/thermometer" in text and "wmbusmeters/99999999" in text else ""

    text = wait_for(listed, 10, "the messages in quarantine")
    topic_line = next(line for line in text.splitlines() if "lobby/thermometer" in line)
    assert "unknown_topic" in topic_line
    assert "21.5 degrees" in topic_line
    rows = {row["topic"]: row for row in demo.visitor.get("/quarantine")}
    assert rows["wmbusmeters/99999999"]["payload"] == '{"media": "water"'
    number = rows["lobby/thermometer"]["id"]
    left = run("quarantine", "--discard", str(number), "--data", demo.data).stdout
    assert "Discarded 1." in left
    assert "lobby/thermometer" not in left


def test_a_backup_of_the_running_demo_can_be_read_again(demo: Demo, tmp_path: Path) -> None:
    moment = f"{local(demo.visitor.get('')['now']):%Y-%m-%dT%H:%M}+08:00"
    shown = demo.visitor.get("/readings-at", moment=moment)
    run("backup", tmp_path / "backup.zip", "--data", demo.data)
    run("restore", tmp_path / "backup.zip", "--data", tmp_path / "again")
    restored = run("readings", "--at", moment, "--csv", "--data", tmp_path / "again").stdout
    assert len(shown) > 1440
    assert list(csv.DictReader(io.StringIO(restored))) == shown


def test_a_second_instance_on_the_same_folder_is_refused(demo: Demo) -> None:
    second = run("demo", "--data", demo.data, "--port", "0", "--no-browser", "--fresh", ok=False)
    assert second.returncode == 1
    assert "another Dutyroom is using the data folder" in second.stderr
    assert demo.url in second.stderr
    assert "Traceback" not in second.stderr
    assert demo.visitor.get("")["devices"] > 1400  # --fresh took nothing from the one that runs
    assert demo.visitor.get("/plans")


# ---------------------------------------------------------------- demos of their own


def test_a_taken_port_gives_way_to_the_next_and_ctrl_c_ends_everything(demo: Demo, tmp_path: Path) -> None:
    taken = int(demo.url.rpartition(":")[2])
    with Program("demo", "--data", tmp_path, "--port", str(taken), *QUIET) as second:
        url = second.url()
        assert int(url.rpartition(":")[2]) > taken
        assert f"Port {taken} is taken; using {url.rpartition(':')[2]}." in second.text
        everybody = second.tree()
        assert len(everybody) >= 3  # the service, its broker, the estate
        with Visitor(url).log_in(second.expect(PASSWORD)[1]).stream() as stream:
            stream.wait(lambda e: e.name == "snapshot", 5, "the stream's snapshot")
            took = second.interrupt()  # with a page open, which never hangs up by itself
        assert not any(map(is_alive, everybody))
        assert took < 2.0
        assert second.returncode() in (0, 130)
        assert "Traceback" not in second.text
        assert "Stopping." in second.text
    assert demo.visitor.get("")["devices"] > 1400


def test_a_crash_takes_the_children_along_and_the_next_start_goes_on(tmp_path: Path) -> None:
    options = ("demo", "--data", tmp_path, "--port", "0", *QUIET, "--speed", "20")
    with Program(*options) as first:
        url = first.url()
        password = first.expect(PASSWORD)[1]
        visitor = Visitor(url).log_in(password)
        wait_for(lambda: visitor.points("B-lift-3"), 20, "the lift's points")
        run("simulate", "--scenario", "entrapment", "--data", tmp_path)
        wait_for(lambda: visitor.get("/alarms"), 20, "the alarm")
        wait_for(visitor.tickets, 20, "the ticket")
        before, said_at = visitor.alarms(), visitor.get("")["now"]
        children = first.tree() - {first.pid}
        assert len(children) >= 2
        first.kill()
        wait_for(lambda: not any(map(is_alive, children)), 5, "the end of the children")

    with Program(*options) as again:
        url = again.url()
        usable = time.monotonic() - again.started
        assert "one-time password" not in again.text
        visitor = Visitor(url).log_in(password)
        assert visitor.get("")["now"] >= said_at  # the estate's clock does not go back
        known = {(a["id"], a["rule"], a["device"], a["raised_at"]) for a in visitor.alarms()}
        assert known >= {(a["id"], a["rule"], a["device"], a["raised_at"]) for a in before}
        assert len(visitor.tickets()) == 1
        assert usable < 20.0  # 3 s alone on the machine (tests/bench); here other tests run beside it
        again.interrupt()


@pytest.mark.parametrize("moment", ["while it is made", "while it is imported"])
def test_ctrl_c_in_the_middle_of_the_history_leaves_nothing_behind(moment: str, tmp_path: Path) -> None:
    def begun() -> bool:
        chunks = len(list((tmp_path / "history").glob("*.npz")))
        if moment == "while it is made":
            return chunks > 0
        return visitor.get("")["progress"].get("history", "0 %") not in ("0 %", "")

    with Program("demo", "--data", tmp_path, "--port", "0", "--no-browser", "--no-scenarios") as program:
        visitor = Visitor(program.url()).log_in(program.expect(PASSWORD)[1])
        wait_for(begun, 40, "the history", 0.02)
        everybody = program.tree()
        took = program.interrupt()
        assert not any(map(is_alive, everybody))
        assert took < 2.0
        assert program.returncode() in (0, 130)
        assert "Traceback" not in program.text
        assert not (tmp_path / "history.done").exists()  # the next start begins it anew


def test_fresh_forgets(tmp_path: Path) -> None:
    with Program("demo", "--data", tmp_path, "--port", "0", *EMPTY) as first:
        first.url()
        password = first.expect(PASSWORD)[1]
        first.interrupt()
    with Program("demo", "--data", tmp_path, "--port", "0", *EMPTY, "--fresh") as again:
        url = again.url()
        fresh = again.expect(PASSWORD)[1]
        assert fresh != password
        with pytest.raises(Refused):
            Visitor(url).log_in(password)
        assert Visitor(url).log_in(fresh).site == "my-site"
        again.interrupt()


def test_a_service_manager_that_tells_the_whole_group_ends_it_in_order(tmp_path: Path) -> None:
    with Program("demo", "--data", tmp_path, "--port", "0", *EMPTY) as program:
        program.url()
        assert program.interrupt(signal.SIGTERM) < 2.5
    assert "embedded_broker.restarted" not in (tmp_path / "dutyroom.log").read_text(encoding="utf-8")


def test_an_empty_demo_beside_an_estate_names_its_own_administrator(tmp_path: Path) -> None:
    with Program("demo", "--data", tmp_path, "--port", "0", *QUIET) as estate:
        estate.url()
        assert "Log in as admin with" in estate.text
        estate.interrupt()
    for said in ("Log in as admin-my-site with", "Log in as admin-my-site; for"):
        with Program("demo", "--data", tmp_path, "--port", "0", *EMPTY) as empty:
            empty.url()
            empty.expect("Ctrl-C")
            assert said in empty.text
            refused = run("simulate", "--data", tmp_path, "--scenario", "burst_pipe", ok=False)
            assert "has no simulated estate: it was started with --empty" in refused.stderr
            empty.interrupt()
    with Program("demo", "--data", tmp_path, "--port", "0", *QUIET) as estate:
        estate.url()
        assert "Playing burst_pipe" in run("simulate", "--scenario", "burst_pipe", "--data", tmp_path).stdout
        estate.interrupt()


def test_an_empty_demo_takes_in_what_one_publishes(tmp_path: Path) -> None:
    with Program("demo", "--data", tmp_path, "--port", "0", *EMPTY) as program:
        visitor = Visitor(program.url()).log_in(program.expect(PASSWORD)[1])
        host, port = broker_of(tmp_path)
        assert f"{host}:{port}" in program.text
        assert visitor.get("/devices") == []
        body = b'{"media": "water", "meter": "multical21", "id": "76348799", "total_m3": 6.408}'
        publish(tmp_path, ("wmbusmeters/76348799", body))
        (device,) = wait_for(lambda: visitor.get("/devices"), 10, "the device")
        assert device["profile"].startswith("wmbusmeters/")
        volume = wait_for(lambda: visitor.points(device["id"]).get("volume"), 10, "its volume")
        assert volume["text"] == "6.408"
        assert not (tmp_path / "estate").exists()
        program.interrupt()


def test_speed_moves_the_clock_of_the_whole_tree_and_raises_nothing(tmp_path: Path) -> None:
    with Program("demo", "--data", tmp_path, "--port", "0", *QUIET, "--speed", "100") as program:
        visitor = Visitor(program.url()).log_in(program.expect(PASSWORD)[1])
        began, real = visitor.get("")["now"], time.monotonic()
        first = wait_for(lambda: visitor.points("A-riser")["flow"]["at"], 20, "the riser")
        wait_for(lambda: visitor.get("")["now"] - began > 15 * 60_000, 40, "15 minutes of the estate", 0.5)
        passed, spent = visitor.get("")["now"] - began, time.monotonic() - real
        assert passed == pytest.approx(spent * 100_000, rel=0.1)
        now, newest = visitor.get("")["now"], visitor.points("A-riser")["flow"]["at"]
        assert newest - first > 10 * 60_000  # devices speak by the same clock
        assert abs(now - newest) < 3 * 60_000
        assert visitor.alarms() == []
        assert visitor.tickets() == []
        program.interrupt()


def test_something_happens_by_itself(tmp_path: Path) -> None:
    with Program("demo", "--data", tmp_path, "--port", "0", *SMALL, "--speed", "20") as program:
        visitor = Visitor(program.url()).log_in(program.expect(PASSWORD)[1])
        began = visitor.get("")["now"]

        def burst() -> list[dict[str, Any]]:
            return [a for a in visitor.alarms() if a["rule"] == "water.burst" and a["root"] is None]

        (alarm,) = wait_for(burst, 30, "the burst that plays by itself")
        assert alarm["raised_at"] - began < 2 * 60_000
        program.interrupt()


def test_lan_opens_the_pages_and_never_the_broker(tmp_path: Path) -> None:
    with Program("demo", "--data", tmp_path, "--port", "0", *EMPTY, "--lan") as program:
        url = program.url()
        there = program.expect(r"Other machines find it at (http://\S+)")[1]
        assert there.rpartition(":")[2] == url.rpartition(":")[2]
        wait_for(lambda: answers(there), 5, "the address for other machines")
        open_ones = listeners(program.tree())
        assert ("0.0.0.0", int(url.rpartition(":")[2])) in open_ones
        assert [host for host, port in open_ones if port == broker_of(tmp_path)[1]] == ["127.0.0.1"]
        assert {host for host, port in open_ones if port != int(url.rpartition(":")[2])} <= {"127.0.0.1"}
        program.interrupt()


def test_a_folder_that_cannot_be_written_is_named_in_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    refused = run("demo", "--data", tmp_path / "file" / "below", "--no-browser", ok=False)
    assert refused.returncode == 1
    assert "cannot write to the data folder" in refused.stderr
    assert "--data" in refused.stderr
    assert "Traceback" not in refused.stderr


# ---------------------------------------------------------------- the burst of the shared demo


def test_a_burst_is_one_alarm_on_the_riser_and_one_ticket(demo: Demo) -> None:
    visitor = demo.visitor

    def roots() -> list[dict[str, Any]]:
        return [a for a in visitor.alarms() if a["root"] is None]

    wait_for(roots, 110 - (time.monotonic() - demo.burst_at), "the alarm")
    (ticket,) = wait_for(visitor.tickets, 45, "the ticket")
    (alarm,) = roots()
    assert (alarm["rule"], alarm["device"], alarm["priority"]) == ("water.burst", "A-riser", 2)
    assert alarm["advice"]
    assert ticket["alarm"] == alarm["id"]
    assert ticket["device"] == "A-riser"
    assert not [a for a in visitor.alarms() if a["root"] not in (None, alarm["id"])]


def test_an_acknowledgement_reaches_another_session_within_a_second(demo: Demo) -> None:
    operator = Visitor(demo.url).log_in(demo.password)
    (alarm,) = wait_for(
        lambda: [a for a in operator.get("/alarms") if a["device"] == "A-riser"],
        110 - (time.monotonic() - demo.burst_at),
        "the alarm",
    )
    with demo.visitor.stream() as stream:
        first = stream.wait(lambda e: e.name == "snapshot", 5, "the snapshot")
        assert [a["filled"] for a in first.data["alarms"] if a["id"] == alarm["id"]] == [True]
        acted = time.monotonic()
        operator.post(f"/alarms/{alarm['id']}/acknowledge", {"reason": "on my way"})
        seen = stream.wait(
            lambda e: any(a["id"] == alarm["id"] and not a["filled"] for a in e.data.get("alarms", [])),
            5,
            "the acknowledgement on the other page",
        )
    assert alone(seen.at - acted) < 1.0
    (row,) = [a for a in demo.visitor.get("/alarms") if a["id"] == alarm["id"]]
    assert row["owner"] == "admin" or row["state"] == "acknowledged"


def test_the_large_demo_with_all_its_data_ends_within_two_seconds(demo: Demo) -> None:
    everybody = demo.program.tree()
    took = demo.program.interrupt()
    assert not any(map(is_alive, everybody))
    assert took < 2.0
    assert "Traceback" not in demo.program.text
