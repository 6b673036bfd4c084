"""Leave one source out: the limits that matter most, chosen on all sources but one and scored on that one.

    python tests/quality/left_out.py --bench DIR [--scorer COMMAND] [--only RULE ...]

Each limit is tried at parts and multiples of what ships. Chosen is the best F1 of the rule's own kinds of events on
the other sources; of several the soonest, then the lowest. Where all homes come from one source, its
buildings stand for sources. Prints Markdown.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))

from loads import LoadRun
from run import Bench, Run, load, write
from sources import labelled

from dutyroom.rules.learned import home_water, network_water
from dutyroom.rules.learned import load as abnormal_load

TIMES = (0.5, 0.7, 0.85, 1.0, 1.2, 1.5, 2.0)


@dataclass(frozen=True, slots=True)
class Limit:
    """Constants that go up and down together, and the devices that they are for."""

    rule: str
    what: str
    module: ModuleType
    names: Sequence[str]
    klass: str
    role: str
    by: str
    kinds: Sequence[str]


WATER, LOADS = ("leak", "burst"), ("elec_abnormal",)
HOME, OUTLET, METER = ("water_meter", "unit"), ("water_meter", "zone_outlet"), ("electricity_meter", "unit")
LIMITS = (
    Limit("home_water", "all floors", home_water, ("_FLOORS",), *HOME, "zone", WATER),
    Limit("network_water", "sums by night and by day", network_water, ("NIGHT_ALARM", "DAY_ALARM"), *OUTLET, "source", WATER),
    Limit("network_water", "step", network_water, ("STEP",), *OUTLET, "source", WATER),
    Limit("abnormal_load", "both sums", abnormal_load, ("SUM_ALARM", "DAILY_ALARM"), *METER, "source", LOADS),
    Limit("abnormal_load", "what matters", abnormal_load, ("MATTERS",), *METER, "source", LOADS),
)  # fmt: skip


def changed(limit: Limit, times: float) -> dict[str, Any]:
    """Multiplies the constants; gives what they were."""
    before = {name: getattr(limit.module, name) for name in limit.names}
    for name, value in before.items():
        many = isinstance(value, tuple)
        setattr(limit.module, name, tuple(v * times for v in value) if many else value * times)
    return before


def part_of(bench: Bench, limit: Limit) -> Bench:
    """The zones that have such a device."""
    wanted = {d for d, m in bench.meters.items() if (m.klass, m.role) == (limit.klass, limit.role)}
    zones = {z: ms for z, ms in bench.zones.items() if wanted & {*ms}}
    meters = {m: bench.meters[m] for ms in zones.values() for m in ms}
    return Bench(meters, zones, [r for r in bench.readings if r[1] in meters])


def _rank(figures: Mapping[str, Any]) -> tuple[float, float]:
    return figures["f1"], -(figures["median_ttd_h"] or 0.0)


def _cell(figures: Mapping[str, Any]) -> str:
    hours = figures["median_ttd_h"]
    late = "" if hours is None else f", {hours:.1f} h"
    return f"{figures['detected']}/{figures['events']}, {figures['false_alarms']} false{late}"


def main() -> None:
    ask = argparse.ArgumentParser()
    ask.add_argument("--bench", type=Path, default=os.environ.get("DUTYROOM_ALARM_SAMPLES"))
    ask.add_argument("--scorer", default=os.environ.get("DUTYROOM_ALARM_SCORER"))
    ask.add_argument("--only", nargs="*", default=())
    given = ask.parse_args()
    folder = Path(given.bench)
    rows, bench = labelled(folder, given.scorer), load(folder)
    for limit in LIMITS:
        if given.only and limit.rule not in given.only:
            continue
        part = part_of(bench, limit)
        groups = {name: zones & part.zones.keys() for name, zones in rows.groups(limit.by).items()}
        groups = {name: zones for name, zones in groups.items() if zones}
        every = set().union(*groups.values())
        at: dict[float, dict[str, dict[str, Any]]] = {}  # times -> group, or all but it -> figures
        for times in TIMES:
            before = changed(limit, times)
            run = LoadRun(part) if limit.rule == "abnormal_load" else Run(part, [limit.rule])
            with tempfile.TemporaryDirectory() as made:
                write(run.feed(part.readings), Path(made) / "alarms.csv")
                at[times] = {}
                for name, zones in groups.items():
                    for key, asked in ((name, zones), (f"not {name}", every - zones)):
                        at[times][key] = rows.score(Path(made) / "alarms.csv", asked, limit.kinds)[0]
            for name, value in before.items():
                setattr(limit.module, name, value)
        print(f"{limit.rule}, {limit.what}:\n")
        print("| times | " + " | ".join(groups) + " |\n| --: |" + " --- |" * len(groups))
        for times, found in at.items():
            print(f"| {times:g} | " + " | ".join(_cell(found[name]) for name in groups) + " |")
        print()
        for name in groups:
            best = max(TIMES, key=lambda times: _rank(at[times][f"not {name}"]))
            chosen, shipped = at[best][name], at[1.0][name]
            print(
                f"- without {name}: {best:g} is chosen; on it {_cell(chosen)}, F1 {chosen['f1']:.3f} "
                f"(shipped: {_cell(shipped)}, {shipped['f1']:.3f})"
            )
        print(flush=True)


if __name__ == "__main__":
    main()
