"""Events of one's own, added to labelled telemetry at random times: what do the detectors find that
nobody chose a threshold on?

    python tests/quality/inject.py [--bench DIR] [--seeds 20] [--kinds leak_small ...] [--only RULE ...]

Every seed puts one event of one kind on each device of the class, away from the labelled ones, and
counts: found, hours until then, alarms that belong to nothing.
"""

from __future__ import annotations

import argparse
import csv
import os
import random
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

sys.path.insert(0, str(Path(__file__).resolve().parent))

from homes import made_up
from networks import made_up_networks, of_homes
from run import Bench, Run, instant, load

from dutyroom.timebase import DAY, HOUR, Ms

LITRE = 0.001
Series = list[tuple[Ms, float]]
Change = Callable[[Series, "Event", float, random.Random], Series]  # of the resolution, too


@dataclass(frozen=True, slots=True)
class Event:
    """start..end; size: of the device's mean flow, or in unit/h where it is absolute."""

    device: str
    kind: str
    start: Ms
    end: Ms
    size: float
    gradual: bool = False


@dataclass(frozen=True, slots=True)
class Kind:
    """How events of a kind are made."""

    klass: str
    roles: tuple[str, ...]
    family: tuple[str, ...]  # kinds of alarm that name it
    days: tuple[float, float]
    size: tuple[float, float]
    relative: bool
    change: Change


def extra(series: Series, event: Event, resolution: float, rng: random.Random) -> Series:
    """A flow of `size` unit/h on top, cut to the register's resolution; growing to it, where gradual."""
    phase = rng.random()
    out = []
    for at, value in series:
        hours = max(0.0, (min(at, event.end) - event.start) / HOUR)
        whole = (event.end - event.start) / HOUR
        moved = event.size * (hours * hours / (2 * whole) if event.gradual else hours)
        out.append((at, value + int(moved / resolution + phase) * resolution))
    return out


def scaled(series: Series, event: Event, resolution: float, rng: random.Random) -> Series:
    """All use times `size`."""
    out, more, before = [], 0.0, series[0][1]
    for at, value in series:
        if event.start <= at <= event.end:
            more += max(value - before, 0.0) * (event.size - 1.0)
        before = value
        out.append((at, value + int(more / resolution) * resolution))
    return out


def night_only(series: Series, event: Event, resolution: float, rng: random.Random) -> Series:
    """A flow of `size` between 21 and 05 h UTC."""
    out, moved, last = [], 0.0, series[0][0]
    for at, value in series:
        if event.start <= at <= event.end and (at % DAY >= 21 * HOUR or at % DAY < 5 * HOUR):
            moved += event.size * (at - last) / HOUR
        last = at
        out.append((at, value + int(moved / resolution) * resolution))
    return out


def freeze(series: Series, event: Event, resolution: float, rng: random.Random) -> Series:
    """The register stands still and then catches up, or has lost what was used."""
    lost = rng.random() < 0.5
    level = next((v for at, v in reversed(series) if at < event.start), series[0][1])
    back = next((v for at, v in reversed(series) if at <= event.end), level)
    gone = back - level if lost else 0.0
    return [(at, v if at < event.start else level if at <= event.end else v - gone) for at, v in series]


def exchange(series: Series, event: Event, resolution: float, rng: random.Random) -> Series:
    level = next((v for at, v in series if at >= event.start), 0.0)
    return [(at, v if at < event.start else v - level + resolution) for at, v in series]


def corrupted(series: Series, event: Event, resolution: float, rng: random.Random) -> Series:
    """Some readings in a row too low by `size`."""
    left, out = rng.randint(1, 5), []
    for at, value in series:
        wrong = at >= event.start and left > 0
        left -= wrong
        out.append((at, value - event.size if wrong else value))
    return out


def backflow(series: Series, event: Event, resolution: float, rng: random.Random) -> Series:
    """The register runs back by `size` unit/h for the time of the event, on top of use."""
    out = []
    for at, value in series:
        hours = max(0.0, (min(at, event.end) - event.start) / HOUR)
        out.append((at, value - int(event.size * hours / resolution) * resolution))
    return out


def flipped(series: Series, event: Event, resolution: float, rng: random.Random) -> Series:
    return [(at, v + event.size if at >= event.start else v) for at, v in series]


WATER, FAULT = ("leak", "burst"), ("meter_stuck", "meter_rollback", "meter_jump")
HOME, MAIN, POWER = ("unit",), ("zone_outlet",), ("unit",)
KINDS = {
    "leak_tiny": Kind("water_meter", HOME, WATER, (20, 30), (0.01, 0.03), True, extra),
    "leak_small": Kind("water_meter", HOME, WATER, (10, 25), (0.05, 0.15), True, extra),
    "leak_moderate": Kind("water_meter", HOME, WATER, (5, 12), (0.3, 1.0), True, extra),
    "leak_large": Kind("water_meter", HOME, WATER, (2, 4), (2.0, 6.0), True, extra),
    "burst": Kind("water_meter", HOME, WATER, (0.25, 0.75), (0.25, 0.9), False, extra),
    "stuck": Kind("water_meter", HOME, FAULT, (5, 9), (0, 0), False, freeze),
    "exchange": Kind("water_meter", HOME, FAULT, (0.3, 0.5), (0, 0), False, exchange),
    "corrupted": Kind("water_meter", HOME, FAULT, (0.2, 0.3), (1.0, 1.0), False, corrupted),
    "backflow": Kind("water_meter", HOME, FAULT, (0.2, 0.5), (0.02, 0.1), False, backflow),
    "flipped": Kind("water_meter", HOME, FAULT, (0.2, 0.3), (10.0, 10.0), False, flipped),
    "elec_exchange": Kind("electricity_meter", POWER, FAULT, (0.3, 0.5), (0, 0), False, exchange),
    "elec_corrupted": Kind("electricity_meter", POWER, FAULT, (0.2, 0.3), (100.0, 100.0), False, corrupted),
    "elec_flipped": Kind("electricity_meter", POWER, FAULT, (0.2, 0.3), (1000.0, 10000.0), False, flipped),
    "load_on": Kind("electricity_meter", POWER, ("elec_abnormal",), (2, 8), (0.3, 3.0), True, extra),
    "load_night": Kind("electricity_meter", POWER, ("elec_abnormal",), (4, 8), (0.8, 1.5), True, night_only),
    "load_scaled": Kind("electricity_meter", POWER, ("elec_abnormal",), (4, 7), (1.5, 2.0), False, scaled),
    "net_small": Kind("water_meter", MAIN, WATER, (3, 6), (0.03, 0.06), True, extra),
    "net_moderate": Kind("water_meter", MAIN, WATER, (3, 5), (0.08, 0.12), True, extra),
    "net_large": Kind("water_meter", MAIN, WATER, (1.5, 3), (0.25, 0.33), True, extra),
    "net_burst": Kind("water_meter", MAIN, WATER, (0.4, 0.6), (0.4, 0.8), True, extra),
}  # fmt: skip


@dataclass(slots=True)
class Tally:
    events: int = 0
    found: int = 0
    false: int = 0
    hours: list[float] | None = None


Window = tuple[Ms, Ms]


def labelled(folder: Path, bench: Bench) -> dict[str, list[Window]]:
    """Where the bench has events of its own, with a day around, by device."""
    windows: dict[str, list[Window]] = {m: [] for m in bench.meters}
    with (folder / "events.csv").open(encoding="utf-8") as file:
        for row in csv.DictReader(file):
            named = [row["device_id"]] if row["device_id"] else bench.zones[row["zone"]]
            for device in named:
                windows[device].append((instant(row["start"]) - DAY, instant(row["end"]) + DAY))
    return windows


def place(
    rng: random.Random, kind: Kind, name: str, device: str, series: Series, taken: Sequence[Window]
) -> Event | None:
    """An event after 15 days of history that touches none of the labelled ones; None = no room."""
    hours = (series[-1][0] - series[0][0]) / HOUR
    mean = (max(v for _, v in series) - series[0][1]) / hours if kind.klass != "x" else 1.0
    first, last = series[0][0] + 15 * DAY, series[-1][0]
    for _ in range(60):
        long = int(rng.uniform(*kind.days) * DAY)
        start = int(rng.uniform(first, last - long)) if last - long > first else 0
        if start and not any(a < start + long + DAY and start - DAY < b for a, b in taken):
            size = rng.uniform(*kind.size) * (mean if kind.relative else 1.0)
            gradual = kind.change is extra and kind.days[1] >= 2 and rng.random() < 0.3
            return Event(device, name, start, start + long, size, gradual)
    return None


class Study:
    """All seeds of one kind over the devices of its class."""

    def __init__(self, bench: Bench, windows: dict[str, list[Window]], only: Sequence[str]) -> None:
        self.bench, self.windows, self.only = bench, windows, only
        self.series: dict[str, Series] = {m: [] for m in bench.meters}
        for at, device, value in bench.readings:
            self.series[device].append((at, value))

    def run(self, name: str, seeds: int, tally: Tally) -> list[tuple[Event, float | None]]:
        kind = KINDS[name]
        devices = [d for d, m in self.bench.meters.items() if m.klass == kind.klass and m.role in kind.roles]
        zones = {z: ms for z, ms in self.bench.zones.items() if any(d in ms for d in devices)}
        part = Bench({m: self.bench.meters[m] for ms in zones.values() for m in ms}, zones)
        results = []
        for seed in range(seeds):
            rng = random.Random(f"{name} {seed}")
            changed, events = dict(self.series), []
            for device in devices:
                event = place(rng, kind, name, device, self.series[device], self.windows[device])
                if event:
                    events.append(event)
                    resolution = self.bench.meters[device].resolution or 1e-6
                    changed[device] = kind.change(self.series[device], event, resolution, rng)
            part.readings = sorted((at, m, v) for m in part.meters for at, v in changed[m])
            results += self._judge(part, events, kind, tally)
        return results

    def _judge(
        self, part: Bench, events: Sequence[Event], kind: Kind, tally: Tally
    ) -> list[tuple[Event, float | None]]:
        zone_of = {m: z for z, ms in part.zones.items() for m in ms}
        alarms = Run(part, self.only).feed(part.readings)
        belongs: set[int] = set()
        out: list[tuple[Event, float | None]] = []
        for e in events:
            found = None
            for i, a in enumerate(alarms):
                if a.device in (e.device, zone_of[e.device]) and e.start <= a.raised <= e.end + DAY:
                    belongs.add(i)
                    if a.kind in kind.family and found is None and a.raised <= e.end + 2 * HOUR:
                        found = (a.raised - e.start) / HOUR
            out.append((e, found))
        first = {d: self.series[d][0][0] + 14 * DAY for d in part.meters}
        last = {d: self.series[d][-1][0] for d in part.meters}
        for i, a in enumerate(alarms):
            members = [a.device] if a.device in first else part.zones[a.device]
            if i not in belongs and not any(
                not first[m] <= a.raised <= last[m] or any(s <= a.raised <= t for s, t in self.windows[m])
                for m in members
            ):
                tally.false += 1
        return out


def main() -> None:
    ask = argparse.ArgumentParser()
    ask.add_argument("--bench", type=Path, default=os.environ.get("DUTYROOM_ALARM_SAMPLES"))
    ask.add_argument("--seeds", type=int, default=10)
    ask.add_argument("--kinds", nargs="*", default=list(KINDS))
    ask.add_argument("--only", nargs="*", default=())
    ask.add_argument("--list", action="store_true", help="every event")
    ask.add_argument("--homes", type=int, default=0, help="on so many made-up homes instead")
    ask.add_argument("--networks", type=int, default=0, help="on so many made-up networks instead")
    ask.add_argument("--of-homes", type=int, default=0, help="on so many networks of the bench's homes")
    given = ask.parse_args()
    if given.of_homes:
        bench = of_homes(load(Path(given.bench)), given.of_homes, 1)
        study = Study(bench, {m: [] for m in bench.meters}, given.only)
    elif given.homes or given.networks:
        bench = made_up(given.homes, 1) if given.homes else made_up_networks(given.networks, 1)
        study = Study(bench, {m: [] for m in bench.meters}, given.only)
    else:
        bench = load(Path(given.bench))
        study = Study(bench, labelled(Path(given.bench), bench), given.only)
    print("kind             events found share  median h  75 % h  alarms of nothing")
    for name in given.kinds:
        tally = Tally()
        results = study.run(name, given.seeds, tally)
        hours = sorted(h for _, h in results if h is not None)
        share = len(hours) / max(len(results), 1)
        middle, late = (median(hours), hours[len(hours) * 3 // 4]) if hours else (0.0, 0.0)
        print(
            f"{name:16s} {len(results):6d} {len(hours):5d} {share:5.2f} {middle:9.2f} {late:7.1f} {tally.false:6d}",
            flush=True,
        )
        if given.list:
            for e, h in results:
                print("   ", e.device, round(e.size * 1000, 2), "gradual" if e.gradual else "", h)


if __name__ == "__main__":
    main()
