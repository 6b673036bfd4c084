"""Loads of one's own, added to real electricity meters: `inject.py` for the rule that asks the neighbours.

    python tests/quality/loads.py [--bench DIR] [--seeds 6] [--alone]

--alone: nobody has neighbours.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from statistics import median

sys.path.insert(0, str(Path(__file__).resolve().parent))

import inject
from run import Bench, Run, load

from dutyroom.rules.learned.load import Load
from dutyroom.rules.learned.neighbours import Neighbours

KINDS = ("load_on", "load_night", "load_scaled")


class LoadRun(Run):
    """Only this rule, with the neighbours of each zone."""

    def __init__(self, bench: Bench, wanted: Sequence[str] = (), unwanted: Sequence[str] = ()) -> None:
        super().__init__(Bench({}, {}))
        self.zone_of = {m: z for z, members in bench.zones.items() for m in members}
        self.points = {m: [] for m in bench.meters}
        for members in bench.zones.values():
            known = Neighbours()
            for m in members:
                if bench.meters[m].klass == "electricity_meter" and bench.meters[m].role == "unit":
                    self.points[m] = [
                        ("load", Load(bench.meters[m], Neighbours() if "alone" in wanted else known))
                    ]


def main() -> None:
    ask = argparse.ArgumentParser()
    ask.add_argument("--bench", type=Path, default=os.environ.get("DUTYROOM_ALARM_SAMPLES"))
    ask.add_argument("--seeds", type=int, default=6)
    ask.add_argument("--alone", action="store_true")
    given = ask.parse_args()
    inject.Run = LoadRun  # type: ignore[misc]
    bench = load(Path(given.bench))
    study = inject.Study(bench, inject.labelled(Path(given.bench), bench), ["alone"] if given.alone else [])
    print("kind             events found share  median h  75 % h  alarms of nothing a run")
    hours: list[float] = []
    for name in KINDS:
        tally = inject.Tally()
        results = study.run(name, given.seeds, tally)
        found = sorted(h for _, h in results if h is not None)
        hours += found
        print(
            f"{name:16s} {len(results):6d} {len(found):5d} {len(found) / len(results):5.2f} "
            f"{median(found):9.1f} {found[len(found) * 3 // 4]:7.1f} {tally.false / given.seeds:6.1f}",
            flush=True,
        )
    print(f"median of all {median(hours):.1f} h")


if __name__ == "__main__":
    main()
