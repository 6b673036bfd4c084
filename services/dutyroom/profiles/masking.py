"""A message as people may see it where it could not be read: personal fields are hidden.

What waits in quarantine is kept whole, since it may be read later; only what is shown of it is masked.
"""

from __future__ import annotations

from collections.abc import Iterable

import orjson

from dutyroom.profiles.privacy import guard_of
from dutyroom.profiles.profile import Profile

HIDDEN = "…"
MAX_DEPTH = 60


def masked(payload: bytes, profiles: Iterable[Profile]) -> bytes:
    """JSON without what one of these profiles marks as personal (drop or hash), by a field's name or its
    path without numbers; anything else as it is."""
    marked = [profile for profile in profiles if profile.privacy]
    if not marked:
        return payload
    try:
        document = orjson.loads(payload)
    except orjson.JSONDecodeError:
        return payload
    return orjson.dumps(_masked(document, "", marked, 0))


def _masked(value: object, path: str, profiles: list[Profile], depth: int) -> object:
    if depth > MAX_DEPTH:
        return HIDDEN
    if isinstance(value, dict):
        return {
            key: HIDDEN
            if _personal(key, inner := f"{path}.{key}" if path else key, child, profiles)
            else _masked(child, inner, profiles, depth + 1)
            for key, child in value.items()
        }
    if isinstance(value, list):
        return [_masked(child, path, profiles, depth + 1) for child in value]
    if isinstance(value, str) and value.lstrip()[:1] in ("{", "["):
        return _text_masked(value, path, profiles, depth)
    return value


def _text_masked(text: str, path: str, profiles: list[Profile], depth: int) -> str:
    """JSON that stands as a text in JSON."""
    try:
        inner = orjson.loads(text)
    except orjson.JSONDecodeError:
        return text
    shown = _masked(inner, path, profiles, depth + 1)
    return text if shown == inner else orjson.dumps(shown).decode()


def _personal(key: str, path: str, value: object, profiles: list[Profile]) -> bool:
    if value is None or isinstance(value, dict | list):
        return False
    return any(guard_of(profile, (key, path), b"") is not None for profile in profiles)
