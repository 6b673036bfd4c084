"""Each source of labelled telemetry by itself, and all others without it: does one of them carry the result?

    python tests/quality/sources.py --bench DIR --alarms FILE [--scorer COMMAND] [--by source|zone]

DIR holds devices.csv (a source for each device) and events.csv, FILE is the alarms.csv of a backtest over its
telemetry. The scorer (or the variable DUTYROOM_ALARM_SCORER) is called with --bench, --alarms, --json and
--detail, on the rows that are asked about. Prints Markdown.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import shlex
import subprocess
import tempfile
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Row = dict[str, str]


@dataclass(frozen=True, slots=True)
class Labelled:
    """The rows of a labelled folder, and what scores alarms on them."""

    devices: Sequence[Row]
    events: Sequence[Row]
    scorer: Sequence[str]

    def groups(self, by: str) -> dict[str, set[str]]:
        """Zones by what is asked for: what happens to a zone happens to all of it, so none is ever parted."""
        found: dict[str, set[str]] = {}
        for device in self.devices:
            found.setdefault(device[by], set()).add(device["zone"])
        return found

    def score(
        self, alarms: Path, zones: Collection[str], kinds: Collection[str] = ()
    ) -> tuple[dict[str, Any], list[Row]]:
        """Figures and events of these zones. kinds: only they count as found or missed; an alarm in another event is
        still no false one."""
        with tempfile.TemporaryDirectory() as made:
            folder = Path(made)
            events = [
                {**e, "scored": "0"} if kinds and e["kind"] not in kinds else e
                for e in self.events
                if e["zone"] in zones
            ]
            _write(folder / "devices.csv", [d for d in self.devices if d["zone"] in zones])
            _write(folder / "events.csv", events)
            names = (
                ("--bench", folder),
                ("--alarms", alarms),
                ("--json", folder / "f"),
                ("--detail", folder / "d.csv"),
            )
            words = [*self.scorer, *(str(word) for pair in names for word in pair), "--brief"]
            subprocess.run(words, check=True, stdout=subprocess.DEVNULL)
            return json.loads((folder / "f").read_text(encoding="utf-8")), rows(folder / "d.csv")


def rows(path: Path) -> list[Row]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def _write(path: Path, found: Sequence[Row]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        out = csv.DictWriter(file, list(found[0]))
        out.writeheader()
        out.writerows(found)


def labelled(folder: Path, scorer: str | None) -> Labelled:
    if not scorer:
        raise SystemExit("no scorer: --scorer COMMAND or the variable DUTYROOM_ALARM_SCORER")
    return Labelled(rows(folder / "devices.csv"), rows(folder / "events.csv"), shlex.split(scorer))


def _cells(figures: Mapping[str, Any]) -> list[str]:
    found = f"{figures['detected']} of {figures['events']}"
    return [
        found, str(figures["false_alarms"]), f"{figures['false_per_device_month']:.3f}", f"{figures['f1']:.3f}",
    ]  # fmt: skip


def _table(head: Sequence[str], body: Sequence[Sequence[str]]) -> None:
    for row in (head, ["---", *["--:"] * (len(head) - 1)], *body):
        print("| " + " | ".join(row) + " |")
    print()


def main() -> None:
    ask = argparse.ArgumentParser()
    ask.add_argument("--bench", type=Path, default=os.environ.get("DUTYROOM_ALARM_SAMPLES"))
    ask.add_argument("--alarms", type=Path, required=True)
    ask.add_argument("--scorer", default=os.environ.get("DUTYROOM_ALARM_SCORER"))
    ask.add_argument("--by", choices=("source", "zone"), default="source")
    given = ask.parse_args()
    bench = labelled(Path(given.bench), given.scorer)
    groups = bench.groups(given.by)
    every = set().union(*groups.values())
    whole, events = bench.score(given.alarms, every)

    figures = ["found", "false", "a device-month", "F1"]
    body = []
    for name, zones in groups.items():
        alone, _ = bench.score(given.alarms, zones)
        others = _cells(bench.score(given.alarms, every - zones)[0]) if every - zones else ["-"] * 4
        months = f"{alone['exposure_device_months']:.1f}"
        body.append([name, months, *_cells(alone), *others])
    body.append(["all", f"{whole['exposure_device_months']:.1f}", *_cells(whole), *[""] * 4])
    _table([given.by, "device-months", *figures, f"others: {figures[0]}", *figures[1:]], body)

    _table(
        ["kind", "events", "found", "median h", "missed"],
        [
            [
                kind, str(of["n"]), str(of["detected"]),
                "-" if of["median_ttd_h"] is None else f"{of['median_ttd_h']:.1f}",
                ", ".join(e["event_id"] for e in events if e["kind"] == kind and e["det"] == "False"),
            ]
            for kind, of in whole["kinds"].items()
        ],
    )  # fmt: skip
    names = (
        "f1",
        "precision",
        "recall",
        "macro_recall",
        "false_per_device_month",
        "false_per_device_month_real",
    )
    print(", ".join(f"{name} {whole[name]}" for name in (*names, "median_ttd_h", "peak_10min")))
    for event in (e for e in events if e["det"] == "False"):
        where = event["device_id"] or event["zone"]
        print(
            f"missed: {event['event_id']} {event['kind']} {where}: {event['size']} {event['size_unit']} {event['note']}"
        )


if __name__ == "__main__":
    main()
