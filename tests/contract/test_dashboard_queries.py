"""Every query and variable of every dashboard, asked of a real InfluxDB as Grafana would ask it.

The readings are those of the simulated estate, through profiles, journal and store; the one who
asks is a user who can only read, as in docker-compose.yml.
"""

from __future__ import annotations

import base64
import json
import os
import re
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from influxdb_client.client.influxdb_client import InfluxDBClient
from tests.acceptance.estate_day import EstateDay
from tests.servers.influx import Bucket, Influx

from dutyroom.backends.readings_influx import InfluxReadingStore
from dutyroom.interfaces import ReadingStore
from dutyroom.model.telemetry import DeviceClass, Kind, Point, PointSpec, PointTable, Readings
from dutyroom.profiles.decode import load_library
from dutyroom.timebase import HOUR, MINUTE, zone

pytestmark = pytest.mark.servers

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "dashboards" / "en"
BOARDS = {f.stem: json.loads(f.read_text(encoding="utf-8")) for f in sorted(FOLDER.glob("*.json"))}
T = 1_793_491_200_000
HOURS = 2
# Grafana's name of each unit.
SHOWN_AS = {
    "m3": "m3", "m3/h": "suffix:m³/h", "kWh": "kwatth", "kW": "kwatt", "V": "volt", "A": "amp", "Hz": "hertz",
    "degC": "celsius", "%": "percent", "m": "lengthm", "1/min": "rotrpm", "h": "h", "": "none",
}  # fmt: skip


class EstateInInflux(EstateDay):
    """The simulated estate whose readings go to InfluxDB."""

    def __init__(self, store: ReadingStore, folder: Path) -> None:
        self._influx = store
        library = load_library(ROOT / "device_profiles", zone("Asia/Shanghai"))
        super().__init__(folder, library, T, units=8)

    def _start_flows(self) -> None:
        self.store = self._influx  # type: ignore[assignment]
        super()._start_flows()


@dataclass(frozen=True)
class Filled:
    """A bucket that holds two hours of the estate, its points, and who may ask."""

    bucket: Bucket
    table: PointTable
    site: str
    login: str

    def ask(self, query: str) -> list[dict[str, Any]]:
        return ask(self.bucket, self.in_grafana(query), self.login)

    def in_grafana(self, query: str, device: str = ".*") -> str:
        """The query with its variables replaced, as Grafana does it."""
        between = f"time >= {T}ms AND time < {T + HOURS * HOUR}ms"
        query = query.replace("$timeFilter", between).replace("$__interval", "5m")
        query = query.replace("/^$site$/", f"/^{self.site}$/").replace("/^$device$/", f"/^{device}$/")
        assert "$" not in query.replace("$/", ""), query
        return query


class Refused(Exception):
    """InfluxDB does not answer a query; the text says why."""


def ask(bucket: Bucket, query: str, login: str = "") -> list[dict[str, Any]]:
    given = f"Basic {base64.b64encode(login.encode()).decode()}" if login else f"Token {bucket.token}"
    body = urllib.parse.urlencode({"db": bucket.name, "epoch": "ms", "q": query}).encode()
    request = urllib.request.Request(f"{bucket.url}/query", body, {"Authorization": given})
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            result: dict[str, Any] = json.load(answer)["results"][0]
    except urllib.error.HTTPError as err:
        with err:
            raise Refused(f"{err.code}: {err.read().decode()}") from None
    if "error" in result:
        raise Refused(f"{query}: {result['error']}")
    series: list[dict[str, Any]] = result.get("series", [])
    return series


def only_reads(server: Influx, bucket: Any, org: str) -> str:
    """A 1.x user with the right that the provisioning script gives; user:password."""
    name, password = f"grafana-{bucket.name}", "only-reads"

    def post(path: str, body: dict[str, Any]) -> dict[str, Any]:
        headers = {"Authorization": f"Token {server.token}", "Content-Type": "application/json"}
        request = urllib.request.Request(f"{server.url}{path}", json.dumps(body).encode(), headers)
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.loads(answer.read() or b"{}")  # type: ignore[no-any-return]

    right = {"action": "read", "resource": {"type": "buckets", "id": bucket.id, "orgID": org}}
    made = post("/private/legacy/authorizations", {"orgID": org, "token": name, "permissions": [right]})
    post(f"/private/legacy/authorizations/{made['id']}/password", {"password": password})
    return f"{name}:{password}"


@pytest.fixture(scope="module")
def filled(influx_server: Influx, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Filled]:
    server = influx_server
    with InfluxDBClient(url=server.url, token=server.token, org=server.org) as client:
        bucket = client.buckets_api().create_bucket(bucket_name=f"boards-{os.getpid()}", org=server.org)
        store = InfluxReadingStore(server.url, server.token, server.org, bucket.name, "lakeside")
        estate = EstateInInflux(store, tmp_path_factory.mktemp("estate"))
        assert estate.site.id == "lakeside"
        estate.world.inject("clock_wrong", T + MINUTE, {})  # some readings of lesser quality
        estate.until(T + HOURS * HOUR, MINUTE)
        login = only_reads(server, bucket, bucket.org_id)
        made = Bucket(server.url, server.token, server.org, bucket.name)
        yield Filled(made, estate.table, estate.site.id, login)
        estate.close()
        store.close()
        client.buckets_api().delete_bucket(bucket)


def panels(board: dict[str, Any]) -> list[dict[str, Any]]:
    """Panels, also those below a row that is closed."""
    rows = [p for p in board["panels"] if p["type"] == "row"]
    return [p for p in board["panels"] if p["type"] != "row"] + [p for row in rows for p in row["panels"]]


def rows(series: list[dict[str, Any]]) -> int:
    return sum(len(one["values"]) for one in series)


@pytest.mark.parametrize("name", sorted(BOARDS))
def test_every_query_of_a_dashboard_gives_rows(filled: Filled, name: str) -> None:
    empty = []
    for panel in panels(BOARDS[name]):
        found = [rows(filled.ask(target["query"])) for target in panel["targets"]]
        # Not every class has a reading of lesser quality.
        enough = any(found) if panel["title"] == "Readings of lesser quality" else all(found)
        if not enough:
            empty.append((panel["title"], found))
    for variable in BOARDS[name]["templating"]["list"]:
        if variable["type"] == "query" and not rows(filled.ask(variable["query"])):
            empty.append((variable["name"], []))
    assert empty == []


@pytest.mark.parametrize("name", sorted(BOARDS))
def test_every_field_asked_for_is_a_point_and_shown_in_its_unit(filled: Filled, name: str) -> None:
    units = {(p.device_class.value, p.spec.name): p.spec.unit for p in filled.table}
    for panel in panels(BOARDS[name]):
        for target in panel["targets"]:
            query = target["query"].split("FROM (")[-1]
            (measurement,) = set(re.findall(r'FROM "(\w+)" WHERE', query))
            (field,) = {
                f.removesuffix("_step").removesuffix("_q") for f in re.findall(r'\(\"(\w+)"\)', query)
            }
            assert (measurement, field) in units, panel["title"]
            shown = panel["fieldConfig"]["defaults"]["unit"]
            if "count(" not in query:
                assert shown == SHOWN_AS[units[measurement, field]], (panel["title"], field)


@pytest.mark.parametrize("name", sorted(BOARDS))
def test_a_device_that_is_chosen_is_the_only_one_shown(filled: Filled, name: str) -> None:
    (variable,) = [v for v in BOARDS[name]["templating"]["list"] if v["name"] == "device"]
    ((_, first), *others) = filled.ask(variable["query"])[0]["values"]
    narrowed = 0
    for panel in panels(BOARDS[name]):
        for target in panel["targets"]:
            if "$device" in target["query"] and target["alias"].startswith("$tag_device"):
                query = filled.in_grafana(target["query"], device=f"({re.escape(first)})")
                shown = {series["tags"]["device"] for series in ask(filled.bucket, query, filled.login)}
                assert shown <= {first}, panel["title"]
                narrowed += bool(shown)
    assert narrowed or name == "data"
    assert others or name in ("fire", "generators")


def test_the_user_of_grafana_can_only_read(filled: Filled) -> None:
    before = ask(filled.bucket, "SHOW MEASUREMENTS")
    for query in ('DROP MEASUREMENT "tank"', 'DELETE FROM "tank"'):
        with pytest.raises(Refused, match=r"write permission|insufficient permissions|unauthorized"):
            ask(filled.bucket, query, filled.login)
    with pytest.raises(Refused, match="401"):
        ask(filled.bucket, "SHOW MEASUREMENTS", "grafana:guessed")
    assert ask(filled.bucket, "SHOW MEASUREMENTS") == before
    assert rows(filled.ask('SELECT count("level") FROM "tank"')) == 1


# ------------------------------------------------------------ figures that a person checks by hand


def two_meters(bucket: Bucket, registers: dict[str, list[int]]) -> Filled:
    """Electricity meters that are read each five minutes from T on, in steps of 0.01 kWh."""
    store = InfluxReadingStore(bucket.url, bucket.token, bucket.org, bucket.name, "estate")
    spec = PointSpec("energy", "energy", "kWh", Kind.COUNTER, Decimal("0.01"))
    points = [
        Point(number, "estate", device, DeviceClass.ELECTRICITY_METER, "A", spec)
        for number, device in enumerate(registers)
    ]
    table = PointTable(points)
    for point, values in zip(points, registers.values(), strict=True):
        n = len(values)
        at = T + np.arange(n, dtype=np.int64) * 5 * MINUTE
        columns = (np.full(n, point.id, np.int32), at, np.array(values, np.float64))
        store.write(Readings(*columns, np.zeros(n, np.uint8), np.zeros(n, np.int32)), table)
    store.close()
    return Filled(bucket, table, "estate", "")


def query_of(board: str, title: str) -> str:
    (found,) = [p for p in panels(BOARDS[board]) if p["title"] == title]
    return str(found["targets"][0]["query"])


def test_what_a_meter_counted_is_right_whatever_its_step(influx: Bucket) -> None:
    steps = [1000 + 3 * i for i in range(HOURS * 12)]
    filled = two_meters(influx, {"A power": steps, "B power": steps})
    (total,) = filled.ask(query_of("electricity", "Used by the meters chosen"))
    assert total["values"][0][1] == pytest.approx(2 * (steps[-1] - steps[0]) * 0.01)
    (hourly,) = filled.ask(query_of("electricity", "Used each hour"))
    # An hour's use is from the last register of the hour before.
    assert [used for _, used in hourly["values"]] == pytest.approx([2 * 36 * 0.01] * (HOURS - 1))
    assert [at for at, _ in hourly["values"]] == [T + HOUR]
    (top,) = filled.ask(query_of("electricity", "Ten largest users"))
    assert {row[2] for row in top["values"]} == {"A power", "B power"}


def test_a_meter_that_was_exchanged_spoils_no_sum(influx: Bucket) -> None:
    steps = [1000 + 3 * i for i in range(HOURS * 12)]
    exchanged = [90_000 + i for i in range(18)] + list(range(18))
    filled = two_meters(influx, {"whole": steps, "exchanged": exchanged})
    (total,) = filled.ask(query_of("electricity", "Used by the meters chosen"))
    assert total["values"][0][1] == pytest.approx((steps[-1] - steps[0]) * 0.01)
    (hourly,) = filled.ask(query_of("electricity", "Used each hour"))
    assert all(0 <= used < 1 for _, used in hourly["values"])
