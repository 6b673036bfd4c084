"""Made-up homes: what people do with water in homes that no sample shows.

Every home is drawn at random: how many live there and when they are up, toilets, taps, showers,
baths, machines, a garden, a softener that rinses at night, a tap that drips, guests, weekends away,
holidays, late evenings, radio losses, registers of 1 or 10 L, hourly or every 15 min. Sizes are those of fittings
(a flush 3 to 9 L, a shower 30 to 90 L, a hose 300 to 900 L/h). They judge how detectors behave on other lives;
nothing was chosen on them alone.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, replace
from math import exp

from run import Bench, Reading

from dutyroom.rules.learned.localtime import LocalTime
from dutyroom.rules.learned.meter import Meter
from dutyroom.timebase import DAY, HOUR, MINUTE, Ms, zone

BEGIN: Ms = 1_772_323_200_000  # 2026-03-01T00:00Z
Use = tuple[Ms, Ms, float]  # from, to, litres


@dataclass(frozen=True, slots=True)
class Home:
    """Drawn once for a home."""

    people: int
    works: float  # share of days that all are out from 9 to 17
    up: float  # local hour
    bed: float
    flush: float  # L
    shower: float
    nightly: float  # visits a person and night
    garden: float  # L/h of its hose; 0 = none
    timer: bool  # the garden waters itself, at 6
    softener: float  # L a rinse; 0 = none
    drip: float  # L/h, for ever
    away: float  # chance of a weekend away


def draw_home(rng: random.Random) -> Home:
    return Home(
        people=rng.choice((1, 1, 2, 2, 2, 3, 3, 4, 4, 5, 6)),
        works=rng.choice((0.0, 0.3, 0.7)),
        up=rng.uniform(5.5, 8.5),
        bed=rng.uniform(22.0, 25.0),
        flush=rng.uniform(3, 9),
        shower=rng.uniform(30, 90),
        nightly=rng.choice((0.1, 0.3, 0.7, 1.5)),
        garden=rng.choice((0, 0, 0, rng.uniform(300, 900))),
        timer=rng.random() < 0.3,
        softener=rng.choice((0, 0, 0, 0, 0, rng.uniform(60, 180))),
        drip=rng.choice((0, 0, 0, 0, 0, 0, rng.uniform(0.05, 1.0))),
        away=rng.choice((0.05, 0.15, 0.3)),
    )


def occupied(home: Home, days: int, rng: random.Random) -> list[int]:
    """People by day: 0 away, more than usual with guests."""
    there = [home.people] * days
    for day in range(days):
        if day % 7 == 6 and rng.random() < home.away:
            there[day : day + 2] = [0] * len(there[day : day + 2])
    for chance, low, high, change in ((0.8, 5, 16, -home.people), (0.8, 2, 9, rng.randint(1, 3))):
        if rng.random() < chance:
            first = rng.randrange(days)
            last = first + rng.randint(low, high)
            there[first:last] = [home.people + change] * len(there[first:last])
    return there


def day_of(home: Home, people: int, day: int, rng: random.Random) -> list[Use]:
    """What is used on one day; hours count from local midnight."""
    uses: list[Use] = []
    out = rng.random() < home.works and day % 7 not in (0, 6)  # the first day is a Sunday
    bed = home.bed + (rng.expovariate(0.7) if rng.random() < 0.15 else rng.gauss(0, 0.4))

    def use(hour: float, minutes: float, litres: float) -> None:
        start = BEGIN + day * DAY + int(hour * HOUR)
        uses.append((start, start + int(minutes * MINUTE), litres))

    def awake() -> float:
        while True:
            hour = rng.choice(
                (rng.gauss(home.up + 0.7, 0.6), rng.gauss(20.0, 2.0), rng.uniform(home.up, bed))
            )
            if home.up - 1 < hour < bed and not (out and 9 < hour < 17):
                return hour

    for _ in range(people):
        for _ in range(_poisson(3 if out else 5.5, rng)):
            use(awake(), 2, home.flush)
        for _ in range(_poisson(home.nightly, rng)):
            use(rng.uniform(bed, home.up + 24) % 24, 2, home.flush)
        for _ in range(_poisson(7 if out else 14, rng)):
            use(awake(), rng.uniform(0.3, 3), rng.expovariate(0.6))
        if rng.random() < 0.75:
            use(awake(), 8, home.shower * rng.uniform(0.6, 1.4))
        if rng.random() < 0.04:
            use(awake(), 12, rng.uniform(100, 190))
        if rng.random() < 0.25:
            use(awake(), 80, rng.uniform(40, 70))
    if people and rng.random() < 0.5:
        use(awake(), 90, 12)
    dry = 0.15 + 0.35 * min(day / 90, 1.0)
    if home.garden and rng.random() < dry and (people or home.timer):
        use(6.0 if home.timer else rng.uniform(18, 21), 60 * (t := rng.uniform(0.3, 1.5)), home.garden * t)
    if home.softener and day % 6 == 2:
        use(2.5, 75, home.softener)
    return uses


def _poisson(mean: float, rng: random.Random) -> int:
    count, product = 0, rng.random()
    while product > exp(-mean):
        count, product = count + 1, product * rng.random()
    return count


def readings(
    home: Home, name: str, days: int, interval: Ms, digit: float, rng: random.Random
) -> list[Reading]:
    """Of its meter (m3), with losses."""
    there = occupied(home, days, rng)
    uses = sorted(u for d in range(days) for u in day_of(home, there[d], d, rng))
    phase, lost = rng.randrange(interval), rng.uniform(0.005, 0.05)
    level, waiting, base = 0.0, 0, rng.uniform(1e4, 1e6)
    running: list[Use] = []
    out, gap_until = [], 0
    for step in range(days * DAY // interval):
        at = BEGIN + step * interval + phase
        while waiting < len(uses) and uses[waiting][0] < at:
            running.append(uses[waiting])
            waiting += 1
        level += home.drip * interval / HOUR
        level += sum(v * (min(at, t) - max(at - interval, f)) / max(t - f, 1) for f, t, v in running)
        running = [u for u in running if u[1] > at]
        if rng.random() < lost / 8:
            gap_until = at + rng.choice((2, 3, 4, 4, 9)) * HOUR
        if at >= gap_until and rng.random() >= lost:
            out.append((at, name, int((base + level) / digit) * digit / 1000.0))
    return out


def made_up(count: int, seed: int, days: int = 112, drips: bool = False) -> Bench:
    """So many homes in buildings of six; drips: some leak from the first day on."""
    local = LocalTime(zone("Europe/Madrid"))
    bench = Bench({}, {})
    for n in range(count):
        rng = random.Random(f"home {seed} {n}")
        name, digit = f"home-{seed}-{n}", rng.choice((1.0, 1.0, 1.0, 10.0))
        interval = rng.choice((HOUR, HOUR, 15 * MINUTE))
        home = draw_home(rng)
        home = home if drips else replace(home, drip=0.0)
        bench.meters[name] = Meter("water_meter", "unit", local, interval // 1000, digit / 1000.0)
        bench.zones.setdefault(f"made-up-{seed}-{n // 6}", []).append(name)
        bench.readings += readings(home, name, days, interval, digit, rng)
    bench.readings.sort(key=lambda r: r[0])
    return bench
