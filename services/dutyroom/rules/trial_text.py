"""How a rule's own tests are written: readings of one made-up device in, when it raised and cleared out.

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

Of one on a group of devices that have parameters of their own:

tests:
  - title: the well is empty
    parameters: {tank: tank}
    devices: {tank: {height: 2.5}}
    readings: {running: [[0s, 1], [60s, 1]], tank.level: [[0s, 0.1], [60s, 0.1]]}
    raised: 10s
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import pairwise

from dutyroom.errors import Rejected
from dutyroom.fields import Fields, nearest
from dutyroom.model.telemetry import Scalar
from dutyroom.timebase import DAY, MINUTE, SECOND, Ms, duration

NEVER: Ms = -1
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
    devices: Mapping[str, Mapping[str, Scalar]] = field(
        default_factory=dict
    )  # parameters of the others, by name


def read_trial(fields: Fields) -> Trial | None:
    """A test as people write it; None where it has a mistake, which is noted."""
    before = len(fields.mistakes)
    after = _spans(fields)
    raised = _moment(fields, "raised")
    cleared = _moment(fields, "cleared") if fields.has("cleared") else None
    readings = _readings(fields, max(fields.duration("until", 0), raised, cleared or 0))
    last = max([at for of in readings.values() for at, _ in of] + [raised, cleared or 0])
    trial = Trial(
        fields.text("title", ""),
        readings,
        after,
        raised,
        cleared,
        fields.duration("interval", 0),
        fields.duration("until", last + MINUTE),
        _parameters(fields, "parameters", fields.raw("parameters")),
        _others(fields, readings),
    )
    fields.finish()
    if trial.until > _LONGEST:
        fields.wrong("until", "a test may last 400 days at most")
    return trial if len(fields.mistakes) == before else None


def _parameters(fields: Fields, name: str, given: object) -> dict[str, Scalar]:
    if given is not None and not isinstance(given, dict):
        fields.wrong(name, "must be a mapping: parameter: value")
    return {str(k): v for k, v in given.items()} if isinstance(given, dict) else {}


def _others(fields: Fields, named: Mapping[str, object]) -> dict[str, dict[str, Scalar]]:
    """The parameters of the devices beside ours. named: by [class.]point, what there are readings of."""
    rows = fields.raw("devices")
    if rows is not None and not isinstance(rows, dict):
        fields.wrong("devices", "must be a mapping: device: {parameter: value}")
    known = {name.rpartition(".")[0] for name in named} - {""}
    found: dict[str, dict[str, Scalar]] = {}
    for name, given in rows.items() if isinstance(rows, dict) else ():
        if str(name) not in known:
            fields.wrong("devices", f"the test has no readings of {str(name)!r}{nearest(str(name), known)}")
        found[str(name)] = _parameters(fields, "devices", given)
    return found


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
