"""From payload bytes to a document, in stages."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import orjson

from dutyroom.profiles.paths import MISSING, Captures, getter, template
from dutyroom.profiles.profile import Stage

STAGES = ("json", "text", "scalar", "take", "under")


@dataclass(frozen=True, slots=True)
class Unreadable:
    """reason: malformed | encoding | no_layout."""

    reason: str
    detail: str


Unwrap: TypeAlias = Callable[[bytes, Captures], object]  # a document or Unreadable


def unwrapper(stages: Sequence[Stage]) -> Unwrap:
    """Runs the stages in order; the first that cannot ends it."""
    if [s.kind for s in stages] == ["json"]:
        return lambda payload, captures: read_json(payload)
    steps = tuple(_stage(stage) for stage in stages)

    def run(payload: bytes, captures: Captures) -> object:
        value: object = payload
        for step in steps:
            value = step(value, captures)
            if isinstance(value, Unreadable):
                break
        return value

    return run


def read_json(payload: bytes | str) -> object:
    try:
        return orjson.loads(payload)
    except orjson.JSONDecodeError as err:
        if isinstance(payload, bytes):
            text = read_text(payload)
            if isinstance(text, Unreadable):
                return text
        return Unreadable("malformed", f"not JSON: {err}")


def read_text(payload: bytes) -> str | Unreadable:
    try:
        return payload.decode("utf-8")
    except UnicodeDecodeError as err:
        return Unreadable("encoding", f"not UTF-8 at byte {err.start}")


def _stage(stage: Stage) -> Callable[[object, Captures], object]:
    match stage.kind:
        case "json":
            return lambda value, captures: _json_of(value)
        case "text":
            return lambda value, captures: read_text(value) if isinstance(value, bytes) else value
        case "scalar":
            return lambda value, captures: _scalar(value)
        case "take":
            assert stage.path is not None
            return _take(getter([stage.path]), stage.path.text)
    return _under(stage.template)


def _json_of(value: object) -> object:
    if isinstance(value, bytes | str):
        return read_json(value)
    return Unreadable("malformed", "JSON text expected")


def _scalar(value: object) -> object:
    """A plain text as number, true or false where it is one."""
    text = read_text(value) if isinstance(value, bytes) else value
    if not isinstance(text, str):
        return text
    body = text.strip()
    try:
        found: object = orjson.loads(body)
    except orjson.JSONDecodeError:
        return body
    # A document is no scalar; "007" is no JSON number and so stays text.
    return body if isinstance(found, dict | list) else found


def _take(get: Callable[[object, object], object], path: str) -> Callable[[object, Captures], object]:
    def take(value: object, captures: Captures) -> object:
        found = get(value, value)
        return Unreadable("no_layout", f"nothing at {path}") if found is MISSING else found

    return take


def _under(name: str) -> Callable[[object, Captures], object]:
    render = template(name)

    def under(value: object, captures: Captures) -> object:
        return {render(captures, value, value) or "": value}

    return under
