"""Readings from one store into another: all of them, as they are, and what differs is said."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dutyroom.backends.memory import MemoryReadingStore
from dutyroom.backends.readings_embedded import EmbeddedReadingStore
from dutyroom.errors import Unavailable
from dutyroom.flows import copying
from dutyroom.flows.copying import checksum, copy_readings
from dutyroom.model.telemetry import DeviceClass, Kind, Point, PointSpec, PointTable, Readings, Series

T = 1_790_000_000_000
VOLUME = PointSpec("volume", "volume", "m3", Kind.COUNTER, Decimal("0.001"))
POINTS = [
    Point(n, "estate", f"m{n % 3}", DeviceClass.WATER_METER, "", VOLUME if n < 3 else PointSpec(f"flow_{n}"))
    for n in range(9)
]
TABLE = PointTable(POINTS)
Row = tuple[int, int, float, int]


def put(
    store: MemoryReadingStore | EmbeddedReadingStore, rows: list[Row], late: Mapping[int, int] | None = None
) -> None:
    plain = Readings.of([(*row, 0) for row in rows])
    store.write(
        Readings(plain.point, plain.at, plain.value, plain.quality, plain.message, {}, late or {}), TABLE
    )


def rows_of(count: int, seed: int = 1) -> list[Row]:
    rng = np.random.default_rng(seed)
    return [
        (int(p), T + n * 1000, float(n) if p < 3 else float(v), int(q))
        for n, (p, v, q) in enumerate(
            zip(rng.integers(0, 9, count), rng.random(count), rng.integers(0, 5, count), strict=True)
        )
    ]


def test_all_of_it_is_copied_with_quality_and_receive_times(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(copying, "PAGE", 3000)  # several pages a device
    monkeypatch.setattr(copying, "BLOCK", 700)
    source, target = EmbeddedReadingStore(tmp_path / "a.sqlite"), MemoryReadingStore()
    rows = rows_of(20_000)
    put(source, rows, {n: T + n * 5000 for n in range(0, 20_000, 7)})
    done = copy_readings(TABLE, source, target)
    assert (done.total("source"), done.total("target"), done.total("written")) == (20_000, 20_000, 20_000)
    assert done.differences == []
    assert done.total("source_sum") == done.total("target_sum") != 0
    for point in POINTS:
        mine, theirs = source.range(point, 0, 2**60), target.range(point, 0, 2**60)
        for name in ("at", "value", "quality"):
            assert getattr(mine, name).tolist() == getattr(theirs, name).tolist()
        assert dict(mine.late) == dict(theirs.late)
    source.close()


class Failing(MemoryReadingStore):
    """Away after some writes."""

    left = 3

    def write(self, readings: Readings, table: PointTable) -> None:
        self.left -= 1
        if self.left < 0:
            raise Unavailable("away")
        super().write(readings, table)


def test_a_copy_that_was_broken_off_goes_on_and_writes_only_what_is_missing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(copying, "BLOCK", 500)
    source, target = MemoryReadingStore(), Failing()
    put(source, rows_of(5000))
    with pytest.raises(Unavailable):
        copy_readings(TABLE, source, target)
    target.left = 10**6
    done = copy_readings(TABLE, source, target)
    assert done.total("written") == 5000 - 3 * 500
    assert done.differences == []
    assert copy_readings(TABLE, source, target).total("written") == 0


def test_another_value_quality_or_receive_time_is_replaced() -> None:
    source, target = MemoryReadingStore(), MemoryReadingStore()
    put(source, [(0, T, 1.0, 0), (0, T + 1, 2.0, 1), (0, T + 2, 3.0, 0), (0, T + 3, 4.0, 0)], {2: T + 9})
    put(target, [(0, T, 1.5, 0), (0, T + 1, 2.0, 2), (0, T + 2, 3.0, 0), (0, T + 3, 4.0, 0)], {3: T + 9})
    done = copy_readings(TABLE, source, target)
    assert done.total("written") == 4
    assert done.differences == []


def test_what_the_target_alone_has_is_a_difference_and_stays() -> None:
    source, target = MemoryReadingStore(), MemoryReadingStore()
    put(source, [(0, T, 1.0, 0)])
    put(target, [(0, T - 5, 9.0, 0), (4, T, 0.5, 0)])
    done = copy_readings(TABLE, source, target)
    assert [(t.point.id, t.source, t.target, t.extra, t.first) for t in done.differences] == [
        (0, 1, 2, 1, T - 5),
        (4, 0, 1, 1, T),
    ]
    assert len(target.range(POINTS[0], 0, 2**60)) == 2


def test_only_what_lies_within_the_bounds_is_copied_and_compared() -> None:
    source, target = MemoryReadingStore(), MemoryReadingStore()
    put(source, [(0, T + n, float(n), 0) for n in range(10)])
    put(target, [(0, T + 50, 1.0, 0)])
    done = copy_readings(TABLE, source, target, since=T + 2, until=T + 5)
    assert target.range(POINTS[0], 0, 2**60).value.tolist() == [2, 3, 4, 1]
    assert done.differences == []


class Forgetful(MemoryReadingStore):
    """Says that it stored, and did not store all."""

    def write(self, readings: Readings, table: PointTable) -> None:
        keep = np.flatnonzero(readings.at % 10_000 != 0)
        cut = Readings(*(getattr(readings, n)[keep] for n in ("point", "at", "value", "quality", "message")))
        super().write(cut, table)


def test_what_did_not_arrive_is_named() -> None:
    source, target = MemoryReadingStore(), Forgetful()
    put(source, [(0, T + n * 1000, float(n), 0) for n in range(100)])
    (tally,) = copy_readings(TABLE, source, target).differences
    assert (tally.source, tally.target, tally.missing, tally.first) == (100, 90, 10, T)


READING = st.tuples(
    st.integers(0, 20),
    st.sampled_from([0.0, -0.0, 1.5, 2.0**52]),
    st.integers(0, 4),
    st.none() | st.integers(1, 9),
)


@given(st.lists(READING, unique_by=lambda r: r[0]), st.lists(READING, unique_by=lambda r: r[0]))
def test_checksums_are_equal_where_readings_are_and_only_there(
    one: list[tuple[int, float, int, int | None]], two: list[tuple[int, float, int, int | None]]
) -> None:
    def series(rows: list[tuple[int, float, int, int | None]]) -> Series:
        rows = sorted(rows, key=lambda row: row[0])
        at, value, quality, late = zip(*rows, strict=True) if rows else ((), (), (), ())
        return Series(
            1,
            np.array(at, np.int64),
            np.array(value, np.float64),
            np.array(quality, np.uint8),
            {n: then for n, then in enumerate(late) if then is not None},
        )

    same = {row[0]: row for row in one} == {row[0]: row for row in two}
    assert (checksum(series(one)) == checksum(series(two))) is same


def test_texts_are_copied_and_compared_word_for_word(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(copying, "PAGE", 3000)
    monkeypatch.setattr(copying, "BLOCK", 70)
    status = Point(9, "estate", "m0", DeviceClass.WATER_METER, "", PointSpec("status", kind=Kind.TEXT))
    table = PointTable([*POINTS, status])
    source, target = EmbeddedReadingStore(tmp_path / "a.sqlite"), MemoryReadingStore()
    rows = [(9, T + n * 1000, 0.0, 0, 0) for n in range(2_500)] + [
        (0, T + n * 1000, float(n), 0, 0) for n in range(2_500)
    ]
    said = {n: f"{'LEAK' if n % 9 else 'OK'} {n % 50}" for n in range(2_500)}
    source.write(replace(Readings.of(rows), text=said), table)
    wrong = replace(Readings.of([(9, T, 0.0, 0, 0), (9, T + 1000, 0.0, 0, 0)]), text={0: "DRY", 1: said[1]})
    target.write(wrong, table)
    done = copy_readings(table, source, target)
    assert (done.total("written"), done.differences) == (4_999, [])
    back = EmbeddedReadingStore(tmp_path / "b.sqlite")
    assert copy_readings(table, target, back).differences == []
    for store in (target, back):
        assert dict(store.range(status, T, T + 10**8).text) == said
    target.write(replace(Readings.of([(9, T + 5000, 0.0, 0, 0)]), text={0: "another"}), table)
    assert checksum(target.range(status, T, T + 10**8)) != checksum(back.range(status, T, T + 10**8))
