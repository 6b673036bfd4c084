"""Names in braces that nothing remembers: a point, identity or event that could never be complete, a test that never
holds.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from difflib import get_close_matches
from typing import TypeAlias

from dutyroom.profiles.form import Form
from dutyroom.profiles.paths import Elements, Path
from dutyroom.profiles.paths import Keys as KeyStep
from dutyroom.profiles.profile import Layout, PointRule
from dutyroom.profiles.yamlnode import Node

_NAME = re.compile(r"\{([A-Za-z_][A-Za-z0-9_]*)(?:\|[a-z]+)?\}")


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


def _of_point(rule: PointRule) -> set[str]:
    each = (rule.each,) if rule.each is not None else ()
    return _of_paths((*rule.paths, *each, *rule.names.values()))


def _of_paths(paths: Iterable[Path]) -> set[str]:
    steps = (step for path in paths for step in path.steps)
    return {step.capture for step in steps if isinstance(step, Elements | KeyStep) and step.capture}
