"""A YAML document as a tree of nodes, each with its file and line.

A profile is merged with what it extends, so a node must know which file it came from. Keys are text
(`1:` and `"1":` are the same key).
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import TypeAlias

from dutyroom import yamltext
from dutyroom.errors import Invalid, Mistake

Plain: TypeAlias = "str | int | float | bool | list[Plain] | dict[str, Plain] | None"


@dataclass(frozen=True, slots=True)
class Node:
    """value: a scalar, a list of nodes, or a mapping of key -> node."""

    value: str | int | float | bool | list[Node] | dict[str, Node] | None
    file: str
    line: int

    @property
    def raw(self) -> str:
        """A scalar as text: true, 12, 0.001, words; "" for null and for what is no scalar."""
        if isinstance(self.value, bool):
            return "true" if self.value else "false"
        return str(self.value) if isinstance(self.value, str | int | float) else ""

    def plain(self) -> Plain:
        """The value without places."""
        if isinstance(self.value, list):
            return [n.plain() for n in self.value]
        if isinstance(self.value, dict):
            return {k: n.plain() for k, n in self.value.items()}
        return self.value

    @property
    def named(self) -> dict[str, Node]:
        """What a mapping holds; nothing of anything else."""
        return self.value if isinstance(self.value, dict) else {}

    def decimal(self) -> Decimal:
        """The number as written. Raises ArithmeticError when it is none."""
        return Decimal(self.raw)

    def mistake(self, field: str, message: str) -> Mistake:
        return Mistake(self.file, self.line, field, message)


def read_node(text: str, file: str) -> Node:
    """The document as a Node. Raises Invalid with the line of the mistake."""
    document = yamltext.read_yaml(text, file)
    if document.data is None:
        raise Invalid([Mistake(file, 0, "", "empty file")])
    return _node(document, document.data, ())


def _named(
    document: yamltext.Document, value: dict[yamltext.Key, object], path: yamltext.Path
) -> dict[str, Node]:
    made: dict[str, Node] = {}
    for key, child in value.items():
        name, line = str(key), document.line((*path, key))
        if name in made:  # 1 and "1"
            first = made[name].line
            said = f"stands here a second time, with and without quotes; the first is in line {first}"
            raise Invalid([Mistake(document.file, line, yamltext.dotted((*path, key)), said)])
        made[name] = _node(document, child, (*path, key))
    return made


def _node(document: yamltext.Document, value: object, path: yamltext.Path) -> Node:
    line = document.line(path)
    if isinstance(value, list):
        return Node([_node(document, v, (*path, i)) for i, v in enumerate(value)], document.file, line)
    if isinstance(value, dict):
        return Node(_named(document, value, path), document.file, line)
    assert value is None or isinstance(value, str | int | float)
    return Node(value, document.file, line)
