"""A cursor program compiled to closures: bytes in, a document out."""

from __future__ import annotations

from datetime import datetime

from dutyroom.errors import Rejected
from dutyroom.profiles.binary.cursor import Cursor, Skipped
from dutyroom.profiles.binary.meaning import meant, named
from dutyroom.profiles.binary.model import (
    BinaryRule,
    Check,
    Group,
    Let,
    Moment,
    Move,
    Outcome,
    Read,
    Repeat,
    Step,
    Switch,
)
from dutyroom.profiles.binary.reads import reading
from dutyroom.profiles.binary.tables import Run, limited, table
from dutyroom.profiles.checksums import CHECKSUMS
from dutyroom.profiles.codecs.seam import Ask, Codec
from dutyroom.profiles.expressions import Expression
from dutyroom.profiles.paths import as_text


def binary_codec(rule: BinaryRule) -> Codec:
    """The program as a codec. It raises Rejected, or Skipped where the profile says `ignore`."""
    run = _all(rule.steps)

    def decode(payload: bytes, ask: Ask) -> object:
        cursor = Cursor(payload, ask)
        run(cursor)
        ask.report.unread = max(0, cursor.end - (cursor.bit + 7 >> 3))
        return _shown(cursor.fields)

    return decode


def _shown(value: object) -> object:
    """Without fields whose name begins with "_": they only help others."""
    if type(value) is dict:
        return {k: _shown(v) if type(v) in (dict, list) else v for k, v in value.items() if k[:1] != "_"}
    if type(value) is list:
        return [_shown(v) for v in value]
    return value


def _all(steps: tuple[Step, ...]) -> Run:
    runs = tuple(_step(step) for step in steps)
    if len(runs) == 1:
        return runs[0]

    def run(cursor: Cursor) -> None:
        for each in runs:
            each(cursor)

    return run


def _step(step: Step) -> Run:
    match step:
        case Read():
            return _when(step.when, reading(step))
        case Let():
            return _when(step.when, _let(step))
        case Moment():
            return _when(step.when, _moment(step))
        case Move():
            return _move(step)
        case Group():
            return _when(step.when, _group(step))
        case Repeat():
            return _repeat(step)
        case Outcome():
            return _when(step.when, _outcome(step))
        case Switch():
            return _switch(step)
        case Check():
            return _check(step)
    return table(step, _all)


def _when(condition: Expression | None, run: Run) -> Run:
    if condition is None:
        return run
    holds = condition.compiled()

    def guarded(cursor: Cursor) -> None:
        if holds(cursor):
            run(cursor)

    return guarded


def _let(step: Let) -> Run:
    value, means, name = step.value.compiled(), meant(step.meaning), named(step.name)

    def run(cursor: Cursor) -> None:
        found = value(cursor)
        cursor.fields[name(cursor)] = means(found) if means is not None else found

    return run


def _moment(step: Moment) -> Run:
    parts, name = tuple(p.compiled() for p in step.parts), named(step.name)

    def run(cursor: Cursor) -> None:
        numbers = [part(cursor) for part in parts]
        cursor.fields[name(cursor)] = _local(numbers)

    return run


def _local(numbers: list[object]) -> str | None:
    """ISO text; None for a date that does not exist (a clock that was never set)."""
    if not all(isinstance(n, int) for n in numbers):
        return None
    try:
        return datetime(*[int(str(n)) for n in numbers]).isoformat()  # type: ignore[arg-type]  # noqa: DTZ001 - local, the profile says which zone
    except (ValueError, OverflowError):
        return None


def _whole(value: object, what: str) -> int:
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if not isinstance(value, int):
        raise Rejected(f"{what}: {value!r} is no whole number")
    return value


def _move(step: Move) -> Run:
    if step.by is None:  # align

        def align(cursor: Cursor) -> None:
            cursor.bit = cursor.bit + 7 & ~7

        return align
    by, kind = step.by.compiled(), step.kind

    def run(cursor: Cursor) -> None:
        count = _whole(by(cursor), kind)
        if kind == "seek":
            target = (count if count >= 0 else cursor.end + count) * 8
        else:
            target = cursor.bit + (count if kind == "bits" else count * 8)
        if not 0 <= target <= cursor.end * 8:
            raise cursor.short(kind, abs(count))
        cursor.bit = target

    return run


def _group(step: Group) -> Run:
    inner = _within(step.length, _all(step.steps))
    if not step.name:
        return inner
    name = named(step.name)

    def run(cursor: Cursor) -> None:
        record: dict[str, object] = {}
        cursor.fields[name(cursor)] = record
        cursor.open(record)
        inner(cursor)
        cursor.close()

    return run


def _within(length: Expression | None, run: Run) -> Run:
    if length is None:
        return run
    size = length.compiled()

    def within(cursor: Cursor) -> None:
        limited(cursor, _whole(size(cursor), "length"), run)

    return within


def _repeat(step: Repeat) -> Run:
    inner, name = _all(step.steps), named(step.name)
    times = step.times.compiled() if step.times is not None else None
    append = step.append

    def run(cursor: Cursor) -> None:
        key = name(cursor)
        found = cursor.fields.get(key)
        records: list[object] = found if append and type(found) is list else []
        cursor.fields[key] = records
        wanted = _whole(times(cursor), f"{key}: times") if times is not None else -1
        while wanted > 0 if times is not None else cursor.bit < cursor.end * 8:
            before = cursor.bit
            record: dict[str, object] = {
                "_index": len(records),
                "_previous": records[-1] if records else None,
            }
            cursor.open(record)
            inner(cursor)
            cursor.close()
            records.append(record)
            wanted -= 1
            if cursor.bit == before and wanted < 0:
                raise Rejected(f"{key}: a record to the end of the message reads nothing")

    return run


def _outcome(step: Outcome) -> Run:
    reason = step.reason
    if step.kind == "ignore":

        def ignore(cursor: Cursor) -> None:
            raise Skipped(reason)

        return ignore

    def reject(cursor: Cursor) -> None:
        raise Rejected(reason)

    return reject


def _switch(step: Switch) -> Run:
    on, text = step.on.compiled(), step.on.text
    cases = {key: _all(steps) for key, steps in step.cases.items()}
    ranges = tuple((low, high, _all(steps)) for low, high, steps in step.ranges)
    other = _all(step.other) if step.other is not None else None

    def run(cursor: Cursor) -> None:
        value = on(cursor)
        chosen = cases.get(as_text(value) or "")
        if chosen is None and isinstance(value, int | float):
            chosen = next((r for low, high, r in ranges if low <= value <= high), None)
        chosen = chosen or other
        if chosen is None:
            raise Rejected(f"unknown {text}: {value!r}")
        chosen(cursor)

    return run


def _check(step: Check) -> Run:
    equals = step.equals.compiled()
    start = step.start.compiled() if step.start is not None else None
    end = step.end.compiled() if step.end is not None else None
    checksum, kind, text = CHECKSUMS.get(step.kind), step.kind, step.equals.text

    def place(cursor: Cursor, value: object, empty: int) -> int:
        at = empty if value is None else _whole(value, kind)
        return at if at >= 0 else cursor.end + at

    def run(cursor: Cursor) -> None:
        wanted = equals(cursor)
        if checksum is None:
            if not wanted:
                raise Rejected(f"{text} does not hold")
            return
        first = place(cursor, start(cursor) if start else None, 0)
        last = place(cursor, end(cursor) if end else None, cursor.bit >> 3)
        if not 0 <= first <= last <= len(cursor.data):
            raise Rejected(f"{kind}: there are no bytes {first} to {last - 1}")
        if first == last:  # the sum of nothing is right whatever the message holds
            raise Rejected(f"{kind}: goes over no bytes at byte {first}")
        cursor.spend(kind, last - first)
        given = checksum(cursor.data[first:last])
        if given != wanted:
            raise Rejected(f"{kind} of bytes {first} to {last - 1} is {given:#x}, the message says {wanted}")

    return run
