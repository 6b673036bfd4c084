"""Tanks, elevators, gates, generator: states as pure functions of time and injections."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from dutyroom_simulators.noise import number_of, uniform
from dutyroom_simulators.scenarios import MINUTE, TANK_BACK, Injection, Record

_CYCLE = 40 * MINUTE
_SLOT = 90_000
_FILL = 10 * MINUTE
_TEST_EVERY = 15 * 24 * 60 * MINUTE
_TEST_LASTS = 35 * MINUTE


@lru_cache(maxsize=4096)
def _random(seed: int, name: str, *keys: int) -> float:
    return float(uniform(seed, number_of(name), *keys))


def tank_level(record: Record, moment: int) -> float:
    """Metres of water in the domestic tank: a pump cycle, or what a scenario makes of it."""
    for i in record.of("tank-domestic"):
        if i.scenario not in ("tank_overflow", "tank_dry"):
            continue
        if i.at <= moment < i.over:
            return _disturbed(i, moment)
    return _cycle(moment)


def _cycle(moment: int) -> float:
    phase = moment % _CYCLE
    if phase < _FILL:
        return 1.2 + 0.7 * phase / _FILL
    return 1.9 - 0.7 * (phase - _FILL) / (_CYCLE - _FILL)


def _disturbed(i: Injection, moment: int) -> float:
    rate = 0.12 if i.scenario == "tank_overflow" else -0.1  # m a minute
    level = _cycle(i.at) + rate * (min(moment, i.until) - i.at) / MINUTE
    level = min(2.46, max(0.06, level))
    if moment < i.until:
        return level
    share = (moment - i.until) / TANK_BACK
    return level * (1 - share) + _cycle(moment) * share


def pump_running(record: Record, pump: int, moment: int) -> bool:
    """Pump 1 fills the tank, pump 2 helps at the height of the day."""
    if pump == 1 and any(
        i.active(moment) for i in record.of("tank-domestic") if i.scenario in ("tank_overflow", "tank_dry")
    ):
        return True
    phase = moment % _CYCLE
    return phase < _FILL if pump == 1 else phase < _FILL // 3


@dataclass(frozen=True, slots=True)
class Lift:
    floor: int
    door: int
    moving: int
    mode: int
    fault_code: int
    trapped: int
    trips: int
    door_zone: int = 1


def lift(record: Record, seed: int, device: str, floors: int, moment: int) -> Lift:
    """One trip a minute: 24 s on the way, 12 s with an open door, then waiting."""
    trapped = fault = between = None
    for i in record.of(device):
        if i.active(moment):
            trapped = i if i.scenario == "entrapment" else trapped
            fault = i if i.scenario == "elevator_fault" else fault
            between = i if i.scenario == "elevator_between_floors" else between
    stopped = trapped or fault or between
    at = stopped.at if stopped else moment
    slot, inside = divmod(at, MINUTE)
    here = int(_random(seed, device, slot) * floors) + 1
    there = int(_random(seed, device, slot + 1) * floors) + 1
    on_the_way = inside < 24_000 and here != there
    floor = round(here + (there - here) * inside / 24_000) if on_the_way else there
    trips = 100_000 + (at - 1_735_689_600_000) // MINUTE // 3
    if trapped:
        return Lift(floor, 0, 0, 0, 0, 1, trips, 0)
    if between:
        return Lift(floor, 0, 0, 0, 0, 0, trips, 0)
    if fault:
        return Lift(floor, 0, 0, 0, 36, 0, trips)
    door = int(24_000 <= inside < 36_000)
    return Lift(floor, door, int(on_the_way), 0, 0, 0, trips, int(not on_the_way))


@dataclass(frozen=True, slots=True)
class Generator:
    """code: Victron's StatusCode; power in W; source: 1 mains, 2 generator, 240 none."""

    code: int
    power: float
    fault: int
    start: int
    source: int
    hours: float


def next_test(started_at: int) -> int:
    """When the next test run falls due on an estate that starts now: soon enough to be seen."""
    return (started_at // MINUTE + 10) * MINUTE


def generator(record: Record, moment: int) -> Generator:
    """Stands by, runs when it is tested, and starts 12 s after a feeder is lost (or fails to, or carries nothing)."""
    hours = 123.4
    for name in ("generator_start_failure", "transfer_failure", "feeder_cut"):
        for i in record.active(name, moment):
            since = moment - i.at
            if name == "generator_start_failure":
                return Generator(0, 0.0, 14 if since >= 20_000 else 0, 1, 240, hours)
            code = 8 if since >= 12_000 else 2
            loaded = since >= 18_000 and name == "feeder_cut"
            return Generator(
                code, 38_000.0 if loaded else 0.0, 0, 1, 2 if loaded else 240, hours + since / 3.6e6
            )
    for i in record.active("generator_left_running", moment):
        since = moment - i.at
        return Generator(8 if since >= 12_000 else 2, 0.0, 0, 1, 1, hours + since / 3.6e6)
    for i in record.active("generator_test", moment):
        return _test_run(moment - i.at, hours)
    return Generator(0, 0.0, 0, 0, 1, hours)


def past_test_run(moment: int, started_at: int) -> Generator:
    """In the history: a test run each 15 days, the last one 15 days before the next one."""
    since = (moment - next_test(started_at)) % _TEST_EVERY
    if since < _TEST_LASTS:
        return _test_run(since, 120.0)
    return Generator(0, 0.0, 0, 0, 1, 120.0)


def _test_run(since: int, hours: float) -> Generator:
    if since < 12_000:
        return Generator(2, 0.0, 0, 1, 1, hours)
    loaded = 60_000 <= since < _TEST_LASTS - 2 * MINUTE
    return Generator(8, 30_000.0 if loaded else 0.0, 0, 1, 1, hours + since / 3.6e6)


_OPENS = 1_000  # ms from the card to the open door
_STAYS = 8_000
_HOLDING = ("gate_held_open", "gate_forced")


def _whole(at: int) -> int:
    """The next full second: the controllers' clocks know no less, and two messages of the same
    second must never contradict each other."""
    return -(-at // 1000) * 1000


def gate_open(record: Record, seed: int, device: str, moment: int) -> bool:
    """Open for 8 s after a passage, or as a scenario says."""
    held = [i for i in record.of(device) if i.scenario in _HOLDING]
    if any(_whole(i.at) <= moment < _whole(i.until) for i in held):
        return True
    since = moment - _OPENS - _STAYS
    return any(at + _OPENS <= moment < at + _OPENS + _STAYS for at in passages(seed, device, since, moment))


def gate_changes(record: Record, seed: int, device: str, after: int, until: int) -> list[tuple[int, int]]:
    """(instant, reason) in (after, until] at which the door moves: 23 opened, 24 closed, 38 forced."""
    passed = passages(seed, device, after - _OPENS - _STAYS, until)
    moments = {at + wait for at in passed for wait in (_OPENS, _OPENS + _STAYS)}
    forced = {_whole(i.at) for i in record.of(device) if i.scenario == "gate_forced"}
    for i in record.of(device):
        if i.scenario in _HOLDING:
            moments |= {_whole(i.at), _whole(i.until)}
    found = []
    for at in sorted(m for m in moments if after < m <= until):
        opened = gate_open(record, seed, device, at)
        if at in forced:
            found.append((at, 38))
        elif opened != gate_open(record, seed, device, at - 1000):
            found.append((at, 23 if opened else 24))
    return found


def passages(seed: int, device: str, after: int, until: int) -> list[int]:
    """Instants in (after, until] at which somebody passes: one in most 90 s of the day, few at night."""
    slots = range(after // _SLOT, until // _SLOT + 1)
    found = (_passage(seed, device, slot) for slot in slots)
    return [at for at in found if at is not None and after < at <= until]


@lru_cache(maxsize=4096)
def _passage(seed: int, device: str, slot: int) -> int | None:
    hour = (slot * _SLOT + 8 * 3_600_000) // 3_600_000 % 24
    if _random(seed, device, slot, 1) >= (0.8 if 7 <= hour < 22 else 0.08):
        return None
    return slot * _SLOT + int(_random(seed, device, slot, 2) * 80) * 1000
