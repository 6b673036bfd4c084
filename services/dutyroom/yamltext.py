"""YAML as people write it, with the line of every value.

A strict and small YAML: one document, no duplicate keys, no tags, no aliases. Only `true` and
`false` are booleans; `on`, `no` and `12:30` are text, and so are numbers with a leading zero, because
they are addresses. Dates stay text. What cannot be read is `Invalid` with the line.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import yaml

from dutyroom.errors import Invalid, Mistake

Key: TypeAlias = str | int
Path: TypeAlias = tuple[Key, ...]

MAX_BYTES = 20_000_000
MAX_DEPTH = 60

_INTEGER = re.compile(r"[-+]?(?:0|[1-9][0-9]{0,17})")
_WHOLE = "(?:0|[1-9][0-9]*)"
_FLOAT = re.compile(rf"[-+]?(?:{_WHOLE}\.[0-9]*|\.[0-9]+|{_WHOLE}(?=[eE]))(?:[eE][-+]?[0-9]+)?")
_NULLS = frozenset({"", "~", "null", "Null", "NULL"})
_FLAGS = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
_PLAIN_TAGS = frozenset({"tag:yaml.org,2002:str", "tag:yaml.org,2002:map", "tag:yaml.org,2002:seq"})

# libyaml's parser where PyYAML has it, and no guessing of types: `scalar` decides.
_Loader: Any = type(
    "_Loader", (getattr(yaml, "CSafeLoader", yaml.SafeLoader),), {"yaml_implicit_resolvers": {}}
)


@dataclass(frozen=True, slots=True)
class Document:
    """What a file says. `data`: dict, list, str, int, float, bool or None, nested.

    lines: 1-based, by path; the path of `devices[3].id` is ("devices", 3, "id").
    """

    file: str
    data: object
    lines: Mapping[Path, int]

    def line(self, path: Path) -> int:
        """The line of a path, or of its nearest known parent; 0 = the whole file."""
        while path and path not in self.lines:
            path = path[:-1]
        return self.lines.get(path, 0)

    def mistake(self, path: Path, message: str) -> Mistake:
        return Mistake(self.file, self.line(path), dotted(path), message)


def dotted(path: Path) -> str:
    """("devices", 3, "id") as people read it: devices[3].id"""
    text = ""
    for key in path:
        text += f"[{key}]" if isinstance(key, int) else f".{key}" if text else key
    return text


def decode(raw: bytes, file: str) -> str:
    """The text of a UTF-8 file, with or without a byte order mark. Raises Invalid with the line."""
    if len(raw) > MAX_BYTES:
        raise Invalid([Mistake(file, 0, "", f"is larger than {MAX_BYTES // 1_000_000} MB")])
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as err:
        line = raw.count(b"\n", 0, err.start) + 1
        how = "in Excel: CSV UTF-8" if file.endswith(".csv") else "in the editor: encoding UTF-8"
        raise Invalid(
            [Mistake(file, line, "", f"is not UTF-8 (byte 0x{raw[err.start]:02x}); save it again ({how})")]
        ) from None


def read_yaml(text: str, file: str) -> Document:
    """Reads one YAML document; an empty one gives data None. Raises Invalid."""
    loader = None
    try:
        loader = _Loader(text)
        root = loader.get_single_node()
    except yaml.MarkedYAMLError as err:
        raise Invalid([_syntax(err, text, file)]) from None
    except yaml.reader.ReaderError as err:
        line = text.count("\n", 0, err.position) + 1
        raise Invalid(
            [Mistake(file, line, "", f"holds a character that YAML forbids: {err.reason}")]
        ) from None
    except RecursionError:
        raise Invalid([Mistake(file, 0, "", f"is nested deeper than {MAX_DEPTH} levels")]) from None
    except yaml.YAMLError as err:
        raise Invalid([Mistake(file, 0, "", f"cannot be read: {err}")]) from None
    finally:
        if loader is not None:
            loader.dispose()
    builder = _Builder(file)
    data = None if root is None else builder.build(root, ())
    if builder.mistakes:
        raise Invalid(builder.mistakes)
    return Document(file, data, builder.lines)


def _syntax(err: yaml.MarkedYAMLError, text: str, file: str) -> Mistake:
    mark = err.problem_mark or err.context_mark
    line = mark.line + 1 if mark else 0
    problem = err.problem or "cannot be read"
    if "expected a single document" in str(err.context):
        return Mistake(file, line, "", "holds a second document (a line ---); one file is one document")
    if "undefined alias" in problem:
        return Mistake(file, line, "", "a value that begins with * must stand in quotes")
    if "cannot start any token" in problem:
        shown = text.split("\n")[line - 1 : line]
        indent = shown[0][: len(shown[0]) - len(shown[0].lstrip())] if shown else ""
        hint = "indent with spaces, not tabs" if "\t" in indent else "put the value in quotes"
        return Mistake(file, line, "", f"is not YAML: {problem}; {hint}")
    return Mistake(file, line, "", f"is not YAML: {problem}")


def scalar(text: str) -> str | int | float | bool | None:
    """What a plain (unquoted) scalar means."""
    if text in _NULLS:
        return None
    if text in _FLAGS:
        return _FLAGS[text]
    if text[0] in "+-.0123456789":
        if _INTEGER.fullmatch(text):
            return int(text)
        if _FLOAT.fullmatch(text) and math.isfinite(number := float(text)):
            return number
    return text


class _Builder:
    """Turns the parser's nodes into data and notes the line of each."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.lines: dict[Path, int] = {}
        self.mistakes: list[Mistake] = []
        self._seen: set[int] = set()

    def _wrong(self, node: yaml.Node, path: Path, message: str) -> None:
        self.mistakes.append(Mistake(self.file, node.start_mark.line + 1, dotted(path), message))

    def build(self, node: yaml.Node, path: Path) -> object:
        self.lines.setdefault(path, node.start_mark.line + 1)
        if id(node) in self._seen:
            self._wrong(node, path, "anchors and aliases (& and *) are not used here; write the value out")
            return None
        self._seen.add(id(node))
        if node.tag not in _PLAIN_TAGS:
            self._wrong(
                node, path, f"the tag {node.tag} is not used here; put a value beginning with ! in quotes"
            )
            return None
        if len(path) > MAX_DEPTH:
            self._wrong(node, path[:3], f"is nested deeper than {MAX_DEPTH} levels")
            return None
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, path)
        if isinstance(node, yaml.SequenceNode):
            return [self.build(item, (*path, i)) for i, item in enumerate(node.value)]
        style = getattr(node, "style", None)
        return node.value if style in ("'", '"', "|", ">") else scalar(node.value)

    def _mapping(self, node: yaml.MappingNode, path: Path) -> dict[Key, object]:
        data: dict[Key, object] = {}
        for name, value in node.value:
            if not isinstance(name, yaml.ScalarNode):
                self._wrong(name, path, "a key must be a word or a whole number")
                continue
            plain = name.style not in ("'", '"')
            key: Key = int(name.value) if plain and _INTEGER.fullmatch(name.value) else name.value
            if key in data:
                first = self.lines[(*path, key)]
                self._wrong(name, (*path, key), f"stands here a second time; the first is in line {first}")
                continue
            self.lines[(*path, key)] = name.start_mark.line + 1
            data[key] = self.build(value, (*path, key))
        return data
