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
TANK_BACK = 5 * MINUTE  # in which a tank's level comes back to its cycle


@dataclass(frozen=True, slots=True)
class Scenario:
    """One scenario. device: whom it hits unless told otherwise, one of `kinds` (() = nobody may choose).

    last: ms until all is normal again, at least `least` for its ground truth to hold; 0 = a moment.
    flow: m3/h from and to which it may be told to draw. alarms: (rule id, device, "" = the one hit).
    settle: ms after its end by which all that it causes is over.
    """

    name: str
    device: str
    last: int
    kinds: tuple[str, ...] = ()
    alarms: tuple[tuple[str, str], ...] = ()
    tickets: int = 0
    findings: tuple[str, ...] = ()
    settle: int = 10 * MINUTE
    least: int = MINUTE
    flow: tuple[float, float] | None = None

    @property
    def options(self) -> tuple[str, ...]:
        """What may be told otherwise."""
        given = (("device", bool(self.kinds)), ("minutes", self.last > 0), ("flow", self.flow is not None))
        return tuple(name for name, has in given if has)


def _one(
    name: str,
    device: str,
    kinds: str,
    last: int,
    rule: str,
    settle: int = 10 * MINUTE,
    least: int = MINUTE,
    flow: tuple[float, float] | None = None,
) -> Scenario:
    """One alarm on the device hit, one ticket."""
    return Scenario(
        name, device, last, tuple(kinds.split()), ((rule, ""),), 1, settle=settle, least=least, flow=flow
    )


SCENARIOS: dict[str, Scenario] = {
    s.name: s
    for s in (
        _one(
            "burst_pipe", "A-riser", "riser", 8 * MINUTE, "water.burst", least=2 * MINUTE, flow=(10.0, 100.0)
        ),
        _one(
            "slow_leak",
            "A-0102-water",
            "unit_water",
            30 * HOUR,
            "water.leak",
            settle=3 * HOUR,
            least=26 * HOUR,
            flow=(0.004, 1.0),
        ),
        _one("feeder_cut", "B-feeder", "feeder mains", 6 * MINUTE, "power.mains_lost"),
        Scenario(
            "generator_start_failure",
            "C-feeder",
            6 * MINUTE,
            ("feeder", "mains"),
            (("power.mains_lost", ""), ("generator.start_failure", "generator")),
            2,
        ),
        Scenario(
            "transfer_failure",
            "mains",
            6 * MINUTE,
            ("mains",),
            (("power.mains_lost", ""), ("power.transfer_late", "generator")),
            2,
            least=3 * MINUTE,
        ),
        _one("entrapment", "B-lift-3", "lift", 12 * MINUTE, "elevator.entrapment"),
        _one("elevator_fault", "A-lift-2", "lift", 5 * MINUTE, "elevator.fault"),
        _one("fire_alarm", "fire-panel", "fire_panel", 4 * MINUTE, "fire.alarm"),
        _one("tank_overflow", "tank-domestic", "tank", 14 * MINUTE, "tank.overflow", least=11 * MINUTE),
        _one("tank_dry", "tank-domestic", "tank", 22 * MINUTE, "tank.dry", least=19 * MINUTE),
        _one("gate_forced", "gate-west", "gate", 2 * MINUTE, "gate.forced"),
        _one("gate_held_open", "gate-east", "gate", 6 * MINUTE, "gate.held_open", least=3 * MINUTE),
        _one(
            "meter_stuck",
            "A-0103-power",
            "unit_power",
            9 * HOUR,
            "electricity.stuck",
            settle=2 * HOUR,
            least=7 * HOUR,
        ),
        _one(
            "meter_exchanged",
            "A-0104-water",
            "unit_water unit_power unit_gas",
            0,
            "meter.decrease",
            settle=2 * HOUR,
        ),
        Scenario("register_rollover", "A-0105-water", 20 * MINUTE, settle=HOUR, least=20 * MINUTE),
        _one(
            "gateway_offline",
            "D-dtu-1",
            "dtu lora",
            10 * MINUTE,
            "gateway.offline",
            settle=30 * MINUTE,
            least=7 * MINUTE,
        ),
        Scenario(
            "gateway_backlog",
            "C-dtu-1",
            70 * MINUTE,
            ("dtu",),
            (("gateway.offline", ""),),
            1,
            settle=40 * MINUTE,
            least=50 * MINUTE,
        ),
        Scenario(
            "clock_wrong", "A-0106-water", HOUR, ("unit_water",), findings=("clock_wrong",), least=20 * MINUTE
        ),
        Scenario(
            "duplicates", "A-0101-water", 3 * MINUTE, ("unit_water", "unit_gas"), findings=("duplicate",)
        ),
        Scenario("late_batch", "A-dtu-1", 0, ("dtu",), findings=("late",), settle=HOUR),
        Scenario("malformed", "", 0, findings=("malformed", "out_of_range", "unknown_device"), settle=HOUR),
        Scenario("generator_test", "generator", 35 * MINUTE, least=35 * MINUTE),
        _one("feeder_overload", "D-feeder", "feeder", 6 * MINUTE, "feeder.overload_heavy", least=2 * MINUTE),
        _one(
            "elevator_between_floors",
            "C-lift-1",
            "lift",
            6 * MINUTE,
            "elevator.stopped_outside",
            least=2 * MINUTE,
        ),
        Scenario(
            "generator_left_running",
            "generator",
            80 * MINUTE,
            alarms=(("generator.unplanned_run", ""),),
            tickets=1,
            least=65 * MINUTE,
        ),
    )
}
NAMES: tuple[str, ...] = tuple(SCENARIOS)

# What happens by itself in a demo: seconds after the start, and the scenario. Then every 25 minutes.
# The generator's test run falls due ten minutes after the first start, and is made when the power
# cut, which would interrupt it, is over.
BY_ITSELF: tuple[tuple[int, str], ...] = (
    (10, "burst_pipe"),
    (40, "elevator_fault"),
    (180, "gate_held_open"),
    (330, "feeder_cut"),
    (600, "malformed"),
    (750, "generator_test"),
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

    @property
    def over(self) -> int:
        """When its device shows nothing of it any more."""
        return self.until + (TANK_BACK if self.scenario in ("tank_overflow", "tank_dry") else 0)

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


# Of these one at a time on a device: a tank cannot overflow and run dry, and the one hides the other.
_EITHER: tuple[frozenset[str], ...] = (
    frozenset({"tank_overflow", "tank_dry"}),
    frozenset({"entrapment", "elevator_fault", "elevator_between_floors"}),
    frozenset({"generator_test", "generator_left_running"}),
    frozenset({"feeder_cut", "generator_start_failure", "feeder_overload", "transfer_failure"}),
    frozenset({"gate_forced", "gate_held_open"}),
)


def excludes(name: str, other: Injection) -> bool:
    """Whether `name` cannot be played on the device while `other` is."""
    return name != other.scenario and any({name, other.scenario} <= group for group in _EITHER)


LONGEST = 7 * 24 * HOUR


def make_injection(
    name: str, at: int, options: Mapping[str, str], kinds: Mapping[str, str] | None = None
) -> Injection:
    """options: device, minutes, flow, where the scenario knows them. kinds: device id -> kind, of
    the estate that is to play it; None = any device will do. Raises ValueError with a sentence."""
    scenario = SCENARIOS.get(name)
    if scenario is None:
        raise ValueError(f"there is no scenario {name!r}; there is {', '.join(NAMES)}")
    for option in options:
        if option not in scenario.options:
            known = f"it knows {', '.join(scenario.options)}" if scenario.options else "it knows none"
            raise ValueError(f"{name} has no option {option!r}; {known}")
    device = options.get("device", scenario.device)
    if device and kinds is not None:
        _check_device(scenario, device, kinds)
    last = scenario.last
    if "minutes" in options:
        minutes = _number(options, "minutes", scenario.least / MINUTE, LONGEST / MINUTE)
        last = round(minutes * MINUTE)
    if scenario.flow is not None and "flow" in options:
        _number(options, "flow", *scenario.flow)
    return Injection(name, device, at, at + last, dict(options))


def _check_device(scenario: Scenario, device: str, kinds: Mapping[str, str]) -> None:
    if device not in kinds:
        raise ValueError(f"there is no device {device!r}")
    if scenario.kinds and kinds[device] not in scenario.kinds:
        fitting = [d for d, kind in kinds.items() if kind in scenario.kinds]
        some = ", ".join(fitting[:5]) + (" ..." if len(fitting) > 5 else "")
        raise ValueError(f"{scenario.name} cannot happen to {device!r}; to {some} it can")


def _number(options: Mapping[str, str], name: str, low: float, high: float) -> float:
    try:
        value = float(options[name])
    except ValueError as err:
        raise ValueError(f"{name}: {options[name]!r} is not a number") from err
    if not low <= value <= high:
        raise ValueError(f"{name}: {options[name]} is not between {low:g} and {high:g}")
    return value


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
