"""YAML as nodes that remember their file and line, so that a mistake can be shown where it stands.

Only what a profile needs: mappings with text keys (`on:` is the text "on"), lists, and scalars of
which just `true`, `false`, `null` and plain decimal numbers are not text. Anchors are refused.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal
from typing import TypeAlias

import yaml

from dutyroom.errors import Invalid, Mistake

Plain: TypeAlias = "str | int | float | bool | list[Plain] | dict[str, Plain] | None"

MAX_BYTES = 1_000_000
MAX_DEPTH = 40

_INT = re.compile(r"[-+]?(0|[1-9][0-9]*)\Z")
_FLOAT = re.compile(r"[-+]?(0|[1-9][0-9]*)?(\.[0-9]+)?([eE][-+]?[0-9]{1,3})?\Z")
_WORDS: dict[str, bool | None] = {"true": True, "false": False, "null": None, "~": None, "": None}


@dataclass(frozen=True, slots=True)
class Node:
    """value: a scalar, a list of nodes, or a mapping of key -> node. raw: a scalar as written."""

    value: str | int | float | bool | list[Node] | dict[str, Node] | None
    file: str
    line: int
    raw: str = ""

    def plain(self) -> Plain:
        """The value without places."""
        if isinstance(self.value, list):
            return [n.plain() for n in self.value]
        if isinstance(self.value, dict):
            return {k: n.plain() for k, n in self.value.items()}
        return self.value

    def decimal(self) -> Decimal:
        """The number exactly as written. Raises ArithmeticError when it is none."""
        return Decimal(self.raw)

    def mistake(self, field: str, message: str) -> Mistake:
        return Mistake(self.file, self.line, field, message)


def read_yaml(text: str, file: str) -> Node:
    """The document as a Node. Raises Invalid with the line of the mistake."""
    if len(text) > MAX_BYTES:
        raise Invalid([Mistake(file, 0, "", f"longer than {MAX_BYTES} characters")])
    try:
        _refuse_anchors(text, file)
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.YAMLError as err:
        mark = getattr(err, "problem_mark", None)
        problem = getattr(err, "problem", None) or str(err).splitlines()[0]
        raise Invalid([Mistake(file, mark.line + 1 if mark else 0, "", f"not YAML: {problem}")]) from err
    except RecursionError as err:
        raise Invalid([Mistake(file, 0, "", "nested too deeply")]) from err
    if root is None:
        raise Invalid([Mistake(file, 0, "", "empty file")])
    return _node(root, file, 0)


def _refuse_anchors(text: str, file: str) -> None:
    for event in yaml.parse(text, Loader=yaml.SafeLoader):
        if getattr(event, "anchor", None) is not None:
            line = event.start_mark.line + 1 if event.start_mark is not None else 0
            raise Invalid([Mistake(file, line, "", "anchors and aliases are not read; use `extends`")])


def _node(node: yaml.Node, file: str, depth: int) -> Node:
    line = node.start_mark.line + 1
    if depth > MAX_DEPTH:
        raise Invalid([Mistake(file, line, "", f"nested more than {MAX_DEPTH} deep")])
    if isinstance(node, yaml.SequenceNode):
        return Node([_node(n, file, depth + 1) for n in node.value], file, line)
    if isinstance(node, yaml.MappingNode):
        return Node(_mapping(node, file, depth), file, line)
    assert isinstance(node, yaml.ScalarNode)
    return Node(_scalar(node), file, line, node.value)


def _mapping(node: yaml.MappingNode, file: str, depth: int) -> dict[str, Node]:
    result: dict[str, Node] = {}
    for key, value in node.value:
        place = key.start_mark.line + 1
        if not isinstance(key, yaml.ScalarNode):
            raise Invalid([Mistake(file, place, "", "a key must be text")])
        if key.value in result:
            raise Invalid([Mistake(file, place, key.value, "given twice")])
        result[key.value] = _node(value, file, depth + 1)
    return result


def _scalar(node: yaml.ScalarNode) -> str | int | float | bool | None:
    text: str = node.value
    if node.style:  # quoted or block: text
        return text
    if text in _WORDS:
        return _WORDS[text]
    if _INT.match(text):
        return int(text) if len(text) < 400 else text
    if any(c.isdigit() for c in text) and _FLOAT.match(text):
        return float(text)
    return text
