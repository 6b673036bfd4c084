"""Whatever order readings come in, twice or hours late: the same alarms as if each had come at once."""

from __future__ import annotations

import os
import random
from collections.abc import Mapping, Sequence
from decimal import Decimal

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tests.unit.duty.duty_room import SITE, T0, Room, device, gauge, state

from dutyroom import alarms
from dutyroom.alarms import spans_of
from dutyroom.flows.backtest import Outcome as Played
from dutyroom.flows.backtest import Past, run
from dutyroom.model.duty import AlarmEvent, AlarmState
from dutyroom.model.telemetry import (
    Batch,
    Kind,
    Lane,
    Message,
    MessageRecord,
    Outcome,
    Point,
    PointSpec,
    Readings,
    Series,
)
from dutyroom.rules.columns import FOREVER
from dutyroom.rules.kind import Ground
from dutyroom.rules.parse import parse_rules
from dutyroom.timebase import DAY, HOUR, MINUTE, Ms

RULES = """
rules:
  - {id: t.limit, kind: limit, name: {en: hot, zh-CN: 热}, select: {classes: [generator]}, point: heat,
     parameters: {above: 50, deadband: 5}, on_delay: 3min, off_delay: 2min, priority: 2, ticket: now}
  - {id: t.state, kind: state, name: {en: open, zh-CN: 开}, select: {classes: [gate]}, point: door_open,
     parameters: {equals: 1}, on_delay: 2min, priority: 3, ticket: now}
  - {id: t.rate, kind: rate, name: {en: fast, zh-CN: 快}, select: {classes: [water_meter]}, point: volume,
     parameters: {above: 2.5, over: 10min}, priority: 3, ticket: now}
  - {id: t.stuck, kind: stuck, name: {en: still, zh-CN: 停}, select: {classes: [water_meter]}, point: volume,
     parameters: {over: 20min}, priority: 4}
  - {id: t.decrease, kind: decrease, name: {en: back, zh-CN: 退}, select: {classes: [water_meter]}, priority: 4}
  - {id: t.flow, kind: continuous_flow, name: {en: runs, zh-CN: 漏}, select: {classes: [water_meter]}, point: volume,
     parameters: {over: 2h, least: 0.002}, priority: 3, ticket: now}
  - {id: t.dry, kind: meanwhile, name: {en: dry, zh-CN: 干}, select: {classes: [pump]}, point: running,
     parameters: {equals: 1, other: tank, other_point: level, below: 0.5}, on_delay: 2min, priority: 2, ticket: now}
  - {id: t.during, kind: during, name: {en: hot at rest, zh-CN: 热}, select: {classes: [generator]}, point: heat,
     parameters: {above: 45, deadband: 3, while: {running: {equals: 0}}}, on_delay: 2min, priority: 3, ticket: now}
  - {id: t.several, kind: several, name: {en: one hot, zh-CN: 热}, select: {classes: [generator]},
     parameters: {points: [heat, oil], measure: highest, above: 55, deadband: 3}, on_delay: 3min, priority: 3, ticket: now}
  - {id: t.lost, kind: limit, name: {en: lost, zh-CN: 停}, select: {classes: [feeder]}, point: voltage,
     parameters: {below: 50}, on_delay: 10s, off_delay: 10s, priority: 2, ticket: now}
  - {id: t.start, kind: expect, name: {en: start, zh-CN: 起}, select: {classes: [generator]}, point: running,
     parameters: {after: t.lost, equals: 1, within: 2min}, priority: 2, ticket: now}
  - {id: t.off, kind: sequence, name: {en: off, zh-CN: 关}, select: {classes: [generator]}, point: running,
     parameters: {after: t.lost, late: off, within: 5min,
       steps: [{step: running, point: running, equals: 1}, {step: back, ended: true}, {step: off, point: running, equals: 0}]},
     priority: 3, ticket: now}
  - {id: t.repeated, kind: repeated, name: {en: again, zh-CN: 再}, select: {classes: [elevator]}, point: door,
     parameters: {equals: 1, times: 3, over: 8min, forget: {moving: {equals: 1}}}, priority: 3, ticket: now}
"""
DEVICES = [
    device("gen", "generator", 60),
    device("gate", "gate"),
    device("feeder", "feeder", 60),
    device("meter", "water_meter", 300, use="unit"),
    device("pump", "pump", 60, tank="tank"),
    device("tank", "tank", 60),
    device("lift", "elevator"),
]
SPECS = {
    "generator": [gauge("heat", "°C", 60), gauge("oil", "°C", 60), state("running", 60)],
    "feeder": [gauge("voltage", "V", 60)],
    "gate": [state("door_open")],
    "water_meter": [PointSpec("volume", unit="m3", kind=Kind.COUNTER, step=Decimal("0.001"), interval_s=300)],
    "pump": [state("running", 60)],
    "tank": [gauge("level", "m", 60)],
    "elevator": [state("door"), state("moving")],
}
MINE = [rule for rule in parse_rules(RULES, "rules.yaml") if rule.id.startswith("t.")]
BEFORE = 30 * HOUR + 50 * MINUTE  # that it has run: a state is set aside amid the readings
EXAMPLES = int(os.environ.get("DUTYROOM_TEST_ORDERS", "6"))
FIXED = (
    "DUTYROOM_TEST_ORDERS" not in os.environ
)  # the same orders each time; others are looked for by command
Said = tuple[Ms, str, str, float]  # read at, device, point, value


class Stored:
    """All that came, as a readings store keeps it: of one instant the larger value."""

    def __init__(self, room: Room) -> None:
        self.room = room
        self.behind = False
        self._held: dict[int, dict[int, float]] = {}
        self._taken = 0  # of the journal's batches

    def ready(self, position: Mapping[Lane, int]) -> bool:
        return not self.behind

    def ranges(self, spans: Sequence[tuple[Point, Ms, Ms]]) -> Sequence[Series]:
        for _, batch in self.room.journal.batches[self._taken :]:
            r = batch.readings
            for point, at, value in zip(r.point.tolist(), r.at.tolist(), r.value.tolist(), strict=True):
                held = self._held.setdefault(point, {})
                held[at] = max(value, held.get(at, value))
        self._taken = len(self.room.journal.batches)
        return [self._range(*span) for span in spans]

    def _range(self, point: Point, start: Ms, end: Ms) -> Series:
        held = self._held.get(point.id, {})
        at = np.array(sorted(at for at in held if start <= at < end), np.int64)
        return Series(point.id, at, np.array([held[a] for a in at.tolist()]), np.zeros(len(at), np.uint8))


def day(chance: random.Random) -> list[Said]:
    """Two hours and a half of five devices, with gaps."""
    said: list[Said] = []
    heat, volume, door, running, level = 40.0, 1000.0, 0, 0, 1.0
    dark, runs = 0, 0
    for minute in range(150):
        at = T0 + minute * MINUTE
        heat += chance.uniform(-6, 6)
        running, level = (
            (1 - running if chance.random() < 0.1 else running),
            max(0.0, min(1.2, level + chance.uniform(-0.2, 0.2))),
        )
        gap = 60 <= minute < 75
        for name, point, value in (
            ("gen", "heat", round(heat)),
            ("pump", "running", running),
            ("tank", "level", round(level, 1)),
            ("gen", "oil", round(heat) - 8 * running),
            ("gen", "running", runs),
        ):
            if not gap and chance.random() < 0.9:
                said.append((at + chance.randrange(20_000), name, point, value))
        dark = 1 - dark if chance.random() < 0.06 else dark
        said.append((at + chance.randrange(20_000), "feeder", "voltage", 0 if dark else 230))
        runs = dark if chance.random() < 0.4 else runs
        if chance.random() < 0.08:
            door = 1 - door
            said.append((at + chance.randrange(60_000), "gate", "door_open", door))
        said += lift(at, chance)
        if minute % 5 == 0:
            volume += chance.choice([0, 0, 1, 30, 400, 500]) if minute % 100 < 60 else 0
            volume -= 3000 if chance.random() < 0.03 else 0
            said.append((at, "meter", "volume", volume))
    return said


def lift(at: Ms, chance: random.Random) -> list[Said]:
    """A minute of its door, and now and then a trip, some of them in the very message of the door."""
    moment = at + chance.randrange(25) * 1000
    found = [(moment, "lift", "door", chance.choice([0, 1, 1]))] if chance.random() < 0.8 else []
    found += [(moment + 25_000, "lift", "door", 0)] if chance.random() < 0.6 else []
    trip = moment if chance.random() < 0.5 else at + chance.randrange(60) * 1000
    return [*found, (trip, "lift", "moving", chance.choice([0, 1]))] if chance.random() < 0.2 else found


def played(
    said: Sequence[tuple[Ms, Said]], chance: random.Random | None = None
) -> set[tuple[str, str, Ms, Ms | None]]:
    """What stands in the records when all has come at the times given. chance: now and then the process
    ends and another goes on, or a person acknowledges what stands."""
    room = Room(DEVICES, SPECS, MINE)
    room.past = Stored(room)
    room.clock.at = T0 - BEFORE
    room.restart()
    for at in range(T0 - BEFORE, T0, 2 * HOUR):  # states are set aside, and the oldest of them forgotten
        room.clock.at = at
        room.reads(("gate", "door_open", 0))
        room.watch.tick(at)
    ticked(room, T0)
    before = T0
    for arrives, (at, name, point, value) in said:
        ticked(room, arrives)
        row = (room.point(name, point).id, at, float(value), 0, 0)
        record = MessageRecord(Message("t", b"", arrives), Outcome.DECODED)
        room.journal.append(Batch(SITE, Lane.NORMAL, arrives, (record,), Readings.of([row])))
        room.watch.drain()
        if chance is not None and chance.random() < 0.02:
            acknowledge(room)
        # Within a minute of the last word: a longer outage would let what waits begin again.
        if chance is not None and chance.random() < 0.02 and arrives - before < MINUTE:
            room.restart()
            room.watch.drain()
        before = arrives
    ticked(room, room.clock.at + HOUR)
    return spans(room)


def acknowledge(room: Room) -> None:
    with room.records.write() as tx:
        for alarm in tx.alarms.open_ones(SITE):
            if alarm.state in (AlarmState.UNACKNOWLEDGED, AlarmState.RETURNED):
                after, change = alarms.step(alarm, AlarmEvent.ACKNOWLEDGE, room.clock.at, "lin")
                tx.alarms.update(after)
                tx.alarms.log(change)
                tx.change(SITE, room.clock.at, "alarm", str(alarm.id))


def ticked(room: Room, until: Ms) -> None:
    """Without us having slept."""
    while room.clock.at < until:
        room.clock.at = min(until, room.clock.at + MINUTE)
        room.watch.tick(room.clock.at)


def spans(room: Room) -> set[tuple[str, str, Ms, Ms | None]]:
    rows = room.records.rows.alarms.values()
    for a in rows:
        assert (
            a.disproved
            or a.merged_into is not None
            or (a.raised_at, a.cleared_at) == (spans_of(a)[0][0], spans_of(a)[-1][1])
        )
        ends = [FOREVER if end is None else end for span in spans_of(a) for end in span]
        assert ends == sorted(ends), (a.rule, a.object, spans_of(a))
        assert len(set(spans_of(a))) == len(spans_of(a)), (a.rule, a.object, spans_of(a))
    return {(a.rule, a.object, since, until) for a in rows for since, until in spans_of(a)}


def shuffle(said: Sequence[Said], chance: random.Random) -> list[tuple[Ms, Said]]:
    """Some or all come later than they were read, and some twice."""
    share = chance.choice([0.05, 0.3, 1.0])
    most = chance.choice([MINUTE, 20 * MINUTE, 3 * HOUR, DAY - MINUTE, DAY - MINUTE])
    found = [
        (row[0] + (chance.randrange(most) if chance.random() < share else 0), row)
        for row in said
        for _ in range(2 if chance.random() < 0.1 else 1)
    ]
    return sorted(found, key=lambda r: r[0])


def ordered(said: Sequence[Said]) -> list[tuple[Ms, Said]]:
    return [(row[0], row) for row in sorted(said)]


@settings(max_examples=EXAMPLES, deadline=None, derandomize=FIXED)
@given(st.integers(0, 1_000_000))
@example(267)  # a state set aside went on changing with what was heard later
@example(4037)  # a reading came as new to its point though older than a state set aside
@example(3035)
@example(603)  # a generator that was late and no longer wanted ran before that was said
@example(6054)  # a reading of the very instant at which a delay was over came after the clock had said so
def test_any_order_and_delay_up_to_a_day_gives_the_alarms_of_the_true_order(seed: int) -> None:
    chance = random.Random(seed)
    said = day(chance)
    assert played(shuffle(said, chance)) == played(ordered(said))


@settings(max_examples=EXAMPLES, deadline=None, derandomize=FIXED)
@given(st.integers(0, 1_000_000))
@example(3016)  # a state set aside was younger than the reading that came next
@example(3038)
@example(2194)  # a cut that time alone had ended hid the next one from who follows it, after a start
@example(9011)  # when a state was set aside, an end that time alone would tell of was still to be said
@example(9120)
def test_so_it_is_when_people_acknowledge_and_processes_end(seed: int) -> None:
    chance = random.Random(seed)
    said = day(chance)
    assert played(shuffle(said, chance), chance) == played(ordered(said))


def run_past(said: Sequence[tuple[Ms, Said]]) -> Played:
    """The same through a backtest, each reading a batch of its own."""
    room = Room(DEVICES, SPECS, MINE)
    rows = [
        (arrives, Readings.of([(room.point(name, point).id, at, float(value), 0, 0)]))
        for arrives, (at, name, point, value) in said
    ]
    rows.append((rows[-1][0] + HOUR, Readings.of([])))
    batches = [Batch(SITE, Lane.NORMAL, arrives, (), readings) for arrives, readings in rows]
    return run(batches, Past(SITE, MINE, room.devices, room.table))


@settings(max_examples=max(3, EXAMPLES // 2), deadline=None, derandomize=FIXED)
@given(st.integers(0, 1_000_000))
@example(321047)  # raised for what late data took back, it holds for what came after
def test_a_backtest_of_late_data_holds_the_alarms_of_live_operation(seed: int) -> None:
    chance = random.Random(seed)
    said = shuffle(day(chance), chance)
    done = run_past(said)
    assert {(a.rule, a.object, *span) for a in done.raised for span in a.spans} == played(said)
    assert all(a.raised_at >= a.began_at for a in done.raised)


NOT_AGAIN = """
rules:
  - {id: n.quiet, kind: quiet_hours, name: {en: quiet, zh-CN: 静}, select: {classes: [gate]}, point: passages, priority: 4}
  - {id: n.run, kind: unplanned_run, name: {en: runs, zh-CN: 转}, select: {classes: [generator]}, point: running,
     parameters: {equals: 1, unless: power.mains_lost}, on_delay: 10min, priority: 4}
  - {id: n.load, kind: abnormal_load, name: {en: load, zh-CN: 电}, select: {classes: [electricity_meter]}, point: energy,
     priority: 4}
  - {id: n.limit, kind: limit, name: {en: many, zh-CN: 多}, select: {classes: [gate]}, point: passages,
     parameters: {above: 1000}, priority: 4}
"""


def test_what_is_by_the_clock_or_looks_at_neighbours_passes_over_what_comes_late() -> None:
    """Such a reading is counted; a limit on the same point is judged again, and a meter without neighbours."""
    passages = PointSpec("passages", kind=Kind.COUNTER, step=Decimal(1))  # speaks when somebody passes
    energy = PointSpec("energy", unit="kWh", kind=Kind.COUNTER, step=Decimal("0.01"), interval_s=60)
    specs = {
        "gate": [passages],
        "generator": [state("running", 60)],
        "electricity_meter": [energy],
        "feeder": [],
    }
    rules = [rule for rule in parse_rules(NOT_AGAIN, "rules.yaml") if rule.id.startswith("n.")]
    devices = [
        device("g", "gate"),
        device("gen", "generator"),
        device("e", "electricity_meter"),
        device("alone", "electricity_meter"),
        device("f", "feeder"),
    ]
    room = Room(devices, specs, rules)
    room.ground = Ground(
        below=lambda _, d: ["e"] if d == "f" else [], above=lambda d: ["f"] if d == "e" else []
    )
    room.restart()
    every = [("g", "passages", 5), ("gen", "running", 0), ("e", "energy", 500), ("alone", "energy", 500)]
    for minute in (1, 5):
        room.clock.at = T0 + minute * MINUTE
        room.engine.feed(room.batch(*every, at=minute * 60))
    assert len(room.engine.running) == len(rules) + 1
    room.engine.feed(room.batch(*((d, p, v + 1) for d, p, v in every), at=180))
    assert set(room.engine.missed) == {("n.limit", "g"), ("n.load", "alone")}
    assert room.engine.late == {"g": 1, "gen": 1, "e": 1, "alone": 1}


@pytest.mark.parametrize("late", [0, 900, 1_900])
def test_a_closing_sample_that_is_longer_on_its_way_ends_what_did_not_hold_for_its_delay(late: int) -> None:
    """A gate that is read each 30 s is seen to be open for its two minutes less one look; the word that it is shut comes so many
    milliseconds later than the others did."""
    for shut in (150, 180):
        room = Room([device("gate", "gate", 30)], {"gate": [state("door_open", 30)]})
        for second in range(0, 330, 30):
            room.at(second + (late / 1000 if second == shut else 0), step=0.1)
            room.reads(("gate", "door_open", int(30 <= second < shut)), at=second)
        assert bool(room.records.rows.alarms) == (shut == 180), shut
