"""Who drains a broker's queue in `bench_ingest`, each as a process of its own.

`python -m tests.bench.consumers KIND FOLDER PORT COUNT [INFLUX...]` subscribes, and with COUNT > 0 drains that
many messages down to where it keeps them; then it prints one JSON line with processor seconds and wall
seconds, both from just before the connection: what a process needs to start is not counted for any of them.
KIND: stock | journal | embedded | influx.
"""

from __future__ import annotations

import json
import os
import resource
import sys
import threading
import time
from collections import defaultdict, deque
from pathlib import Path
from typing import Any

SITE, DEVICES = "bench", 5_000
TOPIC = "meters/{device}/up"
CLIENT = {
    "stock": "bench-stock",
    "journal": f"dutyroom-{SITE}",
    "embedded": f"dutyroom-{SITE}",
    "influx": f"dutyroom-{SITE}",
}

PROFILE = """\
name: {en: A meter of flat JSON}
class: electricity_meter
match: {topics: ["meters/{meter}/up"]}
identity: "{meter}"
time: {from: ts, format: epoch_ms}
interval: 15m
points:
  energy: {from: kwh, quantity: energy, kind: counter, step: 0.01, digits: 8}
  power: {from: kw, quantity: power, low: -1000, high: 1000}
  voltage: {from: v, quantity: voltage, low: 0, high: 1000}
  current: {from: a, quantity: current, low: 0, high: 1000}
  frequency: {from: hz, quantity: frequency, low: 0, high: 100}
  temperature: {from: t, quantity: temperature, low: -40, high: 120}
  relay: {from: rly, kind: state}
examples:
  - topic: meters/m00001/up
    payload: {ts: 1795575600000, kwh: 1.5}
    expect: {m00001: {energy: 1.5}}
"""
RULES = """\
rules:
  - {id: bench.overvoltage, kind: limit, name: Overvoltage, select: {classes: [electricity_meter]},
     point: voltage, parameters: {above: 260, deadband: 5}, on_delay: 60s, priority: 3, ticket: never}
  - {id: bench.overload, kind: limit, name: Overload, select: {classes: [electricity_meter]},
     point: power, parameters: {above: 100, deadband: 5}, on_delay: 60s, priority: 3, ticket: never}
  - {id: bench.hot, kind: limit, name: Hot terminal, select: {classes: [electricity_meter]},
     point: temperature, parameters: {above: 80, deadband: 5}, priority: 2, ticket: never}
"""


def payload(device: int, number: int, at: int) -> bytes:
    """138 bytes of flat JSON: 7 values, a time, and two texts that nobody keeps; different in each message."""
    spread = (device * 7919 + number * 104729) % 1000
    return (
        b'{"ts":%d,"kwh":%.2f,"kw":%.3f,"v":%.2f,"a":%.3f,"hz":%.3f,"t":%.2f,"rly":1,"id":"m%05d","sn":"%05d","fw":"1.4.2"}'
        % (
            at, 10_000 + device + number * 0.01, 1 + spread / 500, 225 + spread / 100, 10 + spread / 90,
            49.9 + spread / 5000, 30 + spread / 100, device, device,
        )
    )  # fmt: skip


def write_site(folder: Path, port: int) -> None:
    """A site of 5,000 such meters; what the product ships of rules works beside our own."""
    profiles = folder / "device_profiles" / "bench"
    profiles.mkdir(parents=True, exist_ok=True)
    (profiles / "meter.yaml").write_text(PROFILE)
    (folder / "rules.yaml").write_text(RULES)
    (folder / "site.yaml").write_text(
        f"id: {SITE}\nname: {{en: Bench}}\ntime_zone: Asia/Shanghai\nlanguage: en\n"
        f"broker: {{host: 127.0.0.1, port: {port}, topics: ['meters/+/up']}}\n"
    )
    rows = [f"m{n:05d},Meter {n},electricity_meter,bench/meter,m{n:05d},,900," for n in range(DEVICES)]
    head = "id,name,class,profile,address,space,interval_s,parameters"
    (folder / "devices.csv").write_text("\n".join([head, *rows, ""]))


def used() -> float:
    """Processor seconds of this process until now."""
    found = resource.getrusage(resource.RUSAGE_SELF)
    return found.ru_utime + found.ru_stime


def rest() -> None:
    """Until this process does nothing for a moment."""
    before = -1.0
    while used() - before > 0.02:
        before = used()
        time.sleep(0.5)


def tell(count: int, cpu: float, wall: float, **more: Any) -> None:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(
        json.dumps({"messages": count, "cpu_s": cpu, "wall_s": wall, "peak_mb": round(peak), **more}),
        flush=True,
    )


# ---------------------------------------------------------------- the stock way


def stock(folder: Path, port: int, count: int, influx: list[str]) -> None:
    """paho's callbacks, pydantic's models, influxdb-client's batching writer with Point objects; three limits, a
    count by device and hour, and a message is acknowledged when InfluxDB has it, as with all others here."""
    import paho.mqtt.client as paho
    from influxdb_client.client.influxdb_client import InfluxDBClient
    from influxdb_client.client.write.point import Point
    from influxdb_client.client.write_api import WriteOptions
    from influxdb_client.domain.write_precision import WritePrecision
    from paho.mqtt.enums import CallbackAPIVersion
    from pydantic import BaseModel, Field

    class Reading(BaseModel):
        ts: int
        kwh: float = Field(ge=0, le=1e8)
        kw: float = Field(ge=-1000, le=1000)
        v: float = Field(ge=0, le=1000)
        a: float = Field(ge=0, le=1000)
        hz: float = Field(ge=0, le=100)
        t: float = Field(ge=-40, le=120)
        rly: int
        id: str

    url, token, org, bucket = influx
    client = InfluxDBClient(url=url, token=token, org=org)
    waiting: deque[tuple[int, int]] = deque()  # what InfluxDB does not have yet: packet id, QoS
    acknowledged, done, subscribed = [0], threading.Event(), threading.Event()
    alarms: dict[tuple[str, str], bool] = {}
    ledger: dict[tuple[int, str], int] = defaultdict(int)

    def written(_of: object, lines: bytes | str) -> None:
        """The batches of a writer are written one after the other."""
        for _ in range((lines if isinstance(lines, bytes) else lines.encode()).count(b"\n") + 1):
            mqtt.ack(*waiting.popleft())
            acknowledged[0] += 1
        if acknowledged[0] == count:
            done.set()

    options = WriteOptions(batch_size=5_000, flush_interval=1_000)
    writer = client.write_api(write_options=options, success_callback=written)

    def on_message(_client: Any, _data: Any, message: Any) -> None:
        r = Reading.model_validate_json(message.payload)
        for name, value, limit in (("v", r.v, 260.0), ("kw", r.kw, 100.0), ("t", r.t, 80.0)):
            if alarms.get((r.id, name), False) != (value > limit):
                alarms[r.id, name] = value > limit
        point = Point("electricity_meter").tag("site", SITE).tag("device", r.id)
        point.field("energy", r.kwh).field("power", r.kw).field("voltage", r.v).field("current", r.a)
        point.field("frequency", r.hz).field("temperature", r.t).field("relay", r.rly)
        ledger[int(time.time()) // 3600, r.id] += 1
        waiting.append((message.mid, message.qos))
        writer.write(bucket, org, point.time(r.ts, WritePrecision.MS))

    mqtt = paho.Client(
        CallbackAPIVersion.VERSION2, client_id=CLIENT["stock"], clean_session=False, manual_ack=True
    )
    mqtt.on_message = on_message
    mqtt.on_connect = lambda c, *_: c.subscribe("meters/+/up", 1)
    mqtt.on_subscribe = lambda *_: subscribed.set()
    cpu, began = used(), time.monotonic()
    mqtt.connect("127.0.0.1", port)
    mqtt.loop_start()
    subscribed.wait(30)
    if count:
        done.wait()
        writer.close()
        assert sum(ledger.values()) == count
        tell(count, used() - cpu, time.monotonic() - began)
    mqtt.disconnect()
    mqtt.loop_stop()


# ---------------------------------------------------------------- ours


def ours(kind: str, folder: Path, port: int, count: int, influx: list[str]) -> None:
    """A site as `serve` and `ingest` run it: MQTT, profiles, journal, rules, and for all but `journal` the
    store's reader."""
    from dutyroom.backends.clock import SystemClock
    from dutyroom.backends.datafolder import DataFolder
    from dutyroom.backends.readings_embedded import EmbeddedReadingStore
    from dutyroom.flows.keep import READER as KEEP
    from dutyroom.flows.watch import READER as WATCH
    from dutyroom.model.telemetry import Lane
    from dutyroom.settings import Settings
    from dutyroom.site import load_site
    from dutyroom.wiring.running import limits_of, open_site, spare_garbage
    from dutyroom.wiring.seeding import profiles_of
    from dutyroom.wiring.stores import records_of, store_of

    given: dict[str, Any] = {"data": folder / f"data-{kind}"}
    if kind == "influx":
        token = folder / "token"
        token.write_text(influx[1])
        given |= {
            "readings": "influx", "influx_url": influx[0], "influx_token_file": token, "influx_org": influx[2],
            "influx_bucket": influx[3],
        }  # fmt: skip
    settings = Settings(canary=False, **given)
    if not (folder / "site" / "site.yaml").exists():
        write_site(folder / "site", port)
    site = load_site(folder / "site")
    with DataFolder(settings.data) as data:
        records = records_of(settings)
        running = open_site(
            site, settings.data / "sites" / site.id, records, store_of(settings, site.id),
            profiles_of(site, folder / "site", data), SystemClock(), site.brokers, limits_of(settings),
        )  # fmt: skip
        journal, table = running.journal, running.runtime.table
        if kind == "journal":
            running.loops = [loop for loop in running.loops if loop.name != "keep"]
        before = sum(row.received for row in journal.ledger(0))
        spare_garbage()  # as `running.start` does; the session comes last here, when all else has started
        for loop in running.loops:
            loop.start()
        running.cron.start()
        rest()
        cpu, began = used(), time.monotonic()
        running.session.start()
        while not running.runtime.broker_ok():
            time.sleep(0.01)
        time.sleep(0.3)  # it has subscribed by then
        print("ready", flush=True)
        live = running.runtime.live
        while count and not live.messages:
            time.sleep(0.002)
        heard = time.monotonic()
        while live.messages < count:
            time.sleep(0.05)
        wall, live_s = time.monotonic() - began, time.monotonic() - heard

        def watched() -> int:
            with records.read() as tx:
                return tx.cursor(site.id, WATCH, Lane.NORMAL)

        while count and kind != "journal" and journal.cursor(KEEP, Lane.NORMAL) < journal.last(Lane.NORMAL):
            time.sleep(0.25)
            wall = time.monotonic() - began
        while count and watched() < journal.last(Lane.NORMAL):  # where nothing was found, with the next tick
            time.sleep(0.25)
        store = running.runtime.store
        while count and kind == "embedded" and isinstance(store, EmbeddedReadingStore):
            if not store.tidy(all_of_it=True):  # all of it in chunks: what is left for later is counted too
                break
        spent = used() - cpu
        if count:
            rows = journal.ledger(0)
            received = sum(row.received for row in rows) - before
            assert received == count, f"the ledger has {received} of {count} messages"
            assert sum(row.decoded for row in rows) == sum(row.received for row in rows)
            if kind != "journal":
                assert all(r.readings == r.stored + r.duplicate + r.conflict for r in rows), (
                    "does not balance"
                )
            points, readings = len(table), sum(r.readings for r in rows)
            tell(count, spent, wall, points=points, readings=readings, live_s=live_s)
        running.stop()
        records.close()


def main() -> None:
    kind, folder, port, count, *influx = sys.argv[1:]
    (stock if kind == "stock" else lambda *a: ours(kind, *a))(Path(folder), int(port), int(count), influx)
    sys.stdout.flush()
    os._exit(0)  # whatever threads a library has left


if __name__ == "__main__":
    main()
