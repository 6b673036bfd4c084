"""Rules and newest values over batches, beside judging reading by reading, in one run:
`python -m tests.bench.bench_rules`.

Readings are steady: nothing is near a limit, registers rise. A batch has 4,096 messages of 6 readings.
Times are of the processor, one of the best of some batches each; the two ways judge the same batches in turn.
Rules that learn have one instance a point, or one a group of 50 meters (as many homes are on a feeder where they have neighbours), and every reading is one that they learn
from (15 min after the one before); "every 10 s" is a meter of which they take a thirtieth. They know nine weeks or ten, so
that all that they keep is of its full size, and a reading is the mean of six hours, in which
what is done once in six hours is done once. A snapshot is
told as the first one, one after the next batch, and its bytes a rule and point; "after a snapshot" is a reading of
those in it, "rule and point" their memory then and "at work" what it was before.
"""

from __future__ import annotations

import argparse
import gc
import time
import tracemalloc
from array import array
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache

import numpy as np
from tests.bench.measure import machine

from dutyroom.flows.live import Live
from dutyroom.model.duty import Device
from dutyroom.model.telemetry import (
    Batch,
    DeviceClass,
    Kind,
    Lane,
    Message,
    MessageRecord,
    Outcome,
    Point,
    PointSpec,
    PointTable,
    Readings,
)
from dutyroom.rules.engine import Engine
from dutyroom.rules.kind import NOWHERE, Ground
from dutyroom.rules.learner import GroupLearner
from dutyroom.rules.parse import default_rules, parse_rules
from dutyroom.rules.spec import Rule

MESSAGES, READINGS = 4_096, 6  # a batch, a message
T0, EVERY = 1_760_000_000_000, 900_000  # all devices once in 15 min
KNOWN = 72 * 96  # rounds that rules which learn have behind them: ten weeks, until 09:00,
KNOWN_IN_GROUPS = 64 * 96  # nine of groups: whole batches of a group
LIVES = 16  # devices of which no two use the same
MEASURED = 24  # rounds that are measured of them
ROUNDS = 40  # before anything is measured: windows are full then
SLOW = 2  # batches that are judged reading by reading
GROUP = 50  # meters of a riser, a feeder


def gauge(name: str) -> PointSpec:
    return PointSpec(name, unit="u", interval_s=900)


def register(name: str) -> PointSpec:
    return PointSpec(name, "volume", "m3", Kind.COUNTER, Decimal("0.001"), 8, 900)


GAUGES = tuple(gauge(f"g{n}") for n in range(READINGS))
REGISTERS = tuple(register(f"r{n}") for n in range(READINGS))
METER = (register("volume"), gauge("flow"), PointSpec("leak", kind=Kind.STATE, interval_s=900), *GAUGES[:3])


def own(kind: str, parameters: str, points: Iterable[PointSpec] = (), name: str = "own") -> list[Rule]:
    """One rule of this kind a point."""
    named = [f"point: {p.name}, " for p in points] or [""]
    head = "rules:\n  - {id: %s, name: R, kind: %s, %sparameters: {%s}}\n"
    text = "".join(
        (head if n == 0 else head[7:]) % (f"{name}.{n}", kind, point, parameters)
        for n, point in enumerate(named)
    )
    return [rule for rule in parse_rules(text, "bench.yaml") if rule.id.startswith(f"{name}.")]


@dataclass(frozen=True, slots=True, eq=False)
class Case:
    name: str
    rules: list[Rule]
    specs: tuple[PointSpec, ...]
    standing: int = 0  # one device in so many is beyond the limit, always
    crossing: int = 0  # one message in so many is, and the next one of its device is not
    every: int = EVERY
    use: str = ""  # of meters in groups

    @property
    def known(self) -> int:
        """Rounds."""
        return KNOWN_IN_GROUPS if self.use else KNOWN

    @property
    def learns(self) -> bool:
        return any(rule.kind in LEARNED for rule in self.rules)


LEARNED = (
    "register_fault", "home_water", "home_stuck", "abnormal_load", "power_still", "repeats", "tank_level",
    "night_flow", "network_water", "building_still",
)  # fmt: skip


def cases() -> list[Case]:
    limits = own("limit", "above: 1000000, deadband: 1", GAUGES[:3])
    alike = own("limit", "above: 1000000, deadband: 1", GAUGES)
    return [
        Case("limit", alike, GAUGES),
        Case("limit, a tenth stands", alike, GAUGES, standing=10),
        Case("limit, 1 % cross it", alike, GAUGES, crossing=100),
        Case("stale", own("stale", "after: 24h"), GAUGES),
        Case("rate", own("rate", "above: 1000000, over: 10min", REGISTERS), REGISTERS),
        Case("continuous_flow", own("continuous_flow", "over: 1000h", REGISTERS), REGISTERS),
        Case("stuck", own("stuck", "over: 6h", REGISTERS), REGISTERS),
        Case("decrease", own("decrease", "max_rate: 200"), REGISTERS),
        Case("shipped rules and 3 limits", [*default_rules(), *limits], METER),
        Case("shipped rules and 3 limits, every 10 s", [*default_rules(), *limits], METER, every=10_000),
        *learned(),
    ]


def learned() -> list[Case]:
    found = []
    for name in LEARNED:
        group = {"network_water": "zone_outlet", "building_still": "unit"}.get(name, "")
        specs = GAUGES if name in ("repeats", "tank_level") else REGISTERS
        found.append(Case(name, own(name, "", specs), specs, use=group))
    neighbours = own("abnormal_load", "", REGISTERS)
    found.append(Case("abnormal_load with neighbours", neighbours, REGISTERS, use="unit"))
    three = [rule for name in LEARNED[:3] for rule in own(name, "", REGISTERS, name)]
    found.append(Case("three on a register", three, REGISTERS))
    return found


class Estate:
    """Devices that all say the same number of things, one after the other."""

    def __init__(self, case: Case, points: int) -> None:
        devices = points // READINGS
        whole = max(GROUP, devices - devices % GROUP)  # groups are whole
        self.case, self.count = case, whole if case.use else max(1, devices)
        names = [f"d{n}" for n in range(self.count)]
        parameters: dict[str, str | int | float | bool] = {"height": 1e9}
        parameters |= {"use": case.use} if case.use else {}
        self.devices = {n: Device("s", n, n, "water_meter", "v/m", n, "A", parameters) for n in names}
        self.ground = self._groups(names) if case.use else NOWHERE
        self.table = PointTable()
        for name in names:
            for spec in case.specs:
                kind = DeviceClass.WATER_METER
                self.table.add(Point(len(self.table) + 1, "s", name, kind, "A", spec))

    def _groups(self, names: list[str]) -> Ground:
        groups = {f"z{n}": names[n : n + GROUP] for n in range(0, len(names), GROUP)}
        feeds = {name: group for group, members in groups.items() for name in members}
        self.devices |= {n: Device("s", n, n, "riser", "v/z", n, "A") for n in groups}
        return Ground(
            below=lambda _, device: groups.get(device, ()),
            above=lambda device: (feeds[device],) if device in feeds else (),
        )

    def batch(self, number: int) -> Batch:
        turn = np.arange(MESSAGES, dtype=np.int64) + number * MESSAGES
        device, day = turn % self.count, turn // self.count
        every = self.case.every
        at = T0 + day * every + device * every // self.count
        quarter = day * every / EVERY
        moved = quarter // 96 * 76 + np.maximum(quarter % 96 - 20, 0)  # five hours of a night without use
        value = np.floor(1000 + moved * (device % LIVES * 3 + 20))[:, None] + np.zeros(READINGS)
        if self.case.standing:
            value[device % self.case.standing == 0] = 2e6
        if self.case.crossing:
            value[(device + day) % self.case.crossing == 0] = 2e6
        columns = Readings(
            (device[:, None] * READINGS + 1 + np.arange(READINGS)).astype(np.int32).ravel(),
            np.repeat(at, READINGS),
            value.ravel(),
            np.zeros(MESSAGES * READINGS, np.uint8),
            np.repeat(np.arange(MESSAGES, dtype=np.int32), READINGS),
        )
        came = int(at.max())
        record = MessageRecord(Message("t", b"", came), Outcome.DECODED)
        return Batch("s", Lane.NORMAL, came, (record,) * MESSAGES, columns)


def took(work: Callable[[], object]) -> float:
    began = time.process_time()
    work()
    return time.process_time() - began


def judged(case: Case) -> bool:
    """Silence is a matter of devices, and of arrays both ways."""
    return any(rule.kind != "stale" for rule in case.rules)


@lru_cache(maxsize=1)
def grown(case: Case) -> dict[tuple[str, int], list[object]]:
    """What rules that learn know after ten weeks, by rule and which of the lives it is, or group."""
    small = Estate(case, (GROUP if case.use else LIVES) * READINGS)
    engine = Engine(case.rules, small.table, small.devices, ground=small.ground)
    last = case.known * small.count // MESSAGES
    for number in range(last if case.every == EVERY else 0):
        engine.feed(small.batch(number))
    learned = [i for i in engine._roster.instances.values() if i.asks]
    return {(i.rule.id, int(i.device[1:]) % LIVES): i.dump() for i in learned}


def settle(engine: Engine, known: dict[tuple[str, int], list[object]]) -> None:
    """All of them know that."""
    for instance in engine._roster.instances.values():
        if instance.asks:
            lives = 1 if isinstance(instance, GroupLearner) else LIVES
            active, second, *rest = known[instance.rule.id, int(instance.device[1:]) % lives]
            if isinstance(instance, GroupLearner):
                second = array("i", instance.places).tobytes()
            instance.load([active, second, *rest])
            engine._look(instance)


def measure_learned(case: Case, points: int) -> None:
    estate, known = Estate(case, points), grown(case)
    gc.collect()
    tracemalloc.start()
    engine = Engine(case.rules, estate.table, estate.devices, ground=estate.ground)
    settle(engine, known)
    number = -(-case.known * estate.count // MESSAGES)
    for _ in range(-(-2 * estate.count // MESSAGES)):  # all are at work
        engine.feed(estate.batch(number))
        number += 1
    gc.collect()
    at_work = tracemalloc.get_traced_memory()[0]
    first = took(engine.snapshot)
    gc.collect()
    held = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    gc.freeze()
    looked = sum(max(1, len(i.points)) for i in engine._roster.instances.values())
    one = MESSAGES * READINGS
    woken = took(lambda b=estate.batch(number): engine.feed(b)) / one  # type: ignore[misc]
    spent, count = 0.0, max(4, -(-MEASURED * estate.count // MESSAGES))
    for _ in range(count):
        number += 1
        spent += took(lambda b=estate.batch(number): engine.feed(b))  # type: ignore[misc]
    per = spent / count / one
    first, size = took(engine.snapshot), len(engine.snapshot())
    engine.feed(estate.batch(number + 1))
    stored = took(engine.snapshot)
    print(
        f"| {case.name} | {points:,} | {per * 1e6:.2f} us | {1 / per:,.0f} | {woken * 1e6:.2f} us | "
        f"{at_work / looked:,.0f} B | {held / looked:,.0f} B | {first * 1e3:.0f} ms, {stored * 1e3:.0f} ms, "
        f"{size / looked:,.0f} B |",
        flush=True,
    )
    gc.unfreeze()


def measure(case: Case, points: int, slow: bool) -> None:
    estate = Estate(case, points)
    gc.collect()
    tracemalloc.start()
    engine = Engine(case.rules, estate.table, estate.devices, ground=estate.ground)
    warm = max(4, min(400, ROUNDS * estate.count // MESSAGES))
    engine.feed(estate.batch(0))
    held = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    looked = sum(max(1, len(i.points)) for i in engine._roster.instances.values())
    gc.freeze()
    for number in range(1, warm):
        engine.feed(estate.batch(number))
    batches = [estate.batch(warm + n) for n in range(8)]
    quick = sorted(took(lambda b=b: engine.feed(b)) for b in batches)[2]  # type: ignore[misc]
    ticked = took(lambda: engine.tick(batches[-1].received_at))
    first = took(engine.snapshot)
    engine.feed(estate.batch(warm + len(batches)))
    size = len(engine.snapshot())
    engine.feed(estate.batch(warm + len(batches) + 1))
    stored = took(engine.snapshot)
    plain = ""
    if slow and judged(case):
        beside = Engine(case.rules, estate.table, estate.devices, one_by_one=True, ground=estate.ground)
        beside.restore(engine.snapshot())
        more = [estate.batch(warm + 10 + n) for n in range(SLOW)]
        apart = min(took(lambda b=b: beside.feed(b)) for b in more)  # type: ignore[misc]
        per = apart / (MESSAGES * READINGS) * 1e6
        plain = f"{per:.2f} us | {apart / quick:.0f}"
    per = quick / (MESSAGES * READINGS)
    print(
        f"| {case.name} | {points:,} | {per * 1e6:.3f} us | {1 / per / 1e6:,.2f} M | {plain or '- | -'} | "
        f"{held / looked:,.0f} B | {ticked * 1e3:.1f} ms | {first * 1e3:.0f} ms, {stored * 1e3:.0f} ms, "
        f"{size / looked:,.0f} B |",
        flush=True,
    )
    gc.unfreeze()


def live(points: int) -> None:
    estate, kept = Estate(cases()[0], points), Live()
    batches = [estate.batch(n) for n in range(max(12, 2 * estate.count // MESSAGES))]
    best = min(
        took(lambda b=b: kept.update(b.readings, b.received_at, MESSAGES))  # type: ignore[misc]
        for b in batches
    )
    per = best / (MESSAGES * READINGS)
    print(
        f"| newest values | {points:,} | {per * 1e6:.3f} us | {1 / per / 1e6:.0f} M | | | | | |", flush=True
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--points", type=int, nargs="+", default=[1_000, 10_000, 100_000])
    parser.add_argument("--only", help="the name of a case")
    parser.add_argument("--learned", action="store_true", help="only the kinds that learn")
    parser.add_argument("--quick", action="store_true", help="not beside reading by reading")
    given = parser.parse_args()
    print(f"{machine()}; {MESSAGES:,} messages of {READINGS} readings a batch\n")
    learn = [case for case in cases() if case.learns and given.only in (None, case.name)]
    plain = [case for case in cases() if not case.learns and given.only in (None, case.name)]
    if plain and not given.learned:
        print(
            "| rules | points | a reading | readings/s and core | one by one | ratio | rule and point | tick | snapshot |"
        )
        print("| --- | --: | --: | --: | --: | --: | --: | --: | --: |")
        for case in plain:
            for points in given.points:
                measure(case, points, not given.quick)
    for points in given.points:
        if given.only is None and not given.learned:
            live(points)
    if learn:
        print(
            "\n| rules that learn | points | a reading | readings/s and core | after a snapshot | at work | rule and point "
            "| snapshot |"
        )
        print("| --- | --: | --: | --: | --: | --: | --: | --: |")
        for case in learn:
            for points in given.points:
                measure_learned(case, points)


if __name__ == "__main__":
    main()
