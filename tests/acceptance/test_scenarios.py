"""Every scenario of the estate ends in its ground truth's alarms, tickets and findings, and no others."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from estate_day import HOUR, MINUTE, SECOND, EstateDay
from tests.shipped_profiles import shipped_library

from dutyroom.model.duty import AlarmState
from dutyroom.profiles.decode import Library
from dutyroom.timebase import from_iso
from dutyroom_simulators.scenarios import BY_ITSELF, NAMES, SCENARIOS

MORNING = from_iso("2026-11-25T10:00:00+08:00")
LONG = HOUR  # what lasts longer is played with a slower estate and a coarser clock
LATER = {"generator_left_running": 25 * HOUR}  # once no test run is planned any more
SLOW = 60  # this many times as slow: a lift that speaks each 10 s then speaks each 10 min


@pytest.fixture(scope="module")
def library() -> Library:
    return shipped_library()


@pytest.fixture
def day(tmp_path: Path, library: Library) -> Iterator[Callable[..., EstateDay]]:
    made: list[EstateDay] = []

    def make(start: int = MORNING, **more: int) -> EstateDay:
        made.append(EstateDay(tmp_path, library, start, **more))
        return made[-1]

    yield make
    for one in made:
        one.close()


@pytest.mark.parametrize("name", NAMES)
def test_the_ground_truth_and_nothing_else(name: str, day: Callable[..., EstateDay]) -> None:
    long = SCENARIOS[name].last + SCENARIOS[name].settle >= LONG
    d = day(pace=SLOW if long else 3 if SCENARIOS[name].last > 10 * MINUTE else 1)
    d.until(MORNING + LATER.get(name, (30 if long else 2) * MINUTE), step=5 * MINUTE if long else 20 * SECOND)
    injection = d.play(name, step=5 * MINUTE if long else 5 * SECOND)

    expected = {(rule, device or injection.device): 1 for rule, device in SCENARIOS[name].alarms}
    own = [a for a in d.alarms() if a.root is None]
    found: dict[tuple[str, str], int] = {}
    for alarm in own:
        found[alarm.rule, alarm.object] = found.get((alarm.rule, alarm.object), 0) + 1
    assert found == expected
    assert len(d.tickets()) == SCENARIOS[name].tickets
    assert set(d.findings()) == set(SCENARIOS[name].findings)
    ledger = d.ledger()
    assert ledger["received"] == ledger["decoded"] + ledger["ignored"] + ledger["quarantined"]
    assert ledger["readings"] == ledger["stored"] + ledger["duplicate"] + ledger["conflict"]


@pytest.mark.parametrize("seed", [7, 8])
def test_a_quiet_day_raises_nothing(seed: int, day: Callable[..., EstateDay]) -> None:
    d = day(pace=SLOW, seed=seed)
    d.until(MORNING + 26 * HOUR, step=5 * MINUTE)
    assert [(a.rule, a.object) for a in d.alarms()] == []
    assert d.tickets() == []
    assert d.findings() == {}


def test_a_feeder_cut_is_one_ticket_with_its_consequences_on_it(day: Callable[..., EstateDay]) -> None:
    d = day()
    d.until(MORNING + 2 * MINUTE)
    d.play("feeder_cut", minutes="25")
    (root,) = [a for a in d.alarms() if a.root is None]
    consequences = [a for a in d.alarms() if a.root == root.id]
    assert {a.rule for a in consequences} >= {"gateway.offline", "elevator.offline"}
    assert root.affected == len({a.object for a in consequences}) or root.affected >= len(consequences)
    (ticket,) = d.tickets()
    assert ticket.cause.startswith("power.mains_lost|B-feeder")
    assert all(a.state is AlarmState.NORMAL for a in consequences)


def test_a_tank_that_runs_dry_holds_the_pump_that_does_not_lift_it(day: Callable[..., EstateDay]) -> None:
    """Pump 1 fills the tank and runs on: after 20 min without a rise it is told, as a consequence."""
    d = day(pace=3)
    d.until(MORNING + 15 * MINUTE, step=20 * SECOND)  # the pump rests, so that its start is seen
    d.play("tank_dry", step=5 * SECOND, minutes="30")
    (root,) = [a for a in d.alarms() if a.root is None]
    assert (root.rule, root.object) == ("tank.dry", "tank-domestic")
    assert [(a.rule, a.object) for a in d.alarms() if a.root == root.id] == [
        ("pump.no_rise", "pump-domestic-1")
    ]
    assert len(d.tickets()) == 1


def test_after_a_gateways_backlog_no_meter_lacks_a_reading(day: Callable[..., EstateDay]) -> None:
    d = day(pace=SLOW)
    d.until(MORNING + 30 * MINUTE, step=MINUTE)
    injection = d.play("gateway_backlog", step=MINUTE)
    meters = {m.id for m in d.world.estate.of_kind("unit_power") if m.through == injection.device}
    points = [p for p in d.table if p.device in meters and p.spec.name == "energy"]
    assert len(points) == len(meters) > 0
    for point in points:
        times = d.store.range(point, MORNING, d.clock.at).at.tolist()
        steps = {(b - a) // MINUTE for a, b in pairwise(times)}
        assert steps == {15}, (point.device, steps)
        assert sum(injection.at <= at < injection.until for at in times) >= 4


def test_a_cut_of_the_mains_is_followed_step_by_step_with_every_elevator_on_its_list(
    day: Callable[..., EstateDay],
) -> None:
    d = day()
    d.until(MORNING + 2 * MINUTE, step=10 * SECOND)
    begun = d.clock.at
    d.world.inject("feeder_cut", begun, {"device": "mains", "minutes": "10"})
    d.until(begun + 35 * SECOND, step=SECOND)
    (ticket,) = d.tickets()
    assert ticket.opened_at - begun <= 35 * SECOND  # the mains speaks every 10 s; 23 s after it has spoken
    checks = d.checks()
    lifts = [c for c in checks if not c.step]
    assert len(lifts) == 16
    assert all(c.at - ticket.opened_at <= 0 for c in lifts)
    d.until(begun + 15 * MINUTE, step=5 * SECOND)
    steps = {c.step: c for c in d.checks() if c.step}
    times = [steps[name].done_at or 0 for name in ("running", "transferred", "back", "off")]
    assert times == sorted(times)
    seconds = [round((at - begun) / SECOND) for at in times]
    assert 12 <= seconds[0] <= 25
    assert 18 <= seconds[1] <= 35
    assert 600 <= seconds[2] <= 625
    assert len(d.tickets()) == 1


def test_what_a_demo_plays_by_itself_does_not_mix(day: Callable[..., EstateDay]) -> None:
    """Several at a time: all of their ground truths together, and nothing else."""
    d = day()
    d.until(MORNING + 16 * MINUTE, step=20 * SECOND)  # every meter has spoken
    begun = d.clock.at
    for second, name in BY_ITSELF:
        d.until(begun + second * SECOND, step=10 * SECOND)
        d.world.inject(name, d.clock.at)
    d.until(begun + 50 * MINUTE, step=20 * SECOND)
    played = [SCENARIOS[name] for _, name in BY_ITSELF]
    expected = sorted((rule, device or s.device) for s in played for rule, device in s.alarms)
    assert sorted((a.rule, a.object) for a in d.alarms() if a.root is None) == expected
    assert len(d.tickets()) == sum(s.tickets for s in played)
    assert set(d.findings()) == {finding for s in played for finding in s.findings}


def test_three_days_switched_off_make_no_storm(day: Callable[..., EstateDay], library: Library) -> None:
    d = day(pace=SLOW)
    d.until(MORNING + 10 * MINUTE, step=MINUTE)
    later = MORNING + 72 * HOUR
    again = d.again(later)
    again.until(later + 3 * HOUR, step=5 * MINUTE)
    assert [(a.rule, a.object) for a in again.alarms()] == []
    assert again.tickets() == []
