"""The service is killed again and again while devices publish: nothing is lost, nothing doubled.

A real Mosquitto holds the service's session; a publisher sends every message once, QoS 1, and
counts only what the broker acknowledged. DUTYROOM_TEST_KILLS sets how often (8 by default).
"""

from __future__ import annotations

import json
import os
import random
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import paho.mqtt.client as paho
import pytest
from paho.mqtt.enums import CallbackAPIVersion
from tests.servers.mosquitto import Mosquitto

sys.path.insert(0, str(Path(__file__).parent))

from demo_process import Program, Visitor, run, wait_for

from dutyroom.backends.readings_embedded import EmbeddedReadingStore
from dutyroom.backends.records_sql import open_records

pytestmark = [
    pytest.mark.servers,
    pytest.mark.skipif(sys.platform != "linux", reason="reads the process tree from /proc"),
]

KILLS = int(os.environ.get("DUTYROOM_TEST_KILLS", "8"))
SEED = int(os.environ.get("DUTYROOM_TEST_SEED", "20261101"))
METERS = [f"4000{n:04d}" for n in range(50)]
RISER = "70B3D57ED00500AA"
RATE = 200.0  # messages a second
STEP = 5_000  # ms between two readings of a meter, by its own clock
TOPICS = ("wmbusmeters/+", "v3/kill-test@ttn/devices/+/up")

SITE = """
id: kill-test
name: Kill test
time_zone: Asia/Shanghai
broker: {{host: 127.0.0.1, port: {port}, topics: [{topics}]}}
"""


def write_site(folder: Path, port: int) -> Path:
    folder.mkdir()
    topics = ", ".join(f'"{topic}"' for topic in TOPICS)
    (folder / "site.yaml").write_text(SITE.format(port=port, topics=topics))
    rows = ["id,class,profile,address,interval_s,parameters"]
    rows += [f"meter-{m},water_meter,wmbusmeters/water,{m},900," for m in METERS]
    rows += [f"riser,water_meter,axioma/qalcosonic-w1,{RISER},900,use=riser;burst_flow=3"]
    (folder / "devices.csv").write_text("\n".join(rows) + "\n")
    return folder


def _iso(at: int) -> str:
    return datetime.fromtimestamp(at / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def meter_message(meter: str, at: int, litres: int) -> tuple[str, bytes]:
    body = {"media": "cold water", "meter": "multical21", "id": meter, "total_m3": litres / 1000}
    return f"wmbusmeters/{meter}", json.dumps({**body, "timestamp": _iso(at)}).encode()


def riser_message(at: int, litres: int, flow: float) -> tuple[str, bytes]:
    values = {"volume": {"value": litres / 1000, "unit": "m3"}, "flow": {"value": flow, "unit": "m3/h"}}
    body = {
        "end_device_ids": {"device_id": RISER.lower(), "dev_eui": RISER},
        "received_at": _iso(at),
        "uplink_message": {"f_port": 100, "decoded_payload": values, "received_at": _iso(at)},
    }
    return f"v3/kill-test@ttn/devices/{RISER.lower()}/up", json.dumps(body).encode()


@dataclass
class Devices:
    """The publisher: rounds of all meters and the riser, until told to stop.

    sent: (device, point, at) -> value that must be in the store, for every acknowledged message.
    """

    port: int
    started: int
    sent: dict[tuple[str, str, int], float] = field(default_factory=dict)
    rounds: int = 0
    stop: threading.Event = field(default_factory=threading.Event)
    error: str = ""
    _thread: threading.Thread | None = None

    def __enter__(self) -> Devices:
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    def end(self) -> None:
        """After the round that is on its way."""
        self.stop.set()
        if self._thread is not None:
            self._thread.join(60)

    def _run(self) -> None:
        client = paho.Client(CallbackAPIVersion.VERSION2, client_id="kill-test-devices")
        client.connect("127.0.0.1", self.port)
        client.loop_start()
        began, count = time.monotonic(), 0
        while not self.stop.is_set():
            at = self.started + self.rounds * STEP
            waiting = []
            for topic, body, values in self._round(at):
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

    def _round(self, at: int) -> Iterator[tuple[str, bytes, dict[tuple[str, str, int], float]]]:
        for number, meter in enumerate(METERS):
            litres = 1_000 * number + 3 * self.rounds + number % 3
            topic, body = meter_message(meter, at, litres)
            yield topic, body, {(f"meter-{meter}", "volume", at): float(litres)}
        # A burst from the 20th round on for 30: 2.5 minutes of the riser's clock, then all is well.
        flow = 4.8 if 20 <= self.rounds < 50 else 0.4
        litres = 500_000 + 5 * self.rounds
        topic, body = riser_message(at, litres, flow)
        yield topic, body, {("riser", "volume", at): float(litres), ("riser", "flow", at): flow}


def stored(data: Path) -> dict[tuple[str, str, int], float]:
    """Every reading of the stopped service's store: a counter in whole steps, a gauge as it is."""
    records = open_records(f"sqlite:///{data}/records.sqlite")
    store = EmbeddedReadingStore(data / "sites" / "kill-test" / "readings.sqlite")
    found = {}
    try:
        with records.read() as tx:
            points = list(tx.devices.points("kill-test"))
        for point in points:
            series = store.range(point, 0, 2**53, 10_000_000)
            for at, value in zip(series.at.tolist(), series.value.tolist(), strict=True):
                found[point.device, point.spec.name, at] = value
    finally:
        store.close()
        records.close()
    return found


def count_of(visitor: Visitor) -> dict[str, int]:
    rows = visitor.get("/ledger", since=0)
    names = ("received", "decoded", "ignored", "quarantined", "readings", "stored", "duplicate", "conflict")
    return {name: sum(row[name] for row in rows) for name in names}


def settled(visitor: Visitor) -> bool:
    """Every reading taken has found its place, and nothing more comes."""
    before = count_of(visitor)
    time.sleep(0.5)
    now = count_of(visitor)
    placed = now["stored"] + now["duplicate"] + now["conflict"]
    return before == now and now["readings"] == placed


def subscribe_first(options: tuple[str | Path, ...]) -> str:
    """A first, undisturbed start, so that the broker knows the session; the password it gives."""
    with Program(*options) as first:
        url = first.url()
        password = first.expect(r"one-time password (\S+)")[1]
        visitor = Visitor(url, "kill-test").log_in(password)
        wait_for(lambda: visitor.get("")["broker"], 20, "the connection to the broker")
        first.terminate()
    return password


@pytest.mark.timeout(60 + 20 * KILLS)
def test_killed_at_any_moment_nothing_is_lost_or_doubled(mosquitto: Mosquitto, tmp_path: Path) -> None:
    site = write_site(tmp_path / "site", mosquitto.port)
    run("check", "--site", site)
    data = tmp_path / "data"
    options = ("serve", "--site", site, "--data", data, "--port", "0")
    password = subscribe_first(options)
    moments = random.Random(SEED)
    started = (int(time.time()) - 6 * 3600) * 1000

    with Devices(mosquitto.port, started) as devices:
        for number in range(KILLS):
            with Program(*options) as service:
                # Some die while they start, some in the middle of the backlog, some later.
                if number % 4:
                    service.url()
                time.sleep(moments.uniform(0.05, 2.0))
                service.kill()
        wait_for(lambda: devices.error or devices.rounds >= 70, 120, "enough rounds after the burst")
        devices.end()
    assert devices.error == ""

    with Program(*options) as last:
        visitor = Visitor(last.url(), "kill-test").log_in(password)
        wait_for(lambda: settled(visitor), 60, "an empty queue")
        alarms = [a for a in visitor.alarms() if a["rule"] == "water.burst"]
        others = [a for a in visitor.alarms() if a["rule"] != "water.burst"]
        wait_for(visitor.tickets, 40, "the ticket")
        tickets, ledger = visitor.tickets(), count_of(visitor)
        assert visitor.get("/quarantine") == []
        last.terminate()

    kept = stored(data)
    wanted = devices.sent
    assert len(wanted) == devices.rounds * (len(METERS) + 2)
    missing = sorted(set(wanted) - set(kept))
    invented = sorted(set(kept) - set(wanted))
    assert (missing[:5], len(missing)) == ([], 0)
    assert (invented[:5], len(invented)) == ([], 0)
    assert {key: kept[key] for key in wanted} == wanted

    assert [(a["device"], a["root"]) for a in alarms] == [("riser", None)]
    assert others == []
    assert [(t["device"], t["alarm"]) for t in tickets] == [("riser", alarms[0]["id"])]
    assert ledger["received"] == ledger["decoded"]
    assert ledger["conflict"] == 0
    # What was stored when the kill came, and not counted yet, counts as a duplicate the second time.
    assert ledger["readings"] == ledger["stored"] + ledger["duplicate"]
    assert ledger["readings"] >= len(wanted)
