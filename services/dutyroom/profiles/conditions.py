"""Tests of a message that choose a profile, a layout or a point."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TypeAlias

from dutyroom.errors import Rejected
from dutyroom.profiles.paths import MISSING, NUMBERS, Captures, Elements, Key, Path, as_text, getter, walker
from dutyroom.profiles.profile import Condition
from dutyroom.profiles.templates import template

Test: TypeAlias = Callable[[Captures, object, object], bool]  # (captures, item, document)

TESTS = ("in", "not", "match", "exists", "above", "below", "type")
TYPES = ("number", "text", "boolean", "object", "array", "null")


def all_of(conditions: Sequence[Condition]) -> Test | None:
    """One test for all conditions; None when there are none."""
    tests = tuple(_test(c) for c in conditions)
    if not tests:
        return None
    if len(tests) == 1:
        return tests[0]

    def every(captures: Captures, item: object, document: object) -> bool:
        for test in tests:  # noqa: SIM110 - a generator would cost as much as two tests
            if not test(captures, item, document):
                return False
        return True

    return every


def _test(condition: Condition) -> Test:
    check = _check(condition)
    if condition.path is None:
        render = template(condition.capture)

        def of_capture(captures: Captures, item: object, document: object) -> bool:
            text = render(captures, item, document)
            return check(MISSING if text is None else text)

        return of_capture
    if not condition.path.single and condition.test != "exists":
        return _of_several(condition.path, condition)
    get = getter([condition.path])
    if condition.test == "exists":  # the most usual, and without a call more
        if condition.values[0] == "true":
            return lambda captures, item, document: get(item, document) is not MISSING
        return lambda captures, item, document: get(item, document) is MISSING
    return lambda captures, item, document: check(get(item, document))


def _of_several(path: Path, condition: Condition) -> Test:
    """A test of all that a wildcard finds: one that passes is enough, of `not` none may be one of those values."""
    none = condition.test == "not"
    check = _check(replace(condition, test="in") if none else condition)
    passes = _some(path, check)
    return lambda captures, item, document: passes(item, document) is not none


def _some(path: Path, check: Callable[[object], bool]) -> Callable[[object, object], bool]:
    """Whether a value that the path finds passes. Of the elements of one array without an iterator: a test that
    chooses a layout is asked of every message."""
    steps, whole = path.steps, path.whole
    at = next((n for n, step in enumerate(steps) if step == Elements()), len(steps))
    before = tuple(s.name for s in steps[:at] if isinstance(s, Key))
    after = tuple(s.name for s in steps[at + 1 :] if isinstance(s, Key))
    if len(before) + 1 + len(after) != len(steps):
        return _some_found(path, check)

    def passes(item: object, document: object) -> bool:
        value: object = document if whole else item
        for key in before:
            value = value.get(key) if type(value) is dict else None
        for child in value if type(value) is list else ():
            for key in after:
                child = child.get(key, MISSING) if type(child) is dict else MISSING
            if child is not MISSING and check(child):
                return True
        return False

    return passes


def _some_found(path: Path, check: Callable[[object], bool]) -> Callable[[object, object], bool]:
    walk = walker(path)

    def passes(item: object, document: object) -> bool:
        try:
            return any(check(value) for _, value in walk(item, document))
        except Rejected:  # too many of them: what reads the message says so
            return False

    return passes


def _check(condition: Condition) -> Callable[[object], bool]:
    values = condition.values
    texts = frozenset(v for v in values if isinstance(v, str))
    match condition.test:
        case "in":
            return lambda value: (value if type(value) is str else as_text(value)) in texts
        case "not":
            return lambda value: as_text(value) not in texts
        case "exists":
            wanted = values[0] == "true"
            return lambda value: (value is not MISSING) is wanted
        case "match":
            patterns = tuple(re.compile(fnmatch.translate(str(v))) for v in values)
            return lambda value: _any_match(as_text(value), patterns)
        case "type":
            return lambda value: type_name(value) in texts
    limit, above = float(values[0]), condition.test == "above"
    return lambda value: _compare(value, limit, above)


def _any_match(text: str | None, patterns: tuple[re.Pattern[str], ...]) -> bool:
    return text is not None and any(p.match(text) for p in patterns)


def _compare(value: object, limit: float, above: bool) -> bool:
    if isinstance(value, bool) or not isinstance(value, NUMBERS):
        return False
    return value > limit if above else value < limit


def type_name(value: object) -> str:
    """The JSON type of a value, "missing" for what is not there."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, NUMBERS):
        return "number"
    if isinstance(value, str):
        return "text"
    return "object" if isinstance(value, dict) else "array" if isinstance(value, list) else "missing"
