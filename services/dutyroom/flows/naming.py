"""What a message has to say by name, where nothing else is known of it."""

from __future__ import annotations

import msgspec

_NAMES = 20
_LONG = 200  # characters


def named_in(payload: bytes) -> str:
    """The names of a JSON object's fields, never its values, which may be personal; of anything else its size."""
    try:
        found = msgspec.json.decode(payload)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        found = None
    if not isinstance(found, dict) or not found:
        return f"{len(payload)} bytes"
    return ", ".join(list(found)[:_NAMES])[:_LONG]
