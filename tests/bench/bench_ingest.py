"""What a message costs from the broker to where it is kept: `python -m tests.bench.bench_ingest`.

Mosquitto holds a queue of messages for a session that was made before (QoS 1, MQTT 3.1.1, nothing dropped); each
consumer drains it as a process of its own, and its processor time from the connection on is divided by the messages
(of Telegraf all but what a start without messages took). What is said to be in InfluxDB is counted there:

stock     paho's callbacks, pydantic, influxdb-client's batching writer with Point objects, into InfluxDB
telegraf  mqtt_consumer with a persistent session into InfluxDB, by its parser `json` (only where it was built:
          tests/servers/build_telegraf.sh)
json_v2   the same by its parser `json_v2`
journal   ours until the journal and the rules: durable, validated, counted in the ledger, acknowledged
embedded  the same, down into the embedded store, all of it compacted into chunks
influx    the same, down into InfluxDB

Each acknowledges what it has kept. All in one run, in turn, `--runs` times; the ratios are between medians.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from influxdb_client.client.influxdb_client import InfluxDBClient
from tests.bench.consumers import CLIENT
from tests.bench.flood import publish
from tests.bench.measure import cpu_seconds, machine, median, resident
from tests.servers.influx import Bucket, Influx, cached_build, find_influx
from tests.servers.mosquitto import Mosquitto

ROOT = Path(__file__).parents[2]
WAYS = ("stock", "telegraf", "json_v2", "journal", "embedded", "influx")
BY_TELEGRAF = ("telegraf", "json_v2")
INTO_INFLUX = ("stock", *BY_TELEGRAF, "influx")
VALUES = 7  # of a message
TELEGRAF = "telegraf-1.37.2"
CONFIG = """
[agent]
  interval = "10s"
  flush_interval = "200ms"
  metric_batch_size = 5000
  metric_buffer_limit = 1000000
  omit_hostname = true
[[inputs.mqtt_consumer]]
  servers = ["tcp://127.0.0.1:{port}"]
  topics = ["meters/+/up"]
  qos = 1
  persistent_session = true
  client_id = "bench-telegraf"
  max_undelivered_messages = 20000
  topic_tag = ""
  {parser}
[[outputs.influxdb_v2]]
  urls = ["{url}"]
  token = "{token}"
  organization = "{org}"
  bucket = "{bucket}"
"""
PARSER = {
    "telegraf": """data_format = "json"
  tag_keys = ["id"]
  json_time_key = "ts"
  json_time_format = "unix_ms"
  name_override = "electricity_meter"
""",
    "json_v2": """data_format = "json_v2"
  [[inputs.mqtt_consumer.json_v2]]
    measurement_name = "electricity_meter"
    timestamp_path = "ts"
    timestamp_format = "unix_ms"
    [[inputs.mqtt_consumer.json_v2.tag]]
      path = "id"
"""
    + "".join(
        f"""    [[inputs.mqtt_consumer.json_v2.field]]
      path = "{path}"
      type = "{"int" if path == "rly" else "float"}"
"""
        for path in ("kwh", "kw", "v", "a", "hz", "t", "rly")
    ),
}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--messages", type=int, default=300_000)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--ways", default=",".join(WAYS))
    asked = parser.parse_args()
    ways = [way for way in WAYS if way in asked.ways.split(",")]
    print(machine())
    with tempfile.TemporaryDirectory() as folder:
        found = measured(Path(folder), ways, asked.messages, asked.runs)
    show(found, asked.messages)


def measured(folder: Path, ways: Sequence[str], count: int, runs: int) -> dict[str, list[dict[str, Any]]]:
    broker = Mosquitto(folder / "mosquitto", "max_inflight_messages 0\nset_tcp_nodelay true\n")
    broker.start()
    server = find_influx(folder / "influx")
    found: dict[str, list[dict[str, Any]]] = {way: [] for way in ways}
    try:
        for run in range(runs):
            for way in ways:
                if way in BY_TELEGRAF and telegraf() is None:
                    continue
                bucket, before = fresh_bucket(server), _server_s(server)
                one = drained(way, folder / f"{way}-{run}", broker.port, bucket, count)
                if way in INTO_INFLUX:
                    one["influxd_s"] = _server_s(server) - before
                    _all_there(bucket, count)
                print(f"{way}, run {run + 1}: {one}", file=sys.stderr, flush=True)
                found[way].append(one)
    finally:
        server.stop()
        broker.stop()
    return {way: rows for way, rows in found.items() if rows}


def _server_s(server: Influx) -> float:
    """Processor seconds of InfluxDB; 0 where it is no process of ours."""
    return cpu_seconds([server.child.pid]) if server.child is not None else 0.0


def _all_there(bucket: Bucket, count: int) -> None:
    """Each message has its own device and time, so of each of the seven values there are as many as messages."""
    asked = (
        f'from(bucket: "{bucket.name}") |> range(start: 0, stop: 2100-01-01T00:00:00Z) '
        '|> group(columns: ["_field"]) |> count()'
    )
    with InfluxDBClient(url=bucket.url, token=bucket.token, org=bucket.org, timeout=120_000) as client:
        rows = [record for table in client.query_api().query(asked) for record in table.records]
    found = {str(row.values["_field"]): int(row.get_value()) for row in rows}
    whole = [name for name, number in found.items() if number == count]
    assert len(whole) >= VALUES, f"of {count} messages InfluxDB has {found}"


def fresh_bucket(server: Influx) -> Bucket:
    with InfluxDBClient(url=server.url, token=server.token, org=server.org) as client:
        name = f"bench-{uuid.uuid4().hex[:8]}"
        client.buckets_api().create_bucket(bucket_name=name, org=server.org)
    return Bucket(server.url, server.token, server.org, name)


def telegraf() -> Path | None:
    """The program, where somebody built it."""
    built = cached_build().parent / TELEGRAF
    return built if built.exists() else (Path(found) if (found := shutil.which("telegraf")) else None)


def drained(way: str, folder: Path, port: int, bucket: Bucket, count: int) -> dict[str, Any]:
    """One consumer: makes its session, gets its queue, drains it; the session is removed afterwards."""
    folder.mkdir(parents=True)
    if way in BY_TELEGRAF:
        return _by_telegraf(way, folder, port, bucket, count)
    command = [sys.executable, "-m", "tests.bench.consumers", way, str(folder), str(port)]
    rest = [bucket.url, bucket.token, bucket.org, bucket.name]
    path = {**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'services'}"}
    subprocess.run([*command, "0", *rest], check=True, cwd=ROOT, env=path, stdout=subprocess.DEVNULL)
    took = publish(port, count)
    done = subprocess.run(
        [*command, str(count), *rest], check=False, cwd=ROOT, env=path, capture_output=True, text=True
    )
    if done.returncode:
        raise SystemExit(f"{way} failed:\n{done.stderr[-2000:]}")
    forget(port, CLIENT[way])
    told = next(line for line in reversed(done.stdout.splitlines()) if line.startswith("{"))
    return {**json.loads(told), "published_s": round(took, 1)}


def _by_telegraf(way: str, folder: Path, port: int, bucket: Bucket, count: int) -> dict[str, Any]:
    config = folder / "telegraf.conf"
    config.write_text(
        CONFIG.format(
            port=port,
            parser=PARSER[way],
            url=bucket.url,
            token=bucket.token,
            org=bucket.org,
            bucket=bucket.name,
        )
    )
    command = [str(telegraf()), "--config", str(config)]
    with (folder / "log").open("w") as log:
        first = subprocess.Popen(command, stderr=log, stdout=log)
        time.sleep(4)  # it has subscribed by then
        start = cpu_seconds([first.pid])
        first.terminate()
        first.wait()
        publish(port, count)
        began = ended = time.monotonic()
        second = subprocess.Popen(command, stderr=log, stdout=log)
        last, quiet = 0.0, 0
        while quiet < 4:  # it says nowhere that it is done: until it rests
            time.sleep(0.5)
            spent = cpu_seconds([second.pid])
            quiet = quiet + 1 if spent - last < 0.02 and spent > start + 0.05 else 0
            last, ended = spent, ended if quiet else time.monotonic()
        peak = resident(second.pid)
        second.terminate()
        second.wait()
    forget(port, "bench-telegraf")
    return {
        "messages": count, "cpu_s": last - start, "wall_s": ended - began, "peak_mb": peak >> 20, "start_s": start
    }  # fmt: skip


def forget(port: int, client: str) -> None:
    """Removes a session, so that the broker queues nothing for it any more."""
    import paho.mqtt.client as paho
    from paho.mqtt.enums import CallbackAPIVersion

    cleaner = paho.Client(CallbackAPIVersion.VERSION2, client_id=client, clean_session=True)
    cleaner.connect("127.0.0.1", port)
    cleaner.loop_start()
    time.sleep(0.3)
    cleaner.disconnect()
    cleaner.loop_stop()


def show(found: dict[str, list[dict[str, Any]]], count: int) -> None:
    cost = {way: median(row["cpu_s"] / row["messages"] * 1e6 for row in rows) for way, rows in found.items()}
    stock = cost.get("stock")
    print(f"\n{count:,} messages, medians of {max(len(rows) for rows in found.values())} runs\n")
    print(
        "| consumer | CPU a message | messages/s | the stock way costs | influxd a message | memory | runs |"
    )
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for way, rows in found.items():
        rate = median(row["messages"] / row["wall_s"] for row in rows)
        runs = ", ".join(f"{row['cpu_s'] / row['messages'] * 1e6:.1f}" for row in rows)
        ratio = f"{stock / cost[way]:.1f} x" if stock else ""
        server = [row["influxd_s"] / row["messages"] * 1e6 for row in rows if row.get("influxd_s")]
        beside = f"{median(server):.0f} µs" if server else ""
        memory = f"{median(row['peak_mb'] for row in rows):.0f} MB"
        print(f"| {way} | {cost[way]:.1f} µs | {rate:,.0f} | {ratio} | {beside} | {memory} | {runs} |")
    for way in BY_TELEGRAF:
        if way in cost and "influx" in cost:
            print(f"\ninto InfluxDB: {cost['influx'] / cost[way]:.2f} of what Telegraf spends ({way})")


if __name__ == "__main__":
    main()
