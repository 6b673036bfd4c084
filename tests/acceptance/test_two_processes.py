"""Two ingest processes share ten sites; one is killed, the other goes on with its sites.

Real Mosquitto, PostgreSQL and two real processes. Every message is published once, QoS 1, and counts only
when the broker has acknowledged it.
"""

from __future__ import annotations

import os
import re
import signal
import sqlite3
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import paho.mqtt.client as paho
import psycopg
import pytest
from paho.mqtt.enums import CallbackAPIVersion
from tests.servers.mosquitto import Mosquitto

sys.path.insert(0, str(Path(__file__).parent))

from demo_process import Program, wait_for
from test_kill import STEP, meter_message, riser_message

from dutyroom.backends.journal import SqliteJournal
from dutyroom.backends.readings_embedded import EmbeddedReadingStore
from dutyroom.backends.records_sql import SqlRecords, open_records

pytestmark = [
    pytest.mark.servers,
    pytest.mark.skipif(sys.platform != "linux", reason="ends processes by their numbers"),
]

SITES = [f"yard-{n}" for n in range(10)]
METERS = 3  # of each site, beside a riser
RATE = 200.0  # messages a second, all sites together
WITHIN_S = 30.0
Key = tuple[str, str, str, int]  # site, device, point, at

HEAD = """
id: {site}
name: {site}
time_zone: Asia/Shanghai
broker: {{host: 127.0.0.1, port: {port}, topics: [{topics}]}}
"""


def meters(site: int) -> list[str]:
    return [f"41{site:02d}{n:04d}" for n in range(METERS)]


def riser(site: int) -> str:
    return f"70B3D57ED00600{site:02X}"


def write_sites(folder: Path, port: int) -> list[Path]:
    made = []
    for number, site in enumerate(SITES):
        own = folder / site
        own.mkdir(parents=True)
        names = [f"wmbusmeters/{m}" for m in meters(number)] + [
            f"v3/{riser(number).lower()}@ttn/devices/+/up"
        ]
        topics = ", ".join(f'"{name}"' for name in names)
        (own / "site.yaml").write_text(HEAD.format(site=site, port=port, topics=topics))
        rows = ["id,class,profile,address,interval_s,parameters"]
        rows += [f"meter-{m},water_meter,wmbusmeters/water,{m},900," for m in meters(number)]
        rows += [f"riser,water_meter,axioma/qalcosonic-w1,{riser(number)},900,use=riser;burst_flow=3"]
        (own / "devices.csv").write_text("\n".join(rows) + "\n")
        made.append(own)
    return made


@dataclass
class Devices:
    """All devices of all sites, in rounds. sent: what must be in the stores."""

    port: int
    started: int
    sent: dict[Key, float] = field(default_factory=dict)
    rounds: int = 0
    error: str = ""
    stop: threading.Event = field(default_factory=threading.Event)
    hold: threading.Event = field(default_factory=threading.Event)  # no new round meanwhile
    idle: bool = False  # the last round is with the broker
    _thread: threading.Thread | None = None

    def __enter__(self) -> Devices:
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop.set()
        if self._thread is not None:
            self._thread.join(60)

    def _run(self) -> None:
        client = paho.Client(CallbackAPIVersion.VERSION2, client_id="two-processes-devices")
        client.connect("127.0.0.1", self.port)
        client.loop_start()
        began, count = time.monotonic(), 0
        while not self.stop.is_set():
            self.idle = self.hold.is_set()
            if self.idle:
                self.stop.wait(0.05)
                began, count = time.monotonic(), 0
                continue
            waiting = []
            for topic, body, values in self._round(self.started + self.rounds * STEP):
                waiting.append((client.publish(topic, body, qos=1), values))
                count += 1
                self.stop.wait(max(0.0, count / RATE - (time.monotonic() - began)))
            for info, values in waiting:
                info.wait_for_publish(30)
                if not info.is_published():
                    self.error = "the broker did not acknowledge a message"
                    self.stop.set()
                self.sent.update(values)
            self.rounds += 1
        client.disconnect()
        client.loop_stop()

    def _round(self, at: int) -> Iterator[tuple[str, bytes, dict[Key, float]]]:
        # A burst from the 20th round on for 30: 2.5 minutes by the risers' clocks, then all is well.
        flow = 4.8 if 20 <= self.rounds < 50 else 0.4
        for number, site in enumerate(SITES):
            for place, meter in enumerate(meters(number)):
                litres = 1_000 * place + 3 * self.rounds + number
                topic, body = meter_message(meter, at, litres)
                yield topic, body, {(site, f"meter-{meter}", "volume", at): float(litres)}
            litres = 500_000 + 5 * self.rounds
            topic, body = riser_message(at, litres, flow)
            name = riser(number)
            body = body.replace(b"70B3D57ED00500AA", name.encode()).replace(
                b"70b3d57ed00500aa", name.lower().encode()
            )
            topic = f"v3/{name.lower()}@ttn/devices/{name.lower()}/up"
            yield (
                topic,
                body,
                {(site, "riser", "volume", at): float(litres), (site, "riser", "flow", at): flow},
            )


def owned(records: SqlRecords) -> dict[str, str]:
    """Sites that somebody owns and whose line to the broker stands."""
    owners = records.leases.owners()
    found = {site: owners.owner(site) for site in SITES}
    return {site: lease.owner for site, lease in found.items() if lease and lease.said.get("broker")}


def counts(data: Path) -> Counter[str]:
    total: Counter[str] = Counter()
    for site in SITES:
        journal = SqliteJournal(data / "sites" / site / "journal.sqlite", read_only=True)
        for row in journal.ledger(0):
            for name in ("received", "decoded", "quarantined", "readings", "stored", "duplicate", "conflict"):
                total[name] += getattr(row, name)
        journal.close()
    return total


def settled(data: Path, sent: int) -> bool:
    now = counts(data)
    return now["readings"] >= sent and now["readings"] == now["stored"] + now["duplicate"] + now["conflict"]


def stored(data: Path, records: SqlRecords) -> dict[Key, float]:
    found: dict[Key, float] = {}
    for site in SITES:
        with records.read() as tx:
            points = tx.devices.points(site)
        store = EmbeddedReadingStore(data / "sites" / site / "readings.sqlite", read_only=True)
        for point in points:
            series = store.range(point, 0, 2**53, 10_000_000)
            for at, value in zip(series.at.tolist(), series.value.tolist(), strict=True):
                found[site, point.device, point.spec.name, at] = value
        store.close()
    return found


def compare(data: Path, records: SqlRecords, wanted: dict[Key, float]) -> None:
    """What was sent is what is stored, and nothing else; the ledger balances."""
    kept, ledger = stored(data, records), counts(data)
    missing, invented = sorted(set(wanted) - set(kept)), sorted(set(kept) - set(wanted))
    assert (missing[:5], len(missing)) == ([], 0)
    assert (invented[:5], len(invented)) == ([], 0)
    assert {key: kept[key] for key in wanted} == wanted
    assert (ledger["quarantined"], ledger["conflict"]) == (0, 0)
    assert ledger["received"] == ledger["decoded"]


def put_to_sleep(pid: int, data: Path, postgres_url: str) -> None:
    """Stops a process between its commits. In the middle of one it would hold a lock that nobody can take
    from a process that is there: then nobody goes on before it does."""
    for _ in range(100):
        os.kill(pid, signal.SIGSTOP)
        if holds_nothing(data, postgres_url):
            return
        os.kill(pid, signal.SIGCONT)
        time.sleep(0.05)
    raise AssertionError("it always holds a lock")


def holds_nothing(data: Path, postgres_url: str) -> bool:
    """Whether everybody else may write, within a second: the other process writes as well."""
    try:
        with psycopg.connect(postgres_url) as server:
            server.execute("SET lock_timeout = 1000")
            server.execute("SELECT pg_advisory_xact_lock(7160421)")
        for file in data.glob("sites/*/*.sqlite"):
            with closing(sqlite3.connect(file, timeout=1, isolation_level=None)) as opened:
                opened.execute("BEGIN IMMEDIATE")
                opened.execute("ROLLBACK")
    except (psycopg.errors.LockNotAvailable, sqlite3.OperationalError):
        return False
    return True


@pytest.fixture
def records(postgres_url: str) -> Iterator[SqlRecords]:
    opened = open_records(postgres_url)
    yield opened
    opened.close()


@pytest.mark.timeout(180)
@pytest.mark.parametrize("how", ["killed", "asleep"])
def test_the_other_goes_on_with_the_sites_of_one_that_is(
    how: str, mosquitto: Mosquitto, postgres_url: str, records: SqlRecords, tmp_path: Path
) -> None:
    """Killed, or stopped in the middle of whatever it did and woken when the other owns its sites."""
    folders = write_sites(tmp_path / "sites", mosquitto.port)
    data = tmp_path / "data"
    options: list[str | Path] = ["--data", data, "--records", postgres_url]
    for folder in folders:
        options += ["--site", folder]

    with Program("ingest", *options) as one, Program("ingest", *options) as two:
        # Who comes a little later, as on a busy machine, finds six of them owned and is given one.
        wait_for(lambda: sorted(Counter(owned(records).values()).values()) == [5, 5], 90, "equal shares")

        with Devices(mosquitto.port, (int(time.time()) - 6 * 3600) * 1000) as devices:
            wait_for(lambda: devices.rounds >= 15, 60, "some rounds")
            if how == "killed":
                one.kill()
            else:
                devices.hold.set()  # what comes once it sleeps is waiting in its sockets when it wakes
                wait_for(lambda: devices.idle and settled(data, len(devices.sent)), 30, "a quiet moment")
                put_to_sleep(one.pid, data, postgres_url)
                devices.hold.clear()
            killed = time.monotonic()
            left = f"/{two.pid}-"
            wait_for(
                lambda: sum(left in owner for owner in owned(records).values()) == 10,
                WITHIN_S,
                "all ten sites with the other process",
            )
            took = time.monotonic() - killed
            if how == "asleep":
                os.kill(one.pid, signal.SIGCONT)
            wait_for(lambda: devices.error or devices.rounds >= 70, 120, "enough rounds after the burst")
        assert devices.error == ""
        assert took < WITHIN_S
        print(f"{how}: the other owned all sites after {took:.1f} s")

        wait_for(lambda: settled(data, len(devices.sent)), 60, "an empty queue")

        def tickets() -> list[tuple[str, str]]:
            with records.read() as tx:
                return [(site, t.object) for site in SITES for t in tx.tickets.search(site)]

        wait_for(lambda: len(tickets()) >= 10, 30, "a ticket for each site")
        compare(data, records, devices.sent)
        assert two.terminate() == 0
        if how == "asleep":
            assert one.terminate() == 0
            assert len(re.findall(r"no longer ours", one.text)) >= 5, one.text

    assert sorted(tickets()) == [(site, "riser") for site in SITES]
    with records.read() as tx:
        alarms = [(a.site, a.rule) for site in SITES for a in tx.alarms.search(site)]
    assert sorted(alarms) == [(site, "water.burst") for site in SITES]
    assert records.leases.owners().processes == ()
    assert owned(records) == {}


@pytest.mark.timeout(180)
def test_one_that_joins_is_given_its_share(
    mosquitto: Mosquitto, postgres_url: str, records: SqlRecords, tmp_path: Path
) -> None:
    data = tmp_path / "data"
    options: list[str | Path] = ["--data", data, "--records", postgres_url]
    for folder in write_sites(tmp_path / "sites", mosquitto.port):
        options += ["--site", folder]
    with Program("ingest", *options) as one:
        wait_for(lambda: len(owned(records)) == 10, 90, "one owner for all sites")
        with (
            Devices(mosquitto.port, (int(time.time()) - 6 * 3600) * 1000) as devices,
            Program("ingest", *options) as two,
        ):
            wait_for(lambda: sorted(Counter(owned(records).values()).values()) == [5, 5], 90, "equal shares")
            done = devices.rounds + 5
            wait_for(lambda: devices.error or devices.rounds >= done, 30, "some rounds more")
            devices.hold.set()
            wait_for(lambda: devices.idle and settled(data, len(devices.sent)), 60, "an empty queue")
            assert devices.error == ""
            assert len(re.findall("no longer ours", one.text)) == len(re.findall(": ours", two.text)) == 5
            compare(data, records, devices.sent)
            assert two.terminate() == 0
        wait_for(lambda: len(owned(records)) == 10, 30, "all sites with the first again")
        assert one.terminate() == 0
    assert owned(records) == {}
