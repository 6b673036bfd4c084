"""during, several, repeated, since_service, unplanned_run, quiet_hours: several points, plans, passages."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.rules.kind_bench import T0, Bench, counter, gauge, rule, shipped, state

from dutyroom.model.duty import Condition, Device
from dutyroom.model.telemetry import Batch, Event, Kind, Lane, PointSpec, Quality, Readings
from dutyroom.rules.engine import Engine
from dutyroom.rules.kind import Ground
from dutyroom.rules.kinds.several import unbalance
from dutyroom.timebase import DAY, HOUR, SECOND, zone

OIL = "kind: during\npoint: oil\nparameters: {below: 1, deadband: 0.3, while: {running: {equals: 1}}}\non_delay: 15s"


def test_a_side_that_is_older_than_a_gap_says_nothing() -> None:
    bench = Bench(rule(OIL), gauge("oil"), gauge("running"))
    bench.feed(0, "running", 1)
    bench.run("oil", [0.2] * 20, start=60)  # the gap is 30 s: nobody knows whether it still runs
    assert bench.says == []
    bench.feed(260, "running", 1)
    bench.run("oil", [0.2] * 3, start=261)
    assert [active for _, active in bench.says] == [True]


def test_a_stop_clears_it_though_the_oil_stays_low() -> None:
    bench = Bench(rule(OIL), gauge("oil", None), state("running"))
    bench.feed(0, "running", 1)
    bench.run("oil", [0.2, 0.2, 0.2], every=10)
    assert bench.says == [(15, True)]
    bench.feed(30, "running", 0)
    bench.tick(32)
    assert bench.says[-1] == (31, False)


def test_a_retained_side_may_begin_to_hold_and_never_ends_it() -> None:
    bench = Bench(rule(OIL), gauge("oil", None), state("running"))
    bench.feed(0, "running", 1, quality=Quality.RETAINED)
    bench.run("oil", [0.2, 0.2, 0.2], every=10)
    assert bench.says == [(15, True)]
    bench.feed(30, "running", 0, quality=Quality.RETAINED)
    bench.tick(60)
    assert len(bench.says) == 1


def test_the_points_of_a_message_may_come_in_any_order() -> None:
    """Between two points of one message, a state that never was seems to hold for no time at all."""
    bench = Bench(rule(OIL), gauge("oil"), gauge("running"))
    for second in range(0, 200, 10):
        on = second % 20  # oil is low only while it stands
        rows = [(second, "running", float(not on)), (second, "oil", 0.2 if on else 4.0)]
        bench.conditions += bench.engine.feed(bench.batch(rows if second % 40 else rows[::-1]))
    assert bench.says == []


@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=2, max_size=30), st.data())
def test_the_order_within_an_instant_makes_no_difference(
    steps: list[tuple[bool, bool]], data: st.DataObject
) -> None:
    said = []
    for shuffled in (False, True):
        bench = Bench(rule(OIL.replace("15s", "16s")), gauge("oil"), gauge("running"))
        for index, (low, runs) in enumerate(steps):
            rows = [("oil", 0.2 if low else 4.0), ("running", float(runs))]
            for name, value in data.draw(st.permutations(rows)) if shuffled else rows:
                bench.feed(index * 10, name, value)
        said.append(bench.says)
    assert said[0] == said[1]


def test_an_optional_side_counts_once_its_point_is_there() -> None:
    text = "kind: during\npoint: p\nparameters: {above: 3, while: {on: {equals: 1}, mode: {equals: 0, optional: true}}}"
    bench = Bench(rule(text), gauge("p", None), state("on"))
    bench.run("on", [1]).run("p", [4], start=1)
    bench.tick(5)
    assert bench.says == [(2, True)]
    bench.add("d", state("mode"))
    bench.feed(10, "mode", 1)
    bench.tick(15)
    assert bench.says[-1] == (11, False)


def test_two_looks_at_a_door_in_ten_minutes_do_not_say_that_it_stood_open() -> None:
    for interval, told in ((30, True), (600, False)):
        bench = Bench(shipped("elevator.door_open_long"), gauge("door", interval), kind="elevator")
        bench.run("door", [1] * 30, every=interval)
        assert bool(bench.says) is told


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("{above: 3}", "while is missing"),
        ("{above: 3, while: {q: {equals: 1, above: 2}}}", "needs one of equals, not, above and below"),
        ("{while: {q: {equals: 1}}}", "needs one of above, below, equals and not"),
    ],
)
def test_what_is_wrong_with_a_rule_is_named(text: str, wrong: str) -> None:
    with pytest.raises(Exception, match=wrong):
        rule(f"kind: during\npoint: p\nparameters: {text}")


@pytest.mark.parametrize("first", ["running", "oil"])
@pytest.mark.parametrize("last", [0.2, 4.0])
def test_what_is_said_at_the_very_end_of_the_delay_counts_in_whatever_order_the_points_come(
    first: str, last: float
) -> None:
    """Three looks at 5 s were low; the fourth, as the 15 s are over, is not."""
    specs = {"oil": gauge("oil", 5), "running": state("running", 5)}
    names = sorted(specs, key=lambda name: name != first)
    bench = Bench(rule(OIL), *(specs[name] for name in names), kind="generator")
    for second, oil in ((0, 0.2), (5, 0.2), (10, 0.2), (15, last), (20, last)):
        said = {"oil": oil, "running": 1}
        bench.conditions += bench.engine.feed(bench.batch([(second, name, said[name]) for name in names]))
    assert bench.says == ([(15, True)] if last < 1 else [])


# ---------------------------------------------------------------- several


@pytest.mark.parametrize("names", [("a", "b"), ("b", "a")])
@pytest.mark.parametrize("last", [9.0, 1.0])
def test_several_points_of_the_last_instant_of_the_delay_count_together(
    names: tuple[str, str], last: float
) -> None:
    text = "kind: several\npoint: a\nparameters: {points: [a, b], measure: highest, above: 5}\non_delay: 20s"
    bench = Bench(rule(text.replace("point: a\n", "")), gauge("a", 10), gauge("b", 10))
    for second, b in ((0, 9.0), (10, 9.0), (20, last), (30, last)):
        said = {"a": 1.0, "b": b}
        bench.conditions += bench.engine.feed(bench.batch([(second, name, said[name]) for name in names]))
    assert bench.says == ([(20, True)] if last > 5 else [])


@given(st.lists(st.floats(1, 1000), min_size=3, max_size=3), st.floats(0.01, 100))
def test_unbalance_is_no_matter_of_units_or_order(values: list[float], factor: float) -> None:
    found = unbalance(values)
    assert 0.0 <= found <= 200.0 + 1e-9  # one phase carries all
    assert unbalance([v * factor for v in reversed(values)]) == pytest.approx(found, abs=1e-6)


def test_unbalance_of_a_worked_example() -> None:
    """NEMA MG 1, 14.36: 460, 467 and 450 V have a mean of 459, and differ by 9 of it: 1.96 %."""
    assert unbalance([460, 467, 450]) == pytest.approx(1.96, abs=0.01)


def test_where_nobody_has_said_what_a_circuit_may_carry_nothing_is_judged() -> None:
    bench = Bench(shipped("electricity.overload_heavy"), gauge("current_a"), kind="feeder")
    bench.run("current_a", [900] * 20)
    assert bench.says == []
    assert not bench.engine.problems


def test_a_phase_that_is_silent_is_not_compared() -> None:
    bench = Bench(
        shipped("electricity.overload"),
        gauge("current_a"),
        gauge("current_b"),
        kind="feeder",
        rated_current=100,
    )
    bench.feed(0, "current_a", 500)
    for second in range(60, 1200, 10):
        bench.feed(second, "current_b", 20)
    assert bench.says == []


# ---------------------------------------------------------------- state


@dataclass
class Plan:
    """What plans say, as far as the rules ask."""

    done: dict[str, int] = field(default_factory=dict)
    wanted: bool | None = False
    rounds: frozenset[str] = frozenset()

    def ground(self) -> Ground:
        return Ground(
            "Asia/Shanghai",
            serviced=lambda device: self.done,
            rounds=self.rounds,
            planned=lambda device, at: self.wanted,
        )


class Yard(Bench):
    """A bench with plans, feeders and passages."""

    def __init__(self, rules: Any, plan: Plan, *specs: PointSpec, kind: str, **parameters: Any) -> None:
        super().__init__(rules, *specs, kind=kind, **parameters)
        self.plan = plan
        self.engine = Engine(self.rules, self.table, self.devices, ground=plan.ground())

    def pass_by(self, second: float, code: str = "passage") -> list[Condition]:
        at = T0 + round(second * 1000)
        point = self.table.find("d", "passages")
        assert point is not None
        event = Event(point.id, at, str(at), code, {}, 0)
        out = self.engine.feed(Batch("s", Lane.NORMAL, at, (), Readings.of([]), (event,)))
        self.conditions += out
        return out

    def again(self) -> None:
        """A restart: the state goes through a snapshot."""
        stored = self.engine.snapshot()
        self.engine = Engine(self.rules, self.table, self.devices, ground=self.plan.ground())
        self.engine.restore(stored)


TRIPS = rule("kind: since_service\npoint: trips\nparameters: {above: 1000, plans: ['*-service']}")


def trips(plan: Plan) -> Yard:
    return Yard(TRIPS, plan, counter("trips", 60, "1"), kind="elevator")


@pytest.mark.parametrize("named", [False, True])
def test_a_daily_check_is_no_service_unless_the_rule_names_it(named: bool) -> None:
    rules = rule(
        "kind: since_service\npoint: trips\nparameters: {above: 1000" + ", plans: ['*']" * named + "}"
    )
    plan = Plan({"elevator-service": T0, "daily-check": T0}, rounds=frozenset({"daily-check"}))
    yard = Yard(rules, plan, counter("trips", 3600, "1"), kind="elevator")
    for day in range(5):
        plan.done["daily-check"] = T0 + day * DAY
        yard.run("trips", [day * 300], start=day * 86_400 + 600)
    assert [active for _, active in yard.says] == ([] if named else [True])


def test_trips_are_counted_from_the_last_service_on() -> None:
    plan = Plan({"elevator-service": T0 - 5 * DAY, "tank-cleaning": T0})
    yard = trips(plan)
    yard.run("trips", [50_000, 50_600, 51_000, 51_001], every=60)
    assert yard.says == [(180, True)]
    assert yard.conditions[0].arguments == {"count": 1001, "days": 5}
    yard.again()
    plan.done["elevator-service"] = T0 + 200 * SECOND
    yard.run("trips", [51_100, 52_000, 52_101], start=240, every=60)
    assert yard.says == [(180, True), (240, False), (360, True)]


def test_a_lift_that_no_plan_services_is_not_judged() -> None:
    yard = trips(Plan({"patrol": T0}))
    yard.run("trips", range(0, 100_000, 10_000), every=60)
    assert yard.says == []


def test_a_counter_that_begins_anew_goes_on_from_there() -> None:
    yard = trips(Plan({"elevator-service": T0}))
    yard.run("trips", [90_000, 90_600, 0, 300], every=60)
    assert yard.says == []
    yard.run("trips", [401], start=240)
    assert yard.says == [(240, True)]


# ---------------------------------------------------------------- a generator that runs for nothing

GENERATOR = (shipped("power.mains_lost"), shipped("generator.unplanned_run"))


def set_with_feeder(plan: Plan) -> Yard:
    yard = Yard(GENERATOR, plan, gauge("running", 60), kind="generator", backs="f")
    yard.devices["f"] = Device("s", "f", "F", "feeder", "v/m", "f", "A", {})
    yard.add("f", gauge("voltage", 60))
    return yard


def play(yard: Yard, minutes: range, running: float, volts: float | None) -> None:
    for minute in minutes:
        if volts is not None:
            yard.conditions += yard.engine.feed(yard.batch([(minute * 60, "voltage", volts)], device="f"))
        yard.feed(minute * 60 + 1, "running", running)
        yard.tick(minute * 60 + 2)


def of_generator(yard: Yard) -> list[tuple[float, bool]]:
    return [((c.at - T0) / 60_000, c.active) for c in yard.conditions if c.object == "d"]


def test_a_set_that_runs_with_the_mains_there_and_no_test_planned() -> None:
    yard = set_with_feeder(Plan(wanted=False))
    play(yard, range(0, 10), 0, 230)
    play(yard, range(10, 35), 1, 230)
    yard.again()  # a restart in the middle
    play(yard, range(35, 80), 1, 230)
    play(yard, range(80, 90), 0, 230)
    assert [active for _, active in of_generator(yard)] == [True, False]
    assert of_generator(yard)[0][0] == pytest.approx(70, abs=0.1)


def test_a_planned_run_and_a_set_without_a_plan_are_left_alone() -> None:
    for wanted in (True, None):
        yard = set_with_feeder(Plan(wanted=wanted))
        play(yard, range(0, 90), 1, 230)
        assert of_generator(yard) == []


def test_it_runs_for_the_mains_failure_and_an_hour_beyond() -> None:
    yard = set_with_feeder(Plan())
    play(yard, range(0, 5), 0, 230)
    play(yard, range(5, 100), 1, 0)
    play(yard, range(100, 155), 1, 230)
    assert of_generator(yard) == []
    play(yard, range(155, 170), 1, 230)
    assert [round(at) for at, _ in of_generator(yard)] == [160]


def test_of_a_silent_feeder_nobody_knows_whether_it_is_live() -> None:
    yard = set_with_feeder(Plan())
    play(yard, range(0, 5), 0, 230)
    play(yard, range(16, 120), 1, None)
    assert of_generator(yard) == []


# ---------------------------------------------------------------- nobody passes


def gate(*points: PointSpec, name: str = "gate.quiet") -> Yard:
    yard = Yard(shipped(name), Plan(), *points, kind="gate")
    yard.started(0)
    return yard


def passing(
    yard: Yard, days: range, dead: tuple[float, float] | None = None, busy: int = 12, nights: bool = True
) -> None:
    """busy passages an hour by day, one in some nights; none between the hours `dead` of the last day."""
    for hour in range(days.start * 24, days.stop * 24):
        local = (T0 // HOUR + hour + 8) % 24
        for n in range(busy if 7 <= local < 22 else nights and hour % 3 == 0):
            second = hour * 3600 + 60 + n * 240
            gone = dead is not None and dead[0] <= second / 3600 - days.start * 24 < dead[1]
            if not gone:
                yard.pass_by(second)
        for minute in range(0, 60, 15):
            yard.tick(hour * 3600 + minute * 60 + 59)


PASSAGES = PointSpec("passages", kind=Kind.STATE)


def test_a_dead_reader_is_told_after_two_busy_hours() -> None:
    yard = gate(PASSAGES)
    passing(yard, range(0, 16))
    assert yard.says == []
    yard.again()
    passing(yard, range(16, 17), dead=(2.5, 24))
    assert [active for _, active in yard.says] == [True]
    hours = yard.says[0][0] / 3600 - 16 * 24
    assert 4.5 <= hours <= 6, "two whole hours after the last one"
    yard.pass_by(17 * DAY / SECOND)
    assert [active for _, active in yard.says] == [True, False]


def test_days_of_rest_and_working_days_are_learned_apart() -> None:
    """An office where nobody passes on Saturdays and Sundays: on a Wednesday its dead reader is told, on a Saturday nothing is."""
    yard = gate(PASSAGES)
    for day in range(27):
        rests = datetime.fromtimestamp((T0 + day * DAY) / SECOND, zone("Asia/Shanghai")).weekday() > 4
        passing(yard, range(day, day + 1), busy=0 if rests else 12, nights=not rests)
    assert yard.says == []
    passing(yard, range(27, 28), dead=(2.5, 24))
    assert [active for _, active in yard.says] == [True]


def test_before_two_weeks_nothing_is_said() -> None:
    yard = gate(PASSAGES)
    passing(yard, range(0, 7))
    passing(yard, range(7, 8), dead=(0, 24))
    assert yard.says == []


def test_a_gate_that_is_quiet_now_and_then_is_never_called_dead() -> None:
    yard = gate(PASSAGES)
    passing(yard, range(0, 16), busy=2)
    passing(yard, range(16, 18), dead=(0, 48), busy=2)
    assert yard.says == []


def test_while_we_were_away_nobody_knows_who_passed() -> None:
    yard = gate(PASSAGES)
    passing(yard, range(0, 16))
    for hour in range(16 * 24, 16 * 24 + 24):
        yard.started(hour * 3600 + 1800)
        yard.tick(hour * 3600 + 3000)
    assert yard.says == []


def test_of_an_hour_in_which_the_line_went_away_nobody_knows_who_passed() -> None:
    """The message that comes first when it is back closes no hour."""

    def told(away: bool) -> list[Condition]:
        yard = gate(PASSAGES)
        passing(yard, range(0, 16))
        first = next(h for h in range(16 * 24, 17 * 24) if (T0 // HOUR + h + 8) % 24 == 10)
        for hour in range(16 * 24, first):
            if (T0 // HOUR + hour + 8) % 24 >= 7 or hour % 3 == 0:
                yard.pass_by(hour * 3600 + 60)
            yard.tick(hour * 3600 + 3599)
        for hour in range(first, first + 1):  # nobody passes from ten o'clock on
            yard.tick(hour * 3600 + 1200)
        end = (first + 1) * 3600
        if away:
            yard.engine.resumed(T0 + (end + 1200) * 1000)
        return (
            yard.engine.feed(Batch("s", Lane.NORMAL, T0 + (end + 1200) * 1000, (), Readings.of([])))
            + yard.says
        )

    assert told(away=True) == []
    assert told(away=False)


def test_refused_cards_are_no_passages() -> None:
    yard = gate(PASSAGES)
    for hour in range(24 * 16):
        for n in range(12):
            yard.pass_by(hour * 3600 + 60 + n * 240, "refused")
        yard.tick(hour * 3600 + 3599)
    passing(yard, range(16, 17), dead=(0, 24))
    assert yard.says == []


def test_a_counter_that_stands_still() -> None:
    yard = gate(counter("openings", 600, "1"), name="gate.quiet_counter")
    total = 0
    for step in range(17 * 24 * 6):
        hour = step / 6
        if hour < 16 * 24 + 3:
            total += 3
        yard.feed(step * 600, "openings", total)
        yard.tick(step * 600 + 300)
    assert [active for _, active in yard.says] == [True]
    assert yard.says[0][0] / 3600 - 16 * 24 == pytest.approx(5, abs=1.5)


def test_a_passage_between_two_looks_may_lie_in_the_hour_before() -> None:
    """Seen at 10:03 and not at 9:53: of the hour until 10:00 nobody knows that it was quiet."""
    yard = gate(counter("openings", 600, "1"), name="gate.quiet_counter")
    hour = 16 * 24 * 6 + 12
    begin = hour - (T0 // 600_000 + hour) % 6  # of an hour, in looks
    total = 0
    for look in range(begin + 20):
        total += not begin <= look < begin + 12
        yard.feed(look * 600, "openings", total)
        yard.tick(look * 600 + 300)
    assert yard.says == []
