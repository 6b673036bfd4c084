"""What a store may still lose: when it is safe, and which life of the server took it."""

from __future__ import annotations

import numpy as np
import pytest

from dutyroom.flows import unsettled
from dutyroom.flows.unsettled import COLD, MOST, Stretch, Unsettled, by_shard, in_doubt
from dutyroom.model.telemetry import Lane
from dutyroom.timebase import DAY, MINUTE, from_iso

WEEK = 7 * DAY


@pytest.mark.parametrize(
    ("width", "first", "last"),
    [
        (DAY, "2026-11-25T00:00:00Z", "2026-11-25T23:59:59.999Z"),
        (WEEK, "2026-11-23T00:00:00Z", "2026-11-29T23:59:59.999Z"),  # Monday to Sunday, as the server has it
    ],
)
def test_a_shard_begins_where_the_server_begins_it(width: int, first: str, last: str) -> None:
    begin, end = from_iso(first), from_iso(last)
    assert list(by_shard(np.array([begin, end, begin]), width).values()) == [3]
    assert len(by_shard(np.array([begin - 1, begin, end, end + 1]), width)) == 3


def test_nothing_is_in_no_shard() -> None:
    assert by_shard(np.zeros(0, np.int64), WEEK) == {}


def stretch(after: int, shards: dict[int, int], ended: int = 0, life: str = "a") -> Stretch:
    return Stretch(Lane.NORMAL, after, after + 1, life, shards=shards, began=ended, ended=ended)


def test_safe_is_what_so_much_of_the_same_shard_followed() -> None:
    rows = [stretch(0, {1: 5, 2: 5}), stretch(1, {1: MOST - 1}), stretch(2, {1: 1}), stretch(3, {2: 5})]
    assert in_doubt(rows, "a", 0) == [stretch(0, {2: 5}), *rows[1:]]
    assert in_doubt([*rows, stretch(4, {2: MOST})], "a", 0) == [*rows[1:3], stretch(4, {2: MOST})]


def test_safe_is_what_the_server_had_time_to_write_down() -> None:
    rows = [stretch(0, {1: 5}), stretch(1, {1: 5, 2: 5}, MINUTE), stretch(2, {2: 5}, COLD + MINUTE - 1)]
    assert in_doubt(rows, "a", COLD + MINUTE - 1) == rows
    assert in_doubt(rows, "a", COLD + MINUTE) == [stretch(1, {2: 5}, MINUTE), rows[2]]
    assert in_doubt(rows, "a", 2 * COLD + MINUTE) == []


def test_what_was_there_already_is_in_doubt_and_keeps_nothing_else_so() -> None:
    """A meter that says a reading of last month every hour: nothing is written to that month."""
    rows = [stretch(0, {1: 5}), stretch(1, {1: 0, 2: 5}, COLD - 1)]
    assert in_doubt(rows, "a", COLD - 1) == rows
    assert in_doubt(rows, "a", COLD) == rows[1:]
    assert in_doubt(rows, "a", 2 * COLD - 1) == []


def test_another_life_makes_nothing_safe_and_does_not_count() -> None:
    rows = [stretch(0, {1: 5}), stretch(1, {1: 5}, life="b"), stretch(2, {1: MOST}, life="a")]
    assert in_doubt(rows, "b", 0) == rows
    assert in_doubt(rows, "c", 10 * COLD) == rows


def test_what_was_written_between_two_looks_belongs_to_the_life_that_both_saw() -> None:
    u = Unsettled()
    u.seen("a", 0)
    u.wrote(Lane.NORMAL, 0, 3, {1: 10}, 1)
    u.wrote(Lane.PRIORITY, 0, 1, {1: 2}, 1)
    u.wrote(Lane.NORMAL, 3, 5, {1: 10}, 2)
    assert not u.seen("a", 3)
    assert u.doubtful() is None
    u.wrote(Lane.NORMAL, 5, 6, {1: 10}, 4)
    assert u.seen("b", 5)
    assert [(s.lane, s.after, s.upto, s.life, s.mixed) for s in u.stretches] == [
        (Lane.NORMAL, 0, 5, "a", False), (Lane.PRIORITY, 0, 1, "a", False), (Lane.NORMAL, 5, 6, "a", True),
    ]  # fmt: skip
    assert u.upto == {Lane.NORMAL: 6, Lane.PRIORITY: 1}


def test_stretches_are_put_together_up_to_a_size(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unsettled, "_SIZE", 30)
    u = Unsettled()
    u.seen("a", 0)
    for n in range(7):
        u.wrote(Lane.NORMAL, n, n + 1, {1: 10}, n)
        u.seen("a", n)
    assert [(s.after, s.upto, s.values) for s in u.stretches] == [(0, 3, 30), (3, 6, 30), (6, 7, 10)]


def test_what_is_found_is_safe_and_what_was_written_again_is_not() -> None:
    u = Unsettled([stretch(0, {1: 5}), stretch(1, {1: 5, 2: 5})])
    u.seen("b", 0)
    first = u.doubtful()
    assert first is not None
    u.found(first, {}, 1)
    second = u.doubtful()
    assert second is not None
    u.mix(second)
    second = u.doubtful()
    assert second is not None
    assert second.mixed
    u.found(second, {1: 3, 2: 0}, 9)
    assert u.stretches == [Stretch(Lane.NORMAL, 1, 2, "b", False, {1: 3, 2: 0}, 9, 9)]
    assert u.doubtful() is None


def test_what_is_in_doubt_of_a_shard_stays_so_when_more_is_written_to_another() -> None:
    u = Unsettled([stretch(0, {1: 5, 2: 5})])
    u.seen("b", 0)
    (first,) = u.stretches
    u.found(first, {1: 3, 2: 0}, 1)
    for shards in ({1: 4}, {1: 0, 3: 0}, {1: 1}):
        u.wrote(Lane.NORMAL, 1, 2, shards, 2)
    u.seen("b", 3)
    assert [s.shards for s in u.stretches] == [{1: 8, 2: 0, 3: 0}]
