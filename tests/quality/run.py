"""Runs the learned detectors over labelled telemetry and scores their alarms.

    python tests/quality/run.py [--bench DIR] [--out alarms.csv] [--only RULE ...] [--without RULE ...]

DIR (or the variable DUTYROOM_ALARM_SAMPLES) holds telemetry.csv.gz, devices.csv and events.csv. The
scorer is a command in DUTYROOM_ALARM_SCORER; it is called with --bench DIR --alarms FILE.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import os
import shlex
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "services"))

from catalog import detectors, zone_detectors  # noqa: E402

from dutyroom.rules.learned import Detector, ZoneDetector  # noqa: E402
from dutyroom.rules.learned.localtime import LocalTime  # noqa: E402
from dutyroom.rules.learned.meter import Meter  # noqa: E402
from dutyroom.timebase import MINUTE, Ms, to_datetime, zone  # noqa: E402

SCALES = {"L": 0.001}  # to canonical units; others are canonical already
TICK: Ms = 5 * MINUTE
Reading = tuple[Ms, str, float]  # UTC ms, device, value in the canonical unit


@dataclass(slots=True)
class Alarm:
    device: str
    kind: str
    rule: str
    raised: Ms
    cleared: Ms | None = None


@dataclass(slots=True)
class Bench:
    """The samples, or what was made out of them."""

    meters: dict[str, Meter]
    zones: dict[str, list[str]]
    readings: list[Reading] = field(default_factory=list)


def instant(text: str) -> Ms:
    return int(datetime.fromisoformat(text).timestamp() * 1000)


def number(text: str, scale: float) -> float | None:
    return float(text) * scale if text else None


def load_devices(folder: Path) -> Bench:
    locals_: dict[str, LocalTime] = {}
    bench = Bench({}, {})
    with (folder / "devices.csv").open(encoding="utf-8") as file:
        for row in csv.DictReader(file):
            scale = SCALES.get(row["unit"], 1.0)
            local = locals_.setdefault(row["tz"], LocalTime(zone(row["tz"])))
            bench.meters[row["device_id"]] = Meter(
                row["class"], row["role"], local, int(float(row["interval_s"])),
                float(row["resolution"] or 0) * scale,
                number(row["range_min"], scale), number(row["range_max"], scale),
            )  # fmt: skip
            bench.zones.setdefault(row["zone"], []).append(row["device_id"])
    return bench


def load(folder: Path) -> Bench:
    """Devices and readings, by time."""
    bench = load_devices(folder)
    with gzip.open(folder / "telemetry.csv.gz", "rt", encoding="utf-8") as file:
        rows = csv.reader(file)
        next(rows)
        bench.readings = [
            (instant(at), device, float(value) * SCALES.get(unit, 1.0))
            for device, _, _, unit, at, value in rows
        ]
    bench.readings.sort(key=lambda r: r[0])
    return bench


class Run:
    """All detectors of a bench, fed by time."""

    def __init__(self, bench: Bench, wanted: Iterable[str] = (), unwanted: Iterable[str] = ()) -> None:
        self.alarms: list[Alarm] = []
        self.open: dict[tuple[str | None, str], Alarm] = {}
        self.zone_of = {m: z for z, members in bench.zones.items() for m in members}
        self.seconds: dict[str, float] = {}
        want, avoid = set(wanted), set(unwanted)

        def chosen(name: str) -> bool:
            return name not in avoid and (not want or name in want)

        self.points: dict[str, list[tuple[str, Detector]]] = {
            d: [(n, x) for n, x in detectors(m).items() if chosen(n)] for d, m in bench.meters.items()
        }
        self.zones: list[tuple[str, str, ZoneDetector]] = []
        self.of: dict[str, list[tuple[int, str, str, ZoneDetector]]] = {}
        for name, members in bench.zones.items():
            for rule, detector in zone_detectors([bench.meters[m] for m in members]).items():
                if chosen(rule):
                    self.zones.append((name, rule, detector))
                    for i, m in enumerate(members):
                        self.of.setdefault(m, []).append((i, name, rule, detector))

    def feed(self, readings: Iterable[Reading]) -> list[Alarm]:
        due = 0
        for at, device, value in readings:
            if at >= due:
                self._tick(at)
                due = at + TICK
            for rule, detector in self.points[device]:
                detector.tick(at)
                detector.read(at, value)
                self._judge(at, device, rule, detector)
            for member, name, rule, zoned in self.of.get(device, ()):
                zoned.tick(at)
                zoned.read(member, at, value)
                self._judge(at, name, rule, zoned)
        return self.alarms

    def _tick(self, at: Ms) -> None:
        for name, rule, zoned in self.zones:
            zoned.tick(at)
            self._judge(at, name, rule, zoned)
        for device, listed in self.points.items():
            for rule, detector in listed:
                detector.tick(at)
                self._judge(at, device, rule, detector)

    def _judge(self, at: Ms, place: str, rule: str, detector: Detector | ZoneDetector) -> None:
        if detector.active:
            if (place, rule) in self.open and self.open[place, rule].kind != detector.cause:
                self.open.pop((place, rule)).cleared = at  # a leak has become a burst
            if (place, rule) not in self.open and not self._covered(place, rule):
                alarm = Alarm(place, detector.cause, rule, at)
                self.open[place, rule] = alarm
                self.alarms.append(alarm)
        elif (place, rule) in self.open:
            self.open.pop((place, rule)).cleared = at

    def _covered(self, place: str, rule: str) -> bool:
        return False


def iso(at: Ms | None) -> str:
    return "" if at is None else to_datetime(at).strftime("%Y-%m-%dT%H:%M:%SZ")


def write(alarms: Iterable[Alarm], path: Path) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        out = csv.writer(file)
        out.writerow(["device_id", "kind", "raised_at", "cleared_at", "rule"])
        for a in alarms:
            out.writerow([a.device, a.kind, iso(a.raised), iso(a.cleared), a.rule])


def rules_of(run: Run) -> Iterator[str]:
    yield from {n for listed in run.points.values() for n, _ in listed} | {n for _, n, _ in run.zones}


def main() -> None:
    ask = argparse.ArgumentParser()
    ask.add_argument("--bench", type=Path, default=os.environ.get("DUTYROOM_ALARM_SAMPLES"))
    ask.add_argument("--out", type=Path, default=Path("alarms.csv"))
    ask.add_argument("--only", nargs="*", default=())
    ask.add_argument("--without", nargs="*", default=())
    ask.add_argument("--brief", action="store_true")
    given = ask.parse_args()
    bench = load(Path(given.bench))
    run = Run(bench, given.only, given.without)
    start = time.perf_counter()
    alarms = run.feed(bench.readings)
    took = time.perf_counter() - start
    print(
        f"{len(alarms)} alarms of {len(bench.readings)} readings in {took:.2f} s; rules: {sorted(rules_of(run))}"
    )
    write(alarms, given.out)
    scorer = os.environ.get("DUTYROOM_ALARM_SCORER")
    if scorer:
        detail = given.out.with_name(given.out.stem + "_events.csv")
        words = [
            *shlex.split(scorer),
            "--bench",
            str(given.bench),
            "--alarms",
            str(given.out),
            "--detail",
            str(detail),
        ]
        subprocess.run([*words, *(["--brief"] if given.brief else [])], check=True)


if __name__ == "__main__":
    main()
