"""Parameters of a device in one cell: key=value;key=value, exact there and back.

A text that would be read as something else, or holds a semicolon, stands in double quotes as in
JSON: code="007".
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping

from dutyroom.model.telemetry import Scalar
from dutyroom.yamltext import scalar

NAME = re.compile(r"[\w.-]{1,60}")
_PART = re.compile(r'\s*(?:"(?:[^"\\]|\\.)*"|[^;"])*')  # up to the next semicolon outside quotes


def parts(text: str) -> Iterator[tuple[str, str, Scalar | None]]:
    """(the part as written, name, value) of each; value None = it is no key=value."""
    for part in _split(text):
        name, equals, written = (piece.strip() for piece in part.partition("="))
        yield part, name, value_of(written) if equals and name else None


def _split(text: str) -> Iterator[str]:
    text = text.replace("；", ";")
    at = 0
    while at < len(text):
        match = _PART.match(text, at)
        end = match.end() if match is not None else len(text)
        if end < len(text) and text[end] != ";":  # a quote that is never closed
            end = len(text)
        if part := text[at:end].strip():
            yield part
        at = end + 1


def value_of(written: str) -> Scalar | None:
    """What a value means; None = nothing, or a quote that is never closed."""
    if written.startswith('"'):
        try:
            found = json.loads(written)
        except ValueError:
            return None
        return found if isinstance(found, str) else None
    found = scalar(written)
    return found if not isinstance(found, float) or math.isfinite(found) else None


def joined(parameters: Mapping[str, Scalar]) -> str:
    """The cell that `parts` reads back as the same names and values."""
    return ";".join(f"{name}={written(value)}" for name, value in sorted(parameters.items()))


def written(value: Scalar) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if not isinstance(value, str):
        return repr(value)
    plain = value == value.strip() and not re.search('[;；"\\\\\x00-\x1f]', value)
    return value if plain and scalar(value) == value else json.dumps(value, ensure_ascii=False)
