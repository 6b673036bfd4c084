"""Made-up water networks: their consumption at the outlet, with spreads and habits drawn at random.

Two peaks a day, later at weekends; days that are dry or wet; hours that go their own way for a
while; a factory on weekdays; watering at night in some; a slow season. Their spreads cover those of
a few hundred to some ten thousand homes.
"""

from __future__ import annotations

import random
from itertools import pairwise
from math import cos, exp, pi

from run import Bench

from dutyroom.rules.learned.localtime import LocalTime
from dutyroom.rules.learned.meter import Meter
from dutyroom.timebase import DAY, HOUR, MINUTE, Ms, zone

BEGIN: Ms = 1_772_323_200_000  # 2026-03-01T00:00Z
STEP: Ms = 15 * MINUTE


def bump(hour: float, middle: float, width: float) -> float:
    apart = (hour - middle + 12) % 24 - 12
    return exp(-apart * apart / (2 * width * width))


def flows(rng: random.Random, days: int) -> list[float]:
    """m3/h by quarter of an hour, local time."""
    mean, night = rng.uniform(15, 400), rng.uniform(0.25, 0.55)
    by_day, by_hour, noise = rng.uniform(0.03, 0.12), rng.uniform(0.03, 0.2), rng.uniform(0.01, 0.05)
    by_night = rng.uniform(0.02, 0.08)
    factory, watering = rng.choice((0, 0, 0.3)), rng.choice((0, 0, 0, 0.3))
    season = rng.uniform(-0.15, 0.3)
    own, of_day, of_night, out = 0.0, 0.0, 0.0, []
    for step in range(days * 96):
        day, hour = step // 96, step % 96 / 4
        weekend = day % 7 in (0, 6)  # the first day is a Sunday
        if hour == 0:
            of_day = 0.5 * of_day + rng.gauss(0, by_day)
            of_night, waters = rng.gauss(0, by_night), watering and rng.random() < 0.4
        own = 0.93 * own + rng.gauss(0, by_hour * (1 - 0.93**2) ** 0.5)
        late = 2.0 if weekend else 0.0
        people = 1.3 * bump(hour, 7.5 + late, 1.2) + 0.8 * bump(hour, 13.5, 3.0) + 1.1 * bump(hour, 20.5, 1.8)
        awake = min(1.0, people + 0.2)
        flow = night * exp(of_night) + people * exp(own + of_day * awake)
        flow += factory * (7 <= hour < 17 and not weekend) + (watering if waters and 3 <= hour < 5 else 0)
        flow *= 1 + season * day / days + 0.02 * cos(2 * pi * day / 7)
        out.append(max(mean * flow * exp(rng.gauss(0, noise)), 0.0))
    return out


def made_up_networks(count: int, seed: int, days: int = 70) -> Bench:
    local = LocalTime(zone("Etc/GMT-1"))
    bench = Bench({}, {})
    for n in range(count):
        rng = random.Random(f"network {seed} {n}")
        name, level, phase = f"outlet-{seed}-{n}", rng.uniform(1e4, 1e6), rng.randrange(STEP)
        bench.meters[name] = Meter("water_meter", "zone_outlet", local, STEP // 1000, 0.1)
        bench.zones[f"network-{seed}-{n}"] = [name]
        for i, flow in enumerate(flows(rng, days)):
            level += flow * STEP / HOUR
            if rng.random() > 0.004:
                at = BEGIN - HOUR + (i + 1) * STEP + phase
                bench.readings.append((at, name, int(level * 10) / 10.0))
    assert all(r[0] < BEGIN + (days + 1) * DAY for r in bench.readings)
    bench.readings.sort(key=lambda r: r[0])
    return bench


def hourly(bench: Bench) -> list[list[float]]:
    """L in each hour of each home of a bench, by its meter; what a leap or a gap hides is spread or left out."""
    out: list[list[float]] = []
    first = min(r[0] for r in bench.readings) // DAY * DAY
    hours = (max(r[0] for r in bench.readings) - first) // HOUR
    for name, meter in bench.meters.items():
        if meter.klass != "water_meter" or meter.role != "unit":
            continue
        flow = [0.0] * hours
        rows = [(at, v) for at, device, v in bench.readings if device == name]
        for (a, v), (b, w) in pairwise(rows):
            moved = w - v
            if 0.0 <= moved <= 0.4 * max(1.0, (b - a) / HOUR):
                for hour in range((a - first) // HOUR, min((b - first) // HOUR, hours)):
                    flow[hour] += 1000 * moved * HOUR / max(b - a, HOUR)
        out.append(flow)
    return out


def of_homes(bench: Bench, count: int, seed: int, days: int = 70) -> Bench:
    """Networks whose consumption is that of real homes, each some weeks apart from the others."""
    homes = hourly(bench)
    week = 7 * 24
    nets = Bench({}, {})
    local = LocalTime(zone("Etc/GMT-1"))  # the homes' hours are moved as they are: no summer time
    for n in range(count):
        rng = random.Random(f"of homes {seed} {n}")
        size, mean = rng.randint(40, 200), rng.uniform(30, 400)
        total = [0.0] * (days * 24 + 1)
        for _ in range(size):
            home = rng.choice(homes)
            whole, start = len(home) // week * week, rng.randrange(len(home) // week) * week
            total = [t + home[(start + i) % whole] for i, t in enumerate(total)]
        scale = mean / (sum(total) / len(total))
        name, level, phase = f"homes-{seed}-{n}", rng.uniform(1e4, 1e6), rng.randrange(STEP)
        nets.meters[name] = Meter("water_meter", "zone_outlet", local, STEP // 1000, 0.1)
        nets.zones[f"net-{name}"] = [name]
        for i in range(days * 96):
            part = i % 4 / 4
            flow = total[i // 4] * (1 - part) + total[i // 4 + 1] * part
            level += max(0.0, flow * scale * rng.gauss(1.0, 0.02)) * STEP / HOUR
            if rng.random() > 0.004:
                nets.readings.append((BEGIN + (i + 1) * STEP + phase, name, int(level * 10) / 10.0))
    nets.readings.sort(key=lambda r: r[0])
    return nets
