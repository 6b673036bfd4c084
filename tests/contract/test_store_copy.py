"""`dutyroom store copy` between the embedded store and a real InfluxDB, both ways."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path

import pytest
from influxdb_client.client.influxdb_client import InfluxDBClient
from influxdb_client.domain.bucket_retention_rules import BucketRetentionRules
from tests.servers.influx import Bucket
from typer.testing import CliRunner

from dutyroom.backends.clock import SystemClock
from dutyroom.backends.datafolder import DataFolder
from dutyroom.backends.influx_tasks import coarser
from dutyroom.backends.readings_embedded import EmbeddedReadingStore
from dutyroom.backends.readings_influx import InfluxReadingStore
from dutyroom.backends.records_sql import open_records
from dutyroom.cli import app
from dutyroom.model.duty import Device
from dutyroom.model.telemetry import Kind, Point, PointSpec, PointTable, Readings
from dutyroom.site import Site
from dutyroom.timebase import DAY, MINUTE
from dutyroom.wiring.memory import remember

SPECS = [
    PointSpec("volume", "volume", "m3", Kind.COUNTER, Decimal("0.001"), 9),
    PointSpec("flow", "flow", "m3/h"),
    PointSpec("valve", kind=Kind.STATE),
    PointSpec("status", kind=Kind.TEXT),
]


@dataclass
class Yard:
    """A data folder of one site of six meters, and a bucket."""

    data: Path
    bucket: Bucket
    points: list[Point]

    @property
    def table(self) -> PointTable:
        return PointTable(self.points)

    def embedded(self) -> EmbeddedReadingStore:
        return EmbeddedReadingStore(self.data / "sites" / "yard" / "readings.sqlite")

    def influx(self) -> InfluxReadingStore:
        b = self.bucket
        return InfluxReadingStore(b.url, b.token, b.org, b.name, "yard", coarser=coarser(b.name))

    def copy(self, source: str, target: str, *more: str, code: int = 0) -> list[str]:
        token = self.data / "token"
        token.write_text(self.bucket.token)
        given = {
            "DUTYROOM_INFLUX_URL": self.bucket.url,
            "DUTYROOM_INFLUX_ORG": self.bucket.org,
            "DUTYROOM_INFLUX_BUCKET": self.bucket.name,
            "DUTYROOM_INFLUX_TOKEN_FILE": str(token),
        }
        command = ["store", "copy", "--from", source, "--to", target, "--data", str(self.data), *more]
        done = CliRunner(env={**os.environ, **given}).invoke(app, command)
        assert done.exit_code == code, done.output
        return done.output.splitlines()


def yard(data: Path, bucket: Bucket) -> Yard:
    remember(Site("yard", {"en": "Yard"}, "Asia/Shanghai"), data / "sites" / "yard")
    with DataFolder(data):
        records = open_records(f"sqlite:///{data}/records.sqlite")
    devices = [Device("yard", f"m{n}", "", "water_meter", "acme/one", f"a{n}", "") for n in range(6)]
    with records.write() as tx:
        tx.devices.upsert(devices)
        points = tx.devices.add_points("yard", [(d, spec) for d in devices for spec in SPECS])
    records.close()
    return Yard(data, bucket, list(points))


def readings(points: list[Point], first: int, count: int, step: int = 15 * MINUTE) -> Readings:
    rows = [
        (
            p.id,
            first + n * step + n % 3,
            (float(n), n / 7, float(n % 2), 0.0)[SPECS.index(p.spec)],
            (n + p.id) % 4,
            0,
        )
        for n in range(count)
        for p in points
    ]
    late = {row: rows[row][1] + DAY for row in range(0, len(rows), 5)}
    texts = {row: f"DRY, {row % 17}" for row in range(len(rows)) if SPECS[row % len(SPECS)].kind is Kind.TEXT}
    return replace(Readings.of(rows), late=late, text=texts)


def everything(store: EmbeddedReadingStore | InfluxReadingStore, points: list[Point]) -> list[object]:
    found: list[object] = []
    for point in points:
        s = store.range(point, 0, 2**53)
        found.append((s.at.tolist(), s.value.tolist(), s.quality.tolist(), dict(s.late), dict(s.text)))
    store.close()
    return found


@pytest.mark.servers
def test_there_and_back_nothing_is_lost_or_changed(influx: Bucket, tmp_path: Path) -> None:
    y = yard(tmp_path / "data", influx)
    store = y.embedded()
    store.write(readings(y.points, 1_790_000_000_000, 2000), y.table)
    store.close()
    there = y.copy("embedded", "influx")
    assert "48000 readings were written; embedded has 48000 of 24 points" in there[-2]
    assert there[-1].startswith("Every reading is the same in both")
    wanted = everything(y.embedded(), y.points)
    assert everything(y.influx(), y.points) == wanted

    again = y.copy("embedded", "influx")  # as after an interruption
    assert again[-2].startswith("0 readings were written; ")

    back = yard(tmp_path / "other", influx)
    said = back.copy("influx", "embedded")
    sums = re.findall(r"checksum ([0-9a-f]{16})", there[-2] + said[-2])
    assert len(sums) == 4
    assert len(set(sums)) == 1
    assert everything(back.embedded(), back.points) == wanted


@pytest.mark.servers
def test_what_differs_is_a_table_and_exit_code_1(influx: Bucket, tmp_path: Path) -> None:
    y = yard(tmp_path, influx)
    mine, theirs = y.embedded(), y.influx()
    first = 1_790_000_000_000
    mine.write(readings(y.points, first, 10), y.table)
    theirs.write(Readings.of([(y.points[1].id, first - 7, 9.0, 0, 0)]), y.table)
    mine.close()
    theirs.close()
    said = y.copy("embedded", "influx", code=1)
    assert said[-3] == "1 points differ:"
    assert said[-1].split() == ["m0", "flow", "10", "11", "0", "0", "1", "2026-09-21T22:13:19.993+08:00"]
    assert y.copy("embedded", "influx", "--until", "2026-09-21T22:13:20+08:00", code=1)[-1].split()[2] == "0"


@pytest.mark.servers
def test_what_is_older_than_the_first_bucket_keeps_goes_whole_into_the_coarser_ones(
    influx: Bucket, tmp_path: Path
) -> None:
    now = SystemClock().now()
    with InfluxDBClient(url=influx.url, token=influx.token, org=influx.org) as client:
        name = f"{influx.name}-short"
        for bucket, days in zip((name, *coarser(name)), (5, 40, 0), strict=True):
            rules = BucketRetentionRules(type="expire", every_seconds=days * 86400) if days else None
            client.buckets_api().create_bucket(bucket_name=bucket, org=influx.org, retention_rules=rules)
    y = yard(tmp_path, replace(influx, name=name))
    store = y.embedded()
    store.write(readings(y.points, now - 100 * DAY, 1600, 90 * MINUTE), y.table)
    store.close()
    assert y.copy("embedded", "influx")[-1].startswith("Every reading is the same in both")
    assert everything(y.influx(), y.points) == everything(y.embedded(), y.points)


@pytest.mark.servers
def test_beside_a_running_service_only_what_lies_before_is_copied(influx: Bucket, tmp_path: Path) -> None:
    y = yard(tmp_path, influx)
    now = SystemClock().now()
    store = y.embedded()
    store.write(readings(y.points, now - DAY, 10), y.table)
    store.write(readings(y.points, now + DAY, 10), y.table)
    with DataFolder(y.data):
        said = y.copy("embedded", "influx")
        assert said[0].startswith("The service runs: only what lies before ")
        assert "one writer" in y.copy("influx", "embedded", code=1)[-1]
    store.close()
    assert "240 readings were written" in said[-2]


@pytest.mark.parametrize(
    ("source", "target", "says"),
    [
        ("embedded", "embedded", "two different stores"),
        ("embeded", "influx", "--from must be one of embedded, influx, not 'embeded'"),
        ("influx", "x", "--to must be one of"),
        ("embedded", "influx", "there are no embedded readings of yard"),
    ],
)
def test_what_cannot_be_copied_is_said(tmp_path: Path, source: str, target: str, says: str) -> None:
    y = yard(tmp_path, Bucket("http://127.0.0.1:9", "t", "o", "b"))
    assert says in y.copy(source, target, code=1)[-1]


def test_a_server_that_is_away_is_said(tmp_path: Path) -> None:
    y = yard(tmp_path, Bucket("http://127.0.0.1:9", "t", "o", "b"))
    y.embedded().close()
    assert "does not answer" in y.copy("embedded", "influx", code=1)[-1]
