"""A first reading that says nothing is passed over like all others that do; one that says something is judged."""

from __future__ import annotations

from dataclasses import replace
from math import inf

import pytest
from tests.unit.rules.kind_bench import Bench, counter, gauge, rule, state

from dutyroom.model.telemetry import Quality
from dutyroom.rules import points
from dutyroom.rules.calm import bounds_of, foreseen
from dutyroom.rules.delay import Watched
from dutyroom.rules.engine import Engine
from dutyroom.rules.kinds.decrease import DecreaseInstance
from dutyroom.rules.spec import Rule

HOT = rule("kind: limit\npoint: flow\nparameters: {above: 3}")
WET = rule("kind: state\npoint: leak\nparameters: {equals: [1]}")
BACK = rule("kind: decrease\npoint: volume")
FAST = rule("kind: rate\npoint: volume\nparameters: {above: 30, over: 5min}")


@pytest.fixture
def taken(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Values that an instance was asked about, one by one."""
    monkeypatch.setattr(points, "FEW", 0)
    asked: list[float] = []
    for kind in (Watched, DecreaseInstance):
        real = kind.take

        def take(self, point, at, value, retained, received, real=real):  # type: ignore[no-untyped-def]
            asked.append(value)
            return real(self, point, at, value, retained, received)

        monkeypatch.setattr(kind, "take", take)
    return asked


def bench(one: Rule) -> Bench:
    return Bench(one, gauge("flow"), state("leak"), counter("volume"))


def test_first_readings_that_say_nothing_are_not_taken(taken: list[float]) -> None:
    for one, name, value in (
        (HOT, "flow", 2.0),
        (WET, "leak", 0.0),
        (BACK, "volume", 9.0),
        (FAST, "volume", 9.0),
    ):
        assert bench(one).feed(0, name, value) == []
    assert taken == []


def test_a_first_reading_beyond_the_limit_is_an_alarm(taken: list[float]) -> None:
    for one, name, value in ((HOT, "flow", 4.0), (WET, "leak", 1.0)):
        (said,) = bench(one).feed(0, name, value)
        assert (said.active, said.value) == (True, value)
    assert taken == [4.0, 1.0]


def test_a_register_that_fell_since_its_first_reading_is_an_alarm(taken: list[float]) -> None:
    made = bench(BACK)
    assert made.feed(0, "volume", 9_000_000) == []
    assert [c.active for c in made.feed(900, "volume", 8_000_000)] == [True]


def test_a_first_retained_reading_is_judged(taken: list[float]) -> None:
    bench(HOT).feed(0, "flow", 2.0, quality=Quality.RETAINED)
    assert taken == [2.0]


def test_after_a_restart_only_those_are_judged_that_wait_or_have_been_raised(taken: list[float]) -> None:
    for before, judged in ((2.0, []), (4.0, [2.5])):
        made = bench(HOT)
        made.feed(0, "flow", before)
        other = Engine([HOT], made.table, made.devices)
        other.restore(made.engine.snapshot())
        taken.clear()
        said = other.feed(made.batch([(60, "flow", 2.5)]))
        assert (taken, [c.active for c in said]) == (judged, [False] if judged else [])


def test_the_bounds_of_a_point_are_the_narrowest_of_all_who_look_at_it() -> None:
    cold = rule("kind: limit\npoint: flow\nparameters: {below: 1}")
    low, high = (bench(one).engine._points.at(1)[0] for one in (cold, HOT))
    assert bounds_of((low, high), 1, 2.0) == (1.0, 3.0)
    assert bounds_of((), 1, 2.0) == (-inf, inf)


def test_a_point_is_foreseen_only_where_all_who_look_at_it_can_say_so() -> None:
    made = bench(HOT)
    assert foreseen(made.engine._points.at, [1], [2.0]) == ([1], [-inf], [3.0])
    made.feed(0, "flow", 4.0)
    assert foreseen(made.engine._points.at, [1], [2.0]) == ([], [], [])


@pytest.mark.parametrize("first", ["asks", "does not"])
def test_a_reading_for_those_who_learn_is_told_to_nobody_else(taken: list[float], first: str) -> None:
    """Whoever of them looked at the point first. A register that rises in one batch was judged twice, and fell."""
    learns = replace(rule("kind: night_flow\npoint: volume"), id="learns")
    both = (learns, BACK) if first == "asks" else (BACK, learns)
    made = Bench(both, counter("volume"), kind="water_meter", use="riser")
    says: list[object] = list(made.engine.feed(made.batch([(0, "volume", 0)])))
    rises = [(hour * 3600, "volume", hour * 10.0) for hour in range(1, 48)]
    assert [*says, *made.engine.feed(made.batch(rises))] == []
    assert made.engine._points.asking(1) == tuple(i for i in made.engine._points.at(1) if i.asks)
    assert len(made.engine._points.at(1)) == 2
    assert taken == []
