"""A whole `dutyroom serve` with its broker and store, of the meters of `stream.py`, for `bench_live`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.acceptance.demo_process import Program, tree, wait_for
from tests.bench import stream
from tests.bench.bench_ingest import fresh_bucket
from tests.servers.influx import Bucket, find_influx
from tests.servers.mosquitto import Mosquitto

from dutyroom.settings import Settings

# That it writes down all that waits in it every second is for the tests that kill it.
SETTINGS = "max_inflight_messages 0\nset_tcp_nodelay true\nautosave_interval 600\n"
SITE = "tb"


@dataclass(frozen=True, slots=True)
class Rig:
    """A service that runs, and what runs beside it by name: processes."""

    settings: Settings
    broker: Mosquitto
    processes: Callable[[], Mapping[str, Sequence[int]]]


@contextmanager
def rig_of(folder: Path, kind: str) -> Iterator[Rig]:
    folder.mkdir(parents=True)
    broker = Mosquitto(folder / "broker", SETTINGS)
    broker.start()
    server = find_influx(folder / "influx") if kind == "influx" else None
    try:
        settings, more = _settings(folder, fresh_bucket(server) if server is not None else None)
        site = _site(folder / "site", broker.port)
        arguments = ("serve", "--site", site, "--data", settings.data, "--port", "0")
        with Program(*arguments, more=more) as service:
            service.url(180)
            memory = settings.data / "sites" / SITE / "subscriptions.json"
            wait_for(lambda: memory.exists() and "tb/+/telemetry" in memory.read_text(), 60, "a subscription")

            def processes() -> Mapping[str, Sequence[int]]:
                beside = [server.child.pid] if server is not None and server.child is not None else []
                found = {"service": tree(service.pid), "broker": [broker._child.pid], "InfluxDB": beside}
                return {name: list(pids) for name, pids in found.items() if pids}

            yield Rig(settings, broker, processes)
    finally:
        broker.stop()
        if server is not None:
            server.stop()


def _settings(folder: Path, bucket: Bucket | None) -> tuple[Settings, dict[str, str]]:
    """As the commands read them, and the same as variables of the environment."""
    given: dict[str, Any] = {"data": folder / "data", "canary": False}
    if bucket is not None:
        token = folder / "token"
        token.write_text(bucket.token)
        given |= {"readings": "influx", "influx_url": bucket.url, "influx_token_file": token}
        given |= {"influx_org": bucket.org, "influx_bucket": bucket.name}
    more = {f"DUTYROOM_{name.upper()}": str(value) for name, value in given.items() if name != "data"}
    return Settings(**given), more


def _site(folder: Path, port: int) -> Path:
    profiles = folder / "device_profiles" / "bench"
    profiles.mkdir(parents=True)
    (profiles / "pulse.yaml").write_text(stream.PROFILE)
    (folder / "rules.yaml").write_text(stream.RULES)
    (folder / "site.yaml").write_text(
        f"id: {SITE}\nname: {{en: Load}}\ntime_zone: Asia/Shanghai\nlanguage: en\n"
        f"broker: {{host: 127.0.0.1, port: {port}, topics: ['tb/+/telemetry']}}\n"
    )
    rows = [f"m{n:05d},Meter {n},water_meter,bench/pulse,m{n:05d},,900," for n in range(stream.DEVICES)]
    head = "id,name,class,profile,address,space,interval_s,parameters"
    (folder / "devices.csv").write_text("\n".join([head, *rows, ""]))
    return folder
