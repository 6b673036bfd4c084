"""A rule's own tests: readings of one made-up device in, when it raised and cleared out.

tests:
  - title: a burst of half a minute
    readings: [[0s, 0.1], [10s, 5], [60s, 5]]
    raised: 40s
    cleared: never

A rule of kind sequence or expect has them by point, those of other devices by their class, and says when the
condition that it follows stood:

tests:
  - title: the load stays where it was
    readings: {running: [[0s, 0], [12s, 1]], transfer_switch.source: [[0s, 1], [100s, 1]]}
    after: [[3s, 5min]]
    raised: 72s
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import pairwise

from dutyroom.errors import Rejected
from dutyroom.fields import Fields, nearest
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
from dutyroom.timebase import DAY, MINUTE, SECOND, Ms, duration

NEVER: Ms = -1
START: Ms = 1_709_510_400_000  # 2024-03-04T00:00Z, a Monday
STEP = Decimal("0.001")  # of a register
_REGISTERS = (
    "balance",
    "continuous_flow",
    "decrease",
    "home_stuck",
    "home_water",
    "night_flow",
    "power_still",
    "rate",
    "register_fault",
    "stuck",
)
_CODES = ("expect", "repeated", "sequence", "state")
_LEVELS = ("level", "flow", "running")  # points that are no registers, whatever the rule looks at
_CAUSE = "other.condition"
_ALONE = (  # look at several devices, at plans, or at events
    "building_still",
    "meanwhile",
    "network_water",
    "quiet_hours",
    "since_service",
    "unplanned_run",
    "zone_silence",
)
_LOOKS = 2_000  # of the clock between two readings, at most
_ALL_LOOKS = 20_000  # in a test
_MOST = 100_000  # readings of one test
_LONGEST = 400 * DAY


@dataclass(frozen=True, slots=True)
class Trial:
    """One test. Times count from its first moment; NEVER = it must not happen; None = not said."""

    title: str
    readings: Mapping[str, tuple[tuple[Ms, float], ...]]  # by point: "" = the rule's, else [class.]point
    after: tuple[tuple[Ms, Ms], ...]  # when the condition that it follows stood
    raised: Ms
    cleared: Ms | None
    interval: Ms
    until: Ms
    parameters: Mapping[str, Scalar]


def read_trial(fields: Fields) -> Trial | None:
    """A test as people write it; None where it has a mistake, which is noted."""
    before = len(fields.mistakes)
    after = _spans(fields)
    raised = _moment(fields, "raised")
    cleared = _moment(fields, "cleared") if fields.has("cleared") else None
    readings = _readings(fields, max(fields.duration("until", 0), raised, cleared or 0))
    last = max([at for of in readings.values() for at, _ in of] + [raised, cleared or 0])
    given = fields.raw("parameters")
    if given is not None and not isinstance(given, dict):
        fields.wrong("parameters", "must be a mapping: parameter: value")
    trial = Trial(
        fields.text("title", ""),
        readings,
        after,
        raised,
        cleared,
        fields.duration("interval", 0),
        fields.duration("until", last + MINUTE),
        {str(k): v for k, v in given.items()} if isinstance(given, dict) else {},
    )
    fields.finish()
    if trial.until > _LONGEST:
        fields.wrong("until", "a test may last 400 days at most")
    return trial if len(fields.mistakes) == before else None


def _moment(fields: Fields, name: str) -> Ms:
    value = fields.raw(name)
    if value == "never":
        return NEVER
    if not isinstance(value, str | int | float) or isinstance(value, bool):
        fields.wrong(name, "must be never or a time from the start, for example 40s")
        return NEVER
    return _time(fields, name, value)


def _time(fields: Fields, name: str, value: str | int | float) -> Ms:
    try:
        return duration(value)
    except Rejected as err:
        fields.wrong(name, err.reason)
        return 0


def _readings(fields: Fields, until: Ms) -> dict[str, tuple[tuple[Ms, float], ...]]:
    rows = fields.raw("readings")
    if isinstance(rows, dict) and rows:
        return {str(name): _listed(fields, of, until) for name, of in rows.items()}
    return {"": _listed(fields, rows, until)}


def _listed(fields: Fields, rows: object, until: Ms) -> tuple[tuple[Ms, float], ...]:
    if not isinstance(rows, list) or not rows or len(rows) > _MOST:
        fields.wrong("readings", "must be a list of [time, value], for example [[0s, 0.1], [10s, 5]]")
        return ()
    found: list[tuple[Ms, float]] = []
    again: list[tuple[int, Ms, object]] = []
    for row in rows:
        pair = isinstance(row, list) and len(row) in (2, 4)
        if not pair or not all(isinstance(t, str | int | float) for t in row) or isinstance(row[1], str):
            fields.wrong("readings", f"{row!r} is not [time, value] or [time, value, every, rise]")
            return ()
        found.append((_time(fields, "readings", row[0]), float(row[1])))
        if len(row) == 4:
            again.append((len(found) - 1, _time(fields, "readings", row[2]), row[3]))
    if any(b[0] <= a[0] for a, b in pairwise(found)):
        fields.wrong("readings", "their times must rise")
        return ()
    return _repeated(fields, found, again, until)


def _repeated(
    fields: Fields, rows: list[tuple[Ms, float]], again: list[tuple[int, Ms, object]], until: Ms
) -> tuple[tuple[Ms, float], ...]:
    """Rows that say `every` and `rise` go on so until the next one, or until the end of the test."""
    found = list(rows)
    for index, every, rise in again:
        begin, value = rows[index]
        end = rows[index + 1][0] if index + 1 < len(rows) else until
        if every <= 0 or not isinstance(rise, int | float) or (end - begin) // every > _MOST:
            fields.wrong(
                "readings", f"every {every / SECOND:g} s: a time above 0, a rise in numbers, and not too many"
            )
            return ()
        found += [(begin + n * every, value + n * rise) for n in range(1, -(-(end - begin) // every))]
    return tuple(sorted(found))


def _spans(fields: Fields) -> tuple[tuple[Ms, Ms], ...]:
    rows = fields.raw("after")
    if rows is None:
        return ()
    found: list[tuple[Ms, Ms]] = []
    for row in rows if isinstance(rows, list) else [rows]:
        if not isinstance(row, list) or len(row) != 2 or not all(isinstance(t, str | int) for t in row):
            fields.wrong("after", "must be a list of [from, to], for example [[3s, 5min]]")
            return ()
        found.append((_time(fields, "after", row[0]), _time(fields, "after", row[1])))
    return tuple(found)


def failures(rule: Rule, trial: Trial) -> list[tuple[str, str]]:
    """(field, what was otherwise than the test says); [] = it holds. Raises Rejected where the rule cannot
    stand on a device alone."""
    if rule.kind in _ALONE:
        raise Rejected(f"a rule of kind {rule.kind} looks at several devices; it has no tests")
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
    devices: dict[str, Device] = {}
    points: dict[str, Point] = {}
    for name in (*trial.readings, *([_CAUSE] if trial.after else ())):
        other, _, named = name.rpartition(".")
        device_class = _class(other or own)
        mine = {**where, **trial.parameters} if (id := other or own) == own else {}
        interval = trial.interval // SECOND or None
        devices[id] = Device(
            "trial", id, id, device_class, "trial/trial", id, "", mine, interval_s=interval
        )  # fmt: skip
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
