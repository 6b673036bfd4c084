"""`dutyroom backtest`: files of the past in, alarms.csv and a summary out."""

from __future__ import annotations

import csv
import gzip
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import IO

from dutyroom.errors import Invalid, Mistake, Rejected
from dutyroom.flows.backtest import Past, Raised, backtest
from dutyroom.flows.past_files import Columns, Listed, batches_of, columns_of, listed
from dutyroom.rules.parse import default_rules, parse_rules
from dutyroom.rules.spec import Rule
from dutyroom.timebase import MINUTE, Ms

_CHUNK = 50_000  # rows
_SLOT: Ms = 5 * MINUTE
_WANTED = ("device_id", "point", "unit", "time_utc_iso", "value")

# What an alarm is called in alarms.csv, where that is not the last word of its rule.
KINDS = {
    "water.burst": "burst",
    "water.unit_burst": "burst",
    "electricity.stuck": "power_cut",
    "meter.decrease": "meter_rollback",
    "power.mains_lost": "power_cut",
    "tank.overflow": "tank_overflow",
    "tank.dry": "tank_dry",
}


def kind_of(one: Raised) -> str:
    """What a detector says it is, or what its rule stands for."""
    cause = one.arguments.get("cause")
    if isinstance(cause, str) and cause:
        return cause
    last = one.rule.rpartition(".")[2]
    return KINDS.get(one.rule, "offline" if last in ("silent", "offline") else last)


def run_files(
    telemetry: Path, devices: Path, rules: Path | None, out: Path, say: Callable[[str], None]
) -> list[Raised]:
    """Runs a file of telemetry; writes OUT/alarms.csv. rules: None = the shipped ones. Raises Invalid, Rejected."""
    return run_with(telemetry, devices, _rules(rules), out, say)


def _rules(file: Path | None) -> Sequence[Rule]:
    if file is None:
        return default_rules()
    try:
        return parse_rules(file.read_text(encoding="utf-8"), str(file))
    except OSError as err:
        raise Rejected(f"{file}: {err.strerror}") from err


def run_with(
    telemetry: Path, devices: Path, rules: Sequence[Rule], out: Path, say: Callable[[str], None]
) -> list[Raised]:
    with _opened(devices) as file:
        known = listed(list(csv.DictReader(file)), devices.name)
    past = Past("backtest", rules, known.devices, known.table, known.topology)
    with _opened(telemetry) as file:
        raised = backtest(batches_of(_columns(file, known, telemetry.name), _SLOT), past)
    out.mkdir(parents=True, exist_ok=True)
    _write(out / "alarms.csv", raised, known)
    say(f"{len(raised)} alarms: {out / 'alarms.csv'}")
    return raised


def _opened(path: Path) -> IO[str]:
    try:
        if path.suffix == ".gz":
            return gzip.open(path, "rt", encoding="utf-8", newline="")
        return path.open(encoding="utf-8-sig", newline="")
    except OSError as err:
        raise Rejected(f"{path}: {err.strerror}") from err


def _columns(file: IO[str], known: Listed, name: str) -> Iterator[Columns]:
    rows = csv.reader(file)
    head = next(rows, [])
    missing = [column for column in _WANTED if column not in head]
    if missing:
        raise Invalid([Mistake(name, 1, column, "this column is missing") for column in missing])
    places = [head.index(column) for column in _WANTED]
    came = head.index("received_at") if "received_at" in head else None
    line = 2
    while chunk := list(islice(rows, _CHUNK)):
        short = next((i for i, row in enumerate(chunk) if len(row) != len(head)), None)
        if short is not None:
            raise Invalid([Mistake(name, line + short, "", f"{len(chunk[short])} fields, not {len(head)}")])
        by_column = list(zip(*chunk, strict=True))
        device, point, unit, at, value = (by_column[place] for place in places)
        received = None if came is None else by_column[came]
        yield columns_of(device, point, unit, at, value, received, known, name, line)
        line += len(chunk)


def _write(path: Path, raised: Sequence[Raised], known: Listed) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["device_id", "kind", "raised_at", "cleared_at"])
        for one in raised:
            cleared = "" if one.cleared_at is None else _iso(one.cleared_at)
            writer.writerow(
                [known.zones.get(one.object, one.object), kind_of(one), _iso(one.raised_at), cleared]
            )


def _iso(at: Ms) -> str:
    return datetime.fromtimestamp(at / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
