"""Names that nothing gives: in braces, of a point, identity or event that could never be complete and a test that never
holds; in an expression, of a point that could never have a value.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from difflib import get_close_matches
from typing import TypeAlias

from dutyroom.profiles.binary.model import BinaryRule, names_of
from dutyroom.profiles.form import Form
from dutyroom.profiles.paths import Elements, Path
from dutyroom.profiles.paths import Keys as KeyStep
from dutyroom.profiles.profile import Layout, PointRule, TextRule
from dutyroom.profiles.yamlnode import Node

_NAME = re.compile(r"\{([A-Za-z_][A-Za-z0-9_]*)(?:\|[a-z]+)?\}")


_GROUP = re.compile(r"\(\?P<(\w+)>")
Keys: TypeAlias = tuple[str, ...]


def check_remembered(form: Form, layouts: Sequence[Layout], top: Node) -> None:
    """Notes each name that no layout remembers where it is used. What one layout lacks another may have: what stands at
    the top of a file is the default of all. top: the fields of the file."""
    found: dict[Keys, list[tuple[str, set[str], int]]] = {}
    for number, layout in enumerate(layouts):
        for keys, text, known in _uses(layout):
            if "{" in text:
                found.setdefault(keys, []).append((text, known, number))
    for keys, uses in found.items():
        for name, known in _lacking((text, known) for text, known, _ in uses):
            number = next(n for text, _, n in uses if name in _NAME.findall(text))
            node, where = _spot(top, number, keys)
            form.note(node, where, _said(name, known))


def _uses(layout: Layout) -> Iterator[tuple[Keys, str, set[str]]]:
    """(where it stands, a text with names, what is remembered there) of all texts of a layout."""
    topic = {name for accepted in layout.filters for name in accepted.names}
    item = topic | _of_paths(layout.each)
    for stage in layout.unwrap:
        yield ("unwrap",), stage.template, topic
    for condition in layout.when:
        yield ("when", condition.capture), condition.capture, topic
    for text in layout.identity:
        yield ("identity",), text, item
    for rule in layout.points:
        own, here = item | _of_point(rule), ("points", rule.spec.name)
        yield here, rule.spec.name, own
        for field, tests in (("when", rule.when), ("reset_when", rule.reset_when)):
            yield from (((*here, field, c.capture), c.capture, own) for c in tests)
    for event in layout.events:
        own = item | _of_paths((event.each,) if event.each is not None else ())
        here = ("events", event.spec.name)
        yield (*here, "code"), event.code, own
        yield (*here, "id"), event.id or "", own
        yield from (((*here, "when", c.capture), c.capture, own) for c in event.when)


def _spot(top: Node, number: int, keys: Keys) -> tuple[Node, str]:
    """Where a text of a layout stands: its node, and the name of that."""
    for before in ((f"layouts[{number}]",), ("match",), ()):
        node: Node | None = top
        for key in (*before, *keys):
            node = _inside(node, key)
        if node is not None:
            return node, ".".join((*before, *keys))
    inner = _inside(top, keys[0])
    return inner or top, ".".join(keys)


def _inside(node: Node | None, key: str) -> Node | None:
    if node is None or not isinstance(node.value, dict):
        return None
    name, listed, number = key.partition("[")
    if name != "layouts" or not listed:
        return node.value.get(key)
    inner = node.value.get(name)
    return inner.value[int(number[:-1])] if inner is not None and isinstance(inner.value, list) else None


def _lacking(uses: Iterable[tuple[str, set[str]]]) -> Iterator[tuple[str, set[str]]]:
    """(name, what is remembered there) of names that are remembered at none of their uses."""
    seen: dict[str, set[str]] = {}
    for text, known in uses:
        for name in _NAME.findall(text):
            seen.setdefault(name, set()).update(known)
    return ((name, known) for name, known in seen.items() if name not in known)


def _said(name: str, known: set[str]) -> str:
    close = get_close_matches(name, sorted(known), 1)
    hint = (
        f"did you mean {{{close[0]}}}?" if close else f"remembered are: {', '.join(sorted(known)) or 'none'}"
    )
    return f"{{{name}}} is remembered by no topic and no path of it; {hint}"


def check_computed(form: Form, layouts: Sequence[Layout], top: Node, parameters: set[str]) -> None:
    """Notes each name in `value` that no field, named path or parameter has, where a layout's fields are known before a
    message comes: of binary and of text. Of JSON, `dutyroom profile try` tells. parameters: of the profile."""
    found: dict[tuple[str, str], list[tuple[set[str] | None, int]]] = {}
    asked: dict[tuple[str, str], frozenset[str]] = {}
    for number, layout in enumerate(layouts):
        fields = _fields(layout)
        for rule in layout.points:
            if rule.value is not None:
                key = rule.spec.name, rule.value.text
                asked[key] = rule.value.names
                found.setdefault(key, []).append((None if fields is None else {*fields, *rule.names}, number))
    for key, uses in found.items():
        if any(fields is None for fields, _ in uses):
            continue  # what one layout lacks another may have
        known = parameters.union(*(fields or () for fields, _ in uses))
        for name in sorted(asked[key] - known):
            node, where = _spot(top, uses[0][1], ("points", key[0], "value"))
            close = get_close_matches(name, sorted(known), 1)
            hint = (
                f"did you mean {close[0]!r}?" if close else f"there are: {', '.join(sorted(known)) or 'none'}"
            )
            form.note(node, where, f"{name!r} is no field and no device parameter of this profile; {hint}")


def _fields(layout: Layout) -> set[str] | None:
    """Every field that its items may have; None where only a message can say."""
    if any(path.text.startswith("$") for path in layout.each):
        return None
    if isinstance(layout.decoder, TextRule):
        return {name for pattern in layout.decoder.patterns for name in _GROUP.findall(pattern)}
    if not isinstance(layout.decoder, BinaryRule):
        return None
    found = set(names_of(layout.decoder.steps))
    return None if any("{" in name for name in found) else found


def _of_point(rule: PointRule) -> set[str]:
    each = (rule.each,) if rule.each is not None else ()
    return _of_paths((*rule.paths, *each, *rule.names.values()))


def _of_paths(paths: Iterable[Path]) -> set[str]:
    steps = (step for path in paths for step in path.steps)
    return {step.capture for step in steps if isinstance(step, Elements | KeyStep) and step.capture}
