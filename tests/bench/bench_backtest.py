"""A quarter of a year through the rules: 90 days x 1,000 points at 15 min, from a file.

    python tests/bench/bench_backtest.py [--days 90] [--devices 1000] [--rules limit|learned|all] [--store]

The telemetry is made up: homes with a water or an electricity meter each, in buildings of 40, some readings lost.
--store: readings are brought into an embedded store first and come from there. Goals: at most 30 s with limit
rules, at most 3 min with those that learn.
"""

from __future__ import annotations

import argparse
import resource
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from dutyroom.settings import Settings
from dutyroom.timebase import DAY, MINUTE, Ms
from dutyroom.wiring.backtest import Wanted, run_backtest

START: Ms = 1_772_294_400_000  # 2026-02-28T16:00Z, midnight in Shanghai
STEP: Ms = 15 * MINUTE
HOMES = 40  # of a building
LIMIT = ("limit", "stale", "decrease", "state", "rate")


def devices(count: int) -> list[str]:
    """Half water, half electricity."""
    rows = ["device_id,class,point,unit,zone,role,tz,interval_s,resolution"]
    for n in range(count):
        what = "water_meter,volume_total,L" if n % 2 else "electricity_meter,energy_total,kWh"
        rows.append(f"m{n:05d},{what},b{n // HOMES:03d},unit,Asia/Shanghai,900,{1 if n % 2 else 0.01}")
    return rows


def registers(count: int, days: int, seed: int) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    """By reading and device: what stands on the meter; 0.3 % of the readings are lost (NaN)."""
    dice = np.random.default_rng(seed)
    times = days * DAY // STEP
    hour = np.arange(times) % 96 / 4
    day = np.exp(-(((hour - 7.5) / 1.5) ** 2)) + np.exp(-(((hour - 20) / 2.5) ** 2)) + 0.02
    size = dice.gamma(4, 1.0, count) / 4
    water = dice.random((times, count)) < 0.25 * day[:, None]
    used = np.where(
        np.arange(count) % 2,
        water * dice.gamma(2, 6, (times, count)),
        0.03 + 0.25 * day[:, None] * dice.gamma(2, 0.5, (times, count)),
    )
    made = np.cumsum(used * size, axis=0) + dice.random(count) * 1000
    made[dice.random((times, count)) < 0.003] = np.nan
    return made


def write(folder: Path, count: int, days: int, seed: int) -> int:
    """devices.csv and telemetry.csv, row by row in the order of time; the number of rows."""
    listed = devices(count)
    (folder / "devices.csv").write_text("\n".join(listed) + "\n", encoding="utf-8")
    stem = [",".join([*row.split(",")[:1], *row.split(",")[2:4]]) for row in listed[1:]]
    made, rows = registers(count, days, seed), 0
    second = np.arange(count) % 600  # each at its own second
    order = np.argsort(second, kind="stable").tolist()
    with (folder / "telemetry.csv").open("w", encoding="utf-8") as file:
        file.write("device_id,point,unit,time_utc_iso,value\n")
        for n, values in enumerate(made.tolist()):
            at = np.datetime_as_string((START + n * STEP + second * 1000).astype("datetime64[ms]"), unit="s")
            lines = [
                f"{stem[d]},{at[d]}Z,{values[d]:.{0 if d % 2 else 2}f}\n"
                for d in order
                if values[d] == values[d]
            ]
            rows += len(lines)
            file.writelines(lines)
    return rows


def rules_file(folder: Path, wanted: str) -> Path:
    """A site's rules.yaml that leaves only some of the shipped rules on."""
    from dutyroom.rules.parse import default_rules

    off = [r.id for r in default_rules() if wanted == "limit" and r.kind not in LIMIT]
    own = """
  - {id: bench.burst, kind: rate, name: {zh-CN: 多, en: Much}, select: {classes: [water_meter]}, point: volume, parameters: {above: 5}}
"""
    text = "rules:\n" + "".join(f"  - {{id: {name}, enabled: false}}\n" for name in off)
    file = folder / "rules.yaml"
    file.write_text(text + own if wanted == "limit" else (text if off else ""), encoding="utf-8")
    return file


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--days", type=int, default=90)
    parser.add_argument("--devices", type=int, default=1000)
    parser.add_argument("--rules", choices=("limit", "all"), default="all")
    parser.add_argument("--keep", type=Path, help="where the files go, and are found again")
    parser.add_argument("--profile", action="store_true")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = given.keep or Path(scratch)
        folder.mkdir(parents=True, exist_ok=True)
        began = time.perf_counter()
        if not (folder / "telemetry.csv").exists():
            rows = write(folder, given.devices, given.days, 1)
            print(f"made {rows:,} rows in {time.perf_counter() - began:.1f} s", flush=True)
        wanted = Wanted(
            folder / "out",
            telemetry=folder / "telemetry.csv",
            devices=folder / "devices.csv",
            rules=rules_file(folder, given.rules),
        )
        run(wanted, folder, given.profile)


def run(wanted: Wanted, folder: Path, profile: bool) -> None:
    began, cpu = time.perf_counter(), time.process_time()
    if profile:
        import cProfile
        import pstats

        with cProfile.Profile() as found:
            done = run_backtest(Settings(data=folder / "data"), wanted, lambda _: None)
        pstats.Stats(found).sort_stats("tottime").print_stats(35)
    else:
        done = run_backtest(Settings(data=folder / "data"), wanted, lambda _: None)
    took, busy = time.perf_counter() - began, time.process_time() - cpu
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(
        f"{done.readings:,} readings, {done.load.alarms} alarms: {took:.1f} s, {busy:.1f} s of processor time "
        f"({done.readings / busy:,.0f} readings/s), {most:.0f} MB"
    )


if __name__ == "__main__":
    sys.exit(main())
