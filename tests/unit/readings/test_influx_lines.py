"""Lines made by columns say what a plain loop over the readings says."""

from __future__ import annotations

import json
from collections import defaultdict
from decimal import Decimal
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dutyroom.backends import influx_even, influx_lines
from dutyroom.backends.influx_lines import LineMaker
from dutyroom.model.telemetry import DeviceClass, Kind, Point, PointSpec, PointTable, Readings

SPECS = [
    PointSpec("volume", "volume", "m3", Kind.COUNTER, Decimal("0.001")),
    PointSpec("flow"),
    PointSpec("valve", kind=Kind.STATE),
    PointSpec("status", kind=Kind.TEXT),
]
# Ids with large gaps, one far beyond the others; two classes that share names.
IDS = [1, 2, 3, 4, 900, 901, 902, 903, 2_000_000_000, 2_000_000_001, 2_000_000_002, 2_000_000_003]
POINTS = [
    Point(
        number,
        "estate",
        f"device-{n // 4}",
        DeviceClass.TANK if n >= 8 else DeviceClass.WATER_METER,
        "",
        SPECS[n % 4],
    )
    for n, number in enumerate(IDS)
]
TABLE = PointTable(POINTS)

ROW = st.tuples(
    st.sampled_from([*IDS, 77]),
    st.integers(-5, 5) | st.sampled_from([-(2**60), 2**60]),
    st.sampled_from([0.0, -0.0, 1.5, 7.0, -3.0, 1e300, 5e-324, 2.0**53 - 1, float("nan"), float("inf")]),
    st.integers(0, 4),
    st.none() | st.integers(1, 10**13),
)
Row = tuple[int, int, float, int, int | None]
Fields = dict[tuple[str, int, str], str]


def readings(rows: list[Row]) -> Readings:
    plain = Readings.of([(p, at, v, q, 0) for p, at, v, q, _ in rows])
    late = {n: row[4] for n, row in enumerate(rows) if row[4] is not None}
    texts = {n: f"t{n}" for n, row in enumerate(rows) if n % 2}
    return Readings(plain.point, plain.at, plain.value, plain.quality, plain.message, texts, late)


def parsed(blocks: list[bytes]) -> Fields:
    """{(series, at, field): text} of lines without escapes."""
    found: Fields = {}
    for block in blocks:
        for line in block.decode().split("\n"):
            series, fields, at = line.split(" ")
            for part in fields.split(","):
                name, _, text = part.partition("=")
                assert (series, int(at), name) not in found, "a field twice"
                found[series, int(at), name] = text
    return found


def expected(
    r: Readings, seen: dict[tuple[str, str], set[str]], newest: dict[int, int]
) -> tuple[Fields, set[int]]:
    """The plain way. seen: companions in use by (class, name)."""
    found: Fields = {}
    refused, last = set(), {}
    for row, (p, at, v) in enumerate(zip(r.point.tolist(), r.at.tolist(), r.value.tolist(), strict=True)):
        point = TABLE.get(p)
        whole = point is not None and point.spec.kind is Kind.COUNTER
        if point is None or not np.isfinite(v) or (whole and not (v.is_integer() and abs(v) < 2**63)):
            refused.add(row)
        else:
            last[p, at] = row
    for (p, _), row in last.items():
        point = TABLE[p]
        key = (point.device_class.value, point.spec.name)
        seen[key] |= ({"_q"} if r.quality[row] else set()) | ({"_received_at"} if row in r.late else set())
    for (p, at), row in last.items():
        point, value = TABLE[p], float(r.value[row])
        name = point.spec.name
        series = f"{point.device_class.value},device={point.device},site=estate"
        if point.spec.kind is Kind.TEXT:
            found[series, at, f"{name}_text"] = json.dumps(r.text.get(row, ""))
        else:
            found[series, at, name] = f"{int(value)}i" if point.spec.kind is Kind.COUNTER else repr(value)
        if point.spec.step is not None:
            found[series, at, f"{name}_step"] = "0.001"
        again = at <= newest.get(p, -(2**63))
        key = (point.device_class.value, name)
        if r.quality[row] or (again and "_q" in seen[key]):
            found[series, at, f"{name}_q"] = f"{r.quality[row]}i"
        if row in r.late or (again and "_received_at" in seen[key]):
            found[series, at, f"{name}_received_at"] = f"{r.late.get(row, 0)}i"
    return found, refused


def same_number(one: str, two: str) -> bool:
    try:
        return repr(float(one.rstrip("i"))) == repr(float(two.rstrip("i"))) and one.endswith(
            "i"
        ) == two.endswith("i")
    except ValueError:
        return one == two


@given(
    st.lists(st.lists(ROW, max_size=30), min_size=1, max_size=3), st.integers(1, 7), st.sampled_from((1, 16))
)
def test_lines_say_what_a_plain_loop_says(batches: list[list[Row]], limit: int, few: int) -> None:
    """few: lines of one shape from which on they are written together."""
    with patch.object(influx_even, "FEW", few), patch.object(influx_lines, "FEW", few):
        _said(batches, limit)


def _said(batches: list[list[Row]], limit: int) -> None:
    maker, newest = LineMaker(), dict[int, int]()
    seen: dict[tuple[str, str], set[str]] = defaultdict(set)
    for rows in batches:
        r = readings(rows)
        slots = maker.learn(r, TABLE)
        lines = maker.lines(r, slots, np.arange(len(r)))
        blocks = list(lines.blocks(limit))
        wanted, refused = expected(r, seen, newest)
        found = parsed([block for _, block in blocks])
        assert found.keys() == wanted.keys()
        assert all(same_number(found[key], wanted[key]) for key in found)
        assert set(lines.refused) == refused
        assert all(block.count(b"\n") < limit for _, block in blocks)
        carried = sorted(row for part, _ in blocks for row in part.tolist())
        assert len(carried) == len(set(carried)) == len({(r.point[n], r.at[n]) for n in carried})
        maker.written(r, slots, np.arange(len(r)))
        for point, at in zip(r.point.tolist(), r.at.tolist(), strict=True):
            newest[point] = max(at, newest.get(point, at))


def test_a_device_shares_a_line_whatever_the_order_of_its_points() -> None:
    """History comes point by point, messages device by device: the server gets wide lines of both."""
    rows: list[Row] = [(p.id, at, 1.0, 0, None) for p in POINTS[:8] for at in range(100)]
    r = readings(rows)
    maker = LineMaker()
    assert len(maker.lines(r, maker.learn(r, TABLE), np.arange(len(r)))) == 200
    rows.sort(key=lambda row: (row[1], row[0]))
    r = readings(rows)
    assert len(maker.lines(r, maker.learn(r, TABLE), np.arange(len(r)))) == 200


def test_a_changed_registry_changes_the_names() -> None:
    table, maker = PointTable([POINTS[1]]), LineMaker()
    r = Readings.of([(2, 5, 1.0, 0, 0), (3, 5, 1.0, 0, 0)])
    lines = maker.lines(r, maker.learn(r, table), np.arange(len(r)))
    assert lines.refused == {1: "its point is not in the registry"}
    table.add(POINTS[2])
    table.add(Point(2, "estate", "moved", DeviceClass.PUMP, "", PointSpec("power")))
    lines = maker.lines(r, maker.learn(r, table), np.arange(len(r)))
    assert [block for _, block in lines.blocks(9)] == [
        b"pump,device=moved,site=estate power=1.0 5\nwater_meter,device=device-0,site=estate valve=1.0 5"
    ]


@pytest.mark.parametrize("kinds", [(Kind.GAUGE, Kind.COUNTER), (Kind.COUNTER, Kind.STATE)])
def test_makes_that_disagree_in_one_batch_share_no_field(kinds: tuple[Kind, Kind]) -> None:
    points = [
        Point(n, "s", f"d{n}", DeviceClass.GATE, "", PointSpec("x", kind=kind))
        for n, kind in enumerate(kinds)
    ]
    r = Readings.of([(n, 5, 1.0, 0, 0) for n in (0, 1)])
    maker = LineMaker()
    lines = maker.lines(r, maker.learn(r, PointTable(points)), np.arange(len(r)))
    types = {name: text[-1] for (_, _, name), text in parsed([b for _, b in lines.blocks(9)]).items()}
    assert types == {"x": "i", "x_float": "0"}


def test_names_of_a_hundred_thousand_points_are_made_once() -> None:
    spec = PointSpec("flow")
    points = [Point(n, "s", f"d{n}", DeviceClass.SENSOR, "", spec) for n in range(100_000)]
    table, maker = PointTable(points), LineMaker()
    n = np.arange(100_000, dtype=np.int32)
    r = Readings(n, n.astype(np.int64), n.astype(float), np.zeros(len(n), np.uint8), n)
    assert len(maker.lines(r, maker.learn(r, table), np.arange(len(r)))) == 100_000
    assert len(maker._heads._numbers) == 1
