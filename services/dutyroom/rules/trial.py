"""A rule's own tests (as `trial_text` reads them), played to the engine: what it said otherwise than they say."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal

from dutyroom.errors import Rejected
from dutyroom.fields import nearest
from dutyroom.model.duty import Condition, Device, Priority
from dutyroom.model.telemetry import (
    Batch,
    DeviceClass,
    Kind,
    Lane,
    Point,
    PointSpec,
    PointTable,
    Readings,
    Scalar,
)
from dutyroom.rules.engine import Engine
from dutyroom.rules.kind import Ground
from dutyroom.rules.spec import Rule, Select, TicketPolicy, anywhere
from dutyroom.rules.trial_text import NEVER, Trial
from dutyroom.timebase import SECOND, Ms

START: Ms = 1_709_510_400_000  # 2024-03-04T00:00Z, a Monday
STEP = Decimal("0.001")  # of a register
_REGISTERS = (
    "balance",
    "building_still",
    "continuous_flow",
    "decrease",
    "home_stuck",
    "home_water",
    "network_water",
    "night_flow",
    "power_still",
    "rate",
    "register_fault",
    "stuck",
)
_CODES = ("expect", "repeated", "sequence", "state")
_LEVELS = ("level", "flow", "running")  # points that are no registers, whatever the rule looks at
_CAUSE = "other.condition"
_APART = ("quiet_hours", "since_service", "unplanned_run")  # look at plans, the calendar, or events
_LOOKS = 2_000  # of the clock between two readings, at most
_ALL_LOOKS = 20_000  # in a test


def failures(rule: Rule, trial: Trial) -> list[tuple[str, str]]:
    """(field, what was otherwise than the test says); [] = it holds. Raises Rejected where the rule looks at
    more than readings."""
    if rule.kind in _APART:
        raise Rejected(
            f"a rule of kind {rule.kind} looks at more than readings (plans, events); it has no tests"
        )
    said = _played(anywhere(rule), trial)
    found = []
    for name, wanted, active in (("raised", trial.raised, True), ("cleared", trial.cleared, False)):
        first = next((at for at, what in said if what is active), NEVER)
        if wanted is not None and not _same(first, wanted):
            found.append((name, f"{trial.title or 'the test'}: {name} {_text(first)}, not {_text(wanted)}"))
    return found


def _same(first: Ms, wanted: Ms) -> bool:
    """To the second; what never happens is no moment."""
    return first == wanted if NEVER in (first, wanted) else abs(first - wanted) < SECOND


def _text(at: Ms) -> str:
    return "never" if at == NEVER else f"after {at / SECOND:g} s"


def _played(rule: Rule, trial: Trial) -> list[tuple[Ms, bool]]:
    """(event time from the start, active) of each thing that the rule says."""
    engine, points = _stage(rule, trial)
    rows = [(at, name, value) for name, of in trial.readings.items() for at, value in of]
    rows += [row for begin, end in trial.after for row in ((begin, _CAUSE, 1.0), (end, _CAUSE, 0.0))]
    said: list[Condition] = []
    engine.started(START)
    now: Ms = 0
    looks = min(_LOOKS, max(1, _ALL_LOOKS // max(len(rows), 1)))
    for at, name, value in sorted(rows, key=lambda row: (row[0], row[1] != _CAUSE)):
        said += _wait(engine, now, at, looks)
        point = points[name]
        steps = float(STEP) if point.spec.kind is Kind.COUNTER else 1.0
        row = (point.id, START + at, round(value / steps) if steps != 1.0 else value, 0, 0)
        said += engine.feed(Batch("trial", Lane.NORMAL, START + at, (), Readings.of([row])))
        now = at
    said += _wait(engine, now, trial.until, looks)
    return [(c.at - START, c.active) for c in said if c.rule == rule.id]


def _wait(engine: Engine, after: Ms, until: Ms, looks: int) -> list[Condition]:
    step = max(SECOND, (until - after) // looks)
    moments = range(after + step, until + 1, step)
    return [condition for moment in moments for condition in engine.tick(START + moment)]


def _stage(rule: Rule, trial: Trial) -> tuple[Engine, dict[str, Point]]:
    """One device of the first class that the rule selects, with the parameters that it asks for, and beside it,
    fed by it, one of each name that the test has: a class, or a class and a number. Points by those names."""
    where = {name: values[0] for name, values in rule.select.where.items() if values}
    own = rule.select.classes[0]
    interval = trial.interval // SECOND or None
    mine = {**where, **trial.devices.get(own, {}), **trial.parameters}
    devices = {own: _device(own, mine, interval)}
    points: dict[str, Point] = {}
    for name in (*trial.readings, *([_CAUSE] if trial.after else ())):
        other, _, named = name.rpartition(".")
        device_class = _class(id := other or own)
        devices.setdefault(id, _device(id, trial.devices.get(id, {}), interval))
        spec = _spec(rule, named or rule.point or "value", interval if name != _CAUSE else None)
        points[name] = Point(len(points) + 1, "trial", id, device_class, "", spec)
    rules = [rule] if not trial.after else [_cause(rule), rule]
    engine = Engine(rules, PointTable(points.values()), devices, ground=_fed(rule, own, list(devices)))
    engine.tick(START)
    if engine.problems:
        raise Rejected(next(iter(engine.problems.values())))
    if not any(name == rule.id for name, _ in engine.running):
        raise Rejected(f"the test gives no readings of a point that the rule {rule.id} looks at")
    return engine, points


def _fed(rule: Rule, own: str, devices: Sequence[str]) -> Ground:
    """Ours feeds the others; what a rule on codes looks at needs no topology."""
    beside = [device for device in devices if device != own and rule.kind not in _CODES]
    return Ground(
        below=lambda utility, device: beside if device == own else (),
        above=lambda device: [own] if device in beside else (),
    )


def _device(name: str, parameters: Mapping[str, Scalar], interval: int | None) -> Device:
    return Device(
        "trial", name, name, _class(name), "trial/trial", name, "", parameters, interval_s=interval
    )  # fmt: skip


def _class(device: str) -> DeviceClass:
    """Of `water_meter` or `water_meter 2`. Raises Rejected."""
    name = device.partition(" ")[0]
    if name not in {c.value for c in DeviceClass}:
        raise Rejected(f"there is no device class {name!r}{nearest(name, [c.value for c in DeviceClass])}")
    return DeviceClass(name)


def _spec(rule: Rule, point: str, interval: int | None) -> PointSpec:
    kind = Kind.COUNTER if rule.kind in _REGISTERS else Kind.STATE if rule.kind in _CODES else Kind.GAUGE
    if point in _LEVELS and kind is Kind.COUNTER:
        kind = Kind.GAUGE
    return PointSpec(point, kind=kind, step=STEP if kind is Kind.COUNTER else None, interval_s=interval)


def _cause(rule: Rule) -> Rule:
    """The rule that ours follows, as the test says when its condition stood."""
    after = str(rule.parameters.get("after", ""))
    point = _CAUSE.rpartition(".")[2]
    select, never = Select(classes=(DeviceClass.OTHER.value,)), TicketPolicy(None)
    return Rule(after, "state", select, Priority.LOW, never, {}, {"equals": (1.0,)}, point)
