"""Names in braces that nothing remembers: a point or an identity that could never be complete."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from difflib import get_close_matches

from dutyroom.profiles.form import Form, join
from dutyroom.profiles.paths import Elements, Keys, Path
from dutyroom.profiles.profile import Layout, PointRule
from dutyroom.profiles.yamlnode import Node

_NAME = re.compile(r"\{([A-Za-z_][A-Za-z0-9_]*)(?:\|[a-z]+)?\}")


def check_remembered(form: Form, layouts: Sequence[Layout], points: Node, identity: Node | None) -> None:
    """Notes each name that no layout remembers where it is used. What one layout lacks another may have: points and
    identity at the top of a file are the default of all."""
    own = points.value if isinstance(points.value, dict) else {}
    if identity is not None:
        uses = [(text, _of_layout(layout)) for layout in layouts for text in layout.identity]
        for name, known in _lacking(uses):
            form.note(identity, "identity", _said(name, known))
    rules: dict[str, list[set[str]]] = {}
    for layout in layouts:
        for rule in layout.points:
            if "{" in rule.spec.name:
                rules.setdefault(rule.spec.name, []).append(_of_layout(layout) | _of_point(rule))
    for text, remembered in rules.items():
        for name, known in _lacking((text, names) for names in remembered):
            form.note(own.get(text, points), join("points", text), _said(name, known))


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


def _of_layout(layout: Layout) -> set[str]:
    names = {name for accepted in layout.filters for name in accepted.names}
    return names | _of_paths(layout.each)


def _of_point(rule: PointRule) -> set[str]:
    each = (rule.each,) if rule.each is not None else ()
    return _of_paths((*rule.paths, *each, *rule.names.values()))


def _of_paths(paths: Iterable[Path]) -> set[str]:
    steps = (step for path in paths for step in path.steps)
    return {step.capture for step in steps if isinstance(step, Elements | Keys) and step.capture}
