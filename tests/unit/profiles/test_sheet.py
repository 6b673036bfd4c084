"""Rows of structs as a table of bytes: the same numbers as one by one, or nothing."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dutyroom.profiles.sheet import sheet_of


class Inner(msgspec.Struct, rename={"t": "temperature"}):
    t: float | None = None


class Row(msgspec.Struct, rename={"kwh": "kWh", "at": "ts"}):
    kwh: float | None = None
    state: int | None = None
    inner: Inner = msgspec.field(default_factory=Inner)
    at: int | float | str | bool | None = None


WHOLE = st.integers(-(2**63), 2**64 - 1) | st.integers(-130, 130)
FLOAT = st.none() | st.floats(allow_nan=False)
ROWS = st.lists(
    st.builds(
        Row, FLOAT, st.none() | WHOLE, st.builds(Inner, FLOAT), WHOLE | FLOAT | st.booleans() | st.text()
    ),
    min_size=1,
    max_size=20,
)
ALIKE = st.lists(
    st.builds(Row, st.floats(allow_nan=False), st.integers(-32, 127), st.builds(Inner, st.just(1.5)), WHOLE),
    min_size=1,
    max_size=20,
)


def listed(column: Any) -> list[float | int | None]:
    return [None if value != value else value for value in column.tolist()]


@given(ROWS | ALIKE)
def test_columns_are_what_the_rows_say(rows: list[Row]) -> None:
    sheet = sheet_of(rows)
    if sheet is None:
        return
    for keys, said in (
        (("kWh",), [row.kwh for row in rows]),
        (("state",), [row.state for row in rows]),
        (("inner", "temperature"), [row.inner.t for row in rows]),
        (("ts",), [row.at for row in rows]),
    ):
        floats, whole = sheet.floats(keys), sheet.whole(keys)
        if floats is not None:
            assert listed(floats) == [None if value is None else float(value) for value in said]
            assert not any(isinstance(value, bool | str) for value in said)
        if whole is not None:
            assert whole.tolist() == said
            assert not any(isinstance(value, bool | float) for value in said)


@pytest.mark.parametrize("count", [1, 15, 16, 4096, 70_000])
def test_messages_of_one_kind_are_a_table(count: int) -> None:
    rows = [Row(n / 7, n % 100, Inner(-0.0), 1_795_575_600_000 + n) for n in range(count)]
    sheet = sheet_of(rows)
    assert sheet is not None
    floats, state, at = sheet.floats(("kWh",)), sheet.whole(("state",)), sheet.whole(("ts",))
    assert floats is not None
    assert state is not None
    assert at is not None
    assert floats.tolist() == [n / 7 for n in range(count)]
    assert state.tolist() == [n % 100 for n in range(count)]
    assert at.tolist() == [1_795_575_600_000 + n for n in range(count)]
    negative = sheet.floats(("inner", "temperature"))
    assert negative is not None
    assert np.signbit(negative).all()


def test_what_is_not_alike_is_no_table() -> None:
    assert sheet_of([Row(1.0), Row(None)]) is None
    assert sheet_of([Row(1.0, at="12"), Row(1.0, at="123")]) is None
    assert sheet_of([Row(1.0, 1), Row(None, 2**63)]) is None  # as long, all together
    assert sheet_of([Row(1.0, True), Row(1.0, 1)]) is None  # type: ignore[arg-type]
    many = msgspec.defstruct("Many", [(f"f{n}", float) for n in range(20)])
    sheet = sheet_of([many(*range(20)), many(*range(20, 40))])
    assert sheet is not None
    floats = sheet.floats(("f19",))
    assert floats is not None
    assert floats.tolist() == [19.0, 39.0] or sheet.whole(("f19",)) is not None
