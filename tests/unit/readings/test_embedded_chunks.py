"""Readings through the codec of the embedded store: they come back to the last bit."""

from __future__ import annotations

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given

from dutyroom.backends.readings_embedded import logrow
from dutyroom.backends.readings_embedded.columns import NEVER, Columns, join, settle
from dutyroom.backends.readings_embedded.decoding import decode, only, pick, unpack
from dutyroom.backends.readings_embedded.encoding import encode
from dutyroom.backends.readings_embedded.slices import BEGIN, END, slices_of
from dutyroom.backends.readings_embedded.tail import Segment
from dutyroom.timebase import DAY

T = 1_790_000_000_000 // DAY * DAY

instants = st.one_of(
    st.integers(0, 3 * 96).map(lambda n: T + n * 900_000),
    st.integers(T, T + 2 * DAY),
    st.integers(-(2**62), 2**62),
)
values = st.one_of(
    st.integers(-(2**53), 2**53).map(float),
    st.integers(-(10**7), 10**7).map(lambda n: n / 1000),
    st.floats(width=32, allow_nan=False, allow_infinity=False),
    st.floats(allow_nan=False, allow_infinity=False),
    st.just(-0.0),
)
a_row = st.tuples(
    st.one_of(st.integers(1, 70), st.integers(1, 2**31 - 2)),
    instants,
    values,
    st.integers(0, 255),
    st.one_of(st.just(NEVER), st.integers(0, 2**61)),  # less than 2**63 - 1 ms after it
)


def columns(rows: list[tuple[int, int, float, int, int]], late: bool = True) -> Columns:
    point, at, value, quality, received = zip(*rows, strict=True) if rows else ((),) * 5
    return Columns(
        np.array(point, np.int32),
        np.array(at, np.int64),
        np.array(value, np.float64),
        np.array(quality, np.uint8),
        np.array(received, np.int64) if late else None,
    )


def rows_of(c: Columns) -> list[tuple[int, int, str, int, int | None]]:
    late = c.late()
    listed = zip(c.point.tolist(), c.at.tolist(), c.value.tolist(), c.quality.tolist(), strict=True)
    return [(p, at, value.hex(), q, late.get(n)) for n, (p, at, value, q) in enumerate(listed)]


@given(st.lists(a_row, max_size=60), st.booleans())
def test_what_is_packed_comes_back(rows: list[tuple[int, int, float, int, int]], late: bool) -> None:
    c = settle(columns(rows, late))
    last = {(p, at): (p, at, v.hex(), q, r if late and r != NEVER else None) for p, at, v, q, r in rows}
    assert sorted(rows_of(c)) == sorted(last.values())
    blobs = encode(c)
    assert rows_of(decode([unpack(b.group, b.data) for b in blobs])) == rows_of(c)
    assert sum(b.rows for b in blobs) == len(c)
    for blob in blobs:
        chunks = unpack(blob.group, blob.data)
        for bit in range(32):
            one = only(chunks, blob.group * 32 + bit)
            assert (one is not None) == bool(blob.mask >> bit & 1)
            if one is not None:
                assert rows_of(decode([one])) == rows_of(decode([pick(chunks, 1 << bit)]))


@given(st.lists(a_row, min_size=1, max_size=40), st.booleans())
def test_an_entry_of_the_log_comes_back(rows: list[tuple[int, int, float, int, int]], late: bool) -> None:
    c = columns(rows, late)
    assert rows_of(logrow.unpack(logrow.pack(c))) == rows_of(c)


@pytest.mark.parametrize(
    ("step", "most"),
    [(lambda n: 1000.0 + 17 * n, 1.0), (lambda n: 21 + (n * 7 % 13) / 10, 1.5), (lambda _: 1.0, 0.5)],
)
def test_regular_readings_are_small(step: object, most: float) -> None:
    rows = [
        (p, T + n * 900_000 + p * 1000, step(n + p), 0, NEVER)  # type: ignore[operator]
        for p in range(64, 96)
        for n in range(96)
    ]
    blobs = encode(settle(columns(rows, late=False)))
    assert sum(len(b.data) for b in blobs) / len(rows) <= most


def test_many_points_with_few_readings_each_share_what_a_blob_costs() -> None:
    rows = [(p, T + p * 20 + n, float(p * n), 0, NEVER) for p in range(3200) for n in range(3)]
    assert len(encode(settle(columns(rows)))) == 100


def test_columns_too_wide_for_one_sort_are_sorted_all_the_same() -> None:
    rows = [(p, at, 1.0, 0, NEVER) for at in (2**61, T, -(2**61), 5) for p in (2**31 - 2, 1)]
    wide = settle(columns([*rows, (1, T, 2.0, 0, NEVER)]))
    assert [(p, at) for p, at, *_ in rows_of(wide) if p == 1] == [
        (1, -(2**61)),
        (1, 5),
        (1, T),
        (1, 2**61),
    ]
    assert len(settle(join([wide, wide]))) == 8
    assert 2.0 in wide.value.tolist()


@pytest.mark.parametrize("apart", [1, 1_000_000])
def test_slices_of_a_run_are_even_and_leave_nothing_out(apart: int) -> None:
    dice = np.random.default_rng(3)
    some = []
    for n in range(3):
        points = dice.choice(640, 400 + n).astype(np.int32) * apart
        points[:150] = points[0]  # one that has more than a slice by itself
        listed = [(int(p), T + k, 1.0, 0, NEVER) for k, p in enumerate(np.sort(points))]
        some.append(Segment(n, n, columns(listed)))
    slices = slices_of(some, BEGIN, 100)
    low, taken = BEGIN, []
    while low != END:
        assert slices.fit(some, low)
        high, rows = slices.rows(some, low)
        c = join(rows)
        groups = np.unique(c.point >> 5)
        assert low <= groups.min() <= groups.max() < high
        assert len(c) <= 100 or len(groups) == 1
        taken += c.point.tolist()
        low = high
    assert sorted(taken) == sorted(p for s in some for p in s.columns.point.tolist())
    assert slices_of(some, slices.edges[2], 100).edges == slices.edges[2:]  # begun anew in the middle
    assert not slices.fit(some[1:], BEGIN)
    assert not slices.fit(some, slices.edges[1] + 1)
    assert slices_of([], 5, 100).rows([], 5) == (END, [])
