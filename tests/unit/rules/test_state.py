"""What the engine keeps: of what it passed over, of who spoke, and in snapshots old and new."""

from __future__ import annotations

import zlib
from dataclasses import replace

import msgspec
import numpy as np
import orjson
import pytest
from tests.unit.rules.kind_bench import T0, Bench, counter, gauge, rule, shipped, state

from dutyroom.errors import Rejected
from dutyroom.model.telemetry import Event, Readings
from dutyroom.rules import points, snapshot
from dutyroom.rules.columns import FOREVER, Columns, Field
from dutyroom.rules.engine import Engine
from dutyroom.rules.window import SAMPLES, Windows

LIMIT = rule("kind: limit\npoint: p\nparameters: {above: 3, deadband: 1}")
WAITS = rule("kind: limit\npoint: p\nparameters: {above: 3}\non_delay: 60s")
STALE = rule("kind: stale\nparameters: {after: 10min}")


@pytest.fixture
def arrays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(points, "FEW", 0)


@pytest.mark.usefixtures("arrays")
def test_what_clears_names_the_last_value_beyond_the_limit() -> None:
    """Although nobody looked at it while it stood."""
    bench = Bench(LIMIT, gauge("p")).run("p", [4, 5, 9, 7])
    rows = [(40.0, "p", 6.0), (50, "p", 8.0), (50, "p", 99.0), (45, "p", 5.0), (60, "p", 1.0)]
    (cleared,) = bench.engine.feed(bench.batch(rows))
    assert (cleared.active, cleared.at, cleared.value) == (False, T0 + 60_000, 8.0)


@pytest.mark.usefixtures("arrays")
def test_what_was_kept_away_is_in_the_snapshot() -> None:
    bench = Bench(LIMIT, gauge("p")).run("p", [4, 5, 9, 7])
    other = Bench(LIMIT, gauge("p"))
    other.engine.restore(bench.engine.snapshot())
    (cleared,) = other.feed(60, "p", 1)
    assert cleared.value == 7.0


def test_an_event_without_a_reading_is_a_sign_of_life() -> None:
    bench = Bench(STALE, gauge("p"), state("passage"))
    bench.started(0)
    bench.feed(10, "p", 1)
    fresh = replace(bench.batch([(500, "p", 1)]), readings=Readings.empty())
    bench.engine.feed(replace(fresh, events=(Event(2, T0, "1", "granted", {}, 0),)))
    assert bench.engine.heard("d") == T0 + 500_000
    bench.tick(1000)
    assert bench.says == []
    stray = replace(fresh, events=(Event(77, T0, "1", "granted", {}, 0),))
    assert bench.engine.feed(stray) == []


def test_a_snapshot_of_before_there_were_columns_goes_on() -> None:
    waits, decrease = WAITS, shipped("meter.decrease")
    bench = Bench([waits, decrease, STALE], gauge("p"), counter("volume"), kind="water_meter")
    old = {
        "format": 1,
        "newest": [[1, T0], [2, T0]],
        "heard": {"d": T0},
        "instances": [
            ["r", "d", snapshot.fingerprint(waits), [[False, T0, T0, T0], 4.0]],
            ["meter.decrease", "d", snapshot.fingerprint(decrease), [False, [[2, [T0, 5.0]]], []]],
            ["gone", "d", "0", []],
            ["r", "e", "0", []],
        ],
    }
    engine = Engine([waits, decrease], bench.table, bench.devices)
    gone = engine.restore(zlib.compress(orjson.dumps(old)))
    assert gone == {("gone", "d"), ("r", "e")}
    bench.engine = engine
    assert bench.feed(-5, "p", 1) == []  # older than what was judged
    rows = [(10.0 * n, "p", 4.0) for n in range(1, 7)]
    bench.conditions += engine.feed(bench.batch([*rows, (60, "volume", 4_900)]))
    assert sorted(bench.says) == [(60, True), (60, True)]


@pytest.mark.parametrize("field", ["points", "newest", "heard", "lanes"])
def test_a_snapshot_whose_columns_do_not_fit_is_refused(field: str) -> None:
    bench = Bench(WAITS, gauge("p")).run("p", [4, 4])
    state_ = msgspec.msgpack.decode(zlib.decompress(bench.engine.snapshot()[1:]))
    state_[field] = state_[field][:-1]
    with pytest.raises(Rejected, match="not a snapshot"):
        bench.engine.restore(b"\x02" + zlib.compress(msgspec.msgpack.encode(state_)))


def test_columns_of_another_make_begin_afresh() -> None:
    decrease = shipped("meter.decrease")
    bench = Bench(decrease, counter("volume"), kind="water_meter").run("volume", [1000, 2000])
    state_ = msgspec.msgpack.decode(zlib.decompress(bench.engine.snapshot()[1:]))
    state_["rules"]["meter.decrease"]["columns"] = {"at": b"", "level": b"12345678"}
    other = Bench(decrease, counter("volume"), kind="water_meter")
    other.engine.restore(b"\x02" + zlib.compress(msgspec.msgpack.encode(state_)))
    other.feed(20, "volume", 5)
    assert other.says == []


def test_a_wait_that_a_gap_has_overtaken_is_not_asked_for_ever() -> None:
    bench = Bench(WAITS, gauge("p", 10)).run("p", [4, 4])  # a gap after 30 s
    assert len(bench.engine._waits) == 1
    assert bench.engine._waits.due(T0 + 100_000, None) == []
    bench.tick(100)
    assert bench.says == []


def test_rows_are_given_back_and_come_fresh() -> None:
    class Small(Columns):
        FIELDS = {"level": Field(np.float64, 7.0, width=2)}  # noqa: RUF012
        level: np.ndarray

    columns = Small()
    slots = [columns.add() for _ in range(100)]
    columns.level[6:8] = 1.0
    columns.drop(3)
    assert columns.add() == 3
    assert columns.level[6:8].tolist() == [7.0, 7.0]
    assert len(set(slots)) == 100


def test_a_rule_that_is_built_again_leaves_no_row_behind() -> None:
    bench = Bench(shipped("water.leak"), counter("volume"), kind="water_meter").run(
        "volume", [1, 2, 3], every=900
    )
    point = bench.table.find("d", "volume")
    assert point is not None
    (before,) = bench.engine._roster.instances.values()
    for interval in (60, 900, 60):
        bench.table.add(replace(point, spec=replace(point.spec, interval_s=interval)))
        bench.feed(9000 + interval, "volume", 4)
    (after,) = bench.engine._roster.instances.values()
    assert after is not before
    assert after.columns is not None
    assert after.columns.size <= 2
    assert after.dump()[2][1] == T0 + 9_900_000


def test_a_window_of_a_blink_keeps_no_more_than_it_can() -> None:
    windows = Windows()
    slot = windows.open(23, None)
    for at in range(200):
        windows.take(slot, at, float(at))
    assert len(windows.dump_window(slot)[0]) == SAMPLES
    assert windows.gap.item(slot) == FOREVER


def test_a_table_that_is_replaced_and_grows_at_once_is_seen_whole() -> None:
    bench = Bench(LIMIT, gauge("q"))
    bench.feed(0, "q", 1)
    old = bench.table.find("d", "q")
    assert old is not None
    bench.table.add(replace(old, spec=replace(old.spec, unit="bar")))
    bench.add("d", gauge("p"))
    bench.run("p", [4], start=10)
    assert bench.says == [(10, True)]
