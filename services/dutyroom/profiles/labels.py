"""Labels of state points: words for people, or keys of the catalogue, which every language must have.

`labels: {0: value.gate.closed, 1: ajar}` has one of each. A key that is misspelt would stand on the
pages as it is, so `dutyroom check` names it; a running site reads the profile all the same.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path

from dutyroom.errors import Invalid, Mistake
from dutyroom.fields import nearest
from dutyroom.profiles.form import join
from dutyroom.profiles.yamlnode import Node, read_node
from dutyroom.yamltext import decode

Keys = Mapping[str, Collection[str]]  # language -> the keys that have words in it

# value.gate.open; but not "open", "half open", "No. 5" or "1.5 bar"
_KEY = re.compile(r"[a-z][a-z0-9_]+(\.[a-z0-9_]+)+\Z|value\.\S*\Z", re.IGNORECASE | re.ASCII)


def wrong_labels(file: Path, keys: Keys) -> list[Mistake]:
    """The label keys of a profile's file that some language has no words for. What the file inherits is
    a matter of the file that says it; one that cannot be read is told of by who loads it."""
    try:
        text = decode(file.read_bytes(), str(file))
        if "labels" not in text:
            return []
        node = read_node(text, str(file))
    except (OSError, Invalid):
        return []
    found = []
    for where, label in _labels(node):
        missing = [language for language, known in keys.items() if label.raw not in known]
        if missing and _KEY.match(label.raw):
            found.append(label.mistake(where, _said(label.raw, missing, keys)))
    return found


def _said(key: str, missing: list[str], keys: Keys) -> str:
    known = {k for listed in keys.values() for k in listed if k.startswith("value.")}
    hint = "" if key in known else nearest(key, known)
    return f"there are no words for the key {key!r} in {', '.join(missing)}{hint}"


def _labels(profile: Node) -> Iterator[tuple[str, Node]]:
    """(field, label) of the points of the profile and of its layouts."""
    yield from _of_points(profile, "points")
    layouts = profile.named.get("layouts")
    if layouts is not None and isinstance(layouts.value, list):
        for number, layout in enumerate(layouts.value):
            yield from _of_points(layout, join(f"layouts[{number}]", "points"))


def _of_points(holder: Node, where: str) -> Iterator[tuple[str, Node]]:
    for name, point in _inner(holder, "points"):
        for code, label in _inner(point, "labels"):
            if isinstance(label.value, dict):
                continue  # words in each language: no key
            yield join(where, f"{name}.labels.{code}"), label


def _inner(node: Node, name: str) -> Iterable[tuple[str, Node]]:
    found = node.named.get(name)
    return () if found is None else found.named.items()
