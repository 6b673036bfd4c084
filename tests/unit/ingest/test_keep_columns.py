"""What the store's reader makes of columns is what it would make of each reading by itself."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from dutyroom.flows.keep import rising, sort_out
from dutyroom.model.telemetry import Batch, Lane, Message, MessageRecord, Outcome, PointTable, Readings

ROWS = st.lists(
    st.tuples(st.integers(0, 3), st.integers(0, 8), st.integers(0, 2), st.integers(0, 2)), max_size=20
)
NEWEST = st.lists(st.integers(-1, 8), min_size=4, max_size=4)


def batch_of(rows: list[tuple[int, int, int, int]]) -> Batch:
    record = MessageRecord(Message("t", b"", 0), Outcome.DECODED, "d")
    readings = Readings.of([(point, at, float(value), quality, 0) for point, at, value, quality in rows])
    return Batch("s", Lane.NORMAL, 0, (record,), readings)


@given(ROWS, NEWEST)
def test_points_that_only_go_on_need_no_comparison(
    rows: list[tuple[int, int, int, int]], newest: list[int]
) -> None:
    batch = batch_of(rows)
    plain = rising(batch.readings, np.array(newest))
    moved = np.array(newest)
    each = sort_out(batch, range(len(rows)), moved, {}, PointTable())
    assert set(np.flatnonzero(plain).tolist()) <= set(each.store)
    for point in range(4):
        mine = [at for p, at, _, _ in rows if p == point]
        goes_on = all(a < b for a, b in zip([newest[point], *mine], mine, strict=False))
        assert all(bool(plain[n]) is goes_on for n, row in enumerate(rows) if row[0] == point)
