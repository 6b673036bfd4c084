"""Texts with places that a message fills: "{building}/{$.meter|lower}"."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Sequence
from typing import TypeAlias

from dutyroom.errors import Rejected
from dutyroom.profiles.paths import Captures, Getter, as_text, getter, parse

Render: TypeAlias = Callable[[Captures, object, object], str | None]


def _eui(text: str) -> str:
    """A device EUI in lower-case hex, also from the base64 that some servers write it in."""
    if len(text) == 12:
        try:
            return base64.b64decode(text, validate=True).hex()
        except (ValueError, binascii.Error):
            pass
    return text.replace("-", "").replace(":", "").lower()


_CASES: dict[str, Callable[[str], str]] = {"lower": str.lower, "upper": str.upper, "eui": _eui}


def template(text: str) -> Render:
    """Compiles "{name}" (a topic level or captured key), "{$.path}", "{@.path}", "{...|lower}".

    The result is None when a part is missing. Raises Rejected for what cannot be read.
    """
    pieces = re.split(r"\{([^{}]*)\}", text)
    parts: list[_Part] = []
    for number, piece in enumerate(pieces):
        if number % 2:
            parts.append(_expression(piece))
        elif piece:
            if "{" in piece or "}" in piece:
                raise Rejected(f"{text!r} has a brace without its partner")
            parts.append((piece, "", None, None))
    return _alone(*parts[0]) if len(parts) == 1 else _joined(parts)


# (literal text), or name of a capture, or what a path names; and the change of that.
_Part: TypeAlias = tuple[str, str, Getter | None, Callable[[str], str] | None]


def _joined(parts: list[_Part]) -> Render:
    def joined(captures: Captures, item: object, document: object) -> str | None:
        whole = ""
        for literal, name, get, change in parts:
            if literal:
                whole += literal
                continue
            found = captures.get(name) if get is None else get(item, document)
            text = found if type(found) is str else as_text(found)
            if text is None:
                return None
            whole += text if change is None else change(text)
        return whole

    return joined


def _alone(literal: str, name: str, get: Getter | None, change: Callable[[str], str] | None) -> Render:
    if literal:
        return lambda captures, item, document: literal
    if get is None:

        def from_capture(captures: Captures, item: object, document: object) -> str | None:
            found = captures.get(name)
            return change(found) if change and found is not None else found

        return from_capture

    def from_path(captures: Captures, item: object, document: object) -> str | None:
        value = get(item, document)
        found = value if type(value) is str else as_text(value)
        return change(found) if change and found is not None else found

    return from_path


def _expression(text: str) -> _Part:
    body, _, case = text.partition("|")
    if case and case not in _CASES:
        raise Rejected(f"unknown filter {case!r}; known: {', '.join(_CASES)}")
    change = _CASES.get(case)
    if body.startswith(("$", "@")):
        return "", "", getter([parse(body)]), change
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", body):
        raise Rejected(f"{{{text}}} is neither a captured name nor a path that starts with $ or @")
    return "", body, None, change


def first_template(texts: Sequence[str]) -> Render:
    """The first of several templates that has all its parts."""
    parts = tuple(template(t) for t in texts)
    if len(parts) == 1:
        return parts[0]

    def first(captures: Captures, item: object, document: object) -> str | None:
        for part in parts:
            found = part(captures, item, document)
            if found:
                return found
        return None

    return first
