"""Arrays say what judging reading by reading says: random days of a small estate, judged both ways."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.unit.rules.kind_bench import T0, gauge, state

from dutyroom.model.duty import Condition, Device
from dutyroom.model.telemetry import (
    COUNTER_RESET,
    Batch,
    DeviceClass,
    Event,
    Kind,
    Lane,
    Message,
    MessageRecord,
    Outcome,
    Point,
    PointSpec,
    PointTable,
    Quality,
    Readings,
)
from dutyroom.rules import points
from dutyroom.rules.columns import NEVER
from dutyroom.rules.engine import Engine
from dutyroom.rules.kind import Ground
from dutyroom.rules.parse import parse_rules
from dutyroom.rules.spec import Rule
from dutyroom.timebase import MINUTE

OWN = """
rules:
  - {id: hot, name: H, kind: limit, point: flow, parameters: {above: 3, deadband: 1}, on_delay: 2min, off_delay: 1min}
  - {id: hotter, name: H, kind: limit, point: flow, parameters: {above: 5}}
  - {id: cold, name: C, kind: limit, point: flow, parameters: {below: 1, deadband: 0.5}, off_delay: 90s}
  - {id: odd, name: O, kind: state, point: leak, parameters: {not: [0, 2]}, on_delay: 1min}
  - {id: wet, name: W, kind: state, point: leak, parameters: {equals: [1, 3]}}
  - {id: fast, name: F, kind: rate, point: volume, parameters: {above: 30, over: 5min}}
  - {id: faster, name: F, kind: rate, point: volume, parameters: {above: 60, over: 10min, leap: 120}, on_delay: 3min}
  - {id: runs, name: R, kind: continuous_flow, point: volume, parameters: {over: 2h, least: 0.5}}
  - {id: stands, name: S, kind: stuck, point: volume, parameters: {over: 10min}, off_delay: 2min}
  - {id: quiet, name: Q, kind: stale, parameters: {after: 10min, unscheduled: true}}
  - {id: dumb, name: D, kind: stale, parameters: {after: 25min}}
  - {id: back, name: B, kind: decrease, point: volume, parameters: {max_rate: 30}}
  - {id: answer, name: A, kind: expect, point: leak, parameters: {after: hotter, equals: 1, within: 2min}}
  - {id: leapt, name: L, kind: register_fault, point: volume}
  - {id: moved, name: M, kind: register_fault, parameters: {jumps_only: true}}
  - {id: learns, name: N, kind: home_water, point: volume}
  - {id: together, name: T, kind: network_water, point: volume}
  - {id: still, name: E, kind: building_still, point: volume}
  - {id: nightly, name: K, kind: night_flow, point: volume, parameters: {nights: 1}}
  - {id: summed, name: B, kind: balance, point: volume, parameters: {over: 1h}}
  - {id: told, name: G, kind: expect, point: leak, parameters: {after: leapt, equals: 1, within: 2min}}
"""
MEMBERS = {"master": ("w1", "w2", "w3", "e0")}
GROUND = Ground(
    below=lambda utility, device: MEMBERS.get(device, ()),
    above=lambda device: [feed for feed, members in MEMBERS.items() if device in members],
)


def counter(name: str, interval: int | None = 60, digits: int | None = 5) -> PointSpec:
    return PointSpec(name, "", "m3", Kind.COUNTER, Decimal("0.001"), digits, interval)


ESTATE: dict[str, tuple[str, list[PointSpec], dict[str, Any]]] = {
    **{f"w{n}": ("water_meter", [counter("volume"), gauge("flow", 60), state("leak")], {}) for n in range(3)},
    "w3": ("water_meter", [counter("volume"), gauge("flow", 60), state("leak")], {"use": "zone_outlet"}),
    "e0": ("electricity_meter", [counter("energy"), counter("reverse", None)], {}),
    "master": ("water_meter", [counter("volume", None), gauge("flow", None)], {"use": "master"}),
    "feeder": ("feeder", [gauge("voltage", 60)], {}),
    "gen": ("generator", [state("running"), state("fault_code"), gauge("fuel", 60)], {"backs": "feeder"}),
    "pump": ("pump", [state("running", 60)], {"tank": "tank"}),
    "tank": ("tank", [gauge("level", 60)], {"height": 3.0}),
    "gate": ("gate", [state("door_open"), state("door_forced")], {}),
    "gw": ("gateway", [state("online")], {}),
}
VALUES: dict[str, list[float]] = {
    "flow": [2, 2, 2, 2, 3, 3.5, 6, 0.9, 1.2, 1.6, 2.2],
    "leak": [0, 0, 0, 0, 2, 1, 3, 2.5],
    "voltage": [230, 230, 230, 0, 160, 140],
    "running": [0, 1],
    "fault_code": [0, 0, 0, 7],
    "fuel": [50, 50, 21, 19],
    "level": [1.5, 1.5, 0.1, 2.9, 2.8],
    "door_open": [0, 1],
    "door_forced": [0, 0, 0, 1],
    "online": [1, 1, 0],
}
LAST = {"e0", "pump", "gw"}  # come while the day is on


class Day:
    """What an estate says, by a source of chance."""

    def __init__(self, chance: random.Random) -> None:
        self.chance, self.now = chance, T0
        self.table = PointTable()
        self.devices: dict[str, Device] = {}
        self.level: dict[int, float] = {}
        for name in ESTATE:
            if name not in LAST:
                self.add(name)

    def add(self, name: str, holding: int = 0) -> None:
        kind, specs, parameters = ESTATE[name]
        self.devices[name] = Device("s", name, name, kind, "v/m", name, "A", parameters)
        for spec in specs[: len(specs) - holding]:
            point = Point(len(self.table) + 1, "s", name, DeviceClass(kind), "A", spec)
            self.table.add(point)

    def _value(self, point: Point) -> float:
        if point.spec.kind is not Kind.COUNTER:
            return self.chance.choice(VALUES[point.spec.name])
        before = self.level.get(point.id, 99_000)
        step = self.chance.choice([0, 0, 20, 300, 400, 3000, 9000])
        if self.chance.random() < 0.06:
            step = -self.chance.choice([1, 2, 3, 500, 40_000])
        self.level[point.id] = value = (before + step) % 100_000
        return value

    def batch(self) -> Batch:
        chance = self.chance
        lane = Lane.NORMAL if chance.random() < 0.8 else Lane.PRIORITY
        again = chance.random() < 0.05
        self.now += chance.choice([500, 20_000, 60_000, 60_000, 240_000])
        rows, events = [], []
        chosen = chance.sample(list(self.table), chance.randint(0, len(self.table)))
        for turn in range(chance.choice([1, 1, 1, 2, 5])):
            for point in chosen:
                if chance.random() < 0.2 * turn:
                    continue
                at = self.now + chance.choice([0, 0, 0, 0, 1000, 60_000, -60_000, -600_000, 4_000_000])
                value = self._value(point) if chance.random() > 0.02 else float("nan")
                quality = Quality.GOOD
                if chance.random() < 0.08:
                    quality = chance.choice([Quality.RETAINED, Quality.SUSPECT, Quality.CLOCK])
                rows.append((point.id, at, value, int(quality), chance.randint(0, 2)))
                if chance.random() < 0.05:
                    rows.append((point.id, at, self._value(point), int(quality), 0))
                if point.spec.kind is Kind.COUNTER and chance.random() < 0.02:
                    events.append(Event(point.id, at, "1", COUNTER_RESET, {}, 0))
        if chance.random() < 0.05:
            rows.append((777, self.now, 1.0, 0, 0))
        if not rows:
            events = []
        messages = tuple(
            MessageRecord(
                Message("t", b"", self.now - chance.choice([0, 0, 3000]), chance.random() < 0.1),
                Outcome.DECODED,
            )
            for _ in range(2)
        )
        return Batch("s", lane, self.now, messages, Readings.of(rows), tuple(events), again=again)


def own_rules() -> list[Rule]:
    return list(parse_rules(OWN, "r.yaml"))


def play(day: Day, engines: list[Any], steps: int, rules: list[list[Rule]]) -> Iterator[list[Any]]:
    """Goes on by one step; gives what each engine says of it."""
    chance, late = day.chance, sorted(LAST)
    for _ in range(steps):
        dice = chance.random()
        if dice < 0.72:
            batch = day.batch()
            yield [engine.feed(batch) for engine in engines]
        elif dice < 0.86:
            day.now += chance.choice([1000, 30_000, 120_000, 700_000])
            now = day.now - chance.choice([0, 0, 5000])
            yield [engine.tick(now) for engine in engines]
        elif dice < 0.88:
            day.now += chance.choice([1000, 200_000])
            yield [engine.started(day.now) for engine in engines]
        elif dice < 0.91 and late:
            day.add(late.pop(), chance.choice([0, 1]))
        elif dice < 0.94:
            name = chance.choice(list(day.devices))
            for spec in ESTATE[name][1]:
                if day.table.find(name, spec.name) is None:
                    kind = DeviceClass(ESTATE[name][0])
                    day.table.add(Point(len(day.table) + 1, "s", name, kind, "A", spec))
        elif dice < 0.96:
            point = chance.choice(list(day.table))
            day.table.add(replace(point, spec=replace(point.spec, interval_s=chance.choice([60, 600]))))
        elif dice < 0.98:
            some = chance.randint(5, 40)
            found = chance.choice([slice(None), slice(some, None)])
            changed = chance.choice([(), ("tank",), ("w1", "feeder")])
            yield [
                engine.reload(mine[found], day.devices, changed)
                for engine, mine in zip(engines, rules, strict=True)
            ]
        else:
            held = [Condition(r.id, d, True, day.now) for r in rules[0] for d in day.devices]
            standing = chance.sample(held, 10)
            yield [engine.adopt(standing, day.now) for engine in engines]


@pytest.fixture(autouse=True)
def arrays_for_anything(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(points, "FEW", 0)


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.integers(0, 2**32))
def test_arrays_say_what_judging_one_by_one_says(seed: int) -> None:
    day = Day(random.Random(seed))
    rules = own_rules()
    quick, plain = (
        Engine(rules, day.table, day.devices, one_by_one=slow, ground=GROUND) for slow in (False, True)
    )
    for said, wanted in play(day, [quick, plain], 60, [rules, rules]):
        assert said == wanted
        assert quick.late == plain.late
        assert quick.snapshot() == plain.snapshot()
    assert [quick.heard(d) for d in day.devices] == [plain.heard(d) for d in day.devices]


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.integers(0, 2**32))
def test_a_restored_state_goes_on_as_if_nothing_had_been(seed: int) -> None:
    day = Day(random.Random(seed))
    rules = own_rules()
    whole = Engine(rules, day.table, day.devices, ground=GROUND)
    for _ in play(day, [whole], 40, [rules]):
        pass
    whole.feed(day.batch())  # so that it has seen what came last
    other = Engine(list(whole.rules.values()), day.table, day.devices, ground=GROUND)
    for start in range(2):  # the second time over what it has: a start that failed in the middle
        assert other.restore(whole.snapshot()) == set()
        if start == 0:  # then it still knows when it began to listen, which is no part of a state
            assert meaning(other) == meaning(whole)
        other.started(day.now)
        other.feed(day.batch())
    other.restore(whole.snapshot())
    for engine in (whole, other):  # what is no part of a state: a pause before it
        engine.started(day.now + 10 * MINUTE)
    for _ in range(20):
        batch = day.batch()
        said, wanted = other.feed(batch), whole.feed(batch)
        assert sorted(said, key=repr) == sorted(wanted, key=repr)
    assert meaning(other) == meaning(whole)


def meaning(engine: Engine) -> dict[Any, Any]:
    """What an engine knows, wherever it keeps it."""
    engine.snapshot()
    found: dict[Any, Any] = {key: repr(i.dump()) for key, i in engine._roster.instances.items()}
    found |= {device: engine.heard(device) for device in engine.devices}
    newest = enumerate(engine._points.newest[: engine._points.size].tolist())
    return found | {point: at for point, at in newest if at != NEVER}
