"""What can go wrong on the estate: names, whom it hits, how long it lasts, and what must follow.

An injection is recorded before it has any effect, so registers stay a pure function of seed,
device, time and the recorded injections. Its ground truth says which alarms and how many tickets a
duty room must get, or which finding its data page must show, and nothing else.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

MINUTE, HOUR = 60_000, 3_600_000


@dataclass(frozen=True, slots=True)
class Scenario:
    """One scenario. device: whom it hits unless told otherwise; last: ms until all is normal again.

    alarms: (rule id, device, "" = the one hit). follows_ms: what it causes is over by then after its end.
    """

    name: str
    device: str
    last: int
    alarms: tuple[tuple[str, str], ...] = ()
    tickets: int = 0
    findings: tuple[str, ...] = ()
    settle: int = 10 * MINUTE


def _one(name: str, device: str, last: int, rule: str, settle: int = 10 * MINUTE) -> Scenario:
    return Scenario(name, device, last, ((rule, ""),), 1, settle=settle)


SCENARIOS: dict[str, Scenario] = {
    s.name: s
    for s in (
        _one("burst_pipe", "A-riser", 8 * MINUTE, "water.burst"),
        _one("slow_leak", "A-0102-water", 30 * HOUR, "water.leak", settle=3 * HOUR),
        _one("feeder_cut", "B-feeder", 6 * MINUTE, "power.mains_lost"),
        Scenario(
            "generator_start_failure",
            "C-feeder",
            6 * MINUTE,
            (("power.mains_lost", ""), ("generator.start_failure", "generator")),
            2,
        ),
        _one("entrapment", "B-lift-3", 12 * MINUTE, "elevator.entrapment"),
        _one("elevator_fault", "A-lift-2", 5 * MINUTE, "elevator.fault"),
        _one("fire_alarm", "fire-panel", 4 * MINUTE, "fire.alarm"),
        _one("tank_overflow", "tank-domestic", 14 * MINUTE, "tank.overflow"),
        _one("tank_dry", "tank-domestic", 22 * MINUTE, "tank.dry"),
        _one("gate_forced", "gate-west", 2 * MINUTE, "gate.forced"),
        _one("gate_held_open", "gate-east", 6 * MINUTE, "gate.held_open"),
        _one("meter_stuck", "A-0103-power", 9 * HOUR, "electricity.stuck", settle=2 * HOUR),
        _one("meter_exchanged", "A-0104-water", 0, "meter.decrease", settle=2 * HOUR),
        Scenario("register_rollover", "A-0105-water", 20 * MINUTE, settle=HOUR),
        _one("gateway_offline", "D-dtu-1", 5 * MINUTE, "gateway.offline", settle=30 * MINUTE),
        Scenario("clock_wrong", "A-0106-water", HOUR, findings=("clock_wrong",)),
        Scenario("duplicates", "A-0101-water", 3 * MINUTE, findings=("duplicate",)),
        Scenario("late_batch", "A-dtu-1", 0, findings=("late",)),
        Scenario("malformed", "", 0, findings=("malformed",)),
        Scenario("generator_test", "generator", 35 * MINUTE),
    )
}
NAMES: tuple[str, ...] = tuple(SCENARIOS)

# What happens by itself in a demo: seconds after the start, and the scenario. Then every 25 minutes.
BY_ITSELF: tuple[tuple[int, str], ...] = (
    (10, "burst_pipe"),
    (40, "elevator_fault"),
    (240, "gate_held_open"),
    (600, "malformed"),
    (900, "feeder_cut"),
)
LATER: tuple[str, ...] = (
    "gate_forced",
    "tank_overflow",
    "gateway_offline",
    "entrapment",
    "fire_alarm",
    "duplicates",
)


@dataclass(frozen=True, slots=True)
class Injection:
    """One scenario that was started. at, until: ms of the estate's clock."""

    scenario: str
    device: str
    at: int
    until: int
    options: Mapping[str, str] = field(default_factory=dict)

    def active(self, moment: int) -> bool:
        return self.at <= moment < self.until

    def truth(self) -> dict[str, object]:
        """What a duty room must make of it."""
        s = SCENARIOS[self.scenario]
        return {
            "scenario": s.name,
            "device": self.device,
            "from": self.at,
            "to": self.until,
            "settled": self.until + s.settle,
            "expect": {
                "alarms": [{"rule": rule, "device": device or self.device} for rule, device in s.alarms],
                "tickets": s.tickets,
                "findings": list(s.findings),
            },
        }


def make_injection(name: str, at: int, options: Mapping[str, str]) -> Injection:
    """options: device, minutes, and what a scenario knows. Raises ValueError with a sentence."""
    scenario = SCENARIOS.get(name)
    if scenario is None:
        raise ValueError(f"there is no scenario {name!r}; there is {', '.join(NAMES)}")
    try:
        last = round(float(options["minutes"]) * MINUTE) if "minutes" in options else scenario.last
    except ValueError as err:
        raise ValueError(f"minutes: {options['minutes']!r} is not a number") from err
    return Injection(name, options.get("device") or scenario.device, at, at + last, dict(options))


class Record:
    """The injections of an estate, kept in a folder (None = memory only)."""

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = folder
        self.injections: list[Injection] = []
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True)
            file = folder / "injections.jsonl"
            if file.exists():
                lines = file.read_text(encoding="utf-8").splitlines()
                self.injections = [Injection(**json.loads(line)) for line in lines if line.strip()]

    def add(self, injection: Injection) -> None:
        if self._folder is not None:
            _append(self._folder / "injections.jsonl", asdict(injection))
            _append(self._folder / "ground-truth.jsonl", injection.truth())
        self.injections.append(injection)

    def of(self, device: str) -> list[Injection]:
        return [i for i in self.injections if i.device == device]

    def active(self, scenario: str, moment: int) -> list[Injection]:
        return [i for i in self.injections if i.scenario == scenario and i.active(moment)]


def _append(file: Path, row: Mapping[str, object]) -> None:
    with file.open("a", encoding="utf-8") as out:
        out.write(json.dumps(row, ensure_ascii=False) + "\n")
