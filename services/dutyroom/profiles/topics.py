"""Topic filters with named levels, and the trie that finds all profiles of a topic at once.

wmbusmeters/{id}            a level, remembered as `id`
{id}/status/em1:{channel}   part of a level
N/{portal}/genset/{n}/{path...}   the rest of the topic, remembered as "Ac/Power"
+/x  x/#                    as in MQTT, not remembered
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from dutyroom.errors import Rejected

T = TypeVar("T")
MAX_LEVELS = 40

_NAME = r"[A-Za-z_][A-Za-z0-9_]*"


@dataclass(frozen=True, slots=True)
class Level:
    """One level of a filter. text: matches itself. pattern: anything that it matches. rest: all that is left."""

    text: str | None = None
    pattern: re.Pattern[str] | None = None
    name: str = ""  # a whole level captured under this name
    rest: bool = False


@dataclass(frozen=True, slots=True)
class Filter:
    """A parsed topic filter; `literal` counts the characters that are fixed, for ranking."""

    text: str
    levels: tuple[Level, ...]

    @property
    def literal(self) -> int:
        return sum(len(level.text or "") for level in self.levels)

    @property
    def names(self) -> frozenset[str]:
        return frozenset(re.findall(r"\{(" + _NAME + r")(?:\.\.\.)?\}", self.text))

    @property
    def mqtt(self) -> str:
        """The filter as a broker understands it."""
        parts = ["#" if lv.rest else lv.text if lv.text is not None else "+" for lv in self.levels]
        return "/".join(parts)


def parse_filter(text: str) -> Filter:
    """Raises Rejected for a filter that cannot be read."""
    if not text or len(text) > 1000:
        raise Rejected("a topic filter is 1 to 1000 characters long")
    parts = text.split("/")
    if len(parts) > MAX_LEVELS:
        raise Rejected(f"more than {MAX_LEVELS} levels")
    levels = tuple(_level(part) for part in parts)
    if any(level.rest for level in levels[:-1]):
        raise Rejected(f"{text!r}: the rest of the topic can only stand last")
    return Filter(text, levels)


def _level(part: str) -> Level:
    if part == "#":
        return Level(rest=True)
    if part == "+":
        return Level(pattern=re.compile(""))
    whole = re.fullmatch(r"\{(" + _NAME + r")(\.\.\.)?\}", part)
    if whole:
        return Level(name=whole[1], rest=True) if whole[2] else Level(name=whole[1], pattern=re.compile(""))
    if "{" not in part and "}" not in part:
        if "+" in part or "#" in part:
            raise Rejected(f"level {part!r}: + and # stand alone")
        return Level(text=part)
    pieces = re.split(r"\{(" + _NAME + r")\}", part)
    if any("{" in piece or "}" in piece for piece in pieces[::2]):
        raise Rejected(f"level {part!r}: write {{name}}")
    pattern = "".join(f"(?P<{p}>.+?)" if n % 2 else re.escape(p) for n, p in enumerate(pieces))
    return Level(pattern=re.compile(pattern + r"\Z"))


@dataclass(slots=True)
class _Branch(Generic[T]):
    texts: dict[str, _Branch[T]] = field(default_factory=dict)
    patterns: list[tuple[Level, _Branch[T]]] = field(default_factory=list)
    rests: list[tuple[str, T]] = field(default_factory=list)
    ends: list[T] = field(default_factory=list)


class TopicTrie(Generic[T]):
    """filter -> things; `match` gives each thing with the named levels."""

    def __init__(self) -> None:
        self._root: _Branch[T] = _Branch()

    def add(self, topic_filter: Filter, thing: T) -> None:
        branch = self._root
        for level in topic_filter.levels:
            if level.rest:
                branch.rests.append((level.name, thing))
                return
            branch = self._descend(branch, level)
        branch.ends.append(thing)

    @staticmethod
    def _descend(branch: _Branch[T], level: Level) -> _Branch[T]:
        if level.text is not None:
            return branch.texts.setdefault(level.text, _Branch())
        for known, child in branch.patterns:
            if known == level:
                return child
        child = _Branch[T]()
        branch.patterns.append((level, child))
        return child

    def match(self, topic: str) -> tuple[tuple[T, dict[str, str]], ...]:
        levels = topic.split("/")
        return tuple(self._walk(self._root, levels, 0, {})) if len(levels) <= MAX_LEVELS else ()

    def _walk(
        self, branch: _Branch[T], levels: list[str], at: int, captures: dict[str, str]
    ) -> list[tuple[T, dict[str, str]]]:
        found: list[tuple[T, dict[str, str]]] = []
        for name, thing in branch.rests:
            if at < len(levels):
                found.append((thing, {**captures, name: "/".join(levels[at:])} if name else captures))
        if at == len(levels):
            return found + [(thing, captures) for thing in branch.ends]
        level = levels[at]
        child = branch.texts.get(level)
        if child is not None:
            found += self._walk(child, levels, at + 1, captures)
        for rule, child in branch.patterns:
            more = _fits(rule, level)
            if more is not None:
                found += self._walk(child, levels, at + 1, {**captures, **more})
        return found


def _fits(rule: Level, level: str) -> dict[str, str] | None:
    if rule.name:
        return {rule.name: level}
    match = rule.pattern.match(level) if rule.pattern is not None else None
    return match.groupdict() if match else None
