"""What every store of readings must do: memory, one SQLite file, InfluxDB. The same suite for all."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest
from tests.busy import alone

from dutyroom.backends.memory import MemoryReadingStore
from dutyroom.backends.readings_embedded import EmbeddedReadingStore
from dutyroom.backends.readings_influx import InfluxReadingStore
from dutyroom.errors import Rejected
from dutyroom.interfaces import ReadingStore
from dutyroom.model.telemetry import (
    DeviceClass,
    Kind,
    Point,
    PointSpec,
    PointTable,
    Quality,
    Reading,
    Readings,
)
from dutyroom.timebase import DAY, HOUR

T = 1_790_000_000_000

VOLUME = PointSpec("volume", "volume", "m3", Kind.COUNTER, Decimal("0.001"), 9)
FLOW = PointSpec("flow", "flow", "m3/h")
DOOR = PointSpec("door", "number", "", Kind.STATE)
STATUS = PointSpec("status", "number", "", Kind.TEXT)


def a_point(number: int, device: str, spec: PointSpec, kind: DeviceClass = DeviceClass.WATER_METER) -> Point:
    return Point(number, "estate", device, kind, "A/12/1204", spec)


METER, RATE = a_point(1, "A-1204-water", VOLUME), a_point(2, "A-1204-water", FLOW)
ODD = a_point(3, '单元 12,栋=A "东" \\\'西', VOLUME)
GATE = a_point(4, "gate north", DOOR, DeviceClass.GATE)
WORDS = a_point(5, "A-1204-water", STATUS)
TABLE = PointTable([METER, RATE, ODD, GATE, WORDS])

Opener = Callable[[], ReadingStore]


@pytest.fixture(params=["memory", "embedded", pytest.param("influx", marks=pytest.mark.servers)])
def opener(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Opener]:
    """Opens the store; again: as after a restart (the memory's only has one life)."""
    opened: list[ReadingStore] = []
    memory = MemoryReadingStore()

    def open_store() -> ReadingStore:
        if request.param == "embedded":
            opened.append(EmbeddedReadingStore(tmp_path / "readings.sqlite"))
        elif request.param == "influx":
            bucket = request.getfixturevalue("influx")
            opened.append(InfluxReadingStore(bucket.url, bucket.token, bucket.org, bucket.name, "estate"))
        else:
            opened.append(memory)
        return opened[-1]

    yield open_store
    for store in opened:
        store.close()


@pytest.fixture
def store(opener: Opener) -> ReadingStore:
    return opener()


Row = tuple[int, int, float, int]


def put(store: ReadingStore, *rows: Row, table: PointTable = TABLE) -> None:
    store.write(Readings.of([(*row, 0) for row in rows]), table)


def kept(store: ReadingStore, point: Point, start: int = T - DAY, end: int = T + 40 * DAY) -> list[Row]:
    s = store.range(point, start, end)
    return list(zip([point.id] * len(s), s.at.tolist(), s.value.tolist(), s.quality.tolist(), strict=True))


def test_an_empty_store_has_nothing(store: ReadingStore) -> None:
    assert len(store.range(METER, 0, T)) == 0
    assert list(store.buckets(METER, T - DAY, T, HOUR)) == []
    assert store.at([METER, GATE], T, DAY) == {}
    assert store.latest([METER, GATE]) == {}
    assert store.latest([]) == {}
    store.write(Readings.empty(), TABLE)


def test_what_is_written_is_read_in_time_order(store: ReadingStore) -> None:
    rows = [(1, T + 3, 7.0, 0), (2, T + 3, 0.1, 0), (1, T + 1, 5.0, 0), (1, T + 2, 6.0, 2)]
    put(store, *rows)
    assert kept(store, METER) == [(1, T + 1, 5.0, 0), (1, T + 2, 6.0, 2), (1, T + 3, 7.0, 0)]
    assert kept(store, RATE) == [(2, T + 3, 0.1, 0)]


def test_a_range_takes_its_start_and_not_its_end(store: ReadingStore) -> None:
    put(store, *[(1, T + i, float(i), 0) for i in range(10)])
    assert [row[1] - T for row in kept(store, METER, T + 2, T + 5)] == [2, 3, 4]
    limited = store.range(METER, T, T + 10, limit=3)
    assert limited.value.tolist() == [7, 8, 9]


def test_the_same_again_changes_nothing(store: ReadingStore) -> None:
    rows = [(1, T + i, float(i), i % 3) for i in range(50)]
    put(store, *rows)
    put(store, *rows)
    put(store, *rows[10:20], *rows[5:15])
    assert kept(store, METER) == rows


def test_another_value_at_the_same_instant_replaces_value_and_quality(store: ReadingStore) -> None:
    put(store, (1, T, 5.0, Quality.SUSPECT), (1, T + 1, 6.0, 0))
    put(store, (1, T, 4.0, Quality.GOOD), (1, T + 1, 6.5 // 1, Quality.CLOCK))
    assert kept(store, METER) == [(1, T, 4.0, 0), (1, T + 1, 6.0, 2)]


def test_a_worse_quality_is_replaced_whole_also_after_a_restart(opener: Opener) -> None:
    put(opener(), (1, T, 5.0, Quality.SUSPECT), (1, T + 9, 6.0, 0))
    put(opener(), (1, T, 5.0, Quality.GOOD))
    assert kept(opener(), METER) == [(1, T, 5.0, 0), (1, T + 9, 6.0, 0)]


def test_of_two_rows_of_one_write_the_later_one_stays(store: ReadingStore) -> None:
    put(store, (1, T, 5.0, 3), (2, T, 1.5, 0), (1, T, 6.0, 0))
    assert kept(store, METER) == [(1, T, 6.0, 0)]


def put_late(store: ReadingStore, rows: list[Row], late: dict[int, int]) -> None:
    plain = Readings.of([(*row, 0) for row in rows])
    store.write(replace(plain, late=late), TABLE)


def test_the_receive_time_of_a_late_one_is_kept(store: ReadingStore) -> None:
    rows = [(1, T, 5.0, 0), (1, T + HOUR, 6.0, 2), (2, T, 0.5, 0), (4, T, 1.0, 0), (5, T, 0.0, 0)]
    put_late(store, rows, {0: T + DAY, 2: T + DAY + 7, 3: T + 1, 4: T + 2})
    series = store.range(METER, T - DAY, T + DAY)
    assert (series.at.tolist(), series.quality.tolist(), dict(series.late)) == (
        [T, T + HOUR],
        [0, 2],
        {0: T + DAY},
    )
    assert dict(store.range(METER, T, T + DAY, limit=1).late) == {}
    assert dict(store.range(WORDS, T, T + DAY).late) == {0: T + 2}
    assert store.at([METER, RATE], T + 5, DAY) == {
        1: Reading(1, T, 5.0, 0, T + DAY),
        2: Reading(2, T, 0.5, 0, T + DAY + 7),
    }
    assert store.latest([METER, GATE]) == {1: Reading(1, T + HOUR, 6.0, 2), 4: Reading(4, T, 1.0, 0, T + 1)}


def test_the_receive_time_is_replaced_with_the_value_also_after_a_restart(opener: Opener) -> None:
    put_late(opener(), [(1, T, 5.0, 3), (1, T + 1, 6.0, 0), (1, T + 2, 7.0, 0)], {0: T + DAY})
    put_late(opener(), [(1, T, 5.5 // 1, 0), (1, T + 1, 6.0, 0)], {1: T + 2 * DAY})
    series = opener().range(METER, T, T + DAY)
    assert (series.value.tolist(), series.quality.tolist(), dict(series.late)) == (
        [5.0, 6.0, 7.0],
        [0, 0, 0],
        {1: T + 2 * DAY},
    )


def test_the_same_late_ones_again_change_nothing(store: ReadingStore) -> None:
    rows = [(1, T + i * 1000, float(i), i % 3) for i in range(300)]
    late = {i: T + DAY + i for i in range(0, 300, 2)}
    for _ in range(2):
        put_late(store, rows, late)
    assert kept(store, METER) == rows
    assert dict(store.range(METER, T, T + DAY).late) == late


def test_late_rows_find_their_place(store: ReadingStore) -> None:
    rows = [(1, T + i * 1000, float(i), 0) for i in range(200)]
    shuffled = random.Random(5).sample(rows, len(rows))
    for start in range(0, 200, 40):
        put(store, *shuffled[start : start + 40])
    assert kept(store, METER) == rows
    assert store.latest([METER])[1] == Reading(1, T + 199_000, 199.0)


@pytest.mark.parametrize("steps", [2**31, 2**32 + 1, 99_999_999_999, 2**53 - 1, 0, -(2**31) - 1])
def test_a_register_of_any_length_is_exact(store: ReadingStore, steps: int) -> None:
    put(store, (1, T, float(steps), 0))
    assert int(kept(store, METER)[0][2]) == steps
    assert int(store.latest([METER])[1].value) == steps


@pytest.mark.parametrize(
    "value", [0.1, -273.15, 5e-324, 1e-300, 1.7976931348623157e308, 123456.789012345, -0.0, 3.0]
)
def test_a_gauge_comes_back_to_the_last_bit(store: ReadingStore, value: float) -> None:
    put(store, (2, T, value, 0))
    assert kept(store, RATE) == [(2, T, value, 0)]


@pytest.mark.parametrize("code", [0, 1, 7, -3, 65_535, 2**31])
def test_a_state_keeps_its_code(store: ReadingStore, code: int) -> None:
    put(store, (4, T, 1.0, 0), (4, T + 1, float(code), 0))
    assert kept(store, GATE) == [(4, T, 1.0, 0), (4, T + 1, float(code), 0)]
    assert store.at([GATE], T + 1, 0) == {4: Reading(4, T + 1, float(code))}


def test_names_of_any_language_and_sign_stay_apart(store: ReadingStore) -> None:
    put(store, (3, T, 12.0, 0), (1, T, 99.0, 0), (4, T, 1.0, 0))
    assert kept(store, ODD) == [(3, T, 12.0, 0)]
    assert {k: r.value for k, r in store.latest([ODD, METER, GATE]).items()} == {3: 12.0, 1: 99.0, 4: 1.0}
    assert store.at([ODD], T, 0)[3].value == 12.0
    assert store.buckets(ODD, T, T + HOUR, HOUR) == [(T, 12.0, 12.0, 12.0, 12.0)]


def test_at_gives_the_newest_not_after_the_moment_and_not_too_old(store: ReadingStore) -> None:
    put(store, (1, T, 10.0, 0), (1, T + HOUR, 11.0, 2), (4, T, 1.0, 0))
    points = [METER, GATE, RATE]
    assert store.at(points, T + HOUR - 1, DAY) == {1: Reading(1, T, 10.0), 4: Reading(4, T, 1.0)}
    assert store.at(points, T + HOUR, 60_000) == {1: Reading(1, T + HOUR, 11.0, 2)}
    assert store.at(points, T + HOUR, HOUR)[4] == Reading(4, T, 1.0)
    assert store.at(points, T - 1, DAY) == {}
    assert store.at([GATE], T + HOUR, 10) == {}


def test_latest_knows_a_reading_from_the_future(store: ReadingStore) -> None:
    put(store, (1, T, 10.0, 0), (1, T + 4000 * DAY, 11.0, 2))
    assert store.latest([METER]) == {1: Reading(1, T + 4000 * DAY, 11.0, 2)}


def test_buckets_are_aligned_to_their_start(store: ReadingStore) -> None:
    put(store, *[(2, T + i * 600_000, float(i % 7), 0) for i in range(40)])
    start, end = T + 90_000, T + 90_000 + 5 * HOUR
    by_hand: dict[int, list[float]] = {}
    for i in range(40):
        at = T + i * 600_000
        if start <= at < end:
            by_hand.setdefault((at - start) // HOUR, []).append(float(i % 7))
    expected = [
        (start + b * HOUR, min(v), pytest.approx(sum(v) / len(v)), max(v), v[-1])
        for b, v in sorted(by_hand.items())
    ]
    assert [tuple(row) for row in store.buckets(RATE, start, end, HOUR)] == expected


def test_buckets_without_readings_are_left_out(store: ReadingStore) -> None:
    put(store, (1, T, 1.0, 0), (1, T + 5 * HOUR, 4.0, 0), (1, T + 5 * HOUR + 1, 3.0, 0))
    assert [tuple(row) for row in store.buckets(METER, T, T + 6 * HOUR, HOUR)] == [
        (T, 1.0, 1.0, 1.0, 1.0),
        (T + 5 * HOUR, 3.0, 3.5, 4.0, 3.0),
    ]


def test_what_is_no_number_is_refused_and_the_others_are_stored(store: ReadingStore) -> None:
    with pytest.raises(Rejected) as caught:
        put(store, (1, T, 1.0, 0), (2, T, float("nan"), 0), (2, T + 1, float("inf"), 0), (2, T + 2, 2.5, 0))
    assert set(caught.value.items) == {1, 2}
    assert kept(store, METER) == [(1, T, 1.0, 0)]
    assert kept(store, RATE) == [(2, T + 2, 2.5, 0)]


def say(store: ReadingStore, *rows: tuple[int, int, str], late: dict[int, int] | None = None) -> None:
    """Texts; a number is written beside them in the same block."""
    readings = Readings.of([(point, at, 0.0, 0, 0) for point, at, _ in rows] + [(1, T, 7.0, 0, 0)])
    texts = {row: text for row, (_, _, text) in enumerate(rows)}
    store.write(replace(readings, text=texts, late=late or {}), TABLE)


ODD_TEXT = 'DRY, "leak" \\ 漏'


def test_a_text_comes_back_word_for_word_and_stands_as_zero_among_the_numbers(opener: Opener) -> None:
    say(opener(), (5, T, ODD_TEXT), (5, T + HOUR, "OK"), (5, T + 2 * HOUR, ODD_TEXT), late={1: T + DAY})
    for store in (opener(), opener()):
        assert kept(store, WORDS) == [(5, T + n * HOUR, 0.0, 0) for n in range(3)]
        series = store.range(WORDS, T, T + DAY)
        assert dict(series.text) == {0: ODD_TEXT, 1: "OK", 2: ODD_TEXT}
        assert dict(series.late) == {1: T + DAY}
        assert dict(store.range(WORDS, T, T + DAY, limit=2).text) == {0: "OK", 1: ODD_TEXT}
        assert dict(store.range(METER, T, T + DAY).text) == {}
        assert store.latest([WORDS, METER]) == {
            5: Reading(5, T + 2 * HOUR, 0.0, text=ODD_TEXT),
            1: Reading(1, T, 7.0),
        }
        assert store.at([WORDS, METER], T + HOUR, DAY)[5] == Reading(5, T + HOUR, 0.0, 0, T + DAY, "OK")


def test_another_text_at_the_same_instant_replaces_it(opener: Opener) -> None:
    say(opener(), (5, T, "OK"), (5, T + 1, "DRY"), (5, T + 2, "LEAK"))
    say(opener(), (5, T, "OK"), (5, T + 1, "BURST"), (5, T + 2, ""))
    assert dict(opener().range(WORDS, T, T + DAY).text) == {0: "OK", 1: "BURST"}
    assert opener().latest([WORDS]) == {5: Reading(5, T + 2, 0.0)}
    assert kept(opener(), WORDS) == [(5, T + n, 0.0, 0) for n in range(3)]


def test_many_texts_find_their_rows(store: ReadingStore) -> None:
    rows = [(5, T + n * 1000, f"loop {n % 40} detector {n}") for n in range(3_000)]
    shuffled = random.Random(8).sample(rows, len(rows))
    for start in range(0, len(rows), 500):
        say(store, *shuffled[start : start + 500])
    assert dict(store.range(WORDS, T, T + DAY).text) == {n: text for n, (_, _, text) in enumerate(rows)}
    assert store.latest([WORDS])[5].text == "loop 39 detector 2999"
    assert kept(store, METER) == [(1, T, 7.0, 0)]


def test_the_receive_time_of_a_late_reading_is_kept(opener: Opener) -> None:
    store = opener()
    r = Readings.of([(1, T + i * HOUR, float(i), 0, 0) for i in range(5)] + [(2, T, 0.5, 0, 0)])
    late = {1: T + 7 * HOUR, 3: T + 8 * HOUR, 5: T + DAY}
    store.write(Readings(r.point, r.at, r.value, r.quality, r.message, {}, late), TABLE)
    for again in (store, opener()):
        assert dict(again.range(METER, T, T + DAY).late) == {1: T + 7 * HOUR, 3: T + 8 * HOUR}
        assert dict(again.range(METER, T + HOUR, T + DAY, limit=3).late) == {1: T + 8 * HOUR}
        found = again.at([METER, RATE], T + 3 * HOUR, DAY)
        assert found[1] == Reading(1, T + 3 * HOUR, 3.0, 0, T + 8 * HOUR)
        assert found[2] == again.latest([RATE])[2] == Reading(2, T, 0.5, 0, T + DAY)
        assert again.latest([METER])[1].received_at is None


def test_a_reading_written_again_in_time_is_no_longer_late(store: ReadingStore) -> None:
    r = Readings.of([(1, T, 5.0, 0, 0)])
    store.write(Readings(r.point, r.at, r.value, r.quality, r.message, {}, {0: T + DAY}), TABLE)
    put(store, (1, T, 5.0, 0))
    assert store.latest([METER]) == {1: Reading(1, T, 5.0)}
    assert dict(store.range(METER, T, T + 1).late) == {}


def test_what_was_written_is_there_after_a_restart(opener: Opener) -> None:
    put(opener(), (1, T, 1.0, 0), (3, T, 2.0, 1))
    again = opener()
    assert kept(again, METER) == [(1, T, 1.0, 0)]
    assert again.latest([METER, ODD])[3] == Reading(3, T, 2.0, 1)


def test_a_long_range_comes_whole_and_a_limit_takes_the_newest(store: ReadingStore) -> None:
    rows = [(2, T + i * 1000, i / 7, i % 2) for i in range(25_000)]
    put(store, *rows)
    assert kept(store, RATE) == rows
    assert [row[1] for row in kept(store, RATE, T, T + 3000)] == [T, T + 1000, T + 2000]
    assert store.range(RATE, 0, 2**62, limit=1).value.tolist() == [24_999 / 7]


def test_many_fields_of_one_device_are_told_apart(store: ReadingStore) -> None:
    points = [a_point(100 + i, "panel", PointSpec(f"loop_{i}")) for i in range(130)]
    put(store, *[(p.id, T, float(p.id), p.id % 3) for p in points], table=PointTable(points))
    assert store.latest(points) == {p.id: Reading(p.id, T, float(p.id), p.id % 3) for p in points}
    assert store.at(points, T - 1, DAY) == {}


def test_a_point_asked_of_an_unknown_device_is_absent(store: ReadingStore) -> None:
    put(store, (1, T, 1.0, 0))
    stranger = a_point(77, "never seen", VOLUME)
    assert store.latest([stranger, METER]) == {1: Reading(1, T, 1.0)}
    assert store.at([stranger], T, DAY) == {}
    assert len(store.range(stranger, 0, T + DAY)) == 0


def test_five_thousand_points_at_a_moment(store: ReadingStore) -> None:
    points = [a_point(100 + i, f"m{i:04}", VOLUME) for i in range(5000)]
    table = PointTable(points)
    for hour in range(3):
        put(store, *[(p.id, T + hour * HOUR, float(p.id + hour), 0) for p in points], table=table)
    began = time.perf_counter()
    found = store.at(points, T + HOUR + 5, DAY)
    seconds = time.perf_counter() - began
    assert {p: (r.at, r.value) for p, r in found.items()} == {p.id: (T + HOUR, p.id + 1.0) for p in points}
    assert len(store.latest(points)) == 5000
    assert alone(seconds) < 3, "a cut-off reads every meter of an estate at once"
