"""From a device's message to the page: `python -m tests.bench.bench_page`.

A real site (the estate's folder and 1,000 meters more) is served with a real Mosquitto, or with the
embedded broker. The simulators' load command publishes at a steady rate; a few times a second a marked
reading of a riser goes in between. Measured is the time from its publishing to the event on the
server-sent stream that a page would get. Beside it, in the same run, a bare paho subscriber on the same
broker and topic: the least that any subscriber needs.
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion
from tests.acceptance.demo_process import Program, Stream, Visitor, tree, wait_for
from tests.bench.measure import cpu_seconds, machine, median, percentile
from tests.servers.child import Missing
from tests.servers.mosquitto import Mosquitto

from dutyroom.backends.broker import EmbeddedBroker
from dutyroom_simulators.payloads import water_tts

LIMIT_MS = 1000.0
RISER = "A-riser"
LOAD_METERS = 1_000


@contextmanager
def broker(kind: str, folder: Path) -> Iterator[int]:
    """The port of a running broker."""
    if kind == "mosquitto":
        own = Mosquitto(folder)
        own.start()
        try:
            yield own.port
        finally:
            own.stop()
    else:
        with EmbeddedBroker(folder) as embedded:
            yield embedded.port


def estate_site(folder: Path, port: int) -> Path:
    """The simulated estate's own folder, with our broker and the meters of the load command."""
    made = [sys.executable, "-m", "dutyroom_simulators", "site", str(folder)]
    subprocess.run(made, check=True, stdin=subprocess.DEVNULL)
    with (folder / "site.yaml").open("a", encoding="utf-8") as head:
        head.write(f"broker:\n  host: 127.0.0.1\n  port: {port}\n")
    devices = folder / "devices.csv"
    columns = devices.read_text(encoding="utf-8").splitlines()[0].split(",")
    with devices.open("a", encoding="utf-8", newline="") as out:
        for n in range(LOAD_METERS):
            row = {
                "id": f"load-{n}",
                "name": f"load-{n}",
                "class": "water_meter",
                "profile": "wmbusmeters/water",
                "address": str(10_000_000 + n),
            }
            out.write(",".join(row.get(column, "") for column in columns) + "\n")
    return folder


@dataclass
class Marks:
    """Marked readings: the register in litres names the mark. sent, heard: monotonic seconds by mark."""

    port: int
    sent: dict[int, float] = field(default_factory=dict)
    heard: dict[int, float] = field(default_factory=dict)
    _client: paho.Client | None = None
    _peer: paho.Client | None = None

    def __enter__(self) -> Marks:
        self._client, self._peer = self._connect(), self._connect()
        topic, _ = self.message(1)
        self._peer.on_message = self._heard
        subscribed = threading.Event()
        self._peer.on_subscribe = lambda *_: subscribed.set()
        self._peer.subscribe(topic, 1)
        assert subscribed.wait(10), "the peer could not subscribe"
        return self

    def _connect(self) -> paho.Client:
        client = paho.Client(CallbackAPIVersion.VERSION2)
        client.connect("127.0.0.1", self.port)
        client.loop_start()
        return client

    def message(self, mark: int) -> tuple[str, bytes]:
        """The riser's register grows by a litre a mark; its flow is nothing to worry about."""
        return water_tts(EUI_OF[RISER], mark / 1000, 0.4, int(time.time() * 1000))

    def _heard(self, _client: object, _data: object, message: paho.MQTTMessage) -> None:
        values = json.loads(message.payload)["uplink_message"]["decoded_payload"]
        self.heard[round(values["volume"]["value"] * 1000)] = time.monotonic()

    def publish(self, mark: int) -> None:
        assert self._client is not None
        topic, body = self.message(mark)
        self.sent[mark] = time.monotonic()
        self._client.publish(topic, body, qos=1)

    def __exit__(self, *_: object) -> None:
        for client in (self._client, self._peer):
            if client is not None:
                client.disconnect()
                client.loop_stop()


EUI_OF: dict[str, str] = {}


def seen(stream: Stream, point: int) -> dict[int, float]:
    """Registers (litres) that came to the page, and when each came first."""
    times: dict[int, float] = {}
    for event in list(stream.events):
        if event.name != "tick":
            continue
        for value in event.data.get("values", []):
            if value["point"] == point:
                times.setdefault(round(float(value["text"].replace(",", "")) * 1000), event.at)
    return times


def shown(mark: int, times: dict[int, float]) -> float | None:
    """When the page first showed the mark or a later one: a tick carries only the newest value."""
    return min((at for litres, at in times.items() if litres >= mark), default=None)


@dataclass
class Run:
    """ms by mark on the page and at the bare subscriber; what the service used."""

    page: list[float]
    bare: list[float]
    sent: int
    overtaken: int
    cores: float
    rate: str


def one_run(visitor: Visitor, port: int, rate: float, seconds: float, service: int) -> Run:
    """service: its process."""
    point = int(visitor.points(RISER)["volume"]["point"])
    random.seed(1)
    load = [sys.executable, "-m", "dutyroom_simulators", "load", "--port", str(port), "--rate", str(rate)]
    load += ["--seconds", str(seconds + 4), "--devices", str(LOAD_METERS)]
    with visitor.stream() as stream, Marks(port) as marks:
        loading = subprocess.Popen(load, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
        time.sleep(2)
        before, began = cpu_seconds(tree(service)), time.monotonic()
        while time.monotonic() - began < seconds:
            marks.publish(1 + len(marks.sent))
            # Not in step with the stream's own rhythm, and no two within one of its ticks.
            time.sleep(random.uniform(0.35, 0.65))
        cores = (cpu_seconds(tree(service)) - before) / (time.monotonic() - began)
        said, _ = loading.communicate(timeout=120)
        last = max(marks.sent)
        wait_for(lambda: shown(last, seen(stream, point)), 30, "the last mark on the page")
        times = seen(stream, point)
    arrived = ((at, shown(mark, times)) for mark, at in marks.sent.items())
    page = [(there - at) * 1000 for at, there in arrived if there is not None]
    bare = [(marks.heard[m] - at) * 1000 for m, at in marks.sent.items() if m in marks.heard]
    return Run(page, bare, len(marks.sent), sum(m not in times for m in marks.sent), cores, said.strip())


def report(runs: list[Run]) -> None:
    def over(name: str, values: list[list[float]]) -> tuple[float, float]:
        halves = [percentile(v, 0.5) for v in values]
        tails = [percentile(v, 0.95) for v in values]
        print(
            f"{name:<36} p50 {median(halves):6.1f} ms   p95 {median(tails):6.1f} ms   "
            f"worst {max(max(v) for v in values):6.1f} ms   (p95 of each run: {', '.join(f'{t:.0f}' for t in tails)})"
        )
        return median(halves), median(tails)

    half, tail = over("message to page", [r.page for r in runs])
    bare_half, bare_tail = over("message to a bare paho subscriber", [r.bare for r in runs])
    print(f"ratio: p50 {half / bare_half:.0f} x, p95 {tail / bare_tail:.0f} x")
    print(
        f"marks {sum(r.sent for r in runs)}, overtaken by the next within a tick {sum(r.overtaken for r in runs)}; the service used "
        f"{', '.join(f'{r.cores:.2f}' for r in runs)} cores; load: {'; '.join(r.rate for r in runs)}"
    )
    print(f"p95 limit {LIMIT_MS:.0f} ms: {'met' if tail <= LIMIT_MS else 'MISSED'}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--broker", choices=("mosquitto", "embedded"), default="mosquitto")
    parser.add_argument("--rate", type=float, default=500, help="messages a second beside the marks")
    parser.add_argument("--seconds", type=float, default=40, help="of one run")
    parser.add_argument("--runs", type=int, default=3)
    given = parser.parse_args()
    print(machine(), flush=True)
    print(f"{given.rate:g} messages/s by {LOAD_METERS} meters, {given.broker}, {given.seconds:g} s a run")
    runs = []
    for _ in range(given.runs):  # each from the start: the load's registers begin at 0 again
        with tempfile.TemporaryDirectory() as place:
            try:
                with broker(given.broker, Path(place) / "broker") as port:
                    runs.append(serve(Path(place), port, given))
            except Missing as err:
                raise SystemExit(f"{err}; or: --broker embedded") from err
    report(runs)


def serve(folder: Path, port: int, given: argparse.Namespace) -> Run:
    """One run on a service of its own."""
    site = estate_site(folder / "site", port)
    rows = (line.split(",") for line in (site / "devices.csv").read_text(encoding="utf-8").splitlines())
    header = next(rows)
    EUI_OF.update({row[header.index("id")]: row[header.index("address")] for row in rows})
    with Program("serve", "--site", site, "--data", folder / "data", "--port", "0") as service:
        url = service.url()
        password = service.expect(r"one-time password (\S+)")[1]
        visitor = Visitor(url).log_in(password)
        wait_for(lambda: visitor.get("")["broker"], 30, "the connection to the broker")
        run = one_run(visitor, port, given.rate, given.seconds, service.pid)
        ledger = visitor.get("/ledger", since=0)
        received, decoded = (sum(row[name] for row in ledger) for name in ("received", "decoded"))
        print(
            f"   received {received}, decoded {decoded}, in quarantine {len(visitor.get('/quarantine'))}, "
            f"open alarms {len(visitor.get('/alarms'))}",
            flush=True,
        )
        service.terminate()
        return run


if __name__ == "__main__":
    main()
