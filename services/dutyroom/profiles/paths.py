"""The path language: which value of a document.

    volume.total            keys, dots between
    "em1:0".voltage         a key with other characters, quoted
    tags[0]  tags[-1]       an element
    tags[*]  phases.*       every element, every key's value
    Total[{channel}]        every element; its number is remembered as `channel`
    elevators.{lift}        every key's value; the key is remembered as `lift`
    tags[name==floor]       the elements whose `name` equals
    $.gateway.id            from the whole document, where a path usually starts at the current item

A list of paths means the first that is present. A path is compiled to a closure once.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from typing import Final, TypeAlias

from dutyroom.errors import Rejected


class Missing:
    """The value of what is not there (null is there)."""

    def __repr__(self) -> str:
        return "MISSING"


MISSING: Final = Missing()

Captures: TypeAlias = Mapping[str, str]
Getter: TypeAlias = Callable[[object, object], object]  # (item, document) -> value or MISSING
Walker: TypeAlias = Callable[[object, object], Iterator[tuple[dict[str, str], object]]]

# `isinstance` asks a tuple that is there in half the time of a union that is made
NUMBERS: Final = (int, float)
_HOLDERS: Final = (dict, list)
MAX_ITEMS = 10_000  # that a wildcard gives; a message with more of them is refused


@dataclass(frozen=True, slots=True)
class Key:
    name: str


@dataclass(frozen=True, slots=True)
class Index:
    at: int


@dataclass(frozen=True, slots=True)
class Elements:
    """Every element of an array; its number is captured under `capture` ("" = not)."""

    capture: str = ""


@dataclass(frozen=True, slots=True)
class Keys:
    """Every value of an object; its key is captured under `capture` ("" = not)."""

    capture: str


@dataclass(frozen=True, slots=True)
class Where:
    """The elements of an array whose field `key` equals `text`."""

    key: str
    text: str


Step: TypeAlias = Key | Index | Elements | Keys | Where


@dataclass(frozen=True, slots=True)
class Path:
    """A parsed path. whole: starts at the document, not at the current item."""

    text: str
    steps: tuple[Step, ...]
    whole: bool = False

    @property
    def single(self) -> bool:
        """True when it names one value at most."""
        return all(isinstance(s, Key | Index) for s in self.steps)

    @property
    def leaf(self) -> str:
        """The last key, "" = none."""
        names = [s.name for s in self.steps if isinstance(s, Key)]
        return names[-1] if names else ""


_TOKEN = re.compile(
    r"""\.?(?:
      "(?P<quoted>[^"]*)"
    | \{(?P<capture>[A-Za-z_][A-Za-z0-9_]*)\}
    | (?P<star>\*)
    | \[(?P<index>-?[0-9]{1,6})\]
    | (?P<each>\[\*\])
    | \[\{(?P<number>[A-Za-z_][A-Za-z0-9_]*)\}\]
    | \[(?P<key>[A-Za-z0-9_-]+)==(?:"(?P<quoted_value>[^"]*)"|(?P<value>[^\]"]*))\]
    | (?P<name>[^.\[\]"{}*$@|\s]+)
    )""",
    re.VERBOSE,
)


def parse(text: str) -> Path:
    """Raises Rejected with the place where the path cannot be read."""
    body, whole = text.strip(), False
    if body.startswith("$"):
        body, whole = body[1:], True
    if body.startswith("@"):
        body = body[1:]
    steps: list[Step] = []
    at = 0
    while at < len(body):
        match = _TOKEN.match(body, at)
        if match is None or (steps and body[at] not in ".["):
            raise Rejected(f"path {text!r} cannot be read from {body[at:]!r} on")
        steps.append(_step(match))
        at = match.end()
    return Path(text, tuple(steps), whole)


def _step(match: re.Match[str]) -> Step:
    found = match.groupdict()
    if found["index"] is not None:
        return Index(int(found["index"]))
    if found["each"] is not None:
        return Elements()
    if found["number"] is not None:
        return Elements(found["number"])
    if found["star"] is not None:
        return Keys("")
    if found["capture"] is not None:
        return Keys(found["capture"])
    if found["key"] is not None:
        value = found["quoted_value"] if found["quoted_value"] is not None else found["value"]
        return Where(found["key"], value)
    return Key(found["quoted"] if found["quoted"] is not None else found["name"])


def getter(paths: Sequence[Path]) -> Getter:
    """The first present value of several paths; with wildcards, the first match of each."""
    if len(paths) == 1:
        return _one(paths[0])
    parts = tuple(_one(p) for p in paths)

    def first(item: object, document: object) -> object:
        for part in parts:
            value = part(item, document)
            if value is not MISSING and value is not None:
                return value
        return MISSING

    return first


def _one(path: Path) -> Getter:
    if not path.single:
        walk = walker(path)

        def matched(item: object, document: object) -> object:
            return next((value for _, value in walk(item, document)), MISSING)

        return _once(matched) if path.whole else matched
    steps = tuple(s.name if isinstance(s, Key) else s.at for s in path.steps if isinstance(s, Key | Index))
    whole = path.whole
    if len(steps) == 1 and not whole and isinstance(steps[0], str):
        key = steps[0]

        def top(item: object, document: object) -> object:
            return item.get(key, MISSING) if type(item) is dict else MISSING

        return top
    if len(steps) == 1 and whole and isinstance(steps[0], str):
        field = steps[0]

        def outer(item: object, document: object) -> object:
            return document.get(field, MISSING) if type(document) is dict else MISSING

        return outer

    if len(steps) == 2 and not whole and isinstance(steps[0], str) and isinstance(steps[1], str):
        first, second = steps[0], steps[1]

        def inner(item: object, document: object) -> object:
            value = item.get(first) if type(item) is dict else None
            return value.get(second, MISSING) if type(value) is dict else MISSING

        return inner

    def deep(item: object, document: object) -> object:
        value = document if whole else item
        for step in steps:
            if type(value) is dict:
                value = value.get(step, MISSING)
            elif type(value) is list and type(step) is int and -len(value) <= step < len(value):
                value = value[step]
            else:
                return MISSING
        return value

    return deep


def _once(get: Getter) -> Getter:
    """What only depends on the document, found once for all items of a message: a list that is searched for
    every one of its elements would take seconds."""
    last: tuple[object, object] = (None, MISSING)

    def found(item: object, document: object) -> object:
        nonlocal last
        known, value = last
        if known is not document or known is None:
            value = get(item, document)
            last = document, value
        return value

    return found


def walker(path: Path) -> Walker:
    """Every match of a path, with the keys it captured."""
    steps, whole = path.steps, path.whole
    several = [n for n, step in enumerate(steps) if isinstance(step, Elements | Keys | Where)]
    if len(several) == 1 and all(isinstance(s, Key) for n, s in enumerate(steps) if n != several[0]):
        return _of_one(steps, several[0], whole)

    def walk(item: object, document: object) -> Iterator[tuple[dict[str, str], object]]:
        return _counted(_matches(document if whole else item, steps, {}))

    return walk


def _of_one(steps: tuple[Step, ...], at: int, whole: bool) -> Walker:
    """The walker of a path one step of which has several matches and all others are keys: most of them."""
    before = tuple(s.name for s in steps[:at] if isinstance(s, Key))
    after = tuple(s.name for s in steps[at + 1 :] if isinstance(s, Key))
    step = steps[at]
    found = _in_objects(step.capture, after) if isinstance(step, Keys) and after else _below(step, after)

    def walk(item: object, document: object) -> Iterator[tuple[dict[str, str], object]]:
        value = document if whole else item
        for key in before:
            value = value.get(key) if isinstance(value, dict) else None
        matches = found(value)
        few = isinstance(value, _HOLDERS) and len(value) <= MAX_ITEMS
        return matches if few else _counted(matches)

    return walk


def _below(step: Step, after: tuple[str, ...]) -> Callable[[object], Iterator[tuple[dict[str, str], object]]]:
    def found(value: object) -> Iterator[tuple[dict[str, str], object]]:
        for name, child in _children(value, step):
            for key in after:
                child = child.get(key, MISSING) if isinstance(child, dict) else MISSING
            if child is not MISSING:
                yield ({name[0]: name[1]} if name else {}), child

    return found


def _in_objects(
    capture: str, after: tuple[str, ...]
) -> Callable[[object], Iterator[tuple[dict[str, str], object]]]:
    """`{name}.field`: most fields of a message are no objects, and are passed over in no time."""
    if len(after) == 1:
        field = after[0]

        def inside(value: object) -> Iterator[tuple[dict[str, str], object]]:
            if not isinstance(value, dict):
                return iter(())
            several = [
                (({capture: str(name)} if capture else {}), child[field])
                for name, child in value.items()
                if type(child) is dict and field in child
            ]
            return iter(several)

        return inside

    def found(value: object) -> Iterator[tuple[dict[str, str], object]]:
        for name, child in value.items() if isinstance(value, dict) else ():
            if type(child) is not dict:
                continue
            for key in after:
                child = child.get(key, MISSING) if isinstance(child, dict) else MISSING
                if child is MISSING:
                    break
            else:
                yield ({capture: str(name)} if capture else {}), child

    return found


def _counted(matches: Iterator[tuple[dict[str, str], object]]) -> Iterator[tuple[dict[str, str], object]]:
    """No more than MAX_ITEMS; what lies behind them is not left out unseen. Raises Rejected."""
    return chain(islice(matches, MAX_ITEMS), _beyond(matches))


def _beyond(matches: Iterator[tuple[dict[str, str], object]]) -> Iterator[tuple[dict[str, str], object]]:
    if next(matches, None) is not None:
        raise Rejected(f"more than {MAX_ITEMS} elements in one list")
    yield from ()


def _matches(
    value: object, steps: tuple[Step, ...], captures: dict[str, str]
) -> Iterator[tuple[dict[str, str], object]]:
    if not steps:
        yield captures, value
        return
    rest = steps[1:]
    for name, child in _children(value, steps[0]):
        yield from _matches(child, rest, {**captures, name[0]: name[1]} if name else captures)


def _children(value: object, step: Step) -> Iterator[tuple[tuple[str, str] | None, object]]:
    match step:
        case Key(name):
            if isinstance(value, dict) and name in value:
                yield None, value[name]
        case Index(at):
            if isinstance(value, list) and -len(value) <= at < len(value):
                yield None, value[at]
        case Elements(capture):
            if isinstance(value, list):
                for number, element in enumerate(value):
                    yield ((capture, str(number)) if capture else None), element
        case Keys(capture):
            if isinstance(value, dict):
                for key, child in value.items():
                    yield ((capture, str(key)) if capture else None), child
        case Where(key, text):
            if isinstance(value, list):
                for element in value:
                    if isinstance(element, dict) and as_text(element.get(key)) == text:
                        yield None, element


def as_text(value: object) -> str | None:
    """A scalar as people write it: true, 12, 1.5, text. None for anything else."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() and abs(value) < 2**53 else repr(value)
    return None
