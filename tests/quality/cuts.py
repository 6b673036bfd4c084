"""Power cuts of one's own on real electricity meters: of whole buildings (1 to 6 h) and of single units (4 to 24 h).

python tests/quality/cuts.py [--bench DIR] [--seeds 6]
"""

from __future__ import annotations

import argparse
import os
import random
import sys
from pathlib import Path
from statistics import median

sys.path.insert(0, str(Path(__file__).resolve().parent))

import inject
from run import Bench, Run, load

from dutyroom.rules.learned.power_still import BuildingStill, UnitStill
from dutyroom.timebase import DAY, HOUR, Ms


class CutRun(Run):
    """Only these two rules."""

    def __init__(self, bench: Bench) -> None:
        super().__init__(Bench({}, {}))
        self.zone_of = {m: z for z, members in bench.zones.items() for m in members}
        self.points = {m: [("unit", UnitStill(meter))] for m, meter in bench.meters.items()}
        for zone, members in bench.zones.items():
            building = BuildingStill([bench.meters[m] for m in members])
            self.zones.append((zone, "building", building))
            for i, m in enumerate(members):
                self.of[m] = [(i, zone, "building", building)]

    def _covered(self, place: str, rule: str) -> bool:
        return rule == "unit" and (self.zone_of.get(place), "building") in self.open


def cut(series: inject.Series, start: Ms, end: Ms) -> inject.Series:
    """Readings go on; what would have been used is not."""
    first = max((v for at, v in series if at <= start), default=series[0][1])
    last = max((v for at, v in series if at <= end), default=first)
    return [(at, v if at <= start else first if at <= end else v - (last - first)) for at, v in series]


def main() -> None:
    ask = argparse.ArgumentParser()
    ask.add_argument("--bench", type=Path, default=os.environ.get("DUTYROOM_ALARM_SAMPLES"))
    ask.add_argument("--seeds", type=int, default=6)
    given = ask.parse_args()
    bench = load(Path(given.bench))
    study = inject.Study(bench, inject.labelled(Path(given.bench), bench), [])
    meters = {d: m for d, m in bench.meters.items() if m.klass == "electricity_meter" and m.role == "unit"}
    zones = {z: ms for z, ms in bench.zones.items() if all(m in meters for m in ms)}
    print("kind       events found  median h  75 % h  alarms of nothing a run")
    for kind, low, high in (("building", 1.0, 6.0), ("unit", 4.0, 24.0)):
        hours: list[float] = []
        events = false = 0
        for seed in range(given.seeds):
            rng = random.Random(f"{kind} {seed}")
            part, cuts = Bench(meters, zones), []
            for zone, members in zones.items():
                for group in [members] if kind == "building" else [[m] for m in members]:
                    series, windows = study.series[group[0]], [w for m in group for w in study.windows[m]]
                    while True:
                        start = int(rng.uniform(series[0][0] + 15 * DAY, series[-1][0] - 2 * DAY))
                        end = start + int(rng.uniform(low, high) * HOUR)
                        if not any(a < end and start < b for a, b in windows):
                            break
                    cuts.append((zone if kind == "building" else group[0], start, end))
                    for m in group:
                        part.readings += [(at, m, v) for at, v in cut(study.series[m], start, end)]
            part.readings.sort()
            alarms, right = CutRun(part).feed(part.readings), set()
            for place, start, end in cuts:
                near = [
                    i for i, a in enumerate(alarms) if a.device == place and start <= a.raised <= end + HOUR
                ]
                right |= set(near)
                hours += [(alarms[near[0]].raised - start) / HOUR] if near else []
            events += len(cuts)
            false += sum(
                i not in right
                and not any(
                    s <= a.raised <= e for m in zones.get(a.device, [a.device]) for s, e in study.windows[m]
                )
                for i, a in enumerate(alarms)
            )
        late = sorted(hours)[len(hours) * 3 // 4]
        print(
            f"{kind:10s} {events:6d} {len(hours):5d} {median(hours):9.2f} {late:7.2f} {false / given.seeds:6.1f}"
        )


if __name__ == "__main__":
    main()
