"""The embedded store beside the plainest one, whatever is written and whenever it tidies up.

DUTYROOM_TEST_EXAMPLES sets how many histories are tried (60 by default).
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from tests.unit.readings.small import set_limits

from dutyroom.backends.memory import MemoryReadingStore
from dutyroom.backends.readings_embedded import EmbeddedReadingStore
from dutyroom.model.telemetry import DeviceClass, Point, PointSpec, PointTable, Readings
from dutyroom.timebase import DAY, HOUR

EXAMPLES = int(os.environ.get("DUTYROOM_TEST_EXAMPLES", "60"))
T = 1_790_000_000_000 // DAY * DAY
POINTS = [1, 2, 3, 31, 32, 40, 95, 4000]
ALL = {n: Point(n, "s", f"d{n}", DeviceClass.OTHER, "", PointSpec("x")) for n in [*POINTS, 5]}
TABLE = PointTable(ALL.values())

instants = st.one_of(
    st.integers(0, 40).map(lambda n: T + n * 6 * HOUR),
    st.integers(0, 20).map(lambda n: T + DAY + n * 900_000 + n % 3),
    st.sampled_from([0, 1, -1, -5 * DAY, T - 1, T + DAY - 1, T + DAY, 2**45, -(2**45)]),
)
values = st.one_of(
    st.integers(0, 50).map(float),
    st.integers(-500, 500).map(lambda n: n / 100),
    st.sampled_from(
        [0.0, -0.0, 2.0**53 - 1, -(2.0**53), 0.1, 1 / 3, 5e-324, 1.5e308, float(np.float32(21.3))]
    ),
    st.floats(allow_nan=False, allow_infinity=False),
)
rows = st.tuples(
    st.sampled_from(POINTS),
    instants,
    values,
    st.sampled_from([0, 0, 0, 0, 1, 4, 255]),
    st.one_of(st.none(), st.none(), st.integers(-5, 10**9)),
)
steps = st.one_of(
    st.tuples(st.just("write"), st.lists(rows, max_size=30)),
    st.tuples(st.just("history"), st.lists(rows, min_size=4, max_size=40)),
    st.tuples(st.just("tidy"), st.tuples(st.integers(1, 4), st.booleans())),
    st.tuples(st.just("open"), st.none()),
    st.tuples(st.just("ask"), st.tuples(instants, instants, st.integers(1, 30))),
)


def readings(some: list[tuple[int, int, float, int, int | None]]) -> Readings:
    r = Readings.of([(p, at, value, quality, 0) for p, at, value, quality, _ in some])
    late = {row: at + delay for row, (_, at, _, _, delay) in enumerate(some) if delay is not None}
    return Readings(r.point, r.at, r.value, r.quality, r.message, {}, late)


@pytest.fixture(autouse=True, scope="module")
def small() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        set_limits(patch)
        yield


def same(mine: EmbeddedReadingStore, plain: MemoryReadingStore, start: int, end: int, limit: int) -> None:
    for point in ALL.values():
        for low, high, most in ((-(2**60), 2**60, 10**6), (start, end, limit)):
            a, b = mine.range(point, low, high, most), plain.range(point, low, high, most)
            assert a.at.tolist() == b.at.tolist()
            assert a.value.tobytes() == b.value.tobytes()
            assert a.quality.tolist() == b.quality.tolist()
            assert dict(a.late) == dict(b.late)
        width = max(1, (end - start) // 7)
        mine_, theirs = mine.buckets(point, start, end, width), plain.buckets(point, start, end, width)
        for x, y in zip(mine_, theirs, strict=True):
            assert (x[:2], x[3:]) == (y[:2], y[3:])
            largest = max(abs(y[1]), abs(y[3]))  # sums of floats differ by the order of their terms
            assert largest > 1e300 or abs(x[2] - y[2]) <= largest * 1e-9
    everything = list(ALL.values())
    assert mine.latest(everything) == plain.latest(everything)
    for moment, back in ((start, abs(end - start)), (end, DAY), (start, 0), (end, 2**60)):
        assert mine.at(everything, moment, back) == plain.at(everything, moment, back)
        assert mine.at(everything[:2], moment, back) == plain.at(everything[:2], moment, back)


@given(st.lists(steps, max_size=14))
@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
def test_it_holds_what_the_plainest_store_holds(what: list[tuple[str, object]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        play(Path(folder) / "readings.sqlite", what)


def play(path: Path, what: list[tuple[str, object]]) -> None:
    mine, plain = EmbeddedReadingStore(path), MemoryReadingStore()
    watching = EmbeddedReadingStore(path, read_only=True)
    try:
        for name, given_ in what:
            if name in ("write", "history"):
                some = sorted(given_, key=lambda r: r[:1]) if name == "history" else given_  # type: ignore[call-overload]
                mine.write(readings(some), TABLE)
                plain.write(readings(some), TABLE)
            elif name == "tidy":
                for _ in range(given_[0]):  # type: ignore[index]
                    mine.tidy(given_[1])  # type: ignore[index]
            elif name == "open":
                mine.close()
                mine = EmbeddedReadingStore(path)
            else:
                start, end, limit = given_  # type: ignore[misc]
                same(mine, plain, min(start, end), max(start, end), limit)
                same(watching, plain, min(start, end), max(start, end), limit)
        for _ in range(200):
            if not mine.tidy(all_of_it=True):
                break
        else:
            raise AssertionError("tidying up does not end")
        same(mine, plain, T, T + 4 * DAY, 10)
        same(watching, plain, T, T + 4 * DAY, 10)
    finally:
        mine.close()
        watching.close()
