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
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from influxdb_client.client.influxdb_client import InfluxDBClient
from tests.acceptance.estate_day import EstateDay
from tests.servers.influx import Bucket, Influx
from tests.shipped_profiles import shipped_library

from dutyroom.alarms import step
from dutyroom.backends.influx_door import Door
from dutyroom.backends.influx_figures import InfluxFigures
from dutyroom.backends.influx_setup import set_up
from dutyroom.backends.influx_tasks import Plan, body, coarser
from dutyroom.backends.readings_influx import InfluxReadingStore
from dutyroom.flows.alarm_figures import transitions
from dutyroom.flows.canary import CanaryState
from dutyroom.flows.desk import Desk
from dutyroom.flows.figures import READER, Figures
from dutyroom.flows.health import Health
from dutyroom.flows.health_figures import Fields, completeness_fields, health_fields
from dutyroom.flows.skew import Skews
from dutyroom.interfaces import ReadingStore, Spool
from dutyroom.model.duty import Alarm, AlarmState, Priority
from dutyroom.model.duty import AlarmEvent as E
from dutyroom.model.telemetry import DeviceClass, Kind, Lane, Point, PointSpec, PointTable, Readings
from dutyroom.timebase import HOUR, MINUTE

pytestmark = pytest.mark.servers

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "dashboards"
BOARDS = {
    f"{f.parent.name}/{f.stem}": json.loads(f.read_text(encoding="utf-8"))
    for language in ("zh-CN", "en")
    for f in sorted((FOLDER / language).glob("*.json"))
}
ENGLISH = [name for name in BOARDS if name.startswith("en/")]
T = 1_793_491_200_000
HOURS = 2
DETAILS = ("autogen", "5m", "1h")
# Grafana's name of each unit.
SHOWN_AS = {
    "m3": "m3", "m3/h": "suffix:m³/h", "kWh": "kwatth", "kW": "kwatt", "V": "volt", "A": "amp", "Hz": "hertz",
    "degC": "celsius", "%": "percent", "m": "lengthm", "1/min": "rotrpm", "h": "h", "": "none",
}  # fmt: skip


class EstateInInflux(EstateDay):
    """The simulated estate whose readings and figures go to InfluxDB; alarms are acknowledged after a while."""

    def __init__(self, store: ReadingStore, figures: InfluxFigures, folder: Path) -> None:
        self._influx, self._figure_store = store, figures
        library = shipped_library()
        super().__init__(folder, library, T, units=8)

    def _start_flows(self) -> None:
        self.store = self._influx  # type: ignore[assignment]
        super()._start_flows()
        self.figures = Figures(
            self.site.id,
            self.records,
            self.journal,
            self._figure_store,
            self.clock,
            lambda: self.site.topology,
            self.health,
        )

    def health(self) -> Fields:
        """Of what no loop looks at here, something."""
        skews = Skews(self.table, lambda _: True)
        known = health_fields(
            Health(Spool(1000, 300, 100, 0.1), CanaryState(proven=True, delay_s=0.4), skews)
        )
        return known | completeness_fields(
            self.journal, self.site.devices, self.table, self.site.time_zone, self.clock.at, {}
        )

    def _turn(self, at: int) -> None:
        super()._turn(at)
        self.figures.step()

    def acknowledge_all(self) -> int:
        desk = Desk(self.records, self.clock, self.site.rules)
        waiting = [a for a in self.alarms() if a.state in (AlarmState.UNACKNOWLEDGED, AlarmState.RETURNED)]
        for alarm in waiting:
            desk.acknowledge(self.site.id, alarm.id, "duty")
        return len(waiting)


@dataclass(frozen=True)
class Filled:
    """Buckets that hold two hours of the estate, its points and who may ask; the estate itself, where one ran."""

    bucket: Bucket
    table: PointTable
    site: str
    login: str
    ran: EstateInInflux | None = None
    token: str = ""  # that `dutyroom influx setup` makes for Grafana

    @property
    def estate(self) -> EstateInInflux:
        assert self.ran is not None
        return self.ran

    def ask(self, query: str, **chosen: str) -> list[dict[str, Any]]:
        return ask(self.bucket, self.in_grafana(query, **chosen), self.login)

    def in_grafana(self, query: str, **chosen: str) -> str:
        """The query with its variables replaced, as Grafana does it. chosen: others than at first."""
        between = f"time >= {T}ms and time <= {T + HOURS * HOUR - 1}ms"
        query = query.replace("$timeFilter", between).replace("$__interval", "5m")
        values = {"site": self.site, "detail": "autogen", "level": "any"} | chosen
        for name in re.findall(r"\$(\w+)", query):
            query = query.replace(f"${name}", values.get(name, ".*"))
        assert "$" not in query.replace("$/", ""), query
        return query


class Refused(Exception):
    """InfluxDB does not answer a query; the text says why."""


def ask(bucket: Bucket, query: str, login: str = "") -> list[dict[str, Any]]:
    given = f"Basic {base64.b64encode(login.encode()).decode()}" if login else f"Token {bucket.token}"
    where = urllib.parse.urlencode({"db": bucket.name, "epoch": "ms"})
    body = urllib.parse.urlencode({"q": query}).encode()
    request = urllib.request.Request(f"{bucket.url}/query?{where}", body, {"Authorization": given})
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


def through_the_tasks(client: InfluxDBClient, org: str, name: str) -> None:
    """What the tasks of `dutyroom influx setup` make of all of it."""
    since, until = (
        datetime.fromtimestamp(at / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ") for at in (T, T + HOURS * HOUR)
    )
    fine, hour = coarser(name)
    for source, target, width in ((name, fine, "5m"), (fine, hour, "1h")):
        for kind in ("last", "windows"):
            flux = body(org, kind, source, target, width, since, until)
            # To its end: one whose answer nobody reads is given up.
            assert client.query_api().query_raw(f'import "date"\n{flux}', org=org).data


@pytest.fixture(scope="module")
def filled(influx_server: Influx, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Filled]:
    server, name = influx_server, f"boards{os.getpid()}"
    plan = Plan(server.org, name, 0, 0, 0)
    made = set_up(Door(server.url), server.token, plan, lambda _: None, T, dry=False, shorten=False)
    tokens = {right.name: token for right, token, _ in made}
    with InfluxDBClient(url=server.url, token=server.token, org=server.org) as client:
        buckets = [client.buckets_api().find_bucket_by_name(bucket) for bucket, _ in plan.buckets]
        store = InfluxReadingStore(server.url, server.token, server.org, name, "lakeside")
        figures = InfluxFigures(server.url, server.token, server.org, name)
        estate = EstateInInflux(store, figures, tmp_path_factory.mktemp("estate"))
        assert estate.site.id == "lakeside"
        estate.world.inject("clock_wrong", T + MINUTE, {})  # some readings of lesser quality
        for scenario in ("gate_forced", "tank_overflow", "burst_pipe", "malformed"):
            estate.world.inject(scenario, T + 5 * MINUTE, {})
        estate.until(T + 12 * MINUTE, MINUTE)
        assert estate.acknowledge_all() > 0
        estate.world.inject("gateway_offline", T + 90 * MINUTE, {"minutes": "60"})  # stands at the end
        estate.until(T + HOURS * HOUR, MINUTE)
        through_the_tasks(client, server.org, name)
        login = f"grafana:{tokens['grafana']}"  # as the provisioning has it: a token is anybody's password
        bucket = Bucket(server.url, server.token, server.org, name)
        yield Filled(bucket, estate.table, estate.site.id, login, estate, tokens["grafana"])
        estate.close()
        store.close()
        figures.close()
        for task in client.tasks_api().find_tasks(org_id=buckets[0].org_id, limit=100):
            if task.name.startswith(name):
                client.tasks_api().delete_task(task.id)
        for bucket in buckets:
            client.buckets_api().delete_bucket(bucket)


def panels(board: dict[str, Any]) -> list[dict[str, Any]]:
    """Panels, also those below a row that is closed."""
    rows = [p for p in board["panels"] if p["type"] == "row"]
    return [p for p in board["panels"] if p["type"] != "row"] + [p for row in rows for p in row["panels"]]


def rows(series: list[dict[str, Any]]) -> int:
    return sum(len(one["values"]) for one in series)


def of_details(board: dict[str, Any]) -> tuple[str, ...]:
    """The values of its choice of detail; one that does not matter where it has none."""
    names = [v["name"] for v in board["templating"]["list"]]
    return DETAILS if "detail" in names else ("",)


@pytest.mark.parametrize("name", BOARDS)
def test_every_query_of_a_dashboard_gives_rows(filled: Filled, name: str) -> None:
    empty = []
    for detail in of_details(BOARDS[name]):
        for panel in panels(BOARDS[name]):
            found = [rows(filled.ask(target["query"], detail=detail)) for target in panel["targets"]]
            # Not every class has a reading of lesser quality.
            enough = any(found) if "_q" in panel["targets"][0]["query"] else all(found)
            if not enough:
                empty.append((detail, panel["title"], found))
    assert empty == []


@pytest.mark.parametrize("name", BOARDS)
def test_every_variable_gives_values_and_each_of_them_gives_rows(filled: Filled, name: str) -> None:
    """As a browser fills them: one after the other, each with what was chosen before."""
    chosen: dict[str, str] = {}
    for variable in BOARDS[name]["templating"]["list"]:
        if variable["type"] == "custom":
            values = [option["value"] for option in variable["options"]]
        elif variable["type"] == "query":
            series = filled.ask(variable["query"], **chosen)
            assert rows(series), variable["name"]
            values = [value for one in series for _, value in one["values"]]
        else:
            continue
        assert values, variable["name"]
        several = "(" + "|".join(re.escape(value) for value in values) + ")"
        chosen[variable["name"]] = several if variable["multi"] else values[0]
    assert chosen["site"] == filled.site
    for panel in panels(BOARDS[name]):
        found = [rows(filled.ask(target["query"], **chosen)) for target in panel["targets"]]
        assert any(found), panel["title"]


# ------------------------------------------------------- what Grafana makes of an answer


def names_of_a_table(series: list[dict[str, Any]]) -> set[str]:
    """Its columns, as Grafana's InfluxQL names them: a time is Time, tags come before the values. The first series
    gives them, whatever others have."""
    first = series[0]
    columns = ["Time" if name == "time" else name for name in first["columns"][:1]] + first["columns"][1:]
    return {*columns, *first.get("tags", {})}


def names_of_lines(series: list[dict[str, Any]], alias: str) -> list[str]:
    """Of each series and column a line; what an alias does not know stays as it is written."""
    made = []
    for one in series:
        known = {f"tag_{name}": value for name, value in one.get("tags", {}).items()}
        known |= dict.fromkeys(("m", "measurement"), one["name"])
        for column in one["columns"][1:]:
            given = known | {"col": column}
            made.append(re.sub(r"\$(\w+)", lambda found, given=given: given.get(found[1], found[0]), alias))
    return made


@pytest.mark.parametrize("name", BOARDS)
def test_a_table_names_the_columns_that_it_gets(filled: Filled, name: str) -> None:
    """One that is not there would be shown under its raw name, or not where it should be."""
    for panel in panels(BOARDS[name]):
        if panel["type"] != "table":
            continue
        (change,) = [one["options"] for one in panel["transformations"] if one["id"] == "organize"]
        (sort,) = [one["options"]["sort"] for one in panel["transformations"] if one["id"] == "sortBy"]
        hidden = {column for column, out in change["excludeByName"].items() if out}
        (target,) = panel["targets"]
        shown = names_of_a_table(filled.ask(target["query"])) - hidden
        assert shown == set(change["renameByName"]) == set(change["indexByName"]), panel["title"]
        assert {one["field"] for one in sort} <= shown


@pytest.mark.parametrize("name", BOARDS)
def test_every_line_of_a_chart_has_a_name_of_its_own(filled: Filled, name: str) -> None:
    for panel in panels(BOARDS[name]):
        if panel["type"] == "table":
            continue
        lines = [
            line
            for target in panel["targets"]
            for line in names_of_lines(filled.ask(target["query"]), target["alias"])
        ]
        assert not [line for line in lines if "$" in line], panel["title"]
        # A single one needs none: the panel's title says what it is.
        assert len(set(lines)) == len(lines), (panel["title"], lines)


def test_grafana_finds_its_data_source_in_health(filled: Filled) -> None:
    """What it asks when somebody tests the data source."""
    (found,) = ask(filled.bucket, "SHOW measurements", filled.login)
    assert {"water_meter", "dutyroom_alarm", "dutyroom_data"} <= {name for (name,) in found["values"]}


def of_ours(query: str) -> bool:
    return '"dutyroom_' in query


@pytest.mark.parametrize("name", ENGLISH)
def test_every_field_asked_for_is_a_point_and_shown_in_its_unit(filled: Filled, name: str) -> None:
    units = {(p.device_class.value, p.spec.name): p.spec.unit for p in filled.table}
    for panel in panels(BOARDS[name]):
        for target in panel["targets"]:
            if of_ours(target["query"]):
                continue
            query = target["query"].split("FROM (")[-1]
            (measurement,) = set(re.findall(r'FROM "\$detail"."(\w+)" WHERE', query))
            (field,) = {
                f.removesuffix("_step").removesuffix("_q") for f in re.findall(r'\(\"(\w+)"\)', query)
            }
            assert (measurement, field) in units, panel["title"]
            shown = panel["fieldConfig"]["defaults"]["unit"]
            if "count(" not in query:
                assert shown == SHOWN_AS[units[measurement, field]], (panel["title"], field)


@pytest.mark.parametrize("name", [n for n in ENGLISH if n != "en/overview"])
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
    assert narrowed or name in ("en/data", "en/alarms")
    assert others or name in ("en/fire", "en/generators")


# ---------------------------------------------------------------- what the figures say


def values(series: list[dict[str, Any]]) -> list[Any]:
    """The second column of all rows."""
    return [row[1] for one in series for row in one["values"]]


def meters_chosen(filled: Filled, board: str, level: str) -> list[str]:
    (device,) = [v for v in BOARDS[board]["templating"]["list"] if v["name"] == "device"]
    return sorted(values(filled.ask(device["query"], level=level)))


def test_mains_and_what_hangs_below_them_are_never_added(filled: Filled) -> None:
    devices = [d for d in filled.estate.site.devices if d.device_class == "water_meter"]
    feeds = filled.estate.site.topology.feeds["water"]
    fed = {feed for d in devices for feed in feeds.get(d.id, ())}
    assert meters_chosen(filled, "en/water", "top") == ["water-master"]
    assert meters_chosen(filled, "en/water", "end") == sorted(d.id for d in devices if d.id not in fed)
    assert meters_chosen(filled, "en/water", "any") == sorted(d.id for d in devices)
    (used,) = [p for p in panels(BOARDS["en/water"]) if p["title"] == "Used by the meters chosen"]

    def total(level: str) -> float:
        chosen = "(" + "|".join(map(re.escape, meters_chosen(filled, "en/water", level))) + ")"
        (one,) = values(filled.ask(used["targets"][0]["query"], device=chosen))
        return float(one)

    # All of them together count what ends and risers measured once more; a pipe had burst below a riser.
    assert 0 < total("end") < total("top")
    assert total("any") > 1.9 * total("top")


def test_the_overview_shows_what_the_mains_counted(filled: Filled) -> None:
    (variable,) = [v for v in BOARDS["en/overview"]["templating"]["list"] if v["name"] == "water"]
    assert values(filled.ask(variable["query"])) == ["water-master"]
    (water,) = [p for p in panels(BOARDS["en/overview"]) if p["title"] == "Water"]
    (shown,) = values(filled.ask(water["targets"][0]["query"], water="(water-master)"))
    point = filled.table.find("water-master", "volume")
    assert point is not None
    series = filled.estate.store.range(point, T, T + HOURS * HOUR)
    assert shown == pytest.approx(point.physical(float(series.value[-1] - series.value[0])))


def test_a_supply_and_the_feeders_below_it_are_not_added(filled: Filled) -> None:
    (variable,) = [v for v in BOARDS["en/overview"]["templating"]["list"] if v["name"] == "feeders"]
    assert values(filled.ask(variable["query"])) == ["mains"]
    (panel,) = [p for p in panels(BOARDS["en/overview"]) if p["title"] == "Power of the supply"]
    (shown,) = values(filled.ask(panel["targets"][0]["query"], feeders="(mains)"))
    point = filled.table.find("mains", "power")
    assert point is not None
    assert shown == filled.estate.store.latest([point])[point.id].value


def test_transitions_of_alarms_are_those_of_the_records(filled: Filled) -> None:
    with filled.estate.records.read() as tx:
        changes = [c for a in filled.estate.alarms() for c in tx.alarms.history(a.id)]
    wanted = Counter(str(c.event) for c in changes if c.event != "note")
    query = 'SELECT count("alarm_id") FROM "dutyroom_alarm" GROUP BY "event"'
    found = {one["tags"]["event"]: one["values"][0][1] for one in filled.ask(query)}
    assert found == wanted
    assert found["raise"] > 3
    assert found["acknowledge"] > 0


def test_figures_written_again_change_nothing(filled: Filled) -> None:
    query = 'SELECT count("alarm_id"), sum("rang") FROM "dutyroom_alarm"'
    before = filled.ask(query)
    with filled.estate.records.write() as tx:
        tx.advance(filled.site, READER, Lane.NORMAL, 0)  # as after a kill before the cursor was moved
    filled.estate._start_flows()
    filled.estate.figures.step()
    assert filled.ask(query) == before


def test_open_alarms_are_those_that_are_open(filled: Filled) -> None:
    (shown,) = [p for p in panels(BOARDS["en/overview"]) if p["title"] == "Alarms standing"]
    (count,) = values(filled.ask(shown["targets"][0]["query"]))
    muted = ("shelved", "suppressed", "out_of_service")
    standing = [a for a in filled.estate.alarms() if a.ended_at is None and a.cleared_at is None]
    assert count == len([a for a in standing if a.state not in muted])
    assert count > 0


def test_what_came_of_what_was_due_is_told(filled: Filled) -> None:
    (row,) = filled.ask('SELECT last("complete"), last("incomplete") FROM "dutyroom_data"')[0]["values"]
    assert 90 < row[1] <= 100
    assert 0 <= row[2] < len(filled.estate.site.devices)


def test_the_ledger_of_the_dashboard_is_the_ledger(filled: Filled) -> None:
    names = ("received", "decoded", "ignored", "quarantined", "readings", "stored", "duplicate", "conflict")
    query = "SELECT {} FROM dutyroom_ledger".format(", ".join(f'sum("{name}")' for name in names))
    (row,) = filled.ask(query)[0]["values"]
    assert row[1] > 1000
    rows = [r for r in filled.estate.journal.ledger(0) if r.hour < T + HOUR]
    query = query + f" WHERE time < {T + HOUR}ms"
    (row,) = filled.ask(query)[0]["values"]
    assert row[1:] == [sum(getattr(r, name) for r in rows) for name in names]


def test_the_user_of_grafana_can_only_read(filled: Filled) -> None:
    before = ask(filled.bucket, "SHOW MEASUREMENTS")
    for query in ('DROP MEASUREMENT "tank"', 'DELETE FROM "tank"'):
        with pytest.raises(Refused, match=r"write permission|insufficient permissions|unauthorized"):
            ask(filled.bucket, query, filled.login)
    with pytest.raises(Refused, match="401"):
        ask(filled.bucket, "SHOW MEASUREMENTS", "grafana:guessed")
    assert ask(filled.bucket, "SHOW MEASUREMENTS") == before
    assert rows(filled.ask('SELECT count("level") FROM "tank"')) == 1


def test_the_token_for_grafana_reads_all_details_as_the_password_of_any_user(filled: Filled) -> None:
    """So Grafana's provisioned data source needs another password and nothing else."""
    for detail in DETAILS:
        query = filled.in_grafana('SELECT count("level") FROM "$detail"."tank"', detail=detail)
        for login in (f"grafana:{filled.token}", f"anybody:{filled.token}"):
            assert rows(ask(filled.bucket, query, login)) == 1
    with pytest.raises(Refused, match=r"write permission|insufficient permissions|unauthorized"):
        ask(filled.bucket, 'DELETE FROM "tank"', f"grafana:{filled.token}")


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
    (total,) = filled.ask(query_of("en/electricity", "Used by the meters chosen"))
    assert total["values"][0][1] == pytest.approx(2 * (steps[-1] - steps[0]) * 0.01)
    (hourly,) = filled.ask(query_of("en/electricity", "Used each hour"))
    # An hour's use is from the last register of the hour before.
    assert [used for _, used in hourly["values"]] == pytest.approx([2 * 36 * 0.01] * (HOURS - 1))
    assert [at for at, _ in hourly["values"]] == [T + HOUR]
    (top,) = filled.ask(query_of("en/electricity", "Ten largest users"))
    assert {row[2] for row in top["values"]} == {"A power", "B power"}


def test_a_meter_that_was_exchanged_spoils_no_sum(influx: Bucket) -> None:
    steps = [1000 + 3 * i for i in range(HOURS * 12)]
    exchanged = [90_000 + i for i in range(18)] + list(range(18))
    filled = two_meters(influx, {"whole": steps, "exchanged": exchanged})
    (total,) = filled.ask(query_of("en/electricity", "Used by the meters chosen"))
    assert total["values"][0][1] == pytest.approx((steps[-1] - steps[0]) * 0.01)
    (hourly,) = filled.ask(query_of("en/electricity", "Used each hour"))
    assert all(0 <= used < 1 for _, used in hourly["values"])


def flood(bucket: Bucket) -> Filled:
    """Twelve alarms within ten minutes, one of them raised four times within one; three are acknowledged, one of
    these late."""
    raised = E.RAISE
    lives = {
        "chatter": [(raised, 0), (E.CLEAR, 10), (raised, 15), (E.CLEAR, 20), (raised, 25), (E.CLEAR, 40)]
    }
    lives["chatter"] += [(raised, 50), (E.ACKNOWLEDGE, 80)]
    lives |= {f"A-{n}": [(raised, 30 * n)] for n in range(1, 9)}
    lives["A-1"] += [(E.ACKNOWLEDGE, 60), (E.CLEAR, 400)]
    lives["A-2"] += [(E.ACKNOWLEDGE, 60 + 601)]
    lives["explained"] = [(raised, 5), (E.SUPPRESS, 5)]
    store = InfluxFigures(bucket.url, bucket.token, bucket.org, bucket.name)
    for number, (device, events) in enumerate(lives.items(), 1):
        alarm = Alarm(
            number,
            "estate",
            "some.rule",
            1,
            device,
            "A",
            device,
            AlarmState.NORMAL,
            Priority.HIGH,
            False,
            T,
            T,
        )
        history = []
        for event, after in events:
            actor = "duty" if event is E.ACKNOWLEDGE else "system"
            alarm, change = step(alarm, event, T + after * 1000, actor, root=1)
            history.append(change)
        store.write(list(transitions(alarm, history)))
    store.close()
    return Filled(bucket, PointTable(), "estate", "")


def test_what_an_operator_had_to_bear_is_counted_by_hand(influx: Bucket) -> None:
    filled = flood(influx)

    def shown(title: str) -> Any:
        (number,) = values(filled.ask(query_of("en/alarms", title)))
        return number

    assert shown("Most in 10 minutes") == 12  # four of one, eight others; what its root explains rings nobody
    assert shown("Mean in 10 minutes") == pytest.approx(12 / (HOURS * 6))
    assert shown("Mean in an hour") == pytest.approx(12 / HOURS)
    assert shown("Acknowledged within 10 min") == pytest.approx(200 / 3)
    assert shown("Time to acknowledge, median") == 30.0
    assert [n for n in values(filled.ask(query_of("en/alarms", "Alarms in 10 minutes"))) if n] == [12]
    (chatter,) = filled.ask(query_of("en/alarms", "Chattering alarms"))
    assert max(row[1:] for row in chatter["values"]) == [4, "chatter", "some.rule"]
    (longest,) = filled.ask(query_of("en/alarms", "Stood longest"))
    assert sorted(row[1:] for row in longest["values"]) == [
        [15.0, "chatter", "some.rule"],
        [370.0, "A-1", "some.rule"],
    ]
    (latest,) = filled.ask(query_of("en/alarms", "Latest transitions"))
    assert latest["columns"] == ["time", "alarm_id", "device", "rule", "priority", "event", "state"]
    assert latest["values"][0][2:] == ["A-2", "some.rule", "2", "acknowledge", "acknowledged"]


def test_no_figure_of_a_device_has_the_name_of_a_point(filled: Filled) -> None:
    """In the coarser buckets readings are counted by device and field, in one measurement for all."""
    names = {p.spec.name for p in filled.table}
    for measurement in ("dutyroom_alarm", "dutyroom_meter"):
        fields = {
            row[0] for one in filled.ask(f'SHOW FIELD KEYS FROM "{measurement}"') for row in one["values"]
        }
        assert fields
        assert not fields & names
