"""From payload bytes to a document, in stages."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

import orjson

from dutyroom.profiles.paths import MISSING, Captures, Key, Path, getter
from dutyroom.profiles.profile import Stage
from dutyroom.profiles.templates import template

PLAIN_STAGES = ("json", "text", "scalar", "raw", "hex", "base64", "uplink")
STAGES = (*PLAIN_STAGES, "take", "parse", "under")


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
        case "raw":
            return lambda value, captures: value
        case "hex":
            return lambda value, captures: _bytes_of(value, "hex")
        case "base64":
            return lambda value, captures: _bytes_of(value, "base64")
        case "uplink":
            return _uplink
        case "take":
            assert stage.path is not None
            return _take(getter([stage.path]), stage.path.text)
        case "parse":
            assert stage.path is not None
            return _parse(stage.path, stage.template)
    return _under(stage.template)


def _json_of(value: object) -> object:
    if isinstance(value, bytes | str):
        return read_json(value)
    return Unreadable("malformed", "JSON text expected")


def _bytes_of(value: object, encoding: str) -> object:
    text = read_text(value) if isinstance(value, bytes) else value
    if not isinstance(text, str):
        return text if isinstance(text, Unreadable) else Unreadable("malformed", f"{encoding} text expected")
    try:
        return from_text(text, encoding)
    except ValueError as err:
        return Unreadable("malformed", str(err))


def from_text(text: str, encoding: str) -> bytes:
    """hex (blanks, a leading 0x and either case are read) or base64 (also without padding). Raises ValueError."""
    body = text.strip()
    try:
        if encoding == "hex":
            return bytes.fromhex(body.removeprefix("0x"))
        return base64.b64decode(body + "=" * (-len(body) % 4), validate=True)
    except (ValueError, binascii.Error) as err:
        raise ValueError(f"not {encoding}: {err}") from err


def bare(payload: bytes, captures: Captures) -> bool:
    """No JSON of a server: also bytes that begin as JSON does, on a topic that tells the port."""
    return payload[:1] != b"{" or ("port" in captures and payload.rstrip()[-1:] != b"}")


def _uplink(value: object, captures: Captures) -> object:
    """The JSON of a LoRaWAN server as it is; a bare uplink (bytes, or hex text, also with blanks) as such a
    server would wrap it."""
    if not isinstance(value, bytes) or not bare(value, captures):
        return _json_of(value)
    text = b"".join(value.split())
    data = value
    if text and len(text) % 2 == 0 and all(c in b"0123456789abcdefABCDEF" for c in text):
        data = bytes.fromhex(text.decode("ascii"))
    found: dict[str, object] = {"devEUI": captures.get("device", ""), "data": base64.b64encode(data).decode()}
    port = captures.get("port", "")
    if port.isdigit():
        found["fPort"] = int(port)
    return found


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


def _parse(path: Path, name: str) -> Callable[[object, Captures], object]:
    """The JSON that a text inside a document is, at its place, or at the top under a name. Where there is no text, or an
    empty one, nothing changes."""
    get = getter([path])
    around, last = getter([replace(path, steps=path.steps[:-1])]), path.steps[-1]
    key = last.name if isinstance(last, Key) else ""

    def parse(value: object, captures: Captures) -> object:
        text = get(value, value)
        if not isinstance(text, str) or not text.strip():
            return value
        found = read_json(text)
        if isinstance(found, Unreadable):
            return Unreadable(found.reason, f"{path.text}: {found.detail}")
        place = value if name else around(value, value)
        if isinstance(place, dict):
            place[name or key] = found
        return value

    return parse


def _under(name: str) -> Callable[[object, Captures], object]:
    render = template(name)

    def under(value: object, captures: Captures) -> object:
        return {render(captures, value, value) or "": value}

    return under
