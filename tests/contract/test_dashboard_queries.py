"""Every query and variable of every dashboard, run against a real InfluxDB, gives rows."""

from __future__ import annotations

import json
import math
import urllib.parse
import urllib.request
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.servers.influx import Bucket

from dutyroom.backends.readings_influx import InfluxReadingStore
from dutyroom.model.telemetry import DeviceClass, Kind, Point, PointSpec, PointTable, Quality, Readings
from dutyroom.timebase import HOUR, MINUTE

pytestmark = pytest.mark.servers

FOLDER = Path(__file__).parents[2] / "dashboards" / "en"
T = 1_790_000_000_000
HOURS = 6

_C = DeviceClass
COUNTERS = {
    (_C.WATER_METER, "volume"): "0.001",
    (_C.ELECTRICITY_METER, "energy"): "0.01",
    (_C.GAS_METER, "volume"): "0.001",
    (_C.ELEVATOR, "trips"): "1",
    (_C.GENERATOR, "hours"): "0.1",
}
GAUGES = {
    _C.WATER_METER: ("flow", "temperature", "battery"),
    _C.ELECTRICITY_METER: ("power", "voltage", "current"),
    _C.GAS_METER: ("battery",),
    _C.ELEVATOR: ("floor",),
    _C.FIRE_PANEL: ("isolated",),
    _C.TANK: ("level", "battery"),
    _C.PUMP: ("power",),
    _C.GENERATOR: ("power", "voltage", "frequency", "speed", "coolant", "battery", "fuel"),
}
STATES = {
    _C.ELEVATOR: ("trapped", "mode", "fault_code", "door"),
    _C.FIRE_PANEL: ("alarm", "fault", "mains"),
    _C.PUMP: ("running",),
    _C.GATE: ("door_open", "door_forced", "system_error"),
    _C.GENERATOR: ("running",),
    _C.TRANSFER_SWITCH: ("source",),
    _C.GATEWAY: ("online",),
}


def estate() -> list[Point]:
    """Two devices of each class with the points that its profile gives."""
    specs: list[tuple[DeviceClass, PointSpec]] = []
    for (kind, name), step in COUNTERS.items():
        specs.append((kind, PointSpec(name, kind=Kind.COUNTER, step=Decimal(step))))
    specs += [(kind, PointSpec(name)) for kind, names in GAUGES.items() for name in names]
    specs += [(kind, PointSpec(name, kind=Kind.STATE)) for kind, names in STATES.items() for name in names]
    return [
        Point(number * 2 + which, "estate", f"{'AB'[which]} {kind.value}", kind, "A", spec)
        for number, (kind, spec) in enumerate(specs)
        for which in (0, 1)
    ]


def fill(store: InfluxReadingStore, points: list[Point]) -> None:
    """Six hours, a value each five minutes; registers rise, the rest swings."""
    table, n = PointTable(points), HOURS * 12
    for point in points:
        step = np.arange(n)
        wave = np.sin(step / n * 2 * math.pi + point.id)
        value = {Kind.COUNTER: 1000 + step * 3.0, Kind.STATE: (wave > 0.8) * 1.0}.get(
            point.spec.kind, 20 + wave
        )
        quality = np.where(step % 20 == 7, Quality.CLOCK, 0).astype(np.uint8)
        at = (T + step * 5 * MINUTE).astype(np.int64)
        columns = Readings(np.full(n, point.id, np.int32), at, value, quality, np.zeros(n, np.int32))
        store.write(columns, table)


def ask(bucket: Bucket, query: str) -> list[dict[str, Any]]:
    body = urllib.parse.urlencode({"db": bucket.name, "epoch": "ms", "q": query}).encode()
    request = urllib.request.Request(f"{bucket.url}/query", body, {"Authorization": f"Token {bucket.token}"})
    with urllib.request.urlopen(request, timeout=30) as answer:
        result: dict[str, Any] = json.load(answer)["results"][0]
    assert "error" not in result, (query, result["error"])
    series: list[dict[str, Any]] = result.get("series", [])
    return series


def as_grafana_would(query: str) -> str:
    between = f"time >= {T}ms AND time < {T + HOURS * HOUR}ms"
    query = query.replace("$timeFilter", between).replace("$__interval", "10m")
    query = query.replace("/^$site$/", "/^estate$/").replace("/^$device$/", "/^.*$/")
    assert "$" not in query.replace("estate$/", "").replace(".*$/", ""), query
    return query


def test_every_query_of_every_dashboard_gives_rows(influx: Bucket) -> None:
    store = InfluxReadingStore(influx.url, influx.token, influx.org, influx.name, "estate")
    fill(store, estate())
    empty, asked = [], 0
    for file in sorted(FOLDER.glob("*.json")):
        dashboard = json.loads(file.read_text(encoding="utf-8"))
        wanted = [(p["title"], t["query"]) for p in dashboard["panels"] for t in p["targets"]]
        wanted += [(v["name"], v["query"]) for v in dashboard["templating"]["list"] if v["type"] == "query"]
        for title, query in wanted:
            asked += 1
            if not any(series["values"] for series in ask(influx, as_grafana_would(query))):
                empty.append(f"{file.stem}: {title}: {query}")
    store.close()
    assert empty == []
    assert asked > 60


def test_what_a_meter_counted_is_right_whatever_its_step(influx: Bucket) -> None:
    store = InfluxReadingStore(influx.url, influx.token, influx.org, influx.name, "estate")
    fill(store, estate())
    board = json.loads((FOLDER / "electricity.json").read_text(encoding="utf-8"))
    queries = {p["title"]: as_grafana_would(p["targets"][0]["query"]) for p in board["panels"]}
    steps = (HOURS * 12 - 1) * 3
    (total,) = ask(influx, queries["Used in this range"])
    assert total["values"][0][1] == pytest.approx(2 * steps * 0.01)
    (hourly,) = ask(influx, queries["Used each hour"])
    # An hour's use is from the last register of the hour before; the last hour here is not over.
    whole_hours = [used for _, used in hourly["values"][:-1]]
    assert whole_hours == pytest.approx([2 * 36 * 0.01] * 5)
    (top,) = ask(influx, queries["Ten largest users"])
    assert {row[2] for row in top["values"]} == {"A electricity_meter", "B electricity_meter"}
    store.close()
