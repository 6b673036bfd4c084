"""Many points of InfluxDB asked for at once give what each of them alone gives."""

from __future__ import annotations

import random
from collections.abc import Iterator
from decimal import Decimal

import pytest
from tests.servers.influx import Bucket

from dutyroom.backends import influx_read
from dutyroom.backends.influx_spans import TOGETHER, Span, grouped
from dutyroom.backends.readings_influx import InfluxReadingStore
from dutyroom.model.telemetry import DeviceClass, Kind, Point, PointSpec, PointTable, Readings, Series
from dutyroom.timebase import DAY, HOUR, MINUTE

T = 1_790_000_000_000
SPECS = [
    PointSpec("volume", "volume", "m3", Kind.COUNTER, Decimal("0.001")),
    PointSpec("flow", "flow", "m3/h"),
    PointSpec("status", "number", "", Kind.TEXT),
]
POINTS = [
    Point(1 + 3 * device + n, "estate", f"meter-{device}", kind, "A", spec)
    for device in range(130)
    for kind in (DeviceClass.WATER_METER if device % 4 else DeviceClass.HEAT_METER,)
    for n, spec in enumerate(SPECS)
]
TABLE = PointTable(POINTS)


@pytest.fixture
def store(influx: Bucket) -> Iterator[InfluxReadingStore]:
    opened = InfluxReadingStore(influx.url, influx.token, influx.org, influx.name, "estate")
    yield opened
    opened.close()


def filled(store: InfluxReadingStore, seed: int) -> list[Span]:
    """Some of everything: late ones, bad qualities, devices without a point, times years apart."""
    chance = random.Random(seed)
    rows, late, texts = [], {}, {}
    for point in POINTS:
        for n in range(chance.choice([0, 1, 5, 40])):
            at = T + n * 15 * MINUTE + chance.choice([0, 0, 7, 400 * DAY])
            if chance.random() < 0.1:
                late[len(rows)] = at + HOUR
            if point.spec.kind is Kind.TEXT:
                texts[len(rows)] = f"word {n}"
            value = 0.0 if point.spec.kind is Kind.TEXT else float(chance.randrange(1000))
            rows.append((point.id, at, value, chance.choice([0, 0, 1, 3]), 0))
    made = Readings.of(rows)
    store.write(Readings(made.point, made.at, made.value, made.quality, made.message, texts, late), TABLE)
    spans = []
    for point in chance.sample(POINTS, 300):
        start = T + chance.choice([0, 0, 0, HOUR, 400 * DAY])
        spans.append((point, start, start + chance.choice([1, HOUR, HOUR, 2 * DAY])))
    return [*spans, *spans[:3]]


def plain(series: Series) -> tuple[object, ...]:
    return (
        series.point,
        series.at.tolist(),
        series.value.tolist(),
        series.quality.tolist(),
        series.late,
    )


@pytest.mark.servers
@pytest.mark.parametrize("seed", range(3))
def test_many_at_once_are_as_one_by_one(
    store: InfluxReadingStore, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where a statement would give more rows than are read at once."""
    spans = filled(store, seed)
    wanted = [plain(store.range(*span)) for span in spans]
    assert sum(bool(series[1]) for series in wanted) > 100
    assert [plain(series) for series in store.ranges(spans)] == wanted
    monkeypatch.setattr(influx_read, "_ROWS", 10 * TOGETHER)
    assert [plain(series) for series in store.ranges(spans)] == [plain(store.range(*s, 500)) for s in spans]
    assert store.ranges([]) == []


def test_devices_that_are_asked_for_the_same_share_a_statement() -> None:
    spans = [(point, T, T + 1) for point in POINTS]
    groups = grouped(spans, range(len(spans)), lambda p: [p.spec.name])
    assert sorted(n for group in groups for numbers in group for n in numbers) == list(range(len(spans)))
    assert len(groups) == 3  # 97 water meters, 33 heat meters
    assert max(map(len, groups)) == TOGETHER


def test_times_far_apart_and_the_same_device_do_not() -> None:
    flow, other = POINTS[1], POINTS[1 + 3 * 4]
    spans = [(flow, T, T + 1), (other, T + HOUR, T + HOUR + 1), (flow, T + 5, T + 6)]
    assert len(grouped(spans, range(3), lambda p: [p.spec.name])) == 3
